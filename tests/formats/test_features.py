"""Feature files: what is in them, the service's answers, the commands, what goes wrong.

Covers: methods.obfuscator.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.nursery import Done, Nursery
from support.obfuscators import PLAIN, TINY, players

from photoguard import weights
from photoguard.detection import Face
from photoguard.errors import DamagedError
from photoguard.formats.features import FeatureFile
from photoguard.methods import obfuscator
from photoguard.photos.geometry import Box


def model(config=TINY, seed=0, name="own", sha256="5e" * 32):
    return obfuscator.of_networks(name, sha256, players(config, seed).eval())


def face(side=80, left=10):
    points = [(left + x * side, 10 + y * side) for x, y in TINY.template]
    return Face(Box(left, 10, side, side), tuple(points), 0.99, True)


def photo(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (120, 200, 3), dtype=np.uint8)


def test_a_file_holds_one_blob_a_face_and_comes_back_as_it_was():
    file = obfuscator.obfuscate(model(), photo(), [face(), face(60, 100)])
    again = FeatureFile.from_bytes(file.to_bytes())
    assert again == file and len(again.faces) == 2
    assert len(file.faces[0]) == 6 * (4 + 8 * 8)
    header = file.to_bytes()[9:200]
    assert b'"kind":"features","model":"own","sha256":"5e5e' in header


def test_what_is_decoded_is_what_left_within_half_a_step():
    one = model()
    chips = np.stack([obfuscator.chip(TINY, photo(), np.array(face().landmarks))])
    noise = np.random.default_rng(0).standard_normal(6 * 64).astype(np.float32)
    file = obfuscator._obfuscate(one, chips, noise)
    x = chips.transpose(0, 3, 1, 2).astype(np.float32) / 255
    wanted = one.encode(x) + noise.reshape(1, 6, 8, 8)
    assert np.abs(obfuscator.decoded(file) - wanted).max() < 0.6 * (wanted.max() - wanted.min()) / 255 + 0.01
    without = obfuscator._obfuscate(model(PLAIN), chips, noise)
    plain = model(PLAIN).encode(x)
    assert np.abs(obfuscator.decoded(without) - plain).max() < 0.01 * (plain.max() - plain.min()) + 0.01


def test_noise_is_fresh_for_every_file_and_every_face():
    one = model()
    first, second = (obfuscator.obfuscate(one, photo(), [face(), face()]) for _ in range(2))
    assert first.faces[0] != first.faces[1]
    assert first.faces[0] != second.faces[0]
    apart = (obfuscator.decoded(first)[0] - obfuscator.decoded(second)[0]).std()
    assert apart == pytest.approx(2**0.5, rel=0.2)  # two draws of unit variance


def test_noise_comes_from_the_system_and_not_from_torch(monkeypatch):
    one = model()
    torch.manual_seed(0)
    first = obfuscator.obfuscate(one, photo(), [face()])
    torch.manual_seed(0)
    assert obfuscator.obfuscate(one, photo(), [face()]).faces != first.faces
    drawn = []

    def system(count):
        drawn.append(count)
        return bytes(count)

    monkeypatch.setattr(obfuscator.secrets, "token_bytes", system)
    obfuscator.obfuscate(one, photo(), [face()])
    assert drawn == [8 * 6 * 64]


def test_the_noise_is_normal():
    values = obfuscator.gaussian(np.random.default_rng(0).bytes(8 * 200_000))
    assert len(values) == 200_000 and values.dtype == np.float32
    moments = [float((values.astype(np.float64) ** power).mean()) for power in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.05)
    assert abs(float((values[:100_000] * values[100_000:]).mean())) < 0.02  # cosine and sine are two values
    assert np.isfinite(obfuscator.gaussian(bytes(64) + b"\xff" * 64)).all()


def test_the_face_is_laid_where_training_had_it():
    pixels = np.zeros((120, 200, 3), np.uint8)
    for x, y in face().landmarks:
        pixels[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = 255
    chip = obfuscator.chip(TINY, pixels, np.array(face().landmarks))
    for x, y in TINY.template:
        assert chip[round(y * 32 - 0.5), round(x * 32 - 0.5)].mean() > 100


def test_answers_name_every_class_and_add_up():
    one = model()
    found = obfuscator.classify(one, obfuscator.obfuscate(one, photo(), [face(), face(60, 100)]))
    assert len(found) == 2
    assert found[0].keys() == {"bright"} and found[0]["bright"].keys() == {"no", "yes"}
    assert sum(found[0]["bright"].values()) == pytest.approx(1)
    assert obfuscator.answer({"no": 0.2, "yes": 0.8}) == ("yes", 0.8)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"sha256": "6f" * 32}, "another model"), ({"name": "obfuscator"}, "another model")],
)
def test_features_of_another_model_are_refused(change, says):
    file = obfuscator.obfuscate(model(), photo(), [face()])
    with pytest.raises(DamagedError, match=says):
        obfuscator.classify(dataclasses.replace(model(), **change), file)
    other = dataclasses.replace(file, shape=(6, 4, 16))
    with pytest.raises(DamagedError, match="another shape"):
        obfuscator.classify(model(), FeatureFile.from_bytes(other.to_bytes()))


@pytest.fixture
def photoguard(networks: Nursery, tmp_path: Path) -> Callable[..., Done]:
    """As everywhere, with the networks' code loaded already."""
    return networks.of(tmp_path).run


@pytest.fixture
def own(tmp_path):
    """A model of the user's own."""
    path = tmp_path / "own.safetensors"
    weights.save_obfuscator(path, players())
    return path


def test_a_client_sends_and_a_service_answers(photoguard, portrait, own, tmp_path):
    sent = portrait.with_suffix(".features")
    done = photoguard("features", portrait, "--weights", own)
    assert "1 face" in done.stdout and sent.is_file()
    data = sent.read_bytes()
    assert b"NASA" not in data and b"portrait" not in data and b"GPS" not in data
    table = photoguard("classify", sent, "--weights", own).stdout
    assert "face 1" in table and "bright" in table
    record = json.loads(photoguard("classify", sent, "--weights", own, "--json").stdout)
    assert record["face"] == 1 and set(record["answers"]["bright"]) == {"no", "yes"}
    assert "already exists" in photoguard("features", portrait, "--weights", own, code=8).stderr
    photoguard("features", portrait, "--weights", own, "--force", "-q")
    assert sent.read_bytes() != data  # fresh noise

    other = tmp_path / "other.safetensors"
    weights.save_obfuscator(other, players(seed=1))
    assert "another model" in photoguard("classify", sent, "--weights", other, code=6).stderr
    cut = tmp_path / "cut.features"
    cut.write_bytes(data[:-1])
    assert "error" in photoguard("classify", cut, "--weights", own, code=6).stderr
    both = photoguard("classify", cut, sent, "--weights", own, code=10)
    assert "face 1" in both.stdout and "1 of 2 failed" in both.stderr
    both = photoguard("classify", cut, sent, "--weights", own, "--json", code=10)
    failed, answered = map(json.loads, both.stdout.splitlines())
    assert failed["file"] == str(cut) and failed["exit"] == 6 and answered["face"] == 1
    shown = json.loads(photoguard("inspect", sent, "--json").stdout)
    assert shown["kind"] == "features" and shown["faces"] == 1 and shown["model"] == "own"
    photoguard("inspect", cut, code=6)


def test_a_file_sealed_for_the_service_opens_with_its_key_alone(photoguard, portrait, own, tmp_path):
    made = json.loads(photoguard("keygen", "-o", tmp_path / "service", "--json").stdout)
    target = tmp_path / "sealed.features"
    done = photoguard(
        "features", portrait, "--weights", own, "-o", target, "--to", made["recipient"], "--json"
    )
    assert json.loads(done.stdout)["sealed"] is True
    assert target.read_bytes().startswith(b"age-encryption.org/v1")
    shown = photoguard("classify", target, "--weights", own, "--key", tmp_path / "service").stdout
    assert "bright" in shown
    photoguard("classify", target, "--weights", own, code=5)


def test_a_name_without_a_suffix_is_a_folder_as_with_encrypt(photoguard, portrait, own, tmp_path):
    photoguard("features", portrait, "--weights", own, "-o", tmp_path / "made" / "here")
    assert (tmp_path / "made" / "here" / "portrait.features").is_file()


def test_no_face_and_no_file(photoguard, own, tmp_path):
    from PIL import Image

    Image.new("RGB", (200, 200), "gray").save(tmp_path / "empty.png")
    failed = photoguard("features", tmp_path / "empty.png", "--weights", own, code=4)
    assert "no face was found" in failed.stderr and not (tmp_path / "empty.features").exists()
    photoguard("features", tmp_path / "gone.jpg", "--weights", own, code=3)
    photoguard("classify", tmp_path / "gone.features", "--weights", own, code=3)
    same = photoguard("features", tmp_path / "empty.png", tmp_path / "empty.jpg", "--weights", own, code=2)
    assert "same feature file" in same.stderr

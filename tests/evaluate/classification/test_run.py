"""Pictures of ten classes, the ways of Table 4 to hide them, and the evaluation of it all on a few.

Covers: nets.classifier.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from photoguard.errors import UnreadableError
from photoguard.evaluate.classification import pictures
from photoguard.evaluate.classification import rivals as classification_rivals
from photoguard.evaluate.classification import run as classification
from photoguard.evaluate.classification import tables as classification_tables
from photoguard.evaluate.common.networks import Training, as_inputs, cross_entropy, predict, train
from photoguard.methods.avp.keys import KeyModel
from photoguard.nets.classifier import Adapted, Classifier, ClassifierConfig, Transformation
from photoguard.nets.generator import Generator, GeneratorConfig

RNG = np.random.default_rng


@pytest.fixture(autouse=True)
def _numbers_as_they_are():
    """The evaluation lets the processor flush the smallest numbers; other tests want them."""
    yield
    torch.set_flush_denormal(False)


# --- pictures ---


def test_drawn_pictures_are_the_same_for_a_seed_and_hold_every_class():
    a, b, other = pictures.drawn(40, 20), pictures.drawn(40, 20), pictures.drawn(40, 20, seed=1)
    np.testing.assert_array_equal(a.train.pixels, b.train.pixels)
    assert (a.train.pixels != other.train.pixels).any()
    assert np.bincount(a.train.labels).tolist() == [4] * 10
    assert a.test.pixels.shape == (20, 32, 32, 3)
    assert not any((a.train.pixels == one).all((1, 2, 3)).any() for one in a.test.pixels)


def test_classes_are_told_by_their_shape_and_not_by_their_color():
    some = pictures.drawn(500, 0 + 10).train
    means = np.stack([some.pixels[some.labels == k].mean((0, 1, 2)) for k in range(10)])
    assert np.ptp(means, 0).max() < 40  # a class has no color of its own


def batches(folder: Path, version: str) -> Path:
    """A tiny CIFAR-10 in either version: picture n of each batch is n in red, 0 in green, 100 in blue."""
    folder.mkdir()
    rows = np.zeros((3, 3072), np.uint8)
    rows[:, :1024] = np.arange(3)[:, None]
    rows[:, 2048:] = 100
    labels = [3, 0, 9]
    for name in (*pictures.TRAIN_BATCHES, pictures.TEST_BATCH):
        if version == "bin":
            data = np.column_stack([np.array(labels, np.uint8), rows]).tobytes()
            (folder / f"{name}.bin").write_bytes(data)
        else:
            batch = {b"data": rows, b"labels": labels, b"batch_label": b"x", b"filenames": [b"a", b"b", b"c"]}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return folder


@pytest.mark.parametrize("version", ["bin", "py"])
def test_cifar_10_is_read_in_both_versions_from_its_folder_or_the_one_above(tmp_path, version):
    folder = batches(tmp_path / f"cifar-10-batches-{version}", version)
    for place in (folder, tmp_path):
        found = pictures.cifar10(place)
        assert len(found.train), len(found.test) == (15, 3)
        assert found.test.labels.tolist() == [3, 0, 9]
        assert found.train.pixels[2, 5, 5].tolist() == [2, 0, 100]


def test_a_pickle_that_names_anything_but_arrays_is_refused_and_not_run(tmp_path):
    folder = batches(tmp_path / "cifar", "py")

    class Hostile:
        def __reduce__(self):
            return Path.touch, (tmp_path / "ran",)

    (folder / pictures.TEST_BATCH).write_bytes(pickle.dumps({b"data": Hostile()}))
    with pytest.raises(UnreadableError, match="no batch of CIFAR-10"):
        pictures.cifar10(folder)
    assert not (tmp_path / "ran").exists()


def cut_short(folder: Path) -> None:
    (folder / "test_batch.bin").write_bytes((folder / "test_batch.bin").read_bytes()[:-1])


def wild_label(folder: Path) -> None:
    data = bytearray((folder / "test_batch.bin").read_bytes())
    data[0] = 10
    (folder / "test_batch.bin").write_bytes(bytes(data))


def missing(folder: Path) -> None:
    (folder / "data_batch_3.bin").unlink()


@pytest.mark.parametrize("fault", [cut_short, wild_label, missing])
def test_a_damaged_cifar_10_is_an_error_of_ours(tmp_path, fault):
    folder = batches(tmp_path / "cifar", "bin")
    fault(folder)
    with pytest.raises(UnreadableError):
        pictures.cifar10(folder)


def test_a_folder_without_cifar_10_says_what_is_wanted(tmp_path):
    with pytest.raises(UnreadableError) as caught:
        pictures.cifar10(tmp_path)
    assert "cifar-10-binary" in caught.value.hint


# --- the rivals ---


def test_learnable_encryption_hides_the_picture_and_only_its_key_gives_it_back_exactly():
    some = pictures.drawn(10, 10).train.pixels
    key, other = classification_rivals.scrambler(0), classification_rivals.scrambler(1)
    shown = key.encrypt(some)
    np.testing.assert_array_equal(key.decrypt(shown), some)
    assert (other.decrypt(shown) != some).mean() > 0.9
    assert (shown != some).mean() > 0.9


def test_learnable_encryption_treats_every_block_alike_and_by_itself():
    some = RNG(0).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    some[0, 4:, 4:] = some[0, :4, :4]
    key = classification_rivals.scrambler(0)
    shown = key.encrypt(some)
    np.testing.assert_array_equal(shown[0, 4:, 4:], shown[0, :4, :4])
    changed = some.copy()
    changed[0, 0, 0] ^= 255
    differs = (key.encrypt(changed) != shown)[0].any(2)
    assert differs[:4, :4].any() and not differs[4:].any() and not differs[:, 4:].any()


def two_classes() -> tuple[np.ndarray, np.ndarray]:
    """Lines that lie and lines that stand."""
    rng = RNG(0)
    labels = np.arange(40) % 2
    pixels = rng.integers(0, 60, (40, 32, 32, 3))
    pixels[labels == 0, ::4] += 150
    pixels[labels == 1, :, ::4] += 150
    return pixels.astype(np.uint8), labels.astype(np.int64)


TINY = ClassifierConfig("vgg", (4, 4, 8), 1, 2)


def test_the_transformation_network_keeps_the_class_and_leaves_the_classifier_as_it_was():
    pixels, labels = two_classes()
    torch.manual_seed(0)
    net = Classifier(TINY)
    how = Training(8, 1e-2, batch=8)
    train(net, as_inputs(pixels), labels, cross_entropy, how, 0, "cpu")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    made = classification_rivals.transformation(net, pixels, labels, how, "cpu")
    shown = classification_rivals.transformed(made, pixels, "cpu")
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    guesses = predict(net, as_inputs(shown), "cpu").argmax(1)
    assert (guesses == labels).mean() > 0.9
    assert shown.dtype == np.uint8


@pytest.mark.parametrize("family", classification.FAMILIES)
def test_networks_take_32_pixels_and_learn(family):
    net = Classifier(dataclasses.replace(TINY, family=family))
    assert [tuple(maps.shape) for maps in net.look(torch.rand(2, 3, 32, 32))] == [
        (2, 4, 32, 32), (2, 4, 16, 16), (2, 8, 8, 8),
    ]  # fmt: skip
    assert Adapted(net)(torch.rand(2, 3, 32, 32)).shape == (2, 2)
    assert Transformation(4)(torch.rand(2, 3, 32, 32)).shape == (2, 3, 32, 32)


# --- the whole ---


def test_the_whole_evaluation_runs_is_resumed_and_fills_its_tables(tmp_path, monkeypatch):
    once = Training(1, 1e-3)
    size = classification.ClassificationSize(40, 20, 6, (4, 4, 8), 1, once, once, once, 3)
    monkeypatch.setattr(classification, "QUICK", size)
    keys = []

    def make_key(faces):
        keys.append(faces)
        return KeyModel(bytes(32), Generator(GeneratorConfig(4, 1, 1, False)).requires_grad_(False))

    said: list[str] = []
    page = tmp_path / "page.md"
    results = classification.evaluate_classification(
        tmp_path / "out", make_key, quick=True, say=said.append, page=page
    )
    names = [f"{way} {family}" for family in ("vgg", "resnet") for way in classification_tables.WAYS]
    assert list(results["rows"]) == names
    assert keys == [False]
    assert results["rows"]["LE vgg"]["ssim_d"] == 1
    assert results["rows"]["AVP sealed vgg"]["ssim_d"] > 0.3
    assert len(said) == len(names) + 1  # and the key
    again = classification.evaluate_classification(tmp_path / "out", make_key, quick=True, say=said.append)
    assert len(said) == len(names) + 1 and again["rows"] == results["rows"]
    text = page.read_text()
    assert "`photoguard evaluate avp --task classification --quick`" in text
    assert "| 93.95 |" in text and "drawn shapes" in text
    rows = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == len(names) + 2 and len(set(rows)) == 1
    json.loads((tmp_path / "out" / "classification.json").read_text())


def test_the_paper_is_quoted_right():
    assert classification_tables.PAPER["AVP bare resnet"] == (95.53, 95.28, 0.198, 0.923)
    assert classification_tables.PAPER["LE vgg"][1] == 87.78

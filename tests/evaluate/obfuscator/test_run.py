"""`evaluate obfuscator` on tiny made-up faces: attackers find what is there, and nothing that is not.

Covers: evaluate.obfuscator.plots, evaluate.obfuscator.tables.
"""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.obfuscators import GENDER, PLAIN, RACE, TINY, players, write_faces

from photoguard import weights
from photoguard.errors import UsageError
from photoguard.evaluate.common import metrics
from photoguard.evaluate.common.networks import Training
from photoguard.evaluate.obfuscator import attacks, parts, setting
from photoguard.evaluate.obfuscator import run as page

HALVES = (np.arange(0, 120, 2), np.arange(1, 120, 2))
BRIEF = attacks.Effort(None, Training(10, 5e-3), Training(2, 5e-3, batch=8), 40, 20, 2, 2, 4)
ADULT = dataclasses.replace(TINY.tasks[0], name="age>=18")
CONFIG = dataclasses.replace(TINY, tasks=(ADULT,))


def victim(sent, config=PLAIN, spread=0.0):
    return attacks.Victim("one", config, sent, sent, spread)


def telling(labels, strength):
    """Features whose first map is high for one class."""
    rng = np.random.default_rng(0)
    sent = rng.standard_normal((len(labels), 6, 8, 8)).astype(np.float16) * 0.1
    sent[:, 0] += (strength * labels[:, 0])[:, None, None]
    return sent


def labels_of(count=120):
    return np.stack([np.arange(count) // 3 % 2, np.arange(count) % 5], 1)


@pytest.mark.parametrize("kind", ["same", "other"])
def test_an_attacker_finds_what_features_tell_and_guesses_what_they_do_not(kind):
    def make():
        return (
            attacks.nets.Classifier(PLAIN, (GENDER, RACE))
            if kind == "same"
            else attacks.StrongClassifier(PLAIN, (GENDER, RACE), 8)
        )

    labels = labels_of()
    found = attacks.guessed(victim(telling(labels, 2.0)), make, (GENDER, RACE), labels, HALVES, BRIEF, "cpu")
    assert found["gender"].balanced.value > 0.7
    assert found["race"].balanced.low < 0.2 < found["race"].balanced.high + 0.1
    assert found["race"].classes == 5 and found["gender"].majority == 0.5


def test_noise_hides_what_is_weaker():
    labels = labels_of()
    one = victim(telling(labels, 0.2), spread=5.0)
    found = attacks.guessed(
        one,
        lambda: attacks.StrongClassifier(PLAIN, (GENDER, RACE), 8),
        (GENDER, RACE),
        labels,
        HALVES,
        BRIEF,
        "cpu",
    )
    assert abs(found["gender"].above_chance) < 20


def test_an_attacker_receives_what_a_file_holds_and_new_noise_each_time():
    sent = torch.from_numpy(telling(labels_of(), 1.0)[:2]).float()
    seen = attacks.Received(victim(sent.numpy()), torch.nn.Identity())(sent)
    assert len(torch.unique(seen[0, 0])) <= 64 and (seen - sent).abs().max() < 0.01
    noisy = attacks.Received(victim(sent.numpy(), spread=1.0), torch.nn.Identity()).eval()
    assert (noisy(sent) - noisy(sent)).std() > 1


def smooth_faces(count):
    rng = np.random.default_rng(0)
    return np.repeat(np.repeat(rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8), 4, 1), 4, 2)


def test_a_reconstructor_restores_from_features_that_show_the_face():
    faces = smooth_faces(60)
    sent = np.concatenate([faces[:, ::4, ::4].transpose(0, 3, 1, 2) / 255] * 2, 1).astype(np.float16)
    halves = (np.arange(40), np.arange(40, 60))
    effort = dataclasses.replace(BRIEF, restore=Training(30, 5e-3, batch=8))
    one = dataclasses.replace(victim(sent), mirrored=sent[..., ::-1].copy())
    make = lambda: attacks.nets.Mirror(PLAIN)  # noqa: E731
    answer = np.arange(60) % 2
    open_one = attacks.restored(one, make, faces, answer, halves, effort, {}, "cpu")
    hidden = dataclasses.replace(one, spread=50.0)
    closed = attacks.restored(hidden, make, faces, answer, halves, BRIEF, {}, "cpu")
    assert open_one.ms_ssim.value > closed.ms_ssim.value + 0.2
    assert open_one.psnr > closed.psnr + 3
    assert len(open_one.faces) == 12


class Looks:
    """A recognizer that knows people by how bright their parts are."""

    spec = SimpleNamespace(template="112x112", height=112, width=112)

    def embed_pixels(self, chips):
        parts = chips.mean(-1).reshape(len(chips), 14, 8, 14, 8).mean((2, 4)).reshape(len(chips), -1)
        parts -= parts.mean(1, keepdims=True)
        return parts / np.linalg.norm(parts, axis=1, keepdims=True)


class Colors:
    """A recognizer that knows people by their mean color."""

    spec = SimpleNamespace(template="112x112", height=112, width=112)

    def embed_pixels(self, chips):
        means = chips.reshape(len(chips), -1, 3).mean(1) - 128
        return means / np.linalg.norm(means, axis=1, keepdims=True)


def test_identity_is_compared_with_others_and_with_those_of_the_same_answer():
    rng = np.random.default_rng(0)
    answer = np.arange(40) % 2
    faces = np.clip(np.full((40, 32, 32, 3), 128) + rng.integers(-90, 90, (40, 1, 1, 3)), 0, 255).astype(
        np.uint8
    )
    known = attacks.identity(faces, answer, attacks.judge(Colors(), faces, TINY), TINY)
    assert known.same.value == pytest.approx(1, abs=1e-3) and known.beyond.low > 0.3
    other = attacks.identity(np.roll(faces, 7, 0), answer, attacks.judge(Colors(), faces, TINY), TINY)
    assert other.beyond.low < 0.1
    two = faces[answer]  # all of one answer look alike: no more than the answer is restored
    alike = attacks.identity(two, answer, attacks.judge(Colors(), two, TINY), TINY)
    assert alike.beyond.low > 0 and alike.alike.value == pytest.approx(0, abs=1e-6)


def test_balanced_accuracy_has_an_interval():
    truth = np.array([0] * 90 + [1] * 10)
    found = metrics.balanced_interval(truth, (truth == 0).astype(float))
    assert found.value == 0.5
    right = np.array([1.0, 0.0] * 50)
    wide = metrics.balanced_interval(truth, right)
    assert wide.value == pytest.approx(0.5) and wide.high - wide.low > 0.25  # ten faces are few


@pytest.fixture
def shipped(monkeypatch):
    """Tiny networks in the place of the shipped ones."""
    one = players(CONFIG)
    config = json.loads(json.dumps(dataclasses.asdict(CONFIG)))
    state = {name: v for name, v in one.state_dict().items() if v.is_floating_point()}
    monkeypatch.setattr(weights, "shipped", lambda name: (state, config))
    monkeypatch.setattr(attacks, "QUICK", dataclasses.replace(BRIEF, pictures=30))
    monkeypatch.setattr(setting, "available", lambda *_: {"looks": Looks})


def test_the_whole_evaluation(shipped, tmp_path):
    faces = write_faces(tmp_path / "faces", 100)
    own = tmp_path / "open.safetensors"
    weights.save_obfuscator(own, players(dataclasses.replace(CONFIG, reach=0.0)))
    (tmp_path / "run").mkdir()
    line = {"step": 1, "classifier": 1.0, "adversary": 2.0, "reconstructor": 0.5}
    (tmp_path / "run" / "log.jsonl").write_text(json.dumps(line) + "\n")
    options = {"hold_out": 40, "quick": True, "models": {"undefended": own}, "log": tmp_path / "run"}
    said = []
    asked = setting.ObfuscatorOptions(tmp_path / "out", faces, page=tmp_path / "docs" / "page.md", **options)
    results = page.evaluate_obfuscator(asked, said.append)
    rows = results["rows"]
    assert list(rows) == ["photoguard", "undefended", "noise on the picture"]
    assert set(rows["photoguard"]["restored"]) == {"AR", "URec#1", "URec#2", "ResRec", "Whole"}
    assert rows["photoguard"]["bits"] == pytest.approx(CONFIG.bits) and rows["undefended"]["bits"] is None
    assert rows["noise on the picture"]["along"] is None
    text = (tmp_path / "docs" / "page.md").read_text()
    assert text == (tmp_path / "out" / "obfuscator.md").read_text()
    for part in ("0.3175", "0.9458", "58.85", "--quick", "looks", "gender", "age>=18", "majority"):
        assert part in text
    for picture in ("portrait", "accuracy", "losses"):
        assert (tmp_path / "docs" / "images" / f"obfuscator-{picture}.png").is_file()
    assert (tmp_path / "out" / "restored-photoguard.png").is_file()
    assert not list((tmp_path / "docs").rglob("restored*"))  # faces of the data set stay out of docs

    kept = page.evaluate_obfuscator(asked)
    assert kept["rows"] == rows and len(said) == 4  # finished rows are not measured again


def test_a_model_of_other_attributes_cannot_be_compared(shipped, tmp_path):
    own = tmp_path / "own.safetensors"
    weights.save_obfuscator(own, players(TINY))
    with pytest.raises(UsageError, match="own has other tasks"):
        page.evaluate_obfuscator(setting.ObfuscatorOptions(tmp_path / "out", tmp_path, models={"own": own}))


def test_held_out_faces_of_trained_people_are_left_out():
    known = smooth_faces(6)
    asked = np.concatenate([known[:2], 255 - known[:1]])
    assert setting.unseen_people(asked, known, Looks(), TINY).tolist() == [False, False, True]


def test_noise_of_equal_visibility():
    given = SimpleNamespace(faces=smooth_faces(10))
    sigma = parts.visibility(given, 0.6)
    noise = np.random.default_rng(0).standard_normal(given.faces.shape)
    shown = ((given.faces / 255 + sigma * noise).clip(0, 1) * 255).round().astype(np.uint8)
    assert metrics.ms_ssims(shown, given.faces).mean() == pytest.approx(0.6, abs=0.02)

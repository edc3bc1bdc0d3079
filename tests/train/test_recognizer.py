"""Distilling a recognizer: chips, teachers, losses, resuming, and the file that comes out."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.places import PATHS

from photoguard import recognizers, weights
from photoguard.errors import NoFaceError, UsageError, WeightsError
from photoguard.nets.compact import CompactConfig, CompactNet
from photoguard.photos.geometry import TEMPLATE_112X112
from photoguard.recognizers import TABLE
from photoguard.recognizers.recognizer import Recognizer
from photoguard.train import chips, data, recognizer, records

NETWORK = CompactConfig(embedding=8, widths=(4, 8, 8))
TINY = recognizer.Config(
    teachers=("teacher",), network=NETWORK, steps=6, batch=4, groups=3, warm_up=2, known_faces=8, average=0.5
)


@pytest.fixture(autouse=True)
def _numbers_as_they_are():
    """Recognizers let the processor flush the smallest numbers; other tests want them."""
    yield
    torch.set_flush_denormal(False)


def picture(seed):
    """A smooth picture with its face, as far as these tests go, where chips want it."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((112, 112), Image.Resampling.BICUBIC)


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """Four people with three pictures each, and a detector that knows where their faces are."""
    for person in "abcd":
        (tmp_path / "faces" / person).mkdir(parents=True)
        for number in range(3):
            picture(ord(person) * 10 + number).save(tmp_path / "faces" / person / f"{number}.png")
    monkeypatch.setattr(
        chips, "_largest", lambda pixels: np.array(TEMPLATE_112X112) if pixels.any() else None
    )
    return data.Source(tmp_path / "faces", hold_out=1)


@pytest.fixture
def installed(tmp_path):
    """A folder of recognizers with a tiny teacher of chance's making."""
    torch.manual_seed(7)
    weights.save_recognizer(tmp_path / "teacher.safetensors", CompactNet(NETWORK))
    folder = tmp_path / "recognizers"
    recognizers.add("teacher", tmp_path / "teacher.safetensors", arch="photoguard-small", folder=folder)
    return folder


@pytest.fixture
def train(faces, installed, tmp_path):
    def run(out, config=TINY, source=faces, **options):
        options = {"device": "cpu", "checkpoint_every": 2, "folder": installed} | options
        return recognizer.train(config, (source,), tmp_path / out, cache=tmp_path / "cache", **options)

    return run


def losses(folder):
    return [(line["step"], line["total"]) for line in records.read_log(folder) if "total" in line]


def test_training_writes_log_sheet_checkpoint_and_weights_that_can_be_added(train, installed, tmp_path):
    out = train("run")
    lines = records.read_log(tmp_path / "run")
    assert any(
        {"total", "away", "likeness", "images_per_second", "unreadable"} <= set(line) for line in lines
    )
    assert any("cosine" in line for line in lines)
    assert Image.open(tmp_path / "run" / "sheets" / "000006.png").size == (112, 4 * 112)
    published = json.loads((tmp_path / "run" / "weights.json").read_text())
    proof = recognizers.add("mine", out, arch="photoguard-small", folder=installed)
    assert proof.entry.sha256 == published["sha256"]
    assert proof.entry.spec.embedding == 8  # as its own file says, not as the row does
    assert recognizers.load("mine", installed).embed(torch.zeros(2, 3, 112, 96)).shape == (2, 8)


def interrupted_at(monkeypatch, step, fault):
    original = chips.Batches.__getitem__

    def draw(self, number):
        if number == step:
            raise fault
        return original(self, number)

    monkeypatch.setattr(chips.Batches, "__getitem__", draw)


@pytest.mark.parametrize(("fault", "resumes_from"), [(KeyboardInterrupt(), 3), (RuntimeError("killed"), 2)])
def test_a_stopped_run_goes_on_with_the_same_curve(train, tmp_path, monkeypatch, fault, resumes_from):
    straight = train("straight")
    with monkeypatch.context() as patch:
        interrupted_at(patch, 3, fault)
        with pytest.raises(type(fault)):
            train("stopped")
    state = torch.load(tmp_path / "stopped" / records.CHECKPOINT, weights_only=True)
    assert state["step"] == resumes_from
    parts = {"config", "student", "optimizer", "average", "average_steps", "basis", "step", "window"}
    assert set(state) == parts  # as in older versions, whose runs go on
    assert train("stopped").read_bytes() == straight.read_bytes()
    assert losses(tmp_path / "stopped") == losses(tmp_path / "straight")


def test_a_student_goes_on_in_another_run(train, tmp_path):
    train("first")
    earlier = tmp_path / "first"
    config = dataclasses.replace(TINY, start=recognizer.started_from(earlier), seed=2, steps=2, peak_rate=0.0)
    train("second", config, start=earlier)
    first, second = (
        torch.load(tmp_path / run / records.CHECKPOINT, weights_only=True) for run in ("first", "second")
    )
    assert torch.equal(first["basis"], second["basis"])
    weight = "stem.0.weight"
    assert torch.equal(first["average"][weight], second["student"][f"network.{weight}"])
    with pytest.raises(UsageError, match="another network"):
        other = dataclasses.replace(config, network=dataclasses.replace(NETWORK, widths=(4, 8, 4)))
        train("third", other, start=earlier)
    with pytest.raises(UsageError, match="no checkpoint"):
        train("third", config, start=tmp_path)


def test_another_teacher_is_another_run(train, installed, tmp_path):
    train("run")
    recognizers.add("other", tmp_path / "teacher.safetensors", arch="photoguard-small", folder=installed)
    with pytest.raises(UsageError, match="teachers"):
        train("run", dataclasses.replace(TINY, teachers=("teacher", "other")))


def test_the_student_comes_to_answer_as_its_teacher_does(train, tmp_path):
    gentle = chips.ChipConfig(turn=0, zoom=0, shift=0, light=0, gray=0, soft=0, jpeg=0, hole=0, mix=0)
    config = dataclasses.replace(TINY, steps=75, chips=gentle, peak_rate=2e-2, likeness_weight=0)
    train("run", config, checkpoint_every=75)
    curve = [line["away"] for line in records.read_log(tmp_path / "run") if "away" in line]
    assert curve[-1] < 0.7 * curve[0]


# --- chips ---


def test_pictures_without_a_face_are_left_out_and_landmarks_are_looked_for_once(faces, tmp_path, monkeypatch):
    Image.new("RGB", (112, 112)).save(faces.path / "a" / "0.png")
    (faces.path / "b" / "0.png").write_bytes(b"no picture")
    pictures = data.listed(faces)
    found = chips.found(pictures, tmp_path / "cache")
    names = [picture.name for picture in found.reader.pictures]
    assert len(found) == 10 and not {"a/0.png", "b/0.png"} & set(names)
    monkeypatch.setattr(chips, "_largest", lambda _: pytest.fail("looked again"))
    assert np.array_equal(chips.found(pictures, tmp_path / "cache").landmarks, found.landmarks)


def test_no_face_anywhere_is_an_error(faces, tmp_path, monkeypatch):
    monkeypatch.setattr(chips, "_largest", lambda _: None)
    with pytest.raises(NoFaceError):
        chips.found(data.listed(faces), tmp_path / "cache")


def test_a_chip_unchanged_is_the_aligned_face(faces, tmp_path):
    found = chips.found(data.listed(faces), tmp_path / "cache")
    assert np.abs(found.chip(4).astype(int) - found.reader.read(4)).max() <= 1
    mirror = np.array([[-1.0, 0, 111], [0, 1, 0]])
    assert np.abs(found.chip(4, mirror).astype(int) - found.reader.read(4)[:, ::-1]).max() <= 1


def test_a_batch_depends_on_seed_rank_and_step_alone(faces, tmp_path):
    found = chips.found(data.listed(faces), tmp_path / "cache")
    batches = chips.Batches(found, chips.ChipConfig(), 6, seed=3)
    first, _, _ = batches[5]
    assert first.shape == (6, 112, 112, 3) and first.dtype == np.uint8
    assert (batches[5][0] == first).all()
    others = [batches, chips.Batches(found, chips.ChipConfig(), 6, 4), dataclasses.replace(batches, rank=1)]
    for other, step in zip(others, (4, 5, 5), strict=True):
        assert (other[step][0] != first).any()


def test_groups_come_again_as_they_were(faces, tmp_path):
    found = chips.found(data.listed(faces), tmp_path / "cache")
    batches = chips.Batches(found, chips.ChipConfig(), 16, seed=3, groups=3)
    seen = {}
    for step in range(6):
        pixels, numbers, _ = batches[step]
        assert len(pixels) == 16
        for number, group in zip(numbers, np.split(pixels, len(numbers)), strict=True):
            assert (seen.setdefault(number, group) == group).all()
    assert set(seen) == {0, 1, 2} and (seen[0] != seen[1]).any()


def test_jitter_keeps_the_middle_of_the_face_near():
    rng = np.random.default_rng(0)
    moved = [chips.jitter(chips.ChipConfig(), rng) @ [55.5, 55.5, 1] for _ in range(50)]
    assert np.abs(np.array(moved) - 55.5).max() <= 4


# --- teachers ---


def with_net(name, net, spec):
    return Recognizer(name, spec, net.eval())


def test_a_teacher_of_another_template_sees_the_face_where_it_wants_it():
    x = torch.rand(1, 3, 112, 112) * 255
    narrow = with_net("narrow", torch.nn.Identity(), TABLE["mobilefacenet-casia"])
    torch.testing.assert_close(recognizer.seen_by(narrow, x), x[..., 8:104], atol=1e-2, rtol=0)
    wide = with_net("wide", torch.nn.Identity(), TABLE["edgeface-xs"])
    assert recognizer.seen_by(wide, x) is x
    large = with_net("large", torch.nn.Identity(), TABLE["facenet-vggface2"])
    spot = torch.zeros(1, 3, 112, 112)
    left_eye = TEMPLATE_112X112[0]
    spot[..., round(left_eye[1]), round(left_eye[0])] = 255
    seen = recognizer.seen_by(large, spot)[0, 0]
    row, column = divmod(int(seen.argmax()), 160)
    assert seen.shape == (160, 160)
    assert np.hypot(column - large.template[0][0], row - large.template[0][1]) < 5


class Answers(torch.nn.Module):
    def __init__(self, numbers):
        super().__init__()
        self.numbers = torch.nn.Parameter(numbers)

    def forward(self, x):
        return self.numbers[: len(x)]


def test_the_target_of_two_teachers_has_the_mean_of_their_cosines():
    torch.manual_seed(0)
    spec = TABLE["edgeface-xs"]
    both = tuple(with_net("t", Answers(torch.randn(30, 6)), spec) for _ in range(2))
    side = recognizer.side_by_side(both, torch.zeros(30, 3, 112, 112))
    basis = recognizer.principal_directions(side, 12)
    answers = recognizer.Teachers(both, basis).answers(torch.zeros(30, 3, 112, 112))
    cosines = [t.embed(torch.zeros(30, 3, 112, 112)) for t in both]
    torch.testing.assert_close(answers @ answers.T, sum(c @ c.T for c in cosines) / 2, atol=1e-5, rtol=0)
    kept = recognizer.principal_directions(side, 4)
    assert (side @ kept).square().sum() > (side @ torch.eye(12)[:, :4]).square().sum()


def test_more_numbers_than_the_teachers_give_are_refused():
    with pytest.raises(UsageError, match="cannot teach"):
        recognizer.principal_directions(torch.rand(5, 6), 7)


def test_told_apart_ranks_pairs():
    axes = torch.eye(3)
    people = ("a", "a", "b", "b", "c")
    assert recognizer.told_apart(axes[[0, 0, 1, 1, 2]], people) == 1
    assert recognizer.told_apart(axes[[0, 1, 0, 1, 2]], people) == pytest.approx(0)
    assert recognizer.told_apart(axes, ("a", "b", "c")) is None


def test_likeness_is_zero_where_both_name_the_same_people():
    torch.manual_seed(0)
    known, wanted = recognizer.unit(torch.randn(20, 4)), recognizer.unit(torch.randn(6, 4))
    assert recognizer.likeness(wanted, wanted, known, 16) == pytest.approx(0, abs=1e-6)
    unlike = torch.tensor(
        [0.0, 0, 0, 1]
    )  # where nobody known has anything in this direction, it does not count
    flat = recognizer.unit(known * (1 - unlike))
    assert recognizer.likeness(wanted + unlike, wanted, flat, 16) == pytest.approx(0, abs=1e-5)
    assert recognizer.likeness(recognizer.unit(torch.randn(6, 4)), wanted, known, 16) > 1


def test_teachers_are_asked_once_about_a_group():
    asked = []

    class Counting(Answers):
        def forward(self, x):
            asked.append(len(x))
            return super().forward(x)

    net = with_net("t", Counting(torch.randn(30, 6)), TABLE["edgeface-xs"])
    teachers = recognizer.Teachers((net,), torch.eye(6))
    pixels = torch.zeros(8, 3, 112, 112)
    first = teachers.recalled([4, 9], pixels)
    again = teachers.recalled([9, 4], pixels)
    assert asked == [4, 4]
    assert torch.equal(first, again.roll(4, 0)) and torch.equal(first[:4], teachers.answers(pixels[:4]))


def test_a_file_that_does_not_fit_its_configuration(tmp_path):
    network = CompactNet(NETWORK)
    state = {key: value for key, value in network.state_dict().items() if value.is_floating_point()}
    config = dataclasses.asdict(NETWORK)
    for broken in ({**config, "embedding": 9}, {**config, "widths": None}, {"height": 112}):
        sha256 = weights.save(tmp_path / "w", state, broken)
        with pytest.raises(WeightsError):
            tensors, found = weights.parsed(weights.checked(tmp_path / "w", sha256), "w")
            weights.recognizer_network(tensors, found, "w")


def test_two_processes_train_one_student(faces, installed, tmp_path):
    """torchrun, gloo, two processes on this CPU: the second finds the landmarks that the first kept."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "import test_recognizer as t; from photoguard.train import chips, recognizer\n"
        "chips._largest = lambda _: t.np.array(t.TEMPLATE_112X112)\n"
        "folder = Path(sys.argv[2])\n"
        "source = t.data.Source(folder / 'faces', 1)\n"
        "recognizer.train(t.TINY, (source,), folder / 'both', 'cpu', cache=folder / 'cache',\n"
        "                 folder=folder / 'recognizers')\n"
    )
    (tmp_path / "both.py").write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(tmp_path / "both.py"), str(Path(__file__).parent), str(tmp_path)]
    env = os.environ | {"PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=False, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    published = json.loads((tmp_path / "both" / "weights.json").read_text())
    proof = recognizers.add(
        "both", tmp_path / "both" / published["file"], arch="photoguard-small", folder=installed
    )
    assert proof.entry.sha256 == published["sha256"]
    assert losses(tmp_path / "both")

"""Training DeepObfuscator on tiny made-up faces: phases, losses, resuming, faults."""

import copy
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.obfuscators import PLAIN, TINY, players, write_faces
from support.places import PATHS

from photoguard import weights
from photoguard.datasets.labels import labeled, split_by_hash
from photoguard.datasets.pictures import Reader, Source, listed
from photoguard.errors import UnreadableError, UsageError
from photoguard.train import loop, records
from photoguard.train import obfuscator as page

SHORT = page.Config(TINY, joint=3, first=2, steps=10, settle=2, batch=8, restart=5, peak_rate=1e-3)


def faces(folder, count=40):
    data = labeled(listed(Source(write_faces(folder, count))), "utkface", ["age>=18", "gender", "race"])
    return split_by_hash(data, 8)


def small(config, data):
    """The configuration with the attributes of these faces."""
    network = dataclasses.replace(config.network, tasks=data.attributes[:1], private=data.attributes[1:])
    return dataclasses.replace(config, network=network)


def run(data, out, config=SHORT, **options):
    training, validation = data
    given = {"device": "cpu", "checkpoint_every": 4} | options
    return page.train(small(config, training), training, validation, out, **given)


@pytest.fixture
def data(tmp_path):
    return faces(tmp_path / "faces")


def test_the_phases_are_algorithm_1():
    config = dataclasses.replace(SHORT, attacks=1)
    found = [page.phase(config, step) for step in range(page.length(config))]
    rotation = ["defend pictures", "defend attributes", "attack", "recover"]
    assert found == [*["joint"] * 3, *["attack"] * 2, *rotation, *rotation, *rotation[:2], *["settle"] * 2]
    one_sided = dataclasses.replace(config, defend="pictures")
    assert {page.phase(one_sided, step) for step in range(5, 13)} == {"defend pictures", "attack", "recover"}
    none = dataclasses.replace(config, defend="none")
    assert [page.phase(none, step) for step in range(page.length(none))] == [*["joint"] * 3, *["settle"] * 2]


@pytest.mark.parametrize(
    ("what", "movers"),
    [
        ("joint", {"obfuscator", "classifier"}),
        ("attack", {"adversaries", "mirror"}),
        ("defend pictures", {"obfuscator"}),
        ("defend attributes", {"obfuscator"}),
        ("recover", {"classifier"}),
        ("settle", {"classifier"}),
    ],
)
def test_in_each_phase_only_its_players_learn(data, tmp_path, monkeypatch, what, movers):
    config = small(SHORT, data[0])
    place = loop.Place(torch.device("cpu"))
    one = page.prepared(config, tmp_path, place)
    before = {name: value.clone() for name, value in one.players.named_parameters()}
    monkeypatch.setattr(page, "phase", lambda *_: what)
    pixels, labels, _ = page.LabeledBatches(Reader(data[0].pictures), data[0], config)[0]
    page.descend(one, loop.as_tensor(pixels, place.device), torch.from_numpy(labels), place)
    moved = {
        name.partition(".")[0]
        for name, value in one.players.named_parameters()
        if not torch.equal(value, before[name])
    }
    assert moved == movers


def losses_of(what, config=SHORT, network=TINY, **changes):
    torch.manual_seed(0)
    one = players(network, adversaries=2)
    x = torch.rand(8, 3, 32, 32)
    labels = torch.stack([torch.arange(8) % 2, torch.arange(8) // 2 % 2, torch.arange(8) % 5], 1)
    noise, picture = torch.randn(8, *network.features), torch.rand(8, 3, 32, 32)
    config = dataclasses.replace(config, network=network, **changes)
    return page.losses(one, config, what, (x, labels), (noise, picture), network.reach)


def test_the_losses_are_the_papers():
    total, parts = losses_of("joint")
    assert total == parts["classifier"]  # Eq. 2
    total, parts = losses_of("attack")
    assert total == parts["adversary"] + parts["reconstructor"]  # Eq. 4 and 7
    assert 0 < parts["reconstructor"] < 1  # Eq. 6
    total, parts = losses_of("defend pictures", lambda_2=2.0)
    still, _ = losses_of("defend pictures", lambda_2=0.0)
    assert still == parts["classifier"]
    toward_noise = (total - parts["classifier"]) / 2 + parts["reconstructor"]  # Eq. 9
    assert 0 < toward_noise < 1  # Eq. 8


def test_the_defender_gains_until_adversaries_only_guess():
    total, parts = losses_of("defend attributes", lambda_1=3.0)
    hidden = (parts["classifier"] - total) / 3  # Eq. 5
    assert hidden <= math.log(2) + math.log(5) + 1e-5
    assert hidden <= parts["adversary"] + 1e-5


def test_combinations_are_drawn_evenly():
    labels = np.array([[0, 0]] * 90 + [[0, 1]] * 30 + [[1, 0]] * 30 + [[1, 1]] * 10)
    shares = page.shares(labels)
    drawn = [shares[(labels == pair).all(1)].sum() for pair in ([0, 0], [0, 1], [1, 0], [1, 1])]
    assert drawn == pytest.approx([0.25] * 4)
    rare = page.shares(np.array([[0]] * 999 + [[1]]))
    assert rare[-1] / rare[0] < 100  # one picture is not half of all that is seen


def test_labels_stay_with_their_pictures_where_some_cannot_be_read(data):
    training, _ = data
    for picture in training.pictures[:5]:
        (picture.container / picture.name).write_bytes(b"broken")
    batches = page.LabeledBatches(Reader(training.pictures), training, small(SHORT, training))
    seen = 0
    for step in range(12):
        pixels, labels, unreadable = batches[step]
        bright = pixels[..., 1].mean((1, 2)) > 90  # adults' pictures are, whatever the light
        still = np.abs(pixels[..., 1].mean((1, 2)) - 90) > 45
        assert (bright == labels[:, 0])[still].all()
        seen += int(still.sum())
    assert seen > 20 and 0 < len(unreadable) <= 5


def test_a_run_writes_weights_log_sheet_and_plot(data, tmp_path):
    out = run(data, tmp_path / "run")
    published = json.loads((tmp_path / "run" / "weights.json").read_text())
    networks, sha256 = weights.load_trained_obfuscator(out)
    assert sha256 == published["sha256"]
    assert networks.config == small(SHORT, data[0]).network
    assert len(networks.adversaries) == 1  # the one that was trained along, to compare with
    lines = records.read_log(tmp_path / "run")
    assert any(
        {"classifier", "adversary", "reconstructor", "images_per_second"} <= set(line) for line in lines
    )
    assert any({"task age>=18", "private race 1", "ms_ssim", "psnr"} <= set(line) for line in lines)
    assert Image.open(tmp_path / "run" / "sheets" / "000017.png").size[1] == 64


def test_the_bright_are_told_and_training_lowers_the_loss(tmp_path):
    data = faces(tmp_path / "faces", 60)
    config = dataclasses.replace(SHORT, joint=60, first=1, steps=5, settle=10, peak_rate=5e-3, light=0.0)
    run(data, tmp_path / "run", config, checkpoint_every=76)
    lines = records.read_log(tmp_path / "run")
    assert lines[-1]["task age>=18"] > 0.8


def interrupted_at(monkeypatch, step, fault):
    original = page.LabeledBatches.__getitem__

    def draw(self, number):
        if number == step:
            raise fault
        return original(self, number)

    monkeypatch.setattr(page.LabeledBatches, "__getitem__", draw)


@pytest.mark.parametrize("step", [4, 11])
def test_ctrl_c_saves_and_the_resumed_run_is_the_same(data, tmp_path, monkeypatch, step):
    straight = run(data, tmp_path / "straight")
    with monkeypatch.context() as patch:
        interrupted_at(patch, step, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run(data, tmp_path / "resumed")
    assert torch.load(tmp_path / "resumed" / records.CHECKPOINT, weights_only=True)["step"] == step
    assert run(data, tmp_path / "resumed").read_bytes() == straight.read_bytes()


def test_ctrl_c_in_the_middle_of_a_step_waits_for_its_end(data, tmp_path, monkeypatch):
    """A real signal between the two optimizers of the second step: the checkpoint must hold no half of it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have set it aside
    saved, save = {}, records.save_checkpoint
    step, calls = torch.optim.Adam.step, []

    def kept(folder, state):
        saved[state["step"]] = copy.deepcopy(state)
        return save(folder, state)

    def pressed(self, *args, **kwargs):
        done = step(self, *args, **kwargs)
        calls.append(1)
        if len(calls) == 3:  # two of the first step: the obfuscator has learned twice, the classifier once
            signal.raise_signal(signal.SIGINT)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(records, "save_checkpoint", kept)
        straight = run(data, tmp_path / "straight", checkpoint_every=1)
    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", pressed)
        with pytest.raises(KeyboardInterrupt):
            run(data, tmp_path / "stopped", checkpoint_every=1000)
    state = torch.load(tmp_path / "stopped" / records.CHECKPOINT, weights_only=True)
    assert state["step"] == 2 and len(state["window"]) == 2
    parts = {"config", "players", "optimizers", "step", "window"}
    assert set(state) == parts  # as in older versions, whose runs go on
    for part in ("players", "optimizers"):
        torch.testing.assert_close(state[part], saved[2][part], rtol=0, atol=0)
    assert run(data, tmp_path / "stopped").read_bytes() == straight.read_bytes()


def test_after_a_kill_the_run_goes_on_from_the_last_checkpoint(data, tmp_path, monkeypatch):
    straight = run(data, tmp_path / "straight")
    with monkeypatch.context() as patch:
        interrupted_at(patch, 10, RuntimeError("killed"))
        with pytest.raises(RuntimeError):
            run(data, tmp_path / "killed")
    assert run(data, tmp_path / "killed").read_bytes() == straight.read_bytes()


def test_a_checkpoint_of_other_settings_is_refused(data, tmp_path):
    run(data, tmp_path / "run")
    with pytest.raises(UsageError, match="lambda_1"):
        run(data, tmp_path / "run", dataclasses.replace(SHORT, lambda_1=2.0))


def test_runs_share_their_joint_training(data, tmp_path):
    first = run(data, tmp_path / "open", dataclasses.replace(SHORT, network=PLAIN, defend="none"))
    start, sha256 = page.begun(first)
    config = dataclasses.replace(SHORT, network=PLAIN, start=sha256, joint=0, first=0, steps=1, settle=1)
    second = run(data, tmp_path / "paper", config, start=start)
    before, after = (weights.load_trained_obfuscator(path)[0].obfuscator for path in (first, second))
    distances = [
        float((a - b).abs().max()) for a, b in zip(before.parameters(), after.parameters(), strict=True)
    ]
    assert 0 < max(distances) < 0.01  # one step from there
    other = dataclasses.replace(config, network=dataclasses.replace(PLAIN, widths=(4, 8)))
    with pytest.raises(UsageError, match="another size"):
        run(data, tmp_path / "other", other, start=start)


def test_fresh_adversaries_begin_in_turn(data, tmp_path):
    config = small(dataclasses.replace(SHORT, steps=40, restart=5), data[0])
    one = page.prepared(config, tmp_path, loop.Place(torch.device("cpu")))
    before = [p.clone() for p in one.players.adversaries.parameters()]
    one.step = 5 + 5
    one.restart()
    same = [torch.equal(a, b) for a, b in zip(before, one.players.adversaries.parameters(), strict=True)]
    half = len(same) // 2
    assert all(same[:half]) and not all(same[half:])  # the second of two


def test_names_that_are_asked_and_hidden_at_once(tmp_path):
    source = (Source(write_faces(tmp_path / "faces", 8)),)
    with pytest.raises(UsageError, match="answered and hidden"):
        page.gathered(source, "utkface", ["gender"], ["gender", "race"])
    for text in ("", "gender,gender", " , "):
        with pytest.raises(UsageError):
            page.listed_names(text)


def test_two_processes_train_one_network(data, tmp_path):
    """torchrun, gloo, two processes on this CPU: gradients are shared, one set of files."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "import test_obfuscator as t\n"
        "t.run(t.faces(Path(sys.argv[2])), Path(sys.argv[3]))\n"
    )
    (tmp_path / "both.py").write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [
        str(tmp_path / "both.py"),
        str(Path(__file__).parent),
        str(tmp_path / "faces"),
        str(tmp_path / "out"),
    ]
    environment = os.environ | {"PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=False, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    alone = run(data, tmp_path / "alone")
    assert (tmp_path / "out" / alone.name).read_bytes() != alone.read_bytes()
    weights.load_trained_obfuscator(tmp_path / "out" / alone.name)


def test_the_command_line(photoguard, tmp_path):
    folder = write_faces(tmp_path / "faces", 24)
    (folder / "stranger.png").write_bytes(min(folder.iterdir()).read_bytes())
    options = ["--data", folder, "--labels", "utkface", "--task", "age>=18", "--out", tmp_path / "run"]
    failed = photoguard("train", "obfuscator", *options, "--private", "gender,race", code=3)
    assert "1 pictures have no label (stranger.png)" in failed.stderr and "--skip-unlabeled" in failed.stderr
    failed = photoguard("train", "obfuscator", *options, "--private", "age>=90", "--skip-unlabeled", code=2)
    assert "every face has the same age>=90 (no)" in failed.stderr


def test_damaged_weights_are_named(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"damaged")
    with pytest.raises(Exception, match="holds no weights of ours"):
        weights.load_trained_obfuscator(tmp_path / "w.safetensors")
    with pytest.raises(UnreadableError, match="does not exist"):
        weights.load_trained_obfuscator(tmp_path / "gone.safetensors")

"""Training on a few tiny made-up pictures: data, losses, resuming, faults.

Covers: interruption, nets.squeezenet.
"""

import dataclasses
import errno
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.places import PATHS

from photoguard import detection, weights
from photoguard.errors import UnreadableError, UnwritableError, UsageError, WeightsError
from photoguard.interruption import graceful_sigint
from photoguard.nets import ddm as nets
from photoguard.nets.squeezenet import SqueezeNet
from photoguard.photos.geometry import Box
from photoguard.train import crops, data, ddm, ddm_toy, loop, records

TINY = ddm.Config(
    network=nets.DDMConfig(widths=(4, 6, 8), blocks=1),
    patches=data.PatchConfig(shapes=((32, 4), (48, 2)), sides=(48, 64), side_weights=(1, 1)),
    steps=6,
    warm_up=2,
    principal_start=8,
    discriminator_width=4,
)


def picture(seed, side=64):
    """A smooth picture: noise of 4x4 pixels, enlarged."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return small.resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture
def faces(tmp_path):
    """Four people with three pictures each."""
    for person in "abcd":
        (tmp_path / "faces" / person).mkdir(parents=True)
        for number in range(3):
            picture(ord(person) * 10 + number).save(tmp_path / "faces" / person / f"{number}.png")
    return data.Source(tmp_path / "faces", hold_out=1)


def run(faces, out, config=TINY, **options):
    return ddm.train(config, (faces,), out, **({"device": "cpu", "checkpoint_every": 2} | options))


def losses(out):
    return [(line["step"], line["total"], line["bce"]) for line in records.read_log(out) if "total" in line]


def test_people_are_either_trained_on_or_held_out(faces):
    training, validation = data.split_by_name((faces,))
    assert {p.group for p in training} == {"a", "b", "c"} and {p.group for p in validation} == {"d"}
    assert len(training) == 9 and len(validation) == 3


def test_a_zip_is_read_in_place(faces, tmp_path):
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for file in faces.path.rglob("*.png"):
            archive.write(file, file.relative_to(faces.path))
    zipped, _ = data.split_by_name((data.Source(tmp_path / "faces.zip", 1),))
    folder, _ = data.split_by_name((faces,))
    for a, b in zip(zipped, folder, strict=True):
        assert (data.Reader([a]).read(0) == data.Reader([b]).read(0)).all()


@pytest.mark.parametrize("hold_out", [4, 5, -1])
def test_holding_out_everybody_is_refused(faces, hold_out):
    with pytest.raises(UsageError, match="held out"):
        data.split_by_name((dataclasses.replace(faces, hold_out=hold_out),))


def test_no_pictures_at_all(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "missing"):
        with pytest.raises(UnreadableError):
            data.listed(data.Source(path))


def test_unreadable_pictures_are_counted_and_named_and_not_fatal(faces, tmp_path):
    (faces.path / "a" / "0.png").write_bytes(b"not a picture")
    whole = (faces.path / "b" / "1.png").read_bytes()
    (faces.path / "b" / "1.png").write_bytes(whole[: len(whole) // 2])
    run(faces, tmp_path / "run", dataclasses.replace(TINY, steps=12), checkpoint_every=12)
    last = [line for line in records.read_log(tmp_path / "run") if "unreadable" in line][-1]
    assert last["unreadable"] == 2
    assert last["unreadable_names"] == ["a/0.png", "b/1.png"]


def test_only_unreadable_pictures(tmp_path):
    (tmp_path / "one.png").write_bytes(b"no picture")
    with pytest.raises(UnreadableError, match="none of the pictures"):
        data.Reader(data.listed(data.Source(tmp_path))).read(0)


def test_crops_are_cut_around_the_largest_certain_face(tmp_path, monkeypatch):
    def detect(pixels):
        boxes = [(Box(10, 10, 42, 42), 0.99), (Box(60, 20, 60, 50), 0.95), (Box(0, 0, 150, 99), 0.5)]
        return (
            [detection.Face(box, (), score, score > 0.9) for box, score in boxes] if pixels[0, 0, 0] else []
        )

    monkeypatch.setattr(detection, "detect", detect)
    (tmp_path / "photos" / "ann").mkdir(parents=True)
    for name, gray in (("one.jpg", 200), ("empty.png", 0)):
        Image.new("RGB", (200, 100), (gray, gray, gray)).save(tmp_path / "photos" / "ann" / name)
    (tmp_path / "photos" / "ann" / "broken.jpg").write_bytes(b"broken")
    count, missed = crops.cut(tmp_path / "photos", tmp_path / "out")
    assert count == 1 and missed == ["ann/broken.jpg", "ann/empty.png"]
    assert Image.open(tmp_path / "out" / "ann" / "one.png").size == (120, 100)  # 30 px more, inside the photo


def test_a_batch_depends_on_seed_rank_and_step_alone(faces):
    reader = data.Reader(data.split_by_name((faces,))[0])
    batches = data.Batches(reader, TINY.patches, seed=3)
    first, _ = batches[5]
    batches[4], batches[9]
    assert (batches[5][0] == first).all()
    for other in (data.Batches(reader, TINY.patches, 4), data.Batches(reader, TINY.patches, 3, rank=1)):
        again = other[5][0]
        assert again.shape != first.shape or (again != first).any()


@pytest.mark.parametrize("seed", range(20))
def test_patches_of_any_picture_have_the_asked_size(seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (rng.integers(10, 90), rng.integers(10, 90), 3), dtype=np.uint8)
    cut = data.patch(pixels, 48, data.PatchConfig(jpeg=0.5, light=0.5), rng)
    assert cut.shape == (48, 48, 3) and cut.dtype == np.uint8


def test_training_writes_log_sheet_checkpoint_and_weights_that_load(faces, tmp_path):
    out = run(faces, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    wanted = {"bce", "psnr_recovered", "psnr_encrypted", "images_per_second", "unreadable"}
    assert any(wanted <= set(line) for line in lines)
    assert any({"recovered_128", "encrypted", "with_zeros"} <= set(line) for line in lines)
    assert Image.open(tmp_path / "run" / "sheets" / "000006.png").size[1] == 5 * 128
    published = json.loads((tmp_path / "run" / "weights.json").read_text())
    assert weights.load_trained_ddm(out, published["sha256"]).config == TINY.network


def interrupted_at(monkeypatch, step, fault):
    original = data.Batches.__getitem__

    def draw(self, number):
        if number == step:
            raise fault
        return original(self, number)

    monkeypatch.setattr(data.Batches, "__getitem__", draw)


def test_ctrl_c_saves_and_the_resumed_run_has_the_same_curve(faces, tmp_path, monkeypatch):
    straight = run(faces, tmp_path / "straight")
    with monkeypatch.context() as patch:
        interrupted_at(patch, 3, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run(faces, tmp_path / "resumed")
    state = torch.load(tmp_path / "resumed" / records.CHECKPOINT, weights_only=True)
    assert state["step"] == 3
    parts = {"config", "objective", "optimizer", "average", "average_steps", "step", "window"}
    assert set(state) == parts  # as in older versions, whose runs go on
    resumed = run(faces, tmp_path / "resumed")
    assert losses(tmp_path / "resumed")[-1] == losses(tmp_path / "straight")[-1]
    assert straight.read_bytes() == resumed.read_bytes()


def test_ctrl_c_in_the_middle_of_a_step_waits_for_its_end_and_exits_130(faces, tmp_path, photoguard):
    """A real signal, right after the weights have moved: the checkpoint must not hold half a step."""
    press = (
        "import os, signal, torch\n"
        "step, calls = torch.optim.Adam.step, []\n"
        "def pressed(self, *args, **kwargs):\n"
        "    done = step(self, *args, **kwargs)\n"
        "    calls.append(1)\n"
        "    if len(calls) == 2: os.kill(os.getpid(), signal.SIGINT)\n"
        "    return done\n"
        "torch.optim.Adam.step = pressed\n"
    )
    arguments = ["--data", faces.path, "--hold-out", "1", "--steps", "3", "--widths", "4,6,8"]
    photoguard("train", "ddm", *arguments, "--out", tmp_path / "run", before=press, code=130)
    assert torch.load(tmp_path / "run" / records.CHECKPOINT, weights_only=True)["step"] == 2
    config = ddm.Config(network=nets.DDMConfig(widths=(4, 6, 8)), steps=3)
    for name in ("run", "straight"):
        run(faces, tmp_path / name, config)
    assert losses(tmp_path / "run") == losses(tmp_path / "straight")
    one, other = ((tmp_path / name / ddm.WEIGHTS).read_bytes() for name in ("run", "straight"))
    assert one == other


def test_a_second_ctrl_c_does_not_wait():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have set it aside
    with graceful_sigint() as stopping:
        assert not stopping()
        signal.raise_signal(signal.SIGINT)
        assert stopping()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):  # as before
        signal.raise_signal(signal.SIGINT)


def test_after_a_kill_the_run_goes_on_from_the_last_checkpoint(faces, tmp_path, monkeypatch):
    straight = run(faces, tmp_path / "straight")
    with monkeypatch.context() as patch:
        interrupted_at(patch, 5, RuntimeError("killed"))
        with pytest.raises(RuntimeError):
            run(faces, tmp_path / "killed")
    assert torch.load(tmp_path / "killed" / records.CHECKPOINT, weights_only=True)["step"] == 4
    assert run(faces, tmp_path / "killed").read_bytes() == straight.read_bytes()
    assert losses(tmp_path / "killed") == losses(tmp_path / "straight")


def test_a_checkpoint_of_other_settings_is_refused(faces, tmp_path):
    run(faces, tmp_path / "run")
    with pytest.raises(UsageError, match="peak_rate"):
        run(faces, tmp_path / "run", dataclasses.replace(TINY, peak_rate=0.5))


def test_a_damaged_checkpoint_is_named(faces, tmp_path):
    (tmp_path / records.CHECKPOINT).write_bytes(b"damaged")
    with pytest.raises(UnreadableError, match="not a checkpoint"):
        run(faces, tmp_path)


def test_a_full_disk_keeps_the_previous_checkpoint(tmp_path, monkeypatch):
    records.save_checkpoint(tmp_path, {"step": 1})
    real = os.fsync

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnwritableError, match="full"):
        records.save_checkpoint(tmp_path, {"step": 2})
    monkeypatch.setattr(os, "fsync", real)
    assert torch.load(tmp_path / records.CHECKPOINT, weights_only=True) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == [records.CHECKPOINT]


def test_a_disk_that_fills_up_during_a_run_leaves_a_checkpoint_to_go_on_from(faces, tmp_path, monkeypatch):
    straight = run(faces, tmp_path / "straight")
    real, written = os.fsync, []

    def full(handle):
        if written.count("file") == 1:  # the first checkpoint went well
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle)

    def count(folder, state, save=records.save_checkpoint):
        save(folder, state)
        written.append("file")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        patch.setattr(records, "save_checkpoint", count)
        with pytest.raises(UnwritableError, match="full"):
            run(faces, tmp_path / "full")
    assert torch.load(tmp_path / "full" / records.CHECKPOINT, weights_only=True)["step"] == 2
    assert run(faces, tmp_path / "full").read_bytes() == straight.read_bytes()


def test_two_processes_train_one_network(faces, tmp_path):
    """torchrun, gloo, two processes on this CPU: both end, one set of files, weights that load."""
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import test_ddm as t\n"
        "from photoguard.train.data import Source\n"
        "t.run(Source(Path(sys.argv[2]), 1), Path(sys.argv[3]))\n"
    )
    (tmp_path / "both.py").write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(tmp_path / "both.py"), str(Path(__file__).parent), str(faces.path), str(tmp_path / "out")]
    done = subprocess.run(
        command,
        check=False,
        env=os.environ | {"PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    alone = run(faces, tmp_path / "alone")
    both = tmp_path / "out" / alone.name
    published = json.loads((tmp_path / "out" / "weights.json").read_text())
    weights.load_trained_ddm(both, published["sha256"])
    assert both.read_bytes() != alone.read_bytes()  # the other process's pictures counted too


def objective(**changes):
    torch.manual_seed(0)
    config = dataclasses.replace(TINY, **changes)
    return ddm.Objective(config, nets.DDM(config.network), None)


def step_of(judge, count=12, side=64):
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(count, 3, side, side, generator=generator)
    shape = (count, 1, side // 16, side // 16)
    uniform, normal = torch.rand(shape, generator=generator), torch.randn(shape, generator=generator)
    return judge(x, uniform, normal, ddm.kinds_of(judge.config.objective, count, 0))


def test_discriminator_and_network_descend_the_same_loss():
    judge = objective(objective="paper")
    parts = step_of(judge)
    expected = parts["mse"] + judge.config.fake_weight * parts["bce"]  # Eq. 9
    assert torch.allclose(parts["total"], expected)
    parts["total"].backward()
    judged = [p.grad for p in judge.parameters()]
    assert all(grad is not None and grad.isfinite().all() for grad in judged)


def test_a_discriminator_without_opinion_costs_two_bits():
    judge = objective()
    for weight in judge.discriminator.parameters():
        torch.nn.init.zeros_(weight)
    assert step_of(judge)["bce"].item() == pytest.approx(2 * np.log(2))


def test_bound_training_tries_every_wrong_private_map():
    judge = objective()
    private = torch.randn(12, 1, 4, 4)
    uniform, normal = torch.rand(12, 1, 4, 4), 0.01 * torch.randn(12, 1, 4, 4)
    fake = judge.fake(private, uniform, normal, ddm.kinds_of("bound", 12, 0))
    kinds = ddm.BOUND_FAKES * 2
    for number, kind in enumerate(kinds):
        if kind == "noise":
            assert ((fake[number] - private[number]).abs() >= 0.3 - 1e-6).all()
        if kind == "zeros":
            assert (fake[number] == 0).all()
        if kind == "other":
            assert torch.equal(fake[number], private[number - 1])
        if kind == "random":
            assert ((fake[number] - private[number]).abs() >= 0.5 - 1e-6).all()
        if kind == "mean":
            assert torch.allclose(fake[number], private.mean())


def test_each_face_meets_each_kind_within_six_steps():
    seen = {ddm.FAKES[int(ddm.kinds_of("bound", 4, step)[0])] for step in range(6)}
    assert seen == set(ddm.BOUND_FAKES)


def test_half_precision_gives_the_same_losses_nearly():
    judge = objective()
    full = step_of(judge)
    with torch.autocast("cpu", torch.bfloat16):
        half = step_of(judge)
    half["total"].backward()
    for name, value in full.items():
        assert half[name].float().item() == pytest.approx(value.item(), rel=0.05), name


def test_the_papers_training_adds_plain_noise():
    judge = objective(objective="paper")
    private, normal = torch.randn(4, 1, 2, 2), torch.randn(4, 1, 2, 2)
    fake = judge.fake(private, torch.rand(4, 1, 2, 2), normal, ddm.kinds_of("paper", 4, 5))
    assert torch.equal(fake, private + normal)  # Eq. 2
    assert isinstance(judge.discriminator, nets.PaperDiscriminator)


def test_msednet_is_rewarded_for_distance_and_has_no_discriminator_loss():
    judge = objective(objective="msed")
    parts = step_of(judge)
    assert "bce" not in parts
    expected = parts["mse"] - judge.config.away_weight * parts["cover_mse"]  # Eq. 13
    assert torch.allclose(parts["total"], expected)


def test_msed_training_drives_covers_away_and_plain_training_does_not():
    """The sign of Eq. 13, seen in what it does."""

    def far(name):
        judge = objective(objective=name, away_weight=10.0)
        optimizer = torch.optim.Adam(judge.parameters(), 1e-2)
        for _ in range(12):
            optimizer.zero_grad()
            step_of(judge, 4, 32)["total"].backward()
            optimizer.step()
        return step_of(judge, 4, 32)["cover_mse"]

    assert far("msed") > 1.5 * far("plain")


def test_covers_are_made_as_they_were_trained(faces, tmp_path):
    paper = run(faces, tmp_path / "paper", dataclasses.replace(TINY, objective="paper", steps=1))
    assert weights.ddm_network(*weights.parsed(paper.read_bytes(), "x"), "x").config.fake == "noise"


def test_without_the_collaborative_loss_only_reconstruction_counts():
    parts = step_of(objective(objective="plain"))
    assert torch.equal(parts["total"], parts["mse"])


def test_covers_that_show_the_pattern_beyond_the_range_are_the_same():
    cell = torch.ones(4, 4)
    board = torch.cat([torch.cat([cell, -cell], 1), torch.cat([-cell, cell], 1)]).repeat(4, 4)
    cover = 0.5 + 0.7 * board.expand(2, 3, 32, 32)
    assert ddm.sameness(cover) == 0
    assert ddm.sameness(1 - cover) > 1
    assert ddm.sameness(torch.full_like(cover, 0.5)) > 0.5
    assert ddm.sameness(0.5 + 9 * (cover - 0.5)) > 0.5  # no need to shout


@pytest.mark.parametrize("share", [64, 2048])
def test_the_principal_start_restores_smooth_pictures_at_once(share):
    torch.manual_seed(0)
    network = nets.DDM(nets.DDMConfig(widths=(12, 24, 48), blocks=1, one_in=share))
    pixels = np.stack([np.asarray(picture(seed, 128)) for seed in range(40)])
    x = loop.as_tensor(pixels, torch.device("cpu"))

    def quality():
        with torch.no_grad():
            return loop.psnr(network.decode(*network.encode(x)), x).mean().item()

    before = quality()
    ddm.principal_start(network, x[:30])
    assert before < 15 and quality() > 25


def test_the_check_start_compares_private_and_public_maps():
    torch.manual_seed(0)
    network = nets.DDM(nets.DDMConfig(widths=(12, 24, 48), blocks=1))
    pixels = np.stack([np.asarray(picture(seed, 64)) for seed in range(40)])
    x = loop.as_tensor(pixels, torch.device("cpu"))
    ddm.principal_start(network, x)
    ddm.check_start(network, 2.0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        public, private = network.encode(x)
        compared = network.up[0](torch.cat([public, private], 1))[:, -2:]
        wrong = network.up[0](torch.cat([public, private + 1], 1))[:, -2:]
    assert compared.abs().max() < 1e-3
    assert (wrong[:, 1] - 2).abs().max() < 1e-3 and (wrong[:, 0] + 2).abs().max() < 1e-3
    assert 0.2 < private.std() < 2


def test_only_private_positions_must_be_spread_out():
    """Below one map, the public positions of the shared map are zeros in `private`."""
    judge = objective(network=nets.DDMConfig(widths=(4, 6, 8), blocks=1, one_in=256))
    seen = []
    judge_spread, ddm.spread = ddm.spread, lambda values: seen.append(values) or judge_spread(values)
    try:
        step_of(judge)
    finally:
        ddm.spread = judge_spread
    assert seen[0].shape == (12, 4) and (seen[0] != 0).all()  # 4 of the 16 positions of a 64-px patch


def test_a_private_map_that_is_a_constant_costs():
    spread_out = torch.linspace(-1.7, 1.7, 1000)
    assert ddm.spread(spread_out) < 0.01
    assert ddm.spread(torch.full((10,), 2.0)) > 1
    assert ddm.spread(spread_out + 3) > 5


def test_perceptual_networks_by_name(tmp_path):
    from safetensors.torch import save_file

    save_file({k: v.half() for k, v in SqueezeNet().state_dict().items()}, tmp_path / "phi")
    phi = ddm.perceptual_network(f"squeezenet:{tmp_path / 'phi'}", torch.device("cpu"))
    x = torch.rand(2, 3, 64, 64)
    assert [maps.shape[1] for maps in phi(x)] == [96, 256, 256]
    judge = ddm.Objective(TINY, nets.DDM(TINY.network), phi)
    assert judge.perceptual(x, x) == 0 and judge.perceptual(x, 1 - x) > 0
    step_of(judge)["total"].backward()
    assert all(weight.grad is None for weight in phi.parameters())
    assert ddm.perceptual_network("none", torch.device("cpu")) is None
    with pytest.raises(UsageError, match="no perceptual network"):
        ddm.perceptual_network("alexnet", torch.device("cpu"))
    save_file({"x": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(WeightsError, match="no SqueezeNet"):
        ddm.perceptual_network(f"squeezenet:{tmp_path / 'other'}", torch.device("cpu"))


def test_learning_rate_rises_and_falls():
    rates = [loop.learning_rate(step, 100, 1.0, 10) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == 1.0 and rates.index(1.0) == 9
    assert rates[100] == pytest.approx(0.01)


def test_the_average_follows_the_network():
    layer = torch.nn.Linear(1, 1)
    average = loop.Average(layer, 0.9)
    torch.nn.init.constant_(layer.weight, 5.0)
    for _ in range(100):
        average.update(layer)
    assert average.weights["weight"].item() == pytest.approx(5.0, abs=1e-3)


def test_psnr_is_that_of_saved_pixels():
    a = torch.zeros(2, 3, 4, 4)
    b = a.clone()
    b[1] += 1 / 255
    assert loop.psnr(a, b - 0.2)[1] > 60 and loop.psnr(a, b)[1].item() == pytest.approx(48.13, abs=0.01)


def test_without_matplotlib_the_log_is_all_there_is(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert records.save_plot(tmp_path, {"bce": "BCE"}) is None


def test_the_plot_shows_the_log(tmp_path):
    pytest.importorskip("matplotlib")
    log = records.Log(tmp_path, 0)
    log.write(1, bce=1.0)
    log.write(2, bce=0.5)
    path = records.save_plot(tmp_path, {"bce": "BCE"})
    assert Image.open(path).size[0] > 100


def test_the_command_line_trains(faces, tmp_path, monkeypatch):
    arguments = ["ddm", "--data", str(faces.path), "--hold-out", "1", "--out", str(tmp_path / "run")]
    arguments += ["--steps", "1", "--widths", "4", "6", "8", "--principal-start", "2", "--seed", "7"]
    monkeypatch.setattr(sys, "argv", arguments)
    ddm.main()
    assert torch.load(tmp_path / "run" / records.CHECKPOINT, weights_only=True)["config"]["seed"] == 7


def test_the_toy_experiment_heaps_covers_and_keeps_groups(tmp_path):
    torch.set_num_threads(1)
    path = ddm_toy.train(ddm_toy.ToyConfig(steps=600), tmp_path)
    first, *_, last = json.loads((tmp_path / "toy.json").read_text())
    assert last["recovered_rmse"] < 0.15 and last["recovered_groups"] > 50
    assert last["encrypted_rmse"] > 10 * last["recovered_rmse"]
    assert last["encrypted_groups"] < 3 < first["encrypted_groups"]
    assert Image.open(io.BytesIO(path.read_bytes())).size == (4 * 220, 3 * 220)


def test_two_processes_train_the_toy_to_the_loss_of_one(tmp_path):
    """torchrun, gloo: every process takes half of each batch, and the mean gradient is that of the whole."""
    code = (
        "import sys; from pathlib import Path; from photoguard.train import ddm_toy\n"
        "ddm_toy.train(ddm_toy.ToyConfig(steps=50), Path(sys.argv[1]))\n"
    )
    (tmp_path / "toy.py").write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    env = os.environ | {"PYTHONPATH": PATHS, "OMP_NUM_THREADS": "1"}
    command += [str(tmp_path / "toy.py"), str(tmp_path / "both")]
    subprocess.run(command, check=True, env=env, capture_output=True)
    ddm_toy.train(ddm_toy.ToyConfig(steps=50), tmp_path / "alone")
    (both,), (alone,) = (json.loads((tmp_path / name / "toy.json").read_text()) for name in ("both", "alone"))
    for key in ("recovered_rmse", "encrypted_rmse"):
        assert both[key] == pytest.approx(alone[key], rel=1e-3)

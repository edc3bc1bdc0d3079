"""The loop of every training: whole steps, Ctrl-C, ends by steps or seconds, and what it writes down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from support.places import ROOT
from torch import Tensor

from photoguard.train import loop, records

PLACE = loop.Place(torch.device("cpu"))


@dataclass
class Halves(loop.Run):
    """A run whose every step moves two numbers, one after the other: they differ in the middle of a step."""

    first: int = 0
    second: int = 0

    def state(self) -> dict[str, Any]:
        return super().state() | {"config": {}, "first": self.first, "second": self.second}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.first, self.second = state["first"], state["second"]


def begun(out: Path, **bounds: float) -> Halves:
    run = Halves(**bounds)  # type: ignore[arg-type]
    state = records.load_checkpoint(out, {}, PLACE.device)
    if state is not None:
        run.restore(state)
    return run


def batches(run: Halves) -> Iterator[tuple[Tensor, int, list[str]]]:
    while run.done < 1:
        yield torch.zeros(3, 1), run.step, ["broken.png"]


def learn(
    run: Halves, out: Path | None, between: Callable[[int], None] = lambda _: None, every: int = 100
) -> None:
    """`between` is called in the middle of every step."""

    def descend(pictures: Tensor, number: int) -> dict[str, float]:
        assert number == run.step
        run.first += 1
        between(number)
        run.second += 1
        return {"loss": float(number)} | ({"rare": 1.0} if number == 1 else {})

    def examine() -> tuple[dict[str, float], list[Tensor]]:
        return {"score": float(run.first)}, [torch.zeros(1, 3, 2, 2)]

    loop.learn(run, batches(run), descend, examine, PLACE, out, every)


@pytest.fixture(autouse=True)
def _ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have set it aside


def press(at: int, times: int = 1) -> Callable[[int], None]:
    def between(number: int) -> None:
        for _ in range(times if number == at else 0):
            signal.raise_signal(signal.SIGINT)

    return between


def saved(out: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(out / records.CHECKPOINT, weights_only=True)
    return state


def test_ctrl_c_finishes_the_step_and_saves(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        learn(begun(tmp_path, steps=10), tmp_path, press(4))
    state = saved(tmp_path)
    assert (state["step"], state["first"], state["second"], len(state["window"])) == (5, 5, 5, 5)
    learn(run := begun(tmp_path, steps=10), tmp_path)
    assert (run.step, run.first, run.second) == (10, 10, 10)


def test_a_second_ctrl_c_saves_no_half_step(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        learn(begun(tmp_path, steps=10), tmp_path, press(4, times=2), every=3)
    state = saved(tmp_path)
    assert (state["step"], state["first"], state["second"]) == (3, 3, 3)
    with pytest.raises(KeyboardInterrupt):
        learn(begun(tmp_path / "fresh", steps=10), tmp_path / "fresh", press(1, times=2))
    assert not (tmp_path / "fresh" / records.CHECKPOINT).exists()


def test_a_fault_saves_nothing(tmp_path: Path) -> None:
    def fail(number: int) -> None:
        if number == 4:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        learn(begun(tmp_path, steps=10), tmp_path, fail, every=2)
    assert saved(tmp_path)["step"] == 4


def test_after_the_run_ctrl_c_is_as_before(tmp_path: Path) -> None:
    learn(begun(tmp_path, steps=1), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_a_run_ends_after_its_steps_or_its_seconds(tmp_path: Path) -> None:
    learn(run := begun(tmp_path, steps=4, seconds=1000.0), None)
    assert run.step == 4
    learn(run := begun(tmp_path, steps=1000, seconds=0.2), tmp_path / "slow", lambda _: time.sleep(0.05))
    assert 2 <= run.step <= 4 and run.spent >= 0.2  # 50 ms a step at least
    assert saved(tmp_path / "slow")["step"] == run.step
    earlier = Halves(seconds=0.2, spent=0.19)
    learn(earlier, None, lambda _: time.sleep(0.05))
    assert earlier.step == 1


def test_nothing_is_written_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    learn(begun(tmp_path, steps=3), None)
    with pytest.raises(KeyboardInterrupt):
        learn(begun(tmp_path, steps=3), None, press(1))
    assert not list(tmp_path.iterdir())


def test_the_log_the_sheets_and_the_checkpoints(tmp_path: Path) -> None:
    learn(begun(tmp_path, steps=26), tmp_path, every=20)
    checked, means, last_means, last_checked = records.read_log(tmp_path)
    assert checked == {"step": 20, "score": 20.0}
    assert means["step"] == 25 and means["loss"] == sum(range(25)) / 25
    assert means["rare"] == 1  # over the step that had it
    assert means["unreadable"] == 1 and means["unreadable_names"] == ["broken.png"]
    assert means["images_per_second"] > 0
    assert last_means["step"] == 26 and last_means["loss"] == 25 and "rare" not in last_means
    assert last_checked == {"step": 26, "score": 26.0}
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == ["000020.png", "000026.png"]


# Checkpoints


def test_a_kill_while_writing_leaves_the_previous_file_and_a_draft_that_the_next_one_replaces(
    tmp_path: Path,
) -> None:
    records.save_checkpoint(tmp_path, {"step": 1})
    code = (
        "import os, sys; from pathlib import Path; from photoguard.files import write_whole\n"
        "os.fsync = lambda handle: os._exit(9)\n"
        "write_whole(Path(sys.argv[1]), b'half')\n"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = [sys.executable, "-c", code, str(tmp_path / records.CHECKPOINT)]
    assert subprocess.run(killed, check=False, env=env).returncode == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == [".checkpoint.pt.part", "checkpoint.pt"]
    assert saved(tmp_path) == {"step": 1}
    records.save_checkpoint(tmp_path, {"step": 2})
    assert [path.name for path in tmp_path.iterdir()] == [records.CHECKPOINT]
    assert saved(tmp_path) == {"step": 2}


def test_a_link_in_the_place_of_the_draft_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "album.txt"
    target.write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / f".{records.CHECKPOINT}.part").symlink_to(target)
    records.save_checkpoint(tmp_path / "run", {"step": 1})
    assert target.read_text() == "mine" and saved(tmp_path / "run") == {"step": 1}


def test_a_checkpoint_is_on_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append("fsync"), fsync(handle))[1])
    monkeypatch.setattr(
        Path, "replace", lambda self, target: (done.append("replace"), replace(self, target))[1]
    )
    records.save_checkpoint(tmp_path, {"step": 1})
    assert done == ["fsync", "replace", "fsync"]  # the bytes, the name, the folder

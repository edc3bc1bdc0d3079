"""Several processes: every photo has one outcome, whatever happens to the others."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.albums import (
    double,
    photo,
    rest,
    some,
    wait_and_see,
)
from support.places import ROOT

from photoguard import batch
from photoguard.batch.pool import weigh


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_task_has_one_outcome(jobs: int) -> None:
    tasks = some(*map(str, range(20)), "bug", "error")
    found = {o.task.source.stem: o for o in batch.run(tasks, double, batch.Pool(jobs))}
    assert len(found) == 22 and all(found[str(n)].result == 2 * n for n in range(20))
    bug, error = found["bug"].error, found["error"].error
    assert bug and bug.exit_code == 70 and "KeyError" in str(bug)
    assert error and error.exit_code == 3 and error.hint == "a hint"


def test_a_worker_that_dies_costs_its_own_photo_only() -> None:
    tasks = some("1", "2", "dies", *map(str, range(3, 12)))
    outcomes = list(batch.run(tasks, double, batch.Pool(2)))
    assert sorted(o.task.source.stem for o in outcomes) == sorted(t.source.stem for t in tasks)
    (lost,) = [o for o in outcomes if o.error]
    assert lost.task.source.stem == "dies" and "memory" in lost.error.hint


def test_a_run_that_is_given_up_ends_its_workers(tmp_path: Path) -> None:
    began, run = time.monotonic(), batch.run(some("1", "2", "3"), rest, batch.Pool(2))
    assert next(run).task.source.stem == "1"
    run.close()  # type: ignore[attr-defined] - as a second Ctrl-C does
    assert not multiprocessing.active_children() and time.monotonic() - began < 20


def test_a_worker_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert {o.result for o in batch.run(some("threads", "threads"), double, batch.Pool(2))} == {1}


@pytest.mark.parametrize(("pixels", "together"), [(2500, False), (10_000, True)])
def test_no_more_pixels_in_hand_than_allowed(tmp_path: Path, pixels: int, together: bool) -> None:
    tasks = [batch.Task(photo(tmp_path / f"{n}.png", n), tmp_path / f"{n}.pub.png") for n in range(4)]
    assert weigh(tasks[0].source) == 2400
    spans = sorted(o.result for o in batch.run(tasks, wait_and_see, batch.Pool(2, pixels)) if o.result)
    overlap = any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans))
    assert len(spans) == 4 and overlap is together


def test_a_pipe_among_the_photos_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("photoguard.photos.images.stated_size", lambda file, name: (60, 40))
    os.mkfifo(tmp_path / "pipe.jpg")
    assert weigh(photo(tmp_path / "a.png")) == 2400
    assert weigh(tmp_path / "pipe.jpg") == 1


def test_networks_of_a_program_with_threads_run_in_forked_workers() -> None:
    """A photo first, then an album: threads of what is loaded do not exist in a forked process."""
    code = """
import numpy as np
from pathlib import Path
from photoguard import batch
from photoguard.methods import Settings
from photoguard.methods.ddm import method

def seal(task):
    return len(method.seal("ddm", [np.zeros((64, 64, 3), np.uint8)], Settings()))

seal(None)
seal.load = method.network
tasks = [batch.Task(Path(name), Path(name)) for name in "abcd"]
print(sum(outcome.result for outcome in batch.run(tasks, seal, batch.Pool(2))))
"""
    env = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "4\n", done.stderr

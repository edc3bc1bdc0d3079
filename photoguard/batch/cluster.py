"""The photos of a run on the workers of a Dask cluster that somebody else runs."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from photoguard import files
from photoguard.batch.plan import Task
from photoguard.batch.pool import PATIENCE, Outcome, as_ours, killed, one_thread
from photoguard.errors import UsageError

Result = TypeVar("Result")
AHEAD = 2  # tasks a worker's thread has at hand, so that it never waits for the next

CONNECT_SECONDS = 15
GLANCE = 0.5  # seconds between two looks whether to stop, where no photo gets ready
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def run(
    tasks: Iterable[Task],
    work: Callable[[Task], Result],
    address: str,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome[Result]]:
    """Do every task somewhere on the cluster; one whose worker dies is done by another.

    The cluster is handed a few tasks at a time, as workers become free: it holds no more than that.
    """
    distributed = _library()
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TypeError, ValueError) as error:
        raise UsageError(
            f"there is no Dask scheduler at {address}: {error}", "`dask scheduler` prints its address"
        ) from None
    done: set[Path] = set()
    with client:
        upcoming = (_absolute(task) for task in tasks)
        running: dict[Any, Task] = {}
        while True:
            hands = max(sum(client.nthreads().values()), 1)
            for task in islice(upcoming, 0 if stopping() else max(AHEAD * hands - len(running), 0)):
                running[client.submit(_do, work, task, pure=False)] = task
            if not running:
                break
            if stopping():
                yield from _last(client, running)
                return
            for future in _ready(client, running, GLANCE):
                outcome = _outcome(future, running.pop(future), distributed)
                done |= set(outcome.task.certain) if outcome.error is None else set()
                yield outcome
    # What a worker that was killed left: another has done its photo again.
    for folder in {path.parent for path in done}:
        files.finish_killed_runs(folder, getattr(work, "secret", None), done)


def _do(work: Callable[[Task], Result], task: Task) -> Result:
    _settle_in()
    return work(task)


@cache
def _settle_in() -> None:
    """Once a worker: one thread, and memory kept as any other program keeps it.

    Dask tells the C library to give back freed memory at once, and every picture then costs thousands of page
    faults: runs took twice as long. These are the limits that the library grows to by itself.
    """
    one_thread()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
            libc.mallopt(M_TRIM_THRESHOLD, 64 << 20)


def _library() -> Any:
    try:
        import distributed
    except ImportError:
        raise UsageError("--cluster needs Dask", "pip install 'photoguard[cluster]'") from None
    return distributed


def _outcome(future: Any, task: Task, distributed: Any) -> Outcome[Any]:
    error = future.exception()
    if error is None:
        return Outcome(task, future.result(), None)
    if isinstance(error, distributed.scheduler.KilledWorker):
        return Outcome(task, None, killed(task))
    return Outcome(task, None, as_ours(error, task))


def _last(client: Any, running: dict[Any, Task]) -> Iterator[Outcome[Any]]:
    distributed = _library()
    _ready(client, running, PATIENCE, "ALL_COMPLETED")
    for future, task in running.items():
        if future.status in ("finished", "error"):
            yield _outcome(future, task, distributed)
    client.cancel([future for future in running if not future.done()], force=True)


def _ready(client: Any, running: Iterable[Any], seconds: float, until: str = "FIRST_COMPLETED") -> list[Any]:
    """The futures that are done, after at most so many seconds."""
    with contextlib.suppress(TimeoutError), client.as_current():
        _library().wait(list(running), timeout=seconds, return_when=until)
    return [future for future in running if future.done()]


def _absolute(task: Task) -> Task:
    """Workers have folders of their own to start from."""

    def whole(path: Path) -> Path:
        return path.absolute()

    return replace(
        task, source=whole(task.source), public=whole(task.public), secrets=tuple(map(whole, task.secrets))
    )

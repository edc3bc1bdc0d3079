"""The photos of a run on the workers of a Dask cluster that somebody else runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from photoguard.batch.plan import Task
from photoguard.batch.pool import PATIENCE, Outcome, as_ours, killed
from photoguard.errors import UsageError

Result = TypeVar("Result")
AHEAD = 2  # tasks a worker's thread has at hand, so that it never waits for the next

CONNECT_SECONDS = 15


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
    with client:
        upcoming = (_absolute(task) for task in tasks)
        running: dict[Any, Task] = {}
        done = distributed.as_completed(loop=client.loop)
        while True:
            hands = max(sum(client.nthreads().values()), 1)
            for task in islice(upcoming, 0 if stopping() else max(AHEAD * hands - len(running), 0)):
                future = client.submit(work, task, pure=False)
                running[future] = task
                done.add(future)
            if not running:
                return
            if stopping():
                yield from _last(client, running)
                return
            for future in done.next_batch():
                yield _outcome(future, running.pop(future), distributed)


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
    with contextlib.suppress(TimeoutError), client.as_current():
        distributed.wait(list(running), timeout=PATIENCE)
    for future, task in running.items():
        if future.status in ("finished", "error"):
            yield _outcome(future, task, distributed)
    client.cancel([future for future in running if not future.done()], force=True)


def _absolute(task: Task) -> Task:
    """Workers have folders of their own to start from."""

    def whole(path: Path) -> Path:
        return path.absolute()

    return replace(
        task, source=whole(task.source), public=whole(task.public), secrets=tuple(map(whole, task.secrets))
    )

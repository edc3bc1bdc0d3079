"""The photos of a run over several processes, with no more pixels in hand than memory allows."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar, cast

from photoguard import files
from photoguard.batch.plan import Task
from photoguard.errors import PhotoguardError, UnreadableError, missing
from photoguard.interruption import ignore_sigint

Result = TypeVar("Result")
Held_co = TypeVar("Held_co", covariant=True)

# At the peak of a photo's way. 12 MP of 16 bits with alpha, covered as a whole, take 840 MB in all, and 48 MP
# under one blur 2.2 GB; a common photo of 12 MP takes 0.3 GB, of 48 MP 0.55 GB.
BYTES_A_PIXEL = 55
LIBRARIES = 250_000_000  # bytes a worker needs beside its photo: libraries, networks, what they compute
REMOTE_PIXELS = 24_000_000  # what a photo is taken for whose header is far away
PATIENCE = 8.0  # seconds that photos in hand get after an interruption


@dataclass(frozen=True)
class Outcome(Generic[Held_co]):
    """How one task ended: a result or an error."""

    task: Task
    result: Held_co | None
    error: PhotoguardError | None


@dataclass(frozen=True)
class Pool:
    """How many processes, and how many pixels they may hold together."""

    jobs: int = 1
    pixels: int = 400_000_000
    secret: bytes | None = field(default=None, repr=False)  # of stages, to finish what dead workers left

    @classmethod
    def of_machine(cls, jobs: int | None, photos: int) -> Pool:
        """As many processes as there are cores and photos, unless told; pixels as memory allows."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        free = _free_memory()
        fitting = max(1, free // (2 * LIBRARIES))
        count = jobs or min(cores, photos, fitting)
        return cls(max(count, 1), max((free - count * LIBRARIES) // BYTES_A_PIXEL, 1))


def _free_memory(system: Path = Path("/")) -> int:
    """Bytes that programs may still take, as the system says or, where it does not, a cautious guess."""
    try:
        lines = (system / "proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        free = 4_000_000_000
    group = system / "sys/fs/cgroup"
    try:  # a container may have less
        limit, used = (int((group / name).read_text("ascii")) for name in ("memory.max", "memory.current"))
        return max(min(free, limit - used), 0)
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        return free


def run(
    tasks: Iterable[Task],
    work: Callable[[Task], Result],
    pool: Pool | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome[Result]]:
    """Do every task; one that fails is an outcome like any other.

    Without a pool they are done here, with all threads; in a pool each job has one. The outcomes of several
    jobs come as they are ready. Once `stopping` says so no task is begun; those in hand are finished if they
    can be within a few seconds.
    """
    if pool is not None and pool.jobs > 1:
        return _together(tasks, work, pool, stopping)
    if pool is not None:
        one_thread()
    return _here(tasks, work, stopping)


def _here(
    tasks: Iterable[Task], work: Callable[[Task], Result], stopping: Callable[[], bool]
) -> Iterator[Outcome[Result]]:
    for task in tasks:
        if stopping():
            return
        try:
            yield Outcome(task, work(task), None)
        except Exception as error:
            yield Outcome(task, None, as_ours(error, task))


def as_ours(error: BaseException, task: Task) -> PhotoguardError:
    """An error of a photo that the run survives, whatever raised it."""
    if isinstance(error, PhotoguardError):
        return error
    absent = missing(error)
    if absent:
        return absent
    name = files.shown(task.source)
    if isinstance(error, MemoryError):
        ours: PhotoguardError = UnreadableError(
            f"not enough memory for {name}", "fewer --jobs leave more for each photo"
        )
    else:
        ours = PhotoguardError(
            f"a bug in photoguard at {name}: {type(error).__name__}",
            "run it on this photo alone with --debug and report what it prints",
        )
    ours.__cause__ = error
    return ours


# Several processes

_work: Callable[[Task], object]  # a worker's own, set once when it starts


def _start(work: Callable[[Task], object]) -> None:
    """Make this process a worker of one thread that leaves Ctrl-C to its parent."""
    global _work  # noqa: PLW0603 - a process pool hands its workers no other place
    _work = work
    ignore_sigint()
    one_thread()


def one_thread() -> None:
    """A job is one core: without this each of several would start threads for all of them."""
    import cv2

    cv2.setNumThreads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # for our networks, and torch where it is needed later
    torch = sys.modules.get("torch")
    if torch:
        torch.set_num_threads(1)


def _do(task: Task) -> object:
    return _work(task)


def _executor(work: Callable[[Task], object], jobs: int) -> ProcessPoolExecutor:
    """Workers that share what their parent has loaded, where the system can fork and there is no GPU."""
    forks = sys.platform == "linux" and not Path("/dev/nvidiactl").exists()
    context = multiprocessing.get_context("fork" if forks else "spawn")
    if forks:
        load(work)
    return ProcessPoolExecutor(jobs, context, _start, (work,))


def load(work: Callable[[Task], object]) -> None:
    """Load before the fork what every worker needs, on one thread: a forked pool of threads would hang."""
    one_thread()
    its = getattr(work, "load", None)
    if its:
        its()


def _together(
    tasks: Iterable[Task], work: Callable[[Task], Result], pool: Pool, stopping: Callable[[], bool]
) -> Iterator[Outcome[Result]]:
    workers = _Workers(iter(tasks), work, pool)
    try:
        while True:
            if not stopping():
                workers.fill()
            if not workers.running:
                return
            ready, _ = wait(workers.running, 0.5, FIRST_COMPLETED)
            if stopping():
                yield from workers.last()
                return
            yield from workers.outcomes(ready)
    finally:
        workers.end()


class _Workers(Generic[Result]):
    """The workers and what they have in hand."""

    def __init__(self, tasks: Iterator[Task], work: Callable[[Task], Result], pool: Pool) -> None:
        self.upcoming, self.work, self.pool = tasks, work, pool
        self.held: Task | None = None  # the next one, until there is memory for it
        self.suspects: deque[Task] = deque()  # in hand when a worker died: tried once more, each alone
        self.running: dict[Future[object], tuple[Task, int]] = {}
        self.executor = _executor(work, pool.jobs)

    def fill(self) -> None:
        """Hand out photos as long as there are free workers and memory."""
        while len(self.running) < (1 if self.suspects else 2 * self.pool.jobs):
            task = self.suspects.popleft() if self.suspects else self.held or next(self.upcoming, None)
            if task is None:
                return
            self.held, weight = None, weigh(task.source)
            if self.running and weight + sum(w for _, w in self.running.values()) > self.pool.pixels:
                self.held = task
                return
            try:
                self.running[self.executor.submit(_do, task)] = (task, weight)
            except BrokenProcessPool:  # a worker died since its last answer
                self.suspects.append(task)
                self._renew()

    def outcomes(self, ready: Iterable[Future[object]]) -> Iterator[Outcome[Result]]:
        """What has become of the photos that are ready."""
        alone, broken = len(self.running) == 1, False
        for future in ready:
            task, _ = self.running.pop(future)
            error = future.exception()
            if isinstance(error, BrokenProcessPool):
                broken = True
                if alone:
                    yield Outcome(task, None, killed(task))
                else:
                    self.suspects.append(task)
            else:
                yield self._outcome(task, future)
        if broken:
            self._renew()

    def last(self) -> Iterator[Outcome[Result]]:
        """The outcomes of the photos that workers have in hand; others are not begun, nor waited for long."""
        ready, _ = wait([future for future in self.running if not future.cancel()], PATIENCE)
        for future in ready:
            yield self._outcome(self.running.pop(future)[0], future)

    def end(self) -> None:
        """Let the workers go, and end those that are still at work: nobody waits for it any more."""
        if not all(future.done() for future in self.running):
            for process in list((self.executor._processes or {}).values()):
                process.terminate()
        self.executor.shutdown(cancel_futures=True)

    def _outcome(self, task: Task, future: Future[object]) -> Outcome[Result]:
        error = future.exception()
        if error is None:
            return Outcome(task, cast(Result, future.result()), None)
        return Outcome(task, None, as_ours(error, task))

    def _renew(self) -> None:
        self.suspects.extend(task for task, _ in self.running.values())
        self.running.clear()
        self.executor.shutdown()  # until all of its workers are gone, and with them what they hold
        for folder in dict.fromkeys(folder for task in self.suspects for folder in task.folders):
            if folder.is_dir():  # the dead worker may have had whole outputs on their way
                files.finish_killed_runs(folder, self.pool.secret)
        self.executor = _executor(self.work, self.pool.jobs)


def killed(task: Task) -> PhotoguardError:
    """What to say of a photo whose worker died twice."""
    return UnreadableError(
        f"the process working on {files.shown(task.source)} was ended from outside",
        "most likely memory ran out: fewer --jobs leave more for each photo",
    )


def weigh(source: Path) -> int:
    """A photo's pixels as its header tells them; the worker says what is wrong with one that has none."""
    from photoguard.files import remote
    from photoguard.photos import images

    if remote.is_remote(source):
        return REMOTE_PIXELS
    try:
        if not source.is_file():  # a pipe would keep us waiting
            return 1
        with source.open("rb") as file:
            width, height = images.stated_size(file, source.name)
    except (PhotoguardError, OSError):
        return 1
    return width * height

"""A run that skips what earlier runs finished, and notes what it finishes itself."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeVar

from photoguard import files
from photoguard.batch.journal import Journal, Skipped
from photoguard.batch.plan import Task
from photoguard.batch.pool import Outcome
from photoguard.errors import PhotoguardError

Result = TypeVar("Result")
TOGETHER = 64  # tasks noted as begun with one write to the disk


def resumed(
    tasks: Sequence[Task],
    journal: Journal,
    do: Callable[[Iterable[Task]], Generator[Outcome[Result]]],
    outputs: Callable[[Outcome[Result]], Sequence[Path] | None],
    force: bool = False,
    tell: Callable[[str], None] = lambda notice: None,
) -> Iterator[Outcome[Result | Skipped]]:
    """The outcomes of all tasks; `outputs` tells the files of one that needs no further run, else None."""
    secret = files.stage_secret(journal.key)
    notices = tidy(tasks, secret)
    settled: list[Outcome[Result | Skipped]] = []

    def left() -> Iterator[Task]:
        """What is to be done, noted a little ahead."""
        candidates = (task for task in tasks if force or not _settled(task, journal, settled))
        while some := list(islice(candidates, TOGETHER)):
            yield from journal.begin(some, forced=force)

    try:
        with closing(do(left())) as outcomes:
            for outcome in outcomes:
                written = outputs(outcome)
                if written is not None:
                    journal.done(outcome.task, written)
                yield from settled
                settled.clear()
                yield outcome
        yield from settled
    finally:
        notices += tidy(tasks, secret)  # after workers that died or were ended
        for notice in dict.fromkeys((*notices, *journal.notices)):
            tell(notice)


def tidy(tasks: Sequence[Task], secret: bytes | None) -> list[str]:
    """Finish, in every folder of the run, what killed runs and workers left, and say what was left alone."""
    folders = dict.fromkeys(folder for task in tasks for folder in task.folders)
    return [notice for folder in folders for notice in files.finish_killed_runs(folder, secret).notices]


def _settled(task: Task, journal: Journal, settled: list[Outcome[Result | Skipped]]) -> bool:
    try:
        skipped = journal.finished(task)
    except PhotoguardError as error:
        settled.append(Outcome(task, None, error))
        return True
    if skipped is not None:
        settled.append(Outcome(task, skipped, None))
    return skipped is not None

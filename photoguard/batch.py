"""Many photos, one after the other: which output each one gets, and a run that never stops early."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from photoguard import files
from photoguard.errors import PhotoguardError, UsageError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Task:
    """One photo and the public file it becomes."""

    source: Path
    public: Path

    @property
    def private(self) -> Path:
        """The private file beside the public one."""
        return files.private_beside(self.public)


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """How one task ended: a result or an error."""

    task: Task
    result: Result | None
    error: PhotoguardError | None


def plan(inputs: Sequence[Path], output: Path | None, recursive: bool) -> list[Task]:
    """Every photo with its own output; folders are mirrored below an output folder."""
    pairs = list(_pairs(inputs, recursive, files.photos_in))
    if not pairs:
        raise UsageError("there is no photo here", "--recursive looks into subfolders too")
    single = len(inputs) == 1 and not files.is_folder(inputs[0])
    if output is not None and single and not _is_folder(output):
        if output.suffix.lower() != ".png":
            raise UsageError(
                f"{files.shown(output)} is no PNG name", "public pictures are PNG: end it in .pub.png"
            )
        return [Task(inputs[0], output)]
    folders = [source.parent if output is None else output / below for source, below in pairs]
    sources = [source for source, _ in pairs]
    claims = Counter(
        (folder, files.public_name(source)) for folder, source in zip(folders, sources, strict=True)
    )
    tasks = []
    for folder, source in zip(folders, sources, strict=True):
        shared = claims[folder, files.public_name(source)] > 1
        tasks.append(Task(source, folder / files.public_name(source, whole_name=shared)))
    return _distinct(tasks)


def plan_restoring(inputs: Sequence[Path], output: Path | None, recursive: bool) -> list[Task]:
    """Every public picture with the file it is restored to."""
    secrets = [path for path in inputs if path.name.lower().endswith(files.PRIVATE_SUFFIX)]
    if secrets:
        raise UsageError(
            f"{files.shown(secrets[0])} is a private file",
            "name the picture: its private files beside it are found, others are given with --private",
        )
    pairs = list(_pairs(inputs, recursive, files.pictures_in))
    if not pairs:
        raise UsageError("there is no public picture here", "--recursive looks into subfolders too")
    if output is not None and len(inputs) == 1 and not files.is_folder(inputs[0]) and not _is_folder(output):
        if output.suffix.lower() != ".png":
            raise UsageError(f"{files.shown(output)} is no PNG name", "restored photos are PNG")
        return [Task(inputs[0], output)]
    tasks = []
    for source, below in pairs:
        folder = source.parent if output is None else output / below
        tasks.append(Task(source, folder / (files.stem_of(source, files.PUBLIC_SUFFIX) + ".restored.png")))
    return _distinct(tasks)


def _distinct(tasks: list[Task]) -> list[Task]:
    doubles = [target for target, count in Counter(task.public for task in tasks).items() if count > 1]
    if doubles:
        raise UsageError(
            f"two inputs would both become {files.shown(doubles[0])}", "put them into separate folders"
        )
    return tasks


def _is_folder(path: Path) -> bool:
    return files.is_folder(path) or path.suffix == ""


def _pairs(
    inputs: Sequence[Path], recursive: bool, listed: Callable[[Path, bool], list[Path]]
) -> Iterator[tuple[Path, Path]]:
    """Each photo once, with the folder that it has below the input it was found in."""
    seen: set[Path] = set()
    for path in inputs:
        found = listed(path, recursive) if files.is_folder(path) else [path]
        for source in found:
            if source.absolute() in seen:
                continue
            seen.add(source.absolute())
            yield source, source.parent.relative_to(path) if files.is_folder(path) else Path()


def run(tasks: Iterable[Task], work: Callable[[Task], Result]) -> Iterator[Outcome[Result]]:
    """Do every task; a photo that fails is an outcome like any other."""
    for task in tasks:
        try:
            yield Outcome(task, work(task), None)
        except PhotoguardError as error:
            yield Outcome(task, None, error)

"""Which photos a run takes, and which output each one gets."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from photoguard import files
from photoguard.errors import UsageError

# folder, whether to look into subfolders, which of them to leave out -> files
Listing = Callable[[Path, bool, Callable[[Path], bool]], list[Path]]
# task -> name of the photo that an earlier run noted for its public file, where it is known
Noted = Callable[["Task"], str | None]
Rename = Callable[[Path], str]  # photo -> a stem that says nothing of it


@dataclass(frozen=True)
class Task:
    """One photo and the public file it becomes."""

    source: Path
    public: Path
    restores: bool = False
    fresh: bool = False  # no output was there when the run began: what is there now is the run's own
    secrets: tuple[Path, ...] = ()  # for a picture to be restored: its private files, found by name
    lairs: tuple[Path, ...] = ()  # and the folders in which others of it may lie
    apart: Path | None = None  # the folder of the private file, where it is not the public one's

    @property
    def private(self) -> Path:
        """The private file, beside the public one or apart."""
        return files.private_beside(self.public, self.apart)

    @property
    def home(self) -> Path:
        """The folder where notes on this task lie: never one that holds but public pictures."""
        return self.apart or self.public.parent

    @property
    def folders(self) -> tuple[Path, ...]:
        """Those it writes to, the private one first."""
        return tuple(dict.fromkeys((self.home, self.public.parent)))

    def output(self, name: str) -> Path:
        """Where the output of this name lies."""
        return (self.home if name == self.private.name else self.public.parent) / name

    @property
    def certain(self) -> tuple[Path, ...]:
        """The outputs that exist once it is done, whatever the method."""
        return (self.public,) if self.restores else (self.public, self.private)


@dataclass(frozen=True)
class Selection:
    """Which files of the folders given take part, and whether files given one by one keep their folders."""

    recursive: bool = False
    include: tuple[str, ...] = ()  # patterns for a name or a path below the folder; none: all
    exclude: tuple[str, ...] = ()  # these win; a pattern that fits a folder leaves out all in it
    mirrored: bool = False  # the file a/b.jpg goes to a/ below the output folder

    def takes(self, below: PurePath) -> bool:
        """Whether a file at this path below the folder given takes part."""
        if self.leaves_out(below):
            return False
        return not self.include or any(_fits(below, pattern) for pattern in self.include)

    def leaves_out(self, below: PurePath) -> bool:
        """Whether a file or folder at this path is left out, and all in it."""
        return any(_fits(part, pattern) for part in (below, *below.parents) for pattern in self.exclude)


def _fits(path: PurePath, pattern: str) -> bool:
    return fnmatchcase(path.as_posix(), pattern.rstrip("/")) or fnmatchcase(path.name, pattern.rstrip("/"))


def plan(
    inputs: Sequence[Path],
    output: Path | None,
    selection: Selection,
    noted: Noted = lambda _: None,
    private_to: Path | None = None,
    rename: Rename | None = None,
) -> list[Task]:
    """Every photo with its own output; folders are mirrored below an output folder, and below `private_to`.

    `rename` makes names that say nothing; then no folder's name is kept either.
    """
    pairs = list(_pairs(inputs, selection, files.photos_in))
    if not pairs:
        raise _nothing("photo", selection)
    single = len(inputs) == 1 and not files.is_folder(inputs[0])
    if output is not None and single and not files.means_folder(output):
        if output.suffix.lower() != ".png":
            raise UsageError(
                f"{files.shown(output)} must end in .png", "public pictures are PNG: NAME.pub.png"
            )
        return [Task(inputs[0], output, apart=private_to)]
    _refuse_one_name(output)
    if rename is not None:
        named = [
            (source, (output or source.parent) / (rename(source) + files.PUBLIC_SUFFIX))
            for source, _ in pairs
        ]
        return _distinct([Task(source, public, apart=private_to) for source, public in named])
    claims: dict[Path, list[Path]] = defaultdict(list)
    apart: dict[Path, Path | None] = {}
    for source, below in pairs:
        folder = source.parent if output is None else output.joinpath(*below.parts)
        claims[folder / files.public_name(source)].append(source)
        apart[source] = private_to.joinpath(*below.parts) if private_to is not None else None
    tasks = {
        task.source: task
        for public, sources in claims.items()
        for task in _named(
            public, sources, lambda task: task.public not in claims and _keeps(task, noted), noted
        )
    }
    return _distinct([replace(tasks[source], apart=apart[source]) for source, _ in pairs])


def _named(
    public: Path, sources: Sequence[Path], keeps: Callable[[Task], bool], noted: Noted
) -> Iterator[Task]:
    """Photos that claim one short name: an output that is there keeps its name, newcomers get the longer."""
    longer = [
        Task(source, public.with_name(files.public_name(source, whole_name=True))) for source in sources
    ]
    short = [Task(source, public) for source in sources]
    if len(sources) == 1:
        yield longer[0] if keeps(longer[0]) and not _keeps(short[0], noted) else short[0]
        return
    both = list(zip(short, longer, strict=True))
    owners = [one for one, other in both if _keeps(one, noted) and not keeps(other)]
    # Without a note it is open whose output is there: the first in name order will say that it is in the way.
    yield from (one if one in owners[:1] else other for one, other in both)


def _keeps(task: Task, noted: Noted) -> bool:
    """Whether an output is there that is, as far as anybody knows, of this photo."""
    return files.is_there(task.public) and noted(task) in (None, task.source.name)


def plan_restoring(
    inputs: Sequence[Path], output: Path | None, selection: Selection, lairs: Sequence[Path] = ()
) -> list[Task]:
    """Every public picture with the file it is restored to; `lairs` are further folders of private files."""
    secrets = [path for path in inputs if path.name.lower().endswith(files.PRIVATE_SUFFIX)]
    if secrets:
        raise UsageError(
            f"{files.shown(secrets[0])} is a private file",
            "name the picture: its private files beside it are found, others are given with --private",
        )
    pairs = list(_pairs(inputs, selection, files.pictures_in))
    if not pairs:
        raise _nothing("public picture", selection)
    single = len(inputs) == 1 and not files.is_folder(inputs[0])
    target = output if output is not None and single and not files.means_folder(output) else None
    if target is not None and target.suffix.lower() != ".png":
        raise UsageError(f"{files.shown(target)} must end in .png", "restored photos are PNG")
    if target is None:
        _refuse_one_name(output)
    beside = {folder: files.private_folders(folder) for folder in {source.parent for source, _ in pairs}}
    found: dict[Path, dict[str, tuple[Path, ...]]] = {}
    tasks = []
    for source, below in pairs:
        folder = source.parent if output is None else output.joinpath(*below.parts)
        public = target or folder / (_stem(source) + files.RESTORED_SUFFIX)
        places = dict.fromkeys(
            (*(lair.joinpath(*below.parts) for lair in lairs), *lairs, *beside[source.parent])
        )
        for place in places:
            if place not in found:
                found[place] = files.private_files(place)
        named = tuple(path for place in places for path in found[place].get(_stem(source), ()))
        tasks.append(Task(source, public, restores=True, secrets=named, lairs=tuple(places)))
    return _distinct(tasks)


def _refuse_one_name(output: Path | None) -> None:
    """Raise when the outputs of several photos, or of a folder, are to have one file's name."""
    if output is not None and output.suffix.lower() == ".png" and not files.is_folder(output):
        raise UsageError(
            f"{files.shown(output)} names one file, and the input is several or a folder",
            "name a folder with -o",
        )


def _stem(picture: Path) -> str:
    return files.stem_of(picture, files.PUBLIC_SUFFIX)


def _distinct(tasks: list[Task]) -> list[Task]:
    outputs = Counter(path for task in tasks for path in task.certain)
    doubles = [target for target, count in outputs.items() if count > 1]
    if doubles:
        raise UsageError(
            f"two inputs would both become {files.shown(doubles[0])}", "put them into separate folders"
        )
    return tasks


def _nothing(what: str, selection: Selection) -> UsageError:
    if selection.include or selection.exclude:
        return UsageError(f"there is no {what} here that --include and --exclude leave", "see --dry-run")
    return UsageError(f"there is no {what} here", "--recursive looks into subfolders too")


def _pairs(inputs: Sequence[Path], selection: Selection, listed: Listing) -> Iterator[tuple[Path, Path]]:
    """Each photo once, with the folder that it has below the input it was found in."""
    seen: set[str] = set()
    for path in inputs:
        folder = files.is_folder(path)
        for source in _listed(path, selection, listed) if folder else [path]:
            name = str(source.absolute())
            if name in seen or (folder and not selection.takes(_below(source, path))):
                continue
            seen.add(name)
            yield source, _below(source, path).parent if folder else _own_folder(source, selection)


def no_photos(inputs: Sequence[Path], selection: Selection) -> list[Path]:
    """The files of the folders given that are no photos that can be read."""
    return [
        path
        for folder in filter(files.is_folder, inputs)
        for path in _listed(folder, selection, files.others_in)
        if selection.takes(_below(path, folder))
    ]


def _listed(folder: Path, selection: Selection, listed: Listing) -> list[Path]:
    return listed(folder, selection.recursive, lambda sub: selection.leaves_out(_below(sub, folder)))


def _below(source: Path, folder: Path) -> Path:
    return Path(*source.parts[len(folder.parts) :])


def _own_folder(source: Path, selection: Selection) -> Path:
    """The folder that a file named by itself brings along: none, unless asked, and none outside of here."""
    keeps = selection.mirrored and not source.is_absolute() and ".." not in source.parts
    return source.parent if keeps else Path()

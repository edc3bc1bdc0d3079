"""Runs over many photos at the command line: their options, progress, interruption and summary."""

from __future__ import annotations

import hashlib
import secrets
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photoguard import batch, files
from photoguard.cli.shared.keyring import journal_key
from photoguard.cli.shared.voice import Voice, complain
from photoguard.errors import BatchError, DoubtError, NoFaceError, PhotoguardError, UsageError
from photoguard.files import limits, remote
from photoguard.interruption import graceful_sigint

if TYPE_CHECKING:
    from photoguard.batch.work import Report

    Work = Callable[[batch.Task], Report]
    Outcome = batch.Outcome[Report | batch.Skipped]


class NoFace(StrEnum):
    """What becomes of a photo in which no face is found."""

    error = "error"
    skip = "skip"
    remember = "remember"


def _no_face(text: str) -> NoFace:
    """The choice that was typed; `copy-nothing` is the earlier name of `remember`."""
    try:
        return NoFace("remember" if text == "copy-nothing" else text)
    except ValueError:
        raise UsageError(f"--no-face does not know {text!r}", f"it takes {', '.join(NoFace)}") from None


OnNoFace = Annotated[
    NoFace,
    typer.Option(
        "--no-face",
        parser=_no_face,
        metavar=f"<{'|'.join(NoFace)}>",
        autocompletion=lambda: list(map(str, NoFace)),
        help="A photo without a face is an error, or skipped, or (remember) noted as done so that later runs "
        "do not look again. It is never copied.",
    ),
]


Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs",
        "-j",
        min=1,
        help="Photos worked on at once, each by a process on one core; default: as many as cores and memory "
        "allow.",
    ),
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        "--include",
        help="Of a folder, take only what this pattern fits, as a name or a path below the folder: '*.jpg', "
        "'2024/*'. Repeat it for several.",
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", help="Of a folder, leave out what this pattern fits, or a whole subfolder."),
]
FilesFrom = Annotated[
    str | None,
    typer.Option(
        "--files-from",
        help="Take the names from this file, or - for standard input: one a line, or separated by NUL. "
        "Below an output folder they keep their folders.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and do nothing.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Work on the Dask cluster whose scheduler is at this address, such as tls://host:8786. Its "
        "workers must see the same folders, or the photos have addresses such as s3://bucket/folder.",
    ),
]
ByContent = Annotated[
    bool,
    typer.Option(
        "--by-content", help="Notice changed photos by their bytes and not by size and time alone; slower."
    ),
]


@dataclass(frozen=True)
class Album:
    """What a run over many photos was asked for."""

    tasks: Sequence[batch.Task]
    many: bool  # a single photo has no journal, no summary, and its error is the command's
    jobs: int | None = None
    force: bool = False
    journal: batch.Journal | None = None
    no_face: NoFace = NoFace.error
    cluster: str | None = None
    writes: bool = True
    apart: Path | None = None  # the folder of private files, where it is not the public ones'
    secret: bytes | None = field(default=None, repr=False)  # of stages


def named(paths: Sequence[Path] | None, listed: str | None) -> list[Path]:
    """The inputs that were typed and those of a list."""
    found = list(paths or [])
    if listed is not None:
        data = sys.stdin.buffer.read() if listed == "-" else files.read_file(Path(listed), limits.NAMES)
        names = data.split(b"\0") if b"\0" in data else data.splitlines()
        encoding = sys.getfilesystemencoding()
        found += [remote.place(name.decode(encoding, "surrogateescape")) for name in names if name]
    if not found:
        raise UsageError("no photo is named", "name photos or folders, or give --files-from a list of them")
    return found


def selection(
    recursive: bool, include: list[str] | None, exclude: list[str] | None, listed: str | None = None
) -> batch.Selection:
    """Which files of folders take part, from what was typed."""
    return batch.Selection(recursive, tuple(include or ()), tuple(exclude or ()), mirrored=listed is not None)


def is_many(tasks: Sequence[batch.Task], inputs: Sequence[Path]) -> bool:
    """Whether a run is one over many photos: a folder is, however few are in it."""
    return len(tasks) > 1 or files.is_folder(inputs[0])


def keeps_journal(inputs: Sequence[Path], listed: str | None) -> bool:
    """Whether a run can go on where an earlier one was cut off: folders and lists can, names typed do not."""
    return any(map(files.is_folder, inputs)) or listed is not None


def without_outputs(voice: Voice, inputs: list[Path]) -> list[Path]:
    """Several inputs, less the protected photos and private files that a pattern such as * brings along."""
    if len(inputs) == 1:
        return inputs
    own = (files.PUBLIC_SUFFIX, files.PRIVATE_SUFFIX, files.CHIP_SUFFIX)
    left = [path for path in inputs if not path.name.lower().endswith(own) or files.is_folder(path)]
    if len(left) < len(inputs):
        voice.note(f"{len(inputs) - len(left)} of the files named are outputs of photoguard: left alone")
    return left


def speak_of_others(voice: Voice, inputs: Sequence[Path], chosen: batch.Selection) -> None:
    """Say how many files of the folders are no photos that can be read, by their endings."""
    others = batch.no_photos(inputs, chosen)
    found = Counter(path.suffix.lower() or "without an ending" for path in others)
    if found:
        kinds = ", ".join(f"{count} {files.shown(kind)}" for kind, count in found.most_common())
        voice.note(f"note: files that are not read as photos, left alone: {kinds}")


def journal_for(voice: Voice, settings: str, by_content: bool, dry_run: bool) -> batch.Journal | None:
    """The journal of a run with these settings, where the user's secret for journals can be had."""
    from platformdirs import user_state_path

    key = journal_key(voice, make=not dry_run)
    home = user_state_path("photoguard") / "journals"
    return batch.Journal(key, settings.encode(), home, by_content) if key else None


def photos_noted(voice: Voice) -> Callable[[batch.Task], str | None]:
    """Which photo became a public file, as the journals of earlier runs have it."""
    journal = journal_for(voice, "", by_content=False, dry_run=True)
    return journal.source if journal else lambda _: None


def private_folder(
    voice: Voice, inputs: Sequence[Path], listed: str | None, output: Path | None, chosen: Path | None
) -> Path | None:
    """The folder for private files: the one chosen; for an album with an output folder one beside that.

    An output folder in which earlier runs or the photos lie keeps them: it is not only for sharing.
    """
    if chosen is not None or output is None or not keeps_journal(inputs, listed):
        return chosen
    place = output if remote.is_remote(output) else output.absolute()
    if not place.name or any(_lies_in(path, place) for path in inputs):
        return None
    if files.is_there(output / batch.JOURNAL):
        voice.note(f"{files.shown(output)} has private files of earlier runs: new ones go there too")
        return None
    return (output if output.name else place).with_name(place.name + files.APART)


def _lies_in(path: Path, folder: Path) -> bool:
    return folder in (path.absolute(), *path.absolute().parents)


def neutral_names(voice: Voice, output: Path | None) -> Callable[[Path], str]:
    """Names that say nothing of a photo and stay the same, so that a run can go on where it was cut off."""
    key = journal_key(voice)
    if key is None:
        return lambda _: secrets.token_hex(8)
    place = files.shown(output.absolute()) if output else ""

    def name(photo: Path) -> str:
        words = f"{place}\n{photo.absolute()}".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(words, key=key, person=b"names", digest_size=8).hexdigest()

    return name


def warn_of_secrets(voice: Voice, cluster: str | None, what: str) -> None:
    """Say that a secret will leave this machine in the clear."""
    if cluster is not None and not cluster.startswith("tls://"):
        voice.warn(f"your {what} goes to the cluster's workers in the clear; use a tls:// address")


def show_plan(
    voice: Voice, album: Album, verb: str, count: Callable[[Path], dict[str, int]] | None = None
) -> None:
    """What a run would do, photo by photo and in all; `count` tells of a photo's faces."""
    total: Counter[str] = Counter()
    for task in album.tasks:
        record: dict[str, Any] = {"source": str(task.source), "public": str(task.public), "would": verb}
        text = f"{files.shown(task.source)} -> {files.shown(task.public)}"
        try:
            files.read_file(task.source, count=1)
            if not album.force:
                if album.journal and album.journal.finished(task, note=False):
                    record["would"], text = "skip", f"{text}: nothing, an earlier run finished it"
                else:
                    files.refuse_existing(task.public)
            if count is not None and record["would"] == verb:
                counts = count(task.source)
                total.update(counts)
                record, text = record | counts, f"{text}: {counted(counts)}"
        except PhotoguardError as error:
            skipped = _faceless(error) and album.no_face is not NoFace.error
            record["would"], record["error"] = "skip" if skipped else "fail", str(error)
            text += f": nothing, {error}" if skipped else f": error: {error}"
        voice.result(text, record)
    in_all = f"; {counted(total)} in all" if count is not None else ""
    voice.note(f"{len(album.tasks)} photos{in_all}; nothing was done")


def counted(counts: Mapping[str, int]) -> str:
    """What becomes of faces, in words."""
    covered, uncertain, left = (counts.get(kind, 0) for kind in ("covered", "uncertain", "open"))
    text = f"{covered} {'face' if covered == 1 else 'faces'} covered"
    text += f" ({uncertain} uncertain)" if uncertain else ""
    return text + (f", {left} open" if left else "")


def work_through(
    voice: Voice, album: Album, work: Work, show: Callable[[dict[str, Any]], str], done: str
) -> None:
    """Work through an album, telling each outcome as it happens, and sum up honestly."""
    tally = Tally(done)
    in_hand = "finishing the photos in hand; press Ctrl-C again to stop at once"
    interruptible = graceful_sigint(lambda: voice.note(in_hand)) if album.many else nullcontext(lambda: False)
    with interruptible as stopping, voice.bar(len(album.tasks), "photo") as bar:
        for outcome in outcomes(album, work, stopping, voice.warn):
            if outcome.error is not None and not album.many:
                outcome.error.about = {"source": str(outcome.task.source)}
                raise outcome.error
            tally.add(outcome, album.no_face)
            _tell(voice, outcome, album, show)
            bar(1, tally.figures())
    if album.many:
        where = f"; private files are in {files.shown(album.apart)}" if album.apart else ""
        voice.note(tally.summary(len(album.tasks)) + where)
    if stopping():
        raise KeyboardInterrupt
    if tally.errors:
        raise BatchError(f"{len(tally.errors)} of {len(album.tasks)} photos failed")


def outcomes(
    album: Album, work: Work, stopping: Callable[[], bool], tell: Callable[[str], None] = lambda notice: None
) -> Iterator[Outcome]:
    """The outcomes of an album's photos, with a journal where it has one."""
    pool = None
    if album.many:
        pool = replace(batch.Pool.of_machine(album.jobs, len(album.tasks)), secret=album.secret)

    def do(tasks: Any) -> Any:
        if album.cluster is not None:
            return batch.cluster.run(tasks, work, album.cluster, stopping)
        return batch.run(tasks, work, pool, stopping)

    def outputs(outcome: batch.Outcome[Report]) -> Sequence[Path] | None:
        if _faceless(outcome.error):
            return () if album.no_face is NoFace.remember else None
        return None if outcome.result is None else outcome.result.outputs

    if album.journal is None:
        if album.many and album.writes:
            for notice in batch.tidy(album.tasks, album.secret):
                tell(notice)
        return do(album.tasks)  # type: ignore[no-any-return]
    return batch.resumed(album.tasks, album.journal, do, outputs, album.force, tell)


def _faceless(error: PhotoguardError | None) -> bool:
    return isinstance(error, NoFaceError) and not isinstance(error, DoubtError)


def _tell(voice: Voice, outcome: Outcome, album: Album, show: Callable[[dict[str, Any]], str]) -> None:
    source = files.shown(outcome.task.source)
    if isinstance(outcome.result, batch.Skipped):
        record = {"source": str(outcome.task.source), "skipped": "finished by an earlier run"}
        voice.result(f"{source}: finished by an earlier run", record) if voice.json else voice.detail(
            f"{source}: finished by an earlier run"
        )
    elif outcome.result is not None:
        record = outcome.result.record
        text = f"{source}: done" if "outputs" in record else show(record)
        voice.result(text.partition("\n")[0] if voice.quiet else text, record)
        for line in _details(record):
            voice.detail(line)
        for notice in outcome.result.notices:
            voice.note(f"note: {source}: {notice}")
    elif outcome.error is not None and _faceless(outcome.error) and album.no_face is not NoFace.error:
        record = {"source": str(outcome.task.source), "skipped": "no face was found; nothing was written"}
        voice.result(f"{source}: no face was found; nothing was written", record)
    elif outcome.error is not None and voice.json:
        error = {"error": str(outcome.error), "hint": outcome.error.hint, "exit": outcome.error.exit_code}
        voice.result("", {"source": str(outcome.task.source), **error})
    elif outcome.error is not None:
        complain(outcome.error)


def _details(record: dict[str, Any]) -> list[str]:
    """What the curious are told of a photo: its covers one by one, or what is known of the original."""
    covers = [
        f"  cover {number}: {width} x {height} at {x},{y}, {record['method']}"
        for number, (x, y, width, height) in enumerate(record.get("covers", ()), start=1)
    ]
    if record.get("name"):
        covers.append(f"  the original was called {files.shown(record['name'])}")
    return covers


class Tally:
    """What a run has come to so far."""

    def __init__(self, done: str) -> None:
        self.done = done
        self.worked = self.earlier = self.faceless = self.faces = self.bytes = 0
        self.errors: list[PhotoguardError] = []

    def add(self, outcome: Outcome, no_face: NoFace) -> None:
        """Count one outcome."""
        if isinstance(outcome.result, batch.Skipped):
            self.earlier += 1
        elif outcome.result is not None:
            self.worked += 1
            self.faces += outcome.result.faces
            self.bytes += outcome.result.size
        elif _faceless(outcome.error) and no_face is not NoFace.error:
            self.faceless += 1
        elif outcome.error is not None:
            self.errors.append(outcome.error)

    def figures(self) -> dict[str, Any]:
        """What the progress bar shows beside the count."""
        return {"faces": self.faces, "bytes": self.bytes, "failed": len(self.errors)}

    def summary(self, total: int) -> str:
        """One honest line."""
        parts = [f"{self.worked} of {total} photos {self.done}"]
        parts += [f"{self.earlier} finished by an earlier run"] if self.earlier else []
        parts += [f"{self.faceless} without a face left alone"] if self.faceless else []
        parts += [f"{len(self.errors)} failed"] if self.errors else []
        left = total - self.worked - self.earlier - self.faceless - len(self.errors)
        return ", ".join(parts + ([f"{left} not begun"] if left else []))


def one_by_one(voice: Voice, what: str, paths: list[Path], work: Callable[[int], None]) -> None:
    """All of them, whatever happens to one; the only one's failure is the command's own."""
    failed = 0
    for number in range(len(paths)):
        try:
            work(number)
        except PhotoguardError as error:
            if len(paths) == 1:
                error.about = {what: str(paths[number])}
                raise
            if voice.json:
                told = {"error": str(error), "hint": error.hint, "exit": error.exit_code}
                voice.result("", {what: str(paths[number]), **told})
            else:
                complain(error)
            failed += 1
    if failed:
        raise BatchError(f"{failed} of {len(paths)} failed")

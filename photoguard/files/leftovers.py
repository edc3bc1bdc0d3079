"""What killed runs left in a folder: finished or removed where it is certainly the user's own."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path

from photoguard.errors import OutputExistsError
from photoguard.files import listing, remote, staging
from photoguard.files.folders import HANDLES, Folder, held
from photoguard.files.listing import EARLIER, LIST, LIST_BYTES, STAGE, Listing
from photoguard.files.names import STAGING, shown
from photoguard.files.staging import writing

NEWBORN_SECONDS = 60  # an empty stage this young may belong to a run that is about to lock it


@dataclass(frozen=True)
class Tidied:
    """What became of stages in a folder."""

    finished: tuple[Path, ...] = ()  # outputs that are in place now
    left: tuple[Path, ...] = ()

    @property
    def notices(self) -> tuple[str, ...]:
        """What a person should know of what was left alone."""
        return tuple(
            f"{shown(path)} looks like the rest of a killed run and was left alone: it is not certain that "
            "it is yours and can be finished. Look into it, and remove it yourself"
            for path in self.left
        )


class _StrangeError(Exception):
    """A stage that is not certainly the user's own."""


class _BusyError(Exception):
    """A stage whose run is, or may be, still at work."""


def finish_killed_runs(folder: Path, secret: bytes | None = None, done: Set[Path] = frozenset()) -> Tidied:
    """Finish what killed runs had decided in a folder and remove what they had not.

    Only stages that the user made with this secret are touched, and in them only what their list names. A
    stage of which nothing has arrived is removed where all that it holds was done again: `done` has that.
    """
    finished: list[Path] = []
    left: list[Path] = []
    if remote.is_remote(folder):
        return Tidied()  # nothing of a run lies there but its outputs
    with writing(folder):
        for beside, name in _stages(folder):
            try:
                with _checked(beside, name, secret) as (inside, found):
                    again = {folder / output for output in found.outputs} <= done
                    needless = again and all(inside.has(output) for output in found.outputs)
                    settled = _settle(beside, inside, Listing(found.outputs) if needless else found)
                    finished += [folder / output for output in settled]
                with contextlib.suppress(OSError):  # somebody renamed it meanwhile: it is empty
                    beside.remove(name)
            except (_BusyError, FileNotFoundError):  # another run is at it, or was quicker
                continue
            except (_StrangeError, OutputExistsError):  # a person must look at it
                left.append(folder / name)
    return Tidied(tuple(finished), tuple(left))


def unfinished(folder: Path, secret: bytes | None) -> tuple[Path, ...]:
    """Outputs that a killed run has decided on and not put in place: what lies there may not fit together."""
    found: list[Path] = []
    if remote.is_remote(folder):
        return ()
    for beside, name in _stages(folder):
        with contextlib.suppress(_BusyError, _StrangeError, OSError), _checked(beside, name, secret) as stage:
            inside, listed = stage
            found += [folder / output for output in listed.outputs if listed.decided and inside.has(output)]
    return tuple(found)


def _stages(folder: Path) -> Iterator[tuple[Folder, str]]:
    try:
        context = held(folder)
        beside = context.__enter__()
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # whoever writes there says so
        return
    try:
        for name in beside.names():
            if name.startswith(STAGING) and (STAGE.fullmatch(name) or EARLIER.fullmatch(name)):
                yield beside, name
    finally:
        context.__exit__(None, None, None)


def _settle(beside: Folder, inside: Folder, found: Listing) -> list[str]:
    """Finish or empty a stage; the outputs that are in place now."""
    if not found.decided:
        staging.empty(inside, found)
        return []
    waiting = [name for name in found.outputs if inside.has(name)]
    staging.put_in_place(beside, inside, found)
    return waiting


@contextlib.contextmanager
def _checked(beside: Folder, name: str, secret: bytes | None) -> Iterator[tuple[Folder, Listing]]:
    """A stage with its list, locked, once it is certain that the user made it and all that it holds."""
    inside = _locked(beside, name)
    try:
        kind, held_names = inside.kind(), inside.names()
        if not os.path.samestat(kind, beside.kind(name)):
            raise _BusyError
        if not held_names and time.time() - kind.st_mtime < NEWBORN_SECONDS:
            raise _BusyError
        owned = HANDLES and kind.st_uid == os.geteuid() and stat.S_IMODE(kind.st_mode) & 0o777 == 0o700
        if secret is None or not owned or not listing.is_own(secret, name, beside):
            raise _StrangeError
        yield inside, _listed(inside, held_names, secret, name)
    finally:
        inside.close()


def _locked(beside: Folder, name: str) -> Folder:
    try:
        return staging.locked(beside, name)
    except BlockingIOError:
        raise _BusyError from None
    except FileNotFoundError:
        raise
    except OSError as error:  # a link, a file, somebody else's
        kind = beside.kind(name)
        young = time.time() - kind.st_mtime < NEWBORN_SECONDS
        if error.errno == errno.EACCES and stat.S_ISDIR(kind.st_mode) and young:
            raise _BusyError from None
        raise _StrangeError from None


def _listed(inside: Folder, held_names: list[str], secret: bytes, name: str) -> Listing:
    """The list of a stage, which must name every file in it."""
    if not held_names:
        return Listing()
    kinds = {one: inside.kind(one) for one in held_names}
    if LIST not in kinds or kinds[LIST].st_size > LIST_BYTES:
        raise _StrangeError
    if not all(stat.S_ISREG(kind.st_mode) for kind in kinds.values()):
        raise _StrangeError
    found = listing.read(inside, secret, name)
    if not set(held_names) <= {LIST, *found.outputs}:
        raise _StrangeError
    return found

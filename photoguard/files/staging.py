"""Putting whole outputs in place: all of them or none."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from photoguard.errors import OutputExistsError, PhotoguardError, UnwritableError
from photoguard.files import listing, remote
from photoguard.files.folders import Folder, held
from photoguard.files.listing import LIST, REPLACE
from photoguard.files.names import PRIVATE_SUFFIX, STAGING, shown

try:
    import fcntl
except ImportError:  # Windows: there stages have no lock, and what is left of them is left alone
    fcntl = None  # type: ignore[assignment]

# where a file gets no second name: no hard links here, or no room for one (some systems count them as files)
NO_LINK = {
    errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.ENOSPC, errno.EDQUOT,
}  # fmt: skip


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn what the system says while writing into our error."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: ("the disk is full", "free some space; nothing was written"),
            errno.EDQUOT: ("the disk quota is used up", "free some space; nothing was written"),
            errno.EROFS: ("the file system is read-only", "choose another folder with -o"),
            errno.EACCES: ("no permission", "choose another folder with -o"),
            errno.EPERM: ("no permission", "choose another folder with -o"),
            errno.EEXIST: ("a file of that name is in the way", "choose another folder with -o"),
            errno.ENOTDIR: ("a part of its path is a file", "choose another folder with -o"),
            errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one with -o"),
        }
        why, hint = reasons.get(error.errno or 0, (error.strerror or str(error), ""))
        raise UnwritableError(f"cannot write {shown(target)}: {why}", hint) from None
    except Exception as error:
        if isinstance(error, PhotoguardError) or not remote.is_remote(target):
            raise
        raise UnwritableError(f"cannot write {shown(target)}: {error}") from None


def refuse_existing(target: Path, option: str = "-o") -> None:
    """Raise when something is already at the target; `option` is the one that names it."""
    with writing(target):
        taken = target.exists() or target.is_symlink()
    if taken:
        raise in_the_way(target, option)


@dataclass(frozen=True)
class Output:
    """One output in a stage."""

    inside: Folder
    name: str

    def read_bytes(self) -> bytes:
        """What lies on disk."""
        return self.inside.read(self.name)


@dataclass
class Stage:
    """A hidden folder beside the targets in which outputs grow until all of them are whole.

    A line in its list is the one step that decides: before it nothing happened, after it every output will
    be in place; if the process dies while moving them the next run with the same secret finishes the move.
    """

    folder: Path
    force: bool
    beside: Folder
    inside: Folder
    list: listing.Writer

    def add(self, name: str, data: bytes, mode: int | None = None, at_most: int = 0o666) -> Output:
        """Write one output into the stage, on disk for certain.

        A `mode` holds whatever the umask; without one the umask narrows `at_most`.
        """
        with writing(self.folder / name):
            self.list.output(name)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            handle = self.inside.open(name, flags, at_most if mode is None else mode)
            with os.fdopen(handle, "wb") as file:
                if mode is not None and hasattr(os, "fchmod"):
                    os.fchmod(handle, mode)
                file.write(data)
                file.flush()
                os.fsync(handle)
        return Output(self.inside, name)

    def publish(self) -> None:
        """Put all outputs in place, `.priv` before `.pub.png`, which is useless without it."""
        if remote.is_remote(self.folder):
            with writing(self.folder):
                self._upload()
            return
        self.decide()
        self.finish()

    def refuse(self) -> None:
        """Raise when something is in the way of an output."""
        for name in self.list.listing.outputs:
            _refuse(self.beside, name, self.force)

    def decide(self) -> None:
        """Note that all outputs are whole and will be put in place."""
        with writing(self.folder):
            self.refuse()
            self.inside.sync()
            self.list.decide(self.force)

    def finish(self) -> None:
        """Put in place what was decided."""
        try:
            put_in_place(self.beside, self.inside, self.list.listing)
            self._remove()
        except OSError as error:
            where = shown(self.inside.path)
            hint = f"the outputs are whole in {where}; the next run in that folder puts them in place"
            if self.list.secret is None:
                hint = f"the outputs are whole in {where}; move them from there"
            raise UnwritableError(
                f"cannot write {shown(self.folder)}: {error.strerror or error}", hint
            ) from None

    def close(self) -> None:
        """Remove it with all that was not decided."""
        if not self.list.listing.decided:
            empty(self.inside, self.list.listing)
            self._remove()

    def _remove(self) -> None:
        with contextlib.suppress(OSError):  # somebody renamed it meanwhile: it is empty
            self.beside.remove(self.inside.path.name)

    def _upload(self) -> None:
        """One whole object after the other; a server has no step that puts several in place at once."""
        names = sorted(self.list.listing.outputs, key=_private_first)
        if not self.force:
            for name in names:
                refuse_existing(self.folder / name)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (self.folder / name).write_bytes(self.inside.read(name))


def publish_apart(private: Stage, public: Stage) -> None:
    """Put outputs in place in two folders: what is private is whole in its own before the public picture.

    Where they replace an earlier pair, both are decided first, so that no moment loses both private files.
    """
    if remote.is_remote(private.folder) or remote.is_remote(public.folder):
        private.publish()
        public.publish()
        return
    with writing(public.folder):
        public.refuse()
    private.decide()
    if public.force:
        public.decide()
    private.finish()
    if not public.force:
        public.decide()
    public.finish()


def _private_first(name: str) -> tuple[bool, str]:
    return not name.endswith(PRIVATE_SUFFIX), name


def in_the_way(target: Path, option: str = "-o") -> OutputExistsError:
    """Something has the name of an output."""
    hint = f"choose another name with {option}, or --force to overwrite it"
    return OutputExistsError(f"{shown(target)} already exists", hint)


def _refuse(beside: Folder, name: str, force: bool) -> None:
    if not beside.has(name):
        return
    if not force:
        raise in_the_way(beside.path / name)
    if stat.S_ISDIR(beside.kind(name).st_mode):
        raise OutputExistsError(f"{shown(beside.path / name)} is a folder", "choose another name")


def put_in_place(beside: Folder, inside: Folder, decided: listing.Listing) -> None:
    """Move the outputs of a stage to their names, those that are still in it."""
    for name in sorted(decided.outputs, key=_private_first):
        if inside.has(name):
            _place(beside, inside, name, force=decided.decided == REPLACE)
    beside.sync()
    empty(inside, listing.Listing())


def _place(beside: Folder, inside: Folder, name: str, force: bool) -> None:
    """Move a file to its final name; without `force` an existing target is an error, never replaced."""
    if force:
        inside.move(name, beside)
        return
    try:
        inside.link(name, beside)
    except FileExistsError:
        if not os.path.samestat(beside.kind(name), inside.kind(name)):  # the same: killed before the unlink
            raise in_the_way(beside.path / name) from None
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        _refuse(beside, name, force=False)
        inside.move(name, beside)
        return
    inside.unlink(name)


def empty(inside: Folder, held: listing.Listing) -> None:
    """Remove the outputs of a stage, and its list last: until then it tells what may be removed."""
    for name in (*held.outputs, LIST):
        with contextlib.suppress(FileNotFoundError):
            inside.unlink(name)


@contextlib.contextmanager
def staged(folder: Path, force: bool = False, secret: bytes | None = None) -> Iterator[Stage]:
    """A stage for outputs in `folder`; whatever was not published is gone afterwards.

    What a killed run leaves is finished or removed by `finish_killed_runs` with the same secret, without one
    by nobody.
    """
    if remote.is_remote(folder):
        with tempfile.TemporaryDirectory(prefix=STAGING) as scratch, held(Path(scratch)) as inside:
            yield Stage(folder, force, inside, inside, listing.Writer(inside, None, ""))
        return
    with contextlib.ExitStack() as open_folders:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            beside = open_folders.enter_context(held(folder))
            name = listing.new_name(secret, beside)
            beside.make(name)
            try:
                inside = locked(beside, name)
            except OSError:
                beside.remove(name)
                raise
        stage = Stage(folder, force, beside, inside, listing.Writer(inside, secret, name))
        try:
            yield stage
        finally:
            stage.close()
            inside.close()


def locked(beside: Folder, name: str) -> Folder:
    """A stage with the lock that its run holds as long as it lives; raises where somebody else does."""
    inside = beside.inside(name)
    if fcntl is not None and inside.handle is not None:
        try:
            fcntl.flock(inside.handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            inside.close()
            raise
    return inside


def write_whole(path: Path, data: bytes) -> None:
    """Write or replace one file; when the disk fills up or the process dies, what was there stays.

    Its draft always has the same name: the next call takes away what a killed one left.
    """
    draft = path.with_name(f".{path.name}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        try:
            with draft.open("xb") as file:  # a new file: a link of that name is not followed
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        with held(path.parent) as folder:
            folder.sync()


def write_secret(path: Path, text: str) -> None:
    """Write a new file that only its owner can read; an existing one is never touched."""
    with writing(path):
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise in_the_way(path) from None
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(handle)
        except OSError:
            path.unlink()  # torn, it would be taken for a damaged one
            raise

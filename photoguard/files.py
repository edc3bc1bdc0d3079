"""Reading inputs safely, and putting whole outputs in place: all of them or none."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from photoguard import remote
from photoguard.errors import OutputExistsError, PhotoguardError, UnreadableError, UnwritableError

try:
    import fcntl
except ImportError:  # Windows: abandoned staging folders are then told by their age alone
    fcntl = None  # type: ignore[assignment]

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
)
PHOTO_SUFFIXES |= {".heic", ".heif", ".hif", ".avif"}
PUBLIC_SUFFIX, PRIVATE_SUFFIX, CHIP_SUFFIX = ".pub.png", ".priv", ".avp.png"
RESTORED_SUFFIX = ".restored.png"
STAGING = ".photoguard-"
COMMITTED = ".done"
STAGE = re.compile(re.escape(STAGING) + r"[0-9a-f]{16}(\.force)?(\.done)?")
NEWBORN_SECONDS = 60  # an empty staging folder this young may belong to a run that is about to lock it


def shown(path: Path | str) -> str:
    """A path as one printable line, whatever bytes its name holds."""
    text = str(path)
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def is_there(path: Path) -> bool:
    """Whether something has this name; a name that nothing can have, such as a long key, is not there."""
    try:
        return path.exists()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether a folder has this name."""
    try:
        return path.is_dir()
    except OSError:
        return False
    except Exception as error:  # each kind of server has errors of its own, such as no credentials
        if not remote.is_remote(path):
            raise
        raise UnreadableError(f"{shown(path)} cannot be reached: {error}") from None


def means_folder(path: Path) -> bool:
    """Whether a folder is meant by the name after -o: one that is there, or any without a suffix."""
    return is_folder(path) or path.suffix == ""


def is_same(one: Path, other: Path) -> bool:
    """Whether two names lead to the same file."""
    return is_there(one) and is_there(other) and one.samefile(other)


def read_file(path: Path, limit: int = 1 << 31, count: int = -1) -> bytes:
    """All bytes of a regular file, or the first `count`, or an error that names what stands in the way."""
    name = shown(path)
    try:
        kind = path.stat()
        if stat.S_ISDIR(kind.st_mode):
            raise UnreadableError(
                f"{name} is a folder", "name the files in it, or give the folder to `encrypt`"
            )
        if not stat.S_ISREG(kind.st_mode):
            raise UnreadableError(f"{name} is not a regular file", "pipes, sockets and devices are not read")
        if kind.st_size > limit:
            raise UnreadableError(f"{name} has {kind.st_size} bytes, more than the {limit} that are read")
        with path.open("rb") as file:
            data = file.read(count)
    except FileNotFoundError:
        raise UnreadableError(f"{name} does not exist", "check the spelling and the folder") from None
    except PermissionError:
        raise UnreadableError(f"no permission to read {name}", "check its owner and mode") from None
    except OSError as error:
        why = "its symbolic links form a loop" if error.errno == errno.ELOOP else error.strerror or error
        raise UnreadableError(f"{name} cannot be read: {why}") from None
    except Exception as error:  # each kind of server has errors of its own
        if isinstance(error, PhotoguardError) or not remote.is_remote(path):
            raise
        raise UnreadableError(f"{name} cannot be read: {error}") from None
    if not data:
        raise UnreadableError(f"{name} is empty", "it may be an unfinished copy or download")
    return data


def is_own_output(path: Path) -> bool:
    """Whether the name is one that photoguard gives to its own files."""
    name = path.name.lower()
    endings = (PUBLIC_SUFFIX, PRIVATE_SUFFIX, CHIP_SUFFIX, RESTORED_SUFFIX)
    return name.endswith(endings) or name.startswith(STAGING)


def photos_in(
    folder: Path, recursive: bool, leaves_out: Callable[[Path], bool] = lambda _: False
) -> list[Path]:
    """The photos of a folder in name order: no hidden files and no outputs of ours.

    Subfolders that `leaves_out` says are left out are not even looked into.
    """
    return [
        path
        for path in _files_in(folder, recursive, leaves_out)
        if path.suffix.lower() in PHOTO_SUFFIXES and not is_own_output(path)
    ]


def pictures_in(
    folder: Path, recursive: bool, leaves_out: Callable[[Path], bool] = lambda _: False
) -> list[Path]:
    """The public pictures of a folder in name order."""
    found = _files_in(folder, recursive, leaves_out)
    return [path for path in found if path.name.lower().endswith(PUBLIC_SUFFIX)]


def _files_in(
    folder: Path, recursive: bool, leaves_out: Callable[[Path], bool], root: Path | None = None
) -> Iterator[Path]:
    """No hidden files, no links to other folders, which could lead around, and none out of the tree."""
    root = root or (folder if remote.is_remote(folder) else folder.resolve())
    try:
        entries = sorted(folder.iterdir())
    except Exception as error:
        if not isinstance(error, OSError) and not remote.is_remote(folder):
            raise
        why = getattr(error, "strerror", None) or error
        hint = "--exclude leaves a subfolder out"
        raise UnreadableError(f"cannot list {shown(folder)}: {why}", hint) from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        link = entry.is_symlink()
        if not entry.is_dir():
            # realpath and not resolve, which does not bear links in a ring
            if not link or Path(os.path.realpath(entry)).is_relative_to(root):
                yield entry
        elif recursive and not link and not leaves_out(entry):
            yield from _files_in(entry, recursive, leaves_out, root)


def stem_of(path: Path, suffix: str) -> str:
    """`photo` of `photo.pub.png`; without that ending, the name less its last suffix."""
    return path.name[: -len(suffix)] if path.name.lower().endswith(suffix) else path.stem


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


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _lock(folder: Path) -> int:
    handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0))
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise
    return handle


def _place(source: Path, target: Path, force: bool) -> None:
    """Move a file to its final name; without `force` an existing target is an error, never replaced."""
    if force:
        source.replace(target)
        return
    try:
        os.link(source, target)
    except FileExistsError:
        if not target.samefile(source):  # the same: killed between link and unlink
            raise OutputExistsError(
                f"{shown(target)} already exists", "choose another name with -o, or --force to overwrite it"
            ) from None
    except OSError as error:  # a file system without hard links
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        refuse_existing(target)
        source.replace(target)
        return
    source.unlink()


def refuse_existing(target: Path) -> None:
    """Raise when something is already at the target."""
    with writing(target):
        taken = target.exists() or target.is_symlink()
    if taken:
        raise OutputExistsError(
            f"{shown(target)} already exists", "choose another name with -o, or --force to overwrite it"
        )


@dataclass
class Stage:
    """A hidden folder beside the targets in which outputs grow until all of them are whole.

    Its rename to `.done` is the one atomic step that decides: before it nothing happened, after it every
    output will be in place, and if the process dies while moving them the next run finishes the move.
    """

    folder: Path
    path: Path
    force: bool

    def add(self, name: str, data: bytes, mode: int = 0o666) -> Path:
        """Write one output into the stage, on disk for certain, and return where it is for now."""
        path = self.path / name
        with writing(self.folder / name):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        return path

    def publish(self) -> None:
        """Put all outputs in place, `.priv` before `.pub.png`, which is useless without it."""
        with writing(self.folder):
            if remote.is_remote(self.folder):
                self._upload()
                return
            for path in self.path.iterdir():
                if not self.force:
                    refuse_existing(self.folder / path.name)
                elif (self.folder / path.name).is_dir():
                    raise OutputExistsError(
                        f"{shown(self.folder / path.name)} is a folder", "choose another name"
                    )
            _sync(self.path)
            done = self.path.with_name(self.path.name + (".force" if self.force else "") + COMMITTED)
            self.path.rename(done)
            self.path = done
            _sync(self.folder)
            _finish(done)

    def _upload(self) -> None:
        """One whole object after the other; a server has no step that puts several in place at once."""
        for path in sorted(self.path.iterdir(), key=_private_first):
            if not self.force:
                refuse_existing(self.folder / path.name)
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.path.iterdir(), key=_private_first):
            (self.folder / path.name).write_bytes(path.read_bytes())


def _private_first(path: Path) -> tuple[bool, str]:
    return not path.name.endswith(PRIVATE_SUFFIX), path.name


def _finish(done: Path) -> None:
    force = done.name.endswith(".force" + COMMITTED)
    for path in sorted(done.iterdir(), key=_private_first):
        _place(path, done.parent / path.name, force)
    _sync(done.parent)
    done.rmdir()


@contextlib.contextmanager
def staged(folder: Path, force: bool = False, tidy: bool = True) -> Iterator[Stage]:
    """A stage for outputs in `folder`; whatever was not published is gone afterwards."""
    if remote.is_remote(folder):
        with tempfile.TemporaryDirectory(prefix=STAGING) as scratch:
            yield Stage(folder, Path(scratch), force)
        return
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if tidy:
            _clean_up(folder)
        path = folder / f"{STAGING}{secrets.token_hex(8)}"
        path.mkdir(mode=0o700)
        handle = _lock(path)
    stage = Stage(folder, path, force)
    try:
        yield stage
    finally:
        os.close(handle)
        _discard(stage.path)


def _discard(path: Path) -> None:
    if path.name.endswith(COMMITTED) or not path.is_dir():
        return
    for left in path.iterdir():
        left.unlink()
    path.rmdir()


def finish_killed_runs(folder: Path) -> None:
    """Finish what killed runs had decided in a folder and remove what they had not."""
    if remote.is_remote(folder):
        return  # nothing of a run lies there but its outputs
    with writing(folder):
        _clean_up(folder)


def _clean_up(folder: Path) -> None:
    for path in folder.glob(f"{STAGING}*"):
        if not STAGE.fullmatch(path.name):
            continue
        try:
            handle = _lock(path)
        except OSError:
            continue  # its run is still at work, or it is no folder
        try:
            if not _may_be_ours(handle, folder):
                continue
            if path.name.endswith(COMMITTED):
                _finish(path)
            elif any(path.iterdir()) or time.time() - path.stat().st_mtime > NEWBORN_SECONDS:
                _discard(path)
        except (FileNotFoundError, OutputExistsError):
            continue  # another run was quicker, or both files must stay for a person to look at
        finally:
            os.close(handle)


def _may_be_ours(handle: int, folder: Path) -> bool:
    """In a folder that many may write to, a stage of somebody else's would make us move files for them."""
    owner = os.fstat(handle).st_uid
    return os.name != "posix" or owner in (os.geteuid(), folder.stat().st_uid)


def write_secret(path: Path, text: str) -> None:
    """Write a new file that only its owner can read; an existing one is never touched."""
    with staged(path.parent) as stage:
        stage.add(path.name, text.encode(), mode=0o600)
        stage.publish()


def readable_by_others(path: Path) -> bool:
    """Whether group or others may read a file that holds a secret."""
    return os.name == "posix" and bool(path.stat().st_mode & 0o077)


def public_name(source: Path, whole_name: bool = False) -> str:
    """`photo.pub.png` for photo.jpg; `photo.jpg.pub.png` where another photo claims that name."""
    return (source.name if whole_name else source.stem) + PUBLIC_SUFFIX


def private_beside(public: Path) -> Path:
    """`photo.priv` beside photo.pub.png."""
    return public.with_name(stem_of(public, PUBLIC_SUFFIX) + PRIVATE_SUFFIX)


def chip_beside(public: Path, number: int) -> Path:
    """`photo.face2.avp.png` beside photo.pub.png."""
    return public.with_name(f"{stem_of(public, PUBLIC_SUFFIX)}.face{number}{CHIP_SUFFIX}")

"""Reading inputs safely, and listing folders."""

from __future__ import annotations

import errno
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from photoguard.errors import PhotoguardError, UnreadableError
from photoguard.files import remote
from photoguard.files.names import (
    APART,
    PHOTO_SUFFIXES,
    PRIVATE_SUFFIX,
    PUBLIC_SUFFIX,
    is_folder,
    is_own_output,
    shown,
    stem_of,
)

DEEPEST = 8  # levels of an album in which a picture finds its private file


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


def others_in(
    folder: Path, recursive: bool, leaves_out: Callable[[Path], bool] = lambda _: False
) -> list[Path]:
    """The files of a folder that are neither photos nor ours, hidden ones aside."""
    return [
        path
        for path in _files_in(folder, recursive, leaves_out)
        if path.suffix.lower() not in PHOTO_SUFFIXES and not is_own_output(path)
    ]


def pictures_in(
    folder: Path, recursive: bool, leaves_out: Callable[[Path], bool] = lambda _: False
) -> list[Path]:
    """The public pictures of a folder in name order."""
    found = _files_in(folder, recursive, leaves_out)
    return [path for path in found if path.name.lower().endswith(PUBLIC_SUFFIX)]


def secrets_in(folder: Path, recursive: bool) -> list[Path]:
    """The private files of a folder in name order."""
    found = _files_in(folder, recursive, lambda _: False)
    return [path for path in found if path.name.lower().endswith(PRIVATE_SUFFIX)]


def private_files(folder: Path) -> dict[str, tuple[Path, ...]]:
    """A folder's private files by the stem of their picture: of a, these are a.priv and then a.ana.priv.

    Where a.ana.pub.png lies there too, a.ana.priv is that picture's alone.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    try:
        entries = sorted(folder.iterdir())
    except OSError:  # the picture itself says what is wrong there
        return {}
    pictures = {stem_of(path, PUBLIC_SUFFIX) for path in entries if path.name.lower().endswith(PUBLIC_SUFFIX)}
    for path in entries:
        if path.name.endswith(PRIVATE_SUFFIX):
            words = path.name.removesuffix(PRIVATE_SUFFIX).split(".")
            for count in range(len(words), 0, -1):
                stem = ".".join(words[:count])
                found[stem].append(path)
                if stem in pictures:
                    break
    return {
        stem: tuple(sorted(paths, key=lambda path: path.name != stem + PRIVATE_SUFFIX))
        for stem, paths in found.items()
    }


def private_folders(folder: Path) -> tuple[Path, ...]:
    """Where the private files of a folder's pictures lie: in it, or where they were kept apart from an album.

    For shared/sea these are shared/sea, shared/sea.private and shared.private/sea.
    """
    found, below = [folder], Path()
    above = folder if remote.is_remote(folder) else folder.absolute()
    for _ in range(DEEPEST):
        if not above.name:
            break
        found.append(above.with_name(above.name + APART).joinpath(*below.parts))
        above, below = above.parent, above.name / below
    return (folder, *(one for one in found[1:] if is_folder(one)))


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


def readable_by_others(path: Path) -> bool:
    """Whether group or others may read a file that holds a secret."""
    return os.name == "posix" and bool(path.stat().st_mode & 0o077)

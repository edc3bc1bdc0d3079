"""Names: those that outputs get, and whether something has one."""

from __future__ import annotations

from pathlib import Path

from photoguard.errors import UnreadableError
from photoguard.files import remote

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
)
PHOTO_SUFFIXES |= {".heic", ".heif", ".hif", ".avif"}
PUBLIC_SUFFIX, PRIVATE_SUFFIX, CHIP_SUFFIX = ".pub.png", ".priv", ".avp.png"
RESTORED_SUFFIX = ".restored.png"
APART = ".private"  # what the folder of an album's private files is called after the album's own
STAGING = ".photoguard-"


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


def is_own_output(path: Path) -> bool:
    """Whether the name is one that photoguard gives to its own files."""
    name = path.name.lower()
    endings = (PUBLIC_SUFFIX, PRIVATE_SUFFIX, CHIP_SUFFIX, RESTORED_SUFFIX)
    return name.endswith(endings) or name.startswith(STAGING)


def stem_of(path: Path, suffix: str) -> str:
    """`photo` of `photo.pub.png`; without that ending, the name less its last suffix."""
    return path.name[: -len(suffix)] if path.name.lower().endswith(suffix) else path.stem


def public_name(source: Path, whole_name: bool = False) -> str:
    """`photo.pub.png` for photo.jpg; `photo.jpg.pub.png` where another photo claims that name."""
    return (source.name if whole_name else source.stem) + PUBLIC_SUFFIX


def private_beside(public: Path, apart: Path | None = None) -> Path:
    """`photo.priv` beside photo.pub.png, or in a folder apart."""
    return (apart or public.parent) / (stem_of(public, PUBLIC_SUFFIX) + PRIVATE_SUFFIX)


def chip_beside(public: Path, number: int) -> Path:
    """`photo.face2.avp.png` beside photo.pub.png."""
    return public.with_name(f"{stem_of(public, PUBLIC_SUFFIX)}.face{number}{CHIP_SUFFIX}")

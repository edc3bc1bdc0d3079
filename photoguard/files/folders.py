"""Folders held open: what is done in one is done there, whatever its name leads to meanwhile.

Systems without such handles (Windows) look names up by their path each time. There nothing that a killed run
left is ever touched, so a name that leads elsewhere misleads nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CALLS = {os.open, os.stat, os.mkdir, os.rmdir, os.unlink, os.link, os.rename}
HANDLES = os.supports_dir_fd >= CALLS and os.listdir in os.supports_fd
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # a pipe would keep us waiting
FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True)
class Folder:
    """A folder by its handle, or by its path where there are none."""

    path: Path
    handle: int | None

    def inside(self, name: str) -> Folder:
        """Hold a folder in this one, which must not be a link; the caller closes it."""
        if self.handle is None:
            return Folder(self.path / name, None)
        return Folder(self.path / name, os.open(name, FOLDER | NOFOLLOW, dir_fd=self.handle))

    def close(self) -> None:
        """Let go of it."""
        if self.handle is not None:
            os.close(self.handle)

    def names(self) -> list[str]:
        """What lies in it."""
        return os.listdir(self.path if self.handle is None else self.handle)  # noqa: PTH208 - takes a handle

    def kind(self, name: str | None = None) -> os.stat_result:
        """What the system says of a thing in it, not of where a link leads, or of the folder itself."""
        if name is None:
            return self.path.stat() if self.handle is None else os.fstat(self.handle)
        return os.stat(self._at(name), dir_fd=self.handle, follow_symlinks=False)

    def has(self, name: str) -> bool:
        """Whether something has this name, be it a link to nowhere."""
        try:
            self.kind(name)
        except FileNotFoundError:
            return False
        return True

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Open a file that is no link, without waiting for anybody."""
        return os.open(self._at(name), flags | NOFOLLOW | NONBLOCK, mode, dir_fd=self.handle)

    def read(self, name: str) -> bytes:
        """A file's bytes."""
        with os.fdopen(self.open(name, os.O_RDONLY | getattr(os, "O_BINARY", 0)), "rb") as file:
            return file.read()

    def make(self, name: str) -> None:
        """Make a folder that is its owner's alone."""
        os.mkdir(self._at(name), 0o700, dir_fd=self.handle)

    def link(self, name: str, target: Folder) -> None:
        """Give a file the same name in another folder too; one that is there stays, and is an error."""
        os.link(
            self._at(name), target._at(name),
            src_dir_fd=self.handle, dst_dir_fd=target.handle, follow_symlinks=False,
        )  # fmt: skip

    def move(self, name: str, target: Folder) -> None:
        """Move a file into another folder, in place of one that is there."""
        os.replace(self._at(name), target._at(name), src_dir_fd=self.handle, dst_dir_fd=target.handle)

    def unlink(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self._at(name), dir_fd=self.handle)

    def remove(self, name: str) -> None:
        """Remove an empty folder."""
        os.rmdir(self._at(name), dir_fd=self.handle)

    def sync(self) -> None:
        """Wait until the names in it are on disk."""
        if self.handle is not None:
            os.fsync(self.handle)

    def _at(self, name: str) -> str:
        return name if self.handle is not None else os.fspath(self.path / name)


@contextmanager
def held(path: Path) -> Iterator[Folder]:
    """A folder that somebody named: here links are followed, and never again below it."""
    folder = Folder(path, os.open(path, FOLDER) if HANDLES else None)
    try:
        yield folder
    finally:
        folder.close()

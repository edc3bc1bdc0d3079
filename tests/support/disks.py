"""Small disks in memory, for what happens when one is full."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path


@contextmanager
def small_disk(path: Path, kilobytes: int, files: int = 1000) -> Iterator[None]:
    """A disk of so many kilobytes and files at `path`."""
    path.mkdir(exist_ok=True)
    size = f"size={kilobytes}k,nr_inodes={files}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", path], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


@cache
def can_mount() -> bool:
    """Whether this user may mount a disk here: root outside of most containers."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder), 8):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False

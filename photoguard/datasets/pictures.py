"""Sets of pictures: folders and zips read in place, people kept apart, what cannot be read told by name."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photoguard.errors import UnreadableError, UsageError

Pixels = NDArray[np.uint8]  # (height, width, 3)
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass(frozen=True)
class Source:
    """A folder or zip of pictures; its last `hold_out` groups in name order are for validation only.

    A group is one person where pictures lie in folders of people, and one picture where they do not.
    """

    path: Path
    hold_out: int = 0


@dataclass(frozen=True)
class Picture:
    """Where one picture lies: a file, or a member of a zip."""

    container: Path
    name: str

    @property
    def group(self) -> str:
        """The person's folder, or the picture itself."""
        return self.name.rsplit("/", 1)[0] if "/" in self.name else self.name


def listed(source: Source) -> list[Picture]:
    """Every picture of a folder or zip, in name order."""
    path = source.path
    try:
        if path.is_dir():
            names = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
        else:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise UnreadableError(
            f"{path} is neither a folder nor a zip of pictures: {error}", "check the path given with --data"
        ) from None
    names = [
        name for name in names if name.lower().endswith(SUFFIXES) and not Path(name).name.startswith(".")
    ]
    if not names:
        raise UnreadableError(
            f"{path} holds no pictures", f"pictures are files that end in {' '.join(SUFFIXES)}"
        )
    return [Picture(path, name) for name in sorted(names)]


def split_by_name(sources: tuple[Source, ...]) -> tuple[list[Picture], list[Picture]]:
    """All pictures as (training, validation), with no group in both."""
    training: list[Picture] = []
    validation: list[Picture] = []
    for source in sources:
        pictures = listed(source)
        groups = sorted({picture.group for picture in pictures})
        if not 0 <= source.hold_out < len(groups):
            raise UsageError(
                f"{source.hold_out} of {len(groups)} people or pictures in {source.path} cannot be held out"
            )
        held = set(groups[len(groups) - source.hold_out :])
        training += [picture for picture in pictures if picture.group not in held]
        validation += [picture for picture in pictures if picture.group in held]
    return training, validation


@dataclass
class Reader:
    """Decodes pictures, keeps what fits in memory, and remembers which could not be read."""

    pictures: list[Picture]
    cache_bytes: int = 2 << 30
    unreadable: dict[int, str] = field(default_factory=dict)  # picture number -> why
    _kept: dict[int, Pixels] = field(default_factory=dict, repr=False)
    _kept_bytes: int = field(default=0, repr=False)
    _archives: dict[tuple[int, Path], zipfile.ZipFile] = field(default_factory=dict, repr=False)

    def read(self, number: int) -> Pixels:
        """Picture `number`, or the next one that can be read."""
        for offset in range(len(self.pictures)):
            index = (number + offset) % len(self.pictures)
            if index in self._kept:
                return self._kept[index]
            if index in self.unreadable:
                continue
            try:
                pixels = self._decoded(self.pictures[index])
            except (
                OSError,
                ValueError,
                SyntaxError,
                zipfile.BadZipFile,
                Image.DecompressionBombError,
            ) as error:
                self.unreadable[index] = str(error)
                continue
            if self._kept_bytes + pixels.nbytes <= self.cache_bytes:
                self._kept[index] = pixels
                self._kept_bytes += pixels.nbytes
            return pixels
        raise UnreadableError("none of the pictures can be read", "check the folder or zip given with --data")

    def _decoded(self, picture: Picture) -> Pixels:
        if picture.container.is_dir():
            data = (picture.container / picture.name).read_bytes()
        else:
            key = (os.getpid(), picture.container)  # a zip handle must not be shared with a forked worker
            if key not in self._archives:
                self._archives[key] = zipfile.ZipFile(picture.container)
            data = self._archives[key].read(picture.name)
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))

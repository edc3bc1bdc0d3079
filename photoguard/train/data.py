"""Pictures for training: folders and zips read in place, people kept apart, patches of many scales."""

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


def divided(sources: tuple[Source, ...]) -> tuple[list[Picture], list[Picture]]:
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


@dataclass(frozen=True)
class PatchConfig:
    """How patches are cut: what sizes of face the network meets."""

    # (patch side, patches a batch): the same number of pixels each, so that a step costs the same. Larger
    # ones have positions that never see the border, which is what most of a 512-px face looks like.
    shapes: tuple[tuple[int, int], ...] = ((64, 16), (64, 16), (96, 7), (128, 4))
    # Long side that the picture is scaled to before the patch is cut, and how often: mostly the sizes that
    # faces have on photos, a few large ones; each is jittered by up to a seventh.
    sides: tuple[int, ...] = (64, 96, 128, 160, 224, 320, 448)
    side_weights: tuple[float, ...] = (2, 4, 6, 4, 3, 2, 1)
    jpeg: float = 0.3  # share of patches that pass through JPEG of quality 40..95
    light: float = 0.3  # share of patches with another brightness and contrast


def patch(pixels: Pixels, side: int, config: PatchConfig, rng: np.random.Generator) -> Pixels:
    """A random side x side patch of the picture at a random scale, flipped and changed now and then."""
    height, width = pixels.shape[:2]
    weights = np.array(config.side_weights) / sum(config.side_weights)
    long_side = rng.choice(config.sides, p=weights) * rng.uniform(6 / 7, 8 / 7)
    window = side * max(height, width) / max(long_side, side)  # the part of the picture that the patch shows
    window = min(window, height, width)
    left, top = rng.uniform(0, width - window), rng.uniform(0, height - window)
    resample = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)[
        rng.integers(3)
    ]
    image = Image.fromarray(pixels).resize(
        (side, side), resample, (left, top, left + window, top + window), reducing_gap=3.0
    )
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < config.light:
        gain, shift = rng.uniform(0.6, 1.4), rng.uniform(-40, 40)
        image = image.point([min(max(round((v - 128) * gain + 128 + shift), 0), 255) for v in range(256)] * 3)
    if rng.random() < config.jpeg:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(40, 96)))
        image = Image.open(buffer).convert("RGB")
    return np.asarray(image)


@dataclass
class Batches:
    """Batch number n of a run, made from the seed and n alone, so that a resumed run sees the same ones."""

    reader: Reader
    config: PatchConfig
    seed: int
    rank: int = 0  # each process of a distributed run draws its own

    def __getitem__(self, step: int) -> tuple[Pixels, list[str]]:
        """Patches (B, side, side, 3), and the names of the pictures found unreadable so far."""
        rng = np.random.default_rng([self.seed, self.rank, step])
        side, count = self.config.shapes[rng.integers(len(self.config.shapes))]
        numbers = rng.integers(len(self.reader.pictures), size=count)
        patches = [patch(self.reader.read(int(n)), side, self.config, rng) for n in numbers]
        return np.stack(patches), sorted(self.reader.pictures[n].name for n in self.reader.unreadable)

    def __len__(self) -> int:
        """As many as any run asks for."""
        return 1 << 62


def faces_at(reader: Reader, side: int, count: int, every: int = 1) -> Pixels:
    """`count` whole pictures, evenly spread over all, as side x side squares cut from their middle."""
    step = max(len(reader.pictures) // count, every, 1)
    squares = []
    for number in range(0, min(step * count, len(reader.pictures)), step):
        pixels = reader.read(number)
        height, width = pixels.shape[:2]
        edge = min(height, width)
        left, top = (width - edge) / 2, (height - edge) / 2
        image = Image.fromarray(pixels).resize(
            (side, side), Image.Resampling.LANCZOS, (left, top, left + edge, top + edge)
        )
        squares.append(np.asarray(image))
    return np.stack(squares)

"""Pictures for training: patches of many scales, cut at random but the same again after a resume."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from photoguard.datasets.pictures import SUFFIXES, Picture, Pixels, Reader, Source, listed, split_by_name

__all__ = [
    "SUFFIXES",
    "Batches",
    "PatchConfig",
    "Picture",
    "Pixels",
    "Reader",
    "Source",
    "faces_at",
    "listed",
    "patch",
    "split_by_name",
]


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

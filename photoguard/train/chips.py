"""Aligned faces to learn recognizing from: landmarks found once, chips cut and changed anew every time."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from tqdm import tqdm

from photoguard.errors import NoFaceError
from photoguard.files import staged
from photoguard.photos.geometry import TEMPLATE_112X112, similarity, to_chip
from photoguard.train.data import Picture, Pixels, Reader

SIDE = 112
GROUP = 8  # chips that are made, mixed and answered together
SMALLEST_SHARE = 0.25  # of the picture's shorter side: in a crop or a portrait the face is no smaller


@dataclass(frozen=True)
class ChipConfig:
    """How chips are changed: what a student must see through, and what else its teacher can label."""

    turn: float = 8.0  # degrees at most, each way
    zoom: float = 0.08  # at most so much larger or smaller
    shift: float = 4.0  # pixels at most, each way
    light: float = 0.3  # share with another brightness and contrast
    gray: float = 0.05
    soft: float = 0.2  # share shrunk to 28..84 pixels and back, or blurred
    jpeg: float = 0.2  # share that passes through JPEG of quality 20..90
    hole: float = 0.15  # share with a rectangle of noise
    mix: float = 0.3  # share mixed with another face of the batch or with a texture


@dataclass(frozen=True)
class Faces:
    """Pictures with a face each, and where its five landmarks lie."""

    reader: Reader
    landmarks: NDArray[np.float64]
    """(N, 5, 2), in pixels of picture n"""

    def __len__(self) -> int:
        return len(self.landmarks)

    def chip(self, number: int, change: NDArray[np.float64] | None = None) -> Pixels:
        """Face `number`, 112x112, turned and moved on the chip by the (2, 3) matrix `change`."""
        matrix = similarity(self.landmarks[number], TEMPLATE_112X112)
        if change is not None:
            matrix = np.column_stack(
                [change[:, :2] @ matrix[:, :2], change[:, :2] @ matrix[:, 2] + change[:, 2]]
            )
        return to_chip(self.reader.read(number), matrix, SIDE, SIDE)


def found(pictures: list[Picture], cache: Path) -> Faces:
    """The pictures in which there is a face, with its landmarks: looked for once, then read from `cache`."""
    listed = "".join(f"{picture.container.name} {picture.name}\n" for picture in pictures)
    file = cache / f"landmarks-{hashlib.sha256(listed.encode()).hexdigest()[:16]}.npy"
    points = np.load(file, allow_pickle=False) if file.is_file() else _looked_for(pictures, file)
    seen = np.flatnonzero(np.isfinite(points).all((1, 2)))
    if not len(seen):
        raise NoFaceError(
            "there is no face in any of the pictures", "check the folder or zip given with --data"
        )
    return Faces(Reader([pictures[number] for number in seen]), points[seen])


def _looked_for(pictures: list[Picture], file: Path) -> NDArray[np.float64]:
    """The landmarks of the largest face of each picture, (N, 5, 2); not a number where there is none."""
    points = np.full((len(pictures), 5, 2), np.nan)
    reader = Reader(pictures, cache_bytes=0)
    for number in tqdm(range(len(pictures)), unit="face", desc="landmarks", mininterval=1):
        pixels = reader.read(number)
        largest = None if number in reader.unreadable else _largest(pixels)
        if largest is not None:
            points[number] = largest
    buffer = io.BytesIO()
    np.save(buffer, points, allow_pickle=False)
    with staged(file.parent, force=True) as stage:
        stage.add(file.name, buffer.getvalue())
        stage.publish()
    return points


def _largest(pixels: Pixels) -> NDArray[np.float64] | None:
    from photoguard.detection import DetectionSettings, detect

    smallest = max(round(SMALLEST_SHARE * min(pixels.shape[:2])), 20)
    faces = [face for face in detect(pixels, DetectionSettings(min_face=smallest)) if face.certain]
    if not faces:
        return None
    return np.array(max(faces, key=lambda face: face.box.area).landmarks)


def jitter(config: ChipConfig, rng: np.random.Generator) -> NDArray[np.float64]:
    """A small random turn, zoom and shift about the middle of the chip, mirrored half of the time: (2, 3)."""
    angle = np.deg2rad(rng.uniform(-config.turn, config.turn))
    scale = np.exp(rng.uniform(-config.zoom, config.zoom))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cosine * mirror, -sine], [sine * mirror, cosine]])
    middle = np.full(2, (SIDE - 1) / 2)
    return np.column_stack([linear, middle - linear @ middle + rng.uniform(-config.shift, config.shift, 2)])


def changed(chip: Pixels, config: ChipConfig, rng: np.random.Generator) -> Pixels:
    """The chip as another camera, lamp or platform would have left it."""
    image = Image.fromarray(chip)
    if rng.random() < config.gray:
        image = image.convert("L").convert("RGB")
    if rng.random() < config.light:
        gain, lift = rng.uniform(0.5, 1.5), rng.uniform(-50, 50)
        tint = rng.uniform(0.9, 1.1, 3)
        curve = (np.arange(256) - 128) * gain + 128 + lift
        image = image.point([int(v) for part in tint for v in (curve * part).round().clip(0, 255)])
    if rng.random() < config.soft:
        if rng.random() < 0.5:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2)))
        else:
            side = int(rng.integers(28, 85))
            image = image.resize((side, side), Image.Resampling.BILINEAR).resize(
                (SIDE, SIDE), Image.Resampling.BICUBIC
            )
    if rng.random() < config.jpeg:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(20, 91)))
        image = Image.open(buffer).convert("RGB")
    pixels = np.array(image)
    if rng.random() < config.hole:
        height, width = rng.integers(12, 57, 2)
        top, left = rng.integers(0, SIDE - height), rng.integers(0, SIDE - width)
        pixels[top : top + height, left : left + width] = texture(rng)[:height, :width]
    return pixels


def texture(rng: np.random.Generator) -> Pixels:
    """A chip of no face: colored noise, from fine to one color."""
    cells = int(rng.choice([1, 2, 4, 7, 14, 28, 112]))
    noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
    return np.asarray(noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def mixed(chips: Pixels, config: ChipConfig, rng: np.random.Generator) -> Pixels:
    """Some of the chips blended with another of the batch or with a texture, evenly or part by part."""
    result = chips.copy()
    for number in np.flatnonzero(rng.random(len(chips)) < config.mix):
        other = texture(rng) if rng.random() < 0.2 else chips[rng.integers(len(chips))]
        if rng.random() < 0.5:
            share = np.full((SIDE, SIDE, 1), rng.uniform(0.3, 0.7))
        else:  # one side of a soft line from this chip, the other side from the other
            way = rng.uniform(0, 2 * np.pi)
            rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
            along = columns * np.cos(way) + rows * np.sin(way) + rng.uniform(-20, 20)
            share = 1 / (1 + np.exp(-along / rng.uniform(1, 8)))[..., None]
        blend = share * chips[number] + (1 - share) * other
        result[number] = blend.round().astype(np.uint8)
    return result


@dataclass
class Batches:
    """Batch number n of a run, made from the seed and n alone, so that a resumed run sees the same ones.

    It is put together from groups of chips. There are `groups` of them, each always the same, so that a
    teacher needs to be asked once what it says to each; 0: every group of every batch is a new one.
    """

    faces: Faces
    config: ChipConfig
    size: int
    seed: int
    rank: int = 0  # each process of a distributed run draws its own
    groups: int = 0

    def __getitem__(self, step: int) -> tuple[Pixels, list[int], list[str]]:
        """Chips (B, 112, 112, 3), their groups' numbers, and the pictures found unreadable so far."""
        count = max(self.size // GROUP, 1)
        if self.groups:
            rng = np.random.default_rng([self.seed, self.rank, 0, step])
            numbers = [int(n) for n in rng.integers(self.groups, size=count)]
        else:
            numbers = list(range(step * count, (step + 1) * count))
        chips = np.concatenate([self._group(number, self.size // count) for number in numbers])
        reader = self.faces.reader
        return chips, numbers, sorted(reader.pictures[n].name for n in reader.unreadable)

    def _group(self, number: int, size: int) -> Pixels:
        rng = np.random.default_rng([self.seed, self.rank, 1, number])
        faces, config = rng.integers(len(self.faces), size=size), self.config
        chips = [changed(self.faces.chip(int(n), jitter(config, rng)), config, rng) for n in faces]
        return mixed(np.stack(chips), config, rng)

    def __len__(self) -> int:
        """As many as any run asks for."""
        return 1 << 62

"""Scenes with known faces: photos of LFW pasted at known sizes, angles and covers onto face-free photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks import photos
from benchmarks.photos import Pixels

# Where the face is in LFW's 200 x 200 crops: the median of 400 detected boxes (left, top, right, bottom).
# Its height is what "a face of N pixels" means here; its width is three quarters of that.
LFW_FACE = (60.0, 47.0, 155.0, 173.0)
FACE_HEIGHT = LFW_FACE[3] - LFW_FACE[1]
MIDDLE = ((LFW_FACE[0] + LFW_FACE[2]) / 2, (LFW_FACE[1] + LFW_FACE[3]) / 2)


@dataclass(frozen=True)
class Placed:
    """One face of a scene and how it was put there."""

    x: float  # of its middle
    y: float
    size: int  # height of the face before it is turned
    angle: int  # degrees counterclockwise
    cover: str  # "none", "bar" over the eyes, "mask" over mouth and nose

    @property
    def square(self) -> tuple[float, float, float, float]:
        """A square of the face's height around its middle: what a detection is compared with."""
        half = self.size / 2
        return self.x - half, self.y - half, self.x + half, self.y + half


@dataclass(frozen=True)
class Scene:
    """A picture and the faces on it."""

    pixels: Pixels
    faces: list[Placed]


@dataclass(frozen=True)
class Recipe:
    """What a scene should be like; faces are pasted one for each size."""

    width: int
    height: int
    sizes: Sequence[int]
    angles: Sequence[int] = (0,)  # each face draws one
    cover: str = "none"
    brightness: float = 1.0


@dataclass(frozen=True)
class Source:
    """The material: every second photo of LFW and of the face-free ones; the other half is for tuning."""

    data: Path
    half: int = 0

    @cached_property
    def people(self) -> list[str]:
        """Names of the photos whose faces are pasted."""
        return photos.names(self.data / "lfw.zip")[self.half :: 2]

    @cached_property
    def backgrounds(self) -> list[Pixels]:
        """Face-free photos."""
        return [pixels for _, pixels in photos.face_free(self.data)][self.half :: 2]

    def face(self, random: Generator) -> Pixels:
        """A random face, 200 x 200."""
        return photos.read(self.data / "lfw.zip", str(random.choice(self.people)))


def make(recipe: Recipe, source: Source, random: Generator) -> Scene:
    """Paste the faces, apart from each other, and set the brightness of the whole."""
    scene = _background(recipe, source, random)
    placed: list[Placed] = []
    for size in sorted(recipe.sizes, reverse=True):
        spot = _free_spot(recipe, size, placed, random)
        if spot is None:
            continue
        face = Placed(*spot, size, int(random.choice(recipe.angles)), recipe.cover)
        _paste(scene, source.face(random), face, random)
        placed.append(face)
    scene = np.clip(scene.astype(np.float32) * recipe.brightness, 0, 255).astype(np.uint8)
    return Scene(scene, placed)


def _background(recipe: Recipe, source: Source, random: Generator) -> Pixels:
    """A patchwork of face-free photos, each about 800 pixels wide, with a little sensor noise."""
    columns, rows = max(round(recipe.width / 800), 1), max(round(recipe.height / 600), 1)
    width, height = -(-recipe.width // columns), -(-recipe.height // rows)
    scene = np.empty((rows * height, columns * width, 3), dtype=np.uint8)
    for row in range(rows):
        for column in range(columns):
            photo = source.backgrounds[random.integers(len(source.backgrounds))]
            part = cv2.resize(photo, (width, height), interpolation=cv2.INTER_CUBIC)
            scene[row * height : (row + 1) * height, column * width : (column + 1) * width] = part
    scene = scene[: recipe.height, : recipe.width]
    for top in range(0, recipe.height, 256):
        part = scene[top : top + 256]
        noise = random.standard_normal(part.shape, dtype=np.float32)
        part[:] = np.clip(np.rint(part + 3 * noise), 0, 255)
    return scene


def _free_spot(
    recipe: Recipe, size: int, placed: list[Placed], random: Generator
) -> tuple[float, float] | None:
    """A middle for a face that is wholly on the photo and a face's width away from the others."""
    if 1.3 * size > min(recipe.width, recipe.height):
        return None
    for _ in range(200):
        x = random.uniform(0.65 * size, recipe.width - 0.65 * size)
        y = random.uniform(0.65 * size, recipe.height - 0.65 * size)
        if all(max(abs(x - p.x), abs(y - p.y)) > 0.8 * (size + p.size) for p in placed):
            return x, y
    return None


def _paste(scene: Pixels, face: Pixels, placed: Placed, random: Generator) -> None:
    """Turn and scale a 200 x 200 face onto the scene, through a soft oval that keeps hair and chin."""
    face = _covered(face, placed.cover, random)
    oval: NDArray[np.float32] = np.zeros(face.shape[:2], dtype=np.float32)
    axes = (0.70 * (LFW_FACE[2] - LFW_FACE[0]), 0.68 * FACE_HEIGHT)
    cv2.ellipse(oval, (MIDDLE, (2 * axes[0], 2 * axes[1]), 0), 1, thickness=-1)
    oval = cv2.GaussianBlur(oval, (0, 0), 4).astype(np.float32)
    scale = placed.size / FACE_HEIGHT
    if scale < 1:  # averaged first: turning alone would skip pixels
        smaller = (max(round(200 * scale), 1),) * 2
        face = cv2.resize(face, smaller, interpolation=cv2.INTER_AREA).astype(np.uint8)
        oval = cv2.resize(oval, smaller, interpolation=cv2.INTER_AREA).astype(np.float32)
    zoom = scale * 200 / face.shape[0]
    half = int(np.ceil(0.75 * placed.size)) + 2
    left, top = int(placed.x) - half, int(placed.y) - half
    middle = (MIDDLE[0] * face.shape[0] / 200, MIDDLE[1] * face.shape[0] / 200)
    matrix = cv2.getRotationMatrix2D(middle, placed.angle, zoom)
    matrix[:, 2] += placed.x - left - middle[0], placed.y - top - middle[1]
    side = 2 * half
    edge = cv2.BORDER_REPLICATE
    turned = cv2.warpAffine(face, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=edge)
    weight = cv2.warpAffine(oval, matrix, (side, side), flags=cv2.INTER_LINEAR)[..., None]
    rows = slice(max(top, 0), min(top + side, scene.shape[0]))
    columns = slice(max(left, 0), min(left + side, scene.shape[1]))
    inner = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    target = scene[rows, columns]
    target[:] = np.clip(np.rint(target + (turned[inner] - target.astype(np.float32)) * weight[inner]), 0, 255)


def _covered(face: Pixels, cover: str, random: Generator) -> Pixels:
    """With a dark bar over the eyes like sunglasses, or a mask from the middle of the nose to the chin."""
    if cover == "none":
        return face
    face = face.copy()
    if cover == "bar":
        color = tuple(int(v) for v in random.integers(5, 45, 1).repeat(3))
        cv2.rectangle(face, (70, 85), (149, 109), color, thickness=-1, lineType=cv2.LINE_AA)
        return face
    colors = [(235, 235, 240), (150, 190, 215), (25, 25, 30), (170, 200, 180)]
    outline = np.array([(66, 112), (108, 106), (150, 112), (148, 150), (130, 172), (86, 172), (70, 150)])
    mask = np.zeros(face.shape[:2], dtype=np.uint8)
    cv2.fillPoly(mask, [outline.astype(np.int32)], 255, lineType=cv2.LINE_AA)
    shade = 1 - 0.25 * np.abs(np.linspace(-1.2, 1.2, face.shape[1]))[None, :, None] ** 2
    for fold in (125, 140, 155):  # pleats
        shade = shade * np.where(np.abs(np.arange(face.shape[0]) - fold)[:, None, None] < 1, 0.9, 1)
    cloth = np.array(colors[random.integers(len(colors))]) * shade
    weight: NDArray[np.float64] = mask[..., None] / 255
    return np.asarray(np.rint(face * (1 - weight) + cloth * weight), dtype=np.uint8)

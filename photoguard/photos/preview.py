"""A picture to review: the photo with every face boxed, numbered and scored, readable at any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from photoguard.photos.geometry import Box

Color = tuple[int, int, int]

CERTAIN: Color = (57, 255, 20)
UNCERTAIN: Color = (255, 165, 0)
DARK: Color = (0, 0, 0)
SMALLEST_SIDE, LARGEST_SIDE = 1200, 2400  # photos outside are scaled: labels fit, screens hold them


class Found(Protocol):
    """What is drawn of a face."""

    @property
    def box(self) -> Box:
        """Where it is."""

    @property
    def landmarks(self) -> tuple[tuple[float, float], ...]:
        """Five points of it."""

    @property
    def score(self) -> float:
        """How sure the detector is."""

    @property
    def certain(self) -> bool:
        """Whether that is sure enough."""


def draw(pixels: NDArray[np.uint8], faces: Sequence[Found]) -> NDArray[np.uint8]:
    """The photo with its faces marked, numbered from 1 in the order given: green certain, orange not."""
    height, width = pixels.shape[:2]
    longer = max(width, height)
    zoom = min(max(longer, SMALLEST_SIDE), LARGEST_SIDE) / longer
    size = (max(round(width * zoom), 1), max(round(height * zoom), 1))
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS if zoom != 1 else None)
    pen = ImageDraw.Draw(picture)
    stroke = max(2, round(max(size) / 500))
    font = ImageFont.load_default(max(14, round(max(size) / 60)))
    for face in faces:  # boxes before labels, so that no box crosses a number
        _mark(pen, face, zoom, stroke)
    taken: list[tuple[float, float, float, float]] = []
    for number, face in enumerate(faces, start=1):
        _label(pen, f"{number}  {face.score:.2f}", face, zoom, stroke, font, size, taken)
    return np.asarray(picture)


def _mark(pen: ImageDraw.ImageDraw, face: Found, zoom: float, stroke: int) -> None:
    """Box and landmarks, each over a darker edge that shows on light photos."""
    color = CERTAIN if face.certain else UNCERTAIN
    box = face.box
    edges = (box.x * zoom, box.y * zoom, (box.x + box.width) * zoom - 1, (box.y + box.height) * zoom - 1)
    outer = (edges[0] - 1, edges[1] - 1, max(edges[2], edges[0]) + 1, max(edges[3], edges[1]) + 1)
    pen.rectangle(outer, outline=DARK, width=stroke + 2)
    pen.rectangle((*edges[:2], *outer[2:]), outline=color, width=stroke)
    radius = max(1.0, min(stroke, 0.03 * zoom * max(box.width, box.height)))
    for x, y in face.landmarks:
        middle = (x * zoom, y * zoom)
        pen.circle(middle, radius + 1, fill=DARK)
        pen.circle(middle, radius, fill=color)


def _label(
    pen: ImageDraw.ImageDraw,
    text: str,
    face: Found,
    zoom: float,
    stroke: int,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    size: tuple[int, int],
    taken: list[tuple[float, float, float, float]],
) -> None:
    """Number and score on a plate above the box, or wherever near it no other plate is."""
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    pad = 2 * stroke
    width, height = right - left + 2 * pad, bottom - top + 2 * pad
    box = face.box
    x, y, below = box.x * zoom, box.y * zoom, (box.y + box.height) * zoom
    beside = (box.x + box.width) * zoom
    spots = [(x, y - height), (x, below), (beside, y), (x - width, y), (x, y), (x, y - 2 * height)]
    plates = [_kept_inside(spot, width, height, size) for spot in spots]
    plate = next((p for p in plates if not any(_cross(p, other) for other in taken)), plates[0])
    taken.append(plate)
    pen.rectangle(plate, fill=CERTAIN if face.certain else UNCERTAIN)
    pen.text((plate[0] + pad - left, plate[1] + pad - top), text, fill=DARK, font=font)


def _kept_inside(
    spot: tuple[float, float], width: float, height: float, size: tuple[int, int]
) -> tuple[float, float, float, float]:
    x = max(min(spot[0], size[0] - width), 0)
    y = max(min(spot[1], size[1] - height), 0)
    return x, y, x + width, y + height


def _cross(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

"""A picture to review: the photo with its covers outlined and its faces boxed, readable at any size."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from photoguard.photos.geometry import Box

Color = tuple[int, int, int]

CERTAIN: Color = (57, 255, 20)
UNCERTAIN: Color = (255, 165, 0)
OPEN: Color = (90, 180, 255)  # a face that stays readable
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


def draw(
    pixels: NDArray[np.uint8], faces: Sequence[Found], covered: Container[int], covers: Sequence[Box]
) -> NDArray[np.uint8]:
    """The photo with its covers outlined and its faces boxed inside, numbered from 1 in the order given.

    Green is certain and orange is not; blue and dashed is a face that stays readable.
    """
    longer = max(pixels.shape[:2])
    zoom = min(max(longer, SMALLEST_SIDE), LARGEST_SIDE) / longer
    stroke = max(2, round(longer * zoom / 500))
    picture = marked(pixels, faces, covered, covers, zoom, stroke)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(max(14, round(longer * zoom / 60)))
    taken: list[tuple[float, float, float, float]] = []  # labels last, so that no line crosses a number
    for number, face in enumerate(faces, start=1):
        if number in covered:
            _mark(pen, face, zoom, stroke)
    for number, face in enumerate(faces, start=1):
        text = f"{number}  {face.score:.2f}" + ("" if number in covered else "  open")
        _label(pen, text, face, _color(face, number in covered), zoom, stroke, font, picture.size, taken)
    return np.asarray(picture)


def marked(
    pixels: NDArray[np.uint8],
    faces: Sequence[Found],
    covered: Container[int],
    covers: Sequence[Box],
    zoom: float,
    stroke: int,
) -> Image.Image:
    """A copy `zoom` times as large, with its covers outlined and faces that stay readable dashed."""
    height, width = pixels.shape[:2]
    size = (max(round(width * zoom), 1), max(round(height * zoom), 1))
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS if zoom != 1 else None)
    pen = ImageDraw.Draw(picture)
    for cover in covers:
        _rectangle(pen, cover, _color_of(cover, faces, covered), zoom, stroke)
    for number, face in enumerate(faces, start=1):
        if number not in covered:
            _dashes(pen, face.box, OPEN, zoom, stroke)
    return picture


def _color_of(cover: Box, faces: Sequence[Found], covered: Container[int]) -> Color:
    """Orange where only faces in doubt are inside: then that is why the cover is there."""
    inside = [f for n, f in enumerate(faces, start=1) if n in covered and cover.holds(f.box)]
    return UNCERTAIN if inside and not any(face.certain for face in inside) else CERTAIN


def _color(face: Found, covered: bool) -> Color:
    return OPEN if not covered else CERTAIN if face.certain else UNCERTAIN


def _rectangle(pen: ImageDraw.ImageDraw, box: Box, color: Color, zoom: float, stroke: int) -> None:
    """A box over a darker edge that shows on light photos."""
    left, top, right, bottom = _edges(box, zoom)
    outer = (left - 1, top - 1, right + 1, bottom + 1)
    pen.rectangle(outer, outline=DARK, width=stroke + 2)
    pen.rectangle((left, top, *outer[2:]), outline=color, width=stroke)


def _dashes(pen: ImageDraw.ImageDraw, box: Box, color: Color, zoom: float, stroke: int) -> None:
    """A box of dashes."""
    left, top, right, bottom = _edges(box, zoom)
    step = 6 * stroke
    for edge, ink, width in ((1, DARK, stroke + 2), (0, color, stroke)):
        for x in np.arange(left, right, step):
            for y in (top, bottom):
                pen.line((x - edge, y, min(x + step / 2, right) + edge, y), fill=ink, width=width)
        for y in np.arange(top, bottom, step):
            for x in (left, right):
                pen.line((x, y - edge, x, min(y + step / 2, bottom) + edge), fill=ink, width=width)


def _edges(box: Box, zoom: float) -> tuple[float, float, float, float]:
    left, top = box.x * zoom, box.y * zoom
    return left, top, max((box.x + box.width) * zoom - 1, left), max((box.y + box.height) * zoom - 1, top)


def _mark(pen: ImageDraw.ImageDraw, face: Found, zoom: float, stroke: int) -> None:
    """What the detector found inside a cover: its box, thinner than the cover, and landmarks."""
    color, box = _color(face, True), face.box
    _rectangle(pen, box, color, zoom, max(1, stroke // 2))
    radius = max(1.0, min(stroke, 0.03 * zoom * max(box.width, box.height)))
    for x, y in face.landmarks:
        middle = (x * zoom, y * zoom)
        pen.circle(middle, radius + 1, fill=DARK)
        pen.circle(middle, radius, fill=color)


def _label(
    pen: ImageDraw.ImageDraw,
    text: str,
    face: Found,
    color: Color,
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
    pen.rectangle(plate, fill=color)
    pen.text((plate[0] + pad - left, plate[1] + pad - top), text, fill=DARK, font=font)


def _kept_inside(
    spot: tuple[float, float], width: float, height: float, size: tuple[int, int]
) -> tuple[float, float, float, float]:
    x = max(min(spot[0], size[0] - width), 0)
    y = max(min(spot[1], size[1] - height), 0)
    return x, y, x + width, y + height


def _cross(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

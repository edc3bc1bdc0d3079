"""A contact sheet: many photos on one picture, each with its covers outlined, its name and a line below."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from photoguard.photos.geometry import Box
from photoguard.photos.preview import Found, marked

MOST = 1000  # photos on a sheet: 12 a row make it 21,000 pixels high, a JPEG may have 65,535
COLUMNS = 12
WIDTH, HEIGHT, GAP = 240, 180, 10  # of a photo on the sheet, and around it
LINE = 16
PAPER, INK, ALARM = (250, 250, 250), (30, 30, 30), (200, 0, 0)


@dataclass(frozen=True)
class Cell:
    """One photo of the sheet."""

    picture: NDArray[np.uint8] | None  # None: it could not be read
    name: str
    below: str
    alarm: bool = False  # nothing is covered, or it failed: what somebody should look at


def thumbnail(
    pixels: NDArray[np.uint8], faces: Sequence[Found], covered: Container[int], covers: Sequence[Box]
) -> NDArray[np.uint8]:
    """A photo small enough for a sheet, with its covers outlined and faces that stay readable dashed."""
    height, width = pixels.shape[:2]
    zoom = min(WIDTH / width, HEIGHT / height)
    return np.asarray(marked(pixels, faces, covered, covers, zoom, 2))


def lay(cells: Sequence[Cell]) -> NDArray[np.uint8]:
    """All cells in rows, in the order given."""
    columns = min(COLUMNS, max(math.ceil(math.sqrt(len(cells))), 1))
    wide, high = WIDTH + GAP, HEIGHT + 2 * LINE + GAP
    rows = math.ceil(len(cells) / columns)
    sheet = Image.new("RGB", (columns * wide + GAP, rows * high + GAP), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, cell in enumerate(cells):
        left, top = GAP + number % columns * wide, GAP + number // columns * high
        if cell.picture is not None:
            height, width = cell.picture.shape[:2]
            corner = (left + (WIDTH - width) // 2, top + HEIGHT - height)
            sheet.paste(Image.fromarray(cell.picture), corner)
        if cell.alarm:
            pen.rectangle((left, top, left + WIDTH - 1, top + HEIGHT - 1), outline=ALARM, width=3)
        ink = ALARM if cell.alarm else INK
        pen.text((left, top + HEIGHT + 2), _fitting(cell.name, font), fill=INK, font=font)
        pen.text((left, top + HEIGHT + LINE), _fitting(cell.below, font), fill=ink, font=font)
    return np.asarray(sheet)


def _fitting(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    """The text, or as much of its beginning and end as fits below a photo."""
    kept = text
    while font.getlength(kept) > WIDTH and len(kept) > 5:
        half = (len(kept) - 4) // 2
        kept = f"{text[:half]}...{text[-half:]}"
    return kept

"""The pictures beside AVP's figures. They show NASA's portrait and nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from photoguard.evaluate.avp.statistics import DIRECTIONS, neighbors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from photoguard.nets.planes import Pixels

GAP, LINE = 4, 14  # pixels between pictures, and a line of text
INK, COLORS = "#333333", ("#d62728", "#2ca02c", "#1f77b4")
PLOT = 112


def matrix(
    path: Path,
    face: Pixels,
    chips: Sequence[Pixels],
    opened: Sequence[Sequence[Pixels]],
    alike: Sequence[Sequence[float]],
) -> None:
    """Fig. 5: a row for the key that encrypted, a column for the key that opens, SSIM below each picture."""
    count = len(chips)
    height, width = face.shape[:2]
    across, down = width + GAP, height + GAP + LINE
    sheet = Image.new("RGB", ((count + 1) * across, (count + 1) * down), "white")
    draw = ImageDraw.Draw(sheet)
    sheet.paste(Image.fromarray(face), (0, 0))
    draw.text((2, height), "original", fill=INK)
    for number in range(count):
        draw.text(((number + 1) * across + 2, height), f"opened by key {number + 1}", fill=INK)
        top = (number + 1) * down
        sheet.paste(Image.fromarray(chips[number]), (0, top))
        draw.text((2, top + height), f"made by key {number + 1}", fill=INK)
        for other in range(count):
            sheet.paste(Image.fromarray(opened[number][other]), ((other + 1) * across, top))
            draw.text(((other + 1) * across + 2, top + height), f"{alike[number][other]:.3f}", fill=INK)
    sheet.save(path, optimize=True)


def strip(path: Path, pictures: Mapping[str, Pixels]) -> None:
    """Pictures side by side, their names below."""
    height, width = next(iter(pictures.values())).shape[:2]
    sheet = Image.new("RGB", (len(pictures) * (width + GAP), height + LINE), "white")
    draw = ImageDraw.Draw(sheet)
    for at, (name, picture) in enumerate(pictures.items()):
        sheet.paste(Image.fromarray(picture), (at * (width + GAP), 0))
        draw.text((at * (width + GAP) + 2, height), name, fill=INK)
    sheet.save(path, optimize=True)


def statistics(path: Path, pictures: Mapping[str, Pixels]) -> None:
    """Fig. 9 and 10: for each picture its histogram, and pairs of neighbors as points."""
    columns = 2 + len(DIRECTIONS)
    across, down = PLOT + 2 * GAP, PLOT + LINE + 2 * GAP
    sheet = Image.new("RGB", (columns * across, len(pictures) * down), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (name, picture) in enumerate(pictures.items()):
        top = row * down
        sheet.paste(Image.fromarray(picture), (0, top))
        draw.text((2, top + PLOT), name, fill=INK)
        _histogram(draw, across, top, picture)
        draw.text((across + 2, top + PLOT), "histogram", fill=INK)
        for at, direction in enumerate(DIRECTIONS):
            left = (2 + at) * across
            draw.rectangle((left, top, left + PLOT - 1, top + PLOT - 1), outline="#cccccc")
            for first, second in neighbors(picture, direction):
                place = (left + int(first) * PLOT // 256, top + PLOT - 1 - int(second) * PLOT // 256)
                draw.point(place, fill=COLORS[2])
            draw.text((left + 2, top + PLOT), direction, fill=INK)
    sheet.save(path, optimize=True)


def _histogram(draw: ImageDraw.ImageDraw, left: int, top: int, picture: Pixels) -> None:
    """One line a channel, 64 bins; what is higher than the frame is cut off."""
    draw.rectangle((left, top, left + PLOT - 1, top + PLOT - 1), outline="#cccccc")
    for channel, color in enumerate(COLORS):
        share = np.bincount(picture[..., channel].ravel() // 4, minlength=64) / picture[..., 0].size
        heights = np.minimum(share * 16, 1)  # a flat histogram fills a quarter of the frame
        line = [(left + at * PLOT / 64, top + (1 - value) * (PLOT - 1)) for at, value in enumerate(heights)]
        draw.line(line, fill=color)

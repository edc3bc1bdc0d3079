"""One photo at every size: smaller copies to scan, and crops of any place at any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from photoguard.detection.candidates import Array

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Halvings:
    """The photo, its half, its quarter, ...: (H, W, 3) each."""

    pictures: list[Pixels]

    @property
    def width(self) -> int:
        """Of the full photo."""
        return int(self.pictures[0].shape[1])

    @property
    def height(self) -> int:
        """Of the full photo."""
        return int(self.pictures[0].shape[0])


def halvings(pixels: Pixels) -> Halvings:
    """All halves of a photo down to a few pixels: a third of its memory on top."""
    pictures = [np.ascontiguousarray(pixels)]
    while min(pictures[-1].shape[:2]) >= 32:
        height, width = pictures[-1].shape[:2]
        pictures.append(resized(pictures[-1], (width + 1) // 2, (height + 1) // 2))
    return Halvings(pictures)


def turned(photo: Halvings, rotation: int) -> Halvings:
    """The photo turned counterclockwise by 0, 90, 180 or 270 degrees."""
    how = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}
    if rotation == 0:
        return photo
    return Halvings([np.asarray(cv2.rotate(p, how[rotation]), dtype=np.uint8) for p in photo.pictures])


def resized(picture: Pixels, width: int, height: int) -> Pixels:
    """Averaged down (or interpolated up) to width x height."""
    shrinks = width <= picture.shape[1] and height <= picture.shape[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), dtype=np.uint8)


def levels(photo: Halvings, scale: float, factor: float, shortest: int) -> Iterator[tuple[Pixels, float]]:
    """Copies at scale, scale x factor, ... down to `shortest` pixels, each with its exact scale."""
    while min(photo.width, photo.height) * scale >= shortest:
        width, height = round(photo.width * scale), round(photo.height * scale)
        source = next(p for p in reversed(photo.pictures) if p is photo.pictures[0] or p.shape[1] >= width)
        yield resized(source, width, height), scale
        scale *= factor


def crops(photo: Halvings, boxes: Array, side: int) -> Pixels:
    """Each square box (N, 4) as a side x side picture (N, side, side, 3); outside the photo its edge goes on.

    A box whose right edge comes first gives the mirror image.

    Each comes from the halving that has one to two pixels for one of the crop's, so that a large face
    costs as little as a small one and linear interpolation skips no pixel.
    """
    out = np.empty((len(boxes), side, side, 3), dtype=np.uint8)
    last = len(photo.pictures) - 1
    for number, (left, top, right, bottom) in enumerate(boxes):
        shrink = max((bottom - top) / side, 1e-3)
        level = int(np.clip(np.floor(np.log2(shrink)), 0, last))
        picture = photo.pictures[level]
        to_x, to_y = picture.shape[1] / photo.width, picture.shape[0] / photo.height
        step_x, step_y = (right - left) * to_x / side, (bottom - top) * to_y / side
        # From the middle of the crop's pixel i to the picture's: left + (i + 0.5) * step - 0.5.
        matrix = np.array(
            [[step_x, 0, left * to_x + step_x / 2 - 0.5], [0, step_y, top * to_y + step_y / 2 - 0.5]]
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(
            picture, matrix, (side, side), dst=out[number], flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
    return out

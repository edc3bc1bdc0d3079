"""One photo at every size: smaller copies to scan, and crops of any place at any size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from photoguard.detection.candidates import Array, way_back

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Halvings:
    """The photo, its half, its quarter, ...: (H, W, 3) each, looked at turned counterclockwise."""

    pictures: list[Pixels]  # as they are, not turned: that would be a copy
    rotation: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the photo, not turned."""
        height, width = self.pictures[0].shape[:2]
        return int(width), int(height)

    @property
    def turned_size(self) -> tuple[int, int]:
        """Width and height of the photo as it is looked at."""
        width, height = self.size
        return (width, height) if self.rotation % 180 == 0 else (height, width)


def halvings(pixels: Pixels) -> Halvings:
    """All halves of a photo down to a few pixels: a third of its memory on top."""
    pictures = [np.ascontiguousarray(pixels)]
    while min(pictures[-1].shape[:2]) >= 32:
        height, width = pictures[-1].shape[:2]
        pictures.append(resized(pictures[-1], (width + 1) // 2, (height + 1) // 2))
    return Halvings(pictures)


def resized(picture: Pixels, width: int, height: int) -> Pixels:
    """Averaged down (or interpolated up) to width x height."""
    shrinks = width <= picture.shape[1] and height <= picture.shape[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), dtype=np.uint8)


def levels(photo: Halvings, scale: float, factor: float, shortest: int) -> Iterator[tuple[Pixels, float]]:
    """Turned copies at scale, scale x factor, ... down to `shortest` pixels, each with its scale."""
    while min(photo.size) * scale >= shortest:
        width, height = (round(side * scale) for side in photo.size)
        yield turned_copy(photo, width, height), scale
        scale *= factor


def turned_copy(photo: Halvings, width: int, height: int) -> Pixels:
    """The photo at width x height, then turned."""
    source = next(p for p in reversed(photo.pictures) if p is photo.pictures[0] or p.shape[1] >= width)
    return np.ascontiguousarray(np.rot90(resized(source, width, height), photo.rotation // 90))


def continued(picture: Pixels, border: int, multiple: int) -> Pixels:
    """With its mirror image around it, `border` pixels and as many more as make the sides multiples.

    A face that the photo's edge cuts becomes one with a middle; networks find that far more often.
    """
    height, width = picture.shape[:2]
    below, beside = (border + -(side + 2 * border) % multiple for side in (height, width))
    return np.asarray(cv2.copyMakeBorder(picture, border, below, border, beside, cv2.BORDER_REFLECT_101))


def crops(photo: Halvings, boxes: Array, side: int) -> Pixels:
    """Each square box (N, 4) of the turned photo as a picture (N, side, side, 3), outside a mirror image.

    A box whose right edge comes first gives the mirror image. Each crop comes from the halving that has
    one to two pixels for one of the crop's, so that a large face costs as little as a small one and
    linear interpolation skips no pixel.
    """
    out = np.empty((len(boxes), side, side, 3), dtype=np.uint8)
    sizes = np.array([(p.shape[1], p.shape[0]) for p in photo.pictures])  # (levels, 2)
    shrinks = np.maximum((boxes[:, 3] - boxes[:, 1]) / side, 1)
    chosen = np.minimum(np.log2(shrinks).astype(int), len(sizes) - 1)  # (N,)
    scales = sizes[chosen] / sizes[0]  # (N, 2)
    steps = (boxes[:, 2:] - boxes[:, :2]) / side
    # From the middle of a crop's pixel (i + 0.5) to the turned photo, the photo, its halving's pixel - 0.5.
    turn, shift = way_back(photo.rotation, *photo.size)
    matrices = np.empty((len(boxes), 2, 3))
    matrices[:, :, :2] = scales[:, :, None] * turn * steps[:, None, :]
    matrices[:, :, 2] = ((boxes[:, :2] + steps / 2) @ turn.T + shift) * scales - 0.5
    flags, edge = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REFLECT_101
    for level, matrix, crop in zip(chosen.tolist(), matrices, out, strict=True):
        cv2.warpAffine(photo.pictures[level], matrix, (side, side), crop, flags, edge)
    return out

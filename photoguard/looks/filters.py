"""The looks that are made of the face: blur and pixelate. They keep its colors and its rough shape.

The strength is relative to the patch, so a large face is no more readable than a small one. At strength 1 on
a 128-pixel patch both are far beyond the DDM paper's baselines, which stay available as `blurred(patch, 16)`
and `pixelated(patch, 20)`: networks trained on those recognize a third of the faces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[Any]  # (H, W, 3) RGB, uint8 or uint16

FILTERS = ("blur", "pixelate")
BLOCKS = 5  # mosaic blocks along the longer side at strength 1
BLUR = 1 / 5  # standard deviation at strength 1, as a share of the longer side


def filtered(look: str, patch: Pixels, strength: float) -> Pixels:
    """The patch with less of the face in it."""
    longer = max(patch.shape[:2])
    if look == "blur":
        return blurred(patch, BLUR * strength * longer)
    return pixelated(patch, max(1, round(longer * strength / BLOCKS)))


def blurred(patch: Pixels, sigma: float) -> Pixels:
    """Gaussian blur with a standard deviation in pixels."""
    # A wide blur is computed on a small copy: the result is smooth, and 8 bits cannot tell the difference.
    shrink = max(1, int(sigma / 8))
    height, width = patch.shape[:2]
    size = (max(1, width // shrink), max(1, height // shrink))
    small = cv2.resize(patch.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REFLECT)
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(np.rint(smooth), 0, np.iinfo(patch.dtype).max).astype(patch.dtype)


def pixelated(patch: Pixels, block: int) -> Pixels:
    """The mean color of every block x block square."""
    height, width = patch.shape[:2]
    rows, columns = -(-height // block), -(-width // block)
    padding = ((0, rows * block - height), (0, columns * block - width), (0, 0))
    padded = np.pad(patch.astype(np.float64), padding, mode="edge")
    means = padded.reshape(rows, block, columns, block, 3).mean(axis=(1, 3))
    full = np.rint(means).astype(patch.dtype).repeat(block, axis=0).repeat(block, axis=1)
    return np.ascontiguousarray(full[:height, :width])

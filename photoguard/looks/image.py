"""A picture of the user's, such as a logo, in a face's place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[Any]  # (H, W, 3) RGB, uint8 or uint16

MOST = 1024  # pixels on the longer side: every worker has a copy


def opaque(image: NDArray[np.uint8], alpha: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """The picture on white, no larger than covers need it."""
    if alpha is not None:
        share = alpha[..., None].astype(np.float32) / 255
        image = np.rint(share * image + (1 - share) * 255).astype(np.uint8)
    return _within(image, MOST, MOST) if max(image.shape[:2]) > MOST else image


def fitted(image: NDArray[np.uint8], height: int, width: int, dtype: np.dtype[Any]) -> Pixels:
    """The whole picture as large as the box allows, in its middle, on white."""
    cover = np.full((height, width, 3), 255, np.uint8)
    small = _within(image, height, width)
    top, left = (height - small.shape[0]) // 2, (width - small.shape[1]) // 2
    cover[top : top + small.shape[0], left : left + small.shape[1]] = small
    return cover if dtype == np.uint8 else cover.astype(dtype) * 257


def _within(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    scale = min(height / image.shape[0], width / image.shape[1])
    size = [max(1, round(scale * side)) for side in (image.shape[1], image.shape[0])]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)

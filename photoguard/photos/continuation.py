"""Pixels that nobody may know, replaced by what their surroundings go on with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from photoguard.photos.images import Pixels


def continued(pixels: Pixels, known: NDArray[np.bool_]) -> Pixels:
    """The known pixels, and everywhere else a copy of the nearest known one; at least one must be known.

    The values of the others are never read. No edge is left between the two for a network to smear.
    """
    if known.all():
        return pixels.copy()
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colors = np.zeros((int(nearest.max()) + 1, pixels.shape[2]), pixels.dtype)
    colors[nearest[known]] = pixels[known]  # every known pixel has a label of its own
    filled: Pixels = colors[nearest]
    return filled

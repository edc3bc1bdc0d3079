"""Turning, scaling and shifting a face so that its landmarks lie where a recognizer expects them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from photoguard.photos.geometry import similarity, to_chip
from photoguard.recognizers.table import TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from photoguard.recognizers.table import Spec


def chip_for(
    spec: Spec, pixels: NDArray[np.uint8], landmarks: Sequence[tuple[float, float]] | NDArray[np.float64]
) -> NDArray[np.uint8]:
    """The (height, width, 3) chip of the face with these landmarks that the recognizer of `spec` wants."""
    return to_chip(pixels, similarity(landmarks, TEMPLATES[spec.template]), spec.height, spec.width)

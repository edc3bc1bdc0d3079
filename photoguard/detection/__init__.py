"""Finding faces: pixels in, a list of `Face` out. Importing this costs nothing; torch comes with `detect`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from photoguard.detection.faces import DetectionSettings, Face

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DetectionSettings", "Face", "detect"]


DEFAULT = DetectionSettings()


def detect(pixels: NDArray[np.uint8], settings: DetectionSettings = DEFAULT) -> list[Face]:
    """Every face on an upright (H, W, 3) RGB photo, in reading order: top edge first, then left edge."""
    from photoguard.detection.search import search

    return search(pixels, settings)

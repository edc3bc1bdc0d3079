"""AVP's chips as covers on a photo, and back from there.

The chips themselves are made in `avp_chips`, which needs torch; restoring a photo does not. A photo comes
back from its carriers, like that of every other method, and a chip comes back from the chip alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from photoguard.formats import chip_data as avp_payload

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from photoguard.methods import Pixels


def on_photo(chip: NDArray[np.uint8], height: int, width: int, dtype: np.dtype[Any]) -> Pixels:
    """The chip as a cover of this size and depth; `from_photo` finds it again, pixel for pixel.

    A cover smaller than the chip can only show it shrunk.
    """
    smaller = height < chip.shape[0] or width < chip.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_NEAREST_EXACT
    cover = np.asarray(cv2.resize(chip, (width, height), interpolation=how))
    return cover.astype(np.uint16) * 257 if dtype == np.uint16 else cover


def from_photo(cover: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The chip that a cover shows."""
    smaller = cover.shape[0] < height or cover.shape[1] < width
    how = cv2.INTER_CUBIC if smaller else cv2.INTER_NEAREST_EXACT
    return np.asarray(cv2.resize(cover, (width, height), interpolation=how), np.uint8)


def cut_out(cover: NDArray[np.uint8], sizes: Sequence[tuple[int, int]]) -> NDArray[np.uint8] | None:
    """The chip that a photo's cover shows, found by what it carries; None where nothing is left of that."""
    for height, width in sizes:
        chip = from_photo(cover, height, width)
        if avp_payload.is_chip(chip):
            return chip
    return None

"""The public picture: what stands in the place of every face, and the proof that nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from photoguard import looks
from photoguard.errors import DamagedError
from photoguard.looks import filters
from photoguard.photos.geometry import Box, Owners
from photoguard.photos.images import Photo, Pixels
from photoguard.photos.metadata import Metadata

# method -> the look of its covers; where `avp` has a chip to show, that replaces the noise
LOOKS = {"ddm": "pattern", "avp": "noise", "solid": "plain", "blur": "blur", "pixelate": "pixelate"}


@dataclass(frozen=True)
class Cover:
    """What everybody sees in a box."""

    look: str
    pixels: Pixels


def cover(method: str, patch: Pixels, strength: float = 1.0) -> Cover:
    """The cover of a patch; only filters are given its pixels."""
    look = LOOKS[method]
    if look in filters.FILTERS:
        return Cover(look, filters.filtered(look, patch, strength))
    return Cover(look, looks.draw(look, patch.shape[0], patch.shape[1], patch.dtype))


def picture(photo: Photo, boxes: list[Box], covers: Sequence[Cover]) -> Photo:
    """The photo as everybody sees it."""
    pixels = photo.pixels.copy()
    alpha = None if photo.alpha is None else photo.alpha.copy()
    owners = Owners.of(boxes)
    for number, (box, one) in enumerate(zip(boxes, covers, strict=True)):
        mine = owners.mask(number)
        pixels[box.window][mine] = (as_grey(one.pixels) if photo.grey else one.pixels)[mine]
        if alpha is not None:  # an outline in the alpha channel would still show the head
            alpha[box.window] = np.iinfo(alpha.dtype).max
    return replace(photo, pixels=pixels, alpha=alpha, metadata=Metadata())


def prove(written: Photo, boxes: list[Box], covers: Sequence[Cover]) -> None:
    """Compare a written picture's covers with what has to be there, drawn anew wherever that is possible."""
    owners = Owners.of(boxes)
    for number, (box, one) in enumerate(zip(boxes, covers, strict=True)):
        mine, expected = owners.mask(number), one.pixels
        shown, alpha = written.pixels[box.window], written.alpha
        if one.look in looks.FIXED:
            expected = looks.draw(one.look, box.height, box.width, shown.dtype)
        if not np.array_equal(shown[mine], (as_grey(expected) if written.grey else expected)[mine]):
            raise DamagedError(f"the cover of face {number + 1} is not the one that belongs there")
        if alpha is not None and (alpha[box.window] < np.iinfo(alpha.dtype).max).any():
            raise DamagedError(f"the outline of face {number + 1} is still in the picture's alpha")


def as_grey(pixels: NDArray[Any]) -> NDArray[Any]:
    """Three equal channels of luminance."""
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)

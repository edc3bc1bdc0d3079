"""The public picture: what stands in the place of every face, and the proof that nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from photoguard import looks
from photoguard.errors import DamagedError, UsageError
from photoguard.looks import filters, image, soft
from photoguard.photos import images
from photoguard.photos.geometry import Box, Owners
from photoguard.photos.images import Photo, Pixels
from photoguard.photos.metadata import Metadata

# method -> the look of its covers; where `avp` has a chip to show, that replaces the noise
LOOKS = {"ddm": "pattern", "avp": "noise", "solid": "plain", "blur": "blur", "pixelate": "pixelate"}
OWN_LOOK = {"avp": "shows its chips", "blur": "is a look itself", "pixelate": "is a look itself"}
CHOICES = ("plain", "pattern", "soft")  # and pictures
RING = 16  # the strips around a box are as wide as this share of its longer side


@dataclass(frozen=True)
class Look:
    """A look that the user chose: one of the choices, or `image` with what it shows."""

    name: str
    image: Pixels | None = field(default=None, repr=False, compare=False)  # (H, W, 3) of 8 bits
    digest: str = ""  # of the image


@dataclass(frozen=True)
class Cover:
    """What everybody sees in a box."""

    look: str
    pixels: Pixels


def refuse_look(method: str) -> None:
    """Some methods have a look of their own."""
    if method in OWN_LOOK:
        raise UsageError(
            f"--look does not go with --method {method}, which {OWN_LOOK[method]}",
            "it goes with ddm and solid",
        )


def chosen_look(method: str, look: str | tuple[bytes, str]) -> Look:
    """A choice, or a picture's bytes and name, as a look for a method."""
    refuse_look(method)
    if isinstance(look, str):
        return Look(look)
    logo = images.decode(*look)
    alpha = None if logo.alpha is None else (logo.alpha >> 8 * (logo.alpha.itemsize - 1)).astype(np.uint8)
    return Look("image", image.opaque(logo.shallow(), alpha), sha256(look[0]).hexdigest())


def cover(method: str, patch: Pixels, strength: float = 1.0) -> Cover:
    """The cover of a patch; only filters are given its pixels."""
    look = LOOKS[method]
    if look in filters.FILTERS:
        return Cover(look, filters.filtered(look, patch, strength))
    return Cover(look, looks.draw(look, patch.shape[0], patch.shape[1], patch.dtype))


def chosen(photo: Photo, boxes: Sequence[Box], look: Look) -> list[Cover]:
    """The covers of all boxes in a look that the user chose; of the photo only uncovered pixels are read."""
    if look.image is not None:
        dtype = photo.pixels.dtype
        return [Cover(look.name, image.fitted(look.image, box.height, box.width, dtype)) for box in boxes]
    return [Cover(look.name, _redrawn(look.name, photo, box, boxes)) for box in boxes]


def _redrawn(look: str, photo: Photo, box: Box, boxes: Sequence[Box]) -> Pixels:
    """A cover that anybody can draw who has the public picture."""
    if look == "soft":
        return soft.block(beside(photo.pixels, box, boxes), box.height, box.width, photo.pixels.dtype)
    return looks.draw(look, box.height, box.width, photo.pixels.dtype)


def beside(pixels: Pixels, box: Box, boxes: Sequence[Box]) -> NDArray[np.float64]:
    """The mean colors (4, 3) of the strips beside a box's left, right, upper and lower side.

    Only pixels that no box holds are read. A strip without any takes the mean of the others' colors, and half
    of the full value where there are none.
    """
    ring = max(1, max(box.shape) // RING)
    strips = (
        Box(box.x - ring, box.y, ring, box.height),
        Box(box.x + box.width, box.y, ring, box.height),
        Box(box.x, box.y - ring, box.width, ring),
        Box(box.x, box.y + box.height, box.width, ring),
    )
    means = []
    for strip in (one.clipped(pixels.shape[1], pixels.shape[0]) for one in strips):
        open_ = np.ones(strip.shape, np.bool_)
        for other in (one.moved(-strip.x, -strip.y) for one in boxes if one.overlaps(strip)):
            open_[other.clipped(strip.width, strip.height).window] = False
        means.append(pixels[strip.window][open_].mean(0, dtype=np.float64) if open_.any() else None)
    known = [one for one in means if one is not None]
    rest = np.mean(known, 0) if known else np.full(3, np.iinfo(pixels.dtype).max // 2)
    return np.array([rest if one is None else one for one in means], np.float64)


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
        if one.look in (*looks.FIXED, "soft"):
            expected = _redrawn(one.look, written, box, boxes)
        if not np.array_equal(shown[mine], (as_grey(expected) if written.grey else expected)[mine]):
            raise DamagedError(f"the cover of face {number + 1} is not the one that belongs there")
        if alpha is not None and (alpha[box.window] < np.iinfo(alpha.dtype).max).any():
            raise DamagedError(f"the outline of face {number + 1} is still in the picture's alpha")


def as_grey(pixels: NDArray[Any]) -> NDArray[Any]:
    """Three equal channels of luminance."""
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)

"""AVP: a face becomes a picture that a chosen recognizer still takes for it and that only a key undoes.

The picture, the chip, is made for the recognizer's own input and enrolled there; on the photo it covers the
face. `sealed` chips carry the face, encrypted, in their low bits; `learned` ones are undone by a key model.
The photo itself is restored from its carriers, like that of every other method.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from photoguard.errors import QualityError
from photoguard.methods import Covered, Pixels, Settings, avp_payload, covers
from photoguard.methods.avp_search import Fast, Found, Goal, fast
from photoguard.methods.avp_target import chip_spec, resemblance
from photoguard.recognizers import Recognizer, Spec, load

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from photoguard.identities import Ask, Identity, Recipients
    from photoguard.methods.avp_search import Progress

    Chips = NDArray[np.uint8]  # (N, H, W, 3)

TOGETHER = 8  # faces in one search: more need more memory and are no faster
LEAST = 0.99  # cosine below which a chip is no good
GOAL = Goal(reached=0.998, ssim_e=0.01)


@dataclass(frozen=True)
class Making:
    """How chips are made."""

    recognizers: tuple[str, ...]
    search: Fast = field(default_factory=lambda: Fast(goal=GOAL))
    least: float = LEAST


@dataclass(frozen=True)
class Chip:
    """An encrypted face and what it reached."""

    pixels: NDArray[np.uint8]
    restored: NDArray[np.uint8]
    """What the key gives back of it."""
    cosines: dict[str, float]
    """By recognizer."""
    ssim_e: float
    """With the face: lower hides more."""
    ssim_d: float
    """Restored with the face."""
    steps: int
    seconds: float


@cache
def recognizer(name: str) -> Recognizer:
    """An installed recognizer, loaded once."""
    return load(name)


def spec_of(making: Making) -> Spec:
    """What faces must be cut out for."""
    return chip_spec([recognizer(name).spec for name in making.recognizers])


def encrypt(
    faces: Chips, making: Making, recipients: Recipients, progress: Progress | None = None
) -> list[Chip]:
    """A chip for each aligned face (N, H, W, 3)."""
    chips: list[Chip] = []
    for start in range(0, len(faces), TOGETHER):
        chips += _sealed(faces[start : start + TOGETHER], making, recipients, progress)
    return chips


def _sealed(faces: Chips, making: Making, recipients: Recipients, progress: Progress | None) -> list[Chip]:
    bits, restored = zip(*(avp_payload.seal(face, recipients) for face in faces), strict=True)
    carried = _tensor(np.stack(bits))

    def search(rows: list[int]) -> list[Found]:
        originals = _tensor(faces[rows]).float()
        target = resemblance([recognizer(name) for name in making.recognizers], originals)
        return fast(originals, target, settings=making.search, carried=carried[rows], progress=progress)

    found = _twice(search, len(faces), making)
    return [
        Chip(
            one.pixels, back, dict(zip(making.recognizers, one.reached, strict=True)), one.ssim_e,
            _ssim(face, back), one.steps, one.seconds,
        )
        for face, one, back in zip(faces, found, restored, strict=True)
    ]  # fmt: skip


def _twice(search: Callable[[list[int]], list[Found]], count: int, making: Making) -> list[Found]:
    """The search's results; faces that it failed on get a second one, from another start."""
    found = search(list(range(count)))
    again = [row for row, one in enumerate(found) if not _good(one, making)]
    if again:
        for row, one in zip(again, search(again), strict=True):
            found[row] = one
    for number, one in enumerate(found, start=1):
        if not _good(one, making):
            raise _missed(number, one, making)
    return found


def _good(found: Found, making: Making) -> bool:
    return all(math.isfinite(value) and value >= making.least for value in found.reached)


def _missed(number: int, found: Found, making: Making) -> QualityError:
    hint = "name fewer recognizers, or leave --robust out"
    if not all(math.isfinite(value) for value in found.reached):
        return QualityError(f"the search for face {number} left the realm of numbers, twice", hint)
    at, worst = min(enumerate(found.reached), key=lambda pair: pair[1])
    name = making.recognizers[at]
    return QualityError(
        f"face {number} reached cosine {worst:.3f} with {name}, not {making.least} in {found.steps} steps",
        hint,
    )


def open_chip(pixels: NDArray[np.uint8], keys: Sequence[Identity], ask: Ask | None = None) -> Chips:
    """The face behind a chip."""
    return avp_payload.unseal(avp_payload.carried(pixels), keys, ask)


def _tensor(pixels: Chips) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    from photoguard.methods.avp_losses import ssim

    return float(ssim(_tensor(a[None]).float(), _tensor(b[None]).float()))


# The photo


def protect(name: str, patches: Sequence[Pixels], settings: Settings) -> list[Covered]:
    """Cover patches by noise and seal their pixels; where there are chips, they replace the noise."""
    parts = covers.protect("solid", patches, settings)
    return [replace(part, cover=_noise(part.cover)) for part in parts]


def reveal(name: str, covered: Sequence[Covered]) -> list[Pixels]:
    """The sealed pixels of every patch."""
    return covers.reveal(name, covered)


def _noise(like: Pixels) -> Pixels:
    values = np.frombuffer(secrets.token_bytes(like.nbytes), like.dtype)
    return values.reshape(like.shape).copy()


def on_photo(chip: NDArray[np.uint8], like: Pixels) -> Pixels:
    """The chip as a cover of the shape and depth of `like`; `from_photo` finds it again, pixel for pixel.

    A cover smaller than the chip can only show it shrunk.
    """
    height, width = like.shape[:2]
    smaller = height < chip.shape[0] or width < chip.shape[1]
    how = cv2.INTER_AREA if smaller else cv2.INTER_NEAREST_EXACT
    cover = np.asarray(cv2.resize(chip, (width, height), interpolation=how))
    return cover.astype(np.uint16) * 257 if like.dtype == np.uint16 else cover


def from_photo(cover: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The chip that a cover shows."""
    smaller = cover.shape[0] < height or cover.shape[1] < width
    how = cv2.INTER_CUBIC if smaller else cv2.INTER_NEAREST_EXACT
    return np.asarray(cv2.resize(cover, (width, height), interpolation=how), np.uint8)

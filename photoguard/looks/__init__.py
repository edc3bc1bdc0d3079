"""What everybody sees in a face's place, drawn from a box's size and nothing else.

`draw` cannot receive the face, nor can `soft`, which gets four colors beside the box, and `image`, which gets
a picture of the user's. `filters` holds the two looks that are made of the face, and so tell something of it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

    Pixels = NDArray[Any]  # (H, W, 3) RGB, uint8 or uint16
    Drawing = Callable[[int, int, np.dtype[Any]], Pixels]

SQUARE = 4  # pixels: the side of the pattern's squares


def draw(look: str, height: int, width: int, dtype: DTypeLike) -> Pixels:
    """A cover of height x width pixels."""
    return DRAWN[look](height, width, np.dtype(dtype))


def _pattern(height: int, width: int, dtype: np.dtype[Any]) -> Pixels:
    """The checkerboard that DDM's shipped network draws for a neutral patch, whatever its private feature."""
    rows, columns = (np.arange(side) // SQUARE % 2 for side in (height, width))
    light = (rows[:, None] == columns) * dtype.type(np.iinfo(dtype).max)
    return np.repeat(light[..., None], 3, axis=2)


def _plain(height: int, width: int, dtype: np.dtype[Any]) -> Pixels:
    return np.full((height, width, 3), np.iinfo(dtype).max // 2, dtype)


def _noise(height: int, width: int, dtype: np.dtype[Any]) -> Pixels:
    drawn = secrets.token_bytes(height * width * 3 * dtype.itemsize)
    return np.frombuffer(drawn, dtype).reshape(height, width, 3).copy()


DRAWN: dict[str, Drawing] = {"pattern": _pattern, "plain": _plain, "noise": _noise}
FIXED = ("pattern", "plain")  # the same at every call, so that anybody can check them

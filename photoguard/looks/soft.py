"""A rounded soft block in the tone of what is around a box, made of four colors beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Pixels = NDArray[Any]  # (H, W, 3) RGB, uint8 or uint16

SOFTENED = 0.25  # of the box's size: how slowly one side's color gives way to the others
SHADE = 0.8  # of the block, where its surroundings have 1
EDGE = 0.5  # how much of the block is its soft edge


def block(sides: NDArray[np.float64], height: int, width: int, dtype: np.dtype[Any]) -> Pixels:
    """A cover from the colors (4, 3) beside the left, right, upper and lower side of its box.

    Each place takes the four by the inverse of its distance to their sides; the block is darker than that.
    """
    y, x = (np.arange(height)[:, None] + 0.5) / height, (np.arange(width)[None] + 0.5) / width
    weights = [np.broadcast_to(1 / (d + SOFTENED), (height, width)) for d in (x, 1 - x, y, 1 - y)]
    near = np.stack(weights, 2)  # (H, W, 4)
    tone = (near / near.sum(2, keepdims=True)) @ sides
    inside = 1 - np.abs(2 * x - 1) ** 4 - np.abs(2 * y - 1) ** 4  # above 0 in a rounded square
    amount = np.clip(inside / EDGE, 0, 1)[..., None]
    amount = amount * amount * (3 - 2 * amount)
    shaded = SHADE * (tone + sides.mean(0)) / 2
    return np.asarray(np.rint(tone + amount * (shaded - tone)), dtype)

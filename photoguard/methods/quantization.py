"""Maps of features in 8 bits and back, as arrays: what `nets.ddm` does on tensors, number for number."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]


def quantise(maps: Floats) -> tuple[NDArray[np.uint8], Floats, Floats]:
    """(N, C, h, w) -> codes 0..255 of the same shape, and per map the lowest value and the step (N, C).

    A code c stands for lowest + c * step. Both numbers are rounded to float16 first, since they travel so.
    """
    low = maps.min((2, 3)).astype(np.float16).astype(np.float32)
    step = ((maps.max((2, 3)) - low) / np.float32(255)).astype(np.float16).astype(np.float32)
    step = np.maximum(step, np.float32(2.0**-14))
    codes = np.rint((maps - low[..., None, None]) / step[..., None, None])
    return np.clip(codes, 0, 255).astype(np.uint8), low, step


def dequantise(codes: NDArray[np.uint8], low: Floats, step: Floats) -> Floats:
    """The maps that a network gets, from what `quantise` returned."""
    found: Floats = low[..., None, None] + codes.astype(np.float32) * step[..., None, None]
    return found

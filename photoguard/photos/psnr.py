"""How far two pictures are apart, in decibels: one definition for the tool, training and evaluation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def psnr(a: NDArray[Any], b: NDArray[Any], owned: NDArray[np.bool_] | None = None) -> float:
    """Peak signal-to-noise ratio of two pictures of 0..255, or of two stacks taken as one.

    With `owned`, over these pixels alone.
    """
    squares = (a.astype(np.float64) - b.astype(np.float64)) ** 2
    error = float(np.mean(squares if owned is None else squares[owned]))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)

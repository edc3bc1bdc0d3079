"""Pictures as arrays of pixels (N, H, W, 3) and as tensors of planes (N, 3, H, W), of 0..255 in both."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Pixels = NDArray[np.uint8]  # (..., H, W, 3)


def to_planes(pixels: NDArray[Any]) -> Tensor:
    """Pixels (N, H, W, C) of any type as (N, C, H, W), channels last in memory and shared where possible."""
    return torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(0, 3, 1, 2)


def to_pixels(planes: Tensor) -> Pixels:
    """(N, C, H, W) of 0..255 as (N, H, W, C), rounded to 8 bits."""
    whole = planes.detach().round().clamp(0, 255).to(torch.uint8)
    return np.asarray(whole.permute(0, 2, 3, 1).contiguous().cpu().numpy(), np.uint8)

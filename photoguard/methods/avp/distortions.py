"""What may happen to a chip on its way: JPEG and resizing, as functions with a gradient and for real."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUALITY = 75  # of JPEG: what many services save with
SCALE = 0.5  # of resizing, there and back

# The example tables of the JPEG standard (ITU-T T.81, K.1), which its encoders scale by their quality.
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99), (18, 21, 26, 66, 99, 99, 99, 99), (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99), *([(99,) * 8] * 4),
)  # fmt: skip
FROM_RGB = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def distortions(names: tuple[str, ...]) -> list[Callable[[Tensor], Tensor]]:
    """The functions, with gradient, of the distortions by name."""
    known: dict[str, Callable[[Tensor], Tensor]] = {"jpeg": jpeg, "resize": resized}
    return [known[name] for name in names]


def jpeg(pictures: Tensor, quality: int = QUALITY) -> Tensor:
    """Pictures (B, 3, H, W) of 0..255 as JPEG gives them back; rounding passes the gradient straight on."""
    height, width = pictures.shape[2:]
    padded = F.pad(pictures, (0, -width % 16, 0, -height % 16), mode="replicate")
    mixed = torch.einsum("oc,bchw->bohw", pictures.new_tensor(FROM_RGB), padded)
    light = _quantized(mixed[:, :1] - 128, _table(LUMINANCE, quality)) + 128
    color = _quantized(F.avg_pool2d(mixed[:, 1:], 2), _table(CHROMINANCE, quality))
    color = F.interpolate(color, scale_factor=2, mode="bilinear", align_corners=False)
    back = torch.einsum("oc,bchw->bohw", pictures.new_tensor(TO_RGB), torch.cat([light, color], 1))
    return _straight(back[:, :, :height, :width].clamp(0, 255))


def _quantized(planes: Tensor, table: Tensor) -> Tensor:
    """Planes (B, C, H, W) around 0, transformed and rounded in blocks of 8 x 8."""
    count, channels, height, width = planes.shape
    blocks = planes.view(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    basis, table = _cosines().to(planes), table.to(planes)
    coefficients = _straight(basis @ blocks @ basis.T / table) * table
    back = (basis.T @ coefficients @ basis).transpose(3, 4)
    return back.reshape(count, channels, height, width)


@cache
def _cosines() -> Tensor:
    """The orthonormal discrete cosine transform of 8 values, (8, 8)."""
    k, i = torch.arange(8)[:, None], torch.arange(8)[None]
    basis = torch.cos(torch.pi * (i + 0.5) * k / 8) / 2
    basis[0] /= 2**0.5
    return basis


@cache
def _table(table: tuple[tuple[int, ...], ...], quality: int) -> Tensor:
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return ((torch.tensor(table) * scale + 50) // 100).clamp(1, 255).float()


def _straight(values: Tensor) -> Tensor:
    """Rounded, with the gradient of what was not."""
    return values + (values.round() - values).detach()


def resized(pictures: Tensor, scale: float = SCALE) -> Tensor:
    """Pictures made smaller and large again, rounded at both ends."""
    height, width = pictures.shape[2:]
    size = (round(height * scale), round(width * scale))
    small = _straight(F.interpolate(pictures, size, mode="area"))
    large = F.interpolate(small, (height, width), mode="bilinear", align_corners=False)
    return _straight(large.clamp(0, 255))


# For real


def re_encoded(chip: NDArray[np.uint8], names: tuple[str, ...]) -> dict[str, NDArray[np.uint8]]:
    """The chip after each of the distortions by name, done by the libraries that services use."""
    made = {}
    for name in names:
        if name == "jpeg":
            out = io.BytesIO()
            Image.fromarray(chip).save(out, "JPEG", quality=QUALITY)
            made[f"JPEG {QUALITY}"] = np.asarray(Image.open(out).convert("RGB"))
        else:
            height, width = chip.shape[:2]
            size = (round(width * SCALE), round(height * SCALE))
            small = cv2.resize(chip, size, interpolation=cv2.INTER_AREA)
            made[f"resizing to {SCALE:g}"] = np.asarray(
                cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8
            )
    return made

"""How alike pictures are, one definition to train against and to measure with: SSIM and MS-SSIM.

SSIM is that of Wang, Bovik, Sheikh, Simoncelli (2004), MS-SSIM that of Wang, Simoncelli, Bovik (2003).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales, the finest first
WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # for values of 0..1


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of pictures of 0..255, (B, C, H, W), with gradient: (B,), 1 for equal ones."""
    taps = torch.arange(WINDOW, dtype=a.dtype, device=a.device) - WINDOW // 2
    line = torch.exp(-taps.square() / (2 * SIGMA**2))
    line = line / line.sum()
    count = a.shape[1]
    # On numbers around zero: float32 loses the variance in the square of a large mean.
    x, y = a - 128, b - 128
    stack = torch.cat([x, y, x * x, y * y, x * y], 1)
    stack = F.conv2d(stack, line.view(1, 1, -1, 1).expand(5 * count, 1, -1, 1), groups=5 * count)
    stack = F.conv2d(stack, line.view(1, 1, 1, -1).expand(5 * count, 1, 1, -1), groups=5 * count)
    mx, my, xx, yy, xy = torch.split(stack, count, 1)
    vx, vy, cov = xx - mx * mx, yy - my * my, xy - mx * my
    mx, my = mx + 128, my + 128
    c1, c2 = C1 * 255**2, C2 * 255**2
    similar: Tensor = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return similar.mean((1, 2, 3))


def scales(height: int, width: int) -> int:
    """How many of the five scales hold a whole window: 5 from 176 px, 4 from 88, 3 from 44."""
    return max(min((min(height, width) // WINDOW).bit_length(), len(SCALE_WEIGHTS)), 1)


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """How alike the pictures of two batches are: (B, 3, H, W) of 0..1 -> (B,), 1 for equal ones.

    A picture too small for all five scales is measured on those that it has, their weights scaled to sum 1.
    """
    count = scales(*a.shape[-2:])
    weights = torch.tensor(SCALE_WEIGHTS[:count], device=a.device)
    a, b = a.float(), b.float()  # a variance is a small difference of squares: too fine for half precision
    product = a.new_ones(len(a), a.shape[1])
    for number, weight in enumerate(weights / weights.sum()):
        luminance, contrast = _compared(a, b)
        found = contrast * luminance if number == count - 1 else contrast
        # A negative mean has no such power; the small floor keeps the gradient finite.
        product = product * found.mean((2, 3)).clamp(min=1e-4) ** weight
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return product.mean(1)


def _compared(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The terms of SSIM at every place of the window."""
    rows, columns = (_blur(size, a) for size in a.shape[-2:])

    def local(values: Tensor) -> Tensor:
        return rows @ values @ columns.T

    mean_a, mean_b = local(a), local(b)
    square_a, square_b, cross = mean_a * mean_a, mean_b * mean_b, mean_a * mean_b
    varied = local(a * a + b * b) - square_a - square_b
    contrast = (2 * (local(a * b) - cross) + C2) / (varied + C2)
    return (2 * cross + C1) / (square_a + square_b + C1), contrast


def _blur(size: int, like: Tensor) -> Tensor:
    """The window at every place of a line as a matrix (size - 10, size): a product is fast on a CPU."""
    window = min(WINDOW, size)
    at = torch.arange(window, dtype=torch.float32, device=like.device) - (window - 1) / 2
    gauss = torch.exp(-at * at / (2 * SIGMA**2))
    places = size - window + 1
    matrix = torch.zeros(places, size, device=like.device)
    index = torch.arange(places, device=like.device)[:, None] + torch.arange(window, device=like.device)
    return matrix.scatter(1, index, (gauss / gauss.sum()).expand(places, window))

"""AVP's losses, and how alike two pictures are: (B, 3, H, W) in, one number a picture out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 8  # pixels a side of L_v's blocks: a feature of a face, such as an eye, is larger
WINDOW, SIGMA = 11, 1.5  # of SSIM, as in evaluate.metrics


def distance(picture: Tensor, original: Tensor) -> Tensor:
    """L_d (Eq. 5) of pictures in 0..1, as a mean over the samples so that chips of all sizes weigh alike."""
    return (picture - original).square().mean((1, 2, 3))


def variance(picture: Tensor, block: int = BLOCK) -> Tensor:
    """L_v (Eq. 12-13) of pictures in 0..1: variance of the sums of all blocks, added up over the channels."""
    sums = F.avg_pool2d(picture, block, stride=1) * block**2  # (B, 3, H - 7, W - 7): Eq. 12
    return sums.flatten(2).var(2, correction=0).sum(1)  # Eq. 13


def feature_distance(embedding: Tensor, wanted: Tensor) -> Tensor:
    """L_t for recognition (Eq. 16)."""
    return (embedding - wanted).square().sum(1)


def class_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """L_t for classification (Eq. 17): minus the logit of the class that the original was given."""
    return -logits.gather(1, classes[:, None])[:, 0]


def class_doubt(logits: Tensor, classes: Tensor) -> Tensor:
    """L_t for classification as photoguard has it: Eq. 17 can be met while another logit rises faster."""
    return F.cross_entropy(logits, classes, reduction="none")


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity of pictures of 0..255, with gradient; the same number as metrics.ssim."""
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
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similar: Tensor = (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    return similar.mean((1, 2, 3))

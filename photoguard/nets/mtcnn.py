"""The three networks of MTCNN (Zhang et al. 2016): propose, refine, and place five landmarks.

All take raw pixels (0..255, RGB) as floats: the scaling to -1..1 is part of the first convolution once
`fold_scaling` has run. A face's score is given as a logit, the difference of the two classes' outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

P_CELL, P_STRIDE = 12, 2  # a P-Net output looks at 12 x 12 pixels, the next one 2 pixels further on
R_SIDE, O_SIDE = 24, 48  # input sides of R-Net and O-Net


class PNet(nn.Module):
    """Fully convolutional: one answer per 2 x 2 pixels, each about 12 x 12 of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 10, 3)
        self.prelu1 = nn.PReLU(10)
        self.conv2 = nn.Conv2d(10, 16, 3)
        self.prelu2 = nn.PReLU(16)
        self.conv3 = nn.Conv2d(16, 32, 3)
        self.prelu3 = nn.PReLU(32)
        self.conv4_1 = nn.Conv2d(32, 2, 1)
        self.conv4_2 = nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 3, H, W), H and W even, channels last: logits (H/2-5, W/2-5), features (H/2-5, W/2-5, 32).

        Nearly all of a photo's detection time is spent in these lines, so they are written for speed: the
        activation runs over whole rows, the pooling is two maxima, and the box offsets, which are needed
        at a few places only, are left to `offsets`. Together 2.4 times as fast on a CPU.
        """
        x = _prelu_by_rows(self.conv1(x), self.prelu1.weight)
        x = torch.maximum(x[:, :, ::2], x[:, :, 1::2])
        x = torch.maximum(x[..., ::2], x[..., 1::2])  # (1, 10, H/2-1, W/2-1)
        x = self.prelu3(self.conv3(self.prelu2(self.conv2(x))))
        features = x[0].permute(1, 2, 0)
        weight = self.conv4_1.weight[1] - self.conv4_1.weight[0]  # (32, 1, 1)
        bias = self.conv4_1.bias[1] - self.conv4_1.bias[0] if self.conv4_1.bias is not None else 0
        return features @ weight.flatten() + bias, features

    def offsets(self, features: Tensor) -> Tensor:
        """Features (N, 32): how far the box's edges are from the cell's (N, 4), in cells of 12 pixels."""
        return nn.functional.linear(features, self.conv4_2.weight.flatten(1), self.conv4_2.bias)


def _prelu_by_rows(x: Tensor, slopes: Tensor) -> Tensor:
    """PReLU of (1, C, H, W) channels last, with each row of W x C numbers as one long row of channels.

    Ten channels fill no vector register of a processor, a row does: four times as fast.
    """
    _, channels, height, width = x.shape
    rows = nn.functional.prelu(x.permute(0, 2, 3, 1).reshape(height, -1), slopes.repeat(width))
    return rows.view(1, height, width, channels).permute(0, 3, 1, 2)


class RNet(nn.Module):
    """Sorts out candidates of 24 x 24 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 28, 3)
        self.prelu1 = nn.PReLU(28)
        self.conv2 = nn.Conv2d(28, 48, 3)
        self.prelu2 = nn.PReLU(48)
        self.conv3 = nn.Conv2d(48, 64, 2)
        self.prelu3 = nn.PReLU(64)
        self.dense4 = nn.Linear(576, 128)
        self.prelu4 = nn.PReLU(128)
        self.dense5_1 = nn.Linear(128, 2)
        self.dense5_2 = nn.Linear(128, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B) and box offsets (B, 4) in sides of the crop."""
        x = nn.functional.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = nn.functional.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = self.prelu3(self.conv3(x))
        x = self.prelu4(self.dense4(x.transpose(1, 3).flatten(1)))  # the weights expect (W, H, C) order
        classes = self.dense5_1(x)
        return classes[:, 1] - classes[:, 0], self.dense5_2(x)


class ONet(nn.Module):
    """Decides on candidates of 48 x 48 pixels and finds eyes, nose and mouth corners."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3)
        self.prelu1 = nn.PReLU(32)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.prelu2 = nn.PReLU(64)
        self.conv3 = nn.Conv2d(64, 64, 3)
        self.prelu3 = nn.PReLU(64)
        self.conv4 = nn.Conv2d(64, 128, 2)
        self.prelu4 = nn.PReLU(128)
        self.dense5 = nn.Linear(1152, 256)
        self.prelu5 = nn.PReLU(256)
        self.dense6_1 = nn.Linear(256, 2)
        self.dense6_2 = nn.Linear(256, 4)
        self.dense6_3 = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits (B), box offsets (B, 4) and landmarks (B, 5, 2) as x, y in sides of the crop."""
        x = nn.functional.max_pool2d(self.prelu1(self.conv1(x)), 3, 2, ceil_mode=True)
        x = nn.functional.max_pool2d(self.prelu2(self.conv2(x)), 3, 2, ceil_mode=True)
        x = nn.functional.max_pool2d(self.prelu3(self.conv3(x)), 2, 2, ceil_mode=True)
        x = self.prelu4(self.conv4(x))
        x = self.prelu5(self.dense5(x.transpose(1, 3).flatten(1)))  # (W, H, C) order, as in R-Net
        classes = self.dense6_1(x)
        landmarks = self.dense6_3(x).unflatten(1, (2, 5)).transpose(1, 2)
        return classes[:, 1] - classes[:, 0], self.dense6_2(x), landmarks


def fold_scaling(conv: nn.Conv2d) -> None:
    """Make a trained first convolution take 0..255 where it took (pixel - 127.5) / 128.

    It has no padding, so that moving the scaling into weights and bias changes nothing but rounding.
    """
    with torch.no_grad():
        if conv.bias is None:
            raise ValueError("a convolution without bias cannot take in the offset")
        conv.bias -= conv.weight.sum((1, 2, 3)) * (127.5 / 128)
        conv.weight /= 128

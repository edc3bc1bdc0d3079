"""The three networks of MTCNN (Zhang et al. 2016): propose, refine, and place five landmarks.

All take raw pixels (0..255, RGB) as floats: the scaling to -1..1 is worked into the first convolution
(`detection.networks`). A face's score is given as a logit, the difference of the two classes' outputs.
"""

from __future__ import annotations

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
        """(1, 3, H, W), H and W even: logits (1, 1, H/2-5, W/2-5), features (1, 32, H/2-5, W/2-5).

        The box offsets, which are needed at a few places only, are made of the features there: `conv4_2`.
        """
        x = _prelu(self.conv1(x), self.prelu1.weight)
        x = nn.functional.max_pool2d(x, 2)  # (1, 10, H/2-1, W/2-1)
        x = _prelu(self.conv2(x), self.prelu2.weight)
        features = _prelu(self.conv3(x), self.prelu3.weight)
        classes = self.conv4_1(features)
        return classes[:, 1:] - classes[:, :1], features


def _prelu(x: Tensor, slopes: Tensor) -> Tensor:
    """PReLU of (1, C, H, W) in operators of which each runs over whole rows: twice as fast on a processor."""
    return nn.functional.relu(x) - slopes[:, None, None] * nn.functional.relu(-x)


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

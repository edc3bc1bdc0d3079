"""Classifiers of 32x32 pictures, and the two networks that older ways of hiding pictures put before them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ClassifierConfig:
    """Channels of the three stages, convolutions or residual blocks in each, and the number of classes."""

    family: str = "resnet"  # or "vgg"
    widths: tuple[int, int, int] = (16, 32, 64)
    blocks: int = 1
    classes: int = 10


class Classifier(nn.Module):
    """Three stages of convolutions, each at half the resolution of the one before, then one linear layer."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        stage = {"resnet": _residual_stage, "vgg": _plain_stage}[config.family]
        inputs = (3, *config.widths[:-1])
        self.stages = nn.ModuleList(
            stage(a, b, config.blocks, stride)
            for a, b, stride in zip(inputs, config.widths, (1, 2, 2), strict=True)
        )
        self.classes = nn.Linear(config.widths[-1], config.classes)

    def look(self, x: Tensor) -> list[Tensor]:
        """The maps after each stage: (B, widths[i], H / 2**i, W / 2**i)."""
        found = []
        x = (x - 0.5) / 0.25
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) of 0..1 to logits (B, classes)."""
        logits: Tensor = self.classes(self.look(x)[-1].mean((2, 3)))
        return logits


def _convolution(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)]


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(inputs, outputs, stride), nn.ReLU(), *_convolution(outputs, outputs)
        )
        self.short: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            self.short = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.short(x))


def _residual_stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    layers: list[nn.Module] = [_Block(inputs, outputs, stride)]
    layers += [_Block(outputs, outputs, 1) for _ in range(blocks - 1)]
    return nn.Sequential(*layers)


def _plain_stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.MaxPool2d(2)] if stride == 2 else []
    for number in range(2 * blocks):
        layers += [*_convolution(inputs if number == 0 else outputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class Adapted(nn.Module):
    """A classifier of block-wise scrambled pictures: Tanaka's adaptation network, then a classifier.

    The first convolution sees exactly one scrambled block, so it can learn to put the block in order.
    """

    def __init__(self, classifier: Classifier, block: int = 4, width: int = 96) -> None:
        super().__init__()
        self.adapt = nn.Sequential(
            nn.Conv2d(3, width, block, block),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
            nn.ReLU(),
            nn.Conv2d(width, 3 * block * block, 1),
            nn.PixelShuffle(block),
        )
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) of 0..1, H and W multiples of the block, to logits (B, classes)."""
        logits: Tensor = self.classifier(torch.sigmoid(self.adapt((x - 0.5) / 0.25)))
        return logits


class Transformation(nn.Module):
    """Picture to protected picture, as Ito et al. have it: a small U-Net."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.enter = nn.Sequential(*_convolution(3, width), nn.ReLU())
        self.down1 = nn.Sequential(*_convolution(width, 2 * width, 2), nn.ReLU())
        self.down2 = nn.Sequential(*_convolution(2 * width, 4 * width, 2), nn.ReLU())
        self.up2 = nn.Sequential(*_convolution(6 * width, 2 * width), nn.ReLU())
        self.up1 = nn.Sequential(*_convolution(3 * width, width), nn.ReLU())
        self.leave = nn.Conv2d(width, 3, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) of 0..1, H and W multiples of 4, to another such picture."""
        a = self.enter((x - 0.5) / 0.25)
        b = self.down1(a)
        c = self.down2(b)
        d = self.up2(torch.cat([F.interpolate(c, scale_factor=2.0), b], 1))
        e = self.up1(torch.cat([F.interpolate(d, scale_factor=2.0), a], 1))
        return torch.sigmoid(self.leave(e))

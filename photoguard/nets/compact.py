"""A face recognizer for processors: plain convolutions, faster on a CPU than depthwise ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


@dataclass(frozen=True)
class CompactConfig:
    """Input size in pixels, length of the embedding, and channels of the blocks, each halving the size."""

    height: int = 112
    width: int = 96
    embedding: int = 256
    widths: tuple[int, ...] = (24, 48, 128, 256)


class Block(nn.Module):
    """Two convolutions, halving the resolution, beside the averaged input."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.SiLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(2, ceil_mode=True),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.bend = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / 2, W / 2), rounded up."""
        return self.bend(self.body(x) + self.shortcut(x))  # type: ignore[no-any-return]


class CompactNet(nn.Module):
    """Normalized face to embedding."""

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.config = config
        first, last = config.widths[0], config.widths[-1]
        self.stem = nn.Sequential(nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.SiLU())
        widths = pairwise((first, *config.widths))
        self.blocks = nn.Sequential(*(Block(inputs, outputs) for inputs, outputs in widths))
        scale = 2 ** (1 + len(config.widths))
        window = (math.ceil(config.height / scale), math.ceil(config.width / scale))
        self.head = nn.Sequential(
            nn.Conv2d(last, last, window, groups=last, bias=False),
            nn.BatchNorm2d(last),
            nn.Conv2d(last, config.embedding, 1, bias=False),
            nn.BatchNorm2d(config.embedding),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, height, width) to (B, embedding)."""
        embedding: Tensor = self.head(self.blocks(self.stem(x))).flatten(1)
        return embedding


def fused(network: nn.Module) -> nn.Module:
    """The frozen network with every norm worked into the convolution before it: faster, the same answers."""
    parts = list(network.named_children())
    for (name, part), (following, norm) in pairwise(parts):
        if isinstance(part, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(network, name, fuse_conv_bn_eval(part, norm))
            setattr(network, following, nn.Identity())
    for _, part in parts:
        fused(part)
    return network

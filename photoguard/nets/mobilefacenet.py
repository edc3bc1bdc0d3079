"""MobileFaceNet: a face recognizer of a million parameters."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


@dataclass(frozen=True)
class MobileFaceNetConfig:
    """Input size in pixels (multiples of 16), length of the embedding, and how wide and deep it is between.

    What is not given is as published.
    """

    height: int = 112
    width: int = 96
    embedding: int = 128
    stem: int = 64
    # (expansion, channels, blocks, stride of the first block)
    stages: tuple[tuple[int, int, int, int], ...] = (
        (2, 64, 5, 2),
        (4, 128, 1, 2),
        (2, 128, 6, 1),
        (4, 128, 1, 2),
        (2, 128, 2, 1),
    )
    head: int = 512
    activation: str = "prelu"  # or "silu": smooth, and on a CPU its backward pass is several times faster


def activation(kind: str, channels: int) -> nn.Module:
    """What bends the line after a norm."""
    return nn.PReLU(channels) if kind == "prelu" else nn.SiLU()


class ConvUnit(nn.Module):
    """Convolution, batch norm and, unless it is linear (no `bend`), an activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int = 0,
        *,
        depthwise: bool = False,
        bend: str = "",
    ) -> None:
        super().__init__()
        groups = inputs if depthwise else 1
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu = activation(bend, outputs) if bend else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H', W')."""
        return self.prelu(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """Widen, filter each channel, narrow again; adds its input when the shape allows."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, bend: str) -> None:
        super().__init__()
        wide = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            activation(bend, wide),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            activation(bend, wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H/stride, W/stride)."""
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


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


class MobileFaceNet(nn.Module):
    """Normalized face to embedding."""

    def __init__(self, config: MobileFaceNetConfig) -> None:
        super().__init__()
        self.config = config
        width, head, bend = config.stem, config.head, config.activation
        self.conv1 = ConvUnit(3, width, 3, 2, 1, bend=bend)
        self.dw_conv1 = ConvUnit(width, width, 3, 1, 1, depthwise=True, bend=bend)
        blocks: list[nn.Module] = []
        for expansion, channels, count, first_stride in config.stages:
            for number in range(count):
                blocks.append(
                    Bottleneck(width, channels, first_stride if number == 0 else 1, expansion, bend)
                )
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = ConvUnit(width, head, 1, bend=bend)
        window = (config.height // 16, config.width // 16)  # what is left of the picture: one value a channel
        self.linear7 = ConvUnit(head, head, window, depthwise=True)
        self.linear1 = ConvUnit(head, config.embedding, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, height, width) to (B, embedding)."""
        x = self.blocks(self.dw_conv1(self.conv1(x)))
        x = self.linear1(self.linear7(self.conv2(x)))
        return x.flatten(1)

"""MobileFaceNet: a face recognizer of a million parameters."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class MobileFaceNetConfig:
    """Input size in pixels (multiples of 16) and length of the embedding."""

    height: int = 112
    width: int = 96
    embedding: int = 128


# (expansion, channels, blocks, stride of the first block)
STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


class ConvUnit(nn.Module):
    """Convolution, batch norm and, unless it is linear, PReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int = 0,
        *,
        depthwise: bool = False,
        linear: bool = False,
    ) -> None:
        super().__init__()
        groups = inputs if depthwise else 1
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu = nn.Identity() if linear else nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H', W')."""
        return self.prelu(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """Widen, filter each channel, narrow again; adds its input when the shape allows."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.PReLU(wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H/stride, W/stride)."""
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class MobileFaceNet(nn.Module):
    """Normalized face to embedding."""

    def __init__(self, config: MobileFaceNetConfig) -> None:
        super().__init__()
        self.conv1 = ConvUnit(3, 64, 3, 2, 1)
        self.dw_conv1 = ConvUnit(64, 64, 3, 1, 1, depthwise=True)
        blocks: list[nn.Module] = []
        width = 64
        for expansion, channels, count, first_stride in STAGES:
            for number in range(count):
                blocks.append(Bottleneck(width, channels, first_stride if number == 0 else 1, expansion))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = ConvUnit(width, 512, 1)
        window = (config.height // 16, config.width // 16)  # what is left of the picture: one value a channel
        self.linear7 = ConvUnit(512, 512, window, depthwise=True, linear=True)
        self.linear1 = ConvUnit(512, config.embedding, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, height, width) to (B, embedding)."""
        x = self.blocks(self.dw_conv1(self.conv1(x)))
        x = self.linear1(self.linear7(self.conv2(x)))
        return x.flatten(1)

"""The 20-layer network of SphereFace and CosFace: no batch norm, faces of 112x96."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)


@dataclass(frozen=True)
class SphereFaceConfig:
    """Residual blocks of the four stages; SphereFace's convolutions have biases, CosFace's don't."""

    blocks: tuple[int, int, int, int] = (1, 2, 4, 1)
    block_bias: bool = True
    height: int = 112
    width: int = 96
    embedding: int = 512


class Block(nn.Module):
    """Two convolutions, each followed by PReLU, added to the input."""

    def __init__(self, width: int, *, bias: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, 1, 1, bias=bias)
        self.prelu1 = nn.PReLU(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=bias)
        self.prelu2 = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        """Keeps the shape."""
        return x + self.prelu2(self.conv2(self.prelu1(self.conv1(x))))  # type: ignore[no-any-return]


class SphereFace(nn.Module):
    """Normalized face to embedding."""

    def __init__(self, config: SphereFaceConfig) -> None:
        super().__init__()
        stages = []
        inputs = 3
        for count, width in zip(config.blocks, WIDTHS, strict=True):
            blocks = (Block(width, bias=config.block_bias) for _ in range(count))
            stages.append(nn.Sequential(nn.Conv2d(inputs, width, 3, 2, 1), nn.PReLU(width), *blocks))
            inputs = width
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.fc = nn.Linear(inputs * (config.height // 16) * (config.width // 16), config.embedding)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, height, width) to (B, embedding)."""
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.flatten(1))  # type: ignore[no-any-return]

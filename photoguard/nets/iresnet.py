"""IResNet (IR): the residual networks behind ArcFace, CosFace and AdaFace."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)


@dataclass(frozen=True)
class IResNetConfig:
    """Blocks of the four stages, and the two ways in which published families differ."""

    blocks: tuple[int, int, int, int]
    embedding: int = 512
    side: int = 112
    # A block that halves the picture but keeps the width: its shortcut takes every second pixel, with no
    # weights (AdaFace, face.evoLVe), or goes through a 1x1 convolution (insightface).
    plain_shortcut: bool = False
    middle_norm: bool = True  # batch norm between the first convolution and the PReLU; face.evoLVe has none


R18, R50, R100 = (2, 2, 2, 2), (3, 4, 14, 3), (3, 13, 30, 3)


class Block(nn.Module):
    """Norm, convolution, norm, PReLU, convolution, norm; plus the shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, config: IResNetConfig) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs) if config.middle_norm else nn.Identity()
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = shortcut(inputs, outputs, stride, plain=config.plain_shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H/stride, W/stride)."""
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(y)) + self.downsample(x)  # type: ignore[no-any-return]


def shortcut(inputs: int, outputs: int, stride: int, *, plain: bool) -> nn.Module:
    """What carries a block's input to its output."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    if plain and inputs == outputs:
        return nn.MaxPool2d(1, stride)
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class IResNet(nn.Module):
    """Normalized face to embedding."""

    def __init__(self, config: IResNetConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.prelu = nn.PReLU(WIDTHS[0])
        stages = []
        inputs = WIDTHS[0]
        for count, width in zip(config.blocks, WIDTHS, strict=True):
            first = Block(inputs, width, 2, config)
            stages.append(nn.Sequential(first, *(Block(width, width, 1, config) for _ in range(count - 1))))
            inputs = width
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.bn2 = nn.BatchNorm2d(inputs)
        self.fc = nn.Linear(inputs * (config.side // 16) ** 2, config.embedding)
        self.features = nn.BatchNorm1d(config.embedding)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, side, side) to (B, embedding)."""
        x = self.prelu(self.bn1(self.conv1(x)))
        x = self.bn2(self.layer4(self.layer3(self.layer2(self.layer1(x)))))
        return self.features(self.fc(x.flatten(1)))  # type: ignore[no-any-return]

"""The ResNet generator that AVP's key models are: the same picture in and out, once it has learned to."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class GeneratorConfig:
    """Channels at full size, halvings (each doubles the channels), residual blocks, and instance norms."""

    channels: int = 64
    halvings: int = 2
    blocks: int = 9
    norm: bool = True


# `paper` is the generator of the AVP paper's key models. `small` has no norms, which wipe out a picture's own
# brightness and contrast, and halves once: it learns the identity in minutes on a CPU.
PRESETS = {
    "small": GeneratorConfig(channels=24, halvings=1, blocks=6, norm=False),
    "paper": GeneratorConfig(),
}


class Residual(nn.Module):
    """Two 3x3 convolutions beside the way straight on."""

    def __init__(self, channels: int, norm: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_convolved(channels, channels, norm), nn.ReLU(), *_convolved(channels, channels, norm)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        y: Tensor = self.body(x)
        return x + y


class Generator(nn.Module):
    """Pictures of -1..1 to pictures of -1..1, of any size that the halvings divide."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        width, norm = config.channels, config.norm
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), *_normed(width, norm), nn.ReLU()
        ]  # fmt: skip
        for _ in range(config.halvings):
            layers += [nn.Conv2d(width, 2 * width, 3, 2, 1), *_normed(2 * width, norm), nn.ReLU()]
            width *= 2
        layers += [Residual(width, norm) for _ in range(config.blocks)]
        for _ in range(config.halvings):
            layers += [nn.ConvTranspose2d(width, width // 2, 3, 2, 1, 1), *_normed(width // 2, norm)]
            layers += [nn.ReLU()]
            width //= 2
        self.layers = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to the same."""
        y: Tensor = self.layers(x)
        return y


def _convolved(inputs: int, outputs: int, norm: bool) -> list[nn.Module]:
    return [nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3), *_normed(outputs, norm)]


def _normed(channels: int, norm: bool) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels)] if norm else []

"""DeepObfuscator: the client's obfuscator, the service's classifier, their adversaries (Tables 1 and 2)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from photoguard.nets.obfuscator_config import UTKFACE_TEMPLATE, Attribute, ObfuscatorConfig, paper_config

__all__ = [  # the configuration's names belong to the networks' wherever torch is at hand
    "UTKFACE_TEMPLATE", "Attribute", "Classifier", "Context", "Mirror", "Obfuscator", "ObfuscatorConfig",
    "Players", "ResRec", "URec", "cross_entropy", "inputs_of", "paper_config", "released",
]  # fmt: skip

COARSE = 4  # fields a side of the grid on which a bounded obfuscator speaks


def _conv(inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def _convs(inputs: int, outputs: int, count: int) -> list[nn.Module]:
    steps = itertools.pairwise((inputs, *[outputs] * count))
    return [layer for before, after in steps for layer in _conv(before, after)]


class Obfuscator(nn.Module):
    """The client's part: VGG16 up to the second pooling (Table 1)."""

    center: Tensor

    def __init__(self, config: ObfuscatorConfig) -> None:
        super().__init__()
        self.config = config
        first, second = config.widths
        self.layers = nn.Sequential(
            *_convs(3, first, 2), nn.MaxPool2d(2), *_convs(first, second, 2), nn.MaxPool2d(2)
        )
        self.context = Context(second, config.context) if config.context else None
        self.register_buffer("center", torch.zeros(config.features))

    def forward(self, x: Tensor, reach: float | None = None) -> Tensor:
        """Faces in 0..1 (B, 3, H, W) -> features (B, C, H/4, W/4), no farther from zero than `reach`."""
        reach = self.config.reach if reach is None else reach
        features: Tensor = self.layers(2 * x - 1)
        if self.context is not None:
            features = self.context(features)
        if not reach:
            return features
        if self.training:  # what all faces have in common says nothing and would fill the ball
            mean = features.mean(0)
            self.center.lerp_(mean.detach().float(), 0.1)
            features = features - mean
        else:
            features = features - self.center
        length = features.flatten(1).norm(dim=1).clamp(min=1e-6)[:, None, None, None]
        bounded: Tensor = features * (reach / length).clamp(max=1)
        return bounded


class Context(nn.Module):
    """Lets what is seen anywhere on the face decide on every feature."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.local = nn.Conv2d(channels, channels, 1)
        self.down = nn.Sequential(
            *_conv(channels, width, 2),
            *_conv(width, width),
            *_conv(width, 2 * width, 2),
            *_conv(2 * width, 2 * width),
            *_conv(2 * width, 2 * width, 2),
            *_conv(2 * width, 2 * width),
        )
        self.all = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, channels))
        self.back = nn.Conv2d(2 * width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> the same shape."""
        seen = F.adaptive_avg_pool2d(self.down(x), COARSE)  # (B, 2 * width, 4, 4)
        whole: Tensor = self.all(seen.mean((2, 3)))[:, :, None, None]
        wide = F.interpolate(self.back(seen) + whole, size=x.shape[-2:])
        features: Tensor = self.local(x) + wide
        return features


def released(features: Tensor, noise: Tensor, config: ObfuscatorConfig) -> Tensor:
    """Features as they leave the client: with noise where the config bounds what they may tell."""
    return features + noise if config.reach else features


class Classifier(nn.Module):
    """The service's part, and the adversary classifier: the rest of VGG16 (Table 1)."""

    def __init__(self, config: ObfuscatorConfig, attributes: Sequence[Attribute]) -> None:
        super().__init__()
        self.attributes = tuple(attributes)
        inputs, height, width = config.features
        count = sum(attribute.outputs for attribute in self.attributes)
        layers: list[nn.Module] = []
        for outputs in config.head:
            layers += [*_convs(inputs, outputs, 3), nn.MaxPool2d(2)]
            inputs = outputs
        flat = inputs * (height // 8) * (width // 8)
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.answer = nn.Sequential(
            nn.Linear(flat, config.hidden),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(config.hidden, config.hidden),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(config.hidden, count),
        )
        # Small signals in noise are read best by weighing all of them, which small convolutions cannot.
        self.direct = None
        if config.reach:
            self.direct = nn.Sequential(
                nn.Linear(inputs_of(config), config.hidden), nn.ReLU(), nn.Linear(config.hidden, count)
            )

    def forward(self, features: Tensor) -> list[Tensor]:
        """Features -> for each attribute one logit a class, (B, classes)."""
        outputs = self.answer(self.layers(features))
        if self.direct is not None:
            outputs = outputs + self.direct(coarse(features).flatten(1))
        return split_answers(outputs, self.attributes)


def coarse(features: Tensor) -> Tensor:
    """The features' sums over a grid of 4x4 fields, scaled so that noise of unit variance stays so."""
    rows, columns = features.shape[-2] / COARSE, features.shape[-1] / COARSE
    return F.adaptive_avg_pool2d(features, COARSE) * math.sqrt(rows * columns)


def inputs_of(config: ObfuscatorConfig) -> int:
    """How many numbers `coarse` gives."""
    return config.widths[1] * COARSE * COARSE


def split_answers(outputs: Tensor, attributes: Sequence[Attribute]) -> list[Tensor]:
    """All outputs (B, n) -> logits of each attribute; softmax over (0, z) is the sigmoid of z."""
    counts = [attribute.outputs for attribute in attributes]
    parts = outputs.split(counts, 1)  # type: ignore[no-untyped-call]
    return [torch.cat([torch.zeros_like(part), part], 1) if part.shape[1] == 1 else part for part in parts]


class Mirror(nn.Module):
    """The adversary reconstructor: the obfuscator layer by layer in reverse (Table 1)."""

    def __init__(self, config: ObfuscatorConfig) -> None:
        super().__init__()
        first, second = config.widths
        self.middle, self.size = (config.height // 2, config.width // 2), (config.height, config.width)
        self.inner = nn.Sequential(*_deconv(second, second), *_deconv(second, first))
        self.outer = nn.Sequential(*_deconv(first, first), nn.ConvTranspose2d(first, 3, 3, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Features -> faces (B, 3, H, W) in 0..1."""
        x = self.inner(F.interpolate(features, size=self.middle))
        face: Tensor = self.outer(F.interpolate(x, size=self.size))
        return face.sigmoid()


def _deconv(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(inputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


class URec(nn.Module):
    """The attackers' reconstructors URec#1 (depth 3) and URec#2 (depth 2), after U-net (Table 2)."""

    def __init__(self, config: ObfuscatorConfig, depth: int, base: int = 64) -> None:
        super().__init__()
        self.middle, self.size = (config.height // 2, config.width // 2), (config.height, config.width)
        self.first = nn.Sequential(*_convs(config.widths[1], base, depth))
        self.second = nn.Sequential(*_convs(base, 2 * base, depth))
        self.third = nn.Sequential(
            *_convs(2 * base, 4 * base, depth), nn.Conv2d(4 * base, 3, 3, 1, 1), nn.Conv2d(3, 3, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features -> faces (B, 3, H, W) in 0..1."""
        x = self.second(F.interpolate(self.first(features), size=self.middle))
        face: Tensor = self.third(F.interpolate(x, size=self.size))
        return face.sigmoid()


class ResRec(nn.Module):
    """The attackers' reconstructor of residual blocks (Table 2)."""

    def __init__(self, config: ObfuscatorConfig, base: int = 64) -> None:
        super().__init__()
        self.middle, self.size = (config.height // 2, config.width // 2), (config.height, config.width)
        self.first = nn.Sequential(*_deconv(config.widths[1], base), Residual(base), Residual(base))
        self.second = nn.Sequential(Residual(base), Residual(base))
        self.third = nn.Conv2d(base, 3, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Features -> faces (B, 3, H, W) in 0..1."""
        x = self.second(F.interpolate(self.first(features), size=self.middle))
        face: Tensor = self.third(F.interpolate(x, size=self.size))
        return face.sigmoid()


class Residual(nn.Module):
    """ResNet's block: two 3x3 convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        conv = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.layers = nn.Sequential(*_conv(width, width), conv, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same shape."""
        return F.relu(x + self.layers(x))


def cross_entropy(answers: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Eq. 1 and 3: cross-entropy, summed over the attributes, mean over faces; labels (B, attributes)."""
    parts = [F.cross_entropy(logits.float(), labels[:, i]) for i, logits in enumerate(answers)]
    return torch.stack(parts).sum()


class Players(nn.Module):
    """All that train together: the client's and the service's part, and those who attack."""

    def __init__(self, config: ObfuscatorConfig, adversaries: int = 1) -> None:
        super().__init__()
        self.config = config
        self.obfuscator = Obfuscator(config)
        self.classifier = Classifier(config, config.tasks)
        self.adversaries = nn.ModuleList(Classifier(config, config.private) for _ in range(adversaries))
        self.mirror = Mirror(config)

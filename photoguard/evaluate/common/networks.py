"""The networks that attackers train, and the loop that trains them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from photoguard.nets.planes import to_pixels, to_planes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from photoguard.nets.planes import Pixels

    Loss = Callable[[Tensor, Tensor], Tensor]


class PlainCNN(nn.Module):
    """The paper's plain convolutional network: stride-2 convolutions, then one layer of classes."""

    def __init__(self, classes: int, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs in (width, 2 * width, 4 * width, 8 * width):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs = outputs
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.3))
        self.classes = nn.Linear(inputs * 16, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) of about unit variance to (B, classes)."""
        logits: Tensor = self.classes(self.features(x))
        return logits


class FineTuned(nn.Module):
    """A recognizer that goes on learning, under a new layer of classes."""

    def __init__(self, embed: Callable[[Tensor], Tensor], net: nn.Module, size: int, classes: int) -> None:
        super().__init__()
        self.net, self._embed = net, embed
        for parameter in net.parameters():
            parameter.requires_grad = True
        self.centers = nn.Parameter(F.normalize(torch.randn(classes, size), dim=1))

    def train(self, mode: bool = True) -> FineTuned:
        """Norms take on the covers' statistics, except in a traced file, which cannot."""
        super().train(mode)
        if isinstance(self.net, torch.jit.ScriptModule):
            self.net.eval()
        return self

    def embed(self, x: Tensor) -> Tensor:
        """Chips of 0..255 to unit vectors."""
        return self._embed(x)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, classes): scaled cosines, which suit embeddings trained with them."""
        return 24 * self.embed(x) @ F.normalize(self.centers, dim=1).T


class Restorer(nn.Module):
    """Covers to faces: encoder and decoder with shortcuts; their narrowest part sees the whole picture."""

    def __init__(self, inputs: int = 3, width: int = 32, fold: int = 4) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.PixelUnshuffle(fold), nn.Conv2d(inputs * fold * fold, width, 3, 1, 1))
        self.down1, self.down2 = _halve(width, 2 * width), _halve(2 * width, 4 * width)
        self.down3 = _halve(4 * width, 4 * width)
        self.up3, self.up2, self.up1 = (
            _double(4 * width, 4 * width),
            _double(4 * width, 2 * width),
            _double(2 * width, width),
        )
        self.leave = nn.Sequential(nn.Conv2d(width, 3 * fold * fold, 3, 1, 1), nn.PixelShuffle(fold))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W), H and W multiples of 32, to a face (B, 3, H, W) whose good range is 0..1."""
        a = self.enter(x)
        b = self.down1(a)
        c = self.down2(b)
        d = self.up3(self.down3(c)) + c
        face: Tensor = self.leave(self.up1(self.up2(d) + b) + a)
        return face + 0.5


class MapDecoder(nn.Module):
    """A fresh decoder for the public maps: no weight of the owner's network, the same work as its decoder."""

    def __init__(self, maps: int, width: int = 96) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(maps, width, 3, 1, 1),
            _Residual(width),
            _double(width, width),
            _double(width, width // 2),
            nn.Conv2d(width // 2, 3 * 16, 3, 1, 1),
            nn.PixelShuffle(4),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, maps, h, w) to (B, 3, 16 h, 16 w)."""
        face: Tensor = self.layers(x)
        return face + 0.5


class Regressor(nn.Module):
    """One set of maps from another: what is linear in them at once, the rest through residual blocks."""

    def __init__(self, inputs: int, outputs: int, width: int = 128) -> None:
        super().__init__()
        self.linear = nn.Conv2d(inputs, outputs, 1)
        last = nn.Conv2d(width, outputs, 1)
        nn.init.zeros_(last.weight)
        enter = nn.Conv2d(inputs, width, 3, 1, 1)
        self.layers = nn.Sequential(enter, _Residual(width), _Residual(width), last)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, outputs, h, w)."""
        maps: Tensor = self.linear(x) + self.layers(x)
        return maps


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.layers(x))


def _halve(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, 2, 1), nn.ReLU(), _Residual(outputs))


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.ReLU(), _Residual(outputs))


@dataclass(frozen=True)
class Training:
    """How long and how an attacker learns."""

    epochs: int
    rate: float
    batch: int = 32
    shift: int = 0  # pixels by which pictures are moved at random
    flip: bool = False
    decay: float = 1e-4


def train(
    net: nn.Module,
    inputs: NDArray[Any],
    targets: NDArray[Any],
    loss: Loss,
    how: Training,
    seed: int,
    device: str,
) -> float:
    """Train on inputs (N, C, H, W) and targets in memory; returns the last epoch's mean loss."""
    net.to(device).to(memory_format=torch.channels_last).train()  # a fifth faster on a CPU
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=how.rate, weight_decay=how.decay)
    batches = -(-len(inputs) // how.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=how.rate, total_steps=max(how.epochs * batches, 1), pct_start=0.2
    )
    last = 0.0
    for _ in range(how.epochs):
        order, last = rng.permutation(len(inputs)), 0.0
        for start in range(0, len(order), how.batch):
            index = order[start : start + how.batch]
            if len(index) < 2:  # batch norm needs company
                continue
            x, y = torch.from_numpy(inputs[index]).to(device), torch.from_numpy(targets[index]).to(device)
            x, y = _moved(x.float().contiguous(memory_format=torch.channels_last), y, how, rng)
            optimizer.zero_grad(set_to_none=True)
            error = loss(net(x), y)
            error.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            last += float(error.detach()) * len(index) / len(order)
    net.eval()
    return last


def _moved(x: Tensor, y: Tensor, how: Training, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Shift and mirror inputs; a target that is a picture moves with its input."""
    picture = y.ndim == 4
    if how.flip and rng.random() < 0.5:
        x, y = x.flip(3), y.flip(3) if picture else y
    if how.shift:
        down, right = rng.integers(-how.shift, how.shift + 1, size=2).tolist()
        x = x.roll((down, right), (2, 3))
        y = y.roll((down, right), (2, 3)) if picture else y
    return x, y


@torch.no_grad()
def predict(
    net: Callable[[Tensor], Tensor], inputs: NDArray[Any], device: str, batch: int = 64
) -> NDArray[np.float32]:
    """What a trained network says to (N, C, H, W), a batch at a time."""
    parts = [
        net(torch.from_numpy(inputs[start : start + batch]).to(device).float()).float().cpu().numpy()
        for start in range(0, len(inputs), batch)
    ]
    return np.concatenate(parts)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """The loss of a classifier, smoothed a little: few pictures a person."""
    return F.cross_entropy(logits, labels, label_smoothing=0.1)


def as_inputs(pixels: Pixels) -> NDArray[np.float32]:
    """(N, H, W, 3) of 0..255 to (N, 3, H, W) of 0..1."""
    return np.asarray(to_planes(pixels).contiguous().numpy() / np.float32(255), np.float32)


def as_pixels(out: NDArray[Any]) -> Pixels:
    """(N, 3, H, W) of 0..1 to (N, H, W, 3) of 0..255."""
    return to_pixels(torch.from_numpy(out) * 255)

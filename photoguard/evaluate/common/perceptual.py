"""A distance that follows the eye more than pixels do: LPIPS's construction, without its learned weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from photoguard import weights
from photoguard.files import read_file
from photoguard.nets.planes import to_planes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn

    from photoguard.nets.planes import Pixels

TAPS = (1, 4, 7, 12)  # after the first activation, and inside the fire modules
BATCH = 32


def distance(squeezenet: Path) -> Callable[[Pixels, Pixels], float]:
    """Mean distance of two stacks of pictures, by the feature maps of a SqueezeNet 1.0 state dict."""
    import torchvision

    net = torchvision.models.squeezenet1_0(weights=None)
    net.load_state_dict(_layout(net, weights.tensors(read_file(squeezenet), squeezenet.name)))
    layers = net.features.eval()
    return lambda a, b: _distance(layers, a, b)


def _layout(net: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights named `conv1`, `fire2`, ... in torchvision's numbering; its classifier is not used."""
    numbers = {
        "conv1": 0,
        "fire2": 3,
        "fire3": 4,
        "fire4": 5,
        "fire5": 7,
        "fire6": 8,
        "fire7": 9,
        "fire8": 10,
    }
    numbers["fire9"] = 12
    parts = {"conv1x1_1.": "squeeze.", "conv1x1_2.": "expand1x1.", "conv3x3_2.": "expand3x3."}
    renamed = dict(net.state_dict())
    for key, value in state.items():
        block, _, rest = key.partition(".")
        for theirs, here in parts.items():
            rest = rest.replace(theirs, here)
        if block in numbers:
            renamed[f"features.{numbers[block]}.{rest}"] = value.float()
    return renamed


@torch.no_grad()
def _distance(layers: nn.Sequential, a: Pixels, b: Pixels) -> float:
    total = 0.0
    for start in range(0, len(a), BATCH):
        x, y = (_input(stack[start : start + BATCH]) for stack in (a, b))
        for number, layer in enumerate(layers):
            x, y = layer(x), layer(y)
            if number in TAPS:
                difference = F.normalize(x, dim=1) - F.normalize(y, dim=1)
                total += float(difference.square().sum(1).mean((1, 2)).sum())
            if number == TAPS[-1]:
                break
    return total / len(a)


def _input(pictures: Pixels) -> Tensor:
    x = to_planes(pictures).float() / 255
    middle = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    return (x - middle) / torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)

"""SqueezeNet 1.0 up to its last fire module: feature maps for a perceptual distance (phi of DDM's Eq. 8)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Module name -> (maps in, maps squeezed to, maps out); the names are those of the published weights.
FIRES = {
    "fire2": (96, 16, 128),
    "fire3": (128, 16, 128),
    "fire4": (128, 32, 256),
    "fire5": (256, 32, 256),
    "fire6": (256, 48, 384),
    "fire7": (384, 48, 384),
    "fire8": (384, 64, 512),
    "fire9": (512, 64, 512),
}


class Fire(nn.Module):
    """Few 1x1 maps, then 1x1 and 3x3 convolutions of them side by side."""

    def __init__(self, before: int, squeezed: int, after: int) -> None:
        super().__init__()
        self.conv1x1_1 = nn.Conv2d(before, squeezed, 1)
        self.conv1x1_2 = nn.Conv2d(squeezed, after // 2, 1)
        self.conv3x3_2 = nn.Conv2d(squeezed, after // 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H, W)."""
        x = F.relu(self.conv1x1_1(x))
        return torch.cat([F.relu(self.conv1x1_2(x)), F.relu(self.conv3x3_2(x))], 1)


class SqueezeNet(nn.Module):
    """Feature maps of the first layers, down to `last`."""

    middle: Tensor
    spread: Tensor

    def __init__(self, last: str = "fire5") -> None:
        super().__init__()
        self.names = list(FIRES)[: list(FIRES).index(last) + 1]
        self.conv1 = nn.Conv2d(3, 96, 7, 2)
        for name in self.names:
            self.add_module(name, Fire(*FIRES[name]))
        for name, values in (("middle", (0.485, 0.456, 0.406)), ("spread", (0.229, 0.224, 0.225))):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Image in 0..1 (B, 3, H, W), 32 or more each -> the maps before each pooling, and the last ones."""
        maps = [F.relu(self.conv1((x - self.middle) / self.spread))]
        y = maps[0]
        for name in self.names:
            if name in ("fire2", "fire5", "fire9"):  # a pooling stands before these
                y = F.max_pool2d(y, 3, 2, ceil_mode=True)
            y = self.get_submodule(name)(y)
            if name in ("fire4", "fire8") or name == self.names[-1]:
                maps.append(y)
        return maps

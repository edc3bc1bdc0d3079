"""A recognizer that is ready to use: aligned faces in, embeddings out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from photoguard.errors import DamagedError, UsageError
from photoguard.nets.planes import to_planes
from photoguard.recognizers.table import TEMPLATES, Spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Recognizer:
    """A frozen network and what it wants to see."""

    name: str
    spec: Spec
    net: nn.Module
    one_by_one: bool = False
    """The file's network takes one face at a time (ONNX with a fixed batch size)."""

    def embed(self, chips: Tensor) -> Tensor:
        """Aligned RGB faces (B, 3, height, width) of 0..255 to unit vectors (B, embedding), with gradient."""
        wanted = (3, self.spec.height, self.spec.width)
        if chips.ndim != 4 or tuple(chips.shape[1:]) != wanted:
            raise UsageError(f"{self.name} takes faces of shape {wanted}, not {tuple(chips.shape[1:])}")
        x = chips.flip(1) if self.spec.channels == "bgr" else chips
        x = (x - self.spec.mean) / self.spec.scale
        if self.one_by_one:
            return F.normalize(torch.cat([_first(self.net(one)) for one in torch.split(x, 1)]), dim=1)
        return F.normalize(_first(self.net(x)), dim=1)

    def embed_pixels(self, chips: NDArray[np.uint8], batch: int = 64) -> NDArray[np.float32]:
        """(N, height, width, 3) pixels to (N, embedding), without gradients, a batch at a time."""
        parts = []
        with torch.no_grad():  # not inference mode: a TorchScript network may be trained later
            for start in range(0, len(chips), batch):
                some = to_planes(chips[start : start + batch]).float()
                parts.append(self.embed(some.to(self.device)).cpu().numpy())
        embeddings = np.concatenate(parts) if parts else np.zeros((0, self.spec.embedding), np.float32)
        if not np.isfinite(embeddings).all():
            raise DamagedError(
                f"{self.name} gave a value that is not a finite number", "are its weights damaged?"
            )
        return embeddings

    @property
    def template(self) -> tuple[tuple[float, float], ...]:
        """Where this recognizer wants the five landmarks, in pixels of the chip."""
        return TEMPLATES[self.spec.template]

    @property
    def device(self) -> torch.device:
        """Where the network lies."""
        for tensor in (*self.net.parameters(), *self.net.buffers()):
            return tensor.device
        return torch.device("cpu")

    def to(self, device: torch.device | str) -> Recognizer:
        """The same recognizer on another device."""
        return replace(self, net=self.net.to(device))


def _first(output: Tensor | Sequence[Tensor]) -> Tensor:
    """The embedding; some networks give the vector's length beside it."""
    if isinstance(output, Tensor):
        return output.flatten(1)
    return output[0].flatten(1)

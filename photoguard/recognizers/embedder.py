"""A recognizer for pixels only, which needs no torch where its file does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from photoguard import graphs, weights
from photoguard.errors import DamagedError
from photoguard.recognizers.entries import proven, shipped
from photoguard.recognizers.table import TABLE, Spec

if TYPE_CHECKING:
    from pathlib import Path

Floats = NDArray[np.float32]
BATCH = 64


class Embeds(Protocol):
    """What tells faces apart."""

    @property
    def spec(self) -> Spec:
        """What it wants to see."""

    def embed_pixels(self, chips: NDArray[np.uint8]) -> Floats:
        """(N, height, width, 3) pixels to unit vectors (N, embedding)."""


@dataclass(frozen=True)
class Embedder:
    """A network on ONNX Runtime and what it wants to see."""

    spec: Spec
    run: Callable[[Floats], Floats]
    one_by_one: bool = False

    def embed_pixels(self, chips: NDArray[np.uint8]) -> Floats:
        """(N, height, width, 3) pixels to unit vectors (N, embedding)."""
        ordered = chips[..., ::-1] if self.spec.channels == "bgr" else chips
        pixels = ordered.transpose(0, 3, 1, 2).astype(np.float32)
        x = (pixels - np.float32(self.spec.mean)) / np.float32(self.spec.scale)
        step = 1 if self.one_by_one else BATCH
        parts = [self.run(np.ascontiguousarray(x[at : at + step])) for at in range(0, len(x), step)]
        found = np.concatenate([part.reshape(len(part), -1) for part in parts])
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise DamagedError(
                f"{self.spec.name} gave embeddings that are no numbers", "are its weights damaged?"
            )
        return np.asarray(found / lengths, np.float32)


def load_for_pixels(name: str, folder: Path | None = None) -> Embeds:
    """The shipped or installed recognizer of that name; on torch where its file is torch's own."""
    if name in shipped():
        return Embedder(TABLE[name], partial(_first, graphs.load(name, weights.arrays(name))))
    entry, file = proven(name, folder)
    if entry.spec.architecture == "onnx":
        return Embedder(entry.spec, partial(_first, graphs.foreign(name, file)), entry.one_by_one)
    from photoguard.recognizers.store import load

    return load(name, folder)


def _first(graph: graphs.Graph, x: Floats) -> Floats:
    """The embedding; some networks give the vector's length beside it."""
    found: Floats = graph(x)[0]
    return found

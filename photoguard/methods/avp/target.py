"""What an encrypted picture has to keep: a recognizer's embedding, or a classifier's answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from photoguard.methods.avp.losses import class_doubt, feature_distance
from photoguard.photos.geometry import similarity
from photoguard.recognizers.table import TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from photoguard.recognizers import Recognizer, Spec


@dataclass(frozen=True)
class Judged:
    """What a target says of a batch of pictures."""

    loss: Tensor
    """(B,): L_t of each picture."""
    reached: Tensor
    """(B, N): for each of the target's N networks, how near a picture is; 1 is perfect."""


class Target(Protocol):
    """Anything that judges pictures (B, 3, H, W) of 0..255; `rows` (B,) says whose pictures they are."""

    def __call__(self, chips: Tensor, rows: Tensor, /) -> Judged:
        """The loss with gradient, and what was reached."""
        ...


@dataclass(frozen=True)
class Resemblance:
    """Eq. 16, averaged over recognizers; what was reached is the cosine to the original's embedding."""

    eyes: tuple[Callable[[Tensor], Tensor], ...]
    """One a recognizer: a chip -> unit embedding."""
    wanted: tuple[Tensor, ...]
    """One a recognizer: (originals, embedding)."""

    def __call__(self, chips: Tensor, rows: Tensor) -> Judged:
        """L_t and cosines of chips."""
        found = [(eye(chips), wanted[rows]) for eye, wanted in zip(self.eyes, self.wanted, strict=True)]
        loss = torch.stack([feature_distance(mine, theirs) for mine, theirs in found]).mean(0)
        return Judged(loss, torch.stack([(mine * theirs).sum(1) for mine, theirs in found], 1))


def resemblance(
    recognizers: Sequence[Recognizer], originals: Tensor, spec: Spec | None = None
) -> Resemblance:
    """The target of chips that all these recognizers take for `originals` (N, 3, H, W), cut for `spec`."""
    cut = spec or chip_spec([recognizer.spec for recognizer in recognizers])
    eyes = tuple(_eye(recognizer, cut) for recognizer in recognizers)
    with torch.no_grad():
        return Resemblance(eyes, tuple(eye(originals) for eye in eyes))


def chip_spec(specs: Sequence[Spec]) -> Spec:
    """Whose chip serves them all: the largest one; the others look at a part of it."""
    return max(specs, key=lambda spec: spec.height * spec.width)


def _eye(recognizer: Recognizer, cut: Spec) -> Callable[[Tensor], Tensor]:
    look = view(cut, recognizer.spec)
    return lambda chips: recognizer.embed(look(chips))


def view(cut: Spec, wanted: Spec) -> Callable[[Tensor], Tensor]:
    """From a chip cut for one recognizer to the input of another, with gradient."""
    matrix = similarity(TEMPLATES[wanted.template], TEMPLATES[cut.template])  # (2, 3), wanted -> cut
    x, y = (round(float(v)) for v in matrix[:, 2])
    height, width = wanted.height, wanted.width
    inside = min(x, y) >= 0 and x + width <= cut.width and y + height <= cut.height
    if inside and (abs(matrix - [[1, 0, x], [0, 1, y]]) < 1e-6).all():
        return lambda chips: chips[:, :, y : y + height, x : x + width]
    columns = torch.arange(width, dtype=torch.float64)
    rows = torch.arange(height, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)  # (height, width, 2) of x, y
    turn = torch.from_numpy(matrix)
    places = (grid @ turn[:, :2].T + turn[:, 2] + 0.5) / torch.tensor([cut.width, cut.height]) * 2 - 1

    def look(chips: Tensor) -> Tensor:
        where = places.to(chips.device, chips.dtype).expand(len(chips), -1, -1, -1)
        return F.grid_sample(chips, where, padding_mode="border", align_corners=False)

    return look


@dataclass(frozen=True)
class Classification:
    """What was reached is the probability of the class that the classifier saw in the original."""

    classify: Callable[[Tensor], Tensor]
    """Pictures (B, 3, H, W) of 0..255 -> logits (B, classes)."""
    classes: Tensor
    """(originals,)"""
    loss: Callable[[Tensor, Tensor], Tensor]
    """Of logits (B, classes) and wanted classes (B,): (B,)."""

    def __call__(self, chips: Tensor, rows: Tensor) -> Judged:
        """L_t and probabilities of pictures."""
        logits, classes = self.classify(chips), self.classes[rows]
        reached = logits.softmax(1).gather(1, classes[:, None])
        return Judged(self.loss(logits, classes), reached)


def classification(
    classify: Callable[[Tensor], Tensor],
    originals: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor] = class_doubt,
) -> Classification:
    """The target of pictures that a classifier puts into the same class as `originals`."""
    with torch.no_grad():
        return Classification(classify, classify(originals).argmax(1), loss)

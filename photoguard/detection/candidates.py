"""Candidate boxes as arrays: overlap, suppression, squaring. Nothing here knows networks or pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """N possible faces; edges are real numbers, so that a box is [left, right) x [top, bottom)."""

    boxes: Array  # (N, 4) left, top, right, bottom
    scores: Array  # (N,) 0..1
    landmarks: Array  # (N, 5, 2) x, y

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Candidates:
        """Some of them, in the given order."""
        return Candidates(self.boxes[chosen], self.scores[chosen], self.landmarks[chosen])


def overlaps(box: Array, boxes: Array, of_smaller: bool = False) -> Array:
    """How much of the union (or of the smaller box) `box` (4,) shares with each of `boxes` (N, 4)."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    area = (box[2:] - box[:2]).prod()
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    whole = np.minimum(area, areas) if of_smaller else area + areas - shared
    result: Array = shared / np.maximum(whole, 1e-9)
    return result


def suppress(boxes: Array, scores: Array, limit: float, of_smaller: bool = False) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: indices that stay, best first; equal scores keep their order."""
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(int(best))
        order = order[overlaps(boxes[best], boxes[order], of_smaller) <= limit]
    return np.array(kept, dtype=np.intp)


def moved(boxes: Array, offsets: Array) -> Array:
    """Each edge moved by its offset times the box's width or height."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes + offsets * np.tile(sides, 2)


def squared(boxes: Array) -> Array:
    """The square of the longer side around the same middle."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([middle - half, middle + half], axis=1)

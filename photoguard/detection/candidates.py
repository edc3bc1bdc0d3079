"""Candidate boxes as arrays: overlap, suppression, squaring. Nothing here knows networks or pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SAME_MIDDLE = 0.5  # of the smaller box's longer side: two heads side by side are a whole side apart
MTCNN, CENTERFACE = 1, 2
SAME_SIZE = 2.0  # a turned or partly seen face comes back larger or smaller, rarely by more


@dataclass(frozen=True)
class Candidates:
    """N possible faces; edges are real numbers, so that a box is [left, right) x [top, bottom)."""

    boxes: Array  # (N, 4) left, top, right, bottom
    scores: Array  # (N,) 0..1
    landmarks: Array  # (N, 5, 2) x, y
    rotations: NDArray[np.intp]  # (N,) degrees by which the photo was turned
    finders: NDArray[np.intp]  # (N,) sum of `MTCNN` and `CENTERFACE`, whichever found it

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Candidates:
        """Some of them, in the given order."""
        return Candidates(*(getattr(self, field.name)[chosen] for field in fields(self)))


def joined(parts: Sequence[Candidates]) -> Candidates:
    """All of several passes, at least one."""
    columns = ([getattr(part, field.name) for part in parts] for field in fields(Candidates))
    return Candidates(*map(np.concatenate, columns))


def found(boxes: Array, scores: Array, landmarks: Array, finder: int) -> Candidates:
    """What one detector found on the photo as it stands."""
    rotations = np.zeros(len(scores), dtype=np.intp)
    return Candidates(boxes, scores, landmarks, rotations, np.full(len(scores), finder, dtype=np.intp))


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


def way_back(rotation: int, width: int, height: int) -> tuple[Array, Array]:
    """Matrix (2, 2) and shift (2,) from a photo turned counterclockwise to the width x height one it was."""
    quarter, half, three = np.array([[[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]]], dtype=float)
    return {
        0: (np.eye(2), np.zeros(2)),
        90: (quarter, np.array([width, 0.0])),
        180: (half, np.array([width, height], dtype=float)),
        270: (three, np.array([0.0, height])),
    }[rotation]


def turned_back(seen: Candidates, rotation: int, width: int, height: int) -> Candidates:
    """From a photo turned counterclockwise by `rotation` degrees to the width x height one it was."""
    turn, shift = way_back(rotation, width, height)
    corners = seen.boxes.reshape(-1, 2, 2) @ turn.T + shift  # two opposite ones, whichever they now are
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    rotations = np.full(len(seen), rotation, dtype=np.intp)
    return replace(seen, boxes=boxes, landmarks=seen.landmarks @ turn.T + shift, rotations=rotations)


def merged(parts: Sequence[Candidates]) -> Candidates:
    """One answer a face from passes that may each have found it, the best score first.

    Two boxes are the same face when their middles are close and their sizes alike: what overlap alone
    cannot tell from a child held in front of somebody.
    """
    every = joined(parts)
    order = np.argsort(-every.scores, kind="stable")
    kept: list[int] = []
    for number in order:
        if not any(same_face(every.boxes[number], every.boxes[other]) for other in kept):
            kept.append(int(number))
    return every.take(np.array(kept, dtype=np.intp))


def same_face(one: Array, other: Array) -> bool:
    """Whether two boxes are answers to one face."""
    sides, other_sides = one[2:] - one[:2], other[2:] - other[:2]
    apart = np.abs((one[:2] + one[2:]) - (other[:2] + other[2:])) / 2
    near = bool((apart < SAME_MIDDLE * np.minimum(sides, other_sides).max()).all())
    alike = bool(max(sides.max(), other_sides.max()) < SAME_SIZE * min(sides.max(), other_sides.max()))
    return near and alike


def logit(scores: NDArray[np.floating]) -> Array:
    """Log-odds, within what a double can tell from certainty."""
    inside = np.clip(scores.astype(np.float64), 1e-9, 1 - 1e-9)
    return np.asarray(np.log(inside / (1 - inside)))


def sigmoid(odds: Array) -> Array:
    """The score that log-odds stand for."""
    return np.asarray(1 / (1 + np.exp(-odds)))


def visible(boxes: Array, width: int, height: int) -> Array:
    """(N,) how much of each box lies on the photo."""
    shown = np.clip(boxes, 0, [width, height, width, height])
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return np.asarray((shown[:, 2:] - shown[:, :2]).prod(axis=1) / np.maximum(areas, 1e-9))

"""The detectors that are compared, each a function from pixels to boxes (N, 4): left, top, right, bottom."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from benchmarks.photos import Pixels

Boxes = NDArray[np.float64]
Detector = Callable[[Pixels], Boxes]

BASELINE, DEFAULT, THOROUGH = "facenet-pytorch", "photoguard", "photoguard --thorough"


def detectors() -> dict[str, Detector]:
    """Baseline with its defaults first, then ours."""
    return {BASELINE: _baseline(), DEFAULT: _ours(False), THOROUGH: _ours(True)}


def _baseline() -> Detector:
    from facenet_pytorch import MTCNN

    net = MTCNN(keep_all=True)

    def find(pixels: Pixels) -> Boxes:
        boxes, _ = net.detect(pixels)
        return np.array([[float(v) for v in box] for box in boxes]) if boxes is not None else np.empty((0, 4))

    return find


def _ours(thorough: bool) -> Detector:
    from photoguard.detection import DetectionSettings, detect

    settings = DetectionSettings(thorough=thorough)

    def find(pixels: Pixels) -> Boxes:
        boxes = [face.box for face in detect(pixels, settings)]
        edges = [(b.x, b.y, b.x + b.width, b.y + b.height) for b in boxes]
        return np.array(edges, dtype=np.float64).reshape(-1, 4)

    return find


def overlap(square: tuple[float, float, float, float], boxes: Boxes) -> Boxes:
    """Shared area over the area of both together, with each of the boxes."""
    one = np.array(square)
    sides = np.minimum(one[2:], boxes[:, 2:]) - np.maximum(one[:2], boxes[:, :2])
    shared = np.clip(sides, 0, None).prod(axis=1)
    total = (one[2:] - one[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - shared
    return np.asarray(shared / total)


def covers(square: tuple[float, float, float, float], boxes: Boxes) -> bool:
    """Whether a box is a detection of the face in this square: 0.3, since the square is wider than a face."""
    return bool((overlap(square, boxes) > 0.3).any())

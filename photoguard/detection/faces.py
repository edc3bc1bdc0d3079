"""What detection is asked for and what it answers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from photoguard.photos.geometry import Box

P_NET_CELL = 12  # pixels of the largest copy scanned; a smaller face would have to be enlarged
SMALLEST = 20.0  # pixels, unless asked for less: little is recognizable below


@dataclass(frozen=True)
class Face:
    """One face on a photo, in pixels of the full photo."""

    box: Box
    landmarks: tuple[tuple[float, float], ...]  # may lie outside the photo, the box does not
    """Five (x, y): the face's image-left eye, image-right eye, nose, left and right mouth corner."""
    score: float
    certain: bool
    """False: in the band of doubt, covered unless the user asks for strict faces."""
    rotation: int = 0
    """0, 90, 180 or 270: by how many degrees, counterclockwise, the photo was turned when it was found."""
    found_by: tuple[str, ...] = ()
    """"mtcnn", "centerface", or both."""


@dataclass(frozen=True)
class DetectionSettings:
    """How hard to look, and how sure to be."""

    min_face: int | None = None
    """Smallest face side looked for, in pixels of the photo; None: relative to the photo."""
    threshold: float = 0.9
    """Score from which a face is certain: less than one in fifty that reach it is no labelled face."""
    thorough: bool = False
    """Look at every size in the turned photo as well, and report more of what is in doubt."""
    doubt: float | None = None
    """Score from which a face is reported at all; None: what `lowest_score` was tuned to."""


# Scores below which nothing is reported, tuned on one half of the benchmark's material: (upright, turned).
# Turned photos are looked at three times as often, by MTCNN alone at first, and a face found there scores as
# high as any, so that they need less benefit of the doubt.
DOUBT = {"default": (0.25, 0.75), "thorough": (0.15, 0.75)}


def lowest_score(settings: DetectionSettings, rotation: int) -> float:
    """The score from which a face found at this rotation is reported."""
    upright, turned = DOUBT["thorough" if settings.thorough else "default"]
    if settings.doubt is not None:
        upright, turned = settings.doubt, max(settings.doubt, turned)
    return min(upright if rotation == 0 else turned, settings.threshold)


def smallest_face(width: int, height: int, settings: DetectionSettings) -> float:
    """The side of the smallest face to look for."""
    if settings.min_face is not None:
        return float(max(settings.min_face, P_NET_CELL))
    if settings.thorough:
        return SMALLEST
    return max(SMALLEST, 0.0069 * math.sqrt(width * height))  # 24 pixels at 12 megapixels, 48 at 48

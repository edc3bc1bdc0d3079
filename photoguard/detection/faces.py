"""What detection is asked for and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from photoguard.geometry import Box


@dataclass(frozen=True)
class Face:
    """One face on a photo, in pixels of the full photo."""

    box: Box
    landmarks: tuple[tuple[float, float], ...]
    """Five (x, y): the face's image-left eye, image-right eye, nose, left and right mouth corner."""
    score: float
    certain: bool
    """False: in the band of doubt, covered unless the user asks for strict faces."""
    rotation: int = 0
    """0, 90, 180 or 270: by how many degrees, counterclockwise, the photo was turned when it was found."""


@dataclass(frozen=True)
class DetectionSettings:
    """How hard to look, and how sure to be."""

    min_face: int | None = None
    """Smallest face side looked for, in pixels of the photo; None: `smallest_face` of the photo's size."""
    threshold: float = 0.9
    """Score from which a face is certain."""
    doubt: float = 0.6
    """Score from which a face is reported at all."""
    thorough: bool = False


def smallest_face(width: int, height: int, settings: DetectionSettings) -> float:
    """The side of the smallest face to look for."""
    if settings.min_face is not None:
        return float(max(settings.min_face, 1))
    return max(20.0, 0.0064 * float(width * height) ** 0.5)  # 22 pixels at 12 megapixels, 44 at 48

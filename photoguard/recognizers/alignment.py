"""Turning, scaling and shifting a face so that its landmarks lie where a recognizer expects them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from photoguard.recognizers.table import Spec

    Points: TypeAlias = Sequence[tuple[float, float]] | NDArray[np.float64]


def similarity(source: Points, target: Points) -> NDArray[np.float64]:
    """The (2, 3) matrix of the turn, scale and shift that brings `source` nearest to `target`.

    Least squares in closed form: as complex numbers the points obey target = a * source + b.
    """
    s, t = (np.asarray(points, np.float64) @ np.array([1, 1j]) for points in (source, target))
    a = np.vdot(s - s.mean(), t - t.mean()) / np.vdot(s - s.mean(), s - s.mean())
    b = t.mean() - a * s.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def aligned(
    pixels: NDArray[np.uint8], landmarks: Points, template: Points, height: int, width: int
) -> NDArray[np.uint8]:
    """The (height, width, 3) chip of the face whose five landmarks are given."""
    matrix = similarity(landmarks, template)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.5:  # bilinear sampling alone would skip pixels: average them down first
        pixels = np.asarray(
            cv2.resize(pixels, None, fx=2 * scale, fy=2 * scale, interpolation=cv2.INTER_AREA)
        )
        matrix[:, :2] /= 2 * scale
    chip = cv2.warpAffine(
        pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(chip, np.uint8)


def chip_for(spec: Spec, pixels: NDArray[np.uint8], landmarks: Points) -> NDArray[np.uint8]:
    """The chip that the recognizer of `spec` wants to see."""
    from photoguard.recognizers.table import TEMPLATES

    return aligned(pixels, landmarks, TEMPLATES[spec.template], spec.height, spec.width)

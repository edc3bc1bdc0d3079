"""What encrypted pictures look like in numbers, and what re-encoding leaves of them."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from photoguard.nets.planes import Pixels

PAIRS = 3000  # adjacent pixels, as in A.1.2
DIRECTIONS = {"horizontal": (0, 1), "vertical": (1, 0), "diagonal": (1, 1)}


def neighbors(picture: Pixels, direction: str, seed: int = 0) -> NDArray[np.uint8]:
    """3000 pairs of adjacent samples of one picture, drawn by lot: (3000, 2)."""
    down, right = DIRECTIONS[direction]
    height, width, channels = picture.shape
    rng = np.random.default_rng(seed)
    y, x = rng.integers(0, height - down, PAIRS), rng.integers(0, width - right, PAIRS)
    channel = rng.integers(0, channels, PAIRS)
    return np.stack([picture[y, x, channel], picture[y + down, x + right, channel]], 1)


def correlation(pictures: Pixels) -> dict[str, float]:
    """Pearson's coefficient of adjacent samples in each direction, the mean over the pictures."""
    return {
        direction: float(
            np.mean([_pearson(neighbors(one, direction, at)) for at, one in enumerate(pictures)])
        )
        for direction in DIRECTIONS
    }


def _pearson(pairs: NDArray[np.uint8]) -> float:
    if not np.ptp(pairs, 0).all():
        return 1.0  # one color has no spread to correlate; neighbors tell each other
    table: NDArray[np.float64] = np.asarray(np.corrcoef(pairs.T.astype(np.float64)))
    return float(table[0, 1])


@dataclass(frozen=True)
class Histogram:
    """How often each value 0..255 occurs, told in four numbers."""

    mean: float
    deviation: float
    entropy: float
    """Bits a sample; 8 is a flat histogram"""
    excess: float
    """Excess kurtosis: 0 for a normal distribution, -1.2 for a flat one"""


def histogram(pictures: Pixels) -> Histogram:
    """The values of a stack of pictures."""
    values = pictures.astype(np.float64).ravel()
    share = np.bincount(pictures.ravel(), minlength=256) / pictures.size
    off = (values - values.mean()) / max(float(values.std()), 1e-9)
    return Histogram(
        mean=float(values.mean()),
        deviation=float(values.std()),
        entropy=float(-(share[share > 0] * np.log2(share[share > 0])).sum()),
        excess=float((off**4).mean() - 3),
    )


def jpeg(quality: int) -> Callable[[Pixels], Pixels]:
    """Pictures as a site saves them: JPEG with halved color, read again."""

    def through(picture: Pixels) -> Pixels:
        buffer = BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer).convert("RGB"))

    return lambda pictures: np.stack([through(one) for one in pictures])


def halved(pictures: Pixels) -> Pixels:
    """Half the size, and back to the size that the recognizer wants."""

    def through(picture: Pixels) -> Pixels:
        height, width = picture.shape[:2]
        small = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

    return np.stack([through(one) for one in pictures])


RE_ENCODED: dict[str, Callable[[Pixels], Pixels]] = {
    "as saved": lambda pictures: pictures,
    "JPEG 95": jpeg(95),
    "JPEG 75": jpeg(75),
    "JPEG 50": jpeg(50),
    "half size": halved,
}

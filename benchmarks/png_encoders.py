"""Seconds and megabytes of PNG encoders on a photo: python -m benchmarks.png_encoders PHOTO."""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photoguard.photos import images

SIZE = (4000, 3000)


def pillow(level: int) -> Callable[[NDArray[np.uint8]], int]:
    """Pillow at a compression level."""

    def encode(pixels: NDArray[np.uint8]) -> int:
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG", compress_level=level)
        return len(out.getvalue())

    return encode


def opencv(*options: int) -> Callable[[NDArray[np.uint8]], int]:
    """OpenCV at level 1 with further options."""

    def encode(pixels: NDArray[np.uint8]) -> int:
        return len(cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1, *options])[1])

    return encode


RUN_LENGTH = (cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE, cv2.IMWRITE_PNG_FILTER)
ENCODERS = {
    "Pillow, level 6 (its default)": pillow(6),
    "Pillow, level 1": pillow(1),
    "OpenCV, level 1": opencv(),
    "OpenCV, level 1, run-length, all filters": opencv(*RUN_LENGTH, cv2.IMWRITE_PNG_ALL_FILTERS),
    "OpenCV, level 1, run-length, `up` filter (used)": opencv(*RUN_LENGTH, cv2.IMWRITE_PNG_FILTER_UP),
}


def main() -> None:
    """Print the table of docs/results/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    options = parser.parse_args()
    smooth = images.decode(options.photo.read_bytes(), str(options.photo)).shallow()
    smooth = cv2.resize(smooth, SIZE, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    noise = np.random.default_rng(1).normal(0, 6, smooth.shape)
    noisy = np.clip(smooth + noise, 0, 255).astype(np.uint8)
    print("| encoder | smooth: seconds, MB | noisy: seconds, MB |\n|---|---|---|")
    for name, encode in ENCODERS.items():
        cells = []
        for pixels in (smooth, noisy):
            start = time.perf_counter()
            size = encode(pixels)
            cells.append(f"{time.perf_counter() - start:.2f}, {size / 1e6:.1f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

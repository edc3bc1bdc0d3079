"""A tiny LFW of noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_lfw(folder: Path, people: int = 4, photos: int = 10) -> Path:
    """A tiny LFW of noise, with its pairs file."""
    for person in range(people):
        for number in range(1, photos + 1):
            path = folder / f"P{person}" / f"P{person}_{number:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(
                np.random.default_rng(person).integers(0, 256, (250, 250, 3), dtype=np.uint8)
            ).save(path)
    (folder / "pairs.txt").write_text("2\t1\nP0\t1\t2\nP0\t1\tP1\t1\nP1\t3\t4\nP2\t1\tP3\t2\n")
    return folder

"""Noise as photos, and the options with which encrypting one needs no network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from photoguard.photos import images

REGION = ("--method", "solid", "--faces", "none", "--region", "10,10,30,30", "--exact")

# Nobody can give up more rights than these: then file modes bind root too.
NO_RIGHTS = """
import ctypes
libc = ctypes.CDLL(None)
if hasattr(libc, "capset"):  # Linux
    assert libc.capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()) == 0
"""


def picture(path: Path, seed: int = 7) -> Path:
    noise = np.random.default_rng(seed).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, "PNG")
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def pair(photo: Path) -> tuple[Path, Path]:
    return photo.with_suffix(".pub.png"), photo.with_suffix(".priv")


def pixels(path: Path) -> np.ndarray:
    return images.decode(path.read_bytes(), path.name).pixels

"""The face that every recognizer is tried on: NASA's portrait of Eileen Collins, public domain."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from photoguard.nets.planes import to_planes
from photoguard.recognizers.alignment import chip_for
from photoguard.recognizers.table import TEMPLATES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from photoguard.recognizers.table import Spec

# sample_face.png is the 112x112 chip, 1.6 times larger and with 4 pixels of that chip more on every side.
ZOOM, MARGIN = 1.6, 4.0


def sample_picture(side: int = 192) -> NDArray[np.uint8]:
    """The sample face, (side, side, 3)."""
    with resources.files("photoguard.recognizers").joinpath("sample_face.png").open("rb") as file:
        image = Image.open(file).convert("RGB")
    return np.asarray(image.resize((side, side), Image.Resampling.LANCZOS))


def sample_chip(spec: Spec) -> Tensor:
    """The sample face as the recognizer of `spec` wants it: (1, 3, height, width) of 0..255."""
    chip = chip_for(spec, sample_picture(), sample_landmarks())
    return to_planes(chip[None]).float()


def sample_landmarks() -> list[tuple[float, float]]:
    """Where the five landmarks lie on sample_face.png."""
    return [((x + MARGIN) * ZOOM, (y + MARGIN) * ZOOM) for x, y in TEMPLATES["112x112"]]

"""One PSNR for the tool, training and evaluation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from photoguard.photos.psnr import psnr


def test_psnr_of_a_known_error_and_of_equal_pictures() -> None:
    a = np.full((8, 8, 3), 100, np.uint8)
    assert psnr(a, a + 16) == pytest.approx(10 * math.log10(255**2 / 256))
    assert psnr(a, a) == math.inf

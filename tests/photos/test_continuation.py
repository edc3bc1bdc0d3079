"""What fills the pixels of others is made of one's own, and leaves no edge."""

from __future__ import annotations

import numpy as np
import pytest

from photoguard.photos.continuation import continued


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_gradient_goes_on_and_nothing_unknown_is_read(dtype: type) -> None:
    rows, columns = np.mgrid[:40, :60]
    pixels = np.stack([rows, columns, rows + columns], 2).astype(dtype) * 2
    known = (rows < 25) | (columns < 30)
    filled = continued(pixels, known)
    assert np.array_equal(filled[known], pixels[known]) and filled.dtype == dtype
    assert np.abs(np.diff(filled.astype(int), axis=0)).max() <= 2 * 30  # along the diagonal only
    assert np.abs(filled[25, 40:].astype(int) - pixels[24, 40:]).max() <= 2
    secret = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, pixels.shape, dtype)
    other = np.where(known[..., None], pixels, secret)
    assert np.array_equal(continued(other, known), filled)


def test_one_known_pixel_is_enough() -> None:
    known = np.zeros((20, 9), bool)
    known[19, 8] = True
    assert (continued(np.arange(540, dtype=np.uint16).reshape(20, 9, 3), known) == [537, 538, 539]).all()
    assert continued(np.ones((2, 2, 3), np.uint8), np.ones((2, 2), bool)).all()

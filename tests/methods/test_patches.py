"""Patches sealed as pictures of their own come back as they were."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from photoguard.errors import DamagedError
from photoguard.methods import Sealed, Settings, patches


def face(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    return cv2.resize(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8), (width, height))


def sealed(patch: np.ndarray, **settings: object) -> Sealed:
    return patches.seal("solid", [patch], Settings(**settings))[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_exact_gives_back_every_pixel(dtype: type) -> None:
    patch = face(90, 70).astype(dtype) * (255 if dtype == np.uint16 else 1)
    assert np.array_equal(patches.reveal("solid", [sealed(patch, exact=True)])[0], patch)


def test_without_exact_the_face_comes_back_nearly_and_smaller() -> None:
    patch = face(300, 300)
    near, exact = sealed(patch), sealed(patch, exact=True)
    assert np.abs(patches.reveal("solid", [near])[0].astype(int) - patch).mean() < 2
    assert len(near.public) < len(exact.public)


def test_a_sealed_face_of_another_size_is_damaged() -> None:
    public = sealed(face(30, 30)).public
    for data in (patches.compress(face(30, 31), False), b"X" + public[1:], b"", public[:40]):
        with pytest.raises(DamagedError):
            patches.decompress(data, (30, 30, 3))

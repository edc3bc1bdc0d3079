"""Plain covers hide as much on a large face as on a small one, and give back what they took."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from photoguard.errors import DamagedError
from photoguard.methods import Settings, covers


def face(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    return cv2.resize(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8), (width, height))


def protected(name: str, patch: np.ndarray, **settings: object) -> covers.Covered:
    return covers.protect(name, [patch], Settings(**settings))[0]


@pytest.mark.parametrize("name", ["solid", "blur", "pixelate"])
@pytest.mark.parametrize("size", [(1, 1), (3, 90), (128, 128), (700, 500)])
def test_covers_fill_the_whole_patch(name: str, size: tuple[int, int]) -> None:
    patch = face(*size)
    covered = protected(name, patch)
    assert covered.cover.shape == patch.shape and covered.cover.dtype == patch.dtype
    if min(size) > 20:
        corners = covered.cover[[0, 0, -1, -1], [0, -1, 0, -1]].astype(int)
        assert np.abs(corners - patch[[0, 0, -1, -1], [0, -1, 0, -1]]).max() > 4, (
            "ellipses leave corners open"
        )


@pytest.mark.parametrize("name", ["blur", "pixelate"])
def test_a_large_face_is_hidden_as_well_as_a_small_one(name: str) -> None:
    """Scaled to one size, the covers of one face in two sizes look alike."""
    small, large = (protected(name, face(side, side)).cover for side in (60, 960))
    shrunk = cv2.resize(large, (60, 60), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - small).mean() < 6


def test_more_strength_leaves_less() -> None:
    blurred = [covers.cover("blur", face(256, 256), strength).std() for strength in (1, 2, 4)]
    mosaics = [covers.cover("pixelate", face(256, 256), strength) for strength in (1, 2, 4)]
    colors = [len(np.unique(mosaic.reshape(-1, 3), axis=0)) for mosaic in mosaics]
    assert all(more > less for more, less in pairwise(blurred))
    assert all(more > less for more, less in pairwise(colors))


def test_solid_says_nothing_about_the_face() -> None:
    assert np.array_equal(
        protected("solid", face(50, 40)).cover, protected("solid", 255 - face(50, 40)).cover
    )


def test_the_papers_baselines() -> None:
    patch = face(128, 128)
    mosaic = covers.pixelated(patch, 20)
    assert (mosaic[:20, 20:40] == mosaic[0, 20]).all()
    assert np.abs(mosaic[5, 25].astype(float) - patch[:20, 20:40].mean(axis=(0, 1))).max() <= 0.5
    smooth = cv2.GaussianBlur(patch, (0, 0), 16, borderType=cv2.BORDER_REFLECT).astype(int)
    assert np.abs(covers.blurred(patch, 16).astype(int) - smooth).mean() < 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_exact_gives_back_every_pixel(dtype: type) -> None:
    patch = face(90, 70).astype(dtype) * (255 if dtype == np.uint16 else 1)
    covered = protected("blur", patch, exact=True)
    assert np.array_equal(covers.reveal("blur", [covered])[0], patch)


def test_without_exact_the_face_comes_back_nearly_and_smaller() -> None:
    patch = face(300, 300)
    near, exact = protected("blur", patch), protected("blur", patch, exact=True)
    assert np.abs(covers.reveal("blur", [near])[0].astype(int) - patch).mean() < 2
    assert len(near.public) < len(exact.public)


def test_a_sealed_face_of_another_size_is_damaged() -> None:
    covered = protected("solid", face(30, 30))
    for data in (covers.compress(face(30, 31), False), b"X" + covered.public[1:], b"", covered.public[:40]):
        with pytest.raises(DamagedError):
            covers.decompress(data, (30, 30, 3))

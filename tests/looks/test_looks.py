"""Looks are functions of a box's size; the two filters say less of a face the stronger they are."""

from __future__ import annotations

import inspect
from itertools import pairwise

import cv2
import numpy as np
import pytest

from photoguard import looks, weights
from photoguard.evaluate.ddm import covers
from photoguard.looks import filters, image, soft


def face(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    return cv2.resize(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8), (width, height))


# Drawn


@pytest.mark.parametrize("size", [(128, 128), (256, 192), (136, 120)])
def test_the_pattern_is_what_the_shipped_network_draws_for_a_neutral_patch(size: tuple[int, int]) -> None:
    neutral = np.full((1, *size, 3), 128, np.uint8)
    drawn = covers.network(weights.load_ddm())(neutral)[0]
    inner = slice(16, -16)
    assert np.array_equal(drawn[inner, inner], looks.draw("pattern", *size, np.uint8)[inner, inner])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(1, 1), (3, 90), (128, 128), (701, 500)])
@pytest.mark.parametrize("look", [*looks.DRAWN])
def test_a_look_fills_its_box_at_its_depth(look: str, size: tuple[int, int], dtype: type) -> None:
    drawn = looks.draw(look, *size, dtype)
    assert drawn.shape == (*size, 3) and drawn.dtype == dtype
    again = looks.draw(look, *size, dtype)
    assert np.array_equal(drawn, again) is (look in looks.FIXED) or drawn.size < 10


def test_the_pattern_in_numbers() -> None:
    for dtype, most in ((np.uint8, 255), (np.uint16, 65535)):
        drawn = looks.draw("pattern", 20, 30, dtype)
        for y, x in np.ndindex(20, 30):
            assert drawn[y, x].tolist() == [most * ((y // 4 + x // 4) % 2 == 0)] * 3
        assert (looks.draw("plain", 5, 6, dtype) == most // 2).all()


def test_noise_is_noise() -> None:
    assert looks.draw("noise", 64, 64, np.uint16).std() > 65535 / 5


def test_no_drawing_can_be_handed_a_face() -> None:
    assert [*inspect.signature(looks.draw).parameters] == ["look", "height", "width", "dtype"]
    for drawing in looks.DRAWN.values():
        assert [*inspect.signature(drawing).parameters] == ["height", "width", "dtype"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(1, 1), (3, 90), (300, 200)])
def test_an_image_is_whole_and_centered_on_white(size: tuple[int, int], dtype: type) -> None:
    red = np.zeros((8, 24, 3), np.uint8) + np.array([200, 0, 0], np.uint8)
    cover, most = image.fitted(red, *size, np.dtype(dtype)), np.iinfo(dtype).max
    assert cover.shape == (*size, 3) and cover.dtype == dtype
    middle = cover[size[0] // 2, size[1] // 2] // (most // 255)
    assert middle.tolist() == [200, 0, 0]
    if size == (300, 200):
        assert (cover[:100] == most).all() and (cover[-100:] == most).all()


def test_a_transparent_image_lies_on_white() -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    alpha = np.full((4, 4), 255, np.uint8)
    alpha[0] = 0
    laid = image.opaque(black, alpha)
    assert (laid[0] == 255).all() and (laid[1:] == 0).all()
    assert image.opaque(np.zeros((10, 3000, 3), np.uint8), None).shape == (3, 1024, 3)


def test_a_soft_block_in_numbers() -> None:
    sides = np.array([[10, 10, 10], [10, 10, 10], [10, 10, 10], [250, 10, 10]], float)
    drawn = soft.block(sides, 60, 40, np.dtype(np.uint8))
    assert drawn.shape == (60, 40, 3) and (drawn[0, 0, 1], drawn[30, 20, 1]) == (10, 8)
    assert drawn[59, 20, 0] > drawn[0, 20, 0] + 40
    assert np.abs(np.diff(drawn[:, 0].astype(int), axis=0)).max() <= 4, "no edges inside"


# Filters


@pytest.mark.parametrize("look", filters.FILTERS)
@pytest.mark.parametrize("size", [(1, 1), (3, 90), (128, 128), (700, 500)])
def test_filters_fill_the_whole_patch(look: str, size: tuple[int, int]) -> None:
    patch = face(*size)
    cover = filters.filtered(look, patch, 1.0)
    assert cover.shape == patch.shape and cover.dtype == patch.dtype
    if min(size) > 20:
        corners = [0, 0, -1, -1], [0, -1, 0, -1]
        assert np.abs(cover[corners].astype(int) - patch[corners]).max() > 4, "ellipses leave corners open"


@pytest.mark.parametrize("look", filters.FILTERS)
def test_a_large_face_is_hidden_as_well_as_a_small_one(look: str) -> None:
    """Scaled to one size, the covers of one face in two sizes look alike."""
    small, large = (filters.filtered(look, face(side, side), 1.0) for side in (60, 960))
    back = cv2.resize(large, (60, 60), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(back - small).mean() < 6


def test_more_strength_leaves_less() -> None:
    blurred = [filters.filtered("blur", face(256, 256), strength).std() for strength in (1, 2, 4)]
    mosaics = [filters.filtered("pixelate", face(256, 256), strength) for strength in (1, 2, 4)]
    colors = [len(np.unique(mosaic.reshape(-1, 3), axis=0)) for mosaic in mosaics]
    assert all(more > less for more, less in pairwise(blurred))
    assert all(more > less for more, less in pairwise(colors))


def test_the_papers_baselines() -> None:
    patch = face(128, 128)
    mosaic = filters.pixelated(patch, 20)
    assert (mosaic[:20, 20:40] == mosaic[0, 20]).all()
    assert np.abs(mosaic[5, 25].astype(float) - patch[:20, 20:40].mean(axis=(0, 1))).max() <= 0.5
    smooth = cv2.GaussianBlur(patch, (0, 0), 16, borderType=cv2.BORDER_REFLECT).astype(int)
    assert np.abs(filters.blurred(patch, 16).astype(int) - smooth).mean() < 2

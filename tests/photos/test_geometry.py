"""Warps to a recognizer's template and back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from photoguard.photos.geometry import (
    TEMPLATE_112X96,
    TEMPLATE_112X112,
    Box,
    chip_box,
    from_chip,
    similarity,
    to_chip,
)


def turned(points, degrees, scale, shift):
    angle = np.radians(degrees)
    matrix = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(points) @ matrix.T + shift


@pytest.mark.parametrize("degrees", [0, 15, 90, 180, -135])
def test_similarity_recovers_a_turn_scale_and_shift(degrees):
    landmarks = turned(TEMPLATE_112X112, degrees, 3.5, (200, 300))
    matrix = similarity(landmarks, TEMPLATE_112X112)
    back = landmarks @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(back, TEMPLATE_112X112, atol=1e-9)


def test_similarity_never_mirrors():
    mirrored = [(112 - x, y) for x, y in TEMPLATE_112X112]
    assert np.linalg.det(similarity(mirrored, TEMPLATE_112X112)[:, :2]) > 0


def test_landmarks_without_extent_are_refused():
    with pytest.raises(ValueError, match="one point"):
        similarity([(5, 5)] * 5, TEMPLATE_112X112)


@pytest.mark.parametrize("template, width", [(TEMPLATE_112X112, 112), (TEMPLATE_112X96, 96)])
@pytest.mark.parametrize("degrees, scale", [(0, 1.0), (20, 1.7), (90, 5.0), (200, 0.6)])
def test_dots_at_the_landmarks_land_on_the_template(template, width, degrees, scale):
    landmarks = turned(template, degrees, scale, (500, 450))
    photo = np.zeros((1000, 1000, 3), np.uint8)
    for number, (x, y) in enumerate(landmarks):
        center = (round(float(x) * 16), round(float(y) * 16))
        cv2.circle(photo, center, round(3 * scale * 16), (50 * number + 50,) * 3, -1, cv2.LINE_AA, shift=4)
    chip = to_chip(photo, similarity(landmarks, template), 112, width)
    assert chip.shape == (112, width, 3)
    for number, (x, y) in enumerate(template):
        rows, columns = np.nonzero(np.abs(chip[..., 0].astype(int) - (50 * number + 50)) < 10)
        near = (np.abs(rows - y) < 5) & (np.abs(columns - x) < 5)
        assert abs(rows[near].mean() - y) < 0.5 and abs(columns[near].mean() - x) < 0.5


@pytest.mark.parametrize("scale", [1.9, 2.3, 4.3])
def test_an_edge_on_the_photo_is_where_it_should_be_on_the_chip(scale):
    matrix = similarity(np.asarray(TEMPLATE_112X112) * scale + 5, TEMPLATE_112X112)
    errors = []
    for edge in range(round(20 * scale), round(90 * scale)):
        photo = np.zeros((500, 500, 3), np.uint8)
        photo[:, edge:] = 255
        chip = to_chip(photo, matrix, 112, 112)
        found = 112 - chip[56, :, 0].sum() / 255  # pixels left of the edge
        errors.append(found - ((edge - 0.5 - 5) / scale + 0.5))
    assert abs(np.mean(errors)) < 0.03


def test_a_chip_laid_back_gives_the_photo_again():
    ramp = np.add.outer(np.arange(400), np.arange(300)) / 700 * 255
    photo = np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8)
    matrix = similarity(turned(TEMPLATE_112X112, 25, 1.0, (130, 180)), TEMPLATE_112X112)
    again = from_chip(photo, to_chip(photo, matrix, 112, 112), matrix)
    assert np.abs(again.astype(int) - photo).max() <= 2


def test_laying_back_changes_the_chip_area_and_nothing_else():
    photo = np.zeros((300, 300, 3), np.uint8)
    matrix = similarity(turned(TEMPLATE_112X112, 45, 1.0, (150, 60)), TEMPLATE_112X112)
    laid = from_chip(photo, np.full((112, 112, 3), 200, np.uint8), matrix)
    covered = laid[..., 0] > 0
    assert set(np.unique(laid)) == {0, 200}
    assert abs(int(covered.sum()) - 112 * 112) < 112
    box = chip_box(matrix, 112, 112).clipped(300, 300)
    covered[box.window] = False
    assert not covered.any()
    assert not photo.any()  # the photo given is left alone


def test_a_chip_reaching_over_the_edge_goes_on_with_the_edge():
    photo = np.full((100, 100, 3), 77, np.uint8)
    matrix = similarity(turned(TEMPLATE_112X112, 0, 1.0, (-40, -40)), TEMPLATE_112X112)
    assert (to_chip(photo, matrix, 112, 112) == 77).all()
    assert (from_chip(photo, to_chip(photo, matrix, 112, 112), matrix) == 77).all()


def test_a_chip_beside_the_photo_is_refused():
    matrix = similarity(turned(TEMPLATE_112X112, 0, 1.0, (5000, 0)), TEMPLATE_112X112)
    with pytest.raises(ValueError, match="beside"):
        to_chip(np.zeros((50, 50, 3), np.uint8), matrix, 112, 112)


def test_boxes_grow_clip_and_overlap():
    box = Box(10, 20, 30, 40)
    assert box.grown(0.5) == Box(-10, 0, 70, 80)
    assert box.grown(0.5).clipped(50, 50) == Box(0, 0, 50, 50)
    assert box.overlaps(Box(39, 59, 5, 5)) and not box.overlaps(Box(40, 20, 5, 5))
    assert Box(60, 60, 5, 5).clipped(50, 50).area == 0

"""The review picture: marked where the faces are, whatever the photo's size."""

from __future__ import annotations

import numpy as np
import pytest

from photoguard.detection import Face
from photoguard.photos.geometry import Box
from photoguard.photos.preview import CERTAIN, LARGEST_SIDE, SMALLEST_SIDE, UNCERTAIN, draw


def face(x, y, side, certain=True):
    spots = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    points = tuple((x + a * side, y + b * side) for a, b in spots)
    return Face(Box(x, y, side, side), points, 0.97 if certain else 0.5, certain)


def has(picture, color):
    return (picture == np.array(color, np.uint8)).all(axis=-1)


@pytest.mark.parametrize("size", [(40, 60), (480, 640), (3000, 4000), (30, 900)])
def test_every_size_comes_out_readable(size):
    photo = np.full((*size, 3), 120, np.uint8)
    picture = draw(photo, [face(2, 2, 20)])
    assert SMALLEST_SIDE <= max(picture.shape[:2]) <= LARGEST_SIDE
    assert abs(picture.shape[1] / picture.shape[0] - size[1] / size[0]) < 0.05 * size[1] / size[0]
    plate = has(picture, CERTAIN).sum(axis=1).max()
    assert plate > 20  # the plate under the number has long rows of one color
    assert (photo == 120).all()


def test_the_box_is_where_the_face_is():
    picture = draw(np.full((1000, 1000, 3), 120, np.uint8), [face(300, 400, 200)])
    marked = has(picture, CERTAIN)
    scale = picture.shape[0] / 1000
    columns = np.nonzero(marked[round(500 * scale)])[0]
    assert abs(columns.min() - 300 * scale) <= 3 and abs(columns.max() - 500 * scale) <= 3


def test_uncertain_faces_have_their_own_color():
    photo = np.full((800, 800, 3), 120, np.uint8)
    assert not has(draw(photo, [face(100, 100, 200)]), UNCERTAIN).any()
    doubtful = draw(photo, [face(100, 100, 200, certain=False)])
    assert has(doubtful, UNCERTAIN).any() and not has(doubtful, CERTAIN).any()


def test_numbers_of_neighbors_do_not_hide_each_other():
    photo = np.full((800, 800, 3), 120, np.uint8)
    one = has(draw(photo, [face(300, 300, 60)]), CERTAIN).sum()
    both = draw(photo, [face(300, 300, 60), face(310, 302, 60, certain=False)])
    assert has(both, CERTAIN).sum() > 0.8 * one
    assert has(both, UNCERTAIN).sum() > 0.8 * one


def test_a_photo_without_faces_is_a_copy():
    photo = np.random.default_rng(0).integers(0, 255, (900, 1500, 3), dtype=np.uint8)
    assert (draw(photo, []) == photo).all()

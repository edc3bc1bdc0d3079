"""The review picture and the contact sheet: marked where covers and faces are, whatever the photo's size."""

from __future__ import annotations

import numpy as np
import pytest

from photoguard.detection import Face
from photoguard.photos import sheet
from photoguard.photos.geometry import Box
from photoguard.photos.preview import CERTAIN, LARGEST_SIDE, OPEN, SMALLEST_SIDE, UNCERTAIN, draw


def face(x, y, side, certain=True):
    spots = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    points = tuple((x + a * side, y + b * side) for a, b in spots)
    return Face(Box(x, y, side, side), points, 0.97 if certain else 0.5, certain)


def has(picture, color):
    return (picture == np.array(color, np.uint8)).all(axis=-1)


def shown(photo, *faces, covered=None, covers=()):
    return draw(photo, faces, range(1, len(faces) + 1) if covered is None else covered, covers)


@pytest.mark.parametrize("size", [(40, 60), (480, 640), (3000, 4000), (30, 900)])
def test_every_size_comes_out_readable(size):
    photo = np.full((*size, 3), 120, np.uint8)
    picture = shown(photo, face(2, 2, 20))
    assert SMALLEST_SIDE <= max(picture.shape[:2]) <= LARGEST_SIDE
    assert abs(picture.shape[1] / picture.shape[0] - size[1] / size[0]) < 0.05 * size[1] / size[0]
    plate = has(picture, CERTAIN).sum(axis=1).max()
    assert plate > 20  # the plate under the number has long rows of one color
    assert (photo == 120).all()


def test_the_box_is_where_the_face_is():
    picture = shown(np.full((1000, 1000, 3), 120, np.uint8), face(300, 400, 200))
    marked = has(picture, CERTAIN)
    scale = picture.shape[0] / 1000
    columns = np.nonzero(marked[round(500 * scale)])[0]
    assert abs(columns.min() - 300 * scale) <= 3 and abs(columns.max() - 500 * scale) <= 3


def test_uncertain_faces_have_their_own_color():
    photo = np.full((800, 800, 3), 120, np.uint8)
    assert not has(shown(photo, face(100, 100, 200)), UNCERTAIN).any()
    doubtful = shown(photo, face(100, 100, 200, certain=False), covers=[Box(80, 80, 240, 240)])
    assert has(doubtful, UNCERTAIN).any() and not has(doubtful, CERTAIN).any()


def test_numbers_of_neighbors_do_not_hide_each_other():
    photo = np.full((800, 800, 3), 120, np.uint8)
    one = has(shown(photo, face(300, 300, 60)), CERTAIN).sum()
    both = shown(photo, face(300, 300, 60), face(310, 302, 60, certain=False))
    assert has(both, CERTAIN).sum() > 0.8 * one
    assert has(both, UNCERTAIN).sum() > 0.8 * one


def test_a_photo_without_faces_is_a_copy():
    photo = np.random.default_rng(0).integers(0, 255, (900, 1500, 3), dtype=np.uint8)
    assert (shown(photo) == photo).all()


def widths(row):
    """Of the runs of marked pixels in a row."""
    return np.diff(np.nonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))[0])[::2]


def test_the_cover_is_outlined_thicker_than_the_face_inside():
    photo = np.full((2400, 2400, 3), 120, np.uint8)
    picture = shown(photo, face(800, 800, 400), covers=[Box(704, 704, 592, 608)])
    row = has(picture, CERTAIN)[900]
    columns = np.nonzero(row)[0]
    assert abs(columns.min() - 704) <= 2 and abs(columns.max() - 1295) <= 2
    left, inner, *_, right = widths(row)
    assert left == right > inner


def test_a_face_that_stays_readable_is_blue_and_dashed():
    photo = np.full((1200, 1200, 3), 120, np.uint8)
    picture = shown(photo, face(300, 300, 300), face(700, 700, 300), covered=(1,))
    blue = has(picture, OPEN)
    below = blue[997:1003, 700:1000].any(axis=0)
    assert 0.3 < below.mean() < 0.8, "dashes"
    assert not blue[:600, :600].any() and not has(picture, CERTAIN)[650:].any()


def test_a_sheet_has_a_photo_a_cell_with_its_covers_and_frames_what_is_not_covered():
    photo = np.full((1000, 2000, 3), 120, np.uint8)
    small = sheet.thumbnail(photo, [face(500, 300, 200, certain=False)], (1,), [Box(400, 200, 400, 400)])
    assert small.shape == (120, 240, 3)
    columns = np.nonzero(has(small, UNCERTAIN)[48])[0]
    assert abs(columns.min() - 48) <= 2 and abs(columns.max() - 95) <= 2
    cells = [sheet.Cell(small, "a.jpg", "1 face covered")] * 24 + [sheet.Cell(None, "b.jpg", "failed", True)]
    laid = sheet.lay(cells)
    wide, high = sheet.WIDTH + sheet.GAP, sheet.HEIGHT + 2 * sheet.LINE + sheet.GAP
    assert laid.shape == (5 * high + sheet.GAP, 5 * wide + sheet.GAP, 3)
    alarmed = has(laid, sheet.ALARM)
    frame = alarmed[4 * high + sheet.GAP : 4 * high + sheet.GAP + sheet.HEIGHT, 4 * wide + sheet.GAP]
    assert frame.all() and not alarmed[: 4 * high].any()
    assert sheet.lay([cells[0]] * 400).shape[1] == 12 * wide + sheet.GAP


def test_a_long_name_fits_below_its_photo():
    laid = sheet.lay([sheet.Cell(None, "n" * 300, ""), sheet.Cell(None, "", "")])
    second = laid[:, sheet.WIDTH + sheet.GAP + 1 :]
    assert (second == sheet.PAPER).all()

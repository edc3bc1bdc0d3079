"""The measuring tools measure: metrics against known values, attacks against covers that leak or don't.

Covers: evaluate.common.faces, evaluate.common.lfw, evaluate.common.metrics, evaluate.common.networks,
evaluate.common.perceptual, evaluate.common.recognition, evaluate.common.report.
"""

from __future__ import annotations

import io
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.lfw import write_lfw
from torch import nn

from photoguard.evaluate.common import faces as cut
from photoguard.evaluate.common import metrics, report
from photoguard.evaluate.common import recognition as attacks
from photoguard.evaluate.common.faces import Faces
from photoguard.evaluate.common.lfw import open_lfw, usual_landmarks
from photoguard.evaluate.common.networks import Training
from photoguard.evaluate.ddm import adversarial, covers, maps, owner, parts, perturbations, tables, targets
from photoguard.evaluate.ddm import run as ddm
from photoguard.evaluate.ddm.setting import DdmSize
from photoguard.nets.ddm import DDM, DDMConfig
from photoguard.recognizers import TABLE
from photoguard.recognizers.recognizer import Recognizer
from photoguard.weights import save_ddm

RNG = np.random.default_rng


@pytest.fixture(autouse=True)
def _numbers_as_they_are():
    """Recognizers let the processor flush the smallest numbers; other tests want them."""
    yield
    torch.set_flush_denormal(False)


# --- metrics ---


def test_psnr_of_a_known_error():
    a = np.full((8, 8, 3), 100, np.uint8)
    assert metrics.psnr(a, a + 16) == pytest.approx(10 * math.log10(255**2 / 256))
    assert metrics.psnr(a, a) == math.inf


def ssim_by_definition(a, b):
    """One window at a time, weighted by hand."""
    axis = np.arange(-5, 6)
    window = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for row in range(5, a.shape[0] - 5):
        for column in range(5, a.shape[1] - 5):
            for channel in range(3):
                x = a[row - 5 : row + 6, column - 5 : column + 6, channel].astype(float)
                y = b[row - 5 : row + 6, column - 5 : column + 6, channel].astype(float)
                mx, my = (window * x).sum(), (window * y).sum()
                vx, vy = (window * (x - mx) ** 2).sum(), (window * (y - my) ** 2).sum()
                cov = (window * (x - mx) * (y - my)).sum()
                c1, c2 = 2.55**2, 7.65**2
                top = (2 * mx * my + c1) * (2 * cov + c2)
                values.append(top / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return np.mean(values)


def test_ssim_is_what_its_definition_says():
    a = RNG(0).integers(0, 256, (17, 15, 3), dtype=np.uint8)
    b = np.clip(a * 0.7 + RNG(1).normal(20, 30, a.shape), 0, 255).astype(np.uint8)
    assert metrics.ssim(a, b) == pytest.approx(ssim_by_definition(a, b), abs=1e-9)
    assert metrics.ssim(a, a) == pytest.approx(1)


def test_balanced_accuracy_does_not_reward_the_larger_class():
    assert metrics.balanced_accuracy([0] * 9 + [1], [0] * 10) == 0.5


def test_intervals_have_their_textbook_values():
    wilson = metrics.proportion(10, 100)
    assert (wilson.low, wilson.high) == (pytest.approx(0.0552, abs=1e-4), pytest.approx(0.1744, abs=1e-4))
    assert metrics.proportion(0, 50).low == 0
    student = metrics.mean_interval([0.1, 0.2, 0.3])
    assert student.high - student.value == pytest.approx(4.303 * 0.1 / math.sqrt(3))


def test_verification_of_scores_that_part_cleanly_and_of_scores_that_tell_nothing():
    same = [np.arange(200) % 2 == 0 for _ in range(10)]
    clean = metrics.verification([truth * 0.5 + RNG(0).random(200) * 0.1 for truth in same], same)
    assert clean.accuracy.value == 1
    assert clean.equal_error == 0
    blind = metrics.verification([RNG(seed).random(200) for seed in range(10)], same)
    assert blind.accuracy.holds(0.5)
    assert blind.equal_error == pytest.approx(0.5, abs=0.05)
    constant = metrics.verification([np.ones(200) for _ in range(10)], same)
    assert constant.accuracy.value == 0.5  # equal scores cannot be parted


def test_the_threshold_of_a_fold_is_not_chosen_on_that_fold():
    scores = [np.array([0.1, 0.2]), np.array([0.6, 0.9])]
    same = [np.array([False, True]), np.array([False, True])]
    assert metrics.verification(scores, same).folds == (0.5, 0.5)  # each alone could be parted


# --- LFW ---


def test_lfw_reads_the_same_from_a_folder_and_from_a_zip(tmp_path):
    import shutil

    folder = write_lfw(tmp_path / "lfw", people=2, photos=4)
    (folder / "pairs.txt").write_text("1\t1\nP0\t1\t2\nP0\t1\tP1\t1\n")
    shutil.make_archive(str(tmp_path / "lfw"), "zip", folder)
    a, b = open_lfw(folder), open_lfw(tmp_path)
    assert a.names == b.names
    assert a.folds == b.folds
    assert [pair.same for pair in a.folds[0]] == [True, False]
    np.testing.assert_array_equal(a.picture(a.names[0]), b.picture(b.names[0]))


def test_the_fallback_landmarks_fit_both_sizes_of_lfw():
    np.testing.assert_allclose(usual_landmarks(250) - usual_landmarks(200), 15)


# --- attacks: they succeed where the cover leaks, and fail where it does not ---


class Look(nn.Module):
    """A recognizer of colors: the mean of each quarter of the chip, through a layer that can learn."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(12, 12)
        nn.init.eye_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def forward(self, x):
        return self.layer(nn.functional.adaptive_avg_pool2d(x, 2).flatten(1))


def look() -> Recognizer:
    return Recognizer(
        "look", replace(TABLE["edgeface-xs"], height=32, width=32, template="32", embedding=12), Look()
    )


@pytest.fixture(autouse=True)
def _small_template(monkeypatch):
    from photoguard.recognizers import table

    corners = ((8.0, 8.0), (24.0, 8.0), (16.0, 16.0), (8.0, 24.0), (24.0, 24.0))
    monkeypatch.setitem(table.TEMPLATES, "32", corners)


def crowd(people: int = 6, photos: int = 20, side: int = 32) -> Faces:
    """People of a color in each quarter, and photos with noise and another brightness."""
    rng = RNG(0)
    looks = rng.uniform(40, 215, (people, 2, 2, 3)).repeat(side // 2, 1).repeat(side // 2, 2)
    labels = np.arange(people).repeat(photos)
    pixels = (
        looks[labels]
        + rng.normal(0, 12, (len(labels), side, side, 3))
        + rng.normal(0, 6, (len(labels), 1, 1, 1))
    )
    corners = np.array(((8.0, 8.0), (24.0, 8.0), (16.0, 16.0), (8.0, 24.0), (24.0, 24.0)))
    landmarks = np.tile(corners * side / 32, (len(labels), 1, 1))
    return Faces(np.clip(pixels, 0, 255).astype(np.uint8), landmarks, labels)


EFFORT = attacks.Effort(
    side=32,
    plain=Training(6, 3e-3),
    strong=Training(6, 1e-2),
    restore=Training(12, 5e-3, batch=16),
    width=16,
)


def faint(faces):
    """The same wild picture for everybody, but for one gray level where the face is bright."""
    wild = RNG(5).integers(0, 255, faces.shape[1:], dtype=np.uint8)
    return wild + (faces.mean(3, keepdims=True) > 128).astype(np.uint8)


SOLID = covers.baselines()["solid"]


def test_a_tenth_of_everyone_is_tested_and_another_one_in_each_run():
    labels = crowd().labels
    tests = [set(cut.test_tenth(labels, number)[1].tolist()) for number in range(3)]
    assert not tests[0] & tests[1] | tests[1] & tests[2]
    seen, unseen = cut.test_tenth(labels, 0)
    assert sorted([*seen, *unseen]) == list(range(len(labels)))
    assert np.bincount(labels[unseen]).tolist() == [2] * 6


def test_the_plain_cnn_reads_even_a_cover_of_one_gray_level():
    faces = crowd()
    assert attacks.plain_cnn(faint(faces.pixels), faces.labels, EFFORT, 1, "cpu").above_chance


@pytest.mark.parametrize("cover", [SOLID, covers.baselines()["random"]], ids=["solid", "random"])
def test_the_attacks_learn_nothing_where_there_is_nothing(cover):
    faces = crowd()
    shown = cover(faces.pixels)
    plain = attacks.plain_cnn(shown, faces.labels, EFFORT, 2, "cpu")
    strong = attacks.strong_recognizer(shown, faces, look, EFFORT, 1, "cpu").closed
    assert not plain.above_chance
    assert not strong.above_chance
    assert len(plain.runs) == 2
    assert plain.chance == pytest.approx(1 / 6)


def test_a_fine_tuned_recognizer_and_an_untouched_one_name_open_faces():
    faces = crowd()
    negative = (255 - faces.pixels)[:, :, ::-1]
    known = attacks.person_centers(faces, look())
    assert attacks.unretrained(faces.pixels, faces, look(), known).accuracy.value == 1
    assert attacks.unretrained(negative, faces, look(), known).accuracy.value < 0.7
    assert attacks.strong_recognizer(negative, faces, look, EFFORT, 1, "cpu").closed.above_chance


def test_verification_of_people_not_learned_with_and_without_training():
    faces = crowd()
    pairs = tuple(
        (i, j, bool(faces.labels[i] == faces.labels[j])) for i in range(0, 120, 5) for j in range(1, 120, 7)
    )
    same = [pair for pair in pairs if pair[2]]
    pairs = tuple(same + [pair for pair in pairs if not pair[2]][: len(same)])
    open_faces = look().embed_pixels(faces.chips(look().spec))
    assert attacks.verified(open_faces, pairs).accuracy.value > 0.9
    strong = attacks.strong_recognizer(
        SOLID(faces.pixels), faces, look, EFFORT, 1, "cpu", (SOLID(faces.pixels), faces, pairs)
    )
    assert strong.open_set.accuracy.value <= 0.6


def test_covers_that_are_one_picture_verify_nobody():
    """Not even through the last digit, in which batches differ, or through folds that are not even."""
    same = np.tile(RNG(0).normal(size=(1, 64)).astype(np.float32), (200, 1))
    same[96:] += np.float32(1e-6)  # a person's pictures are in one batch
    pairs = [(i, i + 1, True) for i in range(0, 200, 2)] + [(i, (i + 97) % 200, False) for i in range(100)]
    assert attacks.verified(same, pairs).accuracy.value == 0.5


def test_covers_are_aligned_by_what_they_show(monkeypatch):
    """The true landmarks of a face that nobody sees would tell who it is."""
    people = crowd(people=2, photos=2, side=128)
    marks = usual_landmarks(250) * 0.5

    def found(pixels, usual):
        return marks if pixels.mean() > 128 else usual

    monkeypatch.setattr(cut, "found_landmarks", found)
    shown = np.stack([np.full((128, 128, 3), gray, np.uint8) for gray in (0, 200, 0, 0)])
    seen = cut.as_seen(people, shown)
    np.testing.assert_array_equal(seen.landmarks[1], marks)
    np.testing.assert_array_equal(seen.landmarks[0], seen.landmarks[2])
    assert np.abs(seen.landmarks[0].mean(0) - [64, 72]).max() <= 0.5  # where a cut-out has its face
    assert (seen.labels == people.labels).all()


def test_alike_counts_the_covers_that_are_one_picture():
    shown = np.zeros((4, 2, 2, 3), np.uint8)
    shown[3, 0, 0, 0] = 1
    assert parts.alike(shown) == 0.75


def test_the_restorer_restores_what_a_cover_leaks_and_the_mean_face_otherwise():
    faces = crowd(people=20, photos=6)
    leaking = attacks.restoring_decoder(255 - faces.pixels, faces, look(), EFFORT, "cpu")
    blind = attacks.restoring_decoder(SOLID(faces.pixels), faces, look(), EFFORT, "cpu")
    assert leaking.psnr > blind.psnr + 3
    assert leaking.cosine > 0.8 > 0.3 > blind.cosine


def test_perturbations_stay_within_their_bound_and_fool_their_recognizer():
    faces = crowd()
    target = look()
    centers = attacks.person_centers(faces, target)
    shown = perturbations.fgsm(faces, target, centers, bound=60)
    assert np.abs(shown.astype(int) - faces.pixels.astype(int)).max() <= 60

    def near(pixels):
        embeddings = target.embed_pixels(faces.chips(target.spec, pixels))
        return (embeddings * centers[faces.labels]).sum(1).mean()

    assert near(shown) < near(faces.pixels) - 0.02
    common = perturbations.universal(faces, faces, target, centers, bound=60, epochs=2)
    change = common.astype(int) - faces.pixels.astype(int)
    assert np.abs(change).max() <= 60
    inside = (common > 0) & (common < 255)
    assert np.ptp(np.where(inside, change, np.nan)[:, 5, 5, 0][inside[:, 5, 5, 0]]) <= 1  # one for all


# --- readable maps ---


def test_attacks_on_readable_maps_find_a_private_map_that_the_public_ones_foretell():
    torch.manual_seed(0)
    net = DDM(DDMConfig(widths=(8, 8, 16), maps=8, one_in=8, blocks=1)).eval()
    with torch.no_grad():  # the private map is the sum of two public ones: nothing is private about it
        net.down[-1].weight[-1] = net.down[-1].weight[0] + net.down[-1].weight[1]
        net.down[-1].bias[-1] = net.down[-1].bias[0] + net.down[-1].bias[1]
    faces = crowd(people=10, photos=10)
    found = maps.readable_maps(net, faces, look(), Training(10, 1e-2, batch=8), "cpu")
    assert found.r2 > 0.6
    assert found.regressed.psnr == pytest.approx(found.owner.psnr, abs=1.0)
    assert found.fresh.psnr > found.owner.psnr  # the untrained owner's decoder is no match for a trained one
    assert found.private_spread > 0


def test_explained_variance():
    truth = RNG(0).normal(size=(50, 1, 2, 2)).astype(np.float32)
    assert maps.explained(truth, truth) == 1
    assert maps.explained(truth, np.broadcast_to(truth.mean(0), truth.shape)) == pytest.approx(0, abs=1e-6)


# --- covers and report ---


def test_every_cover_keeps_shape_and_type():
    faces = crowd(people=1, photos=2, side=64).pixels
    torch.manual_seed(0)
    fakes = ("fresh", "noise")
    config = DDMConfig(widths=(4, 4, 4), maps=4, one_in=4, blocks=1)
    made = covers.baselines() | {f: covers.network(DDM(replace(config, fake=f)).eval()) for f in fakes}
    for name, cover in made.items():
        shown = cover(faces)
        assert (shown.shape, shown.dtype) == (faces.shape, faces.dtype), name
        assert name == covers.ORIGINAL or (shown != faces).any(), name


def test_a_report_is_written_resumed_and_readable(tmp_path):
    recognition = attacks.Recognition(metrics.proportion(3, 60), (0.05,), 6, 0.2)
    opened = maps.Opened(20.0, 0.5, 0.3)
    pairs = metrics.Verification(metrics.proportion(50, 100), (0.5,), 0.1, 0.5, 100)
    restored = attacks.RestoredFaces(14.0, 0.2, None, 0.1, 0.1, np.zeros((1, 4, 4, 3), np.uint8))
    row = parts.CoverRow(
        psnr=8.0,
        ssim=0.02,
        difference=0.5,
        alike=1.0,
        plain=recognition,
        strong=recognition,
        verified={"r": pairs},
        verified_retrained=None,
        unretrained={"r": recognition},
        restored=restored,
    )
    head = {
        "size": "quick", "people": 6, "photos": 60, "tested": 6, "pairs": 100, "seeds": 1, "strong": "r",
        "recognizers": ["r"],
    }  # fmt: skip
    results = report.resumed(tmp_path, head, "ddm")
    results["rows"] = {name: report.plain(row) for name in ("solid", "DDM")}
    results["splits"] = {
        "P3(1)": {"share": 0.6, "recovered": 43.0, "encrypted": 12.0, "secret_bytes": 3000.0},
        "plain": {"share": 1 / 64, "recovered": 33.0, "encrypted": 17.0, "identity": 0.9},
    }
    results["sizes"] = {"ddm": {"private_feature": 128, "private_file": 400, "carrier": 5000}}
    found = maps.ReadableMaps(opened, opened, opened, opened, 0.9, opened, 1.0)
    results["maps"] = {"DDM": report.plain(found)}
    back = owner.Returned(100, 128.0, 32.5, 0.9, {"r": 0.96}, 0.9)
    results["returned"] = {"DDM": {targets.CUT: report.plain(back), "weights": "", "seconds": 1}}
    keys = ("step", "recovered_rmse", "recovered_groups", "encrypted_rmse", "encrypted_groups")
    results |= {"networks": ["plain"], "toy": [dict.fromkeys(keys, 2.5)]}
    report.write(tmp_path, results, "ddm", tables.page)
    assert report.resumed(tmp_path, head, "ddm")["rows"].keys() == {"solid", "DDM"}
    assert report.resumed(tmp_path, head | {"seeds": 2}, "ddm")["rows"] == {}
    page = (tmp_path / "ddm.md").read_text()
    assert "evaluate ddm --data FOLDER --quick --seeds 1 --weights plain=FILE --toy FOLDER" in page
    assert "| solid | 5.0 % (1.7-13.7) | 0.3 |" in page
    assert "| plain | 1.56 % | 33.00 | 17.00 |  | 0.900 |" in page
    assert "| 1.56 / 33.65 / 17.06 / 79.6 |" in page
    assert f"| recovered: {targets.CUT} | 34.0 dB | >= 33 dB | 32.50 dB | **no** |" in page
    assert f"cosine: {targets.CUT} |  | >= 0.95 | 0.960 | yes |" in page
    assert (
        "| strong recognizer retrained on covers | 0.01 % | chance: 20.0 % | 5.0 % (1.7-13.7) | yes |" in page
    )
    for block in page.split("\n\n"):
        lines = [line.count("|") for line in block.splitlines() if line.startswith("|")]
        assert len(set(lines)) <= 1  # every row as many cells as the head
    json.loads((tmp_path / "ddm.json").read_text())


def test_a_sheet_shows_every_picture(tmp_path):
    rows = [np.full((2, 8, 8, 3), 10 * n, np.uint8) for n in range(3)]
    report.sheet(tmp_path / "sheet.png", rows, side=8)
    image = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert image.shape == (36, 24, 3)
    assert [int(image[6 + 12 * n, 6, 0]) for n in range(3)] == [0, 10, 20]


def test_the_paper_is_quoted_right():
    assert tables.PAPER_PLAIN["DDM"] == 3.43
    assert tables.PAPER_SPLITS["P3(1)"] == (55.62, 30.83, 11.85, 35.2)


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3 * 7 * 7, 16)

    def forward(self, x):
        return self.layer(nn.functional.avg_pool2d(x, 16).flatten(1))


def wall():
    return np.full((64, 64, 3), 128, np.uint8)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_the_whole_evaluation_runs_on_a_tiny_lfw(tmp_path, monkeypatch):
    from photoguard import recognizers

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lfw = write_lfw(tmp_path / "lfw", people=3, photos=10)
    for person in range(3, 7):
        write_lfw(tmp_path / "more", people=person + 1, photos=2)
        (tmp_path / "more" / f"P{person}").rename(lfw / f"P{person}")
    (lfw / "pairs.txt").write_text("1\t2\nP3\t1\t2\nP4\t1\t2\nP3\t1\tP5\t1\nP4\t1\tP6\t1\n")
    torch.manual_seed(0)
    torch.jit.trace(Pooled().eval(), torch.zeros(1, 3, 112, 112)).save(str(tmp_path / "tiny.pt"))
    recognizers.add("tiny", tmp_path / "tiny.pt", arch="edgeface-xs", changes={"embedding": 16})
    save_ddm(tmp_path / "mse.safetensors", DDM(DDMConfig(widths=(4, 4, 4), maps=4, one_in=4, blocks=1)))
    few = {name: covers.baselines()[name] for name in ("Original", "P3(1)", "solid")}
    monkeypatch.setattr(covers, "baselines", lambda: few)
    once = Training(1, 1e-3)
    effort = attacks.Effort(32, once, once, once, 8)
    monkeypatch.setattr(ddm, "QUICK", DdmSize(3, 10, 4, effort, once))
    networks = {"MSEDNet": tmp_path / "mse.safetensors"}
    copy = tmp_path / "docs" / "evaluation.md"
    copy.parent.mkdir()
    (tmp_path / "toy").mkdir()
    Image.new("RGB", (30, 20)).save(tmp_path / "toy" / "toy.png")
    (tmp_path / "toy" / "toy.json").write_text("[]")
    monkeypatch.setattr(cut, "found_landmarks", lambda pixels, usual: usual)
    monkeypatch.setattr(adversarial, "PERIODS", (8,))
    monkeypatch.setattr(adversarial, "TILTS", (0,))
    monkeypatch.setattr(owner, "wild_photos", lambda data, count: [ddm.portrait()[0], wall()])
    given = {"networks": networks, "strong": "tiny", "page": copy, "toy": tmp_path / "toy"}
    asked = ddm.DdmOptions(tmp_path / "out", lfw, True, 1, **given)
    results = ddm.evaluate_ddm(asked)
    assert [*results["rows"]] == ["Original", "P3(1)", "solid", "DDM", "MSEDNet"]
    assert results["perturbed"].keys() == {"FGSM", "UAP"}
    assert {"P3(20)", "DDM", "MSEDNet"} <= results["splits"].keys()
    assert results["sizes"]["ddm"]["private_file"] <= 1024
    back = results["returned"]["DDM"][targets.WILD]
    assert back["faces"] == 1  # a wall has no face
    assert 30 < back["psnr"] < 50
    assert back["identity"]["tiny"] > 0.99
    assert results["maps"].keys() == {"DDM", "MSEDNet"}
    shown = results["adversarial"]
    assert shown["DDM, portrait"]["halftone"]["correlation"] > 0.9
    assert shown["encrypt, portrait"]["halftone"]["correlation"] < 0.1
    page = (tmp_path / "out" / "ddm.md").read_text()
    assert page.count("\n## ") == 11
    assert copy.read_text() == page
    assert (copy.parent / "images" / "covers.png").stat().st_size > 1000
    assert (tmp_path / "out" / "images" / "ddm-toy.png").is_file()
    assert (tmp_path / "out" / "restored-p3-1.png").is_file()

    def fail(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr(parts, "cover_row", fail)
    assert ddm.evaluate_ddm(asked)["rows"] == results["rows"]
    torch.manual_seed(1)  # rows of other weights are not those of these
    save_ddm(networks["MSEDNet"], DDM(DDMConfig(widths=(4, 4, 4), maps=4, one_in=4, blocks=1)))
    with pytest.raises(AssertionError, match="again"):
        ddm.evaluate_ddm(asked)


def test_adversarial_content_is_measured_without_any_data(tmp_path, monkeypatch):
    monkeypatch.setattr(adversarial, "PERIODS", (6, 8))
    monkeypatch.setattr(adversarial, "TILTS", (0,))
    results = adversarial.evaluate_adversarial(tmp_path, None, lambda _: None, tmp_path / "page.md")
    halftone = results["adversarial"]["DDM, portrait"]["halftone"]
    assert halftone["period"] == 8 and halftone["ssim"] > 0.8
    page = (tmp_path / "page.md").read_text()
    assert "| halftone, portrait | 0.9" in page and page.count("\n## ") == 1


def test_a_blurred_cover_is_compared_at_any_contrast():
    message = adversarial.message_of(adversarial.portrait()[0])
    faint = np.repeat(np.rint(128 - 20 * message)[..., None], 3, 2).astype(np.uint8)  # a pale negative
    correlation, alike = adversarial.seen(faint, message)
    assert correlation > 0.99 and alike > 0.9
    noise = RNG(1).integers(0, 255, faint.shape, np.uint8)
    assert adversarial.seen(noise, message)[0] < 0.2
    assert adversarial.seen(np.full_like(faint, 9), message) == (0.0, 0.0)


@pytest.mark.slow
@pytest.mark.data
def test_the_quick_evaluation_of_two_covers_on_real_faces(tmp_path):
    """Open faces are named, solid ones are not. Ten minutes on one core."""
    if "PHOTOGUARD_DATA" not in os.environ:
        pytest.skip("PHOTOGUARD_DATA does not name the folder with the real data")
    pytest.importorskip("onnx2torch")
    data = Path(os.environ["PHOTOGUARD_DATA"])
    results = ddm.evaluate_ddm(ddm.DdmOptions(tmp_path, data, True, seeds=1, only=("Original", "solid")))
    original, solid = results["rows"]["Original"], results["rows"]["solid"]
    assert original["plain"]["above_chance"]
    assert original["strong"]["accuracy"]["value"] > 0.8
    assert not solid["plain"]["above_chance"]
    assert not solid["strong"]["above_chance"]
    assert io.StringIO((tmp_path / "ddm.md").read_text()).readline().startswith("# ")

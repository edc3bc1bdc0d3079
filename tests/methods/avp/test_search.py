"""AVP's losses, targets and searches, on a tiny recognizer and generator with fixed seeds.

Covers: nets.generator.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.chips import tiny_recognizer
from torch import nn

from photoguard.evaluate.common import metrics
from photoguard.formats import chip_data as avp_payload
from photoguard.methods.avp import distortions as avp_robust
from photoguard.methods.avp import losses as avp_losses
from photoguard.methods.avp.keys import LearnedKey
from photoguard.methods.avp.losses import class_doubt, class_loss
from photoguard.methods.avp.search import Fast, Goal, Published, Round, fast, published, quantized
from photoguard.methods.avp.target import Judged, chip_spec, classification, resemblance, view
from photoguard.nets import similarity
from photoguard.nets.generator import PRESETS, Generator, GeneratorConfig
from photoguard.recognizers import TABLE

SPEC = TABLE["mobilefacenet-casia"]
SIDE = (112, 96)


def faces(count: int = 2, height: int = 112, width: int = 96) -> torch.Tensor:
    """Smooth pictures with a few edges."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    made = [
        torch.stack([127 + 100 * torch.sin((3 + n + c) * x + c) * torch.cos((2 + n) * y) for c in range(3)])
        for n in range(count)
    ]
    return torch.stack(made).round().clamp(0, 255)


def test_ssim_is_the_one_that_evaluation_prints() -> None:
    a, b = faces(2)
    b = (b + 20 * torch.randn(b.shape, generator=torch.Generator().manual_seed(1))).round().clamp(0, 255)
    expected = metrics.ssim(a.permute(1, 2, 0).numpy(), b.permute(1, 2, 0).numpy())
    assert float(similarity.ssim(a[None], b[None])) == pytest.approx(expected, abs=1e-5)


def test_the_variance_loss_is_equation_13() -> None:
    picture = torch.rand(1, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    sums = [
        [float(picture[0, c, i : i + 2, j : j + 2].sum()) for i in range(5) for j in range(4)]
        for c in range(3)
    ]
    assert float(avp_losses.variance(picture, block=2)) == pytest.approx(sum(map(np.var, sums)), rel=1e-4)
    assert float(avp_losses.variance(torch.full((1, 3, 9, 9), 0.3))) == pytest.approx(0, abs=1e-8)


def test_one_step_of_algorithm_1_is_its_equations() -> None:
    original, start = faces(1), faces(2)[1:]
    target = resemblance([tiny_recognizer()], original)
    settings = Published(steps=1, hiding_weight=0.01)
    (found,) = published(original, target, settings=settings, start=start)
    picture = (start / 255).requires_grad_()
    loss = target(picture * 255, torch.zeros(1, dtype=torch.long)).loss + 0.01 * avp_losses.variance(picture)
    (slope,) = torch.autograd.grad(loss.sum(), picture)
    expected = picture.detach() - 0.01 * slope / slope.abs().mean()
    saved = (expected * 255).round().clamp(0, 255)[0].permute(1, 2, 0).byte().numpy()
    assert np.array_equal(found.pixels, saved)


def test_algorithm_1_makes_its_step_smaller_after_increases() -> None:
    original = faces(1)
    target = resemblance([tiny_recognizer()], original)
    steady = published(
        original, target, settings=Published(steps=60, step=0.2, patience=1, decay=0.5, seed=1)
    )
    wild = published(original, target, settings=Published(steps=60, step=0.2, patience=99, seed=1))
    assert steady[0].trace[-1].loss < wild[0].trace[-1].loss


def test_the_distance_loss_drives_the_picture_away() -> None:
    original = faces(1)
    target = resemblance([tiny_recognizer()], original)
    start = original + torch.randn(original.shape, generator=torch.Generator().manual_seed(0))
    away = Published(steps=30, hiding="distance", hiding_weight=20.0)
    (found,) = published(original, target, settings=away, start=start)
    (near,) = published(original, target, settings=Published(steps=30, hiding_weight=0.0), start=start)
    mse = [np.mean((one.pixels - original[0].permute(1, 2, 0).numpy()) ** 2) for one in (found, near)]
    assert mse[0] > 4 * mse[1]


def test_the_search_meets_its_goal_on_the_pixels_that_are_saved() -> None:
    originals, reader = faces(3), tiny_recognizer()
    goal = Goal(reached=0.995, ssim_e=0.03)
    found = fast(originals, resemblance([reader], originals), settings=Fast(goal=goal, seed=1))
    for one, original in zip(found, originals, strict=True):
        face = original.permute(1, 2, 0).numpy().astype(np.uint8)
        a, b = reader.embed_pixels(np.stack([one.pixels, face]))
        assert one.stopped and one.pixels.dtype == np.uint8
        assert float(a @ b) == pytest.approx(one.reached[0], abs=1e-4) and one.reached[0] >= 0.995
        assert metrics.ssim(one.pixels, face) == pytest.approx(one.ssim_e, abs=1e-4)
        assert abs(one.ssim_e) <= 0.03 and len(one.trace) == one.steps


def test_faces_stop_one_by_one() -> None:
    originals = faces(2)
    target = resemblance([tiny_recognizer()], originals)
    start = torch.stack(
        [originals[0], torch.rand(3, *SIDE, generator=torch.Generator().manual_seed(0)) * 255]
    )
    found = fast(originals, target, settings=Fast(goal=Goal(0.99, ssim_e=1.1)), start=start)
    assert found[0].steps == 1 < found[1].steps


def test_low_bits_are_what_they_must_be() -> None:
    originals, secret, reader = faces(2), b"s" * 32, tiny_recognizer()
    nonces = [bytes([n]) * 16 for n in range(2)]
    cargo = [avp_payload.mark(secret, nonce, *SIDE) for nonce in nonces]
    goal = Goal(reached=0.99, ssim_e=0.05)
    found = fast(originals, resemblance([reader], originals), settings=Fast(goal=goal, seed=1), cargo=cargo)
    for one, nonce in zip(found, nonces, strict=True):
        assert avp_payload.marked_nonce(avp_payload.carried(one.pixels), secret) == nonce


def test_what_is_reported_was_measured_with_the_tag_in_the_picture() -> None:
    originals, seen = faces(1), []
    judge = resemblance([tiny_recognizer()], originals)

    def watched(chips: torch.Tensor, rows: torch.Tensor) -> Judged:
        judged = judge(chips, rows)
        seen.append((chips.detach().clone(), judged.reached.tolist()))
        return judged

    cargo = [avp_payload.mark(b"s" * 32, bytes(16), *SIDE)]
    (found,) = fast(originals, watched, settings=Fast(goal=Goal(0.99, 0.05), seed=1), cargo=cargo)
    saved = torch.from_numpy(found.pixels).permute(2, 0, 1)[None].float()
    assert [tuple(reached[0]) for chips, reached in seen if torch.equal(chips, saved)] == [found.reached]
    for chips, _ in seen:
        pixels = chips[0].permute(1, 2, 0).numpy().astype(np.uint8)
        assert np.array_equal(cargo[0].tagged(pixels), pixels)


def test_the_nearest_value_with_the_low_bits_is_taken() -> None:
    picture, low = torch.tensor([0.0, 1.4, 254.9, 130.0]), torch.tensor([3, 255, 0, 1]).byte()
    assert quantized(picture, low).tolist() == [3, 1, 252, 129]


def test_a_key_restores_what_the_search_reports() -> None:
    originals = faces(2)

    def negative(chips: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return 255 - chips

    goal = Goal(reached=0.9, ssim_e=1.1, ssim_d=0.8)
    settings = Fast(goal=goal, seed=1, rate=4.0, rate_end=0.5)
    found = fast(
        originals, resemblance([tiny_recognizer()], originals), negative, settings, start=255 - originals
    )  # fmt: skip
    for one, original in zip(found, originals, strict=True):
        assert one.restored is not None and np.array_equal(one.restored, 255 - one.pixels)
        assert one.ssim_d >= 0.8
        assert metrics.ssim(one.restored, original.permute(1, 2, 0).numpy()) == pytest.approx(
            one.ssim_d, abs=1e-4
        )


def test_a_search_without_numbers_is_tried_again_and_never_shows_the_face() -> None:
    originals, calls = faces(1), []
    good = resemblance([tiny_recognizer()], originals)

    def broken(chips: torch.Tensor, rows: torch.Tensor) -> Judged:
        calls.append(float(chips.detach().sum()))
        return type(good(chips, rows))(
            good(chips, rows).loss * math.nan, good(chips, rows).reached * math.nan
        )

    (found,) = fast(originals, broken, settings=Fast(seed=1))
    assert len(calls) == 4 == len(set(calls))  # one step of each round
    assert not found.stopped and math.isnan(found.reached[0]) and not found.pixels.any()


def test_a_second_round_saves_a_face_that_the_first_one_lost() -> None:
    originals = faces(1)
    target = resemblance([tiny_recognizer()], originals)
    goal = Goal(0.99, ssim_e=0.05)
    lost = fast(originals, target, settings=Fast(goal=goal, rounds=(Round(3, 3),), seed=1))
    saved = fast(originals, target, settings=Fast(goal=goal, rounds=(Round(3, 3), Round(200, 50)), seed=1))
    assert not lost[0].stopped and saved[0].stopped and saved[0].steps > 3
    capped = fast(originals, target, settings=Fast(goal=Goal(2.0), steps=5, seed=1))
    assert capped[0].steps == 5


def test_a_fine_round_goes_on_from_the_best_picture_in_small_steps() -> None:
    originals, seen = faces(1), []
    judge = resemblance([tiny_recognizer()], originals)

    def watched(chips: torch.Tensor, rows: torch.Tensor) -> Judged:
        seen.append(chips.detach().clone())
        return judge(chips, rows)

    rounds = (Round(5, 5), Round(2, 2, fine=True))
    (found,) = fast(originals, watched, settings=Fast(goal=Goal(2.0, ssim_e=1), rounds=rounds, seed=1))
    rows = torch.zeros(1, dtype=torch.long)
    best = max(seen[:5], key=lambda chips: float(judge(chips, rows).reached))
    assert torch.equal(seen[5], best)
    first, fine = (seen[1] - seen[0]).abs().mean(), (seen[6] - seen[5]).abs().mean()
    assert 0 < fine < first / 8
    assert found.reached[0] >= float(judge(best, rows).reached) - 1e-6


def test_several_recognizers_know_one_picture() -> None:
    readers = [tiny_recognizer("edgeface-xs", 1), tiny_recognizer("mobilefacenet-casia", 2)]
    assert chip_spec([reader.spec for reader in readers]).width == 112
    originals = faces(1, 112, 112)
    found = fast(originals, resemblance(readers, originals), settings=Fast(goal=Goal(0.99, 0.05), seed=1))
    assert len(found[0].reached) == 2 and min(found[0].reached) >= 0.99


def test_a_narrow_recognizer_sees_the_middle_of_a_wide_chip() -> None:
    chips = torch.rand(1, 3, 112, 112)
    assert torch.equal(view(TABLE["edgeface-xs"], SPEC)(chips), chips[:, :, :, 8:104])
    smaller = view(TABLE["facenet-casia"], SPEC)(torch.rand(2, 3, 160, 160))
    assert smaller.shape == (2, 3, 112, 96)


def test_classification_keeps_the_class() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10)).requires_grad_(False)
    pictures = (torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(3)) * 255).round()
    target = classification(lambda x: net(x / 127.5 - 1), pictures)
    found = fast(pictures, target, settings=Fast(goal=Goal(0.9, ssim_e=0.2), seed=1))
    shown = torch.from_numpy(np.stack([one.pixels for one in found])).permute(0, 3, 1, 2).float()
    assert torch.equal(net(shown / 127.5 - 1).argmax(1), target.classes)


def test_a_class_is_kept_even_where_its_own_logit_leads_away_from_it() -> None:
    """A brighter picture raises the wanted logit, and the other one twice as fast."""

    def classify(chips: torch.Tensor) -> torch.Tensor:
        light = chips.mean((1, 2, 3))[:, None] / 64 - 1
        return torch.cat([light, 2 * light], 1)

    dark = torch.full((1, 3, 32, 32), 10.0)
    goal = Fast(goal=Goal(0.6, ssim_e=0.2), rounds=(Round(30, 20),), seed=1)
    kept, lost = (
        fast(dark, classification(classify, dark, loss), settings=goal)[0].reached[0]
        for loss in (class_doubt, class_loss)
    )
    assert kept >= 0.6 > 0.5 > lost


@pytest.mark.parametrize("name", ["jpeg", "resize"])
def test_what_happens_on_the_way_is_what_libraries_do(name: str) -> None:
    picture = faces(1)
    (made,) = avp_robust.distortions((name,))
    (real,) = avp_robust.re_encoded(picture[0].permute(1, 2, 0).byte().numpy(), (name,)).values()
    away = (made(picture)[0].permute(1, 2, 0).numpy() - real).astype(float)
    assert np.abs(away).mean() < 1.0
    picture.requires_grad_()
    made(picture).square().sum().backward()
    assert picture.grad is not None and float(picture.grad.abs().sum()) > 0


def test_the_published_generator_has_its_size_and_the_small_one_learns_any_shape() -> None:
    sizes = {name: sum(p.numel() for p in Generator(c).parameters()) for name, c in PRESETS.items()}
    assert sizes["paper"] == pytest.approx(11.383e6, rel=0.001) and sizes["small"] == pytest.approx(
        0.27e6, rel=0.05
    )
    made = Generator(GeneratorConfig(4, 2, 1))(torch.zeros(2, 3, 112, 96))
    assert made.shape == (2, 3, 112, 96)


def test_the_bare_key_is_the_generator_alone() -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(4, 1, 1)).eval()
    chips = faces(1)
    key = LearnedKey(generator, None)
    assert key.start(chips) is None
    expected = (generator(chips / 127.5 - 1) + 1) * 127.5
    assert torch.allclose(key(chips, torch.zeros(1, dtype=torch.long)), expected)

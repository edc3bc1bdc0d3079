"""DDM as a method, on a small network with random weights: what it seals, it brings back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import ROOT
from PIL import Image

from photoguard import weights
from photoguard.errors import DamagedError, QualityError
from photoguard.methods import Covered, Settings, ddm
from photoguard.nets.ddm import DDM, DDMConfig


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[DDM]:
    torch.manual_seed(3)
    network = DDM(DDMConfig(widths=(8, 8, 8), blocks=1)).eval().requires_grad_(False)
    monkeypatch.setattr(ddm, "network", lambda: network)
    yield network


def patch(height: int, width: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
    import cv2

    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def one(pixels: np.ndarray, **settings: object) -> Covered:
    return ddm.protect("ddm", [pixels], Settings(**settings))[0]


@pytest.mark.parametrize("size", [(128, 128), (16, 16), (1, 1), (37, 90), (601, 333), (90, 1400)])
def test_any_size_is_covered_and_restored_alike(size: tuple[int, int]) -> None:
    covered = one(patch(*size))
    assert covered.cover.shape == (*size, 3)
    first, second = ddm.reveal("ddm", [covered])[0], ddm.reveal("ddm", [covered])[0]
    assert first.shape == (*size, 3) and np.array_equal(first, second)


def test_the_private_feature_of_a_128_px_face_is_128_bytes() -> None:
    assert len(one(patch(128, 128)).private) == 128


def test_a_small_face_is_enlarged_and_comes_back_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ddm, "network", weights.load_ddm)
    portrait = Image.open(ROOT / "examples" / "portrait.jpg").convert("RGB")
    face = np.asarray(portrait.resize((48, 48), Image.Resampling.LANCZOS))

    def restored() -> float:
        return ddm.psnr(ddm.reveal("ddm", [one(face)])[0], face)

    enlarged = restored()
    monkeypatch.setattr(ddm, "LEAST", 1)
    assert enlarged > restored() + 1


def test_every_cover_is_drawn_afresh() -> None:
    face = patch(64, 64)
    assert not np.array_equal(one(face).cover, one(face).cover)


def test_a_batch_gives_what_single_patches_give() -> None:
    faces = [patch(64, 64, 1), patch(80, 48, 2), patch(64, 64, 3)]
    together = ddm._protect(faces, Settings(), bytes)  # bytes(n): n zeros for random numbers
    for face, covered in zip(faces, together, strict=True):
        alone = ddm._protect([face], Settings(), bytes)[0]
        assert np.abs(alone.cover.astype(int) - covered.cover).max() <= 1
        assert np.abs(ddm.reveal("ddm", [covered])[0].astype(int) - ddm.reveal("ddm", [alone])[0]).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_exact_restores_every_pixel(dtype: type) -> None:
    face = patch(70, 50).astype(dtype) * (257 if dtype == np.uint16 else 1)
    covered = one(face, exact=True)
    assert covered.cover.dtype == dtype
    assert np.array_equal(ddm.reveal("ddm", [covered])[0], face)


@pytest.mark.parametrize("decibels", [25.0, 35.0, 42.0])
def test_quality_is_reached_or_refused(decibels: float) -> None:
    face = patch(96, 96) // 2 + 60
    covered = one(face, quality=decibels)
    assert ddm.psnr(ddm.reveal("ddm", [covered])[0], face) >= decibels - 0.2
    with pytest.raises(QualityError, match="cannot be restored"):
        one(patch(96, 96), quality=1000.0)


def test_what_was_tampered_with_is_an_error() -> None:
    covered = one(patch(96, 64))
    values = np.frombuffer(covered.private, "<f2").copy()
    values[0] = np.nan
    for broken in (
        replace(covered, private=values.tobytes()),
        replace(covered, private=covered.private[:-2]),
        replace(covered, private=covered.private + b"\0"),
        replace(covered, public=b"Z" + covered.public[1:]),
        replace(covered, public=covered.public[:-1]),
        replace(covered, public=one(patch(64, 64)).public),
        replace(covered, check=bytes(255 - b for b in covered.check)),
    ):
        with pytest.raises(DamagedError):
            ddm.reveal("ddm", [broken])

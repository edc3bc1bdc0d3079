"""DDM as a method, on a small network with random weights: what it seals, it brings back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from support.places import ROOT

from photoguard.errors import DamagedError
from photoguard.methods import Sealed, Settings
from photoguard.methods.ddm import method as ddm
from photoguard.nets.ddm import DDM, DDMConfig


@pytest.fixture(autouse=True)
def small_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[DDM]:
    torch.manual_seed(3)
    network = DDM(DDMConfig(widths=(8, 8, 8), blocks=1)).eval().requires_grad_(False)
    ways = [
        lambda x, way=way: [way(torch.from_numpy(x)).numpy()] for way in (network.features, network.picture)
    ]
    monkeypatch.setattr(ddm, "network", lambda: ways)
    yield network


def patch(height: int, width: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
    import cv2

    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def one(pixels: np.ndarray, **settings: object) -> Sealed:
    return ddm.seal("ddm", [pixels], Settings(**settings))[0]


@pytest.mark.parametrize("size", [(128, 128), (16, 16), (1, 1), (37, 90), (601, 333), (90, 1400)])
def test_any_size_is_sealed_and_restored_alike(size: tuple[int, int]) -> None:
    sealed = one(patch(*size))
    first, second = ddm.reveal("ddm", [sealed])[0], ddm.reveal("ddm", [sealed])[0]
    assert first.shape == (*size, 3) and np.array_equal(first, second)


def test_the_private_feature_of_a_128_px_face_is_128_bytes() -> None:
    assert len(one(patch(128, 128), compact=True).private) == 128


def test_a_small_face_is_enlarged_and_comes_back_nearer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    portrait = Image.open(ROOT / "examples" / "portrait.jpg").convert("RGB")
    face = np.asarray(portrait.resize((48, 48), Image.Resampling.LANCZOS))

    def restored() -> float:
        return ddm.psnr(ddm.reveal("ddm", [one(face, compact=True)])[0], face)

    enlarged = restored()
    monkeypatch.setattr(ddm, "LEAST", 1)
    assert enlarged > restored() + 1


def test_a_batch_gives_what_single_patches_give() -> None:
    faces = [patch(64, 64, 1), patch(80, 48, 2), patch(64, 64, 3)]
    for face, sealed in zip(faces, ddm.seal("ddm", faces, Settings()), strict=True):
        alone = one(face)
        assert len(alone.private) == len(sealed.private)
        assert np.abs(ddm.reveal("ddm", [sealed])[0].astype(int) - ddm.reveal("ddm", [alone])[0]).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_exact_restores_every_pixel(dtype: type) -> None:
    face = patch(70, 50).astype(dtype) * (257 if dtype == np.uint16 else 1)
    sealed = one(face, exact=True)
    assert np.array_equal(ddm.reveal("ddm", [sealed])[0], face)


@pytest.mark.parametrize("decibels", [25.0, 35.0, 42.0, 1000.0])
def test_quality_is_reached(decibels: float) -> None:
    face = patch(96, 96) // 2 + 60
    sealed = one(face, quality=decibels)
    assert ddm.psnr(ddm.reveal("ddm", [sealed])[0], face) >= decibels - 0.2
    assert (sealed.public[:1] == b"W") is (decibels == 1000), "a lossless patch where nothing else does"


@pytest.mark.parametrize("size", [(96, 96), (40, 200), (700, 620)])
def test_by_default_a_face_of_any_size_comes_back_visually_lossless(size: tuple[int, int]) -> None:
    face = patch(*size) // 2 + 60
    sealed, compact = one(face), one(face, compact=True)
    assert ddm.psnr(ddm.reveal("ddm", [sealed])[0], face) >= 42 - 0.2
    assert compact.public[:1] == b"M" and sealed.public[:1] == b"R"
    assert sealed.private == compact.private, "the private share stays"


def test_colored_noise_comes_back_losslessly_rather_than_badly() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    sealed = one(noise)
    assert sealed.public[:1] == b"W" and np.array_equal(ddm.reveal("ddm", [sealed])[0], noise)


def test_quality_is_measured_over_owned_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the patch is easy and somebody else's: it must not stand in for the half that is not."""
    monkeypatch.undo()
    face = np.asarray(Image.open(ROOT / "examples" / "portrait.jpg").convert("RGB").resize((192, 192))).copy()
    face[:, 96:] = 128
    owned = np.zeros((192, 192), bool)
    owned[:, :96] = True
    (sealed,) = ddm.seal("ddm", [face], Settings(quality=38), [owned])
    assert ddm.psnr(ddm.reveal("ddm", [sealed])[0], face, owned) >= 38 - 0.2
    blind = ddm.reveal("ddm", [one(face, quality=38)])[0]
    assert ddm.psnr(blind, face, owned) < 37


def test_what_was_tampered_with_is_an_error() -> None:
    sealed = one(patch(96, 64), compact=True)
    values = np.frombuffer(sealed.private, "<f2").copy()
    values[0] = np.nan
    for broken in (
        replace(sealed, private=values.tobytes()),
        replace(sealed, private=sealed.private[:-2]),
        replace(sealed, private=sealed.private + b"\0"),
        replace(sealed, public=b"Z" + sealed.public[1:]),
        replace(sealed, public=sealed.public[:-1]),
        replace(sealed, public=one(patch(64, 64), compact=True).public),
        replace(sealed, check=bytes(255 - b for b in sealed.check)),
    ):
        with pytest.raises(DamagedError):
            ddm.reveal("ddm", [broken])

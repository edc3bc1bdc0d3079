"""Files of release 0.1.0, whose networks ran on torch, open as they did: tests/earlier holds them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.places import ROOT
from support.shell import Shell

from photoguard.methods.ddm.method import TOLERANCE
from photoguard.photos import images

EARLIER = ROOT / "tests" / "earlier"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A copy of the files, and their identity where commands look for one."""
    config = tmp_path / "home" / ".config" / "photoguard"
    config.mkdir(parents=True)
    shutil.copy(EARLIER / "identity.txt", config / "identity")
    (config / "identity").chmod(0o600)
    return Path(shutil.copytree(EARLIER, tmp_path / "earlier"))


def pixels(path: Path) -> np.ndarray:
    return images.decode(path.read_bytes(), path.name).pixels.astype(int)


def test_a_face_sealed_with_torch_comes_back_the_same(photoguard: Shell, here: Path) -> None:
    photoguard("decrypt", here / "ddm.pub.png", "-o", here / "new.png")
    off = np.abs(pixels(here / "new.png") - pixels(EARLIER / "ddm.restored.png"))
    assert off.max() <= TOLERANCE
    assert (off > 0).mean() < 0.01, "two libraries add in different orders, and seldom round differently"


def test_a_plain_cover_opens(photoguard: Shell, here: Path) -> None:
    photoguard("decrypt", here / "solid.pub.png", "-o", here / "new.png")
    assert np.abs(pixels(here / "new.png") - pixels(EARLIER / "photo.png")).mean() < 3


def test_a_chip_opens(photoguard: Shell, here: Path) -> None:
    photoguard("decrypt", here / "chip.avp.png", "-o", here / "new.png")
    assert pixels(here / "new.png").std() > 20


def test_the_private_file_of_another_photo_opens_nothing(photoguard: Shell, here: Path) -> None:
    words = ("decrypt", here / "ddm.pub.png", "--private", here / "solid.priv", "-o", here / "new.png")
    assert "hint: " in photoguard(*words, code=6).stderr
    assert not (here / "new.png").exists()


def test_features_are_classified_as_before(photoguard: Shell, here: Path) -> None:
    said = photoguard("classify", here / "a.features").stdout
    assert "age>=18 yes 94.1%" in said

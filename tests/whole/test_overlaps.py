"""Faces under covers that overlap come back as good as promised, without a line where two of them meet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.places import PORTRAIT

from photoguard import protect, reveal
from photoguard.methods import Settings
from photoguard.methods.ddm.method import psnr
from photoguard.photos import images
from photoguard.photos.geometry import Box, Owners

SETTINGS = {"default": (Settings(), 42), "40": (Settings(quality=40), 40), "44": (Settings(quality=44), 44)}


def restored(data: bytes, settings: Settings, *regions: Box) -> tuple[np.ndarray, np.ndarray, Owners]:
    """The photo, what comes back, and whose is what."""
    options = protect.Options(settings=settings, faces="none" if regions else "all", regions=regions)
    made = protect.protect(data, Path("photo.jpg"), options)
    back = reveal.reveal(made.public_bytes(), [made.private]).photo.pixels
    return images.decode(data, "photo").pixels, back, Owners.of([face.box for face in made.public.faces])


def seams(owners: Owners) -> np.ndarray:
    """The pixels of the owners' map beside which somebody else's begin."""
    found = np.zeros(owners.map.shape, bool)
    for one, other in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        a, b = owners.map[one], owners.map[other]
        meet = (a != b) & (a >= 0) & (b >= 0)
        found[one] |= meet
        found[other] |= meet
    return found


def check(before: np.ndarray, after: np.ndarray, owners: Owners, least: float, excess: float) -> None:
    assert any(owners.contested)
    for number, box in enumerate(owners.boxes):
        shown = psnr(after[box.window], before[box.window], owners.mask(number))
        assert shown >= least, f"face {number + 1}: {shown:.2f} dB"
    rows, columns = owners.map.shape
    area = np.s_[owners.y : owners.y + rows, owners.x : owners.x + columns]
    error = np.abs(after[area].astype(int) - before[area]).mean(2)
    seam = seams(owners)
    assert error[seam].mean() <= excess * error[(owners.map >= 0) & ~seam].mean()


@pytest.mark.parametrize("wanted", SETTINGS)
def test_two_covers_across_a_portrait(wanted: str) -> None:
    settings, least = SETTINGS[wanted]
    check(
        *restored(PORTRAIT.read_bytes(), settings, Box(48, 32, 192, 208), Box(160, 96, 176, 160)), least, 1.4
    )


@pytest.mark.data
@pytest.mark.parametrize("wanted", SETTINGS)
def test_a_crowd(wanted: str, data: Path) -> None:
    settings, least = SETTINGS[wanted]
    check(*restored((data / "photos/groups/person-crowd.jpg").read_bytes(), settings), least, 1.4)


@pytest.mark.data
def test_no_line_in_a_crowd_that_the_network_alone_brings_back(data: Path) -> None:
    compact = Settings(compact=True)
    check(*restored((data / "photos/groups/person-crowd.jpg").read_bytes(), compact), 35, 1.5)

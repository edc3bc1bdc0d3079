"""Covers never cut a block of the photo's coder: what is visible of one tells the rest."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from support.places import PORTRAIT

from photoguard import protect
from photoguard.detection import DetectionSettings
from photoguard.photos import images
from photoguard.photos.geometry import Box, upright_cell

ORIENTATIONS = range(1, 9)
REGIONS = (Box(37, 29, 41, 35), Box(150, 100, 30, 40))


def picture(width: int = 203, height: int = 157) -> np.ndarray:
    return np.asarray(Image.open(PORTRAIT).convert("RGB").crop((150, 60, 150 + width, 60 + height)))


def jpeg(sampling: str, orientation: int = 1, quality: int = 90) -> bytes:
    """A JPEG with that sampling of its colors, turned by EXIF."""
    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
    plain = cv2.imencode(".jpg", cv2.cvtColor(picture(), cv2.COLOR_RGB2BGR), options)[1].tobytes()
    exif = b"Exif\0\0" + turned(orientation).tobytes().removeprefix(b"Exif\0\0")
    return plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:]


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def encoded(kind: str, orientation: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture()).save(out, kind, exif=turned(orientation).tobytes())
    return out.getvalue()


def stored_cells(orientation: int, columns: int, rows: int) -> np.ndarray:
    """On the upright photo, the number of the stored raster's cell that every pixel comes from."""
    y, x = np.mgrid[:157, :203]
    cells = Image.fromarray((y // rows * 1000 + x // columns).astype(np.int32))
    cells.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(cells))


def whole_cells(data: bytes, orientation: int, columns: int, rows: int) -> None:
    options = protect.Options("solid", faces="none", regions=REGIONS)
    made = protect.protect(data, Path("photo"), options)
    hidden = np.zeros((made.picture.height, made.picture.width), bool)
    for face in made.public.faces:
        hidden[face.box.window] = True
    for region in REGIONS:
        clipped = region.clipped(made.picture.width, made.picture.height)
        assert hidden[clipped.window].all()
    cells = stored_cells(orientation, columns, rows)
    assert cells.shape == hidden.shape
    assert not set(cells[hidden]) & set(cells[~hidden]), "a block is cut"
    assert (~hidden).mean() > 0.5


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("sampling, columns, rows", [
    ("444", 8, 8), ("422", 16, 8), ("420", 16, 16), ("440", 8, 16), ("411", 32, 8), ("411", 32, 16),
])  # fmt: skip
def test_no_block_of_a_jpeg_is_cut(sampling: str, columns: int, rows: int, orientation: int) -> None:
    whole_cells(jpeg(sampling, orientation), orientation, columns, rows)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_nor_one_of_a_jpeg_that_became_something_else(kind: str, orientation: int) -> None:
    whole_cells(encoded(kind, orientation), orientation, 16, 16)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_16_bit_picture_is_turned_by_its_orientation_too(orientation: int) -> None:
    deep = picture().astype(np.uint16) * 257
    plain = cv2.imencode(".png", cv2.cvtColor(deep, cv2.COLOR_RGB2BGR))[1].tobytes()
    exif = turned(orientation).tobytes().removeprefix(b"Exif\0\0")
    from photoguard.photos.png import with_chunks

    whole_cells(with_chunks(plain, [(b"eXIf", exif)]), orientation, 16, 16)


@pytest.mark.parametrize("subsampling, wanted", [
    ((4, 2), (32, 16)), ((1, 1), (16, 16)), ((0, 9), (16, 32)),
])  # fmt: skip
def test_a_tiffs_word_on_its_colors_is_bounded(subsampling: tuple[int, int], wanted: tuple[int, int]) -> None:
    out = io.BytesIO()
    Image.fromarray(picture()).save(out, "TIFF", tiffinfo={530: subsampling})
    grid = images.decode(out.getvalue(), "photo").grid
    assert (grid.width, grid.height) == wanted


def test_a_cell_in_every_corner() -> None:
    found = {o: upright_cell(32, 16, o, *((203, 157) if o < 5 else (157, 203))) for o in ORIENTATIONS}
    assert found[1] == Box(0, 0, 32, 16) and found[3] == Box(203 % 32, 157 % 16, 32, 16)
    assert found[6] == Box(157 % 16, 0, 16, 32) and found[8] == Box(0, 203 % 32, 16, 32)


def test_a_box_grows_to_whole_cells_and_not_further() -> None:
    cell = Box(5, 3, 16, 8)
    assert Box(5, 3, 16, 8).on_grid(cell) == Box(5, 3, 16, 8)
    assert Box(6, 2, 16, 8).on_grid(cell) == Box(5, -5, 32, 16)
    assert Box(21, 11, 1, 1).on_grid(cell) == Box(21, 11, 16, 8)


# The attack


def dct_matrix() -> np.ndarray:
    k, x = np.mgrid[:8, :8]
    matrix = np.sqrt(2 / 8) * np.cos((2 * x + 1) * k * np.pi / 16)
    matrix[0] /= np.sqrt(2)
    return matrix


def computed(visible: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The hidden last column of an 8x8 block from its other seven and the quantization table.

    Of every row of the block's coefficients one number is unknown, and eight sums with it have to be
    multiples of the table's steps.
    """
    dct = dct_matrix()
    coefficients = np.empty((8, 8))
    for u, known in enumerate(dct @ (visible - 128.0)):  # (7,) of the vertical frequency u
        base = dct[:, :7] @ known
        tries = (np.arange(-1100, 1100) * steps[u, 1] - base[1]) / dct[1, 7]
        tries = tries[np.abs(tries) < 1100]
        sums = base + tries[:, None] * dct[:, 7]  # (tries, 8)
        whole = np.rint(sums / steps[u]) * steps[u]
        coefficients[u] = whole[np.argmin(((sums - whole) ** 2).sum(1))]
    return np.clip(np.rint(dct.T @ coefficients @ dct[:, 7] + 128), 0, 255)


def visible_and_hidden() -> tuple[np.ndarray, np.ndarray]:
    """40 blocks of the portrait as a gray JPEG, and its quantization table."""
    out = io.BytesIO()
    Image.fromarray(picture(200, 152)).convert("L").save(out, "JPEG", quality=75)
    shown = Image.open(out)
    steps = np.zeros(64)
    steps[:] = shown.quantization[0]
    blocks = np.asarray(shown).reshape(19, 8, 25, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    return blocks[::11][:40].astype(float), steps.reshape(8, 8)


def test_what_a_cut_block_shows_gives_the_hidden_column() -> None:
    """The positive control: this is why boxes grow."""
    blocks, steps = visible_and_hidden()
    exact = [np.array_equal(computed(block[:, :7], steps), block[:, 7]) for block in blocks]
    assert len(exact) == 40 and sum(exact) >= 30
    guessed = [np.array_equal(block[:, 6], block[:, 7]) for block in blocks]
    assert sum(guessed) <= 5  # it is not that the columns are alike


def test_what_is_chosen_is_what_is_covered() -> None:
    """`detect` shows the choice, `protect` covers it."""
    head = np.asarray(Image.open(PORTRAIT).convert("RGB"))[0:250, 60:360]
    out = io.BytesIO()
    Image.fromarray(np.hstack([head, head])).save(out, "JPEG", quality=95)
    options = protect.Options("solid", keep=(1,), regions=(Box(5, 5, 30, 30),), margin=0.4)
    choice = protect.choose(images.decode(out.getvalue(), "photo"), options)
    made = protect.protect(out.getvalue(), Path("photo.jpg"), options)
    assert [face.box for face in made.public.faces] == list(choice.boxes)
    assert choice.covered == made.covered == (2,) and choice.numbers == (2, 0)
    assert choice.cover(1) is None and choice.cover(2) == choice.boxes[0]
    wanted = choice.found[1].box.grown(0.4).clipped(600, 250)
    assert choice.boxes[0].holds(wanted) and choice.faces == [choice.found[1], None]
    assert choice.counts == {"covered": 1, "uncertain": 0, "open": 1}
    doubtful = protect.choose(
        images.decode(out.getvalue(), "photo"), protect.Options(detection=DetectionSettings(threshold=1.0))
    )
    assert doubtful.counts == {"covered": 2, "uncertain": 2, "open": 0}

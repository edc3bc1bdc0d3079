"""Reading photos of every kind upright, and writing PNGs that hold what they should and no more."""

from __future__ import annotations

import io
import os
import struct
import zlib

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from photoguard.errors import UnreadableError
from photoguard.photos import images, png

LOSSLESS = ("PNG", "WEBP", "TIFF", "BMP", "GIF")

pillow_heif.register_heif_opener()  # to write such files


def arrow(height: int = 48, width: int = 64) -> np.ndarray:
    """A picture that looks different in all eight orientations."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, :, 2] = 90
    picture[: height // 3, : width // 2, 0] = 250
    picture[: height // 2, : width // 4, 1] = 200
    return picture


def saved(picture: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    if kind == "WEBP":
        options = {"lossless": True, "exact": True, **options}
    image.save(out, kind, **options)
    return out.getvalue()


def turned(picture: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels a camera stores so that a viewer that obeys `orientation` shows `picture`."""
    undo = {
        1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, 1), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }[orientation]  # fmt: skip
    return np.ascontiguousarray(undo(picture))


def exif_with(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "maker"
    return exif


@pytest.mark.parametrize("kind", LOSSLESS)
def test_pixels_are_read_as_they_are(kind: str) -> None:
    picture = arrow()
    if kind == "GIF":
        data = saved(Image.fromarray(picture).quantize(16, dither=Image.Dither.NONE), kind)
    else:
        data = saved(picture, kind)
    assert np.array_equal(images.decode(data, "x").pixels, picture)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_every_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    picture = arrow()
    options = (
        {"quality": 95, "subsampling": 0}
        if kind == "JPEG"
        else {"quality": 95}
        if kind in ("HEIF", "AVIF")
        else {}
    )
    # As bytes, so that HEIF gets its own rotation box beside the EXIF, as phones write it.
    data = saved(turned(picture, orientation), kind, exif=exif_with(orientation).tobytes(), **options)
    photo = images.decode(data, "x")
    assert (photo.width, photo.height) == (64, 48)
    assert np.abs(photo.pixels.astype(int) - picture).mean() < 12
    exif = Image.Exif()
    exif.load(photo.metadata.exif)
    assert exif.get(0x0112, 1) == 1, "the sealed EXIF would turn the restored photo again"
    assert exif.get(0x010F) == "maker"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_photos_come_out_upright_too(orientation: int) -> None:
    picture = arrow().astype(np.uint16) * 257 + 5
    done, data = cv2.imencode(".png", turned(picture, orientation)[..., ::-1])
    assert done
    exif = exif_with(orientation).tobytes()[6:]
    photo = images.decode(png.with_chunks(data.tobytes(), [(b"eXIf", exif)]), "x")
    assert photo.pixels.dtype == np.uint16
    assert np.array_equal(photo.pixels, picture)


def test_grey_palette_alpha_and_one_bit() -> None:
    grey = images.decode(saved(Image.fromarray(arrow()).convert("L"), "PNG"), "x")
    assert grey.grey and grey.alpha is None
    bits = images.decode(saved(Image.fromarray(arrow()).convert("1"), "PNG"), "x")
    assert bits.grey and set(np.unique(bits.pixels)) == {0, 255}
    rgba = np.dstack([arrow(), np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)])
    photo = images.decode(saved(rgba, "PNG"), "x")
    assert photo.alpha is not None and np.array_equal(photo.alpha, rgba[..., 3])
    assert np.array_equal(photo.pixels, rgba[..., :3]), "colors under transparent pixels must survive"
    palette = Image.fromarray(arrow()).quantize(16, dither=Image.Dither.NONE)
    transparent = images.decode(saved(palette, "PNG", transparency=0), "x")
    assert transparent.alpha is not None and transparent.alpha.min() == 0


def test_sixteen_bit_grey_and_color_keep_their_depth() -> None:
    deep = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21
    photo = images.decode(saved(Image.fromarray(deep), "PNG"), "x")
    assert photo.grey and photo.pixels.dtype == np.uint16 and np.array_equal(photo.pixels[..., 0], deep)
    done, tiff = cv2.imencode(".tiff", np.dstack([deep, deep // 2, deep // 3]))
    assert done
    color = images.decode(tiff.tobytes(), "x")
    assert np.array_equal(color.pixels, np.dstack([deep // 3, deep // 2, deep]))


def test_deep_pixels_survive_the_public_png() -> None:
    deep = np.arange(48 * 64 * 3, dtype=np.uint16).reshape(48, 64, 3) * 7
    alpha = deep[..., 0] + 1
    back = images.decode(images.encode_public(images.Photo(deep, alpha), None), "x")
    assert np.array_equal(back.pixels, deep) and back.alpha is not None and np.array_equal(back.alpha, alpha)


def test_cmyk_is_converted_and_said_so() -> None:
    photo = images.decode(saved(Image.fromarray(arrow()).convert("CMYK"), "JPEG", quality=95), "x")
    assert "CMYK" in photo.notices[0]
    assert np.abs(photo.pixels.astype(int) - arrow()).mean() < 12


def test_the_color_profile_is_read_as_it_is_and_pixels_are_not_converted() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    photo = images.decode(saved(arrow(), "PNG", icc_profile=profile), "x")
    assert photo.icc == profile and np.array_equal(photo.pixels, arrow())
    assert images.decode(images.encode_public(photo, None), "x").icc == profile


def test_metadata_is_found_and_given_back() -> None:
    exif = exif_with(1)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    photo = images.decode(saved(arrow(), "JPEG", exif=exif, xmp=xmp, comment=b"a secret place"), "x")
    assert photo.metadata.texts == (("Comment", "a secret place"),)
    with Image.open(io.BytesIO(images.encode_restored(photo))) as back:
        assert back.getexif()[0x010F] == "maker"
        assert back.info["Comment"] == "a secret place"
        assert "adobe:ns:meta" in str(back.info["XML:com.adobe.xmp"])
        assert 'tiff:Orientation="1"' in str(back.info["XML:com.adobe.xmp"])


def test_public_pictures_hold_pixels_profile_and_our_chunk_only() -> None:
    photo = images.decode(saved(arrow(), "JPEG", exif=exif_with(6), comment=b"secret"), "x")
    public = images.encode_public(photo, b"envelope")
    assert {kind for kind, _ in png.list_chunks(public)} <= png.PUBLIC_CHUNKS
    assert png.public_chunk(public) == b"envelope"
    assert b"maker" not in public and b"secret" not in public


def test_maker_notes_keep_their_offsets_when_the_orientation_is_reset() -> None:
    """The EXIF is patched in place: same length, one byte changed."""
    exif = exif_with(6).tobytes()
    upright = dict(images.decode(saved(arrow(64, 48), "JPEG", exif=exif), "x").metadata.chunks)["eXIf"]
    original = exif[6:]
    assert len(upright) == len(original)
    assert sum(a != b for a, b in zip(upright, original, strict=True)) == 1


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "AVIF"])
def test_animations_and_many_pages_are_refused(kind: str) -> None:
    frames = [Image.fromarray(np.roll(arrow(), 5 * n, axis=1)) for n in range(3)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
    with pytest.raises(UnreadableError, match="several frames or pages"):
        images.decode(data, "x")


def test_a_photo_with_a_preview_inside_is_a_photo() -> None:
    """Phones write JPEGs with a second, smaller picture (MPO)."""
    data = saved(arrow(), "MPO", save_all=True, append_images=[Image.fromarray(arrow(24, 32))])
    assert images.decode(data, "x").width == 64


@pytest.mark.parametrize(
    "data", [b"hello, I am a text", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n", os.urandom(2000)]
)
def test_what_is_no_photo_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        images.decode(data, "x")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "HEIF", "AVIF"])
def test_photos_cut_short_are_refused(kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (96, 96, 3), dtype=np.uint8)
    data = saved(noise, kind)
    with pytest.raises(UnreadableError):
        images.decode(data[: len(data) // 2], "x")


def test_a_decompression_bomb_is_stopped_before_it_is_decoded() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")):
        bomb += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    with pytest.raises(UnreadableError, match="60000 x 60000 pixels"):
        images.decode(bomb, "x")


def test_pillows_own_limit_is_left_as_it_was() -> None:
    before = Image.MAX_IMAGE_PIXELS
    images.decode(saved(arrow(), "PNG"), "x")
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.data
@pytest.mark.parametrize("shape", ["Landscape", "Portrait"])
def test_real_photos_of_every_orientation_agree(shape: str, data: os.PathLike[str]) -> None:
    upright = [
        images.decode((data / "photos" / "orientation" / f"{shape}_{n}.jpg").read_bytes(), "x")
        for n in range(1, 9)
    ]
    for photo in upright[1:]:
        assert photo.pixels.shape == upright[0].pixels.shape
        small = [
            cv2.resize(p.pixels, (60, 60), interpolation=cv2.INTER_AREA).astype(int)
            for p in (photo, upright[0])
        ]
        assert np.abs(small[0] - small[1]).mean() < 4

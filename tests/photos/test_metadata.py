"""Metadata: facts hold no picture, everything comes back bit for bit, and what a PNG cannot hold is named.

Covers: photos.xmp.
"""

from __future__ import annotations

import io
import itertools
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms
from support.previews import (
    IN_XMP,
    PLACES,
    THUMBNAIL,
    exif,
    extended_xmp,
    heic,
    jpeg,
    photoshop,
    picture,
    png_with,
    raw_profile,
    saved,
    webp_with,
    xmp,
    xmp_segment,
)
from support.shell import Shell

from photoguard.errors import DamagedError
from photoguard.formats import contents as sealed
from photoguard.photos import containers, images, metadata, png
from photoguard.photos import exif as exif_values
from photoguard.photos.images import Photo
from photoguard.photos.metadata import Metadata, Part


def collected(data: bytes) -> Metadata:
    return images.decode(data, "photo").metadata


def given_back(data: bytes) -> Photo:
    """The photo, with the metadata that a grant of all faces carries."""
    photo = images.decode(data, "photo")
    everything = sealed.unpack_everything(sealed.pack_everything(photo.metadata))
    return Photo(photo.pixels, photo.alpha, photo.grey, photo.icc, everything)


def restored(data: bytes) -> bytes:
    return images.encode_restored(given_back(data))


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


# What may go to a friend


@pytest.mark.parametrize("place", PLACES)
def test_a_hidden_picture_is_in_everything_and_not_in_the_facts(place: str) -> None:
    data, hidden = PLACES[place]()
    assert hidden in data, "else this shows nothing"
    photo = images.decode(data, "photo")
    facts = sealed.pack_metadata(photo, "photo", exact=True)
    public = images.encode_public(photo, None)
    for start in range(0, len(hidden) - 16, 16):
        assert hidden[start : start + 16] not in facts and hidden[start : start + 16] not in public
    assert any(hidden in part.body for part in photo.metadata.parts), "it is not sealed bit for bit"


@pytest.mark.parametrize("place", PLACES)
def test_parts_are_ranges_of_the_file_and_come_back_as_they_were(place: str) -> None:
    data, _ = PLACES[place]()
    parts = given_back(data).metadata.parts
    assert [part.where for part in parts] == sorted(part.where for part in parts)
    for part in parts:
        assert data[part.where : part.where + len(part.body)] == part.body


def test_facts_are_what_a_friend_may_know() -> None:
    values = exif(
        {0x0110: b"camera\0", 0x9C9B: b"x"}, {0x9003: b"2024:01:02 03:04:05\0", 0x927C: THUMBNAIL}, THUMBNAIL
    )
    found = collected(jpeg((0xFE, b"at the lake"), (0xFE, b"x" * 1001), exif=b"Exif\0\0" + values))
    assert found.texts == (("Comment", "at the lake"),)
    read = Image.Exif()
    read.load(found.exif)
    assert read[0x010F] == "maker" and read[0x0110] == "camera"
    assert set(read.get_ifd(0x8769)) == {0x9003} and not read.get_ifd(1)
    assert len(found.exif) < 300


def test_facts_have_the_place_but_no_orientation() -> None:
    values = Image.Exif()
    values[0x0112] = 6
    values.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
    found = collected(saved(picture(), "JPEG", exif=values))
    read = Image.Exif()
    read.load(found.exif)
    assert read.get_ifd(0x8825)[2] == (52.0, 31.0, 12.0) and read[0x0112] == 1


def test_all_facts_together_are_short() -> None:
    chunks = [(b"tEXt", f"key {n}".encode() + b"\0" + b"word " * 150) for n in range(100)]
    found = collected(
        png_with([*chunks, (b"eXIf", exif(dict.fromkeys((270, 271, 272, 305, 306, 315), b"a word " * 140)))])
    )
    assert sum(len(text) for _, text in found.texts) <= metadata.TEXTS_LIMIT
    assert len(found.exif) < 1.2 * exif_values.FACTS_LIMIT


def test_facts_are_of_known_tags_only_however_short_the_others_are() -> None:
    found = collected(jpeg(exif=b"Exif\0\0" + exif({0xC614: b"a word\0"}, {0x927C: b"short"}))).exif
    assert b"maker" in found and b"a word" not in found and b"short" not in found


def test_words_in_other_codings_are_facts_and_data_is_not() -> None:
    wide = "Gruß".encode("utf-16-le")
    data = exif_values._written(
        "<", {40091: (1, len(wide), wide), 270: (2, 6, b"\xff\xd8\xff\xe0\x00\x10")}, 8
    )
    assert wide in exif_values.facts(b"II*\0\x08\0\0\0" + data)
    assert b"\xff\xd8\xff" not in exif_values.facts(b"II*\0\x08\0\0\0" + data)


# What comes back


def test_a_jpeg_gets_back_all_that_a_png_can_hold() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    values = exif(inside={0x927C: THUMBNAIL}, second=THUMBNAIL)
    data = jpeg(
        *extended_xmp("", xmp(IN_XMP)), (0xFE, b"the first"), (0xFE, b"the second"),
        (0xED, photoshop(0x0404, b"IPTC")), exif=b"Exif\0\0" + values, icc_profile=profile, behind=THUMBNAIL,
    )  # fmt: skip
    image = opened(restored(data))
    assert image.info["exif"] == b"Exif\0\0" + values and image.info["icc_profile"] == profile
    assert (
        IN_XMP in image.info["XML:com.adobe.xmp"] and "HasExtendedXMP" not in image.info["XML:com.adobe.xmp"]
    )
    texts = [bytes(body) for name, body in png.list_chunks(restored(data)) if name == b"iTXt"]
    assert all(body.endswith(end) for body, end in zip(texts[1:], (b"the first", b"the second"), strict=True))
    assert len(texts) == 3


def test_an_extended_packet_with_a_wrong_hash_is_named_as_lost() -> None:
    main, second, first = extended_xmp("", xmp(IN_XMP))
    broken = (first[0], first[1][:-1] + b"?")
    assert "extended XMP" in metadata.lost(given_back(jpeg(main, second, broken)).metadata)[0]
    assert "extended XMP" not in "".join(metadata.lost(given_back(jpeg(main, second, first)).metadata))


def test_a_png_gets_back_its_own_chunks_in_their_order() -> None:
    chunks = [
        (b"gAMA", struct.pack(">I", 45455)), (b"tEXt", b"note\0one"), (b"caBX", THUMBNAIL),
        (b"tEXt", b"note\0two"), (b"zTXt", raw_profile("iptc", b"caption")),
        (b"pHYs", struct.pack(">IIB", 2835, 2835, 1)), (b"prVt", b"own"), (b"iTXt", b"note\0\0\0\0\0three"),
    ]  # fmt: skip
    back = png.list_chunks(restored(png_with(chunks)))
    assert [chunk for chunk in back if chunk[0] not in (b"IHDR", b"IDAT", b"IEND")] == chunks
    assert metadata.lost(given_back(png_with(chunks)).metadata) == ()


def test_chunks_about_the_coding_of_pixels_do_not_come_back() -> None:
    palette = picture().quantize(16)
    data = saved(palette, "PNG", transparency=3)
    names = {name for name, _ in png.list_chunks(restored(data))}
    assert names == {b"IHDR", b"IDAT", b"IEND"}
    photo = given_back(data)
    hostile = Metadata("PNG", chunks=(("tRNS", b"\0"), ("pgRd", b"x"), ("iCCP", b"a"), ("iCCP", b"b")))
    made = images.encode_restored(Photo(photo.pixels, metadata=hostile))
    pixels = {b"IHDR", b"IDAT", b"IEND"}
    assert [name for name, _ in png.list_chunks(made) if name not in pixels] == [b"iCCP"]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("C2PA (935 bytes)", jpeg((0xEB, b"JP\0\1\0\0\0\1" + THUMBNAIL))),
        ("behind the picture (927 bytes)", jpeg(behind=THUMBNAIL)),
        ("Photoshop (30 bytes)", jpeg((0xED, photoshop(0x0404, b"IPTC")))),
        ("chunk junk (4 bytes)", webp_with([(b"junk", b"film")])),
        ("box mpvd", heic() + struct.pack(">I4s", 8 + 4, b"mpvd") + b"film"),
    ],
)
def test_what_a_png_cannot_hold_is_named(name: str, data: bytes) -> None:
    assert f"not in the restored PNG: {name}" in metadata.lost(given_back(data).metadata)[0]


def test_an_ordinary_photo_loses_nothing() -> None:
    assert metadata.lost(given_back(jpeg(exif=b"Exif\0\0" + exif())).metadata) == ()
    assert metadata.lost(given_back(saved(picture(), "TIFF", exif=exif_of_six())).metadata) == ()
    for kind in ("BMP", "WEBP", "GIF"):
        assert metadata.lost(given_back(saved(picture(), kind)).metadata) == ()


def exif_of_six() -> Image.Exif:
    values = Image.Exif()
    values[0x0112], values[0x010F] = 6, "maker"
    return values


def test_utf_16_xmp_comes_back_in_utf_8() -> None:
    packet = xmp("<tiff:Artist>Zo\u00eb</tiff:Artist>").decode("utf-8")
    for coding in ("utf-16", "utf-16-le", "utf-16-be"):
        text = opened(restored(jpeg(xmp_segment(packet.encode(coding))))).info["XML:com.adobe.xmp"]
        assert text == packet


def test_a_tiff_keeps_texts_and_the_deeper_directories() -> None:
    source = exif_of_six()
    source.get_ifd(0x8769)[0x9003], source.get_ifd(0x8825)[1] = "2024:01:02 03:04:05", "N"
    values = Image.Exif()
    values.load(source.tobytes())
    data = saved(picture(), "TIFF", exif=values)
    assert Image.open(io.BytesIO(data)).getexif().get_ifd(0x8825)[1] == "N", "else this shows nothing"
    back = opened(restored(data)).getexif()
    assert back[0x010F] == "maker" and back[0x0112] == 1
    assert back.get_ifd(0x8769)[0x9003] == "2024:01:02 03:04:05" and back.get_ifd(0x8825)[1] == "N"


# Upright once


def oriented(kind: int, value: bytes) -> bytes:
    return struct.pack("<4sIHHHI4sI", b"II*\0", 8, 1, 0x0112, kind, 1, value, 0)


ORIENTED = {
    "EXIF as LONG": lambda: jpeg(exif=b"Exif\0\0" + oriented(4, b"\6\0\0\0")),
    "EXIF as signed": lambda: jpeg(exif=b"Exif\0\0" + oriented(9, b"\6\0\0\0")),
    "EXIF as ever": lambda: jpeg(exif=b"Exif\0\0" + oriented(3, b"\6\0\0\0")),
    "XMP": lambda: jpeg(xmp_segment(xmp("", 'tiff:Orientation="6"'))),
    "PNG EXIF": lambda: png_with([(b"eXIf", oriented(4, b"\6\0\0\0"))]),
    "PNG raw profile": lambda: png_with(
        [(b"zTXt", raw_profile("exif", b"Exif\0\0" + oriented(3, b"\6\0\0\0")))]
    ),
    "PNG XMP, packed": lambda: png_with(
        [(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp("", 'tiff:Orientation="6"')))]
    ),
    "WebP": lambda: webp_with([(b"EXIF", oriented(4, b"\6\0\0\0"))]),
    "TIFF": lambda: saved(picture(), "TIFF", exif=exif_of_six()),
}  # fmt: skip


@pytest.mark.parametrize("where", ORIENTED)
def test_a_restored_photo_is_turned_once(where: str) -> None:
    data = ORIENTED[where]()
    assert Image.open(io.BytesIO(data)).getexif()[0x0112] == 6, "else this shows nothing"
    photo = given_back(data)
    for granted in (photo.metadata, collected(data)):
        facts = sealed.unpack_metadata(
            sealed.pack_metadata(Photo(photo.pixels, metadata=granted), "n", False)
        )
        for back in (granted, facts.metadata):
            image = opened(images.encode_restored(Photo(photo.pixels, metadata=back)))
            assert image.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("kind", [3, 4, 9])
def test_exif_that_was_turned_comes_back_with_it(kind: int) -> None:
    chunks = collected(jpeg(exif=b"Exif\0\0" + oriented(kind, b"\6\0\0\0"))).chunks
    assert chunks == (("eXIf", oriented(3, b"\1\0\0\0")),)


# Sealing


def test_everything_survives_sealing() -> None:
    found = Metadata(
        "JPEG",
        chunks=(("eXIf", b"a"), ("tEXt", b"")),
        parts=(Part("EXIF", 20, b"b", False), Part("C2PA", 90, b"")),
    )
    assert sealed.unpack_everything(sealed.pack_everything(found)) == found


def test_facts_survive_sealing() -> None:
    photo = images.decode(jpeg((0xFE, b"one"), (0xFE, b"two"), exif=b"Exif\0\0" + exif()), "photo")
    back = sealed.unpack_metadata(sealed.pack_metadata(photo, "name", True, 0o640))
    assert (back.name, back.mode, back.exact) == ("name", 0o640, sealed.fingerprint(photo, 2))
    assert back.metadata.texts == (("Comment", "one"), ("Comment", "two"))
    assert back.metadata.exif == photo.metadata.exif and not back.metadata.whole


def test_the_fingerprint_binds_the_profile_from_version_2_on() -> None:
    one, other = (Photo(np.zeros((2, 2, 3), np.uint8), icc=icc) for icc in (b"a", b"b"))
    assert sealed.fingerprint(one, 1) == sealed.fingerprint(other, 1)
    assert sealed.fingerprint(one, 2) != sealed.fingerprint(other, 2)


@pytest.mark.parametrize(
    "change",
    [
        {"chunks": ["IDAT"]}, {"chunks": ["tEX"]}, {"chunks": [7]}, {"chunks": "tEXt"},
        {"chunks": ["tEXt"] * 2}, {"parts": 7}, {"format": "../"}, {"format": 1}, {"more": 1},
        {"chunks": [], "parts": [{"kind": "a", "where": 0}]},
        {"chunks": [], "parts": [{"kind": "../x", "lost": True, "where": 0}]},
        {"chunks": [], "parts": [{"kind": "", "lost": True, "where": 0}]},
        {"chunks": [], "parts": [{"kind": "a", "lost": 1, "where": 0}]},
        {"chunks": [], "parts": [{"kind": "a", "lost": True, "where": -1}]},
        {"chunks": [], "parts": [{"kind": "a", "lost": True, "where": 1 << 53}]},
        {"chunks": [], "parts": [{"kind": "a/b", "lost": True, "where": 0}]},
    ],
)  # fmt: skip
def test_everything_with_a_fault_is_damaged(change: dict[str, object]) -> None:
    from photoguard.formats.envelope import pack

    header = {"kind": "everything", "format": "", "chunks": ["tEXt"], "parts": []}
    assert sealed.unpack_everything(pack(header, [b"a\0b"], 2)).chunks == (("tEXt", b"a\0b"),)
    part = [{"kind": "a", "lost": True, "where": 0}]
    good = sealed.unpack_everything(pack({**header, "chunks": [], "parts": part}, [b"a\0b"], 2))
    assert good.parts == (Part("a", 0, b"a\0b"),)
    with pytest.raises(DamagedError):
        sealed.unpack_everything(pack({**header, **change}, [b"a\0b"], 2))


# Hostile files


def tags(count: int, entry: bytes) -> bytes:
    return b"II*\0\x08\0\0\0" + struct.pack("<H", min(count, 65535)) + entry * count


def without_width(count: int) -> bytes:
    """A HEIF whose items have 65,535 extents each that take no bytes."""
    inside = struct.pack(">I4sIH", 14, b"pitm", 0, 1) + struct.pack(">I4sIH", 14, b"iinf", 0, 0)
    inside += struct.pack(">I4sIHI", 18 + 10 * count, b"iloc", 0x02000000, 0, 0xFFFFFFFF)
    inside += struct.pack(">IHHH", 1, 0, 0, 0xFFFF) * count
    return struct.pack(">I4sI", 12 + len(inside), b"meta", 0) + inside


FF_RUN = b"\xff\xd8" + b"\xff" * 20_000_000 + b"\0"
HOSTILE = {
    "IFD that is its own next": ("TIFF", tags(1, struct.pack("<HHII", 270, 4, 1, 8)) + struct.pack("<I", 8)),
    "EXIF that is its own EXIF": ("TIFF", tags(3, struct.pack("<HHII", 0x8769, 4, 1, 8))),
    "huge counts": ("TIFF", tags(60_000, struct.pack("<HHII", 270, 2, 0xFFFFFFFF, 0))),
    "many values of everything": ("TIFF", tags(60_000, struct.pack("<HHII", 270, 2, 700_000, 0))),
    "strips all over": ("TIFF", tags(2, struct.pack("<HHII", 273, 4, 1 << 18, 0)) + bytes(1 << 21)),
    "many segments": ("JPEG", b"\xff\xd8" + b"\xff\xfe\0\2" * 3_000_000),
    "many tables": ("JPEG", b"\xff\xd8" + b"\xff\xdb\0\2" * 3_000_000),
    "a run of FF": ("JPEG", FF_RUN),
    "many chunks": ("PNG", png.START + (struct.pack(">I4s", 0, b"teXt") + bytes(4)) * 2_000_000),
    "many RIFF chunks": ("WEBP", b"RIFF\xff\xff\xff\x7fWEBP" + b"junk\0\0\0\0" * 2_000_000),
    "many blocks": ("GIF", b"GIF89a" + bytes(7) + b"\x21\xfe\1x\0" * 3_000_000),
    "many sub-blocks": ("GIF", b"GIF89a" + bytes(7) + b"\x21\xfe" + b"\1x" * 10_000_000),
    "many boxes": ("HEIF", struct.pack(">I4s", 8, b"meta") * 2_000_000),
    "extents of nothing": ("HEIF", without_width(500_000)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_done_with_soon(name: str) -> None:
    kind, data = HOSTILE[name]
    begun = time.process_time()
    image = Image.new("RGB", (1, 1))
    image.format = kind
    found = metadata.collect(data, image)
    assert time.process_time() - begun < 5
    assert len(found.parts) <= metadata.PARTS_LIMIT and len(found.chunks) <= metadata.CHUNKS_LIMIT
    sealed.unpack_everything(sealed.pack_everything(found))


def test_what_is_too_much_to_seal_is_left_out_and_said() -> None:
    found = collected(jpeg(*[(0xFE, b"x")] * 2100))
    assert len(found.parts) == metadata.PARTS_LIMIT and "53 pieces" in found.notices[0]


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(containers.PARSERS)), st.binary(max_size=400), st.data())
def test_any_bytes_have_ranges_inside_them(kind: str, data: bytes, more: st.DataObject) -> None:
    starts = {"TIFF": b"II*\0\x08\0\0\0", "PNG": png.START, "JPEG": b"\xff\xd8\xff"}
    data = more.draw(st.just(b"") | st.just(starts.get(kind, b""))) + data
    at = 0
    for _, start, end in containers.ranges(data, kind):
        assert at <= start < end <= len(data)
        at = end
    assert len(exif_values.facts(data)) < 1.3 * exif_values.FACTS_LIMIT
    exif_values.upright(data)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(PLACES)), st.data())
def test_any_change_of_a_photo_leaves_its_parts_in_order(place: str, data: st.DataObject) -> None:
    original = bytearray(PLACES[place]()[0])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(original) - 1))
        original[at : at + 2] = data.draw(st.binary(min_size=2, max_size=2))
    for kind in containers.PARSERS:
        ranges = containers.ranges(bytes(original), kind)
        assert all(a[2] <= b[1] for a, b in itertools.pairwise(ranges))


# The whole way


def test_some_faces_get_facts_and_all_get_everything(photoguard: Shell, tmp_path: Path) -> None:
    data = jpeg(
        (0xED, photoshop(0x040C, THUMBNAIL)),
        (0xFE, b"at the lake"),
        exif=b"Exif\0\0" + exif(second=THUMBNAIL),
    )
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(data)
    photoguard("keygen")
    photoguard(
        "encrypt",
        photo,
        "--method",
        "solid",
        "--faces",
        "none",
        "--region",
        "0,0,20,20",
        "--region",
        "28,28,20,20",
    )
    public, private = tmp_path / "photo.pub.png", tmp_path / "photo.priv"
    assert THUMBNAIL[:40] not in public.read_bytes()
    friend = tmp_path / "friend.priv"
    done = photoguard("grant", private, "--faces", "1", "--metadata", "--to", "self", "-o", friend)
    assert "face 1 and the metadata's facts" in done.stdout
    photoguard("decrypt", public, "--private", friend, "-o", tmp_path / "some.png")
    photoguard(
        "decrypt", public, "--private", friend, "-o", tmp_path / "x.png", "--parts", tmp_path / "none", code=2
    )
    assert not (tmp_path / "x.png").exists() and not (tmp_path / "none").exists()
    some = (tmp_path / "some.png").read_bytes()
    assert THUMBNAIL[:40] not in some and opened(some).info["Comment"] == "at the lake"
    assert opened(some).getexif()[0x010F] == "maker"
    done = photoguard("decrypt", public, "-o", tmp_path / "all.png", "--parts", tmp_path / "parts")
    assert "Photoshop (954 bytes)" in done.stderr
    assert THUMBNAIL in (tmp_path / "all.png").read_bytes()
    names = sorted(path.name for path in (tmp_path / "parts").iterdir())
    assert names == ["0001-JFIF.bin", "0002-Photoshop.bin", "0003-comment.bin", "0004-EXIF.bin"]
    assert (tmp_path / "parts" / "0002-Photoshop.bin").read_bytes() == photoshop(0x040C, THUMBNAIL)
    photoguard("decrypt", public, "-o", tmp_path / "2.png", "--parts", tmp_path / "parts", code=8)
    assert not (tmp_path / "2.png").exists()


def test_what_stands_in_the_public_picture_is_not_the_originals(photoguard: Shell, tmp_path: Path) -> None:
    """Its metadata is nobody's: a stranger can write some without touching a pixel."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg())
    region = ("--faces", "none", "--region", "0,0,20,20")
    photoguard("encrypt", photo, "--method", "solid", *region)
    public, friend = tmp_path / "photo.pub.png", tmp_path / "friend.priv"
    photoguard("grant", tmp_path / "photo.priv", "--no-metadata", "--to", "self", "-o", friend)
    public.write_bytes(
        png.with_chunks(public.read_bytes(), [(b"tEXt", b"Comment\0a lie"), (b"eXIf", exif())])
    )
    done = photoguard("decrypt", public, "--private", friend, "-o", tmp_path / "friend.png")
    assert "not in the restored PNG" not in done.stderr
    found = opened((tmp_path / "friend.png").read_bytes())
    assert "Comment" not in found.info and not dict(found.getexif())


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o777])
def test_a_restored_photo_is_readable_to_no_more_than_the_original(
    photoguard: Shell, tmp_path: Path, mode: int
) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(saved(picture(), "PNG"))
    photo.chmod(mode)
    photoguard("keygen")
    photoguard("encrypt", photo, "--method", "solid", "--faces", "none", "--region", "0,0,20,20")
    photoguard("decrypt", tmp_path / "photo.pub.png")
    assert (tmp_path / "photo.restored.png").stat().st_mode & 0o777 == mode & 0o644

"""The public color profile: the same colors, and nothing of what a profile says beside them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from support.previews import jpeg, picture, saved
from support.shell import Shell

from photoguard.photos import images, png, profile

SECRET = b"52.5200N 13.4050E Anna's camera"


def fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + fixed(*values)


def curve(*values: int) -> bytes:
    return struct.pack(f">4s4xI{len(values)}H", b"curv", len(values), *values)


def para(kind: int, *values: float) -> bytes:
    return struct.pack(">4s4xHxx", b"para", kind) + fixed(*values)


def text(body: bytes) -> bytes:
    return b"text\0\0\0\0" + body + b"\0"


def icc(
    tags: dict[bytes, bytes],
    space: bytes = b"RGB ",
    connection: bytes = b"XYZ ",
    version: int = 4,
    kind: bytes = b"mntr",
) -> bytes:
    """A profile with something to hide in every field of its header."""
    tags = {b"cprt": text(SECRET), b"desc": text(SECRET), **tags}
    at, table, behind = 132 + 12 * len(tags), b"", b""
    for name, body in tags.items():
        table += struct.pack(">4sII", name, at + len(behind), len(body))
        behind += body.ljust(-(-len(body) // 4) * 4, b"\0")
    head = (
        b"ANNA"
        + bytes([version, 0x30, 0, 0])
        + kind
        + space
        + connection
        + struct.pack(">6H", 2024, 1, 2, 3, 4, 5)
    )
    head += (
        b"acsp"
        + b"ANNA"
        + bytes(4)
        + b"ANNAcam1"
        + bytes(8)
        + bytes(4)
        + profile.D50
        + b"ANNA"
        + SECRET[:16].ljust(16)
    )
    return (
        struct.pack(">I", at + len(behind))
        + head.ljust(124, b"\0")
        + struct.pack(">I", len(tags))
        + table
        + behind
    )


WHITE = {b"wtpt": xyz(0.9642, 1.0, 0.8249)}
SRGB_CURVE = para(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
P3 = {
    **WHITE,
    b"chad": b"sf32\0\0\0\0"
    + fixed(1.0479, 0.0229, -0.0502, 0.0296, 0.9904, -0.0171, -0.0092, 0.0151, 0.7517),
    b"rXYZ": xyz(0.5151, 0.2412, -0.0011), b"gXYZ": xyz(0.292, 0.6922, 0.0419),
    b"bXYZ": xyz(0.1571, 0.0666, 0.7841),
    b"rTRC": SRGB_CURVE, b"gTRC": SRGB_CURVE, b"bTRC": SRGB_CURVE,
}  # fmt: skip
TABLE_CURVE = curve(*(round(65535 * (n / 255) ** 1.8) for n in range(256)))


def lab_grid(points: int, wide: bool) -> np.ndarray:
    """A smooth table from RGB to Lab that no matrix makes."""
    r, g, b = np.meshgrid(*[np.linspace(0, 1, points)] * 3, indexing="ij")
    lab = np.stack([0.2 * r + 0.7 * g + 0.1 * b, 0.5 + 0.3 * (r - g) * g, 0.5 + 0.3 * (g - b)], axis=-1)
    return np.round(lab * (65280 if wide else 255)).astype(">u2" if wide else np.uint8)


IDENTITY = fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)


def mft2() -> bytes:
    ramp = np.array([0, 20000, 65535], ">u2").tobytes()
    return (
        b"mft2\0\0\0\0\3\3\7\0"
        + IDENTITY
        + struct.pack(">HH", 3, 3)
        + ramp * 3
        + lab_grid(7, True).tobytes()
        + ramp * 3
    )


def mft1() -> bytes:
    ramp = bytes(range(256))
    return b"mft1\0\0\0\0\3\3\7\0" + IDENTITY + ramp * 3 + lab_grid(7, False).tobytes() + ramp * 3


def m_ab(gap: bytes = b"") -> bytes:
    """B curves, matrix, M curves, grid, A curves; between them is room for what nobody looks at."""
    curves = para(0, 1.0) * 3
    grid = bytes([5, 5, 5]).ljust(16, b"\0") + b"\2\0\0\0" + lab_grid(5, True).tobytes()
    pieces = [
        curves,
        fixed(1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0),
        curves,
        grid.ljust(-(-len(grid) // 4) * 4, b"\0"),
        para(0, 1.2) * 3,
    ]
    at, offsets, behind = 32, [], b""
    for piece in pieces:
        behind += gap
        offsets.append(at + len(behind))
        behind += piece
    return b"mAB \0\0\0\0\3\3\0\0" + struct.pack(">5I", *offsets) + behind


def builtin() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


COLOR: dict[str, Callable[[], bytes]] = {
    "sRGB of LittleCMS": builtin,
    "Display P3": lambda: icc(P3),
    "version 2 with tables": lambda: icc(
        {**P3, b"rTRC": TABLE_CURVE, b"gTRC": curve(563), b"bTRC": curve()}, version=2
    ),
    "16-bit table": lambda: icc({**WHITE, b"A2B0": mft2()}, connection=b"Lab ", version=2, kind=b"prtr"),
    "8-bit table": lambda: icc({**WHITE, b"A2B0": mft1()}, connection=b"Lab ", version=2, kind=b"prtr"),
    "chain of version 4": lambda: icc({**WHITE, b"A2B0": m_ab()}, connection=b"Lab ", kind=b"scnr"),
    "chain with gaps": lambda: icc(
        {**WHITE, b"A2B0": m_ab(SECRET + b"\0")}, connection=b"Lab ", kind=b"scnr"
    ),
}  # fmt: skip
GRAY: dict[str, Callable[[], bytes]] = {
    "gray gamma": lambda: icc({**WHITE, b"kTRC": curve(563)}, b"GRAY", version=2),
    "gray table": lambda: icc({**WHITE, b"kTRC": TABLE_CURVE}, b"GRAY"),
    "gray parameters": lambda: icc({**WHITE, b"kTRC": SRGB_CURVE}, b"GRAY"),
}


def in_srgb(icc_bytes: bytes, grey: bool) -> np.ndarray:
    """What every color of a coarse grid, or every gray, looks like."""
    if grey:
        image = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    else:
        steps = np.arange(0, 256, 15, dtype=np.uint8)
        image = Image.fromarray(np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(18, -1, 3))
    opened = ImageCms.ImageCmsProfile(io.BytesIO(icc_bytes))
    mode = "L" if grey else "RGB"
    transform = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), mode, "RGB")
    return np.asarray(transform.apply(image)).astype(int)


@pytest.mark.parametrize("name", [*COLOR, *GRAY])
def test_colors_are_the_same_and_nothing_else_is_left(name: str) -> None:
    original = {**COLOR, **GRAY}[name]()
    made, notices = profile.publishable(original, name in GRAY)
    assert made and not notices
    before, after = in_srgb(original, name in GRAY), in_srgb(made, name in GRAY)
    assert np.abs(before - after).max() <= 1 and np.ptp(before) > 200
    assert SECRET[:9] not in made and b"ANNA" not in made and b"Anna" not in made
    assert made[24:36] == bytes(12), "the date"
    assert profile.publishable(made, name in GRAY) == (made, ()), "made anew from itself it is the same"


REFUSED: dict[str, tuple[Callable[[], bytes], bool]] = {
    "text": (lambda: SECRET * 20, False),
    "text behind a header": (lambda: builtin()[:128] + SECRET * 20, False),
    "only a header": (lambda: builtin()[:128], False),
    "cut short": (lambda: builtin()[:-60], False),
    "text as a matrix": (lambda: icc({**P3, b"rXYZ": b"XYZ \0\0\0\0" + SECRET[:12]}), False),
    "text as a curve": (
        lambda: icc({**P3, b"rTRC": struct.pack(">4s4xI", b"curv", 15) + SECRET[:30]}),
        False,
    ),
    "text as parameters": (lambda: icc({**P3, b"rTRC": b"para\0\0\0\0\0\3\0\0" + SECRET[:20]}), False),
    "a curve without end": (lambda: icc({**P3, b"rTRC": struct.pack(">4s4xI", b"curv", 1 << 31)}), False),
    "a grid without end": (
        lambda: icc({**WHITE, b"A2B0": b"mft2\0\0\0\0\3\3\xff\0" + IDENTITY + bytes(99)}),
        False,
    ),
    "a table of four colors": (
        lambda: icc({**WHITE, b"A2B0": b"mft2\0\0\0\0\4\3\2\0" + IDENTITY + bytes(999)}),
        False,
    ),
    "no colors": (lambda: icc(WHITE), False),
    "half of the colors": (lambda: icc({k: v for k, v in P3.items() if k != b"gTRC"}), False),
    "gray for colors": (GRAY["gray gamma"], False),
    "colors for gray": (COLOR["Display P3"], True),
    "CMYK": (lambda: icc(P3, b"CMYK"), False),
    "a link": (lambda: icc(P3, kind=b"link"), False),
    "too large": (lambda: builtin() + bytes(profile.SIZE_LIMIT), False),
    "too many tags": (lambda: builtin()[:128] + b"\xff" * 8000, False),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_sane_profile_of_these_pixels_stays_out(name: str) -> None:
    make, grey = REFUSED[name]
    made, notices = profile.publishable(make(), grey)
    assert made == b"" and "color profile is left out" in notices[0]


def test_no_profile_needs_no_notice() -> None:
    assert profile.publishable(b"", False) == (b"", ())


def test_text_behind_the_numbers_of_a_tag_stays_out() -> None:
    longer = {name: body + SECRET for name, body in P3.items()}
    made, _ = profile.publishable(icc(longer), False)
    assert made == profile.publishable(icc(P3), False)[0]


def test_the_public_picture_has_the_new_profile_and_the_restored_one_the_old(
    photoguard: Shell, tmp_path: Path
) -> None:
    photoguard("keygen")
    for name, original, kept in (("good", icc(P3), True), ("bad", SECRET * 9, False)):
        photo = tmp_path / f"{name}.png"
        photo.write_bytes(saved(picture(), "PNG", icc_profile=original))
        done = photoguard(
            "encrypt", photo, "--method", "solid", "--faces", "none", "--region", "0,0,20,20", "--exact"
        )
        assert ("color profile is left out" in done.stderr) is not kept
        public = (tmp_path / f"{name}.pub.png").read_bytes()
        assert images.decode(public, "x").icc == (profile.publishable(original, False)[0] if kept else b"")
        done = photoguard("decrypt", tmp_path / f"{name}.pub.png")
        assert "equal to the original" in done.stdout
        restored = (tmp_path / f"{name}.restored.png").read_bytes()
        assert images.decode(restored, "x").icc == original


def test_a_jpeg_of_cmyk_loses_its_profile_by_name() -> None:
    cmyk = Image.new("CMYK", (32, 32))
    found = images.decode(saved(cmyk, "JPEG", icc_profile=icc(P3, b"CMYK")), "x")
    assert found.icc == b"" and not found.metadata.chunks
    assert [part.kind for part in found.metadata.parts if part.lost] == ["ICC profile"]


def test_the_name_of_the_chunk_is_constant() -> None:
    photo = images.decode(jpeg(icc_profile=icc(P3)), "x")
    chunk = dict(png.list_chunks(images.encode_public(photo, None)))[b"iCCP"]
    assert bytes(chunk).startswith(b"ICC profile\0\0")

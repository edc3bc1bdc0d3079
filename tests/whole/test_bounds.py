"""What an attacker sends takes little time and memory: every limit of docs/threat-model.md, "Bounds".

Covers: files.limits.
"""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import bombs
from support.places import ROOT
from support.shell import Shell

from photoguard import chips, methods
from photoguard.errors import DamagedError, UnreadableError, UsageError
from photoguard.files import limits
from photoguard.formats import contents as sealed
from photoguard.formats import envelope, identities
from photoguard.formats.envelope import PublicFace, PublicFile
from photoguard.formats.features import FeatureFile
from photoguard.methods.ddm import maps as ddm_code
from photoguard.methods.patches import decompress
from photoguard.photos import images, png
from photoguard.photos.geometry import Box, Owners
from photoguard.photos.images import Photo

# Not getrusage: its peak includes what the parent held when it started this process.
PEAK = (
    "import atexit, sys\n"
    "peak = lambda: open('/proc/self/status').read().split('VmHWM:')[1].split()[0]\n"
    "atexit.register(lambda: print('peak', peak(), file=sys.stderr))\n"
)
START_UP = 15  # seconds that starting a command may take where other tests run beside

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")


@pytest.fixture
def bounded(photoguard: Shell) -> Callable[..., str]:
    """Type a command that has to stay within seconds and megabytes; gives what it said on stderr."""

    def run(*args: object, code: int, seconds: float = 10, megabytes: int = 500) -> str:
        start = time.monotonic()
        done = photoguard(*args, code=code, before=PEAK)
        taken = time.monotonic() - start
        peak = int(re.findall(r"peak (\d+)", done.stderr)[-1]) // 1000
        assert taken < seconds + START_UP, f"{taken:.1f} s"
        assert peak < megabytes, f"{peak} MB"
        return done.stderr

    return run


@pytest.fixture
def me(tmp_path: Path) -> tuple[Path, identities.Recipients]:
    """An identity file, and what others need to seal to it."""
    text, recipient = identities.generate()
    path = tmp_path / "me"
    path.write_text(text)
    path.chmod(0o600)
    return path, identities.Recipients((recipient,))


def put(folder: Path, pair: tuple[bytes, envelope.PrivateFile], to: identities.Recipients) -> Path:
    picture = folder / "p.pub.png"
    picture.write_bytes(pair[0])
    (folder / "p.priv").write_bytes(identities.seal(pair[1].to_bytes(), to))
    return picture


# Faces


@pytest.mark.parametrize("count", [40, 400])
def test_many_faces_of_one_large_box_are_refused(tmp_path, bounded, me, count):
    picture = put(tmp_path, bombs.stacked(count), me[1])
    assert picture.stat().st_size < 400_000
    assert "more pixels" in bounded("verify", picture, "-k", me[0], code=6)


def test_faces_that_own_no_pixel_cost_nothing(tmp_path, bounded, me):
    picture = put(tmp_path, bombs.stacked(30), me[1])  # as many as version 1 allows
    bounded("verify", picture, "-k", me[0], code=0, megabytes=600)


def test_large_faces_are_opened_one_at_a_time(tmp_path, bounded, me):
    side, count = 2000, 30
    patch = np.zeros((side - count, side - count, 3), np.uint8)
    content = bombs.sealed_face(b"W" + bombs.saved_patch(patch))
    boxes = [Box(n, n, side - count, side - count) for n in range(count)]
    pair = bombs.sealed_pair(
        Photo(np.zeros((side, side, 3), np.uint8)), boxes, content, methods.digest(patch)
    )
    picture = put(tmp_path, pair, me[1])
    bounded("verify", picture, "-k", me[0], code=0, megabytes=300)  # together the patches have 349 MB


def test_thousands_of_faces_take_time_that_grows_with_their_number(tmp_path, bounded, me):
    patch = np.zeros((88, 88, 3), np.uint8)
    content = bombs.sealed_face(b"W" + bombs.saved_patch(patch))
    boxes = [Box(n % 64, n // 64, 88, 88) for n in range(4096)]
    pair = bombs.sealed_pair(Photo(np.zeros((160, 160, 3), np.uint8)), boxes, content, methods.digest(patch))
    picture = put(tmp_path, pair, me[1])
    bounded("verify", picture, "-k", me[0], code=0, seconds=10)


@pytest.mark.parametrize(
    "boxes",
    [
        [Box(n // 2, n // 2, 4096 - n, 1 + n % 7) for n in range(4095)],
        [Box(n, 0, 88, 88) for n in range(4096)],
        [Box(n % 64, n // 64, 88, 88) for n in range(4096)],
    ],
    ids=["nested", "row", "grid"],
)
def test_whose_each_pixel_is_takes_under_a_second(boxes):
    start = time.process_time()
    owners = Owners.of(boxes)
    for number in range(len(boxes)):
        owners.mask(number)
    assert time.process_time() - start < 1


def test_the_area_of_all_boxes_has_a_limit_for_readers_and_writers():
    assert envelope.area_limit(4000, 3000, 2) == 32_000_000
    assert envelope.area_limit(20_000, 10_000, 2) == 400_000_000
    boxes = [Box(0, 0, 4000, 4000)] * 2
    envelope.refuse_area(boxes, 4000, 4000)
    with pytest.raises(UsageError, match="overlap so much") as caught:
        envelope.refuse_area([*boxes, Box(0, 0, 1, 1)], 4000, 4000)
    assert "--margin" in caught.value.hint
    for version, most, look in ((1, 32, ""), (2, 2, "plain")):
        faces = tuple(PublicFace(Box(0, 0, 4000, 4000), "solid", look) for _ in range(most + 1))
        many = PublicFile(bytes(16), 4000, 4000, faces, (b"",) * (most + 1 + version), version)
        with pytest.raises(DamagedError, match="more pixels"):
            PublicFile.from_bytes(many.to_bytes())
        whole = PublicFile(bytes(16), 4000, 4000, faces[:most], (b"",) * (most + version), version)
        assert PublicFile.from_bytes(whole.to_bytes()) == whole


# What is sealed inside


@pytest.mark.parametrize("kind", [b"W", b"P"])
def test_a_sealed_patch_larger_than_its_box_is_not_decoded(kind):
    large = bombs.saved("WEBP", 4000, 4000) if kind == b"W" else bombs.flat_png(60_000, 60_000)
    assert refused_cheaply(lambda: decompress(kind + large, (64, 64, 3))) < 30


def test_a_sealed_png_that_states_two_sizes_is_not_decoded():
    large, small = (struct.pack(">IIBBBBB", n, n, 8, 2, 0, 0, 0) for n in (30_000, 64))
    pixels = bombs.chunk(b"IDAT", bombs.zeros(30_000 * 90_001)) + bombs.chunk(b"IEND", b"")
    for first, second in ((large, small), (small, large)):
        data = png.START + bombs.chunk(b"IHDR", first) + bombs.chunk(b"IHDR", second) + pixels
        assert refused_cheaply(lambda data=data: decompress(b"P" + data, (64, 64, 3))) < 30


def test_maps_that_inflate_to_more_than_their_shape_are_not_inflated():
    from lzma import FORMAT_RAW, compress

    body = struct.pack("<HHH", 4, 4, 4) + compress(bytes(1 << 26), FORMAT_RAW, filters=ddm_code._FILTERS)
    assert refused_cheaply(lambda: ddm_code.unpack_maps(body)) < 30
    body = struct.pack("<HHH", 1, 4096, 4096) + body[6:]  # allowed, but not what this box has
    assert refused_cheaply(lambda: ddm_code.unpack_maps(body, (64, 8, 8))) < 30


def test_alpha_that_inflates_to_more_than_its_box_is_not_inflated():
    face = envelope.pack({"kind": "face"}, [b"", zlib.compress(bytes(1 << 28))])
    assert refused_cheaply(lambda: sealed.unpack_face(face, 8, 8)) < 30


def refused_cheaply(work: Callable[[], object]) -> float:
    """The megabytes by which a piece of work that ends in DamagedError raised this process's peak."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, start = peak(), time.process_time()
    with pytest.raises(DamagedError):
        work()
    assert time.process_time() - start < 1
    return peak() - before


def peak() -> float:
    return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1000


# Files


@pytest.mark.parametrize("name", ["p.priv", "p.z.priv"])
def test_a_sparse_private_file_is_not_read(tmp_path, bounded, me, name):
    picture = put(tmp_path, bombs.stacked(1, 64), me[1])
    secret = bombs.sparse(tmp_path / name, (1 << 31) - 1)
    # One that somebody planted beside the photo's own is named and passed over.
    assert "more than" in bounded("verify", picture, "-k", me[0], code=3 if name == "p.priv" else 0)
    assert "more than" in bounded("grant", secret, "-k", me[0], "-t", me[1].keys[0], code=3)
    assert "more than" in bounded("recipients", secret, code=3)


def test_private_files_share_one_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "PRIVATE", 100)
    paths = [tmp_path / f"p.{n}.priv" for n in range(3)]
    for path in paths:
        path.write_bytes(bytes(40))
    found = limits.read_private(paths)
    assert [len(found[path.name]) for path in paths[:2]] == [40, 40]
    assert "p.2.priv has 40 bytes, more than the 20" in str(found["p.2.priv"])


def test_other_sparse_files_are_not_read(tmp_path, bounded, me):
    size = (1 << 31) - 1
    photo = bombs.sparse(tmp_path / "photo.png", size, png.START)
    for command in ("detect", "encrypt", "inspect", "features"):
        assert "--max-pixels" in bounded(command, photo, code=3, megabytes=700)
    assert "more than" in bounded(
        "classify", bombs.sparse(tmp_path / "f.features", size), code=3, megabytes=700
    )
    keys = bombs.sparse(tmp_path / "key", size)
    assert "more than" in bounded("encrypt", photo, "-t", keys, code=3)
    assert "more than" in bounded("verify", photo, "-k", keys, code=3)


def test_thousands_of_features_are_classified_in_parts(tmp_path, bounded):
    from photoguard import weights

    shape = (16, 28, 28)
    blob = struct.pack("<32e", *[0.0] * 16, *[1.0] * 16) + bytes(16 * 28 * 28)
    file = FeatureFile("obfuscator", weights.SHIPPED["obfuscator"].sha256, shape, (blob,) * 2000)
    (tmp_path / "f.features").write_bytes(file.to_bytes())
    bounded("classify", tmp_path / "f.features", code=0, megabytes=700)


# Photos

DECODED = {  # kind -> bytes
    "RGB": bombs.flat_png,
    "gray": lambda w, h: bombs.flat_png(w, h, color=0),
    "one bit": lambda w, h: bombs.flat_png(w, h, color=0, depth=1),
    "RGBA": lambda w, h: bombs.flat_png(w, h, color=6),
    "16 bits": lambda w, h: bombs.flat_png(w, h, depth=16),
    "16 bits and alpha": lambda w, h: bombs.flat_png(w, h, color=6, depth=16),
    "16 bits, gray": lambda w, h: bombs.flat_png(w, h, color=0, depth=16),
    "JPEG": lambda w, h: bombs.saved("JPEG", w, h),
    "progressive JPEG": lambda w, h: bombs.saved("JPEG", w, h, progressive=True, subsampling=0),
    "CMYK JPEG": lambda w, h: bombs.saved("JPEG", w, h, mode="CMYK", progressive=True),
    "TIFF": lambda w, h: bombs.saved("TIFF", w, h, compression="tiff_adobe_deflate"),
    "GIF": lambda w, h: bombs.saved("GIF", w, h, mode="L"),
    "WebP": lambda w, h: bombs.saved("WEBP", w, h, quality=50, method=0),
    "AVIF": lambda w, h: bombs.saved("AVIF", w, h, speed=10, quality=10),
    "HEIF": lambda w, h: bombs.saved("HEIF", w, h, quality=10),
}
DECODE = """
import sys, io
import pillow_heif
from PIL import Image
from photoguard.photos import images
pillow_heif.register_heif_opener()
peak = lambda: int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]) * 1024
data = open(sys.argv[1], 'rb').read()
images.decode(images.encode_lossless(images.np.zeros((64, 64, 3), 'uint8')), 'x')  # what is loaded once
before = peak()
with Image.open(io.BytesIO(data)) as image:
    weight = images._weight(image, images._is_deep(data, image))
images.decode(data, 'x')
print((peak() - before) / (image.width * image.height * weight))
"""


@pytest.mark.parametrize("kind", DECODED)
def test_what_a_pixel_counts_is_what_it_takes(tmp_path, kind):
    """200,000,000 that count 1 each take 1.6 GB, and with the program less than 2."""
    path = tmp_path / "photo"
    path.write_bytes(DECODED[kind](5000, 4000))
    done = subprocess.run(
        [sys.executable, "-c", DECODE, path], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    # Some 3 bytes of these are strips and libraries, which do not grow with the photo.
    assert float(done.stdout) < 11, done.stdout


@pytest.mark.parametrize(
    "width, height, options, counts",
    [(20_001, 10_000, {}, ""), (11_000, 10_000, {"depth": 16}, "2.0 times"),
     (16_000, 10_000, {"color": 6}, "1.3 times"), (10_000, 8000, {"depth": 16, "color": 6}, "2.7 times")],
)  # fmt: skip
def test_a_photo_over_the_limit_is_not_decoded(tmp_path, bounded, width, height, options, counts):
    photo = tmp_path / "photo.png"
    photo.write_bytes(bombs.flat_png(width, height, **options))
    for command in ("detect", "encrypt"):
        said = bounded(command, photo, code=3, megabytes=700)
        assert f"{width} x {height} pixels" in said and "--max-pixels" in said and counts in said


def test_a_large_photo_is_not_decoded_to_see_whether_it_is_a_chip():
    """A picture made with --portable carries no chunk; it was decoded under the default limit."""
    large = bombs.flat_png(20_000, 20_000)
    assert chips.without_carrier(large, limits.PIXEL_CAP) is None
    with pytest.raises(UnreadableError, match="20000 x 20000"):
        images.decode(large, "x")


@pytest.mark.slow
def test_a_portable_photo_over_the_limit_opens_when_that_is_raised(tmp_path, photoguard, me):
    photo, more = tmp_path / "p.png", ("--max-pixels", 300_000_000)
    photo.write_bytes(bombs.flat_png(15_000, 14_000))
    region = ("--portable", "--faces", "none", "--region", "0,0,64,64", "--method", "solid")
    photoguard("encrypt", photo, *region, *more)
    photoguard("verify", tmp_path / "p.pub.png", code=3)
    photoguard("verify", tmp_path / "p.pub.png", *more)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["detect", "encrypt"])
@pytest.mark.parametrize("kind", ["RGB", "gray", "one bit", "JPEG"])
def test_200_megapixels_take_under_2_gb(tmp_path, bounded, kind, command):
    photo = tmp_path / "photo"
    photo.write_bytes(DECODED[kind](20_000, 10_000))
    more = ("--faces", "none", "--region", "0,0,640,640") if command == "encrypt" else ()
    bounded(command, photo, *more, code=4 if command == "detect" else 0, seconds=60, megabytes=2000)
    if command == "encrypt":
        bounded("verify", tmp_path / "photo.pub.png", code=0, seconds=60, megabytes=2000)


@pytest.mark.parametrize("cycle", [False, True])
def test_pages_of_a_tiff_are_not_counted(tmp_path, bounded, cycle):
    photo = tmp_path / "photo.tif"
    photo.write_bytes(bombs.tiff_chain(200_000, cycle=cycle))
    assert "several frames" in bounded("detect", photo, code=3)


def segments(kind: str) -> bytes:
    """A small JPEG of very many segments, or scans."""
    whole = bombs.saved("JPEG", 64, 64, progressive=True)
    scan = whole.index(b"\xff\xda")
    end = whole.index(b"\xff", scan + 12)
    return {
        "empty": lambda: whole[:2] + b"\xff\xe5\0\2" * 5_000_000 + whole[2:],
        "EXIF": lambda: whole[:2] + (b"\xff\xe1\xff\0Exif\0\0" + bytes(0xFF00 - 8)) * 1000 + whole[2:],
        "filling": lambda: whole[:2] + b"\xff" * 20_000_000 + whole[2:],
        "scans": lambda: whole[:end] + whole[scan:end] * 20_000 + whole[end:],
    }[kind]()


@pytest.mark.parametrize("kind", ["empty", "EXIF", "filling", "scans"])
def test_a_jpeg_of_many_segments_is_refused_before_it_is_read(kind):
    data, start = segments(kind), time.process_time()
    with pytest.raises(UnreadableError, match="more segments"):
        images.decode(data, "x")
    assert time.process_time() - start < 1


def test_such_a_jpeg_is_not_read_for_its_size_either(tmp_path):
    from photoguard.batch.pool import weigh

    photo = tmp_path / "photo.jpg"
    photo.write_bytes(segments("EXIF"))
    start = time.process_time()
    assert weigh(photo) == 1
    assert time.process_time() - start < 1


def test_jpegs_of_all_kinds_are_within_the_limits():
    exif = b"Exif\0\0MM\0*" + bytes(60_000)
    for more in ({}, {"progressive": True}, {"mode": "CMYK"}, {"mode": "L"}, {"exif": exif}):
        options = {"icc_profile": bytes(1 << 20), "comment": b"\xff\xda" * 500, **more}
        video = b"\xff\xda\0\2" * 500  # behind the picture, as in motion photos
        assert images.decode(bombs.saved("JPEG", 64, 48, **options) + video, "x").width == 64


def test_frames_of_a_gif_are_not_counted(tmp_path, bounded):
    whole = bombs.saved("GIF", 8, 8, mode="L")
    frame = whole[whole.index(b",") : -1]
    photo = tmp_path / "photo.gif"
    photo.write_bytes(whole[:-1] + frame * 200_000 + b";")
    assert "several frames" in bounded("detect", photo, code=3)


@pytest.mark.parametrize("where", ["profile", "text", "international text"])
def test_chunks_that_inflate_to_much_are_not_inflated(tmp_path, bounded, where):
    body, kind = {
        "profile": (b"p\0\0", b"iCCP"), "text": (b"t\0\0", b"zTXt"),
        "international text": (b"t\0\1\0\0\0", b"iTXt"),
    }[where]  # fmt: skip
    photo = tmp_path / "photo.png"
    photo.write_bytes(bombs.flat_png(64, 64, before=bombs.chunk(kind, body + bombs.zeros(1 << 31))))
    bounded("detect", photo, code=3, megabytes=700)


# The proof of what was written


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("grey, alpha", [(False, False), (True, False), (False, True)])
def test_what_was_written_is_compared_whole(depth, grey, alpha):
    pixels = np.random.default_rng(1).integers(0, np.iinfo(depth).max, (300, 400, 3), dtype=depth)
    pixels = np.repeat(pixels[..., :1], 3, axis=2) if grey else pixels
    photo = Photo(pixels, pixels[..., 1].copy() if alpha else None, grey)
    data = images.encode_public(photo, b"envelope")
    back = images.decode(data, "x")  # what others read in it
    assert np.array_equal(back.pixels, pixels) and (back.alpha is not None) is alpha
    assert images.shows(data, photo)
    pixels[-1, -1] ^= 1
    assert not images.shows(data, photo)
    assert not images.shows(data, Photo(pixels[:-1], None if photo.alpha is None else photo.alpha[:-1], grey))

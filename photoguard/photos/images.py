"""Photos as pixels and back: what a file shows, upright, and what it tells beside that."""

from __future__ import annotations

import contextlib
import io
import math
import mmap
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import IO, Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from photoguard.errors import UnreadableError, UsageError
from photoguard.files.limits import PIXEL_CAP
from photoguard.photos import png
from photoguard.photos.geometry import Box, upright_cell
from photoguard.photos.metadata import Metadata, collect, restored_chunks

Pixels = NDArray[Any]  # (H, W, 3) RGB, uint8 or uint16

BLOCK = 16  # pixels: the side of what most coders work on together, a JPEG with halved colors among them
GRID = Box(0, 0, BLOCK, BLOCK)
DECODERS = {"WEBP": 2.0, "HEIF": 2.0, "AVIF": 2.0}  # these hold a picture several times over
SEGMENTS, PARTS, SCANS = 8192, 64, 100  # of a JPEG: all, those with EXIF, and passes over its pixels
MARKER = re.compile(rb"\xff([^\0\xff\x01\xd0-\xd8])")  # none of those that stand alone or are stuffing
STRIP = 1 << 22  # pixels that are converted at once
PNG_STRIP = 1 << 16  # and written: what fits the processor's cache
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")

# Decoders raise all of these on damaged files; each means the same to the user.
DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, struct.error, zlib.error,
    RuntimeError, AttributeError, OverflowError,
)  # fmt: skip


@dataclass(frozen=True)
class Photo:
    """An upright photo."""

    pixels: Pixels
    alpha: NDArray[Any] | None = None  # (H, W), as deep as the pixels
    grey: bool = False  # the three channels are equal, and are written as one
    icc: bytes = b""
    metadata: Metadata = field(default_factory=Metadata)
    notices: tuple[str, ...] = ()
    grid: Box = GRID  # a cell of the file's block grid

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    def shallow(self) -> NDArray[np.uint8]:
        """The pixels with 8 bits a channel, which is what networks see."""
        if self.pixels.dtype == np.uint16:
            high = np.empty(self.pixels.shape, np.uint8)
            return np.right_shift(self.pixels, 8, out=high, casting="unsafe")
        return self.pixels


def decode(data: bytes, name: str, max_pixels: int = PIXEL_CAP, first_frame: bool = False) -> Photo:
    """The photo in a file's bytes; `name` is only for messages.

    `first_frame` leaves out further frames and pages, which are an error otherwise.
    """
    try:
        _refuse_markers(data, name)
        with no_pillow_cap(), Image.open(io.BytesIO(data), formats=_formats(data)) as image:
            deep = _is_deep(data, image)
            _refuse(image, deep, name, max_pixels)
            notices = _frames(image, name, first_frame)
            # Pillow turns some formats upright while it loads; what it says before that is the file's word.
            metadata, icc = collect(data, image), bytes(image.info.get("icc_profile") or b"")
            orientation = image.getexif().get(0x0112, 1)
            image.load()  # also where others decode: Pillow tells when a file was cut short
            block = _block(image)
            if deep:
                image.close()  # its pixels would stay in memory beside the deep ones
                photo = _from_deep(_decode_deep(data), orientation, icc, metadata)
            else:
                photo = _from_pillow(image, icc, metadata)
            grid = upright_cell(*block, orientation, photo.width, photo.height)
            return replace(photo, notices=(*notices, *photo.notices), grid=grid)
    except UnidentifiedImageError:
        raise UnreadableError(
            f"{name} is not a photo that can be read", "JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC and AVIF are"
        ) from None
    except DECODER_ERRORS as error:
        raise UnreadableError(
            f"{name} is damaged: {error}", "it may be an unfinished copy or download"
        ) from None


def stated_size(file: IO[bytes], name: str) -> tuple[int, int]:
    """Width and height as a file's header states them, without decoding it."""
    try:
        if isinstance(file, io.BytesIO):
            formats = _formats(file.getvalue())
            _refuse_markers(file.getvalue(), name)
        else:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                formats = _formats(data)
                _refuse_markers(data, name)
        with no_pillow_cap(), Image.open(file, formats=formats) as image:
            return image.size
    except (*DECODER_ERRORS, UnidentifiedImageError) as error:
        raise UnreadableError(f"{name} states no size: {error}") from None


def _formats(data: bytes | mmap.mmap) -> tuple[str, ...]:
    """What Pillow may take a file for; the library for HEIC takes long to load and is for it alone."""
    if data[4:8] != b"ftyp":
        return FORMATS
    import pillow_heif

    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


def _block(image: Image.Image) -> tuple[int, int]:
    """Columns and rows that a file's coder works on together: whole MCUs of a JPEG with thinned colors."""
    across, down = 1, 1
    if len(planes := getattr(image, "layer", ())) > 1:  # of a JPEG: number, samples across and down, table
        across, down = (max(plane[at] for plane in planes) for at in (1, 2))
    elif image.format == "TIFF":  # YCbCrSubSampling, 1 to 4; other values are the file's error
        across, down = (min(max(int(v), 1), 4) for v in getattr(image, "tag_v2", {}).get(530, (1, 1)))
    return math.lcm(BLOCK, 8 * across), math.lcm(BLOCK, 8 * down)


_CAP = threading.Lock()


@contextlib.contextmanager
def no_pillow_cap() -> Iterator[None]:
    """Pillow's own limit is lower than ours and speaks through warnings; ours is checked instead."""
    with _CAP, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # on odd metadata, with a path of the library in it
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _refuse_markers(data: bytes | mmap.mmap, name: str) -> None:
    """A JPEG of more segments or scans than any has: every scan goes over all pixels, and Pillow joins EXIF.

    Markers are followed as far as the picture goes; the videos and previews behind it do not count.
    """
    at, segments, parts, scans = 2, 0, 0, 0
    while data[:2] == b"\xff\xd8" and segments <= SEGMENTS and parts <= PARTS and scans <= SCANS:
        found = MARKER.search(data, at)
        if found is None or found[1] == b"\xd9":
            return
        segments += 1 + (found.start() - at if scans == 0 else 0)  # bytes of filling are read one by one
        scans += found[1] == b"\xda"
        parts += data[found.end() + 2 : found.end() + 8] == b"Exif\0\0"
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    if segments:
        raise UnreadableError(
            f"{name} is a JPEG of more segments than a photo has", "save it anew in an image editor"
        )


def _refuse(image: Image.Image, deep: bool, name: str, max_pixels: int) -> None:
    weight = _weight(image, deep)
    if image.width * image.height * weight > max_pixels:
        taken = f", which take the memory of {weight:.1f} times as many with 8 bits" if weight > 1 else ""
        raise UnreadableError(
            f"{name} has {image.width} x {image.height} pixels{taken}, more than {max_pixels}",
            "raise the limit with --max-pixels if you trust the file",
        )


def _frames(image: Image.Image, name: str, first_only: bool) -> tuple[str, ...]:
    """Refuse several frames or pages, or say that only the first counts."""
    # Not `n_frames`: to count them, Pillow reads the directory of each of a TIFF's pages.
    animated = getattr(image, "is_animated", False)
    if not animated or image.format in ("MPO", "HEIF"):  # those carry previews or a burst's best photo
        return ()
    if not first_only:
        raise UnreadableError(
            f"{name} has several frames or pages",
            "`encrypt --first-frame` takes the first; for another, save it as a still picture",
        )
    return ("only the first of its frames or pages is in the public picture",)


def _weight(image: Image.Image, deep: bool) -> float:
    """The memory that one pixel takes while it is decoded and protected; 8-bit RGB is 1."""
    weight = DECODERS.get(image.format or "", 1.0)
    if image.format in ("JPEG", "MPO") and "progressive" in image.info:
        weight = 1.5  # its coefficients are held until the last of them is read
    if deep or image.mode.startswith("I"):
        weight *= 2
    return weight * 4 / 3 if _has_alpha(image) else weight


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("LA", "RGBA", "PA", "La", "RGBa") or "transparency" in image.info


def _from_pillow(image: Image.Image, icc: bytes, metadata: Metadata) -> Photo:
    notices: list[str] = []
    mode, turn = image.mode, image.getexif().get(0x0112, 1)
    if image.info.get("bit_depth", 8) > 8:
        notices.append(f"{image.info['bit_depth']} bits a channel were reduced to 8")
    if mode.startswith("I;16"):
        return _from_deep(np.asarray(image).astype(np.uint16), turn, icc, metadata)
    if mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "La", "RGBa", "CMYK"):
        raise UnreadableError(f"pixels of kind {mode} are not supported", "save the photo as RGB first")
    if mode == "CMYK":
        notices.append("CMYK colors were converted to sRGB")
        to_rgb, icc = _cmyk_to_rgb(icc), b""
    else:
        to_rgb = lambda strip: strip  # noqa: E731
    has_alpha = _has_alpha(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    alpha = np.empty(pixels.shape[:2], np.uint8) if has_alpha else None
    # A strip at a time: Pillow's own ways to an array hold the photo up to four times.
    step = max(1, STRIP // max(image.width, 1))
    for top in range(0, image.height, step):
        strip = to_rgb(image.crop((0, top, image.width, min(top + step, image.height))))
        samples = np.asarray(strip.convert("RGBA" if has_alpha else "RGB"))
        pixels[top : top + step] = samples[..., :3]
        if alpha is not None:
            alpha[top : top + step] = samples[..., 3]
    image.close()
    pixels = _upright(pixels, turn)
    alpha = None if alpha is None else _upright(alpha, turn)
    return Photo(pixels, alpha, mode in ("1", "L", "LA", "La"), icc, metadata, tuple(notices))


def _cmyk_to_rgb(icc: bytes) -> Callable[[Image.Image], Image.Image]:
    """The way from CMYK to sRGB that a color profile tells, or Pillow's own."""
    with contextlib.suppress(ImageCms.PyCMSError, OSError):
        if icc:
            to = ImageCms.buildTransform(io.BytesIO(icc), ImageCms.createProfile("sRGB"), "CMYK", "RGB")
            return lambda strip: ImageCms.applyTransform(strip, to) or strip.convert("RGB")
    return lambda strip: strip.convert("RGB")


def _is_deep(data: bytes, image: Image.Image) -> bool:
    """16-bit color, which Pillow would cut to 8 bits without a word."""
    depth = data[24] if image.format == "PNG" else 8
    if image.format == "TIFF":
        depth = max(getattr(image, "tag_v2", {}).get(258, (8,)))
    return depth == 16 and not image.mode.startswith("I")


def _decode_deep(data: bytes) -> NDArray[np.uint16]:
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    deep = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if deep is None or deep.dtype != np.uint16:
        raise ValueError("its 16-bit pixels cannot be decoded")
    if deep.ndim == 3:
        cv2.cvtColor(deep, cv2.COLOR_BGRA2RGBA if deep.shape[2] == 4 else cv2.COLOR_BGR2RGB, dst=deep)
    return cast(NDArray[np.uint16], deep)


def _from_deep(deep: NDArray[np.uint16], orientation: int, icc: bytes, metadata: Metadata) -> Photo:
    grey = deep.ndim == 2
    if grey:
        deep = np.repeat(deep[..., None], 3, axis=2)
    alpha = _upright(deep[..., 3].copy(), orientation) if deep.shape[2] == 4 else None
    return Photo(_upright(deep[..., :3], orientation), alpha, grey, icc, metadata)


def _upright(stored: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The array as a viewer that obeys the orientation tag shows it."""
    turn = {
        2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: a.swapaxes(0, 1)[:, ::-1],
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1], 8: lambda a: a.swapaxes(0, 1)[::-1],
    }.get(orientation)  # fmt: skip
    return np.ascontiguousarray(turn(stored) if turn else stored)


# PNG


def _encode_png(
    pixels: NDArray[Any],
    alpha: NDArray[Any] | None,
    grey: bool,
    chunks: Sequence[tuple[bytes, bytes]] = (),
) -> bytes:
    """Pixels as a PNG with these chunks and no others, written a strip at a time.

    Run-length deflate over the `up` filter: as small as OpenCV's, a little faster, and without three
    further copies of the photo (docs/results/performance.md).
    """
    kind, (height, width) = _color_type(alpha, grey), pixels.shape[:2]
    out = png.Writer(width, height, 8 * pixels.itemsize, kind, chunks)
    for top in range(0, height, step := max(1, PNG_STRIP // width)):
        out.add(_samples(pixels, alpha, grey, slice(top, top + step)))
    return out.done()


def _color_type(alpha: NDArray[Any] | None, grey: bool) -> int:
    return 6 if alpha is not None else 0 if grey else 2


def _samples(pixels: NDArray[Any], alpha: NDArray[Any] | None, grey: bool, rows: slice) -> NDArray[np.uint8]:
    """Some rows as a PNG stores them: (N, bytes of a row)."""
    strip = pixels[rows]
    if alpha is not None:
        strip = np.concatenate([strip, alpha[rows, :, None]], axis=2)
    elif grey:
        strip = strip[..., :1]
    stored = strip.astype(">u2" if pixels.itemsize == 2 else np.uint8, order="C", copy=False)
    return np.ascontiguousarray(stored).reshape(len(strip), -1).view(np.uint8)


def shows(data: bytes, photo: Photo) -> bool:
    """Whether a PNG of ours shows exactly this photo, profile included, without holding it a second time."""
    kind, depth = _color_type(photo.alpha, photo.grey), 8 * photo.pixels.itemsize
    if png.form(data) != (photo.width, photo.height, depth, kind):
        return False
    profiles = [(kind, bytes(body)) for kind, body in png.list_chunks(data) if kind == b"iCCP"]
    if profiles != _icc_chunk(photo.icc):
        return False
    top, length = 0, _samples(photo.pixels, photo.alpha, photo.grey, slice(0, 1)).shape[1]
    for rows in png.read_rows(data, length):
        wanted = _samples(photo.pixels, photo.alpha, photo.grey, slice(top, top + len(rows)))
        if not np.array_equal(rows, wanted):
            return False
        top += len(rows)
    return top == photo.height


def encode_lossless(pixels: NDArray[Any]) -> bytes:
    """(H, W, 3) pixels as a PNG of nothing but pixels."""
    return _encode_png(pixels, None, grey=False)


def encode_preview(pixels: NDArray[np.uint8], suffix: str) -> bytes:
    """A picture to look at, as JPEG or PNG after its file's suffix."""
    if suffix.lower() in (".jpg", ".jpeg"):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=90)
        return out.getvalue()
    if suffix.lower() != ".png":
        raise UsageError(
            f"previews are PNG or JPEG, not {suffix or 'a name without ending'}", "end it in .png"
        )
    return _encode_png(pixels, None, grey=False)


def _icc_chunk(icc: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))] if icc else []


def encode_public(photo: Photo, envelope: bytes | None) -> bytes:
    """The public PNG: pixels, color profile, and our one chunk; nothing else."""
    ours = [(png.CHUNK, envelope)] if envelope is not None else []
    return _encode_png(photo.pixels, photo.alpha, photo.grey, [*_icc_chunk(photo.icc), *ours])


def encode_restored(photo: Photo) -> bytes:
    """The restored PNG, with its metadata back, and the original's color profile where it is known."""
    chunks = restored_chunks(photo.metadata)
    known = any(name == b"iCCP" for name, _ in chunks)
    chunks = [*([] if known else _icc_chunk(photo.icc)), *chunks]
    return _encode_png(photo.pixels, photo.alpha, photo.grey, chunks)

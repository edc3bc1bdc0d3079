"""Photos as pixels and back: what a file shows, upright, and what it tells beside that."""

from __future__ import annotations

import contextlib
import io
import math
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from photoguard.errors import UnreadableError, UsageError
from photoguard.geometry import Box, upright_cell
from photoguard.metadata import Metadata, collect, restored_chunks
from photoguard.png import CHUNK, with_chunks

Pixels = NDArray[Any]  # (H, W, 3) RGB, uint8 or uint16

PIXEL_CAP = 200_000_000
BLOCK = 16  # pixels: the side of what most coders work on together, a JPEG with halved colors among them
GRID = Box(0, 0, BLOCK, BLOCK)
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "HEIF", "AVIF")

# Decoders raise all of these on damaged files; each means the same to the user.
DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, KeyError, struct.error, zlib.error,
    RuntimeError, AttributeError, OverflowError,
)  # fmt: skip

pillow_heif.register_heif_opener()


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
            return (self.pixels >> 8).astype(np.uint8)
        return self.pixels


def decode(data: bytes, name: str, max_pixels: int = PIXEL_CAP) -> Photo:
    """The photo in a file's bytes; `name` is only for messages."""
    try:
        with no_pillow_cap(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _refuse(image, name, max_pixels)
            deep = _decode_deep(data, image)
            # Pillow turns some formats upright while it loads; what it says before that is the file's word.
            metadata, icc = collect(data, image), bytes(image.info.get("icc_profile") or b"")
            orientation = image.getexif().get(0x0112, 1)
            image.load()
            block = _block(image)
            ImageOps.exif_transpose(image, in_place=True)
            if deep is not None:
                photo = _from_deep(deep, orientation, icc, metadata)
            else:
                photo = _from_pillow(image, icc, metadata)
            return replace(photo, grid=upright_cell(*block, orientation, photo.width, photo.height))
    except UnidentifiedImageError:
        raise UnreadableError(
            f"{name} is not a photo that can be read", "JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC and AVIF are"
        ) from None
    except DECODER_ERRORS as error:
        raise UnreadableError(
            f"{name} is damaged: {error}", "it may be an unfinished copy or download"
        ) from None


def stated_size(path: Path) -> tuple[int, int]:
    """Width and height as a file's header states them, without decoding it."""
    try:
        with no_pillow_cap(), Image.open(path, formats=FORMATS) as image:
            return image.size
    except (*DECODER_ERRORS, UnidentifiedImageError) as error:
        raise UnreadableError(f"{path.name} states no size: {error}") from None


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


def _refuse(image: Image.Image, name: str, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise UnreadableError(
            f"{name} has {image.width} x {image.height} pixels, more than {max_pixels}",
            "raise the limit with --max-pixels if you trust the file",
        )
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format not in ("MPO", "HEIF"):  # those carry previews or a burst's best photo
        raise UnreadableError(
            f"{name} has {frames} frames or pages", "save the one you want as a still picture first"
        )


def _from_pillow(image: Image.Image, icc: bytes, metadata: Metadata) -> Photo:
    notices: list[str] = []
    mode = image.mode
    if image.info.get("bit_depth", 8) > 8:
        notices.append(f"{image.info['bit_depth']} bits a channel were reduced to 8")
    if mode == "CMYK":
        notices.append("CMYK colors were converted to sRGB")
        image, icc = _from_cmyk(image, icc), b""
    elif mode == "I;16" or mode.startswith("I;16"):
        return _from_deep(np.asarray(image).astype(np.uint16), 1, icc, metadata)
    elif mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "La", "RGBa"):
        raise UnreadableError(f"pixels of kind {mode} are not supported", "save the photo as RGB first")
    grey = mode in ("1", "L", "LA", "La")
    has_alpha = image.mode in ("LA", "RGBA", "PA", "La", "RGBa") or "transparency" in image.info
    if has_alpha:
        wide = np.asarray(image.convert("RGBA"))
        return Photo(
            np.ascontiguousarray(wide[..., :3]), wide[..., 3].copy(), grey, icc, metadata, tuple(notices)
        )
    plain = image if image.mode == "RGB" else image.convert("RGB")
    return Photo(np.array(plain), None, grey, icc, metadata, tuple(notices))


def _from_cmyk(image: Image.Image, icc: bytes) -> Image.Image:
    if icc:
        with contextlib.suppress(ImageCms.PyCMSError):
            converted = ImageCms.profileToProfile(
                image, io.BytesIO(icc), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            if converted is not None:
                return converted
    return image.convert("RGB")


def _decode_deep(data: bytes, image: Image.Image) -> NDArray[np.uint16] | None:
    """16-bit color, which Pillow would cut to 8 bits without a word."""
    depth = data[24] if image.format == "PNG" else 8
    if image.format == "TIFF":
        depth = max(getattr(image, "tag_v2", {}).get(258, (8,)))
    if depth != 16 or image.mode.startswith("I"):
        return None
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    deep = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if deep is None or deep.dtype != np.uint16:
        raise ValueError("its 16-bit pixels cannot be decoded")
    if deep.ndim == 3:
        deep = cv2.cvtColor(deep, cv2.COLOR_BGRA2RGBA if deep.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    return cast(NDArray[np.uint16], deep)


def _from_deep(deep: NDArray[np.uint16], orientation: int, icc: bytes, metadata: Metadata) -> Photo:
    turn = {
        2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1), 6: lambda a: a.swapaxes(0, 1)[:, ::-1],
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1], 8: lambda a: a.swapaxes(0, 1)[::-1],
    }.get(orientation)  # fmt: skip
    deep = np.ascontiguousarray(turn(deep) if turn else deep)
    grey = deep.ndim == 2
    if grey:
        deep = np.repeat(deep[..., None], 3, axis=2)
    alpha = deep[..., 3].copy() if deep.shape[2] == 4 else None
    return Photo(np.ascontiguousarray(deep[..., :3]), alpha, grey, icc, metadata)


# PNG


def _encode_png(pixels: NDArray[Any], alpha: NDArray[Any] | None, grey: bool) -> bytes:
    """Pixels as a bare PNG.

    Run-length deflate over the `up` filter: on a noisy 12 MP photo 0.5 s and 23.6 MB, where OpenCV's default
    takes 1.1 s for 24.9 MB and Pillow's 2.2 s for 23.5 MB (docs/performance.md).
    """
    if alpha is not None:
        channels = cv2.merge([*cv2.split(pixels)[::-1], alpha])
    else:
        channels = np.ascontiguousarray(pixels[..., 0]) if grey else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE,
               cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]  # fmt: skip
    done, png = cv2.imencode(".png", channels, options)
    if not done:
        raise UnreadableError("the picture cannot be written as PNG")
    return png.tobytes()


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
    bare = _encode_png(photo.pixels, photo.alpha, photo.grey)
    ours = [(CHUNK, envelope)] if envelope is not None else []
    return with_chunks(bare, [*_icc_chunk(photo.icc), *ours])


def encode_restored(photo: Photo) -> bytes:
    """The restored PNG, with its metadata back, and the original's color profile where it is known."""
    chunks = restored_chunks(photo.metadata)
    bare = _encode_png(photo.pixels, photo.alpha, photo.grey)
    known = any(name == b"iCCP" for name, _ in chunks)
    return with_chunks(bare, [*([] if known else _icc_chunk(photo.icc)), *chunks])

"""Pixels: PNG of 16 bits by hand, all else through Pillow; fingerprint, digest, luminance."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from PIL import Image

from reader.envelope import DamagedError, UnreadableError, require

Pixels = np.ndarray  # (H, W, 3), uint8 or uint16
START = b"\x89PNG\r\n\x1a\n"


@dataclass
class Photo:
    """An upright photo."""

    pixels: Pixels
    alpha: np.ndarray | None = None  # (H, W)
    gray: bool = False
    icc: bytes = b""


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """All chunks of a PNG, its structure checked."""
    chunks, at = [], 8
    require(data[:8] == START, "no PNG")
    while not chunks or chunks[-1][0] != b"IEND":
        require(at + 12 <= len(data), "the PNG is cut short")
        length = int.from_bytes(data[at : at + 4], "big")
        require(at + 12 + length <= len(data), "the PNG is cut short")
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        crc = int.from_bytes(data[at + 8 + length : at + 12 + length], "big")
        require(zlib.crc32(kind + body) == crc, "a chunk's CRC")
        chunks.append((kind, body))
        at += 12 + length
    require(at == len(data), "bytes behind the PNG")
    return chunks


def decode(data: bytes) -> Photo:
    """The photo that a picture shows."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            icc = bytes(image.info.get("icc_profile") or b"")
            gray = image.mode in ("1", "L", "LA", "I;16")
            if image.format == "PNG" and data[24] == 16:
                samples = png_samples(data)
            else:
                alpha = image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info
                samples = np.array(image.convert("RGBA" if alpha else "RGB"))
    except (OSError, SyntaxError, ValueError, zlib.error, Image.DecompressionBombError) as error:
        raise UnreadableError(str(error)) from None
    channels = samples.shape[2]
    pixels = samples[..., :3] if channels > 2 else np.repeat(samples[..., :1], 3, axis=2)
    alpha = samples[..., -1].copy() if channels in (2, 4) else None
    return Photo(np.ascontiguousarray(pixels), alpha, gray, icc)


def png_samples(data: bytes) -> np.ndarray:
    """(H, W, C) samples of a PNG of 8 or 16 bits that is neither interlaced nor a palette."""
    chunks = png_chunks(data)
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    if interlaced or kind not in (0, 2, 4, 6) or depth not in (8, 16):
        raise ValueError("a PNG of this kind")
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    step = channels * depth // 8  # bytes of a pixel
    raw = zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT"))
    lines = np.frombuffer(raw, np.uint8).reshape(height, 1 + width * step)
    rows = np.zeros((height + 1, width + 1, step), np.uint8)  # with a row above and a pixel at the left
    for y, line in enumerate(lines, start=1):
        _unfilter(line[0], line[1:].reshape(width, step), rows[y], rows[y - 1])
    return rows[1:, 1:].reshape(height, -1).view(f">u{depth // 8}").reshape(height, width, channels).astype(
        f"u{depth // 8}"
    )  # fmt: skip


def _unfilter(kind: int, line: np.ndarray, row: np.ndarray, above: np.ndarray) -> None:
    """Undo a PNG line's filter into `row`."""
    if kind == 0:
        row[1:] = line
    elif kind == 1:
        row[1:] = np.cumsum(line, axis=0, dtype=np.uint8)
    elif kind == 2:
        row[1:] = line + above[1:]
    else:
        left = np.zeros(line.shape[1], int)
        for x in range(len(line)):
            a, b, c = left, above[x + 1].astype(int), above[x].astype(int)
            p = (a + b) // 2 if kind == 3 else _paeth(a, b, c)
            left = (line[x] + p) % 256
            row[x + 1] = left


def _paeth(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
    return np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))


def fingerprint(photo: Photo, version: int) -> bytes:
    """SHA-256 of all that a picture shows (section 7)."""
    height, width = photo.pixels.shape[:2]
    label = f"{photo.pixels.dtype.name} {width}x{height} alpha={photo.alpha is not None}"
    if version == 2:
        label += f" icc={sha256(photo.icc).hexdigest() if photo.icc else 'none'}"
    return sha256(label.encode() + b"\0" + _samples(photo.pixels) + _samples(photo.alpha)).digest()


def digest(patch: Pixels) -> bytes:
    """SHA-256 of a patch (section 8)."""
    return sha256(f"{patch.dtype.name} {patch.shape}".encode() + b"\0" + _samples(patch)).digest()


def _samples(values: np.ndarray | None) -> bytes:
    return b"" if values is None else values.astype(f"<u{values.itemsize}").tobytes()


def luminance(pixels: Pixels) -> np.ndarray:
    """ITU-R BT.601 in integers (section 9): (H, W), as deep as the pixels."""
    weighted = pixels.astype(np.int64) @ np.array([9798, 19235, 3735])
    return ((weighted + 16384) >> 15).astype(pixels.dtype)


def patch_of(method_bytes: bytes, height: int, width: int) -> Pixels:
    """The picture behind a method byte `W` or `P`, of exactly this size (section 8)."""
    kind, data = method_bytes[:1], method_bytes[1:]
    try:
        with Image.open(io.BytesIO(data), formats=["WEBP" if kind == b"W" else "PNG"]) as image:
            require(image.size == (width, height), "a patch's size")
            patch = np.array(image.convert("RGB")) if kind == b"W" else png_samples(data)
    except (OSError, SyntaxError, ValueError, zlib.error, Image.DecompressionBombError) as error:
        raise DamagedError(f"a patch cannot be decoded: {error}") from None
    require(patch.shape[2] == 3, "a patch's channels")
    return patch

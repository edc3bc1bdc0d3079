"""What test vectors are built of: files of version 1 and pictures, without photoguard's own writers.

Nothing here depends on the release of an encoder or on what photoguard writes today.
"""

# ruff: noqa: E501  (one fault a line reads best as a table)
from __future__ import annotations

import json
import struct
import textwrap
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from photoguard import methods
from photoguard.photos.geometry import Box

START, CHUNK = b"\x89PNG\r\n\x1a\n", b"pgRd"
PHOTO_ID, OTHER_ID = bytes(range(16)), bytes(range(16, 32))
KEYS = [bytes([0xA0 + n]) * 32 for n in range(4)]  # metadata, face 1, face 2, nobody's
BOXES = [Box(2, 2, 8, 8), Box(12, 4, 10, 8)]
IDENTITY = "AGE-SECRET-KEY-1Z2FJSMMDLY6RT0URMRSMDCNSDF0QKWRF9ZD837RL8JZ0Q49G4F8QYR2VUE"
STRANGER = "AGE-SECRET-KEY-1UDEPTJM4EUR9SRUATFND9E44N6NXAKPFUYX5YHRJK5FFARE7CQ3SGV40LD"
PASSPHRASE = "four random words here"
# 8 x 8 pixels of (200, 60, 30); made once, because encoders change from release to release.
FLAT_CHIP_WEBP = b64decode("UklGRh4AAABXRUJQVlA4TBEAAAAvF8AFAAdQniLXo/+BiOh/AAA=")  # 24 x 24
FLAT_WEBP = b64decode("UklGRh4AAABXRUJQVlA4TBEAAAAvB8ABAAdQniLXo/+BiOh/AAA=")


@dataclass(frozen=True)
class Vector:
    """One file: what to read it as, what must come of it, and its bytes."""

    expect: str  # ok, damaged or wrong-key
    reads: str  # public, private, carrier, picture, age, features or chip
    comment: str
    body: bytes
    fields: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """The file: a header of lines, an empty line, the bytes in base64."""
        lines = [f"expect: {self.expect}", f"reads: {self.reads}"]
        for name, value in self.fields.items():
            lines += [f"{name}: {one}" for one in (value if isinstance(value, list) else [value])]
        body = textwrap.fill(b64encode(self.body).decode(), 76)
        return "\n".join([*lines, f"comment: {self.comment}", "", body, ""])


def damaged(reads: str, says: str, comment: str, body: bytes, **fields: Any) -> Vector:
    """A vector with a fault; `says` is a piece of our own message, so that the right check is the one that fails."""
    return Vector("damaged", reads, comment, body, {**fields, "says": says})


# Building stones that do not depend on the release of an encoder


def stored(data: bytes) -> bytes:
    """A zlib stream of one stored block."""
    size = len(data)
    return (
        b"\x78\x01\x01"
        + struct.pack("<HH", size, size ^ 0xFFFF)
        + data
        + struct.pack(">I", zlib.adler32(data))
    )


def png_of(pixels: np.ndarray[Any, Any], chunks: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """(H, W, C) pixels as an uncompressed PNG; C is 1, 3 or 4."""
    height, width, channels = pixels.shape
    kind, depth = {1: 0, 3: 2, 4: 6}[channels], 8 * pixels.itemsize
    rows = pixels.astype(f">u{pixels.itemsize}").reshape(height, -1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = [(b"IHDR", head), *chunks, (b"IDAT", stored(data)), (b"IEND", b"")]
    return START + b"".join(chunk(*one) for one in body)


def chunk(kind: bytes, body: bytes) -> bytes:
    """One PNG chunk."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw(
    header: Any, blobs: Sequence[bytes], magic: bytes = b"PGRD", version: int = 1, more: int = 0
) -> bytes:
    """An envelope without any check; a header that is not text is written as canonical JSON."""
    text = header if isinstance(header, bytes) else canonical(header)
    return b"".join([magic, struct.pack(">BI", version, len(text) + more), text, *blobs])


@dataclass(frozen=True)
class Photo:
    """A photo of three samples a pixel."""

    pixels: np.ndarray[Any, Any]
    alpha: np.ndarray[Any, Any] | None = None
    grey: bool = False
    icc: bytes = b""

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])


# Files of version 1, frozen


def canonical(header: dict[str, Any]) -> bytes:
    """Canonical JSON."""
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def pack(header: dict[str, Any], blobs: Sequence[bytes], version: int = 1) -> bytes:
    """An envelope."""
    return raw({**header, "blobs": [len(blob) for blob in blobs]}, blobs, version=version)


@dataclass(frozen=True)
class PublicFile:
    """A public envelope."""

    photo_id: bytes
    width: int
    height: int
    faces: tuple[tuple[Box, str], ...]  # with their methods
    carriers: tuple[bytes, ...] = ()

    def header(self) -> dict[str, Any]:
        """The header, less the blobs' lengths."""
        faces = [{"box": [b.x, b.y, b.width, b.height], "method": method} for b, method in self.faces]
        size = [self.width, self.height]
        return {"faces": faces, "id": self.photo_id.hex(), "kind": "public", "size": size}

    def to_bytes(self) -> bytes:
        """The envelope."""
        return pack(self.header(), self.carriers)


@dataclass(frozen=True)
class Grant:
    """What opens one face."""

    number: int
    key: bytes
    check: bytes
    feature: bytes


@dataclass(frozen=True)
class PrivateFile:
    """A private envelope."""

    photo_id: bytes
    picture: bytes
    metadata_key: bytes | None
    grants: tuple[Grant, ...]
    portable: bytes | None = None

    def to_bytes(self) -> bytes:
        """The envelope."""
        header = {
            "faces": [g.number for g in self.grants], "id": self.photo_id.hex(), "kind": "private",
            "metadata": self.metadata_key is not None, "portable": self.portable is not None,
        }  # fmt: skip
        last = [blob for blob in (self.metadata_key, self.portable) if blob is not None]
        return pack(header, [self.picture, *(g.key + g.check + g.feature for g in self.grants), *last])

    def granting(self, numbers: Sequence[int], metadata: bool) -> PrivateFile:
        """The same for fewer faces."""
        grants = tuple(grant for grant in self.grants if grant.number in numbers)
        return replace(self, grants=grants, metadata_key=self.metadata_key if metadata else None)


def fingerprint(photo: Photo, icc: str = "") -> bytes:
    """Section 7; `icc` is what version 2 adds to the label."""
    label = f"{photo.pixels.dtype.name} {photo.width}x{photo.height} alpha={photo.alpha is not None}{icc}"
    alpha = b"" if photo.alpha is None else photo.alpha.tobytes()
    return sha256(label.encode() + b"\0" + photo.pixels.tobytes() + alpha).digest()


def pack_metadata(photo: Photo, exact: bool, some: bool) -> bytes:
    """The metadata carrier's content, with some EXIF, XMP and a text or with none."""
    header = {"exact": fingerprint(photo).hex() if exact else "", "format": "JPEG" if some else "",
              "kind": "metadata", "name": "photo.jpg"}  # fmt: skip
    blobs = [b"MM\0*\0\0\0\x08\0\0", b"<x/>", b'{"Comment": "hi"}'] if some else [b"", b"", b"{}"]
    return pack(header, blobs)


def pad(content: bytes) -> bytes:
    """Framed and padded."""
    framed = struct.pack(">I", len(content)) + content
    length = max(len(framed), 256)
    exponent = length.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return framed.ljust(-(-length // step) * step, b"\0")


def associated(header: dict[str, Any], lengths: list[int], number: int, version: int = 1) -> bytes:
    """What a carrier is bound to."""
    return (
        b"photoguard carrier" + struct.pack(">BI", version, number) + canonical({**header, "blobs": lengths})
    )


def sealed(
    header: dict[str, Any], keys: Sequence[bytes], contents: Sequence[bytes], version: int = 1
) -> tuple[bytes, ...]:
    """The carriers."""
    padded = [pad(content) for content in contents]
    lengths = [len(one) + 16 for one in padded]
    return tuple(
        ChaCha20Poly1305(key).encrypt(bytes(12), plain, associated(header, lengths, number, version))
        for number, (key, plain) in enumerate(zip(keys, padded, strict=True))
    )


# The photo that all of them are about


@dataclass(frozen=True)
class Scene:
    """A photo, what was made of it, and how to write that as a PNG."""

    original: Photo
    picture: Photo
    public: PublicFile
    private: PrivateFile

    def png(self, body: bytes | None = None, chunks: Sequence[tuple[bytes, bytes]] | None = None) -> bytes:
        """The public picture, with another carrier or other chunks when given."""
        ours = [(CHUNK, self.public.to_bytes() if body is None else body)]
        pixels = self.picture.pixels[..., :1] if self.picture.grey else self.picture.pixels
        if self.picture.alpha is not None:
            pixels = np.dstack([pixels, self.picture.alpha])
        return png_of(pixels, ours if chunks is None else chunks)


def gradient(dtype: type = np.uint8, grey: bool = False) -> np.ndarray[Any, Any]:
    """24 x 16 pixels that differ from each other."""
    y, x = np.mgrid[:16, :24]
    pixels = np.stack([x * 9, y * 13, (x * 7 + y * 5) % 256], axis=-1)
    if grey:
        pixels = np.repeat(pixels[..., :1], 3, axis=-1)
    return (pixels * (257 if dtype is np.uint16 else 1)).astype(dtype)


def owned(boxes: Sequence[Box], number: int) -> np.ndarray[Any, Any]:
    """Which pixels of a box are its own: the smallest one's that holds them, of equal ones the first's."""
    owners = np.full((max(b.y + b.height for b in boxes), max(b.x + b.width for b in boxes)), -1)
    for n in sorted(range(len(boxes)), key=lambda n: (boxes[n].area, n), reverse=True):
        owners[boxes[n].window] = n
    mine: np.ndarray[Any, Any] = owners[boxes[number].window] == number
    return mine


def scene(
    photo: Photo | None = None, boxes: Sequence[Box] = BOXES, *, contents: dict[int, bytes] | None = None,
    checks: dict[int, bytes] | None = None, exact: bool = True, metadata: bytes | None = None,
    method: str = "solid", webp: bool = False,
) -> Scene:  # fmt: skip
    """The photo with every box covered; `contents`, `checks` and `metadata` stand in for the right ones."""
    some, photo = photo is None, photo or Photo(gradient())
    if webp:
        photo.pixels[boxes[0].window] = (200, 60, 30)
    pixels, alpha = photo.pixels.copy(), None if photo.alpha is None else photo.alpha.copy()
    sealed_faces, grants = [], []
    for n, box in enumerate(boxes):
        mine, patch = owned(boxes, n), photo.pixels[box.window].copy()
        patch[~mine] = 0
        hidden = b"" if photo.alpha is None else stored(photo.alpha[box.window].astype(">u2").tobytes())
        public = b"W" + FLAT_WEBP if webp and n == 0 else b"P" + png_of(patch)
        sealed_faces.append((contents or {}).get(n + 1) or pack({"kind": "face"}, [public, hidden]))
        check = (checks or {}).get(n + 1) or methods.digest(patch)
        grants.append(Grant(n + 1, KEYS[n + 1], check, b""))
        pixels[box.window][mine] = np.iinfo(pixels.dtype).max // 2
        if alpha is not None:
            alpha[box.window] = np.iinfo(alpha.dtype).max
    picture = replace(photo, pixels=pixels, alpha=alpha)
    empty = PublicFile(PHOTO_ID, photo.width, photo.height, tuple((box, method) for box in boxes))
    facts = metadata or pack_metadata(photo, exact, some)
    public_file = replace(
        empty, carriers=sealed(empty.header(), KEYS[: len(boxes) + 1], [facts, *sealed_faces])
    )
    private = PrivateFile(PHOTO_ID, fingerprint(picture), KEYS[0], tuple(grants))
    return Scene(photo, picture, public_file, private)


BASE = scene()
HEADER = {**BASE.public.header(), "blobs": [len(c) for c in BASE.public.carriers]}
CARRIERS = list(BASE.public.carriers)
SECRET_HEADER = {"blobs": [32, 64, 64, 32], "faces": [1, 2], "id": PHOTO_ID.hex(), "kind": "private",
                 "metadata": True, "portable": False}  # fmt: skip
SECRETS = [BASE.private.picture, *(g.key + g.check for g in BASE.private.grants), KEYS[0]]

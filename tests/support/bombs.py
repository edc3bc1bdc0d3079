"""Small files that ask for much: what an attacker sends, made here so that every test can send it."""

from __future__ import annotations

import io
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

from photoguard import methods
from photoguard.formats import contents as sealed
from photoguard.formats import envelope, signing
from photoguard.formats.envelope import PublicFace, PublicFile
from photoguard.formats.private import Grant, PrivateFile, seal_private
from photoguard.photos import images
from photoguard.photos.geometry import Box
from photoguard.photos.images import Photo
from photoguard.photos.png import START

PIECE = 1 << 20  # bytes of zeros that are compressed once and repeated


def zeros(count: int) -> bytes:
    """A zlib stream of `count` zeros, made without holding them: one compressed piece over and over."""

    def piece(length: int) -> bytes:
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        return deflate.compress(bytes(length)) + deflate.flush(zlib.Z_FULL_FLUSH)

    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    adler = struct.pack(">I", count % 65521 << 16 | 1)
    return b"".join([b"\x78\xda", piece(PIECE) * (count // PIECE), piece(count % PIECE), end, adler])


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def flat_png(width: int, height: int, *, depth: int = 8, color: int = 2, before: bytes = b"") -> bytes:
    """A black PNG; `color` 0 gray, 2 RGB, 4 gray and alpha, 6 RGBA; `before` are chunks before pixels."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    row = 1 + -(-width * samples * depth // 8)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"".join([START, header, before, chunk(b"IDAT", zeros(row * height)), chunk(b"IEND", b"")])


def saved(kind: str, width: int, height: int, **options: object) -> bytes:
    """A gray picture as Pillow writes it."""
    pillow_heif.register_heif_opener()
    out = io.BytesIO()
    mode = str(options.pop("mode", "RGB"))
    Image.new(mode, (width, height), 128 if mode == "L" else (128,) * len(mode)).save(out, kind, **options)
    return out.getvalue()


def tiff_chain(pages: int, *, cycle: bool = False) -> bytes:
    """A TIFF whose pages are nothing but a directory of the same one-pixel strip; a cycle leads back."""
    tags = ((256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8),
            (278, 3, 1, 1), (279, 4, 1, 1))  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    size, start = 2 + len(entries) + 4, 12
    directories = []
    for page in range(pages):
        after = start + (page + 1) * size if page + 1 < pages else (start if cycle else 0)
        directories.append(struct.pack("<H", len(tags)) + entries + struct.pack("<I", after))
    return b"".join([b"II*\0", struct.pack("<I", start), b"\x80\0\0\0", *directories])


def sparse(path: Path, size: int, head: bytes = b"age-encryption.org/v1\n") -> Path:
    """A file of `size` bytes that takes none on the disk."""
    with path.open("wb") as file:
        file.write(head)
        os.truncate(file.fileno(), size)
    return path


def sealed_pair(
    photo: Photo, boxes: list[Box], content: bytes, check: bytes, method: str = "solid", feature: bytes = b"",
    version: int = 1,
) -> tuple[bytes, PrivateFile]:  # fmt: skip
    """A public picture whose every box holds the same sealed bytes, and what opens it.

    Version 1 allows covers of larger area, and so more work.
    """
    faces = tuple(PublicFace(box, method, "plain" if version > 1 else "") for box in boxes)
    contents = [b"metadata", *[content] * len(boxes), *[b"everything"] * (version - 1)]
    keys = [os.urandom(32) for _ in contents]
    empty = PublicFile(os.urandom(16), photo.width, photo.height, faces, (), version)
    public = envelope._seal(empty, keys, contents)
    grants = tuple(Grant(n, keys[n], check, feature) for n in range(1, len(boxes) + 1))
    picture = images.encode_public(photo, public.to_bytes())
    fingerprint = sealed.fingerprint(photo, version)
    if version > 1:
        made = seal_private(public, fingerprint, keys, grants, signing.throwaway(), portable=False)
        return picture, replace(made, metadata_key=None, everything_key=None)
    return picture, PrivateFile(public.photo_id, fingerprint, None, grants)


def stacked(count: int, side: int = 4000, version: int = 1) -> tuple[bytes, PrivateFile]:
    """`count` faces that all are one box as large as the photo: 2 KB each, and side^2 pixels of work."""
    patch = np.zeros((side, side, 3), np.uint8)
    content, boxes = sealed_face(b"W" + saved_patch(patch), version), [Box(0, 0, side, side)] * count
    return sealed_pair(Photo(patch), boxes, content, methods.digest(patch), version=version)


def sealed_face(content: bytes, version: int = 1) -> bytes:
    """What a face's carrier holds, without alpha."""
    return envelope.pack({"kind": "face"}, [content, b""], version)


def saved_patch(patch: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(patch).save(out, "WEBP", lossless=True, exact=True)
    return out.getvalue()

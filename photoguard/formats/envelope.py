"""Our file formats: bytes <-> header and blobs, public envelopes, and the sealing of carriers.

docs/spec/format.md is the law.
"""

from __future__ import annotations

import json
import re
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from photoguard.errors import DamagedError, UsageError
from photoguard.photos.geometry import Box

MAGIC = b"PGRD"
START = len(MAGIC) + 5  # magic, version, length of the header
VERSION = 2  # of what is written; version 1 opens for good
VERSIONS = (1, VERSION)
HEADER_LIMITS = {1: 1 << 18, 2: 1 << 19}  # by version
BLOB_LIMIT = (1 << 31) - 1
FACE_LIMIT = 4096
BLOBS_LIMIT = FACE_LIMIT + 5  # a portable private file: fingerprint, seal, faces, two keys, public envelope
SIDE_LIMIT = 1 << 20
# All covers together may have so many pixels, or twice the photo's: by the version of the envelope. Version 1
# had no limit, so its files get one that no photo with faces comes near; it only bounds a reader's work.
AREA_LIMIT = {1: 512_000_000, 2: 32_000_000}
NAME = re.compile(r"[a-z0-9]{1,16}")  # of a method or a look

KEY = 32
PHOTO_ID = 16
TAG = 16
METADATA = 0  # the number under which the photo's metadata is sealed; faces count from 1, everything is last

Header = dict[str, Any]


def _canonical(header: Header) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def pack(header: Header, blobs: Sequence[bytes], version: int = VERSION) -> bytes:
    """Magic, version, header length, canonical header, then the blobs back to back."""
    text = _canonical({**header, "blobs": [len(blob) for blob in blobs]})
    if len(text) > HEADER_LIMITS[version]:
        raise UsageError("there are too many covers for one file", "cover fewer faces, or one large region")
    return b"".join([MAGIC, struct.pack(">BI", version, len(text)), text, *blobs])


def version_of(data: bytes, known: Sequence[int] = VERSIONS) -> int:
    """The version that an envelope states, when it is one we know."""
    if data[: len(MAGIC)] != MAGIC or len(data) < START:
        raise DamagedError("this is not photoguard data", "the file may be cut short or of another program")
    if data[len(MAGIC)] not in known:
        raise DamagedError(
            f"format version {data[len(MAGIC)]} is unknown", "a newer photoguard may be able to read it"
        )
    return data[len(MAGIC)]


def unpack(data: bytes, kind: str, version: int = VERSION) -> tuple[Header, list[bytes]]:
    """The header without its blob lengths, and the blobs; anything unusual is a damaged file."""
    version_of(data, (version,))
    (length,) = struct.unpack(">I", data[len(MAGIC) + 1 : START])
    if length > HEADER_LIMITS[version] or START + length > len(data):
        raise DamagedError("the header is longer than the data allows")
    text = data[START : START + length]
    try:
        header = json.loads(text.decode("ascii"))
        unusual = not isinstance(header, dict) or _canonical(header) != text
    except (ValueError, RecursionError):
        unusual = True
    if unusual:
        raise DamagedError("the header is not canonical JSON")
    if header.pop("kind", None) != kind:
        raise DamagedError(f"this is not a {kind} envelope")
    return header, _split(data[START + length :], header.pop("blobs", None))


def _split(data: bytes, lengths: Any) -> list[bytes]:
    if not isinstance(lengths, list) or len(lengths) > BLOBS_LIMIT:
        raise DamagedError("the header lists no blobs")
    blobs, at = [], 0
    for length in lengths:
        if not is_number(length, 0, BLOB_LIMIT) or at + length > len(data):
            raise DamagedError("the header promises more bytes than there are")
        blobs.append(data[at : at + length])
        at += length
    if at != len(data):
        raise DamagedError(f"{len(data) - at} bytes too many at the end")
    return blobs


def is_number(value: Any, low: int, high: int) -> bool:
    """Whether a value is an integer in range."""
    return type(value) is int and low <= value <= high  # bool is an int to isinstance


def exactly(header: Header, *names: str) -> None:
    """Refuse a header that lacks a field or has another."""
    if set(header) != set(names):
        raise DamagedError("the header has missing or unknown fields")


def photo_id(header: Header) -> bytes:
    """The photo id that a header states."""
    text = header["id"]
    if not isinstance(text, str) or len(text) != 2 * PHOTO_ID or text.strip("0123456789abcdef"):
        raise DamagedError("the photo id is not 16 bytes in hexadecimal")
    return bytes.fromhex(text)


@dataclass(frozen=True)
class PublicFace:
    """What anyone may know of a covered face."""

    box: Box
    method: str
    look: str = ""  # how its cover is drawn; version 1 does not say


@dataclass(frozen=True)
class PublicFile:
    """The chunk of `NAME.pub.png`: where the covers are, and ciphertext."""

    photo_id: bytes
    width: int
    height: int
    faces: tuple[PublicFace, ...]
    carriers: tuple[bytes, ...]  # metadata first, then one a face, then (from version 2) everything
    version: int = VERSION

    @property
    def everything(self) -> int:
        """The number under which the whole of the original's metadata is sealed."""
        return len(self.faces) + 1

    def header(self) -> Header:
        """The envelope's header, less the blob lengths."""
        faces = []
        for f in self.faces:
            face = {"box": [f.box.x, f.box.y, f.box.width, f.box.height], "method": f.method}
            faces.append(face if self.version == 1 else face | {"look": f.look})
        size = [self.width, self.height]
        return {"faces": faces, "id": self.photo_id.hex(), "kind": "public", "size": size}

    @cached_property
    def canonical_header(self) -> bytes:
        """The header as it stands in the envelope; each of thousands of carriers is bound to it."""
        return _canonical({**self.header(), "blobs": [len(carrier) for carrier in self.carriers]})

    def to_bytes(self) -> bytes:
        """The envelope."""
        return pack(self.header(), self.carriers, self.version)

    @staticmethod
    def from_bytes(data: bytes) -> PublicFile:
        """Parse and check everything that needs no key."""
        version = version_of(data)
        header, blobs = unpack(data, "public", version)
        exactly(header, "faces", "id", "size")
        size, faces = header["size"], header["faces"]
        if not _is_box([0, 0, *size] if isinstance(size, list) else size):
            raise DamagedError("the photo's size is not two positive numbers")
        if (
            not isinstance(faces, list)
            or not 1 <= len(faces) <= FACE_LIMIT
            or len(blobs) != len(faces) + version
        ):
            raise DamagedError("faces and blobs do not match")
        parsed = tuple(_public_face(face, size[0], size[1], version) for face in faces)
        if sum(face.box.area for face in parsed) > area_limit(size[0], size[1], version):
            raise DamagedError("the covers have more pixels than a photo of this size may have")
        return PublicFile(photo_id(header), size[0], size[1], parsed, tuple(blobs), version)


def area_limit(width: int, height: int, version: int) -> int:
    """How many pixels all boxes of a photo may have together."""
    return max(2 * width * height, AREA_LIMIT[version])


def refuse_area(boxes: Sequence[Box], width: int, height: int) -> None:
    """What no reader may open is not written."""
    area, limit = sum(box.area for box in boxes), area_limit(width, height, version=2)
    if area > limit:
        raise UsageError(
            f"the {len(boxes)} covers overlap so much that they have {area} pixels, more than {limit}",
            "choose a smaller --margin, or cover one large --region",
        )


def _is_box(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 4:
        return False
    x, y, width, height = value
    starts = all(is_number(n, 0, SIDE_LIMIT) for n in (x, y))
    return starts and all(is_number(n, 1, SIDE_LIMIT) for n in (width, height))


def _public_face(value: Any, width: int, height: int, version: int) -> PublicFace:
    names = {"box", "method"} if version == 1 else {"box", "method", "look"}
    if not isinstance(value, dict) or set(value) != names or not _is_box(value["box"]):
        raise DamagedError("a face has no proper box")
    box = Box(*value["box"])
    if not box.inside(width, height):
        raise DamagedError("a face lies outside the photo")
    words = [value[name] for name in sorted(names - {"box"}, reverse=True)]  # method, look
    if not all(isinstance(word, str) and NAME.fullmatch(word) for word in words):
        raise DamagedError("a face's method or look has no proper name")
    return PublicFace(box, *words)


def padded_length(length: int) -> int:
    """Where padding ends: at most 12 % more, and only O(log log n) bits of the length remain (Padmé).

    Below 256 bytes everything looks alike.
    """
    length = max(length, 256)
    exponent = length.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return -(-length // step) * step


def _pad(plaintext: bytes) -> bytes:
    framed = struct.pack(">I", len(plaintext)) + plaintext
    return framed.ljust(padded_length(len(framed)), b"\0")


def _unpad(padded: bytes) -> bytes:
    if len(padded) < 4:
        raise DamagedError("a carrier is too short")
    (length,) = struct.unpack(">I", padded[:4])
    if padded_length(4 + length) != len(padded) or padded[4 + length :].strip(b"\0"):
        raise DamagedError("a carrier's padding is damaged")
    return padded[4 : 4 + length]


def _associated(header: bytes, version: int, number: int) -> bytes:
    return b"photoguard carrier" + struct.pack(">BI", version, number) + header


def seal(
    width: int, height: int, faces: Sequence[PublicFace], contents: Sequence[bytes]
) -> tuple[PublicFile, list[bytes]]:
    """Encrypt metadata, each face's content and everything under fresh keys, which come in that order."""
    keys = [secrets.token_bytes(KEY) for _ in contents]
    empty = PublicFile(secrets.token_bytes(PHOTO_ID), width, height, tuple(faces), ())
    return _seal(empty, keys, contents), keys


def _seal(empty: PublicFile, keys: Sequence[bytes], contents: Sequence[bytes]) -> PublicFile:
    padded = [_pad(content) for content in contents]
    lengths = [len(p) + TAG for p in padded]
    header = _canonical({**empty.header(), "blobs": lengths})
    # A key encrypts one message in its life, so the nonce can be constant.
    carriers = tuple(
        ChaCha20Poly1305(key).encrypt(bytes(12), plain, _associated(header, empty.version, number))
        for number, (key, plain) in enumerate(zip(keys, padded, strict=True))
    )
    return replace(empty, carriers=carriers)


def open_carrier(public: PublicFile, number: int, key: bytes) -> bytes:
    """Decrypt and authenticate one carrier: 0 is the metadata, faces count from 1, the last is everything."""
    if not 0 <= number < len(public.carriers):
        raise DamagedError(f"the picture has no face {number}")
    associated = _associated(public.canonical_header, public.version, number)
    try:
        return _unpad(ChaCha20Poly1305(key).decrypt(bytes(12), public.carriers[number], associated))
    except InvalidTag:
        what = f"face {number}" if 0 < number <= len(public.faces) else "the metadata"
        raise DamagedError(
            f"the sealed data of {what} was altered", "get the picture again from where it came from"
        ) from None

"""Our file formats: bytes <-> header and blobs, and the sealing of carriers; docs/format.md is the law."""

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
from photoguard.geometry import Box

MAGIC = b"PGRD"
VERSION = 1
HEADER_LIMIT = 1 << 18
BLOB_LIMIT = (1 << 31) - 1
FACE_LIMIT = 4096
SIDE_LIMIT = 1 << 20
# All covers together may have so many pixels, or twice the photo's: by the version of the envelope. Version 1
# had no limit, so its files get one that no photo with faces comes near; it only bounds a reader's work.
AREA_LIMIT = {1: 512_000_000, 2: 32_000_000}
METHOD_NAME = re.compile(r"[a-z0-9]{1,16}")

KEY = CHECK = DIGEST = 32
PHOTO_ID = 16
TAG = 16
METADATA = 0  # the number under which the photo's metadata is sealed; faces count from 1

Header = dict[str, Any]


def _canonical(header: Header) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def pack(header: Header, blobs: Sequence[bytes]) -> bytes:
    """Magic, version, header length, canonical header, then the blobs back to back."""
    text = _canonical({**header, "blobs": [len(blob) for blob in blobs]})
    if len(text) > HEADER_LIMIT:
        raise UsageError("there are too many covers for one file", "cover fewer faces, or one large region")
    return b"".join([MAGIC, struct.pack(">BI", VERSION, len(text)), text, *blobs])


def unpack(data: bytes, kind: str) -> tuple[Header, list[bytes]]:
    """The header without its blob lengths, and the blobs; anything unusual is a damaged file."""
    start = len(MAGIC) + 5
    if data[: len(MAGIC)] != MAGIC or len(data) < start:
        raise DamagedError("this is not photoguard data", "the file may be cut short or of another program")
    version, length = struct.unpack(">BI", data[len(MAGIC) : start])
    if version != VERSION:
        raise DamagedError(
            f"format version {version} is unknown", "a newer photoguard may be able to read it"
        )
    if length > HEADER_LIMIT or start + length > len(data):
        raise DamagedError("the header is longer than the data allows")
    text = data[start : start + length]
    try:
        header = json.loads(text.decode("ascii"))
        unusual = not isinstance(header, dict) or _canonical(header) != text
    except (ValueError, RecursionError):
        unusual = True
    if unusual:
        raise DamagedError("the header is not canonical JSON")
    if header.pop("kind", None) != kind:
        raise DamagedError(f"this is not a {kind} envelope")
    return header, _split(data[start + length :], header.pop("blobs", None))


def _split(data: bytes, lengths: Any) -> list[bytes]:
    if not isinstance(lengths, list) or len(lengths) > FACE_LIMIT + 4:
        raise DamagedError("the header lists no blobs")
    blobs, at = [], 0
    for length in lengths:
        if not _is_number(length, 0, BLOB_LIMIT) or at + length > len(data):
            raise DamagedError("the header promises more bytes than there are")
        blobs.append(data[at : at + length])
        at += length
    if at != len(data):
        raise DamagedError(f"{len(data) - at} bytes too many at the end")
    return blobs


def _is_number(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high  # bool is an int to isinstance


def _exactly(header: Header, *names: str) -> None:
    if set(header) != set(names):
        raise DamagedError("the header has missing or unknown fields")


def _photo_id(header: Header) -> bytes:
    text = header["id"]
    if not isinstance(text, str) or len(text) != 2 * PHOTO_ID or text.strip("0123456789abcdef"):
        raise DamagedError("the photo id is not 16 bytes in hexadecimal")
    return bytes.fromhex(text)


@dataclass(frozen=True)
class PublicFace:
    """What anyone may know of a covered face."""

    box: Box
    method: str


@dataclass(frozen=True)
class PublicFile:
    """The chunk of `NAME.pub.png`: where the covers are, and ciphertext."""

    photo_id: bytes
    width: int
    height: int
    faces: tuple[PublicFace, ...]
    carriers: tuple[bytes, ...]  # metadata first, then one a face

    def header(self) -> Header:
        """The envelope's header, less the blob lengths."""
        faces = [
            {"box": [f.box.x, f.box.y, f.box.width, f.box.height], "method": f.method} for f in self.faces
        ]
        size = [self.width, self.height]
        return {"faces": faces, "id": self.photo_id.hex(), "kind": "public", "size": size}

    @cached_property
    def canonical_header(self) -> bytes:
        """The header as it stands in the envelope; each of thousands of carriers is bound to it."""
        return _canonical({**self.header(), "blobs": [len(carrier) for carrier in self.carriers]})

    def to_bytes(self) -> bytes:
        """The envelope."""
        return pack(self.header(), self.carriers)

    @staticmethod
    def from_bytes(data: bytes) -> PublicFile:
        """Parse and check everything that needs no key."""
        header, blobs = unpack(data, "public")
        _exactly(header, "faces", "id", "size")
        size, faces = header["size"], header["faces"]
        if not _is_box([0, 0, *size] if isinstance(size, list) else size):
            raise DamagedError("the photo's size is not two positive numbers")
        if not isinstance(faces, list) or not 1 <= len(faces) <= FACE_LIMIT or len(blobs) != len(faces) + 1:
            raise DamagedError("faces and blobs do not match")
        parsed = tuple(_public_face(face, size[0], size[1]) for face in faces)
        if sum(face.box.area for face in parsed) > area_limit(size[0], size[1], data[len(MAGIC)]):
            raise DamagedError("the covers have more pixels than a photo of this size may have")
        return PublicFile(_photo_id(header), size[0], size[1], parsed, tuple(blobs))


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
    starts = all(_is_number(n, 0, SIDE_LIMIT) for n in (x, y))
    return starts and all(_is_number(n, 1, SIDE_LIMIT) for n in (width, height))


def _public_face(value: Any, width: int, height: int) -> PublicFace:
    if not isinstance(value, dict) or set(value) != {"box", "method"} or not _is_box(value["box"]):
        raise DamagedError("a face has no proper box")
    box = Box(*value["box"])
    if not box.inside(width, height):
        raise DamagedError("a face lies outside the photo")
    if not isinstance(value["method"], str) or not METHOD_NAME.fullmatch(value["method"]):
        raise DamagedError("a face's method has no proper name")
    return PublicFace(box, value["method"])


@dataclass(frozen=True)
class Grant:
    """What opens one face: its carrier's key, a check on the restored patch, the private feature."""

    number: int
    key: bytes
    check: bytes
    feature: bytes


@dataclass(frozen=True)
class PrivateFile:
    """The plaintext of `NAME.priv`."""

    photo_id: bytes
    picture: bytes  # SHA-256 of the public picture's pixels
    metadata_key: bytes | None
    grants: tuple[Grant, ...]
    portable: bytes | None = None  # the public envelope, when it does not travel in the picture

    def to_bytes(self) -> bytes:
        """The envelope, to be encrypted with age."""
        flags = {"metadata": self.metadata_key is not None, "portable": self.portable is not None}
        header = {
            "faces": [g.number for g in self.grants],
            "id": self.photo_id.hex(),
            "kind": "private",
            **flags,
        }
        blobs = [self.picture, *(g.key + g.check + g.feature for g in self.grants)]
        blobs += [blob for blob in (self.metadata_key, self.portable) if blob is not None]
        return pack(header, blobs)

    def granting(self, numbers: Sequence[int] | None, metadata: bool | None) -> PrivateFile:
        """The same for fewer faces; metadata goes along with all of them unless told otherwise."""
        held = [grant.number for grant in self.grants]
        wanted = held if numbers is None else sorted(set(numbers))
        missing = [number for number in wanted if number not in held]
        if missing:
            raise UsageError(
                f"the private file does not open face {missing[0]}", f"it opens {', '.join(map(str, held))}"
            )
        with_metadata = wanted == held if metadata is None else metadata
        if with_metadata and metadata and self.metadata_key is None:
            raise UsageError("the private file does not open the metadata", "leave --metadata out")
        grants = tuple(grant for grant in self.grants if grant.number in wanted)
        return replace(self, grants=grants, metadata_key=self.metadata_key if with_metadata else None)

    @staticmethod
    def from_bytes(data: bytes) -> PrivateFile:
        """Parse and check."""
        header, blobs = unpack(data, "private")
        _exactly(header, "faces", "id", "metadata", "portable")
        numbers, flags = header["faces"], (header["metadata"], header["portable"])
        if not isinstance(numbers, list) or not all(_is_number(n, 1, FACE_LIMIT) for n in numbers):
            raise DamagedError("the private file's face numbers are damaged")
        if numbers != sorted(set(numbers)) or not all(isinstance(flag, bool) for flag in flags):
            raise DamagedError("the private file's face numbers are damaged")
        if len(blobs) != 1 + len(numbers) + sum(flags):
            raise DamagedError("the private file's parts do not match its header")
        picture, faces, rest = blobs[0], blobs[1 : len(numbers) + 1], blobs[len(numbers) + 1 :]
        metadata_key = rest.pop(0) if flags[0] else None
        if len(picture) != DIGEST or (metadata_key is not None and len(metadata_key) != KEY):
            raise DamagedError("a key or hash has the wrong length")
        if any(len(face) < KEY + CHECK for face in faces):
            raise DamagedError("a face's secret is too short")
        grants = tuple(
            Grant(n, face[:KEY], face[KEY : KEY + CHECK], face[KEY + CHECK :])
            for n, face in zip(numbers, faces, strict=True)
        )
        return PrivateFile(_photo_id(header), picture, metadata_key, grants, rest[0] if rest else None)


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


def _associated(header: bytes, number: int) -> bytes:
    return b"photoguard carrier" + struct.pack(">BI", VERSION, number) + header


def seal(
    width: int, height: int, faces: Sequence[PublicFace], metadata: bytes, contents: Sequence[bytes]
) -> tuple[PublicFile, list[bytes]]:
    """Encrypt metadata and each face's content under a fresh key each; the keys come back in that order."""
    keys = [secrets.token_bytes(KEY) for _ in range(len(faces) + 1)]
    empty = PublicFile(secrets.token_bytes(PHOTO_ID), width, height, tuple(faces), ())
    return _seal(empty, keys, [metadata, *contents]), keys


def _seal(empty: PublicFile, keys: Sequence[bytes], contents: Sequence[bytes]) -> PublicFile:
    padded = [_pad(content) for content in contents]
    lengths = [len(p) + TAG for p in padded]
    header = _canonical({**empty.header(), "blobs": lengths})
    # A key encrypts one message in its life, so the nonce can be constant.
    carriers = tuple(
        ChaCha20Poly1305(key).encrypt(bytes(12), plain, _associated(header, number))
        for number, (key, plain) in enumerate(zip(keys, padded, strict=True))
    )
    return PublicFile(empty.photo_id, empty.width, empty.height, empty.faces, carriers)


def open_carrier(public: PublicFile, number: int, key: bytes) -> bytes:
    """Decrypt and authenticate one carrier: 0 is the metadata, faces count from 1."""
    if not 0 <= number < len(public.carriers):
        raise DamagedError(f"the picture has no face {number}")
    associated = _associated(public.canonical_header, number)
    try:
        return _unpad(ChaCha20Poly1305(key).decrypt(bytes(12), public.carriers[number], associated))
    except InvalidTag:
        what = f"face {number}" if number else "the metadata"
        raise DamagedError(
            f"the sealed data of {what} was altered", "get the picture again from where it came from"
        ) from None

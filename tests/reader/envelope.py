"""Envelopes, public and private files, carriers (sections 2 to 6)."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

Header = dict[str, Any]
SIDE, FACES, BLOB = 1 << 20, 4096, (1 << 31) - 1


class UnreadableError(Exception):
    """The pixels cannot be decoded."""


class WrongKeyError(Exception):
    """Whoever reads is no recipient."""


class DamagedError(Exception):
    """Everything else in docs/spec/format.md."""


class ForeignError(DamagedError):
    """A private file that is whole, but does not belong to this picture."""


def require(holds: bool, why: str) -> None:
    """One MUST of the specification."""
    if not holds:
        raise DamagedError(why)


def is_number(value: Any, low: int, high: int) -> bool:
    """Whether a JSON value is an integer in range; `true` is none."""
    return type(value) is int and low <= value <= high


def is_text(value: Any, pattern: str) -> bool:
    """Whether a JSON value is a string of this pattern."""
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def canonical(header: Header) -> bytes:
    """Canonical JSON: Python's own escapes are the specification's."""
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def unpack(data: bytes, kind: str, versions: Sequence[int], *members: str) -> tuple[int, Header, list[bytes]]:
    """Version, header and blobs of an envelope, after the checks in the order of section 2."""
    require(len(data) >= 9 and data[:4] == b"PGRD", "no envelope")
    version, length = struct.unpack(">BI", data[4:9])
    require(version in versions, f"version {version}")
    require(length <= 1 << (17 + version) and 9 + length <= len(data), "the header's length")
    text = data[9 : 9 + length]
    try:
        header = json.loads(text.decode("ascii"))
    except (ValueError, RecursionError):
        raise DamagedError("the header is no JSON") from None
    require(isinstance(header, dict) and canonical(header) == text, "the header is not canonical")
    require(header.get("kind") == kind, f"not of kind {kind}")
    lengths = header.get("blobs")
    require(isinstance(lengths, list) and len(lengths) <= FACES + 5, "blobs")
    require(all(is_number(n, 0, BLOB) for n in lengths), "a blob's length")
    require(9 + length + sum(lengths) == len(data), "the blobs' sum")
    if members:
        require(set(header) == {"kind", "blobs", *members}, "members")
    blobs, at = [], 9 + length
    for size in lengths:
        blobs.append(data[at : at + size])
        at += size
    return version, header, blobs


# The public envelope (section 3)


@dataclass(frozen=True)
class Public:
    """What anybody can read."""

    data: bytes
    version: int
    id: str
    size: tuple[int, int]  # width, height
    boxes: list[tuple[int, int, int, int]]
    methods: list[str]
    looks: list[str]  # version 2
    carriers: list[bytes]


def public_file(data: bytes) -> Public:
    """A public envelope."""
    version, header, blobs = unpack(data, "public", (1, 2), "id", "size", "faces")
    size, faces = header["size"], header["faces"]
    require(is_text(header["id"], "[0-9a-f]{32}"), "id")
    require(isinstance(size, list) and len(size) == 2 and all(is_number(n, 1, SIDE) for n in size), "size")
    require(isinstance(faces, list) and 1 <= len(faces) <= FACES, "faces")
    require(len(blobs) == len(faces) + version, "as many carriers as faces, and one or two more")
    words = ["method", "look"][:version]
    for face in faces:
        require(isinstance(face, dict) and set(face) == {"box", *words}, "a face's members")
        box = face["box"]
        require(isinstance(box, list) and len(box) == 4, "a box")
        require(all(is_number(n, low, SIDE) for n, low in zip(box, (0, 0, 1, 1), strict=True)), "a box")
        require(box[0] + box[2] <= size[0] and box[1] + box[3] <= size[1], "a box outside the photo")
        for word in words:
            require(is_text(face[word], "[a-z0-9]{1,16}"), f"a {word}")
    area = sum(face["box"][2] * face["box"][3] for face in faces)
    require(version == 1 or area <= max(2 * size[0] * size[1], 32_000_000), "the boxes' area")
    return Public(
        data, version, header["id"], (size[0], size[1]), [tuple(face["box"]) for face in faces],
        [face["method"] for face in faces], [face.get("look", "") for face in faces], blobs,
    )  # fmt: skip


# Carriers (section 4)


def padded(length: int) -> int:
    """Padmé: the length of `length` bytes with their padding."""
    length = max(length, 256)
    e = length.bit_length() - 1
    step = 1 << (e - e.bit_length())  # floor(log2 e) + 1 is e's bit length
    return -(-length // step) * step


def opened_carrier(public: Public, number: int, key: bytes) -> bytes:
    """The content of a carrier."""
    require(number < len(public.carriers), f"no carrier {number}")
    header = public.data[9 : 9 + struct.unpack(">I", public.data[5:9])[0]]
    associated = b"photoguard carrier" + struct.pack(">BI", public.version, number) + header
    try:
        plain = ChaCha20Poly1305(key).decrypt(bytes(12), public.carriers[number], associated)
    except InvalidTag:
        raise DamagedError(f"carrier {number} was altered") from None
    require(len(plain) >= 4, "a carrier's frame")
    (length,) = struct.unpack(">I", plain[:4])
    require(len(plain) == padded(4 + length) and not plain[4 + length :].strip(b"\0"), "a carrier's padding")
    return plain[4 : 4 + length]


# The private envelope (section 6)


@dataclass(frozen=True)
class Grant:
    """What opens one face."""

    key: bytes
    check: bytes
    feature: bytes
    chip: bytes  # the digest of its chip, or nothing


@dataclass(frozen=True)
class Seal:
    """What binds private files to each other and to one public envelope (version 2)."""

    signer: bytes
    signature: bytes
    public: bytes  # SHA-256 of the public envelope
    commitments: list[bytes]


@dataclass(frozen=True)
class Private:
    """A private file's plaintext."""

    version: int
    id: str
    fingerprint: bytes
    grants: dict[int, Grant]
    metadata: bytes | None  # keys
    everything: bytes | None
    portable: bytes | None
    seal: Seal | None


def private_file(data: bytes) -> Private:
    """A private envelope; that of version 2 with its signature and commitments checked."""
    version, header, blobs = unpack(data, "private", (1, 2))
    flags = ["metadata", "everything", "portable"] if version == 2 else ["metadata", "portable"]
    require(set(header) == {"kind", "blobs", "id", "faces", *flags}, "members")
    numbers = header["faces"]
    require(is_text(header["id"], "[0-9a-f]{32}"), "id")
    require(isinstance(numbers, list) and all(is_number(n, 1, FACES) for n in numbers), "face numbers")
    require(numbers == sorted(set(numbers)), "face numbers do not ascend")
    require(all(isinstance(header[flag], bool) for flag in flags), "flags")
    rest = list(blobs)
    require(len(rest) == version + len(numbers) + sum(header[flag] for flag in flags), "as many blobs")
    fingerprint = rest.pop(0)
    require(len(fingerprint) == 32, "the fingerprint's length")
    seal = _seal(rest.pop(0)) if version == 2 else None
    secrets = {number: rest.pop(0) for number in numbers}
    grants = {number: _grant(secret, version) for number, secret in secrets.items()}
    keys = {flag: rest.pop(0) if header.get(flag) else None for flag in ("metadata", "everything")}
    require(all(key is None or len(key) == 32 for key in keys.values()), "a key's length")
    if seal is not None:
        last = len(seal.commitments) - 1
        committed = {**secrets, 0: keys["metadata"], last: keys["everything"]}
        require(all(number < last for number in numbers), "a face without a commitment")
        _check_seal(seal, bytes.fromhex(header["id"]), fingerprint, committed)
    portable = rest.pop(0) if header["portable"] else None
    if seal is not None and portable is not None:
        require(seal.public == sha256(portable).digest(), "the portable envelope")
    return Private(version, header["id"], fingerprint, grants, *keys.values(), portable, seal)


def _grant(secret: bytes, version: int) -> Grant:
    require(len(secret) >= 64 + (version == 2), "a face's secret is too short")
    key, check, rest = secret[:32], secret[32:64], secret[64:]
    if version == 1:
        return Grant(key, check, rest, b"")
    require(rest[0] in (0, 1) and len(rest) >= 1 + 32 * rest[0], "a face's flag")
    end = 1 + 32 * rest[0]
    return Grant(key, check, rest[end:], rest[1:end])


def _seal(blob: bytes) -> Seal:
    parts = [blob[at : at + 32] for at in range(128, len(blob), 32)]
    require(len(blob) % 32 == 0 and 3 <= len(parts) <= FACES + 2, "the seal's length")
    return Seal(blob[:32], blob[32:96], blob[96:128], parts)


def _check_seal(seal: Seal, photo: bytes, fingerprint: bytes, committed: dict[int, bytes | None]) -> None:
    signed = b"photoguard seal\x02" + photo + fingerprint + seal.public + b"".join(seal.commitments)
    try:
        Ed25519PublicKey.from_public_bytes(seal.signer).verify(seal.signature, signed)
    except InvalidSignature:
        raise DamagedError("the seal's signature") from None
    for number, secret in committed.items():
        if secret is not None:
            commitment = sha256(b"photoguard commitment" + struct.pack(">I", number) + secret).digest()
            require(commitment == seal.commitments[number], f"the commitment of {number}")

"""From a public picture and private files to the photo: the order of section 9."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np

from reader import ddm
from reader import envelope as env
from reader.age import unlock
from reader.envelope import (
    DamagedError,
    ForeignError,
    Private,
    Public,
    WrongKeyError,
    is_number,
    is_text,
    require,
    unpack,
)
from reader.pictures import START, Photo, decode, digest, fingerprint, luminance, patch_of, png_chunks

NO_NETWORK = ("solid", "blur", "pixelate", "avp")
PART = "[A-Za-z0-9_-][A-Za-z0-9 ._-]{0,39}"


@dataclass(frozen=True)
class Facts:
    """The metadata carrier's content."""

    name: str = ""
    exact: str = ""
    mode: int = -1
    exif: bytes = b""
    texts: list[list[str]] = field(default_factory=list)  # keyword and text


@dataclass(frozen=True)
class Everything:
    """The content of the carrier of everything."""

    chunks: list[tuple[str, bytes]]  # for the restored PNG
    parts: list[tuple[str, bytes]]  # of the original file


@dataclass(frozen=True)
class Restored:
    """What came of it."""

    photo: Photo
    opened: list[int]
    closed: list[int]
    facts: Facts | None
    everything: Everything | None
    exact: bool  # proven to be the original in every pixel
    passed_over: list[int]  # places of private files that have another seal


def private_files(files: list[bytes], identities: list[str], passphrase: str | None = None) -> list[Private]:
    """Those that open and are whole; where there is none, the first one's error."""
    whole, failed = [], []
    for data in files:
        try:
            whole.append(env.private_file(unlock(data, identities, passphrase)))
        except (DamagedError, WrongKeyError) as error:
            failed.append(error)
    if not whole:
        raise failed[0]
    return whole


def restore(
    picture: bytes, private: list[Private], mine: Sequence[bytes] = (), known: Sequence[bytes] = ()
) -> Restored:
    """The photo. `private` has NAME.priv first, then others by name; `mine` and `known` are signers."""
    chunks = png_chunks(picture) if picture.startswith(START) else []
    found = [body for kind, body in chunks if kind == b"pgRd"]
    require(len(found) < 2, "two pgRd chunks")
    photo = decode(picture)
    used, passed_over = _of_one_seal(private, mine, known, found)
    envelopes = found or [file.portable for file in used if file.portable is not None]
    require(bool(envelopes), "the picture has lost its data, and no private file holds it")
    public = env.public_file(envelopes[0])
    for file in used:
        _check_belongs(file, public)
    require(photo.pixels.shape[1::-1] == public.size, "the picture's size")
    shown = fingerprint(photo, public.version)
    require(all(file.fingerprint == shown for file in used), "the picture was changed")
    grants = {number: grant for file in used for number, grant in file.grants.items()}
    require(all(number <= len(public.boxes) for number in grants), "no such face")
    for number, grant in sorted(grants.items()):
        _put_back(photo, public, number, grant)
    closed = [number for number in range(1, len(public.boxes) + 1) if number not in grants]
    key = next((file.metadata for file in used if file.metadata is not None), None)
    facts = None if key is None else _facts(env.opened_carrier(public, 0, key), public.version)
    exact = facts is not None and facts.exact != "" and not closed
    if facts is not None and exact:
        require(fingerprint(photo, public.version).hex() == facts.exact, "not the photo that was sealed")
    key = next((file.everything for file in used if file.everything is not None), None)
    last = len(public.carriers) - 1
    everything = None if key is None else _everything(env.opened_carrier(public, last, key))
    return Restored(photo, sorted(grants), closed, facts, everything, exact, passed_over)


def _of_one_seal(
    private: list[Private], mine: Sequence[bytes], known: Sequence[bytes], found: Sequence[bytes]
) -> tuple[list[Private], list[int]]:
    """The files that the best one's seal binds, and the places of the others."""

    def rank(place: int) -> tuple[int, bool, bool]:
        file = private[place]
        signer = b"" if file.seal is None else file.seal.signer
        ours = all(_is_of(file, data) for data in found)
        return (0 if signer in mine else 1 if signer in known else 2), place > 0, not ours

    def sealing(file: Private) -> object:
        return file.seal or (file.id, file.fingerprint)  # version 1 has no seal

    best = sealing(private[min(range(len(private)), key=rank)])  # of equals the first
    used = [file for file in private if sealing(file) == best]
    return used, [place for place, file in enumerate(private) if sealing(file) != best]


def _is_of(file: Private, public: bytes) -> bool:
    if file.seal is None:
        return file.id == env.public_file(public).id
    return file.seal.public == sha256(public).digest()


def _check_belongs(file: Private, public: Public) -> None:
    if file.id != public.id or file.version != public.version:
        raise ForeignError("a private file of another photo")
    if file.seal is not None:
        if file.seal.public != sha256(public.data).digest():
            raise ForeignError("a private file of another public envelope")
        require(len(file.seal.commitments) == len(public.carriers), "the seal's faces")


def owned(public: Public, number: int) -> np.ndarray:
    """(height, width): which pixels of a box its face owns (section 3)."""
    x, y, width, height = public.boxes[number - 1]
    mine = np.ones((height, width), bool)
    for other, (left, top, wide, high) in enumerate(public.boxes, start=1):
        if (wide * high, other) < (width * height, number):
            rows = slice(max(top - y, 0), max(top + high - y, 0))
            columns = slice(max(left - x, 0), max(left + wide - x, 0))
            mine[rows, columns] = False
    return mine


def _put_back(photo: Photo, public: Public, number: int, grant: Any) -> None:
    x, y, width, height = public.boxes[number - 1]
    mine = owned(public, number)
    if not mine.any():
        return  # nothing is opened for a face that owns nothing
    method_bytes, alpha = _face(env.opened_carrier(public, number, grant.key), public.version, height, width)
    deep = photo.pixels.dtype == np.uint16
    if public.methods[number - 1] == "ddm":
        patch = ddm.restored_patch(method_bytes, grant.feature, grant.check, height, width, deep)
    else:
        require(public.methods[number - 1] in NO_NETWORK, "the method is unknown")
        require(method_bytes[:1] in (b"W", b"P"), "a method byte")
        patch = patch_of(method_bytes, height, width)
        require(digest(patch) == grant.check, "a patch's digest")
    require(patch.dtype == photo.pixels.dtype, "a patch's depth")
    window = np.s_[y : y + height, x : x + width]
    photo.pixels[window][mine] = luminance(patch)[mine][:, None] if photo.gray else patch[mine]
    if photo.alpha is not None and alpha is not None:
        require(bool(alpha.max() <= np.iinfo(photo.alpha.dtype).max), "alpha beyond the photo's depth")
        photo.alpha[window][mine] = alpha[mine]


def _face(content: bytes, version: int, height: int, width: int) -> tuple[bytes, np.ndarray | None]:
    """Method bytes and alpha (section 5)."""
    _, header, blobs = unpack(content, "face", (version,))
    require(set(header) == {"kind", "blobs"} and len(blobs) == 2, "a face's members")
    if not blobs[1]:
        return blobs[0], None
    engine = zlib.decompressobj()
    try:
        raw = engine.decompress(blobs[1], 2 * height * width)
    except zlib.error as error:
        raise DamagedError(f"alpha: {error}") from None
    require(len(raw) == 2 * height * width and engine.eof and not engine.unused_data, "alpha's length")
    return blobs[0], np.frombuffer(raw, ">u2").reshape(height, width)


def _facts(content: bytes, version: int) -> Facts:
    """Carrier 0 (sections 5 and 16)."""
    words = ["name", "format", "exact"]
    _, header, blobs = unpack(content, "metadata", (version,), *words, *["mode"][: version - 1])
    require(len(blobs) == 4 - version, "the metadata's blobs")
    require(all(isinstance(header[word], str) for word in words), "the metadata's members")
    require(is_number(header.get("mode", -1), -1, 511), "the metadata's mode")
    try:
        texts = json.loads(blobs[-1].decode())
        json.dumps(texts, ensure_ascii=False).encode()
        bytes.fromhex(header["exact"])
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"the metadata: {error}") from None
    require(isinstance(texts, list if version == 2 else dict), "the texts")
    pairs = texts if version == 2 else [list(pair) for pair in texts.items()]
    require(all(isinstance(pair, list) for pair in pairs), "a text")
    require(all(list(map(type, pair)) == [str, str] for pair in pairs), "a text")
    return Facts(header["name"], header["exact"], header.get("mode", -1), blobs[0], pairs)


def _everything(content: bytes) -> Everything:
    """Carrier N + 1 (section 5)."""
    _, header, blobs = unpack(content, "everything", (2,), "format", "chunks", "parts")
    kind, kinds, parts = header["format"], header["chunks"], header["parts"]
    require(is_text(kind, "[A-Za-z0-9]{0,16}"), "the format")
    require(isinstance(kinds, list) and len(kinds) <= 1024, "chunks")
    require(isinstance(parts, list) and len(parts) <= 2048, "parts")
    require(len(blobs) == len(kinds) + len(parts), "as many blobs as chunks and parts")
    require(all(is_text(name, "[a-z][A-Za-z]{3}") for name in kinds), "a chunk's type")
    for part in parts:
        require(isinstance(part, dict) and set(part) == {"kind", "lost", "where"}, "a part's members")
        require(is_text(part["kind"], PART), "a part's kind")
        require(isinstance(part["lost"], bool), "a part's flag")
        require(is_number(part["where"], 0, (1 << 53) - 1), "a part's place")
    named = [part["kind"] for part in parts]
    return Everything(
        list(zip(kinds, blobs, strict=False)), list(zip(named, blobs[len(kinds) :], strict=True))
    )

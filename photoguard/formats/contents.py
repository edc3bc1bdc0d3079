"""What lies inside carriers: a face's content, the photo's metadata, and the fingerprint of a picture."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoguard.errors import DamagedError
from photoguard.formats.envelope import VERSION, is_number, pack, unpack
from photoguard.photos.images import Photo
from photoguard.photos.metadata import CHUNKS_LIMIT, PARTS_LIMIT, Metadata, Part


@dataclass(frozen=True)
class SealedMetadata:
    """A photo's metadata as it comes back."""

    name: str
    exact: bytes  # fingerprint of the original photo, or nothing where covers restore it only nearly
    metadata: Metadata
    mode: int = -1  # permissions of the original; -1 when they are not known
    version: int = 1


def fingerprint(photo: Photo, version: int = VERSION) -> bytes:
    """SHA-256 over everything a picture shows; in version 1, its color profile left out."""
    label = f"{photo.pixels.dtype.name} {photo.width}x{photo.height} alpha={photo.alpha is not None}"
    if version > 1:
        label += f" icc={sha256(photo.icc).hexdigest() if photo.icc else 'none'}"
    hasher = sha256(label.encode() + b"\0")
    hasher.update(np.ascontiguousarray(photo.pixels).data.cast("B"))
    if photo.alpha is not None:
        hasher.update(np.ascontiguousarray(photo.alpha).data.cast("B"))
    return hasher.digest()


def pack_metadata(photo: Photo, name: str, exact: bool, mode: int = -1) -> bytes:
    """The metadata carrier's content: facts."""
    header = {
        "exact": fingerprint(photo).hex() if exact else "",
        "format": photo.metadata.format,
        "kind": "metadata",
        "mode": mode,
        "name": name,
    }
    return pack(header, [photo.metadata.exif, json.dumps(photo.metadata.texts).encode()])


def unpack_metadata(data: bytes, version: int = VERSION) -> SealedMetadata:
    """What `pack_metadata` packed; version 1 held all of the EXIF and XMP."""
    header, blobs = unpack(data, "metadata", version)
    mode = header.pop("mode", None) if version > 1 else -1
    if set(header) != {"exact", "format", "name"} or mode is None or len(blobs) != (3 if version == 1 else 2):
        raise DamagedError("the sealed metadata has missing or unknown fields")
    if not all(isinstance(value, str) for value in header.values()) or not is_number(mode, -1, 0o777):
        raise DamagedError("the sealed metadata has a field of the wrong type")
    try:
        texts, exact = json.loads(blobs[-1].decode()), bytes.fromhex(header["exact"])
        json.dumps(texts, ensure_ascii=False).encode()  # half a surrogate pair cannot be written to a PNG
    except (ValueError, RecursionError):
        raise DamagedError("the sealed metadata cannot be read") from None
    if version == 1 and isinstance(texts, dict):
        texts = [list(pair) for pair in texts.items()]
    elif version == 1:
        texts = None
    if not isinstance(texts, list) or not all(_is_pair(pair) for pair in texts):
        raise DamagedError("the sealed metadata's texts cannot be read")
    pairs = tuple((keyword, text) for keyword, text in texts)
    metadata = Metadata(header["format"], blobs[0], pairs, blobs[1] if version == 1 else b"")
    return SealedMetadata(header["name"], exact, metadata, mode, version)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) for text in value)


def pack_everything(metadata: Metadata) -> bytes:
    """The content of the carrier for those who may see all faces: all metadata, bit for bit."""
    header = {
        "chunks": [name for name, _ in metadata.chunks],
        "format": metadata.format,
        "kind": "everything",
        "parts": [{"kind": p.kind, "lost": p.lost, "where": p.where} for p in metadata.parts],
    }
    return pack(header, [*(body for _, body in metadata.chunks), *(p.body for p in metadata.parts)])


def unpack_everything(data: bytes) -> Metadata:
    """What `pack_everything` packed."""
    header, blobs = unpack(data, "everything")
    if set(header) != {"chunks", "format", "parts"}:
        raise DamagedError("the sealed metadata has missing or unknown fields")
    chunks, kind, parts = header["chunks"], header["format"], header["parts"]
    if not isinstance(kind, str) or not FORMAT.fullmatch(kind):
        raise DamagedError("the sealed metadata has no proper format")
    if not isinstance(chunks, list) or len(chunks) > CHUNKS_LIMIT or not all(map(_is_chunk, chunks)):
        raise DamagedError("the sealed metadata lists no proper chunks")
    if not isinstance(parts, list) or len(parts) > PARTS_LIMIT or not all(map(_is_part, parts)):
        raise DamagedError("the sealed metadata lists no proper parts")
    if len(blobs) != len(chunks) + len(parts):
        raise DamagedError("the sealed metadata does not match its list")
    bodies = zip(parts, blobs[len(chunks) :], strict=True)
    return Metadata(
        kind,
        chunks=tuple(zip(chunks, blobs, strict=False)),
        parts=tuple(Part(p["kind"], p["where"], body, p["lost"]) for p, body in bodies),
    )


FORMAT = re.compile(r"[A-Za-z0-9]{0,16}")
CHUNK_NAME = re.compile(r"[a-z][A-Za-z]{3}")
PART_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9 ._-]{0,39}")


def _is_chunk(value: Any) -> bool:
    return isinstance(value, str) and CHUNK_NAME.fullmatch(value) is not None


def _is_part(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"kind", "lost", "where"}:
        return False
    named = isinstance(value["kind"], str) and PART_NAME.fullmatch(value["kind"]) is not None
    return named and isinstance(value["lost"], bool) and is_number(value["where"], 0, (1 << 53) - 1)


def pack_face(public: bytes, alpha: NDArray[Any] | None) -> bytes:
    """A face carrier's content: the method's bytes, and the alpha of the face's own pixels."""
    alpha_bytes = b"" if alpha is None else zlib.compress(np.ascontiguousarray(alpha).astype(">u2").tobytes())
    return pack({"kind": "face"}, [public, alpha_bytes])


def unpack_face(
    data: bytes, height: int, width: int, version: int = VERSION
) -> tuple[bytes, NDArray[np.uint16] | None]:
    """What `pack_face` packed."""
    header, blobs = unpack(data, "face", version)
    if header or len(blobs) != 2:
        raise DamagedError("a sealed face has missing or unknown fields")
    if not blobs[1]:
        return blobs[0], None
    size = 2 * height * width
    try:
        inflater = zlib.decompressobj()
        raw = inflater.decompress(blobs[1], size)
    except zlib.error:
        raise DamagedError("a sealed face's alpha cannot be read") from None
    if len(raw) != size or not inflater.eof or inflater.unused_data:
        raise DamagedError("a sealed face's alpha has the wrong size")
    return blobs[0], np.frombuffer(raw, ">u2").reshape(height, width).astype(np.uint16)

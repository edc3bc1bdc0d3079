"""What lies inside carriers: a face's content, the photo's metadata, and the fingerprint of a picture."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoguard.envelope import VERSION, pack, unpack
from photoguard.errors import DamagedError
from photoguard.images import Metadata, Photo


@dataclass(frozen=True)
class SealedMetadata:
    """A photo's metadata as it comes back."""

    name: str
    exact: bytes  # fingerprint of the original photo, or nothing where covers restore it only nearly
    metadata: Metadata


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


def pack_metadata(photo: Photo, name: str, exact: bool) -> bytes:
    """The metadata carrier's content."""
    header = {
        "exact": fingerprint(photo).hex() if exact else "",
        "format": photo.metadata.format,
        "kind": "metadata",
        "name": name,
    }
    text = json.dumps(photo.metadata.text, sort_keys=True).encode()
    return pack(header, [photo.metadata.exif, photo.metadata.xmp, text])


def unpack_metadata(data: bytes, version: int = VERSION) -> SealedMetadata:
    """What `pack_metadata` packed."""
    header, blobs = unpack(data, "metadata", version)
    if set(header) != {"exact", "format", "name"} or len(blobs) != 3:
        raise DamagedError("the sealed metadata has missing or unknown fields")
    if not all(isinstance(value, str) for value in header.values()):
        raise DamagedError("the sealed metadata has a field of the wrong type")
    try:
        text, exact = json.loads(blobs[2].decode()), bytes.fromhex(header["exact"])
        json.dumps(text, ensure_ascii=False).encode()  # half a surrogate pair cannot be written to a PNG
    except (ValueError, RecursionError):
        raise DamagedError("the sealed metadata cannot be read") from None
    if not isinstance(text, dict) or not all(isinstance(v, str) for v in text.values()):
        raise DamagedError("the sealed metadata's texts cannot be read")
    return SealedMetadata(header["name"], exact, Metadata(header["format"], blobs[0], blobs[1], text))


def pack_everything(photo: Photo) -> bytes:
    """The whole of the original's metadata."""
    return pack({"kind": "everything"}, [])


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

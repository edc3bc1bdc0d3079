"""What rides in the two low bits of an AVP chip's samples: the sealed face, or a learned key's nonce."""

from __future__ import annotations

import hmac
import io
import secrets
import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from PIL import Image

from photoguard import identities
from photoguard.errors import DamagedError, QualityError, UsageError, WrongKeyError
from photoguard.images import no_pillow_cap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from photoguard.identities import Ask, Identity, Recipients

MAGIC, VERSION = b"PGCH", 1
SEALED, LEARNED = b"S", b"L"
START = len(MAGIC) + 2 + 4  # magic, version, kind, length of the body
CHECK = 16
KEY = 32
TAG = NONCE = 16
SEALED_EXTRA = 2 + TAG + 4  # of a sealed face: length of the locked key, AEAD tag, length of the picture
FREE = 255  # where a sample carries nothing
QUALITIES = (100, 95, 90, 85, 80, 70, 60, 50, 40, 30, 20, 10)  # of WebP: the best that fits is taken
SIDE_LIMIT = 1024  # pixels; no recognizer takes larger faces

GONE = "the chip's hidden data is gone"
GONE_HINT = "saving it as JPEG, resizing or editing removes it: get the PNG as it was written"


@dataclass(frozen=True)
class Payload:
    """What a chip carries."""

    kind: bytes
    body: bytes
    height: int
    width: int


def capacity(height: int, width: int) -> int:
    """Bytes that fit into a chip, the frame left out."""
    return height * width * 3 // 4 - START - CHECK


def carry(kind: bytes, body: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """What the low bits of a chip must be to carry `body`: (height, width, 3), FREE where all will do."""
    if len(body) > capacity(height, width):
        raise UsageError(f"{len(body)} bytes do not fit into a chip of {width} x {height}")
    data = _framed(kind, body)
    data += sha256(_label(height, width) + data).digest()[:CHECK]
    bits = np.frombuffer(data, np.uint8)[:, None] >> np.array([6, 4, 2, 0], np.uint8) & 3
    low = np.full(height * width * 3, FREE, np.uint8)
    low[: bits.size] = bits.ravel()
    return low.reshape(height, width, 3)


def carried(pixels: NDArray[np.uint8]) -> Payload:
    """What a chip carries; DamagedError where nothing is left of it."""
    height, width = pixels.shape[:2]
    bits = (pixels & 3).ravel()
    quads = bits[: bits.size // 4 * 4].reshape(-1, 4)
    data = (quads << np.array([6, 4, 2, 0], np.uint8)).sum(1, dtype=np.uint8).tobytes()
    if len(data) < START + CHECK or not data.startswith(MAGIC):
        raise DamagedError(GONE, GONE_HINT)
    version, kind, length = struct.unpack(">BcI", data[len(MAGIC) : START])
    if version != VERSION:
        raise DamagedError(f"chip version {version} is unknown", "a newer photoguard may be able to read it")
    end = START + length
    check = sha256(_label(height, width) + data[:end]).digest()[:CHECK]
    if end + CHECK > len(data) or not hmac.compare_digest(data[end : end + CHECK], check):
        raise DamagedError(GONE, GONE_HINT)
    if kind not in (SEALED, LEARNED):
        raise DamagedError("the chip's kind of key model is unknown", "a newer photoguard may know it")
    return Payload(kind, data[START:end], height, width)


def is_chip(pixels: NDArray[np.uint8]) -> bool:
    """Whether a picture carries a chip's data, whole or not."""
    head = np.frombuffer(MAGIC, np.uint8)[:, None] >> np.array([6, 4, 2, 0], np.uint8) & 3
    return max(pixels.shape[:2]) <= SIDE_LIMIT and bool(
        np.array_equal((pixels.reshape(-1)[: head.size] & 3), head.ravel())
    )


def _framed(kind: bytes, body: bytes) -> bytes:
    return MAGIC + struct.pack(">BcI", VERSION, kind, len(body)) + body


def _label(height: int, width: int) -> bytes:
    return b"photoguard chip" + struct.pack(">II", height, width)


# Sealed: the face itself, compressed and encrypted


def seal(face: NDArray[np.uint8], recipients: Recipients) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The low bits that carry the face, for the recipients' eyes only, and the face as it will come back."""
    height, width = face.shape[:2]
    key = secrets.token_bytes(KEY)
    locked = identities.seal(key, recipients)
    picture = _compressed(face, capacity(height, width) - len(locked) - SEALED_EXTRA)
    return _seal(picture, locked, key, height, width), _decompressed(picture, height, width)


def _seal(picture: bytes, locked: bytes, key: bytes, height: int, width: int) -> NDArray[np.uint8]:
    room = capacity(height, width) - 2 - len(locked) - TAG
    # Filled to the brim: what does not fill the chip would tell how much there is to see in the face.
    plain = (struct.pack(">I", len(picture)) + picture).ljust(room, b"\0")
    head = struct.pack(">H", len(locked)) + locked
    # The key encrypts one message in its life, so the nonce can be constant.
    body = head + ChaCha20Poly1305(key).encrypt(bytes(12), plain, _label(height, width) + head)
    return carry(SEALED, body, height, width)


def unseal(payload: Payload, keys: Sequence[Identity], ask: Ask | None = None) -> NDArray[np.uint8]:
    """The face that a sealed chip carries."""
    locked = locked_key(payload)
    head, rest = payload.body[: 2 + len(locked)], payload.body[2 + len(locked) :]
    key = identities.unseal(locked, keys, ask)
    if len(key) != KEY:
        raise DamagedError("the chip's key has the wrong length")
    try:
        label = _label(payload.height, payload.width)
        plain = ChaCha20Poly1305(key).decrypt(bytes(12), rest, label + head)
    except InvalidTag:
        raise DamagedError("the chip's sealed face was altered", GONE_HINT) from None
    size = int.from_bytes(plain[:4], "big")
    if len(plain) < 4 or 4 + size > len(plain) or plain[4 + size :].strip(b"\0"):
        raise DamagedError("the chip's sealed face is damaged")
    return _decompressed(plain[4 : 4 + size], payload.height, payload.width)


def locked_key(payload: Payload) -> bytes:
    """The age file with a sealed chip's key."""
    (length,) = struct.unpack(">H", payload.body[:2].rjust(2, b"\0"))
    if len(payload.body) < 2 + length + TAG:
        raise DamagedError("the chip's sealed face is cut short")
    return payload.body[2 : 2 + length]


def _compressed(face: NDArray[np.uint8], room: int) -> bytes:
    """The face as WebP, as good as it fits into the room."""
    for quality in QUALITIES:
        out = io.BytesIO()
        Image.fromarray(face).save(out, "WEBP", quality=quality, method=6)
        if len(out.getvalue()) <= room:
            return out.getvalue()
    height, width = face.shape[:2]
    raise QualityError(
        f"the face does not fit into a chip of {width} x {height}, encrypted",
        "name fewer recipients, or use --key-model learned",
    )


def _decompressed(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    try:
        with no_pillow_cap(), Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            if image.size != (width, height):
                raise ValueError(f"{image.size}")
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError):
        raise DamagedError(
            "the chip's sealed face cannot be decoded", "the chip, or the program, has changed"
        ) from None


# Learned: what a key model needs to know of this photo


def mark(secret: bytes, nonce: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """The low bits that tell the nonce of a chip's key transform, and prove whose key model it takes."""
    return carry(LEARNED, nonce + _tag(secret, nonce), height, width)


def marked_nonce(payload: Payload, secret: bytes) -> bytes:
    """The nonce of a learned chip; WrongKeyError where another key model made it."""
    nonce, tag = payload.body[:NONCE], payload.body[NONCE:]
    if len(payload.body) != NONCE + TAG:
        raise DamagedError("the chip's nonce is damaged", GONE_HINT)
    if not hmac.compare_digest(tag, _tag(secret, nonce)):
        raise WrongKeyError(
            "this chip was made with another key model", "name the right one with --key-model FILE"
        )
    return nonce


def derived(secret: bytes, label: bytes) -> bytes:
    """A key for one purpose from the owner's secret."""
    return hmac.digest(secret, label, "sha256")


def _tag(secret: bytes, nonce: bytes) -> bytes:
    return derived(secret, b"photoguard chip nonce" + nonce)[:TAG]

"""What rides in the two low bits of an AVP chip's samples: the sealed face, or a learned key's nonce.

Behind it comes a tag that vouches for the whole picture. Chips of version 1 have none.
"""

from __future__ import annotations

import hmac
import io
import secrets
import struct
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from PIL import Image

from photoguard.errors import DamagedError, QualityError, UsageError, WrongKeyError
from photoguard.formats import identities
from photoguard.photos.images import no_pillow_cap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from photoguard.formats.identities import Ask, Identity, Recipients

MAGIC, VERSION = b"PGCH", 2
NAMES = {1: b"photoguard chip", 2: b"photoguard chip 2"}  # in everything that is keyed or hashed
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
    """What a chip carries, and the picture that carries it."""

    kind: bytes
    body: bytes
    version: int
    pixels: NDArray[np.uint8] = field(repr=False, compare=False)  # (H, W, 3)

    @property
    def height(self) -> int:
        """Rows of the chip."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns of the chip."""
        return int(self.pixels.shape[1])

    @property
    def authenticated(self) -> bool:
        """Whether a tag vouches for the picture."""
        return self.version > 1


@dataclass(frozen=True)
class Cargo:
    """What a new chip has to carry, and the key of the tag that will vouch for its picture."""

    low: NDArray[np.uint8]  # (H, W, 3): the two low bits, FREE where all will do
    slots: slice  # the samples whose low bits hold the tag
    key: bytes = field(repr=False)

    def tagged(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture with its tag, which depends on every other bit of it."""
        flat = pixels.flatten()
        flat[self.slots] = flat[self.slots] & 252 | _bits(_picture_tag(self.key, pixels, self.slots))
        return flat.reshape(pixels.shape)


def capacity(height: int, width: int, version: int = VERSION) -> int:
    """Bytes that fit into a chip, the frame left out."""
    return height * width * 3 // 4 - START - CHECK - _tag_length(version)


def carry(kind: bytes, body: bytes, height: int, width: int, version: int = VERSION) -> NDArray[np.uint8]:
    """What the low bits of a chip must be to carry `body`: (height, width, 3), FREE where all will do.

    The tag is zero until the picture is known.
    """
    if len(body) > capacity(height, width, version):
        raise UsageError(f"{len(body)} bytes do not fit into a chip of {width} x {height}")
    data = MAGIC + struct.pack(">BcI", version, kind, len(body)) + body
    data += sha256(_label(height, width, version) + data).digest()[:CHECK]
    bits = _bits(data + bytes(_tag_length(version)))
    low = np.full(height * width * 3, FREE, np.uint8)
    low[: bits.size] = bits
    return low.reshape(height, width, 3)


def carried(pixels: NDArray[np.uint8]) -> Payload:
    """What a chip carries; DamagedError where nothing is left of it."""
    height, width = pixels.shape[:2]
    data = _bytes(pixels.ravel())
    if len(data) < START + CHECK or not data.startswith(MAGIC):
        raise DamagedError(GONE, GONE_HINT)
    version, kind, length = struct.unpack(">BcI", data[len(MAGIC) : START])
    if version not in NAMES:
        raise DamagedError(f"chip version {version} is unknown", "a newer photoguard may be able to read it")
    end = START + length
    check = sha256(_label(height, width, version) + data[:end]).digest()[:CHECK]
    whole = end + CHECK + _tag_length(version) <= len(data)
    if not whole or not hmac.compare_digest(data[end : end + CHECK], check):
        raise DamagedError(GONE, GONE_HINT)
    if kind not in (SEALED, LEARNED):
        raise DamagedError("the chip's kind of key model is unknown", "a newer photoguard may know it")
    return Payload(kind, data[START:end], version, pixels)


def is_chip(pixels: NDArray[np.uint8]) -> bool:
    """Whether a picture carries a chip's data, whole or not."""
    head = _bits(MAGIC)
    return max(pixels.shape[:2]) <= SIDE_LIMIT and bool(
        np.array_equal((pixels.reshape(-1)[: head.size] & 3), head)
    )


def _label(height: int, width: int, version: int = VERSION) -> bytes:
    return NAMES[version] + struct.pack(">II", height, width)


def _bits(data: bytes) -> NDArray[np.uint8]:
    """Four values of two bits a byte, the highest first."""
    pairs = np.frombuffer(data, np.uint8)[:, None] >> np.array([6, 4, 2, 0], np.uint8) & 3
    return np.asarray(pairs.ravel(), np.uint8)


def _bytes(samples: NDArray[np.uint8]) -> bytes:
    """What the two low bits of samples hold."""
    fours = (samples[: samples.size // 4 * 4] & 3).reshape(-1, 4)
    return bytes((fours << np.array([6, 4, 2, 0], np.uint8)).sum(1, dtype=np.uint8))


# The tag


def _tag_length(version: int) -> int:
    return TAG if version > 1 else 0


def _tag_key(secret: bytes, nonce: bytes = b"") -> bytes:
    return derived(secret, NAMES[VERSION] + b" tag" + nonce)


def _slots(length: int) -> slice:
    """Where the tag lies behind a body of `length` bytes, in samples."""
    start = 4 * (START + length + CHECK)
    return slice(start, start + 4 * TAG)


def _picture_tag(key: bytes, pixels: NDArray[np.uint8], slots: slice) -> bytes:
    flat = pixels.flatten()
    flat[slots] &= 252  # a tag cannot cover itself
    return hmac.digest(key, _label(*pixels.shape[:2]) + flat.tobytes(), "sha256")[:TAG]


def _authenticate(payload: Payload, key: bytes) -> None:
    """DamagedError where the tag does not vouch for the picture; version 1 has none."""
    slots = _slots(len(payload.body))
    if payload.authenticated and not hmac.compare_digest(
        _bytes(payload.pixels.ravel()[slots]), _picture_tag(key, payload.pixels, slots)
    ):
        raise DamagedError("the chip's picture was altered", GONE_HINT)


# Sealed: the face itself, compressed and encrypted


def seal(face: NDArray[np.uint8], recipients: Recipients) -> tuple[Cargo, NDArray[np.uint8]]:
    """What carries the face, for the recipients' eyes only, and the face as it will come back."""
    height, width = face.shape[:2]
    key = secrets.token_bytes(KEY)
    locked = identities.seal(key, recipients)
    picture = _compressed(face, capacity(height, width) - len(locked) - SEALED_EXTRA)
    return _seal(picture, locked, key, height, width), _decompressed(picture, height, width)


def _seal(picture: bytes, locked: bytes, key: bytes, height: int, width: int) -> Cargo:
    room = capacity(height, width) - 2 - len(locked) - TAG
    # Filled to the brim: what does not fill the chip would tell how much there is to see in the face.
    plain = (struct.pack(">I", len(picture)) + picture).ljust(room, b"\0")
    head = struct.pack(">H", len(locked)) + locked
    # The key encrypts one message in its life, so the nonce can be constant.
    body = head + ChaCha20Poly1305(key).encrypt(bytes(12), plain, _label(height, width) + head)
    return Cargo(carry(SEALED, body, height, width), _slots(len(body)), _tag_key(key))


def unseal(payload: Payload, keys: Sequence[Identity], ask: Ask | None = None) -> NDArray[np.uint8]:
    """The face that a sealed chip carries."""
    locked = locked_key(payload)
    head, rest = payload.body[: 2 + len(locked)], payload.body[2 + len(locked) :]
    key = identities.unseal(locked, keys, ask)
    if len(key) != KEY:
        raise DamagedError("the chip's key has the wrong length")
    try:
        label = _label(payload.height, payload.width, payload.version)
        plain = ChaCha20Poly1305(key).decrypt(bytes(12), rest, label + head)
    except InvalidTag:
        raise DamagedError("the chip's sealed face was altered", GONE_HINT) from None
    _authenticate(payload, _tag_key(key))
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


def mark(secret: bytes, nonce: bytes, height: int, width: int) -> Cargo:
    """What tells the nonce of a chip's key transform, and proves whose key model it takes."""
    body = nonce + _nonce_tag(secret, nonce)
    return Cargo(carry(LEARNED, body, height, width), _slots(len(body)), _tag_key(secret, nonce))


def marked_nonce(payload: Payload, secret: bytes) -> bytes:
    """The nonce of a learned chip; WrongKeyError where another key model made it."""
    nonce, tag = payload.body[:NONCE], payload.body[NONCE:]
    if len(payload.body) != NONCE + TAG:
        raise DamagedError("the chip's nonce is damaged", GONE_HINT)
    if not hmac.compare_digest(tag, _nonce_tag(secret, nonce, payload.version)):
        raise WrongKeyError(
            "this chip was made with another key model", "name the right one with --key-model FILE"
        )
    _authenticate(payload, _tag_key(secret, nonce))
    return nonce


def derived(secret: bytes, label: bytes) -> bytes:
    """A key for one purpose from the owner's secret."""
    return hmac.digest(secret, label, "sha256")


def _nonce_tag(secret: bytes, nonce: bytes, version: int = VERSION) -> bytes:
    return derived(secret, NAMES[version] + b" nonce" + nonce)[:TAG]

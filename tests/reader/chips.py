"""AVP's chips (section 15)."""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from reader.age import unlock
from reader.envelope import DamagedError, Private, WrongKeyError, require
from reader.pictures import START, Pixels, decode, digest, patch_of, png_chunks


@dataclass(frozen=True)
class Frame:
    """What the low bits hold."""

    version: int
    kind: bytes
    body: bytes
    tag: bytes  # nothing in version 1
    size: tuple[int, int]  # height, width

    def label(self, word: bytes = b"") -> bytes:
        """`photoguard chip`, from version 2 on with the version, and a word behind."""
        return b"photoguard chip" + (b" 2" if self.version == 2 else b"") + word

    @property
    def sized_label(self) -> bytes:
        """The chip's label."""
        return self.label() + struct.pack(">II", *self.size)


def restored_chip(data: bytes, identities: list[str], secret: bytes = b"") -> Pixels:
    """The face of a sealed chip; of a learned one what its generator is given."""
    pixels = decode(data).pixels
    frame = framed(pixels)
    if frame.kind == b"S":
        return _sealed(pixels, frame, identities)
    require(len(frame.body) == 32, "the nonce's length")
    nonce = frame.body[:16]
    if _hmac(secret, frame.label(b" nonce") + nonce)[:16] != frame.body[16:]:
        raise WrongKeyError("another key model")
    _check_tag(pixels, frame, _hmac(secret, frame.label(b" tag") + nonce))
    return _unshuffled(pixels, secret, nonce)


def is_chip(data: bytes, private: list[Private]) -> bool:
    """Whether a picture is a chip and no public picture: private files decide where there are any."""
    if data.startswith(START) and any(kind == b"pgRd" for kind, _ in png_chunks(data)):
        return False
    pixels = decode(data).pixels
    longer, has_magic = max(pixels.shape[:2]), _has_magic(pixels)
    if not private:
        return pixels.dtype == np.uint8 and (longer <= 256 or (longer <= 1024 and has_magic))
    if digest(pixels) in [grant.chip for file in private for grant in file.grants.values()]:
        return True
    require(
        any(file.portable for file in private), "a chip of another photo" if has_magic else "lost its data"
    )
    return False


def _has_magic(pixels: Pixels) -> bool:
    return pixels.dtype == np.uint8 and _low_bits(pixels).startswith(b"PGCH")


def _low_bits(pixels: Pixels) -> bytes:
    low = (pixels.reshape(-1) & 3).astype(np.uint8)
    return np.packbits(np.unpackbits(low[: len(low) // 4 * 4, None], axis=1)[:, 6:]).tobytes()


def framed(pixels: Pixels) -> Frame:
    """The frame, after the checks that need no key."""
    require(pixels.dtype == np.uint8, "a chip's samples")
    data = _low_bits(pixels)
    require(len(data) >= 26 and data[:4] == b"PGCH", "no chip")
    version, kind, length = struct.unpack(">BcI", data[4:10])
    require(version in (1, 2), f"chip version {version}")
    end = 10 + length
    tag = data[end + 16 : end + 16 * version]
    frame = Frame(version, kind, data[10:end], tag, pixels.shape[:2])
    require(end + 16 * version <= len(data), "the body does not fit")
    require(sha256(frame.sized_label + data[:end]).digest()[:16] == data[end : end + 16], "the check")
    require(kind in (b"S", b"L"), "the kind")
    return frame


def _check_tag(pixels: Pixels, frame: Frame, key: bytes) -> None:
    if frame.version == 1:
        return
    samples, start = pixels.reshape(-1).copy(), 4 * (26 + len(frame.body))
    samples[start : start + 64] &= 252
    require(_hmac(key, frame.sized_label + samples.tobytes())[:16] == frame.tag, "the chip's tag")


def _sealed(pixels: Pixels, frame: Frame, identities: list[str]) -> Pixels:
    length = int.from_bytes(frame.body[:2], "big")
    require(len(frame.body) >= 2 + length + 16, "the body is cut short")
    head, rest = frame.body[: 2 + length], frame.body[2 + length :]
    key = unlock(head[2:], identities)
    require(len(key) == 32, "the locked key's length")
    try:
        plain = ChaCha20Poly1305(key).decrypt(bytes(12), rest, frame.sized_label + head)
    except InvalidTag:
        raise DamagedError("the chip's face was altered") from None
    _check_tag(pixels, frame, _hmac(key, frame.label(b" tag")))
    size = int.from_bytes(plain[:4], "big")
    require(4 + size <= len(plain) and not plain[4 + size :].strip(b"\0"), "the chip's padding")
    return patch_of(b"W" + plain[4 : 4 + size], *frame.size)


def _unshuffled(pixels: Pixels, secret: bytes, nonce: bytes) -> Pixels:
    height, width = pixels.shape[:2]
    count = 3 * height * width
    key = _hmac(secret, b"photoguard chip shuffle" + nonce + struct.pack(">II", height, width))
    stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(9 * count))
    places = np.argsort(np.frombuffer(stream, "<u8", count), kind="stable")
    turned = (np.frombuffer(stream, np.uint8, offset=8 * count) & 1).astype(bool)
    samples = pixels.transpose(2, 0, 1).reshape(-1)
    back = np.empty_like(samples)
    back[places] = np.where(turned, 255 - samples, samples)
    return back.reshape(3, height, width).transpose(1, 2, 0)


def _hmac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")

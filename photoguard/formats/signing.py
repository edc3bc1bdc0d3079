"""Who made a file: Ed25519 signatures under a key that follows from an age identity."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from photoguard.errors import DamagedError

SEED = PUBLIC = 32
SIGNATURE = 64
X25519 = "AGE-SECRET-KEY-1"
INFO = b"photoguard signing key 1"


@dataclass(frozen=True)
class Signer:
    """A secret signing key."""

    seed: bytes

    @property
    def public(self) -> bytes:
        """What others tell the signatures by."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """64 bytes that only this key can make for the message."""
        return self._key.sign(message)

    @property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    def __repr__(self) -> str:  # a secret never reaches a log
        return "Signer(...)"


def signer_of(identity: str) -> Signer | None:
    """The signing key of an identity file's first age key; an SSH key has none."""
    keys = [line.strip() for line in identity.splitlines() if line.strip().startswith(X25519)]
    return Signer(HKDF(SHA256(), SEED, None, INFO).derive(keys[0].encode())) if keys else None


def throwaway() -> Signer:
    """A key that nobody knows: its signatures hold files together and name nobody."""
    return Signer(secrets.token_bytes(SEED))


def verify(public: bytes, signature: bytes, message: bytes) -> None:
    """Raise unless the signature of the message was made with the key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):  # ValueError: not 32 bytes
        raise DamagedError("a signature does not hold", "get the file again from whoever made it") from None

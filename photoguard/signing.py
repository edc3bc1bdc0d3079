"""Who made a file: signatures under a key that belongs to an identity, or to nobody."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from photoguard.errors import DamagedError

SEED = PUBLIC = 32
SIGNATURE = 64


@dataclass(frozen=True)
class Signer:
    """A secret that signs."""

    seed: bytes = field(repr=False)

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def public(self) -> bytes:
        """What verifies, and names the signer."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)


def signer_of(identity: str) -> Signer:
    """The signer that belongs to the first key of an identity file: whoever has the identity has it."""
    line = next(line.strip() for line in identity.splitlines() if line.strip().startswith("AGE-SECRET-KEY-1"))
    return Signer(HKDF(SHA256(), SEED, None, b"photoguard signing key 1").derive(line.encode()))


def nobody() -> Signer:
    """A signer for one photo, of somebody without an identity."""
    return Signer(secrets.token_bytes(SEED))


def verify(public: bytes, signature: bytes, message: bytes) -> None:
    """Raise when the signature is not the signer's."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise DamagedError(
            "the private file's signature does not hold", "get it again from whoever made it"
        ) from None

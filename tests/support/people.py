"""Keys and passphrases of people who are made up."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from photoguard.formats import identities
from photoguard.formats.identities import Recipients


def nobody_asks(prompt: str) -> str:
    raise AssertionError(f"nothing asks for {prompt!r} here")


def ssh_key() -> bytes:
    key = ed25519.Ed25519PrivateKey.generate()
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    return key.private_bytes(*kinds)


@cache
def locked() -> bytes:
    return identities.seal(b"hello", Recipients(passphrase="four random words"))


def asking_for(work: object) -> bytes:
    """A file whose passphrase takes so much work."""
    assert b" 18\n" in locked()
    return locked().replace(b" 18\n", f" {work}\n".encode(), 1)

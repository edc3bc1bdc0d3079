"""age files locked with a passphrase: how much work one asks for, and writing one.

pyrage takes the work factor from a measurement of the machine, so that a fast machine's files may be too much
for a small one, and no fixed bound tells too much from normal. These are written with age's own default.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import b64encode

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from photoguard.errors import DamagedError

WORK = 18  # log2 of scrypt's N: 256 MB of memory
MOST_WORK = WORK + 2  # 1 GB; memory and time are in proportion to 2**work
CHUNK = 1 << 16
STANZA = re.compile(rb"-> scrypt [A-Za-z0-9+/]{22} ([1-9][0-9]?)")


def refuse_excessive(header: bytes) -> None:
    """Raise when an age header asks for more work than this program does; costs nothing."""
    for line in header.split(b"\n"):
        if not line.startswith(b"-> scrypt"):
            continue
        match = STANZA.fullmatch(line)
        if not match:
            raise DamagedError("the work factor of the file locked with a passphrase cannot be read")
        if (work := int(match.group(1))) > MOST_WORK:
            raise DamagedError(
                f"its passphrase would take {2**work >> 20} GB of memory to check (work factor {work})",
                f"photoguard opens up to {MOST_WORK}; if you trust its maker, `age --decrypt` may open it",
            )


def lock(plaintext: bytes, passphrase: str) -> bytes:
    """An age file that the passphrase opens."""
    return _lock(plaintext, passphrase, *map(secrets.token_bytes, (16, 16, 16)))


def _lock(plaintext: bytes, passphrase: str, file_key: bytes, salt: bytes, nonce: bytes) -> bytes:
    """As https://age-encryption.org/v1 says, with everything random given."""
    scrypt = Scrypt(b"age-encryption.org/v1/scrypt" + salt, 32, 1 << WORK, 8, 1)
    wrapped = ChaCha20Poly1305(scrypt.derive(passphrase.encode())).encrypt(bytes(12), file_key, None)
    stanza = f"age-encryption.org/v1\n-> scrypt {_base64(salt)} {WORK}\n{_base64(wrapped)}\n---".encode()
    mac = hmac.digest(_derived(file_key, b"", b"header"), stanza, "sha256")
    cipher = ChaCha20Poly1305(_derived(file_key, nonce, b"payload"))
    last = max(0, len(plaintext) - 1) // CHUNK
    chunks = [
        cipher.encrypt(i.to_bytes(11) + bytes([i == last]), plaintext[i * CHUNK : (i + 1) * CHUNK], None)
        for i in range(last + 1)
    ]
    return b"".join([stanza, f" {_base64(mac)}\n".encode(), nonce, *chunks])


def _derived(file_key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, info).derive(file_key)


def _base64(data: bytes) -> str:
    return b64encode(data).decode().rstrip("=")

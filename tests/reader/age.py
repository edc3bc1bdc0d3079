"""age files (section 6): pyrage does the work, and says in words which of our errors it is (section 11)."""

from __future__ import annotations

import re
from base64 import b64decode

import pyrage

from reader.envelope import DamagedError, WrongKeyError, require

MAGIC, ARMOR = b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----"
HEADER_LIMIT = 1 << 16


def unlock(data: bytes, identities: list[str] = [], passphrase: str | None = None) -> bytes:  # noqa: B006
    """The plaintext of an age file, binary or armored."""
    if data.startswith(ARMOR):
        try:
            data = b64decode(b"".join(data.strip().splitlines()[1:-1]), validate=True)
        except ValueError:
            raise DamagedError("the armor is no base64") from None
    end = data.find(b"\n---", 0, HEADER_LIMIT)
    require(data.startswith(MAGIC) and end > 0, "no age file")
    kinds = [line.split()[1] for line in data[:end].split(b"\n") if line.startswith(b"-> ")]
    require(any(not kind.endswith(b"-grease") for kind in kinds), "it names no recipient")
    factors = re.findall(rb"\n-> scrypt \S+ (.*)", data[:end])
    require(all(re.fullmatch(b"1?[1-9]|[12]0", factor) for factor in factors), "the work factor")
    try:
        if b"scrypt" in kinds:
            if passphrase is None:
                raise WrongKeyError("it needs a passphrase")
            return bytes(pyrage.passphrase.decrypt(data, passphrase))
        if not identities:
            raise WrongKeyError("it needs an identity")
        return bytes(pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(text) for text in identities]))
    except pyrage.DecryptError as error:
        wrong = "Decryption failed" if b"scrypt" in kinds else "No matching keys"
        raise (WrongKeyError if wrong in str(error) else DamagedError)(str(error)) from None

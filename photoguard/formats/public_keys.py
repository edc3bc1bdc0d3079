"""What an identity shows to others, recipients and signing key, as the text of `identity.pub`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from photoguard.errors import DamagedError, UsageError
from photoguard.formats import identities, signing

SIGNS_AS, SIGNED = "# signs as:", "# signed:"
RECOVERY = "# recovery:"  # in an identity: who else opens what is sealed to its owner
DOMAIN = b"photoguard recipients 1\n"


@dataclass(frozen=True)
class PublicKeys:
    """Whom to seal to, and how their owner signs, if he does."""

    recipients: tuple[str, ...]  # the owner's own first
    signer: bytes | None = None
    signature: bytes | None = None  # by the signer, over the recipients

    def to_text(self) -> str:
        """An age recipients file; what age ignores stands behind #."""
        lines = list(self.recipients)
        if self.signer is not None and self.signature is not None:
            lines += [f"{SIGNS_AS} {self.signer.hex()}", f"{SIGNED} {self.signature.hex()}"]
        return "".join(f"{line}\n" for line in lines)


def of_identity(text: str) -> PublicKeys:
    """What follows from the text of an identity file that is not locked."""
    if "PRIVATE KEY-----" in text:
        return PublicKeys((_ssh_recipient(text.encode()),))
    recovery = [line.removeprefix(RECOVERY) for line in text.splitlines() if line.startswith(RECOVERY)]
    recipients = (*identities.recipients_of(text), *map(identities.parse_recipient, recovery))
    return signed(recipients, signing.signer_of(text))


def signed(recipients: tuple[str, ...], signer: signing.Signer | None) -> PublicKeys:
    """Recipients, with their owner's signature."""
    if signer is None:
        return PublicKeys(recipients)
    return PublicKeys(recipients, signer.public, signer.sign(_message(recipients)))


def parse(text: str) -> PublicKeys:
    """A recipients file; one that says how its owner signs must be as the owner made it."""
    if signing.X25519 in text or "PRIVATE KEY-----" in text:
        raise UsageError("this is a secret identity", "take the .pub file beside it")
    recipients = tuple(identities.parse_recipients(text))
    signer, signature = _hex(text, SIGNS_AS, signing.PUBLIC), _hex(text, SIGNED, signing.SIGNATURE)
    if (signer is None) is not (signature is None):
        raise DamagedError("one of the lines `signs as` and `signed` is missing", "get the file again")
    if signer is not None and signature is not None:
        signing.verify(signer, signature, _message(recipients))
    return PublicKeys(recipients, signer, signature)


def _message(recipients: tuple[str, ...]) -> bytes:
    return DOMAIN + "\n".join(recipients).encode()


def _hex(text: str, label: str, size: int) -> bytes | None:
    found = [line.removeprefix(label).strip() for line in text.splitlines() if line.startswith(label)]
    if not found:
        return None
    if len(found) > 1 or not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", found[0]):
        raise DamagedError(f"the line `{label[2:]}` cannot be read", "get the file again")
    return bytes.fromhex(found[0])


def _ssh_recipient(key: bytes) -> str:
    """The public line of an SSH private key without a passphrase."""
    _ = identities.Identity(key).secret  # raises when it cannot be used
    load = load_ssh_private_key if b"BEGIN OPENSSH" in key else load_pem_private_key
    return load(key, None).public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()

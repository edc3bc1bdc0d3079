"""age identities and recipients: make, parse, seal to, open with; texts and bytes, no files."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyrage

from photoguard.errors import DamagedError, UnreadableError, UsageError, WrongKeyError
from photoguard.formats import passphrases

AGE_MAGIC = b"age-encryption.org/v1\n"
ARMOR_MAGIC = b"-----BEGIN AGE ENCRYPTED FILE-----"
HEADER_LIMIT = 1 << 16
PASSPHRASE_WORK = 4096  # as `work` counts

Ask = Callable[[str], str]  # prompt -> passphrase


@dataclass(frozen=True)
class Recipients:
    """Whom a private file is sealed to: public keys (`age1...` or SSH lines), or one passphrase."""

    keys: tuple[str, ...] = ()
    passphrase: str | None = None

    def __repr__(self) -> str:  # a passphrase never reaches a log
        return f"Recipients({len(self.keys)} keys, passphrase={self.passphrase is not None})"


@dataclass(frozen=True)
class Identity:
    """One secret key that may open private files, as text: it can go to another process."""

    text: bytes

    @property
    def secret(self) -> Any:
        """The key as pyrage wants it."""
        if b"PRIVATE KEY-----" not in self.text:
            return _x25519(self.text.decode())
        try:
            return pyrage.ssh.Identity.from_buffer(self.text)
        except Exception:  # pyrage raises several kinds here, none documented
            raise UnreadableError(
                "the SSH private key cannot be used", "only unencrypted ed25519 and RSA keys work"
            ) from None

    def __repr__(self) -> str:
        return "Identity(...)"


def generate() -> tuple[str, str]:
    """A new identity file's text, and its recipient `age1...`."""
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"# created: {made}\n# public key: {recipient}\n{identity}\n", recipient


def parse_recipient(text: str) -> str:
    """`age1...` or an SSH public key line, once it is proven to be one."""
    text = text.strip()
    _public_key(text)
    return text


def _public_key(text: str) -> Any:
    try:
        if text.startswith("age1"):
            return pyrage.x25519.Recipient.from_str(text)
        if text.startswith("ssh-"):
            return pyrage.ssh.Recipient.from_str(text)
    except (pyrage.RecipientError, UnicodeEncodeError) as error:  # bytes that are not valid text
        raise UsageError(f"not a valid recipient: {text[:24]}... ({error})", "copy the whole line") from None
    raise UsageError(
        f"not a recipient: {text[:24]!r}", "give age1..., an SSH public key, or a file with one a line"
    )


def parse_recipients(text: str) -> list[str]:
    """Recipients from a file's text, one a line; an identity file gives its own public keys."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise UsageError("the recipients file names nobody", "put age1... or an SSH public key on each line")
    return [
        str(_x25519(line).to_public()) if line.startswith("AGE-SECRET-KEY-1") else parse_recipient(line)
        for line in lines
    ]


def recipients_of(text: str) -> list[str]:
    """The `age1...` of every X25519 identity in an identity file's text."""
    return [
        str(_x25519(line.strip()).to_public())
        for line in text.splitlines()
        if line.strip().startswith("AGE-SECRET-KEY-1")
    ]


def _x25519(line: str) -> Any:
    try:
        return pyrage.x25519.Identity.from_str(line)
    except pyrage.IdentityError:
        raise UnreadableError("the identity file holds a damaged key", "restore it from its backup") from None


def unlocked(data: bytes, ask: Ask) -> bytes:
    """An identity file's text, from the file as it is or as a passphrase locked it."""
    return _open_with_passphrase(data, "Passphrase of the identity file", ask) if is_locked(data) else data


def parse_identities(data: bytes, ask: Ask) -> list[Identity]:
    """Identities from an age identity file, one encrypted with a passphrase, or an SSH private key."""
    data = unlocked(data, ask)
    if b"PRIVATE KEY-----" in data:
        found = [Identity(data)]
        _ = found[0].secret  # raises when it is none
        return found
    try:
        lines = [line.strip() for line in data.decode().splitlines()]
    except UnicodeDecodeError:
        raise UnreadableError("this is not an identity file", "`photoguard keygen` makes one") from None
    found = [Identity(line.encode()) for line in lines if line.startswith("AGE-SECRET-KEY-1")]
    for identity in found:
        _ = identity.secret  # raises when it is damaged
    if not found:
        raise UnreadableError("the identity file holds no key", "it should have a line AGE-SECRET-KEY-1...")
    return found


def is_locked(data: bytes) -> bool:
    """Whether this is an age file and no identity in clear."""
    return data.startswith((AGE_MAGIC, ARMOR_MAGIC))


def is_among(identity: Identity, recipients: Recipients) -> bool:
    """Whether an X25519 identity is one of the recipients."""
    to_public = getattr(identity.secret, "to_public", None)
    return to_public is not None and str(to_public()) in recipients.keys


def _open_with_passphrase(data: bytes, prompt: str, ask: Ask) -> bytes:
    """The plaintext of a file locked with a passphrase; one that asks for too much is refused before."""
    data = dearmored(data)
    passphrases.refuse_excessive(_header(data))
    try:
        return bytes(pyrage.passphrase.decrypt(data, ask(prompt)))
    except pyrage.DecryptError as error:
        if "Decryption failed" in str(error):
            raise WrongKeyError("the passphrase does not open this file", "check for typing errors") from None
        if "No matching keys" in str(error):
            raise UnreadableError(
                "this age file is not locked with a passphrase",
                "is it the private file and not the identity?",
            ) from None
        raise DamagedError(
            "the file locked with a passphrase is damaged", "get it again from where it came from"
        ) from None


def seal(plaintext: bytes, recipients: Recipients) -> bytes:
    """An age file that the recipients, or whoever knows the passphrase, can open."""
    if recipients.passphrase is not None:
        if recipients.keys:
            raise UsageError("a passphrase cannot be combined with other recipients", "age forbids the mix")
        return passphrases.lock(plaintext, recipients.passphrase)
    if not recipients.keys:
        raise UsageError("nobody to encrypt to", "run `photoguard keygen`, or name a recipient with --to")
    return bytes(pyrage.encrypt(plaintext, [_public_key(key) for key in recipients.keys]))


def unseal(data: bytes, identities: Sequence[Identity], ask: Ask | None = None) -> bytes:
    """The plaintext of an age file; not being a recipient and a damaged file are different errors."""
    data = dearmored(data)
    kinds = stanzas(data)
    if kinds == ["scrypt"]:
        if ask is None:
            raise WrongKeyError("the private file needs its passphrase", "run again in a terminal")
        return _open_with_passphrase(data, "Passphrase of the private file", ask)
    if not identities:
        raise WrongKeyError("no identity to open it with", "name one with --key FILE")
    try:
        return bytes(pyrage.decrypt(data, [identity.secret for identity in identities]))
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise WrongKeyError(
                "your identity is not among the recipients", "try another with --key FILE"
            ) from None
        raise DamagedError("the private file is damaged", "get it again from whoever made it") from None


def dearmored(data: bytes) -> bytes:
    """The binary form of an age file, whichever form it came in."""
    if not data.startswith(ARMOR_MAGIC):
        return data
    try:
        return base64.b64decode(b"".join(data.strip().splitlines()[1:-1]), validate=True)
    except ValueError:
        raise DamagedError("the armored age file is damaged") from None


_STANZA = re.compile(rb"-> ([\x21-\x7e]+)((?: [\x21-\x7e]+)*)")


def stanzas(data: bytes) -> list[str]:
    """The kinds of recipients an age file names: X25519, scrypt, ssh-ed25519 with its key's tag..."""
    found = []
    for line in _header(data).split(b"\n"):
        match = _STANZA.fullmatch(line)
        if match:
            kind = match.group(1).decode()
            if kind.endswith("-grease"):
                continue  # random filler, part of the age specification
            tag = match.group(2).decode().split()[:1] if kind.startswith("ssh-") else []
            found.append(" ".join([kind, *tag]))
    if not found:
        raise DamagedError("the private file names no recipient")
    return found


def work(data: bytes) -> int:
    """How long it takes to try a private file, in about milliseconds; 0 where it is none.

    age's library takes the more for each recipient, the more there are. A passphrase counts for the most work
    that it may ask for.
    """
    try:
        header = _header(dearmored(data))
    except DamagedError:
        return 0
    return PASSPHRASE_WORK if b"-> scrypt" in header else 1 + (len(header) >> 10) ** 2


def _header(data: bytes) -> bytes:
    """The lines of an age file that name its recipients."""
    if not data.startswith(AGE_MAGIC):
        raise DamagedError("this is not an age file", "get it again from whoever made it")
    end = data.find(b"\n---", 0, HEADER_LIMIT)
    if end < 0:
        raise DamagedError("the age file's header is cut short")
    return data[len(AGE_MAGIC) : end]

"""The files of an identity: `identity`, `identity.pub` to share, `identity.sign` beside a locked one.

The identity decides. `identity.pub` follows from it, and one that says anything else is refused.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from photoguard import files, identity
from photoguard.cli.shared.voice import ask_passphrase
from photoguard.errors import DamagedError, UnreadableError, UsageError, WrongKeyError
from photoguard.formats import identities, public_keys
from photoguard.formats.public_keys import PublicKeys
from photoguard.formats.signing import SEED, X25519, Signer

PUBLIC, SIGN, OLD = identity.PUBLIC, ".sign", ".old-"
SECRET_MODE, PUBLIC_MODE, FOLDER_MODE = identity.SECRET_MODE, identity.PUBLIC_MODE, 0o700
TEXT_LIMIT = 1 << 20
default_identity = identity.default_identity


def beside(path: Path, ending: str) -> Path:
    """`identity.pub` or `identity.sign` of `identity`."""
    return path.with_name(path.name + ending)


def keys_of(path: Path) -> PublicKeys:
    """An identity's recipients and signing key; `identity.pub` has no say where the identity can be read."""
    if not files.is_there(path):
        raise WrongKeyError(
            f"{files.shown(path)} is gone",
            f"put its backup back; to begin anew, remove {files.shown(beside(path, PUBLIC))} too",
        )
    data = files.read_file(path, TEXT_LIMIT)
    if identities.is_locked(data):
        return _keys_of_locked(path)
    keys = derived(data)
    if files.is_there(beside(path, PUBLIC)):
        refuse_differing(path, keys)
    return keys


def derived(data: bytes) -> PublicKeys:
    """What follows from an identity in clear, once it is proven to be one."""
    identities.parse_identities(data, ask_passphrase)  # raises when it is none
    return public_keys.of_identity(data.decode())


def refuse_differing(path: Path, keys: PublicKeys) -> None:
    """Raise when `identity.pub` says anything else than follows from the identity."""
    found = read_public(path)
    public = files.shown(beside(path, PUBLIC))
    again = _again(path, PUBLIC)
    added = sorted(set(found.recipients) - set(keys.recipients))
    missing = sorted(set(keys.recipients) - set(found.recipients))
    if added:
        raise DamagedError(
            f"{public} names {added[0]}, which {files.shown(path)} knows nothing of",
            f"{again}; only if you know it as your recovery identity's, add to {files.shown(path)} the line "
            f"{public_keys.RECOVERY} {added[0]}",
        )
    if missing or found.signer not in (None, keys.signer):
        what = missing[0] if missing else "the key that you sign with"
        raise DamagedError(f"{public} does not name {what}, as {files.shown(path)} does", again)


def _keys_of_locked(path: Path) -> PublicKeys:
    """From `identity.pub`, once its signature is by `identity.sign`: encrypting needs no passphrase."""
    if not files.is_there(beside(path, PUBLIC)):
        raise WrongKeyError(
            f"{files.shown(path)} is locked, and {files.shown(beside(path, PUBLIC))} is missing",
            f"{_keygen(path)} writes it again",
        )
    found, signer = read_public(path), signer_beside(path)
    if signer and found.signer != signer.public:
        raise DamagedError(
            f"{files.shown(beside(path, PUBLIC))} does not belong to {files.shown(beside(path, SIGN))}",
            _again(path, PUBLIC, SIGN),
        )
    return found


def read_public(path: Path) -> PublicKeys:
    """What `identity.pub` says, which was not altered."""
    public = beside(path, PUBLIC)
    try:
        return public_keys.parse(files.read_file(public, TEXT_LIMIT).decode("utf-8", "replace"))
    except (DamagedError, UnreadableError, UsageError) as error:
        raise DamagedError(
            f"{files.shown(public)} was altered: {error}",
            _again(path, PUBLIC),
        ) from None


def _again(path: Path, *endings: str) -> str:
    """How to have files of an identity written again."""
    names = " and ".join(files.shown(beside(path, ending)) for ending in endings)
    return f"remove {names} and run {_keygen(path)}, which writes what is missing"


def _keygen(path: Path) -> str:
    return (
        "`photoguard keygen`" if path == default_identity() else f"`photoguard keygen -o {files.shown(path)}`"
    )


def signer_beside(path: Path) -> Signer | None:
    """The signing key of a locked identity, if `keygen --passphrase` wrote one."""
    sign = beside(path, SIGN)
    if not files.is_there(sign):
        return None
    try:
        seed = bytes.fromhex(files.read_file(sign, TEXT_LIMIT).decode("ascii").strip())
    except ValueError:
        seed = b""
    if len(seed) != SEED:
        raise DamagedError(
            f"{files.shown(sign)} is damaged",
            _again(path, PUBLIC, SIGN),
        )
    return Signer(seed)


def old_identities(path: Path) -> list[Path]:
    """The identities before this one, the latest first; they still open what was encrypted to them."""
    pattern = re.compile(re.escape(path.name + OLD) + r"([1-9][0-9]{0,5})")
    try:
        found = [(match, one) for one in path.parent.iterdir() if (match := pattern.fullmatch(one.name))]
    except OSError:  # no folder, no identity
        return []
    return [one for match, one in sorted(found, key=lambda pair: -int(pair[0][1]))]


class Answers:
    """Passphrases that were typed: one that opens the identity may open those before it too."""

    def __init__(self) -> None:
        self.given: list[str] = []

    @property
    def last(self) -> str | None:
        """The one typed last, if any."""
        return self.given[-1] if self.given else None

    def ask(self, prompt: str) -> str:
        """Ask for a new one."""
        self.given.append(ask_passphrase(prompt))
        return self.given[-1]

    def unlocked(self, path: Path, data: bytes) -> bytes:
        """The text of an identity; a person is asked only when no earlier answer opens it."""
        for phrase in self.given if identities.is_locked(data) else ():
            with contextlib.suppress(WrongKeyError):
                return identities.unlocked(data, lambda _, phrase=phrase: phrase)  # type: ignore[misc]
        return identities.unlocked(data, lambda prompt: self.ask(f"{prompt} {files.shown(path)}"))


def is_identity(path: Path) -> bool:
    """Whether a file may be an identity: one in clear, or any age file."""
    if not files.is_there(path):
        return False
    data = files.read_file(path, count=TEXT_LIMIT)
    return identities.is_locked(data) or any(mark in data for mark in (X25519.encode(), b"PRIVATE KEY-----"))


def is_locked(path: Path) -> bool:
    """Whether an identity file needs a passphrase."""
    return identities.is_locked(files.read_file(path, TEXT_LIMIT))


def publish(
    folder: Path, outputs: dict[str, tuple[bytes, int]], secret: bytes | None, force: bool = False
) -> None:
    """Put files in place together, each with its mode whatever the umask."""
    with files.staged(folder, force, secret) as stage:
        for name, (data, mode) in outputs.items():
            stage.add(name, data, mode)
        stage.publish()


def guard_folder(folder: Path) -> None:
    """Make our config folder, for nobody else to look into; other folders are their owner's business."""
    if folder != default_identity().parent:
        return
    with files.writing(folder):
        folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
        found = folder.stat()
        if os.name == "posix" and found.st_uid == os.geteuid() and found.st_mode & 0o7777 != FOLDER_MODE:
            folder.chmod(FOLDER_MODE)

"""The files of an identity: `identity`, `identity.pub` to share, `identity.sign` beside a locked one.

The identity decides. `identity.pub` follows from it, and one that says anything else is refused.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from photoguard import files, identity
from photoguard.cli.shared.voice import ask_passphrase
from photoguard.errors import DamagedError, OutputExistsError, UnreadableError, UsageError, WrongKeyError
from photoguard.formats import identities, public_keys
from photoguard.formats.identities import Recipients
from photoguard.formats.public_keys import PublicKeys
from photoguard.formats.signing import SEED, X25519, Signer, signer_of

PUBLIC, SIGN = identity.PUBLIC, ".sign"
SECRET_MODE, PUBLIC_MODE, FOLDER_MODE = identity.SECRET_MODE, identity.PUBLIC_MODE, 0o700
TEXT_LIMIT = 1 << 20
PROOF = b"photoguard recovery proof"
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
    keys = _derived(data)
    if files.is_there(beside(path, PUBLIC)):
        _refuse_differing(path, keys)
    return keys


def _derived(data: bytes) -> PublicKeys:
    identities.parse_identities(data, ask_passphrase)  # raises when it is none
    return public_keys.of_identity(data.decode())


def _refuse_differing(path: Path, keys: PublicKeys) -> None:
    found = _read_public(path)
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
    found, signer = _read_public(path), signer_beside(path)
    if signer and found.signer != signer.public:
        raise DamagedError(
            f"{files.shown(beside(path, PUBLIC))} does not belong to {files.shown(beside(path, SIGN))}",
            _again(path, PUBLIC, SIGN),
        )
    return found


def _read_public(path: Path) -> PublicKeys:
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


def make_identity(
    path: Path, passphrase: str | None = None, recovery: Path | None = None, secret: bytes | None = None
) -> PublicKeys:
    """Write a new identity and what goes with it; nothing that exists is touched.

    The two identities lie in different folders and cannot appear at once, so the recovery identity is kept
    as a draft beside the other until both are in place. After a kill the same command goes on with it.
    `secret` is that of stages, with which a later run knows them again.
    """
    if recovery and recovery.absolute() == path.absolute():
        raise UsageError("the recovery identity needs a file of its own", "name another with --recovery")
    guard_folder(path.parent)
    draft = _tidied(path, recovery, secret)
    if files.is_there(draft) and files.is_there(path):  # killed at the last step
        draft.unlink()
        return keys_of(path)
    for target in (path, beside(path, PUBLIC), beside(path, SIGN)):
        files.refuse_existing(target)
    text, _ = identities.generate()
    spare, recipient = _spare(draft, recovery) if recovery else ("", "")
    if spare:
        text = f"{public_keys.RECOVERY} {recipient}\n{text}"
    keys = public_keys.of_identity(text)
    _prove(list(filter(None, (text, spare))), keys.recipients)
    if recovery:
        _write_spare(spare, draft, recovery, secret)
    content = text.encode()
    if passphrase is not None:
        content = identities.seal(content, Recipients(passphrase=passphrase))
    outputs = _companions(path, text, locked=passphrase is not None)
    publish(path.parent, {path.name: (content, SECRET_MODE), **outputs}, secret)
    draft.unlink(missing_ok=True)
    return keys


def complete(path: Path, secret: bytes | None) -> PublicKeys:
    """Write what belongs beside an identity and is missing, or was written by an earlier version."""
    data = files.read_file(path, TEXT_LIMIT)
    text = identities.unlocked(data, ask_passphrase)
    keys = _derived(text)
    if files.is_there(beside(path, PUBLIC)):
        _refuse_differing(path, keys)
    publish(path.parent, _companions(path, text.decode(), identities.is_locked(data)), secret, force=True)
    return keys


def lacks_something(path: Path) -> bool:
    """Whether `complete` has anything to write."""
    if not files.is_there(beside(path, PUBLIC)):
        return True
    data = files.read_file(path, TEXT_LIMIT)
    if identities.is_locked(data):
        return not files.is_there(beside(path, SIGN))
    return _derived(data).signer != _read_public(path).signer


def is_identity(path: Path) -> bool:
    """Whether a file may be an identity: one in clear, or any age file."""
    if not files.is_there(path):
        return False
    data = files.read_file(path, count=TEXT_LIMIT)
    return identities.is_locked(data) or any(mark in data for mark in (X25519.encode(), b"PRIVATE KEY-----"))


def is_locked(path: Path) -> bool:
    """Whether an identity file needs a passphrase."""
    return identities.is_locked(files.read_file(path, TEXT_LIMIT))


def _companions(path: Path, text: str, locked: bool) -> dict[str, tuple[bytes, int]]:
    """What follows from an identity's text: file names, contents and modes."""
    outputs = {beside(path, PUBLIC).name: (public_keys.of_identity(text).to_text().encode(), PUBLIC_MODE)}
    signer = signer_of(text)
    if locked and signer:
        outputs[beside(path, SIGN).name] = f"{signer.seed.hex()}\n".encode(), SECRET_MODE
    return outputs


def _tidied(path: Path, recovery: Path | None, secret: bytes | None) -> Path:
    """Finish what a killed run had decided; the draft that it may have left."""
    for folder in {path.parent, (recovery or path).parent}:
        files.finish_killed_runs(folder, secret)
    draft = path.with_name(f".{path.name}.unfinished")
    if files.is_there(draft) and not files.is_there(path) and recovery is None:
        raise OutputExistsError(
            "a `keygen --recovery` was cut off here",
            f"run it again, or remove {files.shown(draft)} and the recovery identity",
        )
    return draft


def _spare(draft: Path, recovery: Path) -> tuple[str, str]:
    """A new recovery identity, or that of the run that was killed, and its recipient."""
    text, recipient = identities.generate()
    if files.is_there(draft):
        text = files.read_file(draft, TEXT_LIMIT).decode()
        recipient = identities.recipients_of(text)[0]
        if files.is_there(recovery) and files.read_file(recovery, TEXT_LIMIT) == text.encode():
            return text, recipient
    files.refuse_existing(recovery)
    return text, recipient


def _write_spare(text: str, draft: Path, recovery: Path, secret: bytes | None) -> None:
    for path in (draft, recovery):
        if not files.is_there(path):
            publish(path.parent, {path.name: (text.encode(), SECRET_MODE)}, secret)


def _prove(secrets: Sequence[str], recipients: Sequence[str]) -> None:
    """Every new identity opens what is sealed to all of them."""
    sealed = identities.seal(PROOF, Recipients(tuple(map(identities.parse_recipient, recipients))))
    for secret in secrets:
        if identities.unseal(sealed, identities.parse_identities(secret.encode(), ask_passphrase)) != PROOF:
            raise WrongKeyError("a new identity does not open a test message", "try again")


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

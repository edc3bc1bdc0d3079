"""Identities made, completed, given a recovery identity and rotated: at every step a killed run can go on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from photoguard import files
from photoguard.cli.shared.identity_files import (
    OLD,
    PUBLIC,
    PUBLIC_MODE,
    SECRET_MODE,
    SIGN,
    TEXT_LIMIT,
    Answers,
    beside,
    derived,
    guard_folder,
    is_identity,
    is_locked,
    old_identities,
    publish,
    read_public,
    refuse_differing,
)  # fmt: skip
from photoguard.cli.shared.voice import ask_passphrase
from photoguard.errors import OutputExistsError, UsageError, WrongKeyError
from photoguard.formats import identities, public_keys
from photoguard.formats.identities import Recipients
from photoguard.formats.public_keys import PublicKeys
from photoguard.formats.signing import signer_of

PROOF = b"photoguard recovery proof"


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
    for target in (path, beside(path, PUBLIC), beside(path, SIGN)):
        files.refuse_existing(target)
    text, _ = identities.generate()
    spare, recipient = _spare(draft, recovery) if recovery else ("", "")
    if spare:
        text = _with_recovery(text, recipient)
    keys = public_keys.of_identity(text)
    _prove(list(filter(None, (text, spare))), keys.recipients)
    if recovery:
        _write_spare(spare, draft, recovery, secret)
    publish(path.parent, _outputs(path, text, passphrase), secret)
    draft.unlink(missing_ok=True)
    return keys


def add_recovery(path: Path, recovery: Path, secret: bytes | None = None) -> PublicKeys:
    """Write a recovery identity for an identity that is there, and name it in that.

    After a kill, also of `make_identity`, the same command goes on with the draft.
    """
    if files.is_same(path, recovery):
        raise UsageError("the recovery identity needs a file of its own", "name another with --recovery")
    draft = _tidied(path, recovery, secret)
    data, answers = files.read_file(path, TEXT_LIMIT), Answers()
    text = identities.unlocked(data, answers.ask).decode("utf-8", "replace")
    if signer_of(text) is None:
        raise UsageError(
            f"{files.shown(path)} is an SSH key, which has no room for a recovery identity",
            "encrypt to both with --to",
        )
    named = public_keys.of_identity(text).recipients
    if _holds_one_of(named, recovery):  # done, or killed behind its last step but one
        publish(path.parent, _companions(path, text, identities.is_locked(data)), secret, force=True)
        draft.unlink(missing_ok=True)
        return public_keys.of_identity(text)
    spare, recipient = _spare(draft, recovery)
    text = _with_recovery(text, recipient)
    keys = public_keys.of_identity(text)
    _prove([text, spare], keys.recipients)
    _write_spare(spare, draft, recovery, secret)
    publish(path.parent, _outputs(path, text, answers.last), secret, force=True)
    draft.unlink(missing_ok=True)
    return keys


def rotate(
    path: Path, passphrase: str | None, keep_recovery: bool, secret: bytes | None = None
) -> tuple[PublicKeys, Path]:
    """Put a new identity in place of the one that is there, which is kept beside it, and say where.

    The old one is in its place, byte for byte, before the new one comes. A locked identity stays locked.
    """
    _tidied(path, None, secret)
    data, answers = files.read_file(path, TEXT_LIMIT), Answers()
    before = identities.unlocked(data, answers.ask).decode("utf-8", "replace")
    derived(before.encode())
    kept = _keep_old(path, data, secret)
    text, _ = identities.generate()
    if keep_recovery:
        text = (
            "".join(f"{line}\n" for line in before.splitlines() if line.startswith(public_keys.RECOVERY))
            + text
        )
    keys = public_keys.of_identity(text)
    _prove([text], keys.recipients)
    phrase = answers.last if passphrase is None else passphrase
    publish(path.parent, _outputs(path, text, phrase), secret, force=True)
    return keys, kept


def complete(path: Path, secret: bytes | None) -> PublicKeys:
    """Write what belongs beside an identity and is missing, or was written by an earlier version."""
    data = files.read_file(path, TEXT_LIMIT)
    text = identities.unlocked(data, ask_passphrase)
    keys = derived(text)
    if files.is_there(beside(path, PUBLIC)):
        refuse_differing(path, keys)
    publish(path.parent, _companions(path, text.decode(), identities.is_locked(data)), secret, force=True)
    return keys


def lacks_something(path: Path) -> bool:
    """Whether `complete` has anything to write."""
    if not files.is_there(beside(path, PUBLIC)):
        return True
    data = files.read_file(path, TEXT_LIMIT)
    if identities.is_locked(data):
        return not files.is_there(beside(path, SIGN))
    return derived(data).signer != read_public(path).signer


def _with_recovery(text: str, recipient: str) -> str:
    return f"{public_keys.RECOVERY} {recipient}\n{text}"


def _holds_one_of(recipients: Sequence[str], recovery: Path) -> bool:
    """Whether the recovery identity in a file is one of an identity's."""
    if not is_identity(recovery) or is_locked(recovery):
        return False
    text = files.read_file(recovery, TEXT_LIMIT).decode("utf-8", "replace")
    return bool(set(identities.recipients_of(text)) & set(recipients))


def _keep_old(path: Path, data: bytes, secret: bytes | None) -> Path:
    """An identity under its new name; the run that was killed may have written it already."""
    before = old_identities(path)
    if before and files.read_file(before[0], TEXT_LIMIT) == data:
        kept = before[0]
    else:
        number = int(before[0].name.removeprefix(path.name + OLD)) + 1 if before else 1
        kept = beside(path, f"{OLD}{number}")
        publish(path.parent, {kept.name: (data, SECRET_MODE)}, secret)
    if identities.is_locked(data) and files.is_there(beside(path, SIGN)):
        sign = files.read_file(beside(path, SIGN), TEXT_LIMIT)
        publish(path.parent, {beside(kept, SIGN).name: (sign, SECRET_MODE)}, secret, force=True)
    return kept


def _outputs(path: Path, text: str, passphrase: str | None) -> dict[str, tuple[bytes, int]]:
    """An identity's file, locked where there is a passphrase, and what follows from it."""
    content = text.encode()
    if passphrase is not None:
        content = identities.seal(content, Recipients(passphrase=passphrase))
    return {path.name: (content, SECRET_MODE), **_companions(path, text, locked=passphrase is not None)}


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
    refuse_taken(recovery)
    return text, recipient


def refuse_taken(recovery: Path) -> None:
    """Raise when something is where a recovery identity is to be written."""
    if files.is_there(recovery) or recovery.is_symlink():
        raise OutputExistsError(
            f"{files.shown(recovery)} already exists", "name another with --recovery: no key is overwritten"
        )


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

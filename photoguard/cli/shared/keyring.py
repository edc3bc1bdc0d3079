"""Whose keys are used: to seal, to sign and to open with; commands take them from here."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from pathlib import Path

from photoguard import files
from photoguard.cli.shared import known
from photoguard.cli.shared.identity_files import (
    PUBLIC,
    SIGN,
    Answers,
    beside,
    default_identity,
    guard_folder,
    is_locked,
    keys_of,
    old_identities,
    signer_beside,
)
from photoguard.cli.shared.identity_making import make_identity
from photoguard.cli.shared.voice import Voice, ask_passphrase, new_passphrase
from photoguard.errors import (
    DamagedError,
    OutputExistsError,
    UnreadableError,
    UnwritableError,
    UsageError,
    WrongKeyError,
)
from photoguard.files import limits
from photoguard.formats import identities, signing
from photoguard.formats.identities import Identity, Recipients
from photoguard.formats.signing import Signer

UNWRITTEN_PATIENCE = 50  # hundredths of a second that a run may take between making a file and filling it
JOURNAL_KEY = 32  # bytes
LEARNED = "learned"  # in place of a key model's file: the default one


def has_identity() -> bool:
    """Whether the default identity, or what is public of it, exists."""
    path = default_identity()
    return files.is_there(path) or files.is_there(beside(path, PUBLIC))


def own_recipients(voice: Voice) -> list[str]:
    """The default identity's recipients; the identity is made at first use."""
    path = default_identity()
    if not has_identity():
        made = make_identity(path, secret=tidied(path.parent, voice))
        voice.note(f"Made your identity: {files.shown(path)} (recipient {made.recipients[0]})")
        voice.note("Back it up, for instance on a USB stick: without it nobody can restore your photos.")
        voice.note("`photoguard keygen --recovery FILE` makes a spare key for a safe place.")
    return list(keys_of(path).recipients)


def load_signer(voice: Voice) -> Signer:
    """The key to sign new files with: your identity's, or one that is thrown away and names nobody."""
    path = default_identity()
    why = "you have no identity"
    if files.is_there(path):
        locked = is_locked(path)
        signer = signer_beside(path) if locked else signing.signer_of(_text(path))
        if signer:
            _warn_of_readers(beside(path, SIGN) if locked else path, voice)
            return signer
        why = "your identity is an SSH key, which does not sign"
        if locked:
            why = "identity.sign is missing, and `photoguard keygen` writes it"
    voice.note(f"Nobody will be able to tell that you made this: {why}.")
    return signing.throwaway()


def _text(path: Path) -> str:
    return files.read_file(path).decode("latin-1")


def chosen_recipients(to: Sequence[str], passphrase: bool, voice: Voice) -> Recipients:
    """Whom to seal to, from what was typed."""
    if passphrase:
        if to:
            raise UsageError("--passphrase and --to exclude each other", "age files have one or the other")
        return Recipients(passphrase=new_passphrase("Passphrase for the private files"))
    if not to:
        return Recipients(tuple(own_recipients(voice)))
    keys: list[str] = []
    for one in to:
        if one == "self":
            keys += own_recipients(voice)
        elif one.startswith(("age1", "ssh-")) and not files.is_there(Path(one)):
            keys.append(identities.parse_recipient(one))
        elif known.is_known(one):  # before a file of that name, which others may have put there
            keys += known.keys_of(one).recipients
        else:
            keys += identities.parse_recipients(
                files.read_file(Path(one), limits.KEYS).decode("utf-8", "replace")
            )
    if "self" not in to:
        voice.note("Sealed to the named recipients only; add `--to self` to be able to open it yourself.")
    return Recipients(tuple(keys))


def load_identities(key: Path | None, voice: Voice) -> list[Identity]:
    """The identities to open with: the one named, or yours with those before it; none when there is none."""
    if key is None and not default_identity().exists():
        return []
    answers = Answers()
    found: list[Identity] = []
    for path in [key] if key else [default_identity(), *old_identities(default_identity())]:
        data = files.read_file(path, limits.KEYS)
        _warn_of_readers(path, voice)
        found += identities.parse_identities(answers.unlocked(path, data), ask_passphrase)
    return found


def _warn_of_readers(path: Path, voice: Voice) -> None:
    if files.readable_by_others(path):
        voice.warn(f"others can read {files.shown(path)}; fix it with: chmod 600 {files.shown(path)}")


def journal_key(voice: Voice, make: bool = True) -> bytes | None:
    """The secret that keys what journals say about photos; made at first use, if it may be."""
    path = default_identity().with_name("journal.key")
    try:
        _forget_unwritten(path)
        if not path.exists():
            if not make:
                return None
            guard_folder(path.parent)
            files.write_secret(path, f"{secrets.token_hex(JOURNAL_KEY)}\n")
    except OutputExistsError:
        pass  # another run made it this moment
    except UnwritableError as error:
        voice.note(f"note: a run that is cut off can be neither continued nor cleaned up after: {error}")
        return None
    try:
        key = bytes.fromhex(files.read_file(path, limits.KEYS).decode("ascii", "replace").strip())
    except ValueError:
        key = b""
    if len(key) != JOURNAL_KEY:
        raise DamagedError(
            f"{files.shown(path)} is damaged", "remove it; runs that were cut off then go on with --force"
        )
    return key


def _forget_unwritten(path: Path) -> None:
    """Remove a secret that a killed run did not come to write; one that is being written has time to be."""
    for _ in range(UNWRITTEN_PATIENCE):
        if not path.is_file() or path.stat().st_size:
            return
        time.sleep(0.01)
    path.unlink(missing_ok=True)


def stage_secret(voice: Voice, make: bool = True) -> bytes | None:
    """The secret of stages, by which a later run knows what a killed one left."""
    key = journal_key(voice, make)
    return files.stage_secret(key) if key else None


def tidied(folder: Path, voice: Voice) -> bytes | None:
    """Finish what killed runs left in a folder, and the secret for a stage of one's own there."""
    secret = stage_secret(voice)
    done = files.finish_killed_runs(folder, secret)
    for path in done.finished:
        voice.note(f"note: {files.shown(path)} was made by a run that was killed; it is in place now")
    for notice in done.notices:
        voice.warn(notice)
    return secret


def default_key_model() -> Path:
    """Where `keygen --model` writes when it is not told otherwise."""
    return default_identity().with_name("key-model.age")


def load_key_model(name: str, voice: Voice) -> bytes:
    """The plaintext of a key model, opened with the default identity."""
    path = default_key_model() if name == LEARNED else Path(name)
    if name == LEARNED and not path.exists():
        raise WrongKeyError("you have no key model yet", "make one with `photoguard keygen --model`")
    return identities.unseal(locked_key_model(path), load_identities(None, voice), ask_passphrase)


def locked_key_model(path: Path) -> bytes:
    """A key model as it lies on disk."""
    data = files.read_file(path, limits.KEY_MODEL)
    if not identities.is_locked(data):
        raise UnreadableError(
            f"{files.shown(path)} is not a key model", "`photoguard keygen --model` makes one"
        )
    return data


def proof_identities(recipients: Recipients, voice: Voice) -> list[Identity]:
    """The default identity, to prove that outputs open: where it is a recipient and needs no passphrase."""
    path = default_identity()
    if recipients.passphrase is not None or not path.exists():
        return []
    data = files.read_file(path, limits.KEYS)
    if identities.is_locked(data):
        voice.detail(
            "Your identity is locked with a passphrase, so the private file is not opened as a test."
        )
        return []
    own = identities.parse_identities(data, ask_passphrase)
    return [identity for identity in own if identities.is_among(identity, recipients)]

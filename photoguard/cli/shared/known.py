"""People whose public keys were kept by name: whom to encrypt to, and who made a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from photoguard import files
from photoguard.cli.shared.identity_files import (
    PUBLIC,
    PUBLIC_MODE,
    TEXT_LIMIT,
    default_identity,
    guard_folder,
    is_locked,
    old_identities,
    publish,
    signer_beside,
)
from photoguard.cli.shared.voice import Voice
from photoguard.errors import PhotoguardError, UsageError
from photoguard.formats import public_keys, signing
from photoguard.formats.identities import Identity
from photoguard.formats.public_keys import PublicKeys

YOU, SELF = "you", "self"
NAME = re.compile(r"(?!age1|ssh-)\w[\w.@ -]{0,63}")


def file_of(name: str) -> Path | None:
    """Where somebody's public keys are kept, if the name is one that may be kept."""
    may = NAME.fullmatch(name) and name.casefold() not in (YOU, SELF)
    return default_identity().parent / "known" / f"{name}{PUBLIC}" if may else None


def is_known(name: str) -> bool:
    """Whether somebody's keys are kept under this name."""
    path = file_of(name)
    return path is not None and files.is_there(path)


def keys_of(name: str) -> PublicKeys:
    """The keys kept under a name."""
    path = file_of(name)
    if path is None:
        raise UsageError(f"{name!r} cannot name somebody", "letters, digits, spaces and . @ - _, up to 64")
    return _read(path)


def remember(name: str, keys: PublicKeys, voice: Voice, force: bool = False) -> Path:
    """Keep somebody's public keys under a name; one signing key has one name."""
    path = file_of(name)
    if path is None:
        raise UsageError(f"{name!r} cannot name somebody", "letters, digits, spaces and . @ - _, up to 64")
    before = signers(voice).get(keys.signer or b"", name)
    if before != name:
        raise UsageError(f"these are the keys of {before}", "one signing key has one name")
    guard_folder(path.parent.parent)
    publish(path.parent, {path.name: (keys.to_text().encode(), PUBLIC_MODE)}, None, force)
    return path


def signers(voice: Voice, keys: Sequence[Identity] = ()) -> dict[bytes, str]:
    """Whose signing key is whose: NAME of those kept, `you` for your identity and for the keys at hand."""
    folder = default_identity().parent / "known"
    found: dict[bytes, str] = {}
    for path in sorted(folder.glob(f"*{PUBLIC}")):
        try:
            signer = _read(path).signer
        except PhotoguardError as error:  # somebody is unknown then, and no photo is lost for it
            voice.warn(f"{files.shown(path)} is passed over: {error}")
            continue
        if signer:
            found[signer] = path.name.removesuffix(PUBLIC)
    return {**found, **{signer.public: YOU for signer in _own(keys)}}


def _own(keys: Sequence[Identity]) -> list[signing.Signer]:
    found = [signing.signer_of(key.text.decode("latin-1")) for key in keys]
    for path in filter(files.is_there, [default_identity(), *old_identities(default_identity())]):
        data = files.read_file(path, TEXT_LIMIT)
        found.append(signer_beside(path) if is_locked(path) else signing.signer_of(data.decode("latin-1")))
    return [signer for signer in found if signer]


def _read(path: Path) -> PublicKeys:
    return public_keys.parse(files.read_file(path, TEXT_LIMIT).decode("utf-8", "replace"))

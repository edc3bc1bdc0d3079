"""`keygen`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photoguard import files
from photoguard.cli.shared import options
from photoguard.cli.shared.identity_files import (
    PUBLIC,
    beside,
    default_identity,
    is_identity,
    is_locked,
)
from photoguard.cli.shared.identity_making import (
    add_recovery,
    complete,
    lacks_something,
    make_identity,
    refuse_taken,
    rotate,
)
from photoguard.cli.shared.key_models import (
    Images,
    Minutes,
    Preset,
    PresetOption,
    Steps,
    key_model_text,
    make_key_model,
    settings,
)
from photoguard.cli.shared.keyring import default_key_model, own_recipients, tidied
from photoguard.cli.shared.voice import Voice, guarded, new_passphrase
from photoguard.errors import UsageError, WrongKeyError
from photoguard.formats.identities import Recipients
from photoguard.formats.public_keys import PublicKeys


@guarded
def keygen(
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Identity file to write; default: `identity` in your config folder."
        ),
    ] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Lock the identity file with a passphrase.")
    ] = False,
    recovery: Annotated[
        Path | None,
        typer.Option(
            "--recovery",
            help="Write a second identity here, for a safe place; it opens whatever you encrypt to yourself "
            "from now on. It joins the identity that you have.",
        ),
    ] = None,
    rotation: Annotated[
        bool,
        typer.Option(
            "--rotate",
            help="Make a new identity in place of yours, which stays beside it as identity.old-1 and still "
            "opens what was encrypted to it. Recovery identities stay, unless --recovery writes a new one.",
        ),
    ] = False,
    model: Annotated[
        bool,
        typer.Option(
            "--model",
            help="Make a learned key model for AVP instead, locked to your identity: key-model.age in your "
            "config folder, and a sample sheet beside it.",
        ),
    ] = False,
    minutes: Minutes = None,
    steps: Steps = None,
    images: Images = None,
    preset: PresetOption = Preset.small,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Make your identity, the secret that opens your private files, or change it; or a key model for AVP."""
    voice = Voice(json, quiet, verbose)
    if model:
        if passphrase or recovery or rotation:
            raise UsageError(
                "--model takes none of --passphrase, --recovery and --rotate", "your identity locks it"
            )
        _make_model(voice, output or default_key_model(), preset, minutes, steps, images, force)
        return
    if minutes or steps or images or force:
        raise UsageError("--minutes, --steps, --images and --force belong to --model", "add --model")
    path = output or default_identity()
    secret = tidied(path.parent, voice)
    if rotation:
        _rotate(voice, path, passphrase, recovery, secret)
        return
    if recovery and is_identity(path):
        if passphrase and not is_locked(path):
            raise UsageError(
                f"{files.shown(path)} is there already, and not locked",
                "`photoguard keygen --rotate --passphrase` makes a new one that is",
            )
        _show(voice, path, add_recovery(path, recovery, secret), recovery)
        return
    keys = _completed(path, passphrase, secret)
    if keys is None:
        words = new_passphrase("Passphrase for the new identity") if passphrase else None
        keys = make_identity(path, words, recovery, secret)
    _show(voice, path, keys, recovery)


def _rotate(voice: Voice, path: Path, passphrase: bool, recovery: Path | None, secret: bytes | None) -> None:
    if not is_identity(path):
        raise WrongKeyError("there is no identity to rotate", "`photoguard keygen` makes one")
    if recovery:
        refuse_taken(recovery)
    words = new_passphrase("Passphrase for the new identity") if passphrase else None
    keys, kept = rotate(path, words, recovery is None, secret)
    if recovery:
        keys = add_recovery(path, recovery, secret)
    _show(voice, path, keys, recovery)
    voice.note(f"Your identity until now is {files.shown(kept)}: keep it, it opens what was encrypted to it.")
    voice.note("`photoguard grant --reseal FOLDER` changes private files, so that the new one opens them.")


def _make_model(
    voice: Voice,
    path: Path,
    preset: Preset,
    minutes: float | None,
    steps: int | None,
    images: list[Path] | None,
    force: bool,
) -> None:
    owner = Recipients(tuple(own_recipients(voice)))
    config, sheet = settings(preset, minutes, steps), path.with_suffix(".png")
    secret, pictures = tidied(path.parent, voice), tuple(images or ())
    record = make_key_model(path, sheet, config, pictures, owner, voice, force=force, secret=secret)
    voice.result(key_model_text(record), record)


def _show(voice: Voice, path: Path, keys: PublicKeys, recovery: Path | None) -> None:
    shared = beside(path, PUBLIC)
    text = (
        f"identity   {files.shown(path)}\nrecipient  {keys.recipients[0]}\nto share   {files.shown(shared)}"
    )
    if recovery:
        text += f"\nrecovery   {files.shown(recovery)}"
    record = {
        "identity": str(path),
        "recipient": keys.recipients[0],
        "recovery": str(recovery) if recovery else None,
        "share": str(shared),
        "signs_as": keys.signer.hex() if keys.signer else None,
    }
    voice.result(text, record)
    voice.note("Keep a copy of the identity file in a safe place: without it nobody restores your photos.")
    if recovery:
        voice.note("The recovery identity was proven to open a test message. Move it off this computer.")


def _completed(path: Path, passphrase: bool, secret: bytes | None) -> PublicKeys | None:
    """An identity that is there but lacks a file beside it, completed; None where there is no such one."""
    if not is_identity(path) or (passphrase and not is_locked(path)) or not lacks_something(path):
        return None
    return complete(path, secret)

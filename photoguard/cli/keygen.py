"""`keygen` and `recipients`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photoguard import files
from photoguard.cli.shared import known, options
from photoguard.cli.shared.identity_files import (
    PUBLIC,
    TEXT_LIMIT,
    beside,
    complete,
    default_identity,
    is_identity,
    is_locked,
    keys_of,
    lacks_something,
    make_identity,
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
from photoguard.cli.shared.keyring import default_key_model, has_identity, own_recipients, tidied
from photoguard.cli.shared.voice import Voice, guarded, new_passphrase
from photoguard.errors import UsageError, WrongKeyError
from photoguard.files import limits
from photoguard.formats import identities, public_keys
from photoguard.formats.identities import Recipients
from photoguard.formats.public_keys import PublicKeys


@guarded
def keygen(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Identity file to write; your config folder's by default."),
    ] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Lock the identity file with a passphrase.")
    ] = False,
    recovery: Annotated[
        Path | None,
        typer.Option(
            "--recovery",
            help="Write a second identity here, for a safe place; it opens whatever you encrypt to yourself.",
        ),
    ] = None,
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
    """Make your identity: the secret that opens your private files. With --model: a key model for AVP."""
    voice = Voice(json, quiet, verbose)
    if model:
        if passphrase or recovery:
            raise UsageError("--model takes neither --passphrase nor --recovery", "your identity locks it")
        path = output or default_key_model()
        owner = Recipients(tuple(own_recipients(voice)))
        config, sheet = settings(preset, minutes, steps), path.with_suffix(".png")
        secret = tidied(path.parent, voice)
        pictures = tuple(images or ())
        record = make_key_model(path, sheet, config, pictures, owner, voice, force=force, secret=secret)
        voice.result(key_model_text(record), record)
        return
    if minutes or steps or images or force:
        raise UsageError("--minutes, --steps, --images and --force belong to --model", "add --model")
    path = output or default_identity()
    secret = tidied(path.parent, voice)
    keys = _completed(path, passphrase, recovery, secret)
    if keys is None:
        words = new_passphrase("Passphrase for the new identity") if passphrase else None
        keys = make_identity(path, words, recovery, secret)
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


def _completed(
    path: Path, passphrase: bool, recovery: Path | None, secret: bytes | None
) -> PublicKeys | None:
    """An identity that is there but lacks a file beside it, completed; None where there is no such one."""
    if recovery or not is_identity(path) or (passphrase and not is_locked(path)) or not lacks_something(path):
        return None
    return complete(path, secret)


@guarded
def recipients(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Identity file, recipients file or NAME.priv; your default identity when left out.",
            readable=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="NAME",
            help="Keep the recipients file that somebody shared under this name: `--to NAME` then encrypts "
            "to its owner, and `decrypt` and `verify` say what its owner made.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With --as: replace what is kept under the name.")
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Show whom to encrypt to and how the owner signs, or the kinds of keys that open a private file."""
    voice = Voice(json, quiet, verbose)
    if force and name is None:
        raise UsageError("--force belongs to --as", "add --as NAME")
    if name is not None:
        _keep(file, name, voice, force)
        return
    data = files.read_file(file, limits.PRIVATE) if file else b""
    if file and file.name.endswith(files.PRIVATE_SUFFIX):
        for kind in identities.stanzas(identities.dearmored(data)):
            voice.result(f"opens with  {kind}", {"opens_with": kind})
        return
    if file is None and not has_identity():
        raise WrongKeyError("you have no identity yet", "make one with `photoguard keygen`")
    if file is None or is_identity(file):
        path = file or default_identity()
        _show(keys_of(path), voice)
        if files.is_there(beside(path, PUBLIC)):
            voice.detail(f"Share the file {files.shown(beside(path, PUBLIC))}.")
        return
    _show(public_keys.parse(data.decode("utf-8", "replace")), voice)


def _show(keys: PublicKeys, voice: Voice) -> None:
    for key in keys.recipients:
        voice.result(f"recipient  {key}", {"recipient": key})
    if keys.signer:
        voice.result(f"signs as   {keys.signer.hex()}", {"signs_as": keys.signer.hex()})


def _keep(file: Path | None, name: str, voice: Voice, force: bool) -> None:
    """Keep somebody's public keys for `--to NAME` and for telling who made a file."""
    if file is None:
        raise UsageError("--as keeps somebody else's file", "name the file that was shared with you")
    keys = public_keys.parse(files.read_file(file, TEXT_LIMIT).decode("utf-8", "replace"))
    path = known.remember(name, keys, voice, force)
    record = {"name": name, "file": str(path), "signs_as": keys.signer.hex() if keys.signer else None}
    voice.result(f"{name}  {files.shown(path)}", record)
    if keys.signer is None:
        voice.note(f"The file names no signing key, so nothing will be shown as made by {name}.")
    else:
        voice.note(f"Ask {name} to compare, in person or by phone: signs as {keys.signer.hex()}")

"""`recipients`."""

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
    default_identity,
    is_identity,
    keys_of,
)
from photoguard.cli.shared.keyring import (
    has_identity,
)
from photoguard.cli.shared.voice import Voice, guarded
from photoguard.errors import UsageError, WrongKeyError
from photoguard.files import limits
from photoguard.formats import identities, public_keys
from photoguard.formats.public_keys import PublicKeys


@guarded
def recipients(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Identity file, recipients file or NAME.priv; default: your identity.",
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

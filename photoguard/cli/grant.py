"""`grant`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photoguard import files
from photoguard.cli.shared import options
from photoguard.cli.shared.keyring import (
    chosen_recipients,
    load_identities,
    tidied,
)
from photoguard.cli.shared.options import face_numbers
from photoguard.cli.shared.voice import Voice, ask_passphrase, guarded
from photoguard.errors import UsageError
from photoguard.files import limits
from photoguard.formats import identities
from photoguard.formats.private import PrivateFile


@guarded
def grant(
    private: Annotated[
        Path, typer.Argument(help="A private file that you can open.", show_default=False, readable=False)
    ],
    to: options.To = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Seal to a passphrase instead of recipients.")
    ] = False,
    faces: Annotated[
        str,
        typer.Option(
            "--faces", help="Faces to grant, by the numbers that `inspect` shows: all, or like 1,3."
        ),
    ] = "all",
    metadata: Annotated[
        bool | None,
        typer.Option(
            "--metadata/--no-metadata",
            help="Grant the photo's metadata (place, date, name); default: only with all faces.",
        ),
    ] = None,
    key: options.Key = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Private file to write; default: NAME.grant.priv.")
    ] = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Give others the faces you choose: a new private file, made from one you can open."""
    voice = Voice(json, quiet, verbose)
    if not to and not passphrase:
        raise UsageError("nobody to grant to", "name a recipient with --to, or use --passphrase")
    target = output or private.with_name(
        files.stem_of(private, files.PRIVATE_SUFFIX) + ".grant" + files.PRIVATE_SUFFIX
    )
    if files.is_same(target, private):
        raise UsageError("the grant would replace the private file itself", "choose another name with -o")
    if not force:
        files.refuse_existing(target)
    data = files.read_file(private, limits.PRIVATE)
    opened = PrivateFile.from_bytes(identities.unseal(data, load_identities(key, voice), ask_passphrase))
    granted = opened.granting(None if faces == "all" else face_numbers(faces, "--faces"), metadata)
    sealed = identities.seal(granted.to_bytes(), chosen_recipients(to or [], passphrase, voice))
    with files.staged(target.parent, force, tidied(target.parent, voice)) as stage:
        stage.add(target.name, sealed)
        stage.publish()
    numbers = [g.number for g in granted.grants]
    text = f"{files.shown(target)}: grants face {', '.join(map(str, numbers))}"
    facts, everything = granted.metadata_key is not None, granted.everything_key is not None
    if facts:
        whole = everything or granted.seal is None  # version 1 has all of it in one piece
        text += " and the metadata" if whole else " and the metadata's facts (place, date, name; no previews)"
    record = {"private": str(target), "faces": numbers, "metadata": facts, "everything": everything}
    voice.result(text, record)

"""`grant`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photoguard import files
from photoguard.cli.shared import options
from photoguard.cli.shared.albums import one_by_one
from photoguard.cli.shared.keyring import (
    chosen_recipients,
    load_identities,
    tidied,
)
from photoguard.cli.shared.options import face_numbers, named_faces
from photoguard.cli.shared.voice import Voice, ask_passphrase, guarded
from photoguard.errors import UsageError, WrongKeyError
from photoguard.files import limits
from photoguard.formats import identities
from photoguard.formats.private import PrivateFile


@guarded
def grant(
    private: Annotated[
        list[Path],
        typer.Argument(
            help="A private file that you can open; with --reseal several, or folders of them.",
            show_default=False,
            readable=False,
        ),
    ],
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            "-t",
            help="Whom to grant to: age1..., an SSH public key, a NAME kept with `recipients --as`, a file "
            "with one a line, or `self`. Repeat it for several. With --reseal, default: yourself.",
        ),
    ] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Seal to a passphrase instead of recipients.")
    ] = False,
    reseal: Annotated[
        bool,
        typer.Option(
            "--reseal",
            help="Change the private files themselves, so that these recipients and nobody else can open "
            "them from now on; for instance after `keygen --rotate` or --recovery.",
        ),
    ] = False,
    recursive: options.Recursive = False,
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
    """Give others the faces you choose, in a new private file; or --reseal files to other keys."""
    voice = Voice(json, quiet, verbose)
    if reseal:
        if faces != "all" or metadata is not None or output or force:
            raise UsageError(
                "--reseal takes none of --faces, --metadata, -o and --force",
                "it changes who can open, no more",
            )
        _reseal(voice, private, recursive, key, to or [], passphrase)
        return
    if len(private) > 1 or recursive:
        raise UsageError("one private file is granted at a time", "--reseal takes several, and --recursive")
    if not to and not passphrase:
        raise UsageError("nobody to grant to", "name a recipient with --to, or use --passphrase")
    target = output or private[0].with_name(
        files.stem_of(private[0], files.PRIVATE_SUFFIX) + ".grant" + files.PRIVATE_SUFFIX
    )
    if files.is_same(target, private[0]):
        raise UsageError("the grant would replace the private file itself", "choose another name with -o")
    if not force:
        files.refuse_existing(target)
    data = files.read_file(private[0], limits.PRIVATE)
    opened = PrivateFile.from_bytes(identities.unseal(data, load_identities(key, voice), ask_passphrase))
    granted = opened.granting(None if faces == "all" else face_numbers(faces, "--faces"), metadata)
    sealed = identities.seal(granted.to_bytes(), chosen_recipients(to or [], passphrase, voice))
    with files.staged(target.parent, force, tidied(target.parent, voice)) as stage:
        stage.add(target.name, sealed)
        stage.publish()
    numbers = [g.number for g in granted.grants]
    text = f"{files.shown(target)}: grants {named_faces(numbers)}"
    facts, everything = granted.metadata_key is not None, granted.everything_key is not None
    if facts:
        whole = everything or granted.seal is None  # version 1 has all of it in one piece
        text += " and the metadata" if whole else " and the metadata's facts (place, date, name; no previews)"
    record = {"private": str(target), "faces": numbers, "metadata": facts, "everything": everything}
    voice.result(text, record)


def _reseal(
    voice: Voice, inputs: list[Path], recursive: bool, key: Path | None, to: list[str], passphrase: bool
) -> None:
    """Seal private files anew, in place and each whole; what is sealed in them, signature included, stays."""
    recipients = chosen_recipients(to, passphrase, voice)
    keys = load_identities(key, voice)
    in_folders = {
        path: folder
        for folder in filter(files.is_folder, inputs)
        for path in files.secrets_in(folder, recursive)
    }
    paths = list(dict.fromkeys([*in_folders, *(path for path in inputs if not files.is_folder(path))]))
    if not paths:
        raise UsageError("there is no private file here", "--recursive looks into subfolders too")
    secrets = {folder: tidied(folder, voice) for folder in {path.parent for path in paths}}
    most = 0 if to or passphrase else len(recipients.keys)

    def reseal(number: int) -> None:
        path = paths[number]
        data = files.read_file(path, limits.PRIVATE)
        try:
            content = identities.unseal(data, keys, ask_passphrase)
        except WrongKeyError as error:
            if path not in in_folders:
                raise
            text = f"{files.shown(path)}: left alone, {error}"
            voice.result(text, {"private": str(path), "resealed": False, "why": str(error)})
            return
        _refuse_others(path, data, most)
        PrivateFile.from_bytes(content)  # raises when it is none, such as an identity
        with files.staged(path.parent, True, secrets[path.parent]) as stage:
            stage.add(path.name, identities.seal(content, recipients), path.stat().st_mode & 0o666)
            stage.publish()
        voice.result(f"{files.shown(path)}: sealed anew", {"private": str(path), "resealed": True})

    one_by_one(voice, "private", paths, reseal)


def _refuse_others(path: Path, data: bytes, most: int) -> None:
    """Raise when a file is for others too, and nobody said that they shall lose it."""
    count = len(identities.stanzas(identities.dearmored(data)))
    if most and count > most:
        raise UsageError(
            f"{files.shown(path)} names {count} keys, more than the {most} of yours: others open it too",
            "name all who shall open it with --to, or `--to self` for yourself alone",
        )

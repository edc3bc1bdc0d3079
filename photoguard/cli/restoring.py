"""`decrypt`, `verify`, `grant` and `inspect`."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photoguard import batch, files
from photoguard.cli.protecting import face_numbers
from photoguard.cli.shared import albums, known, options
from photoguard.cli.shared.keyring import (
    chosen_recipients,
    default_key_model,
    load_identities,
    locked_key_model,
    stage_secret,
    tidied,
)
from photoguard.cli.shared.voice import Voice, ask_passphrase, guarded
from photoguard.errors import PhotoguardError, UnreadableError, UsageError
from photoguard.files import limits, remote
from photoguard.formats import envelope, identities
from photoguard.formats.features import FeatureFile
from photoguard.formats.private import PrivateFile
from photoguard.photos import png

if TYPE_CHECKING:
    from photoguard.batch.work import Restoring

Pictures = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Public pictures, or folders of them; addresses such as s3://bucket/folder too.",
        show_default=False,
        parser=remote.place,
        metavar="PICTURES",
    ),
]


@guarded
def decrypt(
    pictures: Pictures = None,
    private: options.Private = None,
    key: options.Key = None,
    key_model: options.KeyModel = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            parser=remote.place,
            metavar="PATH",
            help="Restored file (PNG) for one picture, or a folder; beside each picture by default.",
        ),
    ] = None,
    parts: Annotated[
        Path | None,
        typer.Option(
            "--parts",
            metavar="FOLDER",
            help="Also write the original's metadata to files in this folder, bit for bit, what a PNG cannot "
            "hold included. For one picture, with a grant of all faces.",
        ),
    ] = None,
    changed: options.Changed = False,
    recursive: options.Recursive = False,
    include: albums.Include = None,
    exclude: albums.Exclude = None,
    files_from: albums.FilesFrom = None,
    jobs: albums.Jobs = None,
    cluster: albums.Cluster = None,
    by_content: albums.ByContent = False,
    dry_run: albums.DryRun = False,
    max_pixels: options.MaxPixels = limits.PIXEL_CAP,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Restore photos: NAME.pub.png and its private file become NAME.restored.png; chips need the key only."""
    voice = Voice(json, quiet, verbose)
    inputs = albums.named(pictures, files_from)
    selection = batch.Selection(
        recursive, tuple(include or ()), tuple(exclude or ()), mirrored=files_from is not None
    )
    tasks = batch.plan_restoring(inputs, output, selection)
    many = len(tasks) > 1 or files.is_folder(inputs[0])
    if many and private:
        raise UsageError(
            "--private belongs to one picture", "each of several uses the private files beside it"
        )
    if many and parts:
        raise UsageError("--parts belongs to one picture", "restore the one whose parts you want alone")
    journal = None
    if any(map(files.is_folder, inputs)) or files_from is not None:
        journal = albums.journal_for(voice, f"decrypt {changed}", by_content, dry_run)
    album = albums.Album(tasks, many, jobs, force, journal, cluster=cluster)
    if dry_run:
        albums.show_plan(voice, album, "restore")
        return
    secret = stage_secret(voice)
    album = replace(album, secret=secret)
    work = _restoring(voice, album, key, private, key_model)
    work = replace(work, changed=changed, max_pixels=max_pixels, force=force, tidy=not many)
    work = replace(work, parts=parts, secret=secret)
    albums.work_through(voice, album, work, _restored_text, "restored")


@guarded
def verify(
    pictures: Pictures = None,
    private: options.Private = None,
    key: options.Key = None,
    key_model: options.KeyModel = None,
    changed: options.Changed = False,
    recursive: options.Recursive = False,
    include: albums.Include = None,
    exclude: albums.Exclude = None,
    files_from: albums.FilesFrom = None,
    jobs: albums.Jobs = None,
    cluster: albums.Cluster = None,
    max_pixels: options.MaxPixels = limits.PIXEL_CAP,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Prove that pictures can be restored with your key, without writing anything."""
    voice = Voice(json, quiet, verbose)
    inputs = albums.named(pictures, files_from)
    tasks = batch.plan_restoring(
        inputs, None, batch.Selection(recursive, tuple(include or ()), tuple(exclude or ()))
    )
    many = len(tasks) > 1 or files.is_folder(inputs[0])
    album = albums.Album(tasks, many, jobs, cluster=cluster, writes=False)
    work = _restoring(voice, album, key, private, key_model)
    work = replace(work, changed=changed, max_pixels=max_pixels, write=False)
    _warn_of_unfinished(voice, tasks)
    albums.work_through(voice, album, work, _verified_text, "verified")


def _warn_of_unfinished(voice: Voice, tasks: list[batch.Task]) -> None:
    """Say which pairs do not fit because a run was killed that was about to replace them."""
    secret = stage_secret(voice, make=False)
    for folder in dict.fromkeys(task.source.parent for task in tasks):
        for path in files.unfinished(folder, secret):
            voice.warn(
                f"a run was killed before it put {files.shown(path)} in place: what lies there may not fit. "
                f"`photoguard decrypt {files.shown(path)}`, or the next run in that folder, finishes it"
            )


def _restoring(
    voice: Voice, album: albums.Album, key: Path | None, private: list[Path] | None, key_model: Path | None
) -> Restoring:
    """The work with the user's keys; a passphrase is asked for once, before other processes start."""
    from photoguard.batch.work import Restoring

    answers: dict[str, str] = {}

    def ask(prompt: str) -> str:
        if prompt not in answers:
            answers[prompt] = ask_passphrase(prompt)
        return answers[prompt]

    keys, chosen = tuple(load_identities(key, voice)), tuple(private or ())
    albums.warn_of_secrets(voice, album.cluster, "key")
    model = locked_key_model(key_model) if key_model else None
    if model is None and default_key_model().exists():
        # Most pictures do not need it: no matter what it is.
        model = files.read_file(default_key_model(), limits.KEY_MODEL)
    makers = known.signers(voice, keys)
    if not album.many:
        return Restoring(keys, chosen, makers, key_model=model, ask=ask)
    kinds = (_kinds(path) for task in album.tasks for path in task.secrets)
    locked = next(filter(None, kinds), None) == ["scrypt"]
    phrase = ask("Passphrase of the private files") if locked else None
    return Restoring(keys, chosen, makers, passphrase=phrase, key_model=model)


def _kinds(private: Path) -> list[str]:
    """The kinds of keys that open a private file; none where it is damaged, as its photo will say."""
    try:
        return identities.stanzas(identities.dearmored(files.read_file(private, limits.PRIVATE)))
    except PhotoguardError:
        return []


def _restored_text(record: dict[str, Any]) -> str:
    restored = files.shown(record["restored"])
    text = f"{files.shown(record['picture'])}: {_faces_text(record)}\n  restored {restored}"
    return text + (f"\n  {len(record['parts'])} parts of its metadata written" if "parts" in record else "")


def _verified_text(record: dict[str, Any]) -> str:
    return f"{files.shown(record['picture'])}: ok, {_faces_text(record)}"


def _faces_text(record: dict[str, Any]) -> str:
    opened, closed = record["opened"], record["closed"]
    text = f"{len(opened)} of {len(opened) + len(closed)} faces open"
    if closed:
        text += f"; not granted to you: {', '.join(map(str, closed))}"
    if record["exact"]:
        text += "; equal to the original in every pixel"
    if record["changed"]:
        text += "; the picture around them was changed"
    return f"{text}; made by {record['made_by'] or 'somebody unknown'}"


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
            help="Grant the photo's metadata (place, date, name); by default only with all faces.",
        ),
    ] = None,
    key: options.Key = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Private file to write; NAME.grant.priv by default.")
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


@guarded
def inspect(
    file: Annotated[
        Path,
        typer.Argument(
            help="A public picture, a chip, a private file or a feature file.",
            show_default=False,
            readable=False,
        ),
    ],
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Show what a file says without any key: faces, boxes, methods, sizes, and who may open it."""
    voice = Voice(json, quiet, verbose)
    data = limits.read_picture(file)
    if data.startswith((identities.AGE_MAGIC, identities.ARMOR_MAGIC)):
        kinds = identities.stanzas(identities.dearmored(data))
        text = f"{files.shown(file)}: private file, {len(data)} bytes\n  opens with: {', '.join(kinds)}"
        voice.result(text, {"file": str(file), "kind": "private", "bytes": len(data), "opens_with": kinds})
        return
    if data.startswith(envelope.MAGIC):
        _inspect_features(voice, file, data)
        return
    chunk = png.public_chunk(data)
    if chunk is None and data.startswith(png.START) and _inspect_chip(voice, file, data):
        return
    if chunk is None:
        if not data.startswith(png.START):
            raise UnreadableError(
                f"{files.shown(file)} is not a file of photoguard",
                "inspect takes NAME.pub.png, NAME.priv, a chip or NAME.features",
            )
        raise UnreadableError(
            f"{files.shown(file)} carries no photoguard data",
            "a private file made with --portable restores it all the same; otherwise a platform stripped it",
        )
    public = envelope.PublicFile.from_bytes(chunk)
    voice.result(_public_text(file, public), _public_record(file, data, public))


def _inspect_features(voice: Voice, file: Path, data: bytes) -> None:
    """Show what a feature file that is not sealed says of itself."""
    found = FeatureFile.from_bytes(data)
    count = len(found.faces)
    text = f"{files.shown(file)}: features of {count} {'face' if count == 1 else 'faces'}, {len(data)} bytes"
    record = {
        "file": str(file), "kind": "features", "bytes": len(data), "faces": count, "model": found.model,
        "sha256": found.sha256, "shape": list(found.shape),
    }  # fmt: skip
    voice.result(f"{text}\n  of the model {found.model}, sha256 {found.sha256[:16]}...", record)


def _inspect_chip(voice: Voice, file: Path, data: bytes) -> bool:
    """Show AVP's chip, when the picture is one."""
    from photoguard.formats import chip_data as avp_payload
    from photoguard.photos import images

    if max(images.stated_size(io.BytesIO(data), files.shown(file))) > avp_payload.SIDE_LIMIT:
        return False
    pixels = images.decode(data, files.shown(file)).shallow()
    if not avp_payload.is_chip(pixels):
        return False
    payload = avp_payload.carried(pixels)
    sealed = payload.kind == avp_payload.SEALED
    kinds = identities.stanzas(avp_payload.locked_key(payload)) if sealed else ["learned key model"]
    record = {
        "file": str(file), "kind": "chip", "bytes": len(data), "size": [payload.width, payload.height],
        "key_model": "sealed" if sealed else "learned", "opens_with": kinds,
    }  # fmt: skip
    text = f"{files.shown(file)}: {record['key_model']} AVP chip, {payload.width} x {payload.height}"
    voice.result(f"{text}\n  opens with: {', '.join(kinds)}", record)
    return True


def _public_text(file: Path, public: envelope.PublicFile) -> str:
    lines = [
        f"{files.shown(file)}: public picture, {public.width} x {public.height}",
        f"  photo id {public.photo_id.hex()}",
    ]
    for number, (face, carrier) in enumerate(zip(public.faces, public.carriers[1:], strict=False), start=1):
        box = face.box
        lines.append(
            f"{number:3}  {box.width} x {box.height} at {box.x},{box.y}  {face.method}, "
            f"{len(carrier)} bytes sealed"
        )
    lines.append(f"     metadata, {_metadata_bytes(public)} bytes sealed")
    return "\n".join(lines)


def _metadata_bytes(public: envelope.PublicFile) -> int:
    """Of all carriers that hold no face."""
    return len(public.carriers[0]) + sum(map(len, public.carriers[public.everything :]))


def _public_record(file: Path, data: bytes, public: envelope.PublicFile) -> dict[str, Any]:
    faces = [
        {
            "face": number,
            "box": [f.box.x, f.box.y, f.box.width, f.box.height],
            "method": f.method,
            **({"look": f.look} if f.look else {}),
            "bytes": len(carrier),
        }
        for number, (f, carrier) in enumerate(zip(public.faces, public.carriers[1:], strict=False), start=1)
    ]
    return {
        "file": str(file), "kind": "public", "bytes": len(data), "size": [public.width, public.height],
        "id": public.photo_id.hex(), "faces": faces, "metadata_bytes": _metadata_bytes(public),
    }  # fmt: skip

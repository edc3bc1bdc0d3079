"""`decrypt`, `verify`, `grant` and `inspect`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from photoguard import batch, envelope, files, identities, png
from photoguard.cli import options
from photoguard.cli.keys import chosen_recipients, load_identities
from photoguard.cli.protecting import PIXEL_CAP, _numbers, report_batch
from photoguard.cli.voice import Voice, ask_passphrase, guarded
from photoguard.errors import UnreadableError, UsageError

Pictures = Annotated[
    list[Path],
    typer.Argument(help="Public pictures, or folders of them.", show_default=False, readable=False),
]


@guarded
def decrypt(
    pictures: Pictures,
    private: options.Private = None,
    key: options.Key = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Restored file (PNG) for one picture, or a folder; beside each picture by default.",
        ),
    ] = None,
    changed: options.Changed = False,
    recursive: options.Recursive = False,
    max_pixels: options.MaxPixels = PIXEL_CAP,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Restore photos: NAME.pub.png and its private file become NAME.restored.png."""
    voice = Voice(json, quiet, verbose)
    tasks = batch.plan_restoring(pictures, output, batch.Selection(recursive))
    batch_mode = len(tasks) > 1 or files.is_folder(pictures[0])
    if batch_mode and private:
        raise UsageError(
            "--private belongs to one picture", "each of several uses the private files beside it"
        )
    keys = load_identities(key, voice)
    open_one = _opener(private, keys, changed, max_pixels)

    def work(task: batch.Task) -> Any:
        from photoguard import images

        files.finish_killed_runs(task.public.parent)
        if files.is_same(task.public, task.source):
            raise UsageError(
                f"{files.shown(task.public)} is the picture itself", "choose another name with -o"
            )
        if not force:
            files.refuse_existing(task.public)
        restored = open_one(task.source)
        with files.staged(task.public.parent, force) as stage:
            stage.add(task.public.name, images.encode_restored(restored.photo))
            stage.publish()
        return restored

    report_batch(voice, tasks, work, _describe, batch_mode, "restored")


@guarded
def verify(
    pictures: Pictures,
    private: options.Private = None,
    key: options.Key = None,
    changed: options.Changed = False,
    recursive: options.Recursive = False,
    max_pixels: options.MaxPixels = PIXEL_CAP,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Prove that pictures can be restored with your key, without writing anything."""
    voice = Voice(json, quiet, verbose)
    tasks = batch.plan_restoring(pictures, None, batch.Selection(recursive))
    batch_mode = len(tasks) > 1 or files.is_folder(pictures[0])
    open_one = _opener(private, load_identities(key, voice), changed, max_pixels)
    report_batch(voice, tasks, lambda task: open_one(task.source), _describe_verified, batch_mode, "verified")


def _opener(private: list[Path] | None, keys: Sequence[Any], changed: bool, max_pixels: int) -> Any:
    """A function from a picture's path to what can be restored of it."""
    typed: dict[str, str] = {}

    def ask(prompt: str) -> str:  # once for all files
        if prompt not in typed:
            typed[prompt] = ask_passphrase(prompt)
        return typed[prompt]

    def open_one(picture: Path) -> Any:
        from photoguard import reveal

        data = files.read_file(picture)
        secrets = [files.read_file(path) for path in private or _private_beside(picture)]
        return reveal.reveal(data, reveal.open_private(secrets, keys, ask), changed, max_pixels)

    return open_one


def _private_beside(picture: Path) -> list[Path]:
    stem = files.stem_of(picture, files.PUBLIC_SUFFIX)
    found = sorted(
        path
        for path in picture.parent.iterdir()
        if path.name == stem + files.PRIVATE_SUFFIX
        or (path.name.startswith(stem + ".") and path.name.endswith(files.PRIVATE_SUFFIX))
    ) if files.is_folder(picture.parent) else []  # fmt: skip
    if not found:
        expected = files.shown(picture.with_name(stem + files.PRIVATE_SUFFIX))
        raise UnreadableError(f"{expected} does not exist", "name the private file with --private")
    return found


def _record(task: batch.Task, restored: Any) -> dict[str, Any]:
    return {
        "picture": str(task.source), "opened": list(restored.opened), "closed": list(restored.closed),
        "exact": restored.exact, "changed": restored.changed, "name": restored.name,
    }  # fmt: skip


def _describe(task: batch.Task, restored: Any) -> tuple[str, dict[str, Any]]:
    text = f"{files.shown(task.source)}: {_faces_text(restored)}\n  restored {files.shown(task.public)}"
    return text, {**_record(task, restored), "restored": str(task.public)}


def _describe_verified(task: batch.Task, restored: Any) -> tuple[str, dict[str, Any]]:
    return f"{files.shown(task.source)}: ok, {_faces_text(restored)}", _record(task, restored)


def _faces_text(restored: Any) -> str:
    total = len(restored.opened) + len(restored.closed)
    text = f"{len(restored.opened)} of {total} faces open"
    if restored.closed:
        text += f"; not granted to you: {', '.join(map(str, restored.closed))}"
    if restored.exact:
        text += "; equal to the original in every pixel"
    if restored.changed:
        text += "; the picture around them was changed"
    return text


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
    opened = envelope.PrivateFile.from_bytes(
        identities.unseal(files.read_file(private), load_identities(key, voice), ask_passphrase)
    )
    granted = opened.granting(None if faces == "all" else _numbers(faces, "--faces"), metadata)
    sealed = identities.seal(granted.to_bytes(), chosen_recipients(to or [], passphrase, voice))
    with files.staged(target.parent, force) as stage:
        stage.add(target.name, sealed)
        stage.publish()
    numbers = [g.number for g in granted.grants]
    text = f"{files.shown(target)}: grants face {', '.join(map(str, numbers))}"
    text += " and the metadata" if granted.metadata_key else ""
    voice.result(
        text, {"private": str(target), "faces": numbers, "metadata": granted.metadata_key is not None}
    )


@guarded
def inspect(
    file: Annotated[
        Path, typer.Argument(help="A public picture or a private file.", show_default=False, readable=False)
    ],
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Show what a file says without any key: faces, boxes, methods, sizes, and who may open it."""
    voice = Voice(json, quiet, verbose)
    data = files.read_file(file)
    if data.startswith((identities.AGE_MAGIC, identities.ARMOR_MAGIC)):
        kinds = identities.stanzas(identities.dearmored(data))
        text = f"{files.shown(file)}: private file, {len(data)} bytes\n  opens with: {', '.join(kinds)}"
        voice.result(text, {"file": str(file), "kind": "private", "bytes": len(data), "opens_with": kinds})
        return
    chunk = png.public_chunk(data)
    if chunk is None:
        if not data.startswith(png.START):
            raise UnreadableError(
                f"{files.shown(file)} is not a file of photoguard", "inspect takes NAME.pub.png or NAME.priv"
            )
        raise UnreadableError(
            f"{files.shown(file)} carries no photoguard data",
            "a private file made with --portable restores it all the same; otherwise a platform stripped it",
        )
    public = envelope.PublicFile.from_bytes(chunk)
    voice.result(_public_text(file, public), _public_record(file, data, public))


def _public_text(file: Path, public: envelope.PublicFile) -> str:
    lines = [
        f"{files.shown(file)}: public picture, {public.width} x {public.height}",
        f"  photo id {public.photo_id.hex()}",
    ]
    for number, (face, carrier) in enumerate(zip(public.faces, public.carriers[1:], strict=True), start=1):
        box = face.box
        lines.append(
            f"{number:3}  {box.width} x {box.height} at {box.x},{box.y}  {face.method}, "
            f"{len(carrier)} bytes sealed"
        )
    return "\n".join([*lines, f"     metadata, {len(public.carriers[0])} bytes sealed"])


def _public_record(file: Path, data: bytes, public: envelope.PublicFile) -> dict[str, Any]:
    faces = [
        {
            "face": number,
            "box": [f.box.x, f.box.y, f.box.width, f.box.height],
            "method": f.method,
            "bytes": len(carrier),
        }
        for number, (f, carrier) in enumerate(zip(public.faces, public.carriers[1:], strict=True), start=1)
    ]
    return {
        "file": str(file), "kind": "public", "bytes": len(data), "size": [public.width, public.height],
        "id": public.photo_id.hex(), "faces": faces, "metadata_bytes": len(public.carriers[0]),
    }  # fmt: skip

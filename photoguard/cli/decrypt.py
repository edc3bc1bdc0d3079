"""`decrypt`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photoguard import batch, files
from photoguard.cli.shared import albums, options, streams
from photoguard.cli.shared.keyring import (
    stage_secret,
)
from photoguard.cli.shared.options import Pictures
from photoguard.cli.shared.restoring import faces_text, private_places, restoring
from photoguard.cli.shared.voice import Voice, guarded
from photoguard.errors import UsageError
from photoguard.files import limits, remote

if TYPE_CHECKING:
    pass


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
            help="Restored file (PNG) for one picture, or a folder, or - for standard output; default: "
            "beside each picture.",
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
    voice = Voice(json, quiet, verbose, aside=streams.is_output(output))
    inputs = albums.named(pictures, files_from)
    if streams.are_used(inputs, output):
        if parts or dry_run or cluster or output is None:
            raise UsageError("`-` takes none of --parts, --dry-run and --cluster", "give files instead")
        data = streams.read(inputs[0], max_pixels)  # before a passphrase is read
        work = restoring(voice, albums.Album((), many=False), key, private, key_model)
        work = replace(work, changed=changed, max_pixels=max_pixels, force=force)
        record = streams.restore(voice, work, data, inputs[0], output)
        voice.result(_restored_text(record), record)
        return
    named, lairs = private_places(private)
    chosen = albums.selection(recursive, include, exclude, files_from)
    tasks = batch.plan_restoring(inputs, output, chosen, lairs)
    many = albums.is_many(tasks, inputs)
    if many and named:
        raise UsageError(
            "a private file belongs to one picture", "for several, give --private a folder of them"
        )
    if many and parts:
        raise UsageError("--parts belongs to one picture", "restore the one whose parts you want alone")
    journal = None
    if albums.keeps_journal(inputs, files_from):
        journal = albums.journal_for(voice, f"decrypt {changed}", by_content, dry_run)
    album = albums.Album(tasks, many, jobs, force, journal, cluster=cluster)
    if dry_run:
        albums.show_plan(voice, album, "restore")
        return
    secret = stage_secret(voice)
    album = replace(album, secret=secret)
    work = restoring(voice, album, key, named, key_model)
    work = replace(work, changed=changed, max_pixels=max_pixels, force=force, tidy=not many)
    work = replace(work, parts=parts, secret=secret)
    albums.work_through(voice, album, work, _restored_text, "restored")


def _restored_text(record: dict[str, Any]) -> str:
    restored, name = Path(record["restored"]), record["name"]
    text = f"{files.shown(record['picture'])}: {faces_text(record)}\n  restored {files.shown(restored)}"
    if name and not restored.name.startswith(Path(name).stem):
        text += f", the photo {files.shown(name)}"
    return text + (f"\n  {len(record['parts'])} parts of its metadata written" if "parts" in record else "")

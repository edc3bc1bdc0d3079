"""`verify`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from photoguard import batch, files
from photoguard.cli.shared import albums, options
from photoguard.cli.shared.keyring import (
    stage_secret,
)
from photoguard.cli.shared.options import Pictures
from photoguard.cli.shared.restoring import faces_text, restoring
from photoguard.cli.shared.voice import Voice, guarded
from photoguard.files import limits


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
    tasks = batch.plan_restoring(inputs, None, albums.selection(recursive, include, exclude))
    many = albums.is_many(tasks, inputs)
    album = albums.Album(tasks, many, jobs, cluster=cluster, writes=False)
    work = restoring(voice, album, key, private, key_model)
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


def _verified_text(record: dict[str, Any]) -> str:
    return f"{files.shown(record['picture'])}: ok, {faces_text(record)}"

"""A photo from standard input, a picture to standard output: `-`, which is never a folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photoguard import batch, files
from photoguard.cli.shared.keyring import tidied
from photoguard.cli.shared.voice import Voice
from photoguard.errors import UnreadableError, UsageError
from photoguard.files import limits

if TYPE_CHECKING:
    from photoguard.batch.work import Encrypting, Restoring

INPUTS, OUTPUTS = ("-", "/dev/stdin", "/dev/fd/0"), ("-", "/dev/stdout", "/dev/fd/1")
NAME = Path("stdin")  # in messages, and sealed as the photo's name


def is_input(path: Path) -> bool:
    """Whether standard input is meant."""
    return str(path) in INPUTS


def is_output(path: Path | None) -> bool:
    """Whether standard output is meant."""
    return str(path) in OUTPUTS


def are_used(inputs: Sequence[Path], output: Path | None) -> bool:
    """Whether a run reads or writes a stream; such a run has one photo, and no terminal to print it to."""
    if not any(map(is_input, inputs)) and not is_output(output):
        return False
    if len(inputs) > 1 or (not is_input(inputs[0]) and files.is_folder(inputs[0])):
        raise UsageError("`-` is one photo", "give one input, and folders without `-`")
    if output is None or (not is_output(output) and files.means_folder(output)):
        raise UsageError("a photo from standard input has no name of its own", "name a file with -o, or -o -")
    if is_output(output) and sys.stdout.isatty():
        raise UsageError("a picture is not printed to a terminal", "pipe it on, or name a file with -o")
    return True


def read(source: Path, max_pixels: int) -> bytes:
    """A photo's bytes, before anything else is read from standard input."""
    if not is_input(source):
        return limits.read_picture(source, max_pixels)
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal", "pipe a photo into it, or name a file")
    limit = limits.picture_bytes(max_pixels)
    data = sys.stdin.buffer.read(limit + 1)
    if not data:
        raise UnreadableError("standard input is empty", "pipe a photo into it")
    if len(data) > limit:
        raise UnreadableError(
            f"standard input has more than the {limit} bytes that are read",
            "raise the limit with --max-pixels if you trust the photo",
        )
    return data


def protect(
    voice: Voice, work: Encrypting, data: bytes, source: Path, output: Path, private: Path
) -> dict[str, Any]:
    """Protect one photo: the private file first, then the picture; what is told of it."""
    from photoguard import protect as way
    from photoguard.batch.work import protected_record

    named = NAME if is_input(source) else source
    outputs = [private] if is_output(output) else [private, output]
    for target in outputs:
        _refuse(target, source, work.force)
    mode = -1 if is_input(source) else way.permissions(source)
    made = way.protect(data, named, work.options, work.recipients, work.signer, work.progress, mode)
    picture, sealed = made.public_bytes(), made.private_bytes(work.recipients)
    way.check_written(picture, sealed, made, work.proof)
    contents = dict(zip(outputs, (sealed, picture), strict=False))
    for folder in dict.fromkeys(target.parent for target in outputs):
        _write(voice, {t: body for t, body in contents.items() if t.parent == folder}, folder, work.force)
    if is_output(output):
        _print(picture)
    for notice in made.notices:
        voice.note(f"note: {named}: {notice}")
    return protected_record(batch.Task(named, output), made) | {"private": str(private)}


def restore(voice: Voice, work: Restoring, data: bytes, source: Path, output: Path) -> dict[str, Any]:
    """Restore one picture; what is told of it."""
    from photoguard.photos import images

    named = NAME if is_input(source) else source
    beside = (
        ()
        if is_input(source)
        else files.private_files(source.parent).get(files.stem_of(source, files.PUBLIC_SUFFIX), ())
    )
    if not is_output(output):
        _refuse(output, source, work.force)
    task = batch.Task(named, output, restores=True, secrets=beside)
    restored = work.restored(task, data)
    picture = images.encode_restored(restored.photo)
    if is_output(output):
        _print(picture)
    else:
        work.refuse_original(task, restored.name)
        _write(voice, {output: picture}, output.parent, work.force, restored.file_mode)
    for notice in restored.notices:
        voice.note(f"note: {named}: {notice}")
    return work.record(task, restored) | {"restored": str(output)}


def _refuse(target: Path, source: Path, force: bool) -> None:
    if files.is_same(target, source):
        raise UsageError(f"{files.shown(target)} is the photo itself", "choose another name")
    if not force:
        files.refuse_existing(target, "-o or --private")


def _write(
    voice: Voice, contents: dict[Path, bytes], folder: Path, force: bool, at_most: int = 0o666
) -> None:
    with files.staged(folder, force, tidied(folder, voice)) as stage:
        for target, body in contents.items():
            stage.add(target.name, body, at_most=at_most)
        stage.publish()


def _print(picture: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(picture)
    sys.stdout.buffer.flush()

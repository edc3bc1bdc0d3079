"""`detect`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from photoguard import files
from photoguard.cli.shared import options
from photoguard.cli.shared.keyring import (
    tidied,
)
from photoguard.cli.shared.options import detection_settings
from photoguard.cli.shared.voice import Voice, guarded
from photoguard.errors import UsageError
from photoguard.files import limits


@guarded
def detect(
    photo: Annotated[Path, typer.Argument(help="The photo to look at.", show_default=False, readable=False)],
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview", help="Draw the numbered faces on a copy of the photo, written here as PNG or JPEG."
        ),
    ] = None,
    min_face: options.MinFace = None,
    threshold: options.Threshold = None,
    thorough: options.Thorough = False,
    only_certain: options.OnlyCertain = False,
    strict_faces: options.StrictFaces = False,
    max_pixels: options.MaxPixels = limits.PIXEL_CAP,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """List the faces in a photo with the numbers that --faces and --keep take, and draw them."""
    voice = Voice(json, quiet, verbose)
    if preview is not None and not force:
        files.refuse_existing(preview, "--preview")
    from photoguard import protect
    from photoguard.photos import images

    choice = protect.Options(
        detection=detection_settings(min_face, threshold, thorough),
        uncertain="drop" if options.certain_only(only_certain, strict_faces, voice) else "cover",
    )
    data = images.decode(limits.read_picture(photo, max_pixels), files.shown(photo), max_pixels)
    found = protect.find(data, choice)
    if not found:
        raise protect.no_face(photo)
    if preview is not None:
        _write_preview(preview, photo, data, found, force, tidied(preview.parent, voice))
    for number, face in enumerate(found, start=1):
        box = face.box
        doubt = "" if face.certain else "  uncertain"
        text = f"{number:3}  {box.width} x {box.height} at {box.x},{box.y}  score {face.score:.3f}{doubt}"
        record = {
            "face": number,
            "box": [box.x, box.y, box.width, box.height],
            "score": round(face.score, 4),
            "certain": face.certain,
            "rotation": face.rotation,
            "found_by": list(face.found_by),
            "landmarks": [[round(x, 1), round(y, 1)] for x, y in face.landmarks],
        }
        voice.result(text, record)


def _write_preview(
    preview: Path, photo: Path, data: Any, found: Sequence[Any], force: bool, secret: bytes | None
) -> None:
    from photoguard.photos import images
    from photoguard.photos.preview import draw

    if files.is_same(preview, photo):
        raise UsageError("the preview would replace the photo", "choose another name with --preview")
    picture = images.encode_preview(draw(data.shallow(), found), preview.suffix)
    with files.staged(preview.parent, force, secret) as stage:
        stage.add(preview.name, picture)
        stage.publish()

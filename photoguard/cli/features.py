"""`features`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photoguard import files
from photoguard.cli.shared import options
from photoguard.cli.shared.albums import one_by_one
from photoguard.cli.shared.keyring import chosen_recipients, tidied
from photoguard.cli.shared.options import Weights, detection_settings
from photoguard.cli.shared.voice import Voice, guarded
from photoguard.errors import UsageError
from photoguard.files import limits
from photoguard.formats import identities
from photoguard.formats.features import SUFFIX


@guarded
def features(
    photos: Annotated[list[Path], typer.Argument(help="Photos.", show_default=False, readable=False)],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Feature file for one photo, or a folder; default: beside each photo."
        ),
    ] = None,
    weights: Weights = None,
    all_faces: Annotated[
        bool, typer.Option("--all-faces", help="Send every face of the photo, not the largest alone.")
    ] = False,
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", "-t", help="Seal the file to this recipient, such as the service. Repeat it for several."
        ),
    ] = None,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Seal it to a passphrase.")] = False,
    min_face: options.MinFace = None,
    threshold: options.Threshold = None,
    thorough: options.Thorough = False,
    max_pixels: options.MaxPixels = limits.PIXEL_CAP,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Write what a service may know of a face: NAME.features answers its question and little else."""
    voice = Voice(json, quiet, verbose)
    if output and len(photos) > 1 and not files.means_folder(output):
        raise UsageError(f"{files.shown(output)} is not a folder", "several photos need a folder with -o")
    recipients = chosen_recipients(to or [], passphrase, voice) if to or passphrase else None
    targets = [_target(photo, output) for photo in photos]
    if len(set(targets)) < len(targets):
        raise UsageError("two photos would have the same feature file", "give them one at a time with -o")
    from photoguard import obfuscate

    model = obfuscate.load_model(weights)
    settings = detection_settings(min_face, threshold, thorough)

    stage_secrets = {folder: tidied(folder, voice) for folder in {target.parent for target in targets}}

    def work(number: int) -> None:
        photo, target = photos[number], targets[number]
        if files.is_same(photo, target):
            raise UsageError(f"{files.shown(target)} is the photo itself", "choose another name with -o")
        if not force:
            files.refuse_existing(target)
        picture = limits.read_picture(photo, max_pixels)
        made = obfuscate.make(picture, files.shown(photo), model, settings, all_faces, max_pixels)
        data = made.file.to_bytes()
        data = identities.seal(data, recipients) if recipients else data
        with files.staged(target.parent, force, stage_secrets[target.parent]) as stage:
            stage.add(target.name, data)
            stage.publish()
        count, left = len(made.file.faces), made.left_out
        record = {"photo": str(photo), "features": str(target), "faces": count, "left_out": left}
        record |= {"bytes": len(data), "model": made.file.model, "sealed": recipients is not None}
        faces = f"{count} {'face' if count == 1 else 'faces'}" + (f", {left} left out" if left else "")
        voice.result(f"{files.shown(photo)}: {faces}\n  features {files.shown(target)}", record)

    one_by_one(voice, "photo", photos, work)


def _target(photo: Path, output: Path | None) -> Path:
    name = photo.stem + SUFFIX
    if output is None:
        return photo.with_name(name)
    return output / name if files.means_folder(output) else output

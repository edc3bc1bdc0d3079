"""`inspect`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Any

import typer

from photoguard import files
from photoguard.cli.shared import options
from photoguard.cli.shared.albums import one_by_one
from photoguard.cli.shared.voice import Voice, guarded
from photoguard.errors import UnreadableError
from photoguard.files import limits
from photoguard.formats import envelope, identities
from photoguard.formats.features import FeatureFile
from photoguard.photos import png


@guarded
def inspect(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES",
            help="Public pictures, chips, private files or feature files.",
            show_default=False,
            readable=False,
        ),
    ],
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Show what files say without any key: faces, boxes, methods, sizes, and who may open them."""
    voice = Voice(json, quiet, verbose)
    one_by_one(voice, "file", paths, lambda number: _inspect(voice, paths[number]))


def _inspect(voice: Voice, file: Path) -> None:
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

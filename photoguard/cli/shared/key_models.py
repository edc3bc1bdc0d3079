"""AVP's learned key models at the command line: what they are asked for, and making them."""

from __future__ import annotations

import secrets
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photoguard import files
from photoguard.cli.shared.voice import Voice
from photoguard.errors import UsageError
from photoguard.formats import identities
from photoguard.formats.identities import Recipients

if TYPE_CHECKING:
    from photoguard.train.key_model import Config

DEFAULT_MINUTES, DEFAULT_STEPS = 4.5, 2500  # whichever comes first


class Preset(StrEnum):
    """How large a key model is."""

    small = "small"
    paper = "paper"


Minutes = Annotated[
    float | None,
    typer.Option(
        "--minutes",
        min=0.01,
        help=f"Train for so many minutes; default for a small model: {DEFAULT_MINUTES} minutes or "
        f"{DEFAULT_STEPS} steps.",
    ),
]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Train for so many steps.")]
Images = Annotated[
    list[Path] | None,
    typer.Option(
        "--images",
        readable=False,
        help="Folder or zip of pictures to learn on; default: generated pictures.",
    ),
]
PresetOption = Annotated[
    Preset, typer.Option("--preset", help="small: minutes on a CPU; paper: the paper's network, for a GPU.")
]


def settings(preset: Preset, minutes: float | None, steps: int | None) -> Config:
    """A run's configuration from what was typed."""
    import dataclasses

    from photoguard.train.key_model import CONFIGS

    if minutes is None and steps is None and preset is Preset.small:
        minutes, steps = DEFAULT_MINUTES, DEFAULT_STEPS
    seconds = None if minutes is None else 60 * minutes
    return dataclasses.replace(CONFIGS[preset.value], steps=steps, seconds=seconds)


def make_key_model(
    path: Path,
    sheet: Path,
    config: Config,
    images: tuple[Path, ...],
    recipients: Recipients,
    voice: Voice,
    device: str = "auto",
    folder: Path | None = None,
    force: bool = False,
    secret: bytes | None = None,
) -> dict[str, Any]:
    """Train a key model and write it, locked to its owner, with its sample sheet; what came of it."""
    if sheet == path:
        raise UsageError(f"{files.shown(path)} is the sample sheet's name", "a key model ends in .age")
    for target in (path, sheet):
        if not force:
            files.refuse_existing(target)
    from photoguard.methods.avp.keys import SECRET, KeyModel
    from photoguard.photos.images import encode_lossless
    from photoguard.train.key_model import drawn, train

    learned = train(config, images, device, folder, voice.counter("s" if config.seconds else "step"))
    model = KeyModel(secrets.token_bytes(SECRET), learned.generator)
    plain = model.to_bytes()
    KeyModel.from_bytes(plain)  # proven to be read again before anything is written
    locked = identities.seal(plain, recipients)
    with files.staged(path.parent, force, secret) as stage:
        stage.add(path.name, locked, mode=0o600)
        stage.add(sheet.name, encode_lossless(drawn(learned.sheet)))
        stage.publish()
    return {
        "key_model": str(path), "sheet": str(sheet), "bytes": len(locked), "steps": learned.steps,
        "seconds": round(learned.seconds, 1), "ssim": round(learned.ssim, 4),
        "parameters": sum(p.numel() for p in learned.generator.parameters()),
    }  # fmt: skip


def key_model_text(record: dict[str, Any]) -> str:
    """What a person is told about a new key model."""
    return (
        f"key model  {files.shown(record['key_model'])}\nsheet      {files.shown(record['sheet'])}\n"
        f"restores with SSIM {record['ssim']:.3f} after {record['steps']} steps, {record['seconds']:.0f} s"
    )

"""`train key-model`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photoguard.cli.shared import options
from photoguard.cli.shared.key_models import (
    Minutes,
    Preset,
    PresetOption,
    Steps,
    key_model_text,
    make_key_model,
    settings,
)
from photoguard.cli.shared.keyring import own_recipients, tidied
from photoguard.cli.shared.voice import Voice, guarded
from photoguard.cli.train import Device, Out
from photoguard.formats.identities import Recipients


@guarded
def train_key_model(
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="Folder or zip of pictures; pictures that are made up when left out."),
    ] = None,
    out: Out = Path("runs/key-model"),
    preset: PresetOption = Preset.paper,
    minutes: Minutes = None,
    steps: Steps = None,
    device: Device = "auto",
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Train a learned key model for AVP in the paper's setting: batches of one, four epochs, for a GPU."""
    voice = Voice(json, quiet, verbose)
    owner = Recipients(tuple(own_recipients(voice)))
    config = settings(preset, minutes, steps)
    path, sheet = out / "key-model.age", out / "key-model.png"
    secret = tidied(path.parent, voice)
    record = make_key_model(path, sheet, config, tuple(data or ()), owner, voice, device, out, force, secret)
    voice.result(key_model_text(record), record)

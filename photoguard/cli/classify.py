"""`classify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photoguard import files
from photoguard.cli.shared import options
from photoguard.cli.shared.albums import one_by_one
from photoguard.cli.shared.keyring import (
    load_identities,
)
from photoguard.cli.shared.options import Weights
from photoguard.cli.shared.voice import Voice, ask_passphrase, guarded
from photoguard.files import limits
from photoguard.formats import identities
from photoguard.formats.features import FeatureFile


@guarded
def classify(
    feature_files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Feature files.", show_default=False, readable=False),
    ],
    weights: Weights = None,
    key: options.Key = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Read the answers out of feature files: the service's side."""
    voice = Voice(json, quiet, verbose)
    opened: list[list[identities.Identity]] = []

    def read(path: Path) -> FeatureFile:
        data = files.read_file(path, limits.FEATURES)
        if identities.is_locked(data):
            opened[:] = opened or [load_identities(key, voice)]
        return obfuscate.read(data, opened[0] if opened else (), ask_passphrase)

    from photoguard import obfuscate
    from photoguard.methods.obfuscator import answer

    model = obfuscate.load_model(weights)

    def work(number: int) -> None:
        path = feature_files[number]
        for face, tasks in enumerate(obfuscate.answers(model, read(path)), start=1):
            shown = {task: answer(shares) for task, shares in tasks.items()}
            cells = [f"{task} {name} {share:5.1%}" for task, (name, share) in shown.items()]
            record = {"file": str(path), "face": face, "answers": tasks}
            voice.result("  ".join([f"{files.shown(path)}  face {face}", *cells]), record)

    one_by_one(voice, "file", feature_files, work)

"""`match`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photoguard import files
from photoguard.cli.shared import options
from photoguard.cli.shared.options import recognizer_names
from photoguard.cli.shared.voice import Voice, guarded
from photoguard.files import limits

Picture = Annotated[
    Path,
    typer.Argument(help="A photo, a protected photo, or a chip.", show_default=False, readable=False),
]


@guarded
def match(
    first: Picture,
    second: Picture,
    recognizer: Annotated[
        str | None,
        typer.Option(
            "--recognizer",
            help="The recognizer, as `recognizers list` names it; default: the one that ships.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            min=-1.0,
            max=1.0,
            help="Cosine from which two faces count as one person; default: measured on LFW's pairs.",
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Tell how alike two pictures are to a recognizer: whether a chip still works, and for whom."""
    voice = Voice(json, quiet, verbose)
    from photoguard.match import THRESHOLDS, compare
    from photoguard.recognizers import load_for_pixels

    (name,) = recognizer_names([recognizer] if recognizer else [])
    same = THRESHOLDS.get(name) if threshold is None else threshold
    if same is None:
        voice.note(f"No threshold is known for {name}: give --threshold for a verdict.")
    names = files.shown(first), files.shown(second)
    for pair in compare(
        limits.read_picture(first), limits.read_picture(second), load_for_pixels(name), names
    ):
        verdict = None if same is None else pair.cosine >= same
        words = {None: "", True: "  match", False: "  no match"}[verdict]
        text = (
            f"{files.shown(first)} {pair.first.what} {pair.first.number}  "
            f"{files.shown(second)} {pair.second.what} {pair.second.number}  {pair.cosine:.4f}{words}"
        )
        record = {
            "first": str(first), "first_face": pair.first.number, "first_is": pair.first.what,
            "second": str(second), "second_face": pair.second.number, "second_is": pair.second.what,
            "recognizer": name, "cosine": round(pair.cosine, 6), "threshold": same, "match": verdict,
        }  # fmt: skip
        voice.result(text, record)

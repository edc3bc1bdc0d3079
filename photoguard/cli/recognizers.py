"""`recognizers list`, `add`, `check` and `remove`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photoguard import files
from photoguard.cli.shared import options
from photoguard.cli.shared.voice import Voice, guarded

app = typer.Typer(
    name="recognizers",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Face recognizers, to measure covers with and to serve as AVP targets.",
)

Name = Annotated[str, typer.Argument(help="Name of the recognizer.", show_default=False)]


@app.command("list")
@guarded
def list_all(
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Show the recognizers photoguard knows, which are shipped or installed, and where to get the others."""
    voice = Voice(json, quiet, verbose)
    from photoguard.recognizers import TABLE, installed, shipped

    mine, ours = installed(), shipped()
    known = {**TABLE, **{name: entry.spec for name, entry in mine.items()}}
    for name, spec in sorted(known.items()):
        state = "shipped" if name in ours else "installed" if name in mine else "-"
        text = f"{name:28} {spec.height}x{spec.width}  {state:9}  {spec.source}"
        record = {
            "name": name, "shipped": name in ours, "installed": name in mine,
            "architecture": spec.architecture, "size": [spec.height, spec.width],
            "channels": spec.channels, "template": spec.template, "embedding": spec.embedding,
            "source": spec.source, "licence": spec.licence, "sha256": spec.sha256,
        }  # fmt: skip
        voice.result(text, record)


@app.command()
@guarded
def add(
    name: Name,
    weights: Annotated[
        Path,
        typer.Option(
            "--weights", help="State dict (safetensors, .pt), TorchScript or ONNX file.", show_default=False
        ),
    ],
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch", help="Row of `recognizers list` whose network and input the file has; default: NAME's."
        ),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Prove a recognizer's weights on a sample face and keep a copy of them."""
    voice = Voice(json, quiet, verbose)
    from photoguard.recognizers import add as install

    proof = install(name, weights, arch)
    text = (
        f"{name}: {proof.entry.spec.embedding} numbers a face, gradients flow\n"
        f"  sample face and its mirror image agree to {proof.mirror:.3f}, with noise to {proof.noise:.3f}"
    )
    if proof.published is False:
        voice.warn("this is not the file that its authors published: its sha256 differs")
    record = {"name": name, "sha256": proof.entry.sha256, "mirror": proof.mirror, "noise": proof.noise}
    voice.result(text, record | {"published": proof.published})


@app.command()
@guarded
def check(
    name: Name,
    pairs: Annotated[
        Path, typer.Option("--pairs", help="LFW as a folder or zip, pairs.txt in it.", show_default=False)
    ],
    folds: Annotated[int, typer.Option("--folds", min=2, max=10, help="How many of the ten folds.")] = 10,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Measure a recognizer on LFW's verification pairs."""
    voice = Voice(json, quiet, verbose)
    from photoguard.evaluate.common.check import check as measure

    found = measure(name, pairs, folds, progress=voice.counter("face"))
    accuracy = found.accuracy
    text = (
        f"{name}: {100 * accuracy.value:.2f} % of {found.pairs} pairs of LFW right ({folds} folds, "
        f"95 % interval {100 * accuracy.low:.2f} to {100 * accuracy.high:.2f}), "
        f"equal error rate {100 * found.equal_error:.2f} %, one person from cosine {found.threshold:.3f} on"
    )
    record = {"name": name, "accuracy": accuracy.value, "low": accuracy.low, "high": accuracy.high}
    record |= {"equal_error": found.equal_error, "threshold": found.threshold}
    voice.result(text, record | {"pairs": found.pairs, "folds": folds})


@app.command()
@guarded
def remove(
    name: Name,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Forget a recognizer and delete its copy of the weights."""
    from photoguard.recognizers import remove as forget

    forget(name)
    Voice(json, quiet, verbose).result(f"{files.shown(name)}: removed", {"removed": name})

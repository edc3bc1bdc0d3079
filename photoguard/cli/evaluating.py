"""`evaluate ddm` and `evaluate obfuscator`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photoguard import files
from photoguard.cli import options
from photoguard.cli.voice import Voice, guarded
from photoguard.errors import UsageError

app = typer.Typer(
    name="evaluate",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Attack covers with networks trained on them, and measure what is left.",
)


@app.command()
@guarded
def ddm(
    data: Annotated[
        Path,
        typer.Option("--data", help="LFW as a folder or zip, or a folder with lfw.zip.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the tables and sheets; finished rows in it are kept.")
    ] = Path("runs/evaluate-ddm"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Minutes instead of hours, and wider intervals.")
    ] = False,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Attackers trained per row.")] = 3,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Measure this cover only; repeat it for several.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option("--weights", help="Measure a DDM of your own too: NAME=FILE. Repeat it for several."),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--page", help="Write the tables and the sheet of covers here as well.")
    ] = None,
    toy: Annotated[
        Path | None, typer.Option("--toy", help="Folder of `train ddm-toy`, whose figure the page shows too.")
    ] = None,
    strong: Annotated[
        str, typer.Option("--strong", help="Recognizer that is fine-tuned on the covers.")
    ] = "mobilefacenet-casia",
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Attack DDM's covers and their rivals on people nobody trained on; write tables and sheets."""
    voice = Voice(json, quiet, verbose)
    networks = dict(map(_named, weights or []))
    from photoguard.evaluate.ddm import evaluate_ddm

    evaluate_ddm(out, data, quick, seeds, networks, only or [], strong, voice.note, page, toy)
    table = out / "ddm.md"
    voice.result(f"tables     {files.shown(table)}", {"tables": str(table), "json": str(out / "ddm.json")})


@app.command()
@guarded
def obfuscator(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            help="Folder or zip of labeled faces, or a folder with utkface.zip and recognizers/.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        str, typer.Option("--labels", help="As `train obfuscator` takes them: a file, or `utkface`.")
    ] = "utkface",
    hold_out: Annotated[
        int, typer.Option("--hold-out", min=4, help="People or pictures that training held out.")
    ] = 2000,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for tables, plots and sheets; finished rows in it are kept.")
    ] = Path("runs/evaluate-obfuscator"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Minutes instead of hours, and wider intervals.")
    ] = False,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            "--weights",
            help="Measure a model of your own too: NAME=FILE; the one named `undefended` is what others are "
            "compared with. Repeat it for several.",
        ),
    ] = None,
    run: Annotated[
        Path | None, typer.Option("--run", help="Folder of a training whose losses are drawn (Fig. 6).")
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", help="Write tables and plots here as well; pictures into images/."),
    ] = None,
    skip_unlabeled: Annotated[
        bool,
        typer.Option(
            "--skip-unlabeled", help="Leave out pictures without labels and labels without pictures."
        ),
    ] = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Attack feature files with networks trained afresh on people held out; write tables, plots, sheets."""
    voice = Voice(json, quiet, verbose)
    models = dict(map(_named, weights or []))
    from photoguard.evaluate.obfuscator import evaluate_obfuscator

    evaluate_obfuscator(out, data, labels, hold_out, quick, models, skip_unlabeled, run, voice.note, page)
    table = out / "obfuscator.md"
    record = {"tables": str(table), "json": str(out / "obfuscator.json")}
    voice.result(f"tables     {files.shown(table)}", record)


def _named(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UsageError(
            f"--weights {text!r} is not NAME=FILE", "like this: --weights MSEDNet=runs/msed/ddm.safetensors"
        )
    return name, Path(path)

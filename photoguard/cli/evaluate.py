"""`evaluate ddm`, `evaluate obfuscator` and `evaluate avp`."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photoguard import files
from photoguard.cli.shared import options
from photoguard.cli.shared.key_models import DEFAULT_STEPS
from photoguard.cli.shared.voice import Voice, guarded
from photoguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from photoguard.methods.avp.keys import KeyModel

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
        Path | None,
        typer.Option(
            "--data",
            help="LFW as a folder or zip, or a folder with lfw.zip. Without it only NASA's portrait in "
            "halftones, checkers and stripes is measured, in a minute.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the tables and sheets; finished rows in it are kept.")
    ] = Path("runs/evaluate-ddm"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Minutes instead of hours, and wider intervals.")
    ] = False,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Attackers trained per row.")] = 3,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="Measure this cover only; repeat it for several. Or adversarial: halftones, checkers and "
            "stripes only.",
        ),
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
    from photoguard.evaluate.ddm.adversarial import evaluate_adversarial
    from photoguard.evaluate.ddm.run import DdmOptions, evaluate_ddm

    if only == ["adversarial"] or (data is None and not only and not networks):
        evaluate_adversarial(out, data, say=voice.note, page=page)
    elif data is None:
        raise UsageError("--only and --weights take faces to measure with", "name a folder with --data")
    else:
        asked = DdmOptions(
            out=out, data=data, quick=quick, seeds=seeds, networks=networks, only=only or (), strong=strong,
            page=page, toy=toy,
        )  # fmt: skip
        evaluate_ddm(asked, voice.note)
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
    from photoguard.evaluate.obfuscator.run import evaluate_obfuscator
    from photoguard.evaluate.obfuscator.setting import ObfuscatorOptions

    asked = ObfuscatorOptions(
        out=out, data=data, labels=labels, hold_out=hold_out, quick=quick, models=models, skip=skip_unlabeled,
        log=run, page=page,
    )  # fmt: skip
    evaluate_obfuscator(asked, voice.note)
    table = out / "obfuscator.md"
    record = {"tables": str(table), "json": str(out / "obfuscator.json")}
    voice.result(f"tables     {files.shown(table)}", record)


class Task(StrEnum):
    """What AVP's pictures are for."""

    recognition = "recognition"
    classification = "classification"


@app.command()
@guarded
def avp(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="LFW as a folder or zip, or a folder with lfw.zip, and perhaps utkface.zip, things.zip and "
            "recognizers/. Not needed for classification.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        Task, typer.Option("--task", help="Faces for recognizers, or small pictures for classifiers.")
    ] = Task.recognition,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for figures, chips and pictures; finished parts are kept.")
    ] = Path("runs/evaluate-avp"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Minutes instead of days: fewer faces, shorter training.")
    ] = False,
    recognizer: Annotated[
        list[str] | None,
        typer.Option(
            "--recognizer",
            help="Recognizer to encrypt for; repeat it for several, the first takes part in everything. "
            "Default: all that are installed.",
        ),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Measure this part only; repeat it for several.")
    ] = None,
    cifar10: Annotated[
        Path | None,
        typer.Option(
            "--cifar10",
            help="Your folder of CIFAR-10, for classification: the binary version, or the one of pickles, "
            "from which nothing but numbers is read. Default: drawn pictures.",
        ),
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--page", help="Write the tables and their pictures here as well.")
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Measure AVP on saved files: what it hides and keeps, what attackers and wrong keys make of it."""
    voice = Voice(json, quiet, verbose)
    if task is Task.classification:
        from photoguard.evaluate.classification.run import evaluate_classification

        keys = _key_models(None, quick, 32)
        evaluate_classification(out, keys, cifar10, quick=quick, say=voice.note, page=page)
    elif data is None:
        raise UsageError("--data is missing", "name LFW's folder or zip, or a folder with lfw.zip in it")
    else:
        from photoguard.evaluate.avp.run import AvpOptions, evaluate_avp

        asked = AvpOptions(
            out=out, data=data, train_key=_key_models(data, quick, 64), quick=quick,
            recognizers=recognizer or (), only=only or (), page=page,
        )  # fmt: skip
        evaluate_avp(asked, voice.note)
    name = "classification" if task is Task.classification else "avp"
    table = out / f"{name}.md"
    voice.result(
        f"tables     {files.shown(table)}", {"tables": str(table), "json": str(out / f"{name}.json")}
    )


QUICK_KEY = 400  # steps: about a minute


def _key_models(data: Path | None, quick: bool, side: int) -> Callable[[bool], KeyModel]:
    """Makes key models from faces or things in `data`, or from procedural pictures where it has none."""

    def make(faces: bool) -> KeyModel:
        import secrets

        from photoguard.methods.avp.keys import SECRET, KeyModel
        from photoguard.train import key_model as training

        source = data / ("utkface.zip" if faces else "things.zip") if data else None
        images = (source,) if source and source.is_file() else ()
        config = dataclasses.replace(training.SMALL, side=side, steps=QUICK_KEY if quick else DEFAULT_STEPS)
        return KeyModel(secrets.token_bytes(SECRET), training.train(config, images).generator)

    return make


def _named(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UsageError(
            f"--weights {text!r} is not NAME=FILE", "like this: --weights MSEDNet=runs/msed/ddm.safetensors"
        )
    return name, Path(path)

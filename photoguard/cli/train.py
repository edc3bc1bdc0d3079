"""`train ddm`, `train recognizer` and `train ddm-toy`."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photoguard import files
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
from photoguard.errors import UsageError
from photoguard.formats.identities import Recipients

if TYPE_CHECKING:
    from photoguard.nets.ddm import DDMConfig
    from photoguard.train.data import Source

app = typer.Typer(
    name="train", no_args_is_help=True, rich_markup_mode=None, help="Train the networks, on a CPU or on GPUs."
)

Data = Annotated[
    list[Path],
    typer.Option("--data", help="Folder or zip of face pictures; repeat it for several.", show_default=False),
]
Out = Annotated[
    Path,
    typer.Option("--out", help="Folder for weights, checkpoint, log and sample sheets; a run goes on there."),
]
HoldOut = Annotated[
    list[int] | None,
    typer.Option(
        "--hold-out",
        help="Keep so many people or pictures of each --data, in the same order, for validation.",
    ),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]


class Objective(StrEnum):
    """What DDM can be trained for."""

    bound = "bound"
    paper = "paper"
    msed = "msed"
    plain = "plain"


@app.command()
@guarded
def ddm(
    data: Data,
    out: Out = Path("runs/ddm"),
    hold_out: HoldOut = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of the whole run.")] = 6000,
    seed: Annotated[int, typer.Option("--seed", help="Random seed.")] = 1,
    objective: Annotated[
        Objective,
        typer.Option(
            "--objective",
            help="bound (every wrong private map gives the same cover), paper (as published), msed (Eq. 13) "
            "or plain (no cover at all, Table 4).",
        ),
    ] = Objective.bound,
    private_share: Annotated[
        int, typer.Option("--private-share", min=2, max=2048, help="One in so many features is private.")
    ] = 64,
    widths: Annotated[
        str, typer.Option("--widths", help="Channels at strides 2, 4 and 8; default: the shipped network's.")
    ] = "",
    perceptual: Annotated[
        str, typer.Option("--perceptual", help="Network of Eq. 8: none, squeezenet:FILE or vgg16.")
    ] = "none",
    device: Device = "auto",
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that prepare pictures.")] = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Train DDM's networks; Ctrl-C saves, and the same command goes on from there."""
    voice = Voice(json, quiet, verbose)
    from photoguard.nets.ddm import DDMConfig
    from photoguard.train import ddm as page

    network = DDMConfig() if private_share == DDMConfig().one_in else _shared(private_share)
    if widths:
        network = dataclasses.replace(network, widths=_widths(widths))
    config = page.Config(
        network=network, objective=objective.value, steps=steps, seed=seed, perceptual=perceptual
    )
    path = page.train(config, _sources(data, hold_out), out, device, workers)
    voice.result(f"weights    {files.shown(path)}", {"weights": str(path)})


def _sources(data: list[Path], hold_out: list[int] | None) -> tuple[Source, ...]:
    from photoguard.train.data import Source

    held = [*(hold_out or []), *[0] * len(data)][: len(data)]
    return tuple(Source(path, count) for path, count in zip(data, held, strict=True))


def _shared(one_in: int) -> DDMConfig:
    from photoguard.nets.ddm import DDMConfig

    try:
        return DDMConfig(one_in=one_in)
    except ValueError as error:
        raise UsageError(str(error), "choose a power of two from 2 to 2048") from None


def _widths(text: str) -> tuple[int, int, int]:
    try:
        first, second, third = (int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--widths {text!r} is not three numbers", "like this: --widths 16,48,96") from None
    return first, second, third


@app.command()
@guarded
def recognizer(
    data: Data,
    teacher: Annotated[
        list[str],
        typer.Option(
            "--teacher", help="Installed recognizer to learn from; repeat it for several.", show_default=False
        ),
    ],
    out: Out = Path("runs/recognizer"),
    hold_out: HoldOut = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of the whole run.")] = 24000,
    seed: Annotated[int, typer.Option("--seed", help="Random seed.")] = 1,
    embedding: Annotated[
        int, typer.Option("--embedding", min=8, help="Numbers a face; no more than the teachers give.")
    ] = 256,
    batch: Annotated[int, typer.Option("--batch", min=2, help="Faces a step, in each process.")] = 32,
    groups: Annotated[
        int,
        typer.Option(
            "--groups",
            min=0,
            help="Groups of eight faces that teachers are asked about once; 0: new ones in every step.",
        ),
    ] = 12000,
    mix: Annotated[
        float, typer.Option("--mix", min=0, max=1, help="Share of faces that are blended with others.")
    ] = 0.3,
    peak_rate: Annotated[float, typer.Option("--peak-rate", help="Of AdamW, after its warm-up.")] = 3e-3,
    start: Annotated[
        Path | None,
        typer.Option("--start", readable=False, help="The --out of a run whose student goes on."),
    ] = None,
    device: Device = "auto",
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that prepare pictures.")] = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Teach a small recognizer what larger ones know; Ctrl-C saves, and the same command goes on."""
    voice = Voice(json, quiet, verbose)
    from photoguard.nets.compact import CompactConfig
    from photoguard.train import recognizer as page
    from photoguard.train.chips import ChipConfig

    network = CompactConfig(embedding=embedding)
    config = page.Config(
        teachers=tuple(teacher),
        network=network,
        chips=ChipConfig(mix=mix),
        steps=steps,
        batch=batch,
        groups=groups,
        seed=seed,
        peak_rate=peak_rate,
        start=page.started_from(start),
    )
    path = page.train(config, _sources(data, hold_out), out, device, workers, start=start)
    voice.result(f"weights    {files.shown(path)}", {"weights": str(path)})


@app.command("ddm-toy")
@guarded
def ddm_toy(
    out: Out = Path("runs/toy"),
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of the whole run.")] = 2000,
    seed: Annotated[int, typer.Option("--seed", help="Random seed.")] = 1,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Draw the DDM paper's toy experiment (Fig. 3): ten groups of points, seconds on a CPU."""
    from photoguard.train import ddm_toy as page

    path = page.train(page.ToyConfig(steps=steps, seed=seed), out)
    Voice(json, quiet, verbose).result(f"figure     {files.shown(path)}", {"figure": str(path)})


class Defense(StrEnum):
    """Whom an obfuscator is trained against."""

    both = "both"
    pictures = "pictures"
    attributes = "attributes"
    none = "none"


@app.command()
@guarded
def obfuscator(
    data: Data,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            help="CelebA's list of attributes, a CSV `file,attribute,...`, or `utkface` for its file names.",
            show_default=False,
        ),
    ],
    task: Annotated[
        str,
        typer.Option(
            "--task", help="Attributes to answer, separated by commas: smile or age>=18.", show_default=False
        ),
    ],
    private: Annotated[
        str,
        typer.Option("--private", help="Attributes to hide, separated by commas.", show_default=False),
    ],
    out: Out = Path("runs/obfuscator"),
    hold_out: Annotated[
        int, typer.Option("--hold-out", min=0, help="People or pictures, drawn by lot, for validation.")
    ] = 0,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of adversarial training.")] = 1000,
    joint: Annotated[
        int, typer.Option("--joint", min=0, help="Steps of obfuscator and classifier alone, before.")
    ] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Random seed.")] = 1,
    defend: Annotated[
        Defense, typer.Option("--defend", help="Against whom: one side alone is the paper's Sec. 4.2.")
    ] = Defense.both,
    reach: Annotated[
        float | None,
        typer.Option(
            "--reach",
            min=0.0,
            help="Length of the features, beside noise of 1; 0: features without noise or bound, as "
            "published. Default: the shipped model's.",
        ),
    ] = None,
    paper: Annotated[
        bool,
        typer.Option("--paper", help="The paper's networks: 218x178 px, full width, no noise. For a GPU."),
    ] = False,
    batch: Annotated[int, typer.Option("--batch", min=2, help="Faces a step, in each process.")] = 32,
    adversaries: Annotated[
        int, typer.Option("--adversaries", min=1, help="Adversary classifiers trained along.")
    ] = 2,
    start: Annotated[
        Path | None,
        typer.Option("--start", readable=False, help="Weights to go on from, without joint training."),
    ] = None,
    skip_unlabeled: Annotated[
        bool,
        typer.Option(
            "--skip-unlabeled", help="Leave out pictures without labels and labels without pictures."
        ),
    ] = False,
    device: Device = "auto",
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes that prepare pictures.")] = 0,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Train DeepObfuscator's networks; Ctrl-C saves, and the same command goes on from there."""
    voice = Voice(json, quiet, verbose)
    from photoguard.datasets.labels import split_by_hash
    from photoguard.nets.obfuscator import paper_config
    from photoguard.train import obfuscator as page

    tasks, hidden = (page.listed_names(text) for text in (task, private))
    found, network = page.gathered(_sources(data, None), labels, tasks, hidden, skip_unlabeled)
    if paper:
        network = paper_config(network.tasks, network.private)
    if reach is not None:
        network = dataclasses.replace(network, reach=reach)
    begun, sha256 = page.begun(start)
    config = page.Config(
        network, sha256, defend.value, 0 if begun else joint, steps=steps, seed=seed, batch=batch,
        adversaries=adversaries,
    )  # fmt: skip
    training, validation = split_by_hash(found, hold_out)
    path = page.train(config, training, validation, out, device, workers, start=begun)
    voice.result(f"weights    {files.shown(path)}", {"weights": str(path)})


@app.command("key-model")
@guarded
def key_model(
    data: Annotated[
        list[Path] | None,
        typer.Option("--data", help="Folder or zip of pictures; default: generated pictures."),
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

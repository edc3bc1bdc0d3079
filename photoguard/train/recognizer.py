"""Teach a small recognizer to embed faces as larger ones do: the one that photoguard ships.

    python -m photoguard.train.recognizer --data FACES.zip --teacher edgeface-xs --out runs/recognizer
    torchrun --nproc-per-node 4 -m photoguard.train.recognizer --data FACES.zip --teacher edgeface-xs

FACES is a folder or zip of pictures with a face each; teachers are installed recognizers. The student starts
from chance and sees no weight of theirs, only what they answer to each picture, changed and mixed as it sees
it itself. docs/development/recognizers.md says what the shipped weights cost.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import grid_sample, kl_div
from torch.nn.parallel import DistributedDataParallel

from photoguard import recognizers, weights
from photoguard.errors import UsageError
from photoguard.nets.compact import CompactConfig, CompactNet
from photoguard.photos.geometry import TEMPLATE_112X112, similarity
from photoguard.recognizers import Recognizer
from photoguard.train import flags, loop, records
from photoguard.train.chips import SIDE, Batches, ChipConfig, Faces, found
from photoguard.train.data import Source, split_by_name

WEIGHTS = "recognizer.safetensors"
CURVES = {"away": "1 - cosine, training", "cosine": "cosine, held out", "told_apart": "pairs told apart"}
MEAN, SCALE = 127.5, 128.0


@dataclass(frozen=True)
class Config:
    """One run. Everything here decides the loss curve, so a resumed run must repeat it."""

    teachers: tuple[str, ...] = ("edgeface-xs",)
    network: CompactConfig = field(default_factory=CompactConfig)
    chips: ChipConfig = field(default_factory=ChipConfig)
    steps: int = 24000
    batch: int = 32
    groups: int = 12000  # of eight chips, asked the teachers about once; 0: new ones in every batch
    seed: int = 1
    peak_rate: float = 3e-3  # AdamW
    warm_up: int = 100
    decay: float = 0.05  # of the weights
    clip: float = 1.0  # norm of the gradient
    average: float = 0.998  # of the weights, over about the last 500 steps
    likeness_weight: float = 1.0  # of whom a face is like, beside its own embedding
    sharpness: float = 16.0  # by what cosines are multiplied before they say whom a face is like
    known_faces: int = 4000  # they say that, and which of the teachers' directions the student learns
    start: str = ""  # sha256 of the checkpoint that the student goes on from


@dataclass(frozen=True)
class Teachers:
    """What the student should answer to a chip: its teachers' answers, side by side, in fewer directions."""

    recognizers: tuple[Recognizer, ...]
    basis: Tensor  # (all teachers' numbers, student's numbers), orthonormal columns
    heard: dict[int, Tensor] = field(default_factory=dict)  # the answers to groups of chips that come again

    def answers(self, chips: Tensor) -> Tensor:
        """Unit embeddings (B, embedding) of chips (B, 3, 112, 112) of 0..255."""
        return unit(side_by_side(self.recognizers, chips) @ self.basis)

    def recalled(self, numbers: list[int], chips: Tensor) -> Tensor:
        """The answers to chips that were put together from the groups `numbers`, each asked for once."""
        for number, group in zip(numbers, chips.chunk(len(numbers)), strict=True):
            if number not in self.heard:
                self.heard[number] = self.answers(group)
        return torch.cat([self.heard[number] for number in numbers])


@torch.no_grad()
def side_by_side(teachers: tuple[Recognizer, ...], chips: Tensor) -> Tensor:
    """All teachers' embeddings as one vector a face, whose cosine is the mean of theirs."""
    parts = [teacher.embed(seen_by(teacher, chips)) for teacher in teachers]
    return torch.cat(parts, 1) / math.sqrt(len(parts))


def seen_by(teacher: Recognizer, chips: Tensor) -> Tensor:
    """Chips (B, 3, 112, 112) as a recognizer of another size or template wants them."""
    spec = teacher.spec
    if (spec.height, spec.width, teacher.template) == (SIDE, SIDE, TEMPLATE_112X112):
        return chips
    matrix = similarity(teacher.template, TEMPLATE_112X112)  # from its pixels to the chip's
    columns, rows = np.meshgrid(np.arange(spec.width), np.arange(spec.height))
    places = matrix[:, :2] @ np.stack([columns.ravel(), rows.ravel()]) + matrix[:, 2:]
    grid = torch.from_numpy(places.T * 2 / (SIDE - 1) - 1).float().view(1, spec.height, spec.width, 2)
    grid = grid.to(chips.device).expand(len(chips), -1, -1, -1)
    return grid_sample(chips, grid, padding_mode="border", align_corners=True)


@torch.no_grad()
def principal_directions(embeddings: Tensor, count: int) -> Tensor:
    """The `count` directions in which unit vectors (N, D) reach farthest, as columns (D, count)."""
    if count > embeddings.shape[1]:
        raise UsageError(
            f"the teachers give {embeddings.shape[1]} numbers a face, which cannot teach {count}",
            "choose a smaller embedding, or more teachers",
        )
    _, vectors = torch.linalg.eigh((embeddings.T @ embeddings).double())
    directions: Tensor = vectors.flip(1)[:, :count].float()
    return directions.contiguous()


class Student(nn.Module):
    """The network with the losses of one step: the module that DDP and torch.compile see."""

    known: Tensor

    def __init__(self, config: Config, known: Tensor) -> None:
        super().__init__()
        self.config, self.network = config, CompactNet(config.network)
        self.register_buffer("known", known)  # the teachers' answers (N, embedding) to faces as they are

    def forward(self, chips: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """The total loss and its parts for chips (B, 3, 112, 112) and the teachers' answers."""
        given = embedded(self.network, chips)
        parts = {
            "away": 1 - (given * wanted).sum(1).mean(),
            "likeness": likeness(given, wanted, self.known, self.config.sharpness),
        }
        total = parts["away"] + self.config.likeness_weight * parts["likeness"]
        return {"total": total, **{name: value.detach() for name, value in parts.items()}}


def embedded(network: CompactNet, chips: Tensor) -> Tensor:
    """The student's unit embeddings of chips (B, 3, 112, 112) of 0..255: it sees the middle of them."""
    top, left = (SIDE - network.config.height) // 2, (SIDE - network.config.width) // 2
    seen = chips[:, :, top : top + network.config.height, left : left + network.config.width]
    return unit(network((seen - MEAN) / SCALE).float())


def unit(vectors: Tensor) -> Tensor:
    """The vectors (B, D) at length 1."""
    result: Tensor = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return result


def likeness(given: Tensor, wanted: Tensor, known: Tensor, sharpness: float) -> Tensor:
    """How differently the two say whom among the known faces each face is like, in nats.

    Most of an embedding's directions hardly tell people apart; this asks for those that do.
    """
    said = (sharpness * given @ known.T).log_softmax(1)
    meant = (sharpness * wanted @ known.T).log_softmax(1)
    return kl_div(said, meant, reduction="batchmean", log_target=True)


@dataclass(frozen=True)
class Examined:
    """Held-out faces, the teachers' answers to them, and whose they are."""

    chips: Tensor
    wanted: Tensor
    people: tuple[str, ...]


@torch.inference_mode()
def validate(network: CompactNet, held: Examined) -> dict[str, float]:
    """Cosine to the teachers' answers, and how well people are told apart, beside the teachers."""
    network.eval()
    given = torch.cat([embedded(network, some) for some in torch.split(held.chips, 64)])
    result = {"cosine": (given * held.wanted).sum(1).mean().item()}
    for name, embeddings in (("told_apart", given), ("teachers_told_apart", held.wanted)):
        share = told_apart(embeddings, held.people)
        if share is not None:
            result[name] = share
    return result


def told_apart(embeddings: Tensor, people: tuple[str, ...]) -> float | None:
    """How often a pair of one person is closer than a pair of two; None where nobody has two photos."""
    numbers = {person: number for number, person in enumerate(dict.fromkeys(people))}
    who = torch.tensor([numbers[person] for person in people], device=embeddings.device)
    rows, columns = torch.triu_indices(len(who), len(who), 1)
    several = torch.bincount(who)[who] > 1  # nobody with one photo only: they can be told from anybody
    counted = several[rows] & several[columns]
    cosines, same = (embeddings @ embeddings.T)[rows, columns][counted], (who[rows] == who[columns])[counted]
    if not bool(same.any()) or bool(same.all()):
        return None
    below = torch.searchsorted(cosines[~same].sort().values, cosines[same])
    return (below.double().mean() / (~same).sum()).item()


@dataclass
class Run(loop.Run):
    """What a checkpoint holds: student, optimizer, averaged weights, teachers' directions, the step."""

    config: Config
    student: Student
    optimizer: torch.optim.AdamW
    average: loop.Average
    basis: Tensor

    def state(self) -> dict[str, Any]:
        """All of that, from which the loss curve goes on as if nothing had happened."""
        return super().state() | {
            "config": dataclasses.asdict(self.config),
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.weights,
            "average_steps": self.average.steps,
            "basis": self.basis,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where a checkpoint was written."""
        super().restore(state)
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.weights, self.average.steps = state["average"], state["average_steps"]

    def smooth(self) -> CompactNet:
        """A network with the averaged weights: what is examined, and what is shipped."""
        network = CompactNet(self.config.network).to(self.basis.device)
        network.load_state_dict(self.average.weights)
        return network.to(memory_format=torch.channels_last)


def prepared(
    config: Config,
    teachers: tuple[Recognizer, ...],
    faces: Faces,
    out: Path,
    place: loop.Place,
    start: Path | None = None,
) -> Run:
    """A fresh run, the one whose checkpoint is in `out`, or one that goes on with the student in `start`."""
    state = records.load_checkpoint(out, dataclasses.asdict(config), place.device)
    earlier = _earlier(start, config, place) if start and state is None else None
    if earlier is not None:
        basis, known = earlier["basis"], earlier["student"]["known"]
    elif state is None:
        chips = (as_tensor(faces.chip(n)[None], place) for n in spread(len(faces), config.known_faces))
        answers = torch.cat([side_by_side(teachers, chip) for chip in chips])
        basis = principal_directions(answers, config.network.embedding)
        known = unit(answers @ basis)
    else:
        basis, known = state["basis"], state["student"]["known"]
    loop.seeded(config.seed)
    student = Student(config, known).to(place.device).to(memory_format=torch.channels_last)
    if earlier is not None:
        student.network.load_state_dict(earlier["average"])
    # Norms and biases keep their size: only what multiplies is drawn to zero.
    drawn = [weight for weight in student.parameters() if weight.ndim > 1]
    others = [weight for weight in student.parameters() if weight.ndim <= 1]
    groups = [{"params": drawn, "weight_decay": config.decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.peak_rate)
    average = loop.Average(student.network, config.average)
    run = Run(config, student, optimizer, average, basis, steps=config.steps)
    if state is not None:
        run.restore(state)
    return run


def started_from(start: Path | None) -> str:
    """What `Config.start` holds."""
    path = start / records.CHECKPOINT if start else None
    return hashlib.sha256(path.read_bytes()).hexdigest() if path and path.is_file() else ""


def _earlier(start: Path, config: Config, place: loop.Place) -> dict[str, Any]:
    """The checkpoint in the folder of another run, whose student answers the same teachers."""
    path = start / records.CHECKPOINT
    if not path.is_file():
        raise UsageError(
            f"there is no {records.CHECKPOINT} in {start}", "--start takes the --out of another run"
        )
    state: dict[str, Any] = torch.load(path, map_location=place.device, weights_only=True)
    mine, theirs = dataclasses.asdict(config), state.get("config", {})
    if any(mine[part] != theirs.get(part) for part in ("teachers", "network")):
        raise UsageError(
            "--start is a run with other teachers or another network", "choose one like this run"
        )
    return state


def spread(total: int, count: int) -> range:
    """At most `count` numbers, evenly over 0 .. total - 1."""
    return range(0, total, max(-(-total // count), 1))


def as_tensor(pixels: np.ndarray[Any, np.dtype[np.uint8]], place: loop.Place) -> Tensor:
    """Chips (B, H, W, 3) -> (B, 3, H, W) of 0..255."""
    return loop.as_tensor(pixels, place.device) * 255


def train(
    config: Config,
    sources: tuple[Source, ...],
    out: Path,
    device: str = "auto",
    workers: int = 0,
    checkpoint_every: int = 500,
    compiled: bool | None = None,  # None: on a GPU, where compiling pays within minutes
    cache: Path | None = None,  # of landmarks; None: the user's cache folder
    folder: Path | None = None,  # of installed recognizers; None: the user's
    start: Path
    | None = None,  # folder of a run whose student goes on; config.start is its checkpoint's sha256
) -> Path:
    """Train until config.steps, from the checkpoint in `out` if there is one; returns the weights' path."""
    with loop.placed(device) as place:
        teachers = tuple(recognizers.load(name, folder).to(place.device) for name in config.teachers)
        training, held_out = split_by_name(sources)
        faces = in_turn(place, lambda: found(training, cache or cache_of_user()))
        seen = in_turn(place, lambda: found(held_out, cache or cache_of_user())) if held_out else faces
        run = prepared(config, teachers, faces, out, place, start)
        teacher = Teachers(teachers, run.basis)
        module: nn.Module = run.student
        if place.gpu if compiled is None else compiled:
            module.compile()
        if place.count > 1:
            module = DistributedDataParallel(module)
        held = examined(seen, teacher, place)
        chips = torch.empty(0)  # of the last step, to look at

        def step(pixels: Tensor, numbers: list[int]) -> dict[str, float]:
            nonlocal chips
            chips = as_tensor(pixels.numpy(), place)
            wanted = teacher.recalled(numbers, chips) if config.groups else teacher.answers(chips)
            if run.step % 2:
                chips = chips.flip(3)  # the teachers' answer to a mirror image is nearly the same
            return descend(run, module, chips, wanted, place)

        def examine() -> tuple[dict[str, float], list[Tensor]]:
            return validate(run.smooth(), held), rows_of(chips)

        batches = Batches(faces, config.chips, config.batch, config.seed, place.rank, config.groups)
        loader = loop.loaded(batches, range(run.step, config.steps), workers)
        loop.learn(run, loader, step, examine, place, out, checkpoint_every)
        if place.first:
            sha256 = weights.save_recognizer(out / WEIGHTS, run.smooth(), half=True)
            records.publish(out / WEIGHTS, sha256, CURVES)
        return out / WEIGHTS


def cache_of_user() -> Path:
    """Where landmarks are kept, so that the next run need not look for them."""
    import platformdirs

    return Path(platformdirs.user_cache_path("photoguard"))


def in_turn(place: loop.Place, work: Callable[[], Faces]) -> Faces:
    """The work's result in every process, the first one's turn before the others': they find what it kept."""
    if place.count > 1 and not place.first:
        torch.distributed.barrier()
    result = work()
    if place.count > 1 and place.first:
        torch.distributed.barrier()
    return result


def examined(faces: Faces, teacher: Teachers, place: loop.Place, count: int = 2000) -> Examined:
    """Up to `count` faces as they are, and what the teachers say to them."""
    numbers = spread(len(faces), count)
    chips = as_tensor(np.stack([faces.chip(n) for n in numbers]), place)
    wanted = torch.cat([teacher.answers(some) for some in torch.split(chips, 64)])
    return Examined(chips, wanted, tuple(faces.reader.pictures[n].group for n in numbers))


def rows_of(chips: Tensor) -> list[Tensor]:
    """The first chips of a batch in four rows, as 0..1, to look at."""
    wide = max(min(len(chips), 48) // 4, 1)
    return [row / 255 for row in torch.split(chips[: 4 * wide], wide)]


def descend(
    run: Run, module: nn.Module, chips: Tensor, wanted: Tensor, place: loop.Place
) -> dict[str, float]:
    """One step towards the teachers' answers."""
    config = run.config
    for group in run.optimizer.param_groups:
        group["lr"] = loop.learning_rate(run.step, config.steps, config.peak_rate, config.warm_up)
    with torch.autocast(place.device.type, torch.bfloat16, enabled=place.gpu):
        losses = module(chips, wanted)
    run.optimizer.zero_grad(set_to_none=True)
    losses["total"].backward()
    nn.utils.clip_grad_norm_(run.student.parameters(), config.clip)
    run.optimizer.step()
    run.average.update(run.student.network)
    return {name: value.item() for name, value in losses.items()}


def main() -> None:
    """The command line of `python -m photoguard.train.recognizer`, as torchrun needs it."""
    parser = flags.parser(__doc__, Config)
    parser.add_argument("--hold-out", type=int, action="append", help="groups of that --data for validation")
    parser.add_argument("--teacher", action="append", required=True, help="installed recognizer")
    parser.add_argument("--start", type=Path, help="folder of a run whose student goes on with other steps")
    parser.add_argument("--mix", type=float, default=ChipConfig.mix, help="share of faces that are mixed")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=None)
    given = vars(parser.parse_args())
    held = (given["hold_out"] or []) + [0] * len(given["data"])
    sources = tuple(Source(path, hold_out) for path, hold_out in zip(given["data"], held, strict=False))
    options = flags.settings(given, Config)
    start = given["start"]
    config = Config(**options | {"teachers": tuple(given["teacher"]), "chips": ChipConfig(mix=given["mix"])})
    config = dataclasses.replace(config, start=started_from(start))
    device, workers = given["device"], given["workers"]
    train(config, sources, given["out"], device, workers, compiled=given["compile"], start=start)


if __name__ == "__main__":
    main()

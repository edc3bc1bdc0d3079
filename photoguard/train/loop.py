"""What every training shares: device, several processes, checkpoints, averages, log, sheets, plot."""

from __future__ import annotations

import contextlib
import io
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from photoguard.errors import UnreadableError, UsageError
from photoguard.files import staged
from photoguard.nets.planes import to_pixels, to_planes
from photoguard.photos.psnr import psnr as decibels

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
MOST_DB = 68.13  # of a PSNR: equal pictures have no finite one


@dataclass(frozen=True)
class Place:
    """Where this process computes: its device, and which of how many processes it is."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    @property
    def gpu(self) -> bool:
        """Whether bf16 and compiling pay here."""
        return self.device.type == "cuda"


@contextlib.contextmanager
def placed(device: str = "auto") -> Iterator[Place]:
    """The place of this process; under torchrun it joins the others until the block ends."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_flush_denormal(True)  # denormal numbers make a CPU many times slower
    try:
        if torch.distributed.is_torchelastic_launched():
            with _joined(device) as place:
                yield place
        else:
            yield Place(torch.device(device))
    finally:
        torch.set_flush_denormal(False)  # others in this process may want their denormals


@contextlib.contextmanager
def _joined(device: str) -> Iterator[Place]:
    torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    rank = torch.distributed.get_rank()
    where = torch.device(device)
    if device == "cuda":
        where = torch.device("cuda", torch.distributed.get_node_local_rank())
        torch.cuda.set_device(where)
    try:
        yield Place(where, rank, torch.distributed.get_world_size())
    finally:
        torch.distributed.destroy_process_group()


def seeded(seed: int) -> None:
    """Start torch, numpy and random from one number."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def learning_rate(step: int, steps: int, peak: float, warm_up: int) -> float:
    """A linear rise over `warm_up` steps, then half a cosine down to a hundredth of the peak."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    part = (step - warm_up) / max(steps - warm_up, 1)
    return peak * (0.01 + 0.99 * (1 + math.cos(math.pi * min(part, 1))) / 2)


class Average:
    """A running average of a network's weights: smoother than the last step, and what is shipped."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the network, faster in the first steps."""
        self.steps += 1
        share = 1 - min(self.decay, self.steps / (self.steps + 10))
        theirs = {name: value.detach() for name, value in network.state_dict().items()}
        smooth = [name for name, value in theirs.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.weights[n] for n in smooth], [theirs[n] for n in smooth], share)
        for name in theirs.keys() - set(smooth):  # the batches that norms have counted
            self.weights[name].copy_(theirs[name])


def share_gradients(parameters: list[nn.Parameter], place: Place) -> None:
    """Give every process the mean gradient, where one step moves some of the networks only."""
    if place.count == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= place.count


def save_checkpoint(folder: Path, state: dict[str, Any]) -> Path:
    """Write the checkpoint whole or not at all: when the disk is full the previous one stays."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with staged(folder, force=True) as stage:
        stage.add(CHECKPOINT, buffer.getvalue())
        stage.publish()
    return folder / CHECKPOINT


def load_checkpoint(folder: Path, config: dict[str, Any], device: torch.device) -> dict[str, Any] | None:
    """The checkpoint of this folder, or None for a fresh run; one of another configuration is refused."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise UnreadableError(
            f"{path} is not a checkpoint: {error}", "remove it to start afresh, or choose another --out"
        ) from None
    changed = sorted(key for key in config if state["config"].get(key) != config[key])
    if changed:
        raise UsageError(
            f"{path} belongs to a run with other settings of {', '.join(changed)}",
            "repeat that run's settings, or choose another --out",
        )
    return state


class Log:
    """One JSON object a line, each with its step; a resumed run drops the lines it is about to repeat."""

    def __init__(self, folder: Path, from_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / LOG
        kept = [line for line in read_log(folder) if line["step"] <= from_step] if from_step else []
        self.path.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def write(self, step: int, **values: float | str | list[str]) -> None:
        """Add a line."""
        rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **rounded}) + "\n")


def read_log(folder: Path) -> list[dict[str, Any]]:
    """All lines of a run's log."""
    path = folder / LOG
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """PSNR of each image of two batches as saved in 8 bits, in dB: (B, 3, H, W) in 0..1 -> (B,)."""
    pairs = zip(*(to_pixels(x.float() * 255) for x in (a, b)), strict=True)
    return torch.tensor([min(decibels(one, other), MOST_DB) for one, other in pairs])


def as_tensor(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Pixels (B, H, W, 3) of 0..255 -> (B, 3, H, W) in 0..1, channels last in memory."""
    return to_planes(pixels).to(device, non_blocking=True).float() / 255


def save_sheet(path: Path, rows: list[Tensor]) -> None:
    """A PNG with one row for each batch of images, to look at with one's own eyes."""
    lines = [torch.cat(list(row.detach().float().cpu().clamp(0, 1)), 2) for row in rows]
    pixels = (torch.cat(lines, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    Image.fromarray(pixels).save(part, "PNG")
    part.replace(path)


def save_plot(folder: Path, series: dict[str, str]) -> Path | None:
    """Draw the named columns of the log into plot.png; None without matplotlib, when the log must do."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    lines = read_log(folder)
    figure = Figure(figsize=(7, 2.2 * len(series)), layout="constrained")
    for axis, (key, label) in zip(
        figure.subplots(len(series), squeeze=False)[:, 0], series.items(), strict=True
    ):
        points = [(line["step"], line[key]) for line in lines if key in line]
        axis.plot([x for x, _ in points], [y for _, y in points])
        axis.set(xlabel="step", ylabel=label)
    figure.savefig(folder / "plot.png", dpi=120)
    return folder / "plot.png"

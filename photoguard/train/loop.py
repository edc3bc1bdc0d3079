"""What every training shares: where it computes, the loop of whole steps, rates and averages."""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from photoguard.interruption import graceful_sigint, ignore_sigint
from photoguard.nets.planes import to_pixels, to_planes
from photoguard.photos.psnr import psnr as decibels
from photoguard.train import records

LOG_EVERY = 25  # steps
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


@dataclass(kw_only=True)
class Run:
    """Where a run stands and when it is over; what learns is added by each page."""

    steps: int | None = None  # it is over after so many, or
    seconds: float | None = None  # after so long, whichever comes first
    step: int = 0
    spent: float = 0.0  # seconds so far
    window: list[dict[str, float]] = field(default_factory=list)  # the losses since the last line of the log

    @property
    def done(self) -> float:
        """How much of the run is over, 0..1."""
        of_steps = self.step / self.steps if self.steps else 0.0
        return min(max(of_steps, self.spent / self.seconds if self.seconds else 0.0), 1.0)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"step": self.step, "window": self.window}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where a checkpoint was written."""
        self.step, self.window = state["step"], state.get("window", [])

    def window_means(self) -> dict[str, float]:
        """The mean losses of the window, each over the steps that had it; the window starts anew."""
        names = dict.fromkeys(name for losses in self.window for name in losses)
        found = {name: [losses[name] for losses in self.window if name in losses] for name in names}
        self.window.clear()
        return {name: sum(values) / len(values) for name, values in found.items()}


def loaded(batches: Any, steps: range, workers: int) -> DataLoader[Any]:
    """The batches of these steps, made ready by so many other processes; `batches` has [] and a length."""
    return DataLoader(
        batches, batch_size=None, sampler=steps, num_workers=workers, worker_init_fn=ignore_sigint
    )


def learn(
    run: Run,
    batches: Iterable[Any],
    descend: Callable[..., dict[str, float]],
    examine: Callable[[], tuple[dict[str, float], list[Tensor]]],
    place: Place,
    out: Path | None,
    checkpoint_every: int,
    tell: Callable[[], None] | None = None,  # after each step, instead of a bar
) -> None:
    """Take a step a batch until there are no more, and write down in `out` what came of it.

    A batch is the pictures, whatever else `descend` takes, and the names of unreadable pictures; `descend`
    returns the step's losses, `examine` figures for the log and rows of a sheet. Ctrl-C waits for the end of
    the step and saves. A second one does not wait, and so saves nothing: a checkpoint holds whole steps.
    """
    log = records.Log(out, run.step) if out and place.first else None
    hidden = bool(tell) or not place.first
    shown = tqdm(total=run.steps, initial=run.step, disable=hidden, unit="step", mininterval=1)
    started, earlier, images, whole = time.monotonic(), run.spent, 0, True
    with shown, graceful_sigint() as stopping:
        try:
            for *batch, unreadable in batches:
                whole = False
                run.window.append(descend(*batch))
                took = time.monotonic() - started
                run.step, run.spent = run.step + 1, earlier + took
                images += len(batch[0]) * place.count
                (tell or shown.update)()
                last = run.done == 1
                if log and (run.step % LOG_EVERY == 0 or last):
                    means = run.window_means() | {"images_per_second": images / took}
                    shown.set_postfix({name: f"{value:.4g}" for name, value in means.items()})
                    log.write(run.step, **means, unreadable=len(unreadable), unreadable_names=unreadable)
                if log and (run.step % checkpoint_every == 0 or last):
                    figures, rows = examine()
                    log.write(run.step, **figures)
                    records.save_sheet(log.folder / "sheets" / f"{run.step:06d}.png", rows)
                    records.save_checkpoint(log.folder, run.state())
                whole = True
                if stopping():
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            if log and whole:
                records.save_checkpoint(log.folder, run.state())
            raise


def share_gradients(parameters: list[nn.Parameter], place: Place) -> None:
    """Give every process the mean gradient, where one step moves some of the networks only."""
    if place.count == 1:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= place.count


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """PSNR of each image of two batches as saved in 8 bits, in dB: (B, 3, H, W) in 0..1 -> (B,)."""
    pairs = zip(*(to_pixels(x.float() * 255) for x in (a, b)), strict=True)
    return torch.tensor([min(decibels(one, other), MOST_DB) for one, other in pairs])


def as_tensor(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Pixels (B, H, W, 3) of 0..255 -> (B, 3, H, W) in 0..1, channels last in memory."""
    return to_planes(pixels).to(device, non_blocking=True).float() / 255

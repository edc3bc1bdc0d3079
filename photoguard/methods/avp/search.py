"""The search for AVP's picture: Algorithm 1 as published, and the faster one that photoguard uses.

Everything is a tensor here: originals (N, 3, H, W) of 0..255, a target (`avp.target`), and perhaps a key, a
function from (pictures, rows) to what the owner would restore. Whatever is reported was measured on 8-bit
pixels.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from photoguard.methods.avp.losses import distance, variance
from photoguard.nets.planes import to_pixels, to_planes
from photoguard.nets.similarity import ssim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from photoguard.formats.chip_data import Cargo
    from photoguard.methods.avp.target import Judged, Target

    Progress = Callable[[int, int], None]  # steps done, steps at most


class Key(Protocol):
    """What restores pictures (B, 3, H, W) of 0..255; `rows` (B,) says which originals they stand for."""

    def __call__(self, chips: Tensor, rows: Tensor, /) -> Tensor:
        """The restored pictures, of 0..255, with gradient."""
        ...


@dataclass(frozen=True)
class Step:
    """One step of one face's search, for plots."""

    seconds: float
    """Since the search began, all faces of the batch together."""
    loss: float
    reached: float
    """Of the network that was worst off."""
    ssim_e: float
    """With the original: lower hides more."""
    ssim_d: float
    """Restored with the original; 1 where there is no key in the search."""


@dataclass(frozen=True)
class Found:
    """The result for one face."""

    pixels: NDArray[np.uint8]
    """(H, W, 3), as saved"""
    reached: tuple[float, ...]
    """For each network of the target: the cosine, or the probability of the class."""
    ssim_e: float
    ssim_d: float | None
    """None where there is no key in the search."""
    restored: NDArray[np.uint8] | None
    steps: int
    seconds: float
    """This face's share of the time."""
    stopped: bool
    """It met its goal; else it went on to the last step."""
    trace: tuple[Step, ...] = field(default=(), repr=False)


# Algorithm 1, as published


@dataclass(frozen=True)
class Published:
    """Algorithm 1 with the constants of its authors' code; where both are silent, what Table 1 asks for."""

    steps: int = 800
    momentum: float = 0.3  # alpha of Eq. 7
    step: float = 0.01  # beta of Eq. 8, of pictures in 0..1 and gradients whose mean magnitude is 1
    key_weight: float = 0.2  # mu of Eq. 15, of the mean square over the samples in the code's range of -1..1
    hiding: Literal["variance", "distance"] = "variance"  # L_v (Eq. 12-13), or L_d (Eq. 5-6)
    hiding_weight: float = 1e-3  # lambda of Eq. 6 and 14
    decay: float = 0.85
    patience: int = 16  # increases of the loss before the step is made smaller
    seed: int | None = None  # of the random start; None: from the system


def published(
    originals: Tensor,
    target: Target,
    key: Key | None = None,
    settings: Published = Published(),
    *,
    start: Tensor | None = None,
    until: float = math.inf,
    progress: Progress | None = None,
) -> list[Found]:
    """Algorithm 1. A face whose worst network has reached `until` on rounded pixels stops there."""
    clock = _Clock(originals, key, settings.steps, progress)
    rows = clock.unfinished()
    picture = _noise(originals, settings.seed) / 255 if start is None else start / 255
    gradient = torch.zeros_like(picture)
    enough = Goal(reached=until, ssim_e=math.inf)
    beta = torch.full((len(rows), 1, 1, 1), settings.step, device=picture.device)
    increases = torch.zeros(len(rows), device=picture.device)
    before = torch.full((len(rows),), math.inf, device=picture.device)
    for _ in range(settings.steps):
        picture = picture.detach().requires_grad_()
        judged = target(picture * 255, rows)
        loss = judged.loss
        if settings.hiding == "variance":
            loss = loss + settings.hiding_weight * variance(picture)  # Eq. 14
        else:
            loss = loss - settings.hiding_weight * distance(picture, originals[rows] / 255)  # Eq. 6
        if key is not None:
            missed = (key(picture * 255, rows) - originals[rows]) / 127.5
            loss = loss + settings.key_weight * missed.square().mean((1, 2, 3))  # Eq. 10, 15
        (slope,) = torch.autograd.grad(loss.sum(), picture)
        with torch.no_grad():
            # Eq. 7 and 9; the code divides by the mean magnitude where the paper has the 2-norm.
            slope = slope / slope.abs().mean((1, 2, 3), keepdim=True).clamp(min=1e-12)
            gradient = settings.momentum * gradient + slope
            picture = picture - beta * gradient  # Eq. 8, downhill
            increases = increases + (loss > before)
            worn = increases > settings.patience
            beta = torch.where(worn[:, None, None, None], beta * settings.decay, beta)
            increases = torch.where(worn, 0.0, increases)
            before = loss.detach()
            clock.tick()
            saved = (picture * 255).round().clamp(0, 255)
            stay = clock.note(rows, saved, loss, target(saved, rows), None, enough, latest=True)
        if not bool(stay.any()):
            break
        rows, picture, gradient = rows[stay], picture[stay], gradient[stay]
        beta, increases, before = beta[stay], increases[stay], before[stay]
    return clock.results()


# The fast search


FINE = 1 / 12  # how large the steps of a fine round are, beside those of the others


@dataclass(frozen=True)
class Goal:
    """When a face is done: all of it on the pixels as they are saved."""

    reached: float = 0.998  # cosine, or probability of the class
    ssim_e: float = 0.01
    ssim_d: float = 0.0  # of no use without a key


@dataclass(frozen=True)
class Round:
    """One attempt: so many steps, the rate falling over `fall` of them."""

    steps: int
    fall: int
    fine: bool = False
    """Go on from the best picture so far, in small steps, instead of from another start."""


@dataclass(frozen=True)
class Fast:
    """The search that photoguard uses: Adam on the rounded picture, each face until it meets its goal."""

    goal: Goal = Goal()
    # Most faces need 30 to 60 steps with most recognizers. Faces that are hard to reach, and those whose
    # search went astray, get further rounds from other starts that keep their large steps for longer. What is
    # still short then comes nearer in small steps than from one more start, and sooner.
    rounds: tuple[Round, ...] = (Round(120, 50), Round(300, 200), Round(400, 280), Round(150, 150, fine=True))
    steps: int | None = None  # at most, all rounds together
    rate: float = 48.0  # gray levels a step at first: noise is far from the goal, and most starts are as good
    rate_end: float = 2.4  # later; the way down is half a cosine
    betas: tuple[float, float] = (0.8, 0.95)
    hiding_weight: float = 1e-3  # of L_v
    likeness_weight: float = 3.0  # of what SSIM_e, or a negative's, has above three fifths of its goal
    key_weight: float = 2.0  # of 1 - SSIM and the mean square of what the key restores
    seed: int | None = None


@dataclass(frozen=True)
class _Task:
    """What one search is given, for all of its faces."""

    originals: Tensor
    target: Target
    key: Key | None
    settings: Fast
    cargo: Sequence[Cargo]
    low: Tensor | None
    """(N, 3, H, W): what the two low bits must be."""
    distortions: Sequence[Callable[[Tensor], Tensor]]


def fast(
    originals: Tensor,
    target: Target,
    key: Key | None = None,
    settings: Fast = Fast(),
    *,
    start: Tensor | None = None,
    cargo: Sequence[Cargo] = (),
    distortions: Sequence[Callable[[Tensor], Tensor]] = (),
    progress: Progress | None = None,
) -> list[Found]:
    """Pictures that meet the goal, or the best that was met.

    `start` is where the search begins, else noise. `cargo` is what each picture carries in its low bits,
    its tag included. `distortions` are views to be recognized in too.
    """
    low = _tensor([one.low for one in cargo]).to(originals.device) if cargo else None
    task = _Task(originals, target, key, settings, cargo, low, distortions)
    left = min(sum(one.steps for one in settings.rounds), settings.steps or 1 << 30)
    clock = _Clock(originals, key, left, progress)
    for number, one in enumerate(settings.rounds):
        rows, steps = clock.unfinished(), min(one.steps, left)
        if not len(rows) or not steps:
            break
        left -= steps
        if one.fine:
            picture = torch.stack([clock.pictures[row] for row in rows.tolist()])
        else:
            seed = None if settings.seed is None else settings.seed + number
            picture = _noise(originals[rows], seed) if start is None else start[rows]
            if start is not None and number:  # not the very way again
                picture = picture + 0.1 * (_noise(picture, seed) - picture)
        _attempt(task, clock, rows, picture, replace(one, steps=steps))
    return clock.results()


def _attempt(task: _Task, clock: _Clock, rows: Tensor, picture: Tensor, one: Round) -> None:
    settings, goal = task.settings, task.settings.goal
    mean, square = torch.zeros_like(picture), torch.zeros_like(picture)
    first, second = settings.betas
    for step in range(one.steps):
        picture = picture.detach().requires_grad_()
        # Forward on what would be saved, backward as if it had not been rounded.
        saved = picture + (_savable(task, picture.detach(), rows) - picture).detach()
        judged = task.target(saved, rows)
        loss, alike = _loss(task, judged, saved, rows)
        (slope,) = torch.autograd.grad(loss.sum(), picture)
        with torch.no_grad():
            clock.tick()
            stay = clock.note(rows, saved, loss, judged, alike, goal)
            if not bool(stay.any()):
                return
            mean = first * mean + (1 - first) * slope
            square = second * square + (1 - second) * slope.square()
            along = mean / (1 - first ** (step + 1))
            across = (square / (1 - second ** (step + 1))).sqrt()
            fallen = (1 + math.cos(math.pi * min(step / one.fall, 1.0))) / 2
            rate = settings.rate_end + (settings.rate - settings.rate_end) * fallen
            rate = rate * FINE if one.fine else rate
            picture = (picture - rate * along / (across + 1e-12)).clamp(0, 255)
            rows, picture, mean, square = rows[stay], picture[stay], mean[stay], square[stay]


def _loss(task: _Task, judged: Judged, saved: Tensor, rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """What is made smaller, for each picture, and how like the original the key restores it."""
    settings, originals = task.settings, task.originals[rows]
    likeness = ssim(saved, originals).abs() - 0.6 * settings.goal.ssim_e
    loss = judged.loss + settings.hiding_weight * variance(saved / 255)
    loss = loss + settings.likeness_weight * likeness.clamp(min=0)
    for distort in task.distortions:
        loss = loss + task.target(distort(saved), rows).loss
    if task.key is None:
        return loss, None
    restored = task.key(saved, rows)
    alike = ssim(restored, originals)
    missed = ((restored - originals) / 127.5).square().mean((1, 2, 3))
    return loss + settings.key_weight * (1 - alike + missed), alike.detach()


def _savable(task: _Task, picture: Tensor, rows: Tensor) -> Tensor:
    """Pictures as they would be saved, each with its tag."""
    if task.low is None:
        return quantized(picture, None)
    made = to_pixels(quantized(picture, task.low[rows]))
    tagged = [task.cargo[row].tagged(one) for row, one in zip(rows.tolist(), made, strict=True)]
    return _tensor(tagged).to(picture)


def quantized(picture: Tensor, carried: Tensor | None) -> Tensor:
    """The nearest picture of whole numbers 0..255 that has the carried low bits."""
    free = picture.round().clamp(0, 255)
    if carried is None:
        return free
    low = carried.to(picture.dtype)
    bound = ((picture - low) / 4).round().clamp(0, 63) * 4 + low
    return torch.where(carried == 255, free, bound)


def _noise(originals: Tensor, seed: int | None) -> Tensor:
    """A random start: every sample from 0 to 255 alike."""
    source = torch.Generator()
    if seed is None:
        source.seed()
    else:
        source.manual_seed(seed)
    return (torch.rand(originals.shape, generator=source) * 255).to(originals)


class _Clock:
    """Keeps time, traces and each face's picture while a search goes on."""

    def __init__(self, originals: Tensor, key: Key | None, steps: int, progress: Progress | None) -> None:
        self.originals, self.key, self.steps, self.progress = originals, key, steps, progress
        self.seconds = 0.0  # since the search began
        self.last = time.perf_counter()
        count = len(originals)
        self.busy = list(range(count))
        self.share = [0.0] * count
        self.traces: list[list[Step]] = [[] for _ in range(count)]
        self.pictures: list[Tensor] = list(torch.zeros_like(originals))
        self.judged: list[tuple[float, ...]] = [(math.nan,)] * count
        self.hidden = [math.nan] * count
        self.short = [math.inf] * count  # by how much the kept picture misses the goal
        self.stopped = [False] * count

    def unfinished(self) -> Tensor:
        """The faces that have not met their goal, all of which are now at it."""
        self.busy = [row for row, stopped in enumerate(self.stopped) if not stopped]
        return torch.tensor(self.busy, device=self.originals.device, dtype=torch.long)

    def tick(self) -> None:
        """Count the time until now; what comes before the next `note` ends is measuring, not searching."""
        spent = time.perf_counter() - self.last
        self.seconds += spent
        for row in self.busy:
            self.share[row] += spent / len(self.busy)

    def note(
        self,
        rows: Tensor,
        saved: Tensor,
        loss: Tensor,
        judged: Judged,
        alike: Tensor | None,
        goal: Goal,
        latest: bool = False,
    ) -> Tensor:
        """Write down one step of the faces `rows`; returns which of them go on.

        Each face keeps its `latest` picture, or the one that misses its goal by the least.
        """
        hidden = ssim(saved.detach(), self.originals[rows])
        alike = torch.ones_like(hidden) if alike is None else alike
        # A negative shows as much as a copy.
        misses = torch.stack([
            goal.reached - judged.reached.amin(1), hidden.abs() - goal.ssim_e, goal.ssim_d - alike
        ]).clamp(min=0).sum(0)  # fmt: skip
        lost = ~(loss.isfinite() & judged.reached.isfinite().all(1))  # no step leads back to numbers
        columns = zip(
            rows.tolist(), loss.tolist(), judged.reached.tolist(), hidden.tolist(), alike.tolist(),
            misses.tolist(), strict=True,
        )  # fmt: skip
        for at, (row, cost, reached, e, d, miss) in enumerate(columns):
            self.traces[row].append(Step(self.seconds, cost, min(reached), e, d))
            if latest or miss < self.short[row]:
                self.pictures[row], self.judged[row] = saved[at].detach(), tuple(reached)
                self.hidden[row], self.short[row], self.stopped[row] = e, miss, miss == 0
        stay = ~lost & (misses > 0)
        self.busy = rows[stay].tolist()
        if self.progress:
            self.progress(max(map(len, self.traces)), self.steps)
        self.last = time.perf_counter()
        return stay

    def results(self) -> list[Found]:
        """One result a face, its restored picture computed from the saved pixels."""
        found = []
        for row, (picture, trace) in enumerate(zip(self.pictures, self.traces, strict=True)):
            restored = None
            if self.key is not None:
                with torch.no_grad():
                    restored = self.key(picture[None], torch.tensor([row], device=picture.device))
                    restored = restored.round().clamp(0, 255)
            alike = None if restored is None else float(ssim(restored, self.originals[row : row + 1]))
            found.append(
                Found(
                    pixels=to_pixels(picture[None])[0],
                    reached=self.judged[row],
                    ssim_e=self.hidden[row],
                    ssim_d=alike,
                    restored=None if restored is None else to_pixels(restored)[0],
                    steps=len(trace),
                    seconds=self.share[row],
                    stopped=self.stopped[row],
                    trace=tuple(trace),
                )
            )
        return found


def _tensor(pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    return to_planes(np.stack(pictures))

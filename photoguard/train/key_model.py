"""Teach a generator the identity, from a start that nobody else has: AVP's learned key model.

    photoguard keygen --model                                        # small, five minutes of two CPU cores
    photoguard train key-model --data FACES.zip --preset paper       # as published: batch 1, 4 epochs, a GPU

Any pictures will do, also procedural ones. A generator is half of a key model; the other half is 32 random
bytes, without which its owner's pictures stay shuffled (docs/methods/avp.md).
"""

from __future__ import annotations

import dataclasses
import math
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from photoguard.nets.generator import PRESETS, Generator, GeneratorConfig
from photoguard.nets.planes import to_planes
from photoguard.nets.similarity import ssim
from photoguard.recognizers.sample import sample_picture
from photoguard.train import loop, records
from photoguard.train.data import PatchConfig, Reader, Source, listed, patch

CHECKPOINT_EVERY = 2000  # steps
SHOWN = 6  # pictures on the sample sheet

Progress = Callable[[int, int], None]  # steps, or seconds, done and in all


@dataclass(frozen=True)
class Config:
    """One run, which ends after `steps` or `seconds`, whichever comes first."""

    network: GeneratorConfig
    side: int = 64
    batch: int = 4
    rate: float = 2e-3  # Adam, half a cosine down over the run
    momentum: float = 0.9
    similarity_weight: float = 0.3  # of 1 - SSIM beside the mean absolute error
    # Standard deviation, in pictures of -1..1, of noise on the input that the output is to be without: the
    # search for a chip adds some, and a key that evens it out restores better than one that copies it.
    noise: float = 0.08
    steps: int | None = None
    seconds: float | None = None


SMALL = Config(PRESETS["small"])
PAPER = Config(PRESETS["paper"], side=128, batch=1, rate=2e-4, momentum=0.5, similarity_weight=0.0, noise=0.0)
CONFIGS = {"small": SMALL, "paper": PAPER}
EPOCHS = 4  # of the paper, unless told otherwise


@dataclass(frozen=True)
class Learned:
    """A generator that has learned the identity, and how well."""

    generator: Generator
    steps: int
    seconds: float
    ssim: float
    """Restored with original, on pictures that it has not seen"""
    sheet: tuple[Tensor, Tensor]
    """Pictures of 0..1 (SHOWN, 3, H, W), and what it makes of them; none of them the user's"""


def train(
    config: Config,
    images: tuple[Path, ...] = (),
    device: str = "auto",
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Learned:
    """Train on the images of folders or zips, or on procedural ones; what comes of it lies in `folder`."""
    pictures = _Pictures(images, config)
    config = _bounded(config, pictures)
    with loop.placed(device) as place:
        run = prepared(config, folder, place)
        generator, unseen = run.generator, pictures.unseen().to(place.device)

        def step(batch: Tensor) -> dict[str, float]:
            return descend(run, batch.to(place.device))

        def tell() -> None:
            if progress and run.step % 5 == 0:
                _tell(progress, run)

        def examine() -> tuple[dict[str, float], list[Tensor]]:
            return {"ssim": measured(generator, unseen)}, list(_sheet(generator, place.device))

        loop.learn(run, pictures.batches(run), step, examine, place, folder, CHECKPOINT_EVERY, tell)
        generator.eval().requires_grad_(False)
        figures, (original, restored) = examine()
        return Learned(generator.cpu(), run.step, run.spent, figures["ssim"], (original, restored))


@dataclass
class Run(loop.Run):
    """What a checkpoint holds: generator, optimizer, and where the run stands."""

    config: Config
    generator: Generator
    optimizer: torch.optim.Adam

    def state(self) -> dict[str, Any]:
        """All of that, and the seconds that count towards the run's end."""
        return super().state() | {
            "config": dataclasses.asdict(self.config),
            "generator": self.generator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.spent,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where a checkpoint was written."""
        super().restore(state)
        self.generator.load_state_dict(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.spent = state["seconds"]


def prepared(config: Config, folder: Path | None, place: loop.Place) -> Run:
    """A fresh run, or the one whose checkpoint lies in the folder."""
    generator = started(config.network).to(place.device)
    optimizer = torch.optim.Adam(generator.parameters(), config.rate, (config.momentum, 0.99))
    run = Run(config, generator, optimizer, steps=config.steps, seconds=config.seconds)
    state = records.load_checkpoint(folder, dataclasses.asdict(config), place.device) if folder else None
    if state is not None:
        run.restore(state)
    return run


def started(network: GeneratorConfig) -> Generator:
    """A generator whose start is drawn from the system's randomness: 256 bits of it."""
    rng = np.random.default_rng(secrets.randbits(256))
    generator = Generator(network)
    for module in generator.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            fan = (
                module.weight[0].numel() if isinstance(module, nn.Conv2d) else module.weight.shape[0] * 9 / 4
            )
            drawn = rng.standard_normal(tuple(module.weight.shape)) / math.sqrt(fan)
            with torch.no_grad():
                module.weight.copy_(torch.from_numpy(drawn))
                if module.bias is not None:
                    module.bias.zero_()
    return generator


def descend(run: Run, pictures: Tensor) -> dict[str, float]:
    """One step towards the identity, on pictures (B, 3, H, W) of -1..1."""
    rise, fall = min((run.step + 1) / 20, 1.0), (1 + math.cos(math.pi * run.done)) / 2
    for group in run.optimizer.param_groups:
        group["lr"] = run.config.rate * rise * (0.02 + 0.98 * fall)
    loss = _loss(run.generator, pictures, run.config)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    run.optimizer.step()
    return {"loss": loss.item()}


def _loss(generator: Generator, pictures: Tensor, config: Config) -> Tensor:
    """How far the output is from the pictures (B, 3, H, W) of -1..1."""
    strength = config.noise * torch.rand(len(pictures), 1, 1, 1, device=pictures.device)
    made = generator(pictures + strength * torch.randn_like(pictures))
    loss: Tensor = (made - pictures).abs().mean()
    if config.similarity_weight:
        alike = ssim((made + 1) * 127.5, (pictures + 1) * 127.5).mean()
        loss = loss + config.similarity_weight * (1 - alike)
    return loss


@torch.no_grad()
def measured(generator: Generator, pictures: Tensor) -> float:
    """Mean SSIM of what the generator makes of pictures (N, 3, H, W) of -1..1, as 8 bits, with them."""
    made = ((generator(pictures) + 1) * 127.5).round().clamp(0, 255)
    return float(ssim(made, (pictures + 1) * 127.5).mean())


class _Pictures:
    """Patches to learn from, and some that are kept for measuring."""

    def __init__(self, images: tuple[Path, ...], config: Config) -> None:
        # The system's randomness here as well: the same pictures in the same order would pull keys together.
        self.rng = np.random.default_rng(secrets.randbits(256))
        self.config = config
        self.reader = self.held = None
        if images:
            pictures = [picture for path in images for picture in listed(Source(path))]
            held = pictures[:: max(-(-len(pictures) // SHOWN), 2)] if len(pictures) > 1 else []
            self.reader = Reader([picture for picture in pictures if picture not in held])
            self.held = Reader(held) if held else None

    def batches(self, run: Run) -> Iterator[tuple[Tensor, list[str]]]:
        """Patches (B, 3, side, side) of -1..1, and the pictures found unreadable, until the run is over."""
        reader = self.reader
        while run.done < 1:
            patches = _as_tensor([self._one(reader) for _ in range(self.config.batch)])
            yield patches, sorted(reader.pictures[n].name for n in reader.unreadable) if reader else []

    def unseen(self) -> Tensor:
        """Patches that were not trained on: of pictures held out, or NASA's portrait where there are none."""
        if self.held is None:
            return _as_tensor([sample_picture(128)])
        return _as_tensor([self._one(self.held) for _ in range(SHOWN)])

    def _one(self, reader: Reader | None) -> NDArray[np.uint8]:
        if reader is None:
            return procedural(self.config.side, self.rng)
        number = int(self.rng.integers(len(reader.pictures)))
        return patch(reader.read(number), self.config.side, PatchConfig(), self.rng)


def procedural(side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture of nothing, (side, side, 3), with the edges, slopes, colors and textures of real ones."""
    y, x = np.mgrid[:side, :side] / side
    canvas = _cloud(side, rng) * rng.uniform(20, 60) + rng.uniform(30, 225, 3)
    for _ in range(int(rng.integers(3, 16))):  # leaves that hide one another
        (cx, cy), turn = rng.uniform(0, 1, 2), rng.uniform(0, np.pi)
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = (y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)
        far = (np.abs(u) ** 2 + np.abs(v / rng.uniform(0.3, 1)) ** 2) ** 0.5
        inside = np.clip(0.5 - (far - rng.uniform(0.03, 0.4)) * rng.uniform(10, side), 0, 1)[..., None]
        shade = rng.uniform(0, 255, 3) + u[..., None] * rng.uniform(-150, 150)
        canvas = canvas * (1 - inside) + inside * (shade + _cloud(side, rng) * rng.uniform(0, 40))
    return np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


def _cloud(side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Noise whose spectrum falls as that of photos does, (side, side, 3), standard deviation 1."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))
    shape = (1 / np.maximum(frequency, 1 / side) ** rng.uniform(0.6, 1.6))[..., None]
    spectrum = np.fft.rfft2(rng.standard_normal((side, side, 1 if rng.random() < 0.7 else 3)), axes=(0, 1))
    field = np.fft.irfft2(spectrum * shape, (side, side), axes=(0, 1))
    return np.asarray((field - field.mean()) / field.std() * np.ones(3))


def _as_tensor(pictures: list[NDArray[np.uint8]]) -> Tensor:
    return to_planes(np.stack(pictures)).float() / 127.5 - 1


def _bounded(config: Config, pictures: _Pictures) -> Config:
    """The configuration with an end: the paper's epochs when nothing was said."""
    if config.steps is not None or config.seconds is not None:
        return config
    count = len(pictures.reader.pictures) if pictures.reader else 12_878
    return dataclasses.replace(config, steps=max(EPOCHS * count // config.batch, 1))


def _tell(progress: Progress, run: Run) -> None:
    if run.seconds:
        progress(min(int(run.spent), int(run.seconds)), int(run.seconds))
    else:
        progress(run.step, run.steps or run.step)


def _sheet(generator: Generator, device: torch.device) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(0)
    shown = _as_tensor([sample_picture(128), *(procedural(128, rng) for _ in range(SHOWN - 1))]).to(device)
    with torch.no_grad():
        return ((shown + 1) / 2).cpu(), ((generator(shown) + 1) / 2).cpu()


def drawn(sheet: tuple[Tensor, Tensor]) -> NDArray[np.uint8]:
    """A sample sheet as one picture: above what went in, below what came out."""
    rows = torch.cat([torch.cat(list(row.clamp(0, 1)), 2) for row in sheet], 1)
    return np.ascontiguousarray((rows * 255).round().byte().permute(1, 2, 0).numpy())

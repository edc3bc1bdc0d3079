"""The paper's toy experiment (Sec. 6.1, Fig. 3): ten groups of points in the plane, seconds on a CPU.

    photoguard train ddm-toy --out runs/toy

Recovered points stay where they were; encrypted ones drift away from all ten groups into one heap.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor
from tqdm import tqdm

from photoguard.nets.ddm import ToyDDM
from photoguard.train import loop

COLORS = ["1f77b4", "ff7f0e", "2ca02c", "d62728", "9467bd", "8c564b", "e377c2", "7f7f7f", "bcbd22", "17becf"]
PANEL = 220  # pixels of one panel of the figure
REACH = 6.0  # a panel shows -REACH .. REACH


@dataclass(frozen=True)
class ToyConfig:
    """One toy run."""

    steps: int = 2000  # the paper: reconstruction is steady after 500, encryption takes longer
    batch: int = 100
    groups: int = 10  # on a circle, so that none lies between the others
    radius: float = 2.0
    spread: float = 0.15  # standard deviation within a group: a fifth of the way to the next
    rate: float = 2e-3  # Adam
    recovered_weight: float = 30.0  # of Eq. 7: with 1 recovered groups shrink while they part from the covers
    private_boost: float = 6.0  # decoder's first weights for private neurons: with 1 covers keep their groups
    shown_at: tuple[int, ...] = (50, 200, 500, 1000, 1500, 2000)
    seed: int = 1


def points(config: ToyConfig, each: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """`each` points of every group, and their groups: (groups * each, 2), (groups * each,)."""
    group = torch.arange(config.groups).repeat_interleave(each)
    angle = 2 * math.pi * group / config.groups
    centre = config.radius * torch.stack([angle.cos(), angle.sin()], 1)
    return centre + config.spread * torch.randn(len(group), 2, generator=generator), group


def separation(cloud: Tensor, group: Tensor, groups: int) -> float:
    """Variance between the groups' centres over variance within groups: 0 when the groups cannot be told."""
    centres = torch.stack([cloud[group == number].mean(0) for number in range(groups)])
    within = torch.stack([cloud[group == number].var(0).sum() for number in range(groups)]).mean()
    return (centres.var(0).sum() / within.clamp(min=1e-9)).item()


def train(config: ToyConfig, out: Path) -> Path:
    """Run the experiment; writes toy.png and toy.json to `out` and returns the figure's path.

    Under torchrun every process takes its share of each batch, and the loss is that of one process.
    """
    with loop.placed("cpu") as place:
        return _train(config, out, place)


def _train(config: ToyConfig, out: Path, place: loop.Place) -> Path:
    loop.seeded(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    network = ToyDDM()
    with torch.no_grad():
        network.decoder[0].weight[:, -network.private :] *= config.private_boost  # type: ignore[operator,index]
    optimizer = torch.optim.Adam(network.parameters(), lr=config.rate)
    shown, group = points(config, 60, generator)
    panels: list[tuple[int, Tensor, Tensor]] = []
    log = []
    for step in tqdm(range(1, config.steps + 1), unit="step", disable=not place.first):
        x, _ = points(config, config.batch // config.groups, generator)
        noise = torch.randn(len(x), network.private, generator=generator)
        mine = slice(place.rank, None, place.count)
        recovered, encrypted = both(network, x[mine], noise[mine])
        real, fake = network.discriminator(recovered), network.discriminator(encrypted)
        bce = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
        bce = bce + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))  # Eq. 5 and 6
        far = (recovered - x[mine]).square().sum(1).mean()  # Eq. 7
        optimizer.zero_grad()
        loss = bce + config.recovered_weight * far  # D and G_e descend as one: lines 4 and 5 of Algorithm 1
        loss.backward()  # type: ignore[no-untyped-call]
        loop.share_gradients(list(network.parameters()), place)
        optimizer.step()
        if step in config.shown_at or step == config.steps:
            noise = torch.randn(len(shown), network.private, generator=generator)
            with torch.no_grad():
                recovered, encrypted = both(network, shown, noise)
            error = (recovered - shown).square().sum(1).mean().sqrt().item()
            distance = (encrypted - shown).square().sum(1).mean().sqrt().item()
            log.append(
                {"step": step, "bce": bce.item(), "recovered_rmse": error, "encrypted_rmse": distance}
                | {"recovered_groups": separation(recovered, group, config.groups)}
                | {"encrypted_groups": separation(encrypted, group, config.groups)}
            )
            panels.append((step, encrypted, recovered))
    if place.first:
        out.mkdir(parents=True, exist_ok=True)
        (out / "toy.json").write_text(json.dumps(log, indent=1) + "\n")
        figure(shown, group, panels).save(out / "toy.png")
    return out / "toy.png"


def both(network: ToyDDM, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Recovered and encrypted points (Eq. 2 and 4)."""
    public, private = network.encode(x)
    return network.decode(public, private), network.decode(public, private + noise)


def figure(shown: Tensor, group: Tensor, panels: list[tuple[int, Tensor, Tensor]]) -> Image.Image:
    """Fig. 3: the original on top, below it encrypted and recovered points, one column a moment."""
    image = Image.new("RGB", (PANEL * len(panels), 3 * PANEL), "white")
    draw = ImageDraw.Draw(image)
    cloud(draw, 0, 0, shown, group, "original")
    for column, (step, encrypted, recovered) in enumerate(panels):
        cloud(draw, column, 1, encrypted, group, f"encrypted, step {step}")
        cloud(draw, column, 2, recovered, group, f"recovered, step {step}")
    return image


def cloud(draw: ImageDraw.ImageDraw, column: int, row: int, x: Tensor, group: Tensor, title: str) -> None:
    """One panel; points outside it are drawn on its edge."""
    left, top = column * PANEL, row * PANEL
    draw.rectangle((left, top, left + PANEL - 2, top + PANEL - 2), outline="#bbbbbb")
    draw.text((left + 6, top + 4), title, fill="black")
    places = ((x / REACH).clamp(-1, 1) * 0.47 + 0.5) * PANEL
    for (across, up), number in zip(places.tolist(), group.tolist(), strict=True):
        a, b = left + across, top + PANEL - up
        draw.ellipse((a - 2, b - 2, a + 2, b + 2), fill="#" + COLORS[number % len(COLORS)])

"""Train DDM's networks (Liu, Lin, Chen 2018, Algorithm 1) to weights that `photoguard encrypt` can use.

    python -m photoguard.train.ddm --data FACES.zip --hold-out 1000 --out runs/ddm
    torchrun --nproc-per-node 4 -m photoguard.train.ddm --data FACES.zip --out runs/ddm

FACES is a folder or zip of face crops. docs/training.md says what the shipped weights cost.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from tqdm import tqdm

from photoguard.nets import ddm as nets
from photoguard.train import loop
from photoguard.train.data import Batches, PatchConfig, Reader, Source, divided, faces_at

# What stands in for the private map while a cover is made. The paper has noise alone; with that the private map
# can decay to a constant that says "no noise here" and that anybody can put back (zeros restored 27.8 dB).
PAPER_FAKES = ("noise",)
BOUND_FAKES = ("random", "noise", "other", "zeros", "random", "mean")  # random twice: it is the deployed one


@dataclass(frozen=True)
class Config:
    """One run. Everything here decides the loss curve, so a resumed run must repeat it."""

    network: nets.DDMConfig = field(default_factory=nets.DDMConfig)
    patches: PatchConfig = field(default_factory=PatchConfig)
    objective: str = "bound"  # "bound", "paper" (collaborative as published), "msed" (Eq. 13), "plain" (Table 4)
    steps: int = 6000
    seed: int = 1
    peak_rate: float = 6e-4  # Adam; faster ones undid the principal start, see docs/training.md
    warm_up: int = 200
    clip: float = 0.1  # norm of the gradient: the first wrong private maps otherwise throw the decoder off
    average: float = 0.998  # of the weights, over about the last 500 steps
    fake_share: float = 0.5  # of a batch also gets a cover; decoding all twice costs a third more a step
    fake_weight: float = 0.01  # of Eq. 6 beside Eq. 7, whose error is a mean over pixels and not a sum
    same_weight: float = 0.1  # of the distance between covers and one saturated pattern
    perceptual: str = "none"  # "squeezenet", "vgg16": lambda of Eq. 8 is 0.01
    perceptual_weight: float = 0.01
    private_boost: float = 1.0  # the decoder's first weights for the private map, times so much
    principal_start: int = 400  # pictures from which the linear path is fitted before step 0; 0: random start
    discriminator_width: int = 16


class Objective(nn.Module):
    """G_e and D with all losses of one step: the module that DDP and torch.compile see."""

    def __init__(self, config: Config, ddm: nets.DDM, perceive: Callable[[Tensor], list[Tensor]] | None) -> None:
        super().__init__()
        self.config, self.ddm = config, ddm
        kind = nets.PositionDiscriminator if config.objective == "bound" else nets.PaperDiscriminator
        self.discriminator = kind(config.discriminator_width)
        self.perceive = perceive

    def forward(self, x: Tensor, uniform: Tensor, normal: Tensor, step: int) -> dict[str, Tensor]:
        """The total loss and its parts; `uniform` and `normal` are this step's random private maps."""
        config, ddm = self.config, self.ddm
        public, private = nets.as_travelled(*ddm.encode(x))
        recovered = ddm.decode(public, private)
        faked = max(int(len(x) * config.fake_share), 1)
        fake = self.fake(private, uniform, normal, step)[:faked]
        cover = ddm.decode(public[:faked], fake)  # Eq. 2 and 4
        parts = {"mse": F.mse_loss(recovered, x), "cover_mse": F.mse_loss(cover.clamp(0, 1), x[:faked])}
        total = parts["mse"] + self.perceptual(recovered, x)  # Eq. 7 and 8
        if config.objective in ("paper", "bound"):
            parts["bce"] = self.bce(recovered, 1.0) + self.bce(cover, 0.0)  # Eq. 5 and 6
            total = total + config.fake_weight * parts["bce"]  # Eq. 9
            if config.same_weight:
                parts["same"] = sameness(cover)
                total = total + config.same_weight * parts["same"]
        elif config.objective == "msed":
            away = self.perceptual(cover.clamp(0, 1), x[:faked]) / config.perceptual_weight
            total = total - config.fake_weight * (away if self.perceive else parts["cover_mse"])  # Eq. 13
        return {"total": total, **{name: value.detach() for name, value in parts.items()}}

    def bce(self, image: Tensor, label: float) -> Tensor:
        """Binary cross-entropy of all logits against one label.

        D sees little beyond what a file can hold; otherwise covers grow to thousands, and so do the errors of
        recovered faces whenever the decoder takes a right private map for a wrong one.
        """
        logits = self.discriminator(image.clamp(-0.25, 1.25)).float()
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))

    def perceptual(self, a: Tensor, b: Tensor) -> Tensor:
        """lambda times the distance of the feature maps (Eq. 8)."""
        if self.perceive is None:
            return a.new_zeros(())
        with torch.no_grad():
            wanted = self.perceive(b)
        distances = [F.mse_loss(mine, theirs) for mine, theirs in zip(self.perceive(a), wanted, strict=True)]
        return self.config.perceptual_weight * torch.stack(distances).sum()

    def fake(self, private: Tensor, uniform: Tensor, normal: Tensor, step: int) -> Tensor:
        """A wrong private map for every face of the batch, of each kind in turn."""
        kinds = BOUND_FAKES if self.config.objective == "bound" else PAPER_FAKES
        makers: dict[str, Callable[[int], Tensor]] = {
            "noise": lambda i: private[i] + noise(normal[i], kinds is BOUND_FAKES),
            "zeros": lambda i: torch.zeros_like(private[i]),
            "other": lambda i: private[i - 1],
            "random": lambda i: nets.fake_from_uniform(private[i].detach(), uniform[i], self.ddm.config),
            "mean": lambda i: private.detach().mean().expand_as(private[i]),
        }
        return torch.stack([makers[kinds[(i + step) % len(kinds)]](i) for i in range(len(private))])


def noise(normal: Tensor, away: bool) -> Tensor:
    """The n of Eq. 2, where `away` at least 0.3 from zero: closer to the truth than that nothing is wrong."""
    return torch.where(normal < 0, -1.0, 1.0) * normal.abs().clamp(min=0.3) if away else normal


def sameness(cover: Tensor) -> Tensor:
    """How far covers are from one saturated pattern, the one that they show on average already.

    The pattern has 16x16 pixels, so it is the same in every patch and at every place. Outside 0..1 by a tenth
    a cover is the same in 8 bits whatever is behind it.
    """
    count, _, height, width = cover.shape
    tiles = cover.reshape(count, 3, height // 16, 16, width // 16, 16)
    sign = (tiles.detach().clamp(0, 1).mean((0, 2, 4), keepdim=True) - 0.5).sign()
    return F.relu(0.6 - sign * (tiles - 0.5)).mean()


@torch.no_grad()
def principal_start(ddm: nets.DDM, x: Tensor, private_boost: float) -> None:
    """Set the linear path (all blocks start as the identity) to the principal components of faces.

    Each stride-2 convolution becomes the best linear code of 2x2 positions of the layer before, and the
    decoder's mirror image its transpose: the network restores faces from step 0 and only has to learn more.
    """
    ups = list(ddm.up)[::-1]
    x = 2 * x - 1
    for number, (down, up) in enumerate(zip(ddm.down, ups, strict=True)):
        assert isinstance(down, nn.Conv2d) and isinstance(up, nn.ConvTranspose2d)
        folded = F.pixel_unshuffle(x, 2).transpose(0, 1).flatten(1)  # (4 * channels, places)
        mean = folded.mean(1)
        values, vectors = torch.linalg.eigh(torch.cov(folded))
        count = min(down.out_channels, len(mean))
        basis = vectors.flip(1)[:, :count]  # (4 * channels, count), the strongest first
        spread = values.flip(0)[:count].clamp(min=1e-8).sqrt()
        last = number == len(ddm.down) - 1
        # Features of about unit size; at the code every map is of unit size, as the private map's noise expects.
        scale = spread if last else spread.square().mean().sqrt().expand(count)
        down.weight.mul_(0.1)  # what the start leaves open: spare channels and the outer taps
        up.weight.mul_(0.1)
        down.weight[:count] *= 0.1
        up.weight[:count] *= 0.1
        forth = (basis / scale).T.reshape(count, -1, 2, 2)
        back = (basis * scale).T.reshape(count, -1, 2, 2)
        down.weight[:count, :, 1:3, 1:3] = forth
        up.weight[:count, :, 1:3, 1:3] = back
        assert down.bias is not None and up.bias is not None
        down.bias.zero_()
        down.bias[:count] = -(basis / scale).T @ mean
        up.bias.copy_(mean.reshape(-1, 4).mean(1))
        x = down(x)
    ups[-1].weight[-ddm.config.private_maps :] *= private_boost


def perceptual_network(name: str, device: torch.device) -> Callable[[Tensor], list[Tensor]] | None:
    """phi of Eq. 8: feature maps of a network from torchvision, trained on ImageNet."""
    if name == "none":
        return None
    import torchvision

    makers = {"vgg16": (torchvision.models.vgg16, (8, 15)), "squeezenet": (torchvision.models.squeezenet1_0, (3, 7))}
    make, taps = makers[name]
    layers = make(weights="DEFAULT").features.to(device).eval().requires_grad_(False)
    centre = torch.tensor([0.485, 0.456, 0.406], device=device).view(1, 3, 1, 1)
    spread = torch.tensor([0.229, 0.224, 0.225], device=device).view(1, 3, 1, 1)

    def perceive(x: Tensor) -> list[Tensor]:
        x, maps = (x - centre) / spread, []
        for number, layer in enumerate(layers[: taps[-1] + 1]):
            x = layer(x)
            if number in taps:
                maps.append(x)
        return maps

    return perceive


@torch.inference_mode()
def validate(ddm: nets.DDM, faces: dict[int, Tensor], seed: int) -> dict[str, float]:
    """PSNR recovered at each size, and how close covers with any wrong private map come to the face, at 128."""
    generator = torch.Generator().manual_seed(seed)
    result = {}
    for side, x in faces.items():
        public, private = nets.as_travelled(*ddm.encode(x))
        result[f"recovered_{side}"] = loop.psnr(ddm.decode(public, private), x).mean().item()
        if side != 128:
            continue
        uniform = torch.rand(private.shape, generator=generator).to(x.device)
        cover = ddm.decode(public, nets.fake_from_uniform(private, uniform, ddm.config)).clamp(0, 1)
        result["encrypted"] = loop.psnr(cover, x).mean().item()
        result["covers_differ"] = ((cover - cover.roll(1, 0)).abs().mean() * 255).item()
        result["private_std"] = private.std().item()
        for name, wrong in (("zeros", torch.zeros_like(private)), ("other", private.roll(1, 0))):
            result[f"with_{name}"] = loop.psnr(ddm.decode(public, wrong), x).mean().item()
    return result


@torch.inference_mode()
def sheet(ddm: nets.DDM, x: Tensor) -> list[Tensor]:
    """Rows to look at: faces, recovered, covers, and with zeros and another's map for the private one."""
    public, private = nets.as_travelled(*ddm.encode(x))
    uniform = torch.rand(private.shape, generator=torch.Generator().manual_seed(0)).to(x.device)
    wrong = (nets.fake_from_uniform(private, uniform, ddm.config), torch.zeros_like(private), private.roll(1, 0))
    return [x, ddm.decode(public, private), *(ddm.decode(public, fake) for fake in wrong)]


def train(
    config: Config,
    sources: tuple[Source, ...],
    out: Path,
    device: str = "auto",
    workers: int = 0,
    checkpoint_every: int = 250,
    compiled: bool | None = None,  # None: on a GPU, where compiling pays within minutes
) -> Path:
    """Train until config.steps, from the checkpoint in `out` if there is one; returns the weights' path."""
    with loop.placed(device) as place:
        return _train(config, sources, out, place, workers, checkpoint_every, compiled)


def _train(
    config: Config,
    sources: tuple[Source, ...],
    out: Path,
    place: loop.Place,
    workers: int,
    checkpoint_every: int,
    compiled: bool | None,
) -> Path:
    loop.seeded(config.seed)
    training, validation = (Reader(pictures) for pictures in divided(sources))
    gpu = place.device.type == "cuda"
    ddm = nets.DDM(config.network)
    objective = Objective(config, ddm, perceptual_network(config.perceptual, place.device))
    settings = dataclasses.asdict(config)
    state = loop.load_checkpoint(out, settings, place.device)
    if state is None and config.principal_start:
        pictures = faces_at(training, 128, config.principal_start)
        principal_start(ddm, loop.as_tensor(pictures, torch.device("cpu")), config.private_boost)
    objective.to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(objective.parameters(), lr=config.peak_rate, betas=(0.9, 0.99))
    average = loop.Average(ddm, config.average)
    done = 0
    if state is not None:
        objective.load_state_dict(state["objective"])
        optimizer.load_state_dict(state["optimizer"])
        average.weights, average.steps, done = state["average"], state["average_steps"], state["step"]
    step_module: nn.Module = objective
    if gpu if compiled is None else compiled:
        step_module = torch.compile(step_module)  # type: ignore[assignment]
    if place.count > 1:
        step_module = DistributedDataParallel(step_module)

    shown_faces = validation if validation.pictures else training
    faces = {
        side: loop.as_tensor(faces_at(shown_faces, side, count), place.device)
        for side, count in ((64, 64), (128, 64), (256, 32))
    }
    smooth = nets.DDM(config.network).to(place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    log = loop.Log(out, done) if place.first else None

    def save(step: int) -> None:
        """Once in a while: a checkpoint from which the loss curve goes on as if nothing had happened."""
        loop.save_checkpoint(
            out,
            {
                "config": settings,
                "step": step,
                "objective": objective.state_dict(),
                "optimizer": optimizer.state_dict(),
                "average": average.weights,
                "average_steps": average.steps,
            },
        )

    batches = Batches(training, config.patches, config.seed, place.rank)
    loader = DataLoader(batches, batch_size=None, sampler=range(done, config.steps), num_workers=workers)
    bar = tqdm(total=config.steps, initial=done, disable=not place.first, unit="step", dynamic_ncols=True)
    started, images, step = time.monotonic(), 0, done
    window: list[dict[str, Tensor]] = []  # the losses since the last line of the log
    try:
        for pixels, unreadable in loader:
            x = loop.as_tensor(pixels.numpy(), place.device)
            generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step * 97 + place.rank)
            shape = (len(x), config.network.private_maps, x.shape[2] // 16, x.shape[3] // 16)
            uniform = torch.rand(shape, generator=generator).to(place.device)
            normal = torch.randn(shape, generator=generator).to(place.device)
            for group in optimizer.param_groups:
                group["lr"] = loop.learning_rate(step, config.steps, config.peak_rate, config.warm_up)
            with torch.autocast(place.device.type, torch.bfloat16, enabled=gpu):
                losses = step_module(x, uniform, normal, step)
            optimizer.zero_grad(set_to_none=True)
            losses["total"].backward()
            nn.utils.clip_grad_norm_(objective.parameters(), config.clip)
            optimizer.step()
            average.update(ddm)
            step, images = step + 1, images + len(x) * place.count

            window.append({name: value.detach() for name, value in losses.items()})
            if place.first and log is not None:
                bar.update()
                if step % 25 == 0 or step == config.steps:
                    shown = {name: torch.stack([w[name] for w in window]).mean().item() for name in losses}
                    window.clear()
                    shown["psnr_recovered"] = -10 * torch.tensor(shown.pop("mse")).log10().item()
                    shown["psnr_encrypted"] = -10 * torch.tensor(shown.pop("cover_mse")).log10().item()
                    rate = images / (time.monotonic() - started)
                    bar.set_postfix({k: f"{v:.4g}" for k, v in shown.items()} | {"img/s": f"{rate:.0f}"})
                    log.write(step, **shown, images_per_second=rate, unreadable=len(unreadable))
                if step % checkpoint_every == 0 or step == config.steps:
                    smooth.load_state_dict(average.weights)
                    log.write(step, **validate(smooth, faces, config.seed))
                    loop.save_sheet(out / "sheets" / f"{step:06d}.png", sheet(smooth, faces[128][:12]))
                    save(step)
    except KeyboardInterrupt:
        if place.first:
            save(step)
        raise
    finally:
        bar.close()
    for name, why in batches.reader.unreadable.items():
        tqdm.write(f"unreadable, left out: {name}: {why}")
    return out


def main() -> None:
    """The command line of `python -m photoguard.train.ddm`, as torchrun needs it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="folder or zip of face crops")
    parser.add_argument("--hold-out", type=int, action="append", help="groups of that --data for validation")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--widths", type=int, nargs=3)
    for item in dataclasses.fields(Config):
        if isinstance(item.default, (int, float, str)):
            flag = "--" + item.name.replace("_", "-")
            parser.add_argument(flag, type=type(item.default), default=item.default)
    given = vars(parser.parse_args())
    held = (given["hold_out"] or []) + [0] * len(given["data"])
    sources = tuple(Source(path, hold_out) for path, hold_out in zip(given["data"], held, strict=False))
    options: dict[str, Any] = {f.name: given[f.name] for f in dataclasses.fields(Config) if f.name in given}
    if given["widths"]:
        options["network"] = nets.DDMConfig(widths=tuple(given["widths"]))
    train(Config(**options), sources, given["out"], given["device"], given["workers"])


if __name__ == "__main__":
    main()

"""Train DDM's networks (Liu, Lin, Chen 2018, Algorithm 1) to weights that `photoguard encrypt` can use.

    python -m photoguard.train.ddm --data FACES.zip --hold-out 1000 --out runs/ddm
    torchrun --nproc-per-node 4 -m photoguard.train.ddm --data FACES.zip --out runs/ddm

FACES is a folder or zip of face crops. docs/development/training-ddm.md says what the shipped weights cost.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from photoguard import weights
from photoguard.errors import UsageError, WeightsError
from photoguard.files import read_file
from photoguard.nets import ddm as nets
from photoguard.nets.squeezenet import SqueezeNet
from photoguard.train import flags, loop, records
from photoguard.train.data import Batches, PatchConfig, Reader, Source, faces_at, split_by_name

WEIGHTS = "ddm.safetensors"
CURVES = {"bce": "BCE", "recovered_128": "PSNR recovered, dB", "encrypted": "PSNR encrypted, dB"}
Network = TypeVar("Network", bound=nn.Module)

# What stands in for the private map while a cover is made. The paper has noise alone; with that the private
# map can decay to a constant that says "no noise here", and anybody can put that back.
FAKES = ("paper", "noise", "other", "zeros", "random", "mean")
PAPER_FAKES = ("paper",)
BOUND_FAKES = ("random", "noise", "other", "zeros", "random", "mean")  # random twice: it is the deployed one


@dataclass(frozen=True)
class Config:
    """One run. Everything here decides the loss curve, so a resumed run must repeat it."""

    network: nets.DDMConfig = field(default_factory=nets.DDMConfig)
    patches: PatchConfig = field(default_factory=PatchConfig)
    objective: str = "bound"  # or "paper" (as published), "msed" (Eq. 13), "plain" (Table 4)
    steps: int = 6000
    seed: int = 1
    peak_rate: float = 5e-4  # Adam; faster ones undid the principal start (training-ddm.md)
    warm_up: int = 200
    clip: float = 0.05  # norm of the gradient: the first wrong private maps otherwise throw the decoder off
    average: float = 0.998  # of the weights, over about the last 500 steps
    fake_share: float = 0.5  # of a batch also gets a cover; decoding all twice costs a third more a step
    fake_weight: float = 0.01  # of Eq. 6 beside Eq. 7, whose error is a mean over pixels and not a sum
    away_weight: float = 0.1  # of MSEDNet's second term in Eq. 13
    same_weight: float = 0.1  # of the distance between covers and one pattern, the same for everybody
    perceptual: str = "none"  # phi of Eq. 8: "none", "squeezenet:FILE", "vgg16"
    perceptual_weight: float = 0.01  # lambda of Eq. 8
    private_boost: float = 1.0  # the decoder's first weights for the private map, times so much
    principal_start: int = 400  # pictures from which the linear path is fitted before step 0; 0: random start
    check_gain: float = 2.0  # of the decoder's first comparison of private and public maps; 0: none
    spread_weight: float = 0.1  # of the private map's distance from mean 0, variance 1: not a constant
    discriminator_width: int = 16


class Objective(nn.Module):
    """G_e and D with all losses of one step: the module that DDP and torch.compile see."""

    def __init__(
        self, config: Config, ddm: nets.DDM, perceive: Callable[[Tensor], list[Tensor]] | None
    ) -> None:
        super().__init__()
        self.config, self.ddm = config, ddm
        kind = nets.PositionDiscriminator if config.objective == "bound" else nets.PaperDiscriminator
        self.discriminator = kind(config.discriminator_width)
        self.perceive = perceive

    def forward(self, x: Tensor, uniform: Tensor, normal: Tensor, kinds: Tensor) -> dict[str, Tensor]:
        """The total loss and its parts, from faces and this step's random private maps of these kinds."""
        config, ddm = self.config, self.ddm
        public, private = nets.as_travelled(*ddm.encode(x))
        recovered = ddm.decode(public, private)
        faked = max(int(len(x) * config.fake_share), 1)
        fake = self.fake(private, uniform, normal, kinds)[:faked]
        cover = ddm.decode(public[:faked], fake)  # Eq. 2 and 4
        parts = {"mse": F.mse_loss(recovered, x), "cover_mse": F.mse_loss(cover.clamp(0, 1), x[:faked])}
        total = parts["mse"] + self.perceptual(recovered, x)  # Eq. 7 and 8
        if config.objective in ("paper", "bound"):
            parts["bce"] = self.bce(recovered, 1.0) + self.bce(cover, 0.0)  # Eq. 5 and 6
            total = total + config.fake_weight * parts["bce"]  # Eq. 9
        if config.objective == "bound":
            parts["same"] = sameness(cover)
            values = nets.private_values(private, config.network)
            total = total + config.same_weight * parts["same"] + config.spread_weight * spread(values)
        if config.objective == "msed":
            away = self.perceptual(cover.clamp(0, 1), x[:faked]) / config.perceptual_weight
            total = total - config.away_weight * (away if self.perceive else parts["cover_mse"])  # Eq. 13
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

    def fake(self, private: Tensor, uniform: Tensor, normal: Tensor, kinds: Tensor) -> Tensor:
        """A wrong private map for every face of the batch, each of its kind (a number into FAKES)."""
        still = private.detach()
        every = {
            "paper": private + normal,  # Eq. 2
            "noise": private + noise(normal),
            "zeros": torch.zeros_like(private),
            "other": private.roll(1, 0),
            "random": nets.fake_from_uniform(still, uniform, self.ddm.config),
            "mean": nets.private_values(still, self.ddm.config).mean().expand_as(private),
        }
        return torch.stack([every[name] for name in FAKES])[kinds, torch.arange(len(kinds))]


def kinds_of(objective: str, count: int, step: int) -> Tensor:
    """Which kind of wrong private map each face of a batch gets: all in turn, over batch and steps."""
    names = BOUND_FAKES if objective == "bound" else PAPER_FAKES
    return torch.tensor([FAKES.index(names[(number + step) % len(names)]) for number in range(count)])


def noise(normal: Tensor) -> Tensor:
    """The n of Eq. 2, but at least 0.3 from zero: closer to the truth than that nothing is wrong."""
    return torch.where(normal < 0, -1.0, 1.0) * normal.abs().clamp(min=0.3)


def spread(private: Tensor) -> Tensor:
    """How far private values are from mean 0, variance 1 and the range in which fake ones are drawn.

    Without it the private map becomes the same number for everybody: a password, and soon a known one.
    """
    return (
        private.mean().square() + (private.std() - 1).square() + F.relu(private.abs() - 2.5).square().mean()
    )


def sameness(cover: Tensor) -> Tensor:
    """How far covers are from being one saturated checkerboard of 4x4 pixels.

    What covers agree on is free. This pattern is at most 6.02 dB from any face, the mean of x^2 and (1-x)^2
    being 1/4 at least, and varies so much in every window that its SSIM with a face is about zero. A tenth
    outside 0..1 it is the same in 8 bits whatever is behind it; one outside is too far: the stronger the
    decoder answers to a wrong private map, the more a right one costs that it takes for wrong.
    """
    row, column = (torch.arange(size, device=cover.device) // 4 for size in cover.shape[-2:])
    sign = 1.0 - 2.0 * ((row[:, None] + column) % 2)
    return F.relu(((cover - 0.5) * sign - 1.05).abs() - 0.45).mean()


@torch.no_grad()
def principal_start(ddm: nets.DDM, x: Tensor) -> None:
    """Set the linear path (all blocks start as the identity) to the principal components of faces.

    Each stride-2 convolution becomes the best linear code of 2x2 positions of the layer before, and the
    decoder's mirror image its transpose: the network restores faces from step 0 and only has to learn more.
    """
    downs = cast(list[nn.Conv2d], list(ddm.down))
    ups = cast(list[nn.ConvTranspose2d], list(ddm.up)[::-1])
    x = 2 * x - 1
    for number, (down, up) in enumerate(zip(downs, ups, strict=True)):
        folded = F.pixel_unshuffle(x, 2).transpose(0, 1).flatten(1)  # (4 * channels, places)
        mean = folded.mean(1)
        values, vectors = torch.linalg.eigh(torch.cov(folded))
        count = min(down.out_channels, len(mean))
        basis = vectors.flip(1)[:, :count]  # (4 * channels, count), the strongest first
        spread = values.flip(0)[:count].clamp(min=1e-8).sqrt()
        last = number == len(downs) - 1
        # Features of about unit size; in the code every map is, as the private map's noise expects.
        scale = spread if last else spread.square().mean().sqrt().expand(count)
        down.weight.mul_(0.1)  # what the start leaves open: spare channels and the outer taps
        up.weight.mul_(0.1)
        down.weight[:count] *= 0.1
        up.weight[:count] *= 0.1
        forth = (basis / scale).T.reshape(count, -1, 2, 2)
        back = (basis * scale).T.reshape(count, -1, 2, 2)
        down.weight[:count, :, 1:3, 1:3] = forth
        up.weight[:count, :, 1:3, 1:3] = back
        nn.init.zeros_(down.bias)  # type: ignore[arg-type]
        down.bias[:count] = -(basis / scale).T @ mean  # type: ignore[index]
        up.bias.copy_(mean.reshape(-1, 4).mean(1))  # type: ignore[union-attr]
        x = down(x)


@torch.no_grad()
def check_start(ddm: nets.DDM, gain: float, generator: torch.Generator) -> None:
    """Let the last private map start as a mix of the public ones, and the decoder compare the two.

    The mix is of unit size as its parts are. Two of the decoder's channels hold its difference from the map
    that came, times `gain`; with the right private map they are zero and change nothing.
    """
    down, up = cast(nn.Conv2d, ddm.down[-1]), cast(nn.ConvTranspose2d, ddm.up[0])
    mix = torch.randn(ddm.config.maps - ddm.config.private_maps, generator=generator)
    mix /= mix.norm()
    down.weight[-1] = torch.einsum("k,kcij->cij", mix, down.weight[: len(mix)])
    down.bias[-1] = mix @ down.bias[: len(mix)]  # type: ignore[index]
    for channel, sign in ((-1, 1.0), (-2, -1.0)):
        up.weight[:, channel] = 0
        up.weight[: len(mix), channel, 1:3, 1:3] = -sign * gain * mix[:, None, None]
        up.weight[-1, channel, 1:3, 1:3] = sign * gain
        up.bias[channel] = 0  # type: ignore[index]


def perceptual_network(name: str, device: torch.device) -> Callable[[Tensor], list[Tensor]] | None:
    """phi of Eq. 8: none, squeezenet:FILE with the published state dict, or vgg16 out of torchvision."""
    kind, _, file = name.partition(":")
    if kind == "none":
        return None
    if kind == "squeezenet" and file:
        network = SqueezeNet()
        state = weights.tensors(read_file(Path(file)), file)
        wanted = network.state_dict()
        if not wanted.keys() <= state.keys():
            raise WeightsError(f"{file} holds no SqueezeNet", "it has tensors named conv1.weight, fire2. ...")
        network.load_state_dict({key: state[key].float() for key in wanted})
        return channels_last(network.to(device).eval().requires_grad_(False))
    if kind == "vgg16":
        return vgg16(device)
    raise UsageError(f"there is no perceptual network {name}", "none, squeezenet:FILE or vgg16")


def vgg16(device: torch.device) -> Callable[[Tensor], list[Tensor]]:
    """The maps after VGG16's fourth and seventh convolutions; torchvision fetches the weights once."""
    import torchvision

    layers = torchvision.models.vgg16(weights="DEFAULT").features[:16].to(device).eval().requires_grad_(False)
    middle = torch.tensor([0.485, 0.456, 0.406], device=device).view(1, 3, 1, 1)
    spread = torch.tensor([0.229, 0.224, 0.225], device=device).view(1, 3, 1, 1)

    def maps(x: Tensor) -> list[Tensor]:
        first = layers[:9]((x - middle) / spread)
        return [first, layers[9:](first)]

    return maps


@torch.inference_mode()
def validate(ddm: nets.DDM, faces: dict[int, Tensor], seed: int) -> dict[str, float]:
    """PSNR recovered at each size, and at 128 px how close to the face a wrong private map comes."""
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
        result["private_std"] = nets.private_values(private, ddm.config).std().item()
        for name, wrong in (("zeros", torch.zeros_like(private)), ("other", private.roll(1, 0))):
            result[f"with_{name}"] = loop.psnr(ddm.decode(public, wrong), x).mean().item()
    return result


@torch.inference_mode()
def sheet(ddm: nets.DDM, x: Tensor) -> list[Tensor]:
    """Rows to look at: faces, recovered, covers, and with zeros and another's map for the private one."""
    public, private = nets.as_travelled(*ddm.encode(x))
    uniform = torch.rand(private.shape, generator=torch.Generator().manual_seed(0)).to(x.device)
    wrong = (
        nets.fake_from_uniform(private, uniform, ddm.config),
        torch.zeros_like(private),
        private.roll(1, 0),
    )
    return [x, ddm.decode(public, private), *(ddm.decode(public, fake) for fake in wrong)]


@dataclass
class Run(loop.Run):
    """What a checkpoint holds: networks, optimizer, averaged weights, and where the run stands."""

    config: Config
    objective: Objective
    optimizer: torch.optim.Adam
    average: loop.Average

    def state(self) -> dict[str, Any]:
        """All of that, from which the loss curve goes on as if nothing had happened."""
        return super().state() | {
            "config": dataclasses.asdict(self.config),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.weights,
            "average_steps": self.average.steps,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where a checkpoint was written."""
        super().restore(state)
        self.objective.load_state_dict(state["objective"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average.weights, self.average.steps = state["average"], state["average_steps"]

    def smooth(self) -> nets.DDM:
        """A network with the averaged weights: what is looked at, and what is shipped."""
        fake = "fresh" if self.config.objective == "bound" else "noise"  # covers as they were trained
        network = nets.DDM(dataclasses.replace(self.config.network, fake=fake))
        network = network.to(next(self.objective.parameters()).device)
        network.load_state_dict(self.average.weights)
        return channels_last(network)

    def window_means(self) -> dict[str, float]:
        """The mean losses of the window, errors as PSNR; the window starts anew."""
        means = super().window_means()
        for name, shown in (("mse", "psnr_recovered"), ("cover_mse", "psnr_encrypted")):
            means[shown] = -10 * math.log10(max(means.pop(name), 1e-9))
        return means


def channels_last(network: Network) -> Network:
    """The network with the order in memory that convolutions are fastest in."""
    return network.to(memory_format=torch.channels_last)


def prepared(config: Config, training: Reader, out: Path, place: loop.Place) -> Run:
    """A fresh run, or the one whose checkpoint lies in `out`."""
    loop.seeded(config.seed)
    ddm = nets.DDM(config.network)
    state = records.load_checkpoint(out, dataclasses.asdict(config), place.device)
    if state is None and config.principal_start:
        pictures = faces_at(training, 128, config.principal_start)
        principal_start(ddm, loop.as_tensor(pictures, torch.device("cpu")))
    with torch.no_grad():
        cast(Tensor, ddm.up[0].weight)[-config.network.private_maps :] *= config.private_boost
    if config.check_gain:
        check_start(ddm, config.check_gain, torch.Generator().manual_seed(config.seed))
    objective = Objective(config, ddm, perceptual_network(config.perceptual, place.device))
    objective = channels_last(objective.to(place.device))
    optimizer = torch.optim.Adam(objective.parameters(), lr=config.peak_rate, betas=(0.9, 0.99))
    run = Run(config, objective, optimizer, loop.Average(ddm, config.average), steps=config.steps)
    if state is not None:
        run.restore(state)
    return run


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
        training, validation = (Reader(pictures) for pictures in split_by_name(sources))
        run = prepared(config, training, out, place)
        module: nn.Module = run.objective
        if place.gpu if compiled is None else compiled:
            module.compile()
        if place.count > 1:
            module = DistributedDataParallel(module)
        seen = validation if validation.pictures else training
        faces = {
            side: loop.as_tensor(faces_at(seen, side, count), place.device)
            for side, count in ((64, 32), (128, 32), (256, 16))
        }

        def step(pixels: Tensor) -> dict[str, float]:
            return descend(run, module, loop.as_tensor(pixels.numpy(), place.device), place)

        def examine() -> tuple[dict[str, float], list[Tensor]]:
            network = run.smooth()
            return validate(network, faces, config.seed), sheet(network, faces[128][:12])

        batches = Batches(training, config.patches, config.seed, place.rank)
        loader = loop.loaded(batches, range(run.step, config.steps), workers)
        loop.learn(run, loader, step, examine, place, out, checkpoint_every)
        if place.first:
            records.publish(out / WEIGHTS, weights.save_ddm(out / WEIGHTS, run.smooth()), CURVES)
        return out / WEIGHTS


def descend(run: Run, module: nn.Module, x: Tensor, place: loop.Place) -> dict[str, float]:
    """One step of Algorithm 1: D and G_e descend the same loss, so one backward pass serves lines 4 and 5."""
    config = run.config
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + run.step * 97 + place.rank)
    shape = (len(x), config.network.private_maps, x.shape[2] // 16, x.shape[3] // 16)
    uniform = torch.rand(shape, generator=generator).to(place.device)
    normal = torch.randn(shape, generator=generator).to(place.device)
    kinds = kinds_of(config.objective, len(x), run.step).to(place.device)
    for group in run.optimizer.param_groups:
        group["lr"] = loop.learning_rate(run.step, config.steps, config.peak_rate, config.warm_up)
    with torch.autocast(place.device.type, torch.bfloat16, enabled=place.gpu):
        losses = module(x, uniform, normal, kinds)
    run.optimizer.zero_grad(set_to_none=True)
    losses["total"].backward()
    nn.utils.clip_grad_norm_(run.objective.parameters(), config.clip)
    run.optimizer.step()
    run.average.update(run.objective.ddm)
    return {name: value.item() for name, value in losses.items()}


def main() -> None:
    """The command line of `python -m photoguard.train.ddm`, as torchrun needs it."""
    parser = flags.parser(__doc__, Config)
    parser.add_argument("--hold-out", type=int, action="append", help="groups of that --data for validation")
    parser.add_argument("--widths", type=int, nargs=3)
    given = vars(parser.parse_args())
    held = (given["hold_out"] or []) + [0] * len(given["data"])
    sources = tuple(Source(path, hold_out) for path, hold_out in zip(given["data"], held, strict=False))
    options = flags.settings(given, Config)
    if given["widths"]:
        options["network"] = nets.DDMConfig(widths=tuple(given["widths"]))
    train(Config(**options), sources, given["out"], given["device"], given["workers"])


if __name__ == "__main__":
    main()

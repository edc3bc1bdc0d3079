"""Train DeepObfuscator's networks (Li, Guo, Yang, Chen 2019, Algorithm 1) to what `photoguard features` uses.

    python -m photoguard.train.obfuscator --data FACES.zip --labels utkface --task "age>=18" \
        --private gender,race --hold-out 2000 --out runs/obfuscator
    torchrun --nproc-per-node 4 -m photoguard.train.obfuscator --data ... (the same)

FACES is a folder or zip of aligned face crops. docs/methods/obfuscator.md says what the shipped weights cost.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from photoguard import weights
from photoguard.datasets.labels import Labeled, labeled, split_by_hash
from photoguard.datasets.pictures import Pixels, Reader, Source, listed
from photoguard.errors import UsageError
from photoguard.nets import obfuscator as nets
from photoguard.nets.similarity import ms_ssim
from photoguard.train import flags, loop, records

WEIGHTS = "obfuscator.safetensors"
CURVES = {"classifier": "L(C)", "adversary": "L(AC)", "reconstructor": "L(AR)"}  # Fig. 6


@dataclass(frozen=True)
class Config:
    """One run. Everything here decides the loss curve, so a resumed run must repeat it."""

    network: nets.ObfuscatorConfig
    start: str = ""  # sha256 of weights to go on from, so that several runs share their joint training
    defend: str = "both"  # or "pictures", "attributes" (Sec. 4.2), "none" (Sec. 4.3)
    joint: int = 1000  # steps of O and C alone, before anybody attacks
    first: int = 100  # steps of the adversaries alone
    steps: int = 1000  # steps of Algorithm 1
    settle: int = 300  # steps of C alone at the end, on the features as they are from now on
    batch: int = 32
    seed: int = 1
    peak_rate: float = 1e-3
    adversary_rate: float = 1e-3
    lambda_1: float = 1.0  # of Eq. 5
    lambda_2: float = 1.0  # of Eq. 9
    # A fresh attacker recovers more than the one that was trained along: two of them, each begun anew in
    # turn, and two of their batches for each of the defender's.
    adversaries: int = 2
    restart: int = 400  # steps of Algorithm 1 between two fresh adversary classifiers; 0: never
    attacks: int = 2
    wide: float = 8.0  # the ball is so many times larger at the start and shrinks while O and C learn
    shift: float = 0.05  # of the picture's side, by which faces are moved at most
    zoom: float = 0.08
    light: float = 0.3  # share of faces with another brightness and contrast


def phase(config: Config, step: int) -> str:
    """What step number `step` is for."""
    if step < config.joint:
        return "joint"
    if step >= length(config) - config.settle:
        return "settle"
    step -= config.joint + config.first
    if step < 0:
        return "attack"
    # Algorithm 1, with more than one batch of attacks, and one-sided where Sec. 4.2 asks for it.
    defenses = {
        "both": ["defend pictures", "defend attributes"],
        "pictures": ["defend pictures"] * 2,
        "attributes": ["defend attributes"] * 2,
    }[config.defend]
    rotation = [*defenses, *["attack"] * config.attacks, "recover"]
    return rotation[step % len(rotation)]


def length(config: Config) -> int:
    """All steps of a run."""
    rotation = 0 if config.defend == "none" else config.first + config.steps
    return config.joint + rotation + config.settle


def reach(config: Config, step: int) -> float:
    """The ball's radius: what O and C learn in a wide one they keep while it shrinks over half the phase."""
    part = min(step / max(config.joint / 2, 1), 1)
    return float(config.network.reach * config.wide ** (1 - part))


@dataclass
class LabeledBatches:
    """Batch number n of a run, from the seed and n alone; all combinations of classes equally often.

    Where age and gender go together, an obfuscator could use one for the other, so they do not go together.
    """

    reader: Reader
    data: Labeled
    config: Config
    rank: int = 0

    def __post_init__(self) -> None:
        self._shares = shares(self.data.labels)

    def __getitem__(self, step: int) -> tuple[Pixels, NDArray[np.int64], list[str]]:
        """Faces (B, H, W, 3), their labels (B, attributes), and the names of unreadable pictures so far."""
        rng = np.random.default_rng([self.config.seed, self.rank, step])
        numbers = rng.choice(len(self.data), self.config.batch, p=self._shares)
        faces, labels = [], []
        for drawn in numbers:
            number = int(drawn)
            pixels = self.reader.read(number)
            while number in self.reader.unreadable:  # the reader went on to the next as well
                number = (number + 1) % len(self.data)
            faces.append(changed(pixels, self.config, rng))
            labels.append(self.data.labels[number])
        unreadable = sorted(self.reader.pictures[n].name for n in self.reader.unreadable)
        return np.stack(faces), np.stack(labels), unreadable

    def __len__(self) -> int:
        """As many as any run asks for."""
        return 1 << 62


def shares(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """How often each picture is drawn: combinations of classes evenly, but no picture ten times the usual."""
    _, combination = np.unique(labels, axis=0, return_inverse=True)
    counts = np.bincount(combination.ravel())
    weight = 1 / np.maximum(counts, counts.mean() / 10)[combination.ravel()]
    return np.asarray(weight / weight.sum())


def changed(pixels: Pixels, config: Config, rng: np.random.Generator) -> Pixels:
    """The face at the network's size: moved and zoomed a little as a detector might, mirrored, relit."""
    height, width = pixels.shape[:2]
    half = (1 + rng.uniform(-config.zoom, config.zoom)) / 2
    x, y = 0.5 + rng.uniform(-config.shift, config.shift, size=2)
    box = np.clip([x - half, y - half, x + half, y + half], 0, 1) * [width, height, width, height]
    size = (config.network.width, config.network.height)
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, tuple(box), reducing_gap=2.0)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < config.light:
        gain, more = rng.uniform(0.7, 1.3), rng.uniform(-30, 30)
        image = image.point([min(max(round((v - 128) * gain + 128 + more), 0), 255) for v in range(256)] * 3)
    return np.asarray(image)


def losses(
    players: nets.Players,
    config: Config,
    what: str,
    batch: tuple[Tensor, Tensor],
    random: tuple[Tensor, Tensor],
    radius: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss that this phase's players descend, and its parts.

    `batch` is faces and labels, `random` the features' noise and I_noise of Eq. 8.
    """
    x, labels = batch
    noise, picture = random
    network, count = config.network, len(config.network.tasks)
    moving = players.obfuscator in movers(players, what)
    players.obfuscator.train(what != "settle")
    with torch.set_grad_enabled(moving):
        features = nets.released(players.obfuscator(x, radius), noise, network)
    parts = {}
    if what != "attack":
        parts["classifier"] = nets.cross_entropy(players.classifier(features), labels[:, :count])  # Eq. 1
    if what in ("attack", "defend attributes"):
        each = torch.stack([private(one, features, labels[:, count:]) for one in players.adversaries])
        parts["adversary"] = each.sum(1).mean()  # Eq. 3
    if what in ("attack", "defend pictures"):
        restored = players.mirror(features)
        parts["reconstructor"] = 1 - ms_ssim(restored, x).mean()  # Eq. 6
    if what == "attack":
        return parts["adversary"] + parts["reconstructor"], parts  # Eq. 4 and 7
    total = parts["classifier"]  # Eq. 2
    if what == "defend attributes":
        # Eq. 5, but no gain beyond the loss of guessing: an adversary who is always wrong knows as much as
        # one who is always right.
        guessing = x.new_tensor([len(one.classes) for one in network.private]).log()
        total = total - config.lambda_1 * torch.minimum(each, guessing).sum(1).mean()
    if what == "defend pictures":
        toward_noise = 1 - ms_ssim(restored, picture).mean()  # Eq. 8
        total = total + config.lambda_2 * (toward_noise - parts["reconstructor"])  # Eq. 9
    return total, parts


def private(adversary: nn.Module, features: Tensor, labels: Tensor) -> Tensor:
    """The cross-entropy of each private attribute."""
    answers = adversary(features)
    return torch.stack([F.cross_entropy(a.float(), labels[:, i]) for i, a in enumerate(answers)])


def movers(players: nets.Players, what: str) -> list[nn.Module]:
    """Who learns in this phase."""
    return {
        "joint": [players.obfuscator, players.classifier],
        "attack": [*players.adversaries, players.mirror],
        "recover": [players.classifier],
        "settle": [players.classifier],
    }.get(what, [players.obfuscator])


@dataclass
class Run(loop.Run):
    """What a checkpoint holds: the players, their optimizers, and where the run stands."""

    config: Config
    players: nets.Players
    optimizers: dict[str, torch.optim.Adam]  # of "obfuscator", "classifier", "mirror", "adversaries.0" ...

    def state(self) -> dict[str, Any]:
        """All of that, from which the loss curve goes on as if nothing had happened."""
        return super().state() | {
            "config": plain(self.config),
            "players": self.players.state_dict(),
            "optimizers": {name: one.state_dict() for name, one in self.optimizers.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to where a checkpoint was written."""
        super().restore(state)
        self.players.load_state_dict(state["players"])
        for name, one in self.optimizers.items():
            one.load_state_dict(state["optimizers"][name])

    def restart(self) -> None:
        """Begin one adversary classifier anew: the next of them, every `restart` steps of Algorithm 1."""
        config, step = self.config, self.step - self.config.joint - self.config.first
        if not config.restart or not 0 < step < config.steps - config.restart / 2 or step % config.restart:
            return
        number = step // config.restart % config.adversaries
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed * 7919 + step)
            fresh = nets.Classifier(config.network, config.network.private)
        self.players.adversaries[number].load_state_dict(fresh.state_dict())
        name = f"adversaries.{number}"
        self.optimizers[name] = optimizer(self.players.adversaries[number], config.adversary_rate)


def plain(config: Config) -> dict[str, Any]:
    """The configuration as JSON would hold it, without knowledge of our classes."""
    return cast(dict[str, Any], json.loads(json.dumps(dataclasses.asdict(config))))


def optimizer(player: nn.Module, rate: float) -> torch.optim.Adam:
    """Adam, as in Sec. 4.1."""
    return torch.optim.Adam(player.parameters(), lr=rate, betas=(0.9, 0.99))


def prepared(config: Config, out: Path, place: loop.Place, start: nets.Players | None = None) -> Run:
    """A fresh run, perhaps from trained networks, or the one whose checkpoint lies in `out`."""
    loop.seeded(config.seed)
    players = nets.Players(config.network, config.adversaries)
    if start is not None:
        if (start.config.features, start.config.tasks) != (config.network.features, config.network.tasks):
            raise UsageError("--start is a model of another size or task", "choose one trained like this run")
        players.obfuscator.load_state_dict(start.obfuscator.state_dict())
        players.classifier.load_state_dict(start.classifier.state_dict())
    players = players.to(place.device).to(memory_format=torch.channels_last)
    named: dict[str, nn.Module] = dict(players.named_children())
    named |= {f"adversaries.{i}": one for i, one in enumerate(cast(nn.ModuleList, named.pop("adversaries")))}
    rates = dict.fromkeys(("obfuscator", "classifier"), config.peak_rate)
    optimizers = {name: optimizer(one, rates.get(name, config.adversary_rate)) for name, one in named.items()}
    run = Run(config, players, optimizers, steps=length(config))
    state = records.load_checkpoint(out, plain(config), place.device)
    if state is not None:
        run.restore(state)
    return run


def train(
    config: Config,
    training: Labeled,
    validation: Labeled,
    out: Path,
    device: str = "auto",
    workers: int = 0,
    checkpoint_every: int = 250,
    compiled: bool | None = None,  # None: on a GPU, where compiling pays within minutes
    start: nets.Players | None = None,
) -> Path:
    """Train to the last step, from the checkpoint in `out` if there is one; returns the weights' path."""
    with loop.placed(device) as place:
        run = prepared(config, out, place, start)
        if place.gpu if compiled is None else compiled:
            for player in run.players.children():
                player.compile()
        judge = Judge.of(validation if len(validation) else training, config, place)

        def step(pixels: Tensor, labels: Tensor) -> dict[str, float]:
            run.restart()
            return descend(run, loop.as_tensor(pixels.numpy(), place.device), labels.to(place.device), place)

        def examine() -> tuple[dict[str, float], list[Tensor]]:
            return judge.validate(run.players, reach(config, run.step), config.seed)

        batches = LabeledBatches(Reader(training.pictures), training, config, place.rank)
        loader = loop.loaded(batches, range(run.step, length(config)), workers)
        loop.learn(run, loader, step, examine, place, out, checkpoint_every)
        if place.first:
            run.players.adversaries = run.players.adversaries[:1]
            records.publish(out / WEIGHTS, weights.save_obfuscator(out / WEIGHTS, run.players), CURVES)
        return out / WEIGHTS


def descend(run: Run, x: Tensor, labels: Tensor, place: loop.Place) -> dict[str, float]:
    """One step: this phase's players descend their loss, the others stand still."""
    config = run.config
    what = phase(config, run.step)
    torch.manual_seed(config.seed * 1_000_003 + run.step * 97 + place.rank)  # dropout too goes on as it would
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + run.step * 97 + place.rank)
    noise = torch.randn(len(x), *config.network.features, generator=generator).to(place.device)
    picture = (0.5 + 0.25 * torch.randn(x.shape, generator=generator)).clamp(0, 1).to(place.device)
    with torch.autocast(place.device.type, torch.bfloat16, enabled=place.gpu):
        loss, parts = losses(
            run.players, config, what, (x, labels), (noise, picture), reach(config, run.step)
        )
    moving = movers(run.players, what)
    parameters = [p for player in moving for p in player.parameters()]
    # Only theirs: whoever stands still gets no gradient, and costs none.
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    loop.share_gradients(parameters, place)
    nn.utils.clip_grad_norm_(parameters, 5.0)
    rate = loop.learning_rate(run.step, length(config), config.peak_rate, 50)
    for name, one in run.optimizers.items():
        if run.players.get_submodule(name) in moving:
            if name in ("obfuscator", "classifier"):
                one.param_groups[0]["lr"] = rate
            one.step()
    return {name: value.item() for name, value in parts.items()}


@dataclass
class Judge:
    """Held-out faces, on which the players are looked at now and then."""

    faces: Tensor  # (N, 3, H, W)
    labels: Tensor
    config: Config

    @staticmethod
    def of(data: Labeled, config: Config, place: loop.Place, count: int = 512) -> Judge:
        """At most `count` faces, evenly spread."""
        numbers = np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).round().astype(np.int64))
        still = dataclasses.replace(config, shift=0.0, zoom=0.0, light=0.0)
        reader, rng = Reader([data.pictures[n] for n in numbers]), np.random.default_rng(0)
        pixels = np.stack([changed(reader.read(i), still, rng) for i in range(len(numbers))])
        faces = loop.as_tensor(pixels, place.device)
        return Judge(faces, torch.from_numpy(data.labels[numbers]).to(place.device), config)

    @torch.no_grad()
    def validate(
        self, players: nets.Players, radius: float, seed: int
    ) -> tuple[dict[str, float], list[Tensor]]:
        """Balanced accuracies, MS-SSIM and PSNR of the mirror's pictures, and rows of a sheet to look at."""
        network = self.config.network
        players.eval()
        features = players.obfuscator(self.faces, radius)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(features.shape, generator=generator).to(features.device)
        features = nets.released(features, noise, network)
        result = {}
        for name, answers in zip(network.tasks, players.classifier(features), strict=True):
            truth = self.labels[:, network.tasks.index(name)]
            result[f"task {name.name}"] = (answers.argmax(1) == truth).float().mean().item()
        for number, adversary in enumerate(players.adversaries):
            for at, (name, answers) in enumerate(zip(network.private, adversary(features), strict=True)):
                truth = self.labels[:, len(network.tasks) + at]
                result[f"private {name.name} {number}"] = balanced(truth, answers.argmax(1))
        some = slice(0, 64)
        restored = players.mirror(features[some])
        result["ms_ssim"] = ms_ssim(restored, self.faces[some]).mean().item()
        result["psnr"] = loop.psnr(restored, self.faces[some]).mean().item()
        players.train()
        return result, [self.faces[:12], restored[:12]]


def balanced(truth: Tensor, guess: Tensor) -> float:
    """Mean over the classes that occur of the share guessed right."""
    right = [(guess[truth == label] == label).float().mean() for label in torch.unique(truth)]
    return torch.stack(right).mean().item()


def listed_names(text: str) -> list[str]:
    """Attribute names out of `gender,race`."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"{text!r} names no attributes, or one of them twice", "like this: gender,race")
    return names


def gathered(
    sources: tuple[Source, ...], labels: str, tasks: list[str], private: list[str], skip: bool = False
) -> tuple[Labeled, nets.ObfuscatorConfig]:
    """All labeled pictures, and a default network for their attributes."""
    if shared := set(tasks) & set(private):
        raise UsageError(f"{min(shared)} cannot be answered and hidden at once", "choose one of the two")
    pictures = [picture for source in sources for picture in listed(source)]
    data = labeled(pictures, labels, [*tasks, *private], skip)
    return data, nets.ObfuscatorConfig(data.attributes[: len(tasks)], data.attributes[len(tasks) :])


def begun(path: Path | None) -> tuple[nets.Players | None, str]:
    """The networks to go on from and their file's sha256, or nothing."""
    return weights.load_trained_obfuscator(path) if path else (None, "")


def main() -> None:
    """The command line of `python -m photoguard.train.obfuscator`, as torchrun needs it."""
    parser = flags.parser(__doc__, Config)
    parser.add_argument("--labels", required=True, help="CelebA's list, a CSV, or utkface")
    parser.add_argument("--task", required=True, help="attributes to tell, separated by commas")
    parser.add_argument("--private", required=True, help="attributes to hide, separated by commas")
    parser.add_argument("--hold-out", type=int, default=0, help="people or pictures for validation")
    parser.add_argument("--skip-unlabeled", action="store_true")
    parser.add_argument("--start", type=Path, help="weights to go on from, without joint training")
    parser.add_argument("--reach", type=float, help="radius of the ball; 0: the paper's features, unbounded")
    given = vars(parser.parse_args())
    sources = tuple(Source(path) for path in given["data"])
    tasks, private = listed_names(given["task"]), listed_names(given["private"])
    data, network = gathered(sources, given["labels"], tasks, private, given["skip_unlabeled"])
    if given["reach"] is not None:
        network = dataclasses.replace(network, reach=given["reach"])
    options = flags.settings(given, Config)
    start, options["start"] = begun(given["start"])
    if start is not None:
        options["joint"] = 0
    training, validation = split_by_hash(data, given["hold_out"])
    config, out, device = Config(network, **options), given["out"], given["device"]
    train(config, training, validation, out, device, given["workers"], start=start)


if __name__ == "__main__":
    main()

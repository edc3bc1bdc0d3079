"""What attackers try on feature files: guessing private attributes, restoring the face."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from photoguard.evaluate.common.metrics import (
    Interval,
    balanced_interval,
    cosines,
    mean_interval,
    mean_psnr,
    ms_ssims,
)
from photoguard.evaluate.common.networks import Training, as_pixels, predict, train
from photoguard.nets import obfuscator as nets
from photoguard.nets.ddm import dequantise, quantise
from photoguard.nets.planes import to_planes
from photoguard.nets.similarity import ms_ssim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from photoguard.nets.obfuscator_config import Attribute, ObfuscatorConfig
    from photoguard.recognizers import Recognizer

    Pixels = NDArray[np.uint8]
    Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Effort:
    """How much an attacker may spend."""

    pictures: int | None  # held-out faces that take part; None: all
    guess: Training
    restore: Training
    pairs: int  # faces of the attacker's half that reconstructors learn from
    judged: int  # restored faces that are measured
    draws: int  # releases of every tested face
    urec: int  # channels of URec's first block, of the paper's 64
    resrec: int


FULL = Effort(None, Training(6, 2e-3), Training(5, 2e-3, batch=16), 500, 300, 4, 4, 16)
QUICK = Effort(400, Training(4, 2e-3), Training(3, 3e-3, batch=16), 200, 100, 2, 2, 8)


@dataclass(frozen=True)
class Victim:
    """What leaves a client, before the noise that is drawn for each release, and what attackers must fit."""

    name: str
    config: ObfuscatorConfig
    sent: NDArray[np.float16]
    """(N, C, H, W): features, or pictures where `raw`"""
    mirrored: NDArray[np.float16]
    """The same of the mirrored faces, which an attacker trains on as well"""
    spread: float
    """Of the noise"""
    raw: bool = False
    networks: nets.Players | None = None
    extra: NDArray[np.float16] | None = None
    """The portrait that may be shown, (1, C, H, W)"""


class Received(nn.Module):
    """An attacker's network behind what it receives: noise drawn afresh, then 8 bits, as in a file."""

    def __init__(self, victim: Victim, net: nn.Module) -> None:
        super().__init__()
        self.spread, self.raw, self.net = victim.spread, victim.raw, net
        plain = nets.ObfuscatorConfig(**{**vars(victim.config), "reach": 0.0, "context": 0})
        self.front = nets.Obfuscator(plain) if victim.raw else None

    def forward(self, sent: Tensor) -> Tensor:
        """What leaves the client without noise -> logits of all attributes side by side, or faces."""
        with torch.no_grad():
            x = sent + self.spread * torch.randn_like(sent)
            x = (x.clamp(0, 1) * 255).round() / 255 if self.raw else dequantise(*quantise(x))
        out = self.net(self.front(x) if self.front is not None else x)
        together: Tensor = torch.cat(out, 1) if isinstance(out, list) else out
        return together


class StrongClassifier(nn.Module):
    """Another adversary than the one that was trained along: residual, wider, with the whole face in view."""

    def __init__(self, config: ObfuscatorConfig, attributes: Sequence[Attribute], width: int = 48) -> None:
        super().__init__()
        count = sum(len(one.classes) for one in attributes)
        first = config.widths[1]
        self.local = nn.Sequential(
            nn.Conv2d(first, width, 5, 2, 2), nn.ReLU(), nets.Residual(width),
            nn.Conv2d(width, 2 * width, 3, 2, 1), nn.ReLU(), nets.Residual(2 * width),
            nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Dropout(0.3), nn.Linear(18 * width, count),
        )  # fmt: skip
        inputs = nets.inputs_of(config)
        self.whole = nn.Sequential(
            nn.Linear(inputs, 256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, 256), nn.ReLU(),
            nn.Linear(256, count),
        )  # fmt: skip
        self.linear = nn.Linear(inputs, count)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> logits of all attributes side by side."""
        flat = nets.coarse(features).flatten(1)
        logits: Tensor = self.local(features) + self.whole(flat) + self.linear(flat)
        return logits


class Whole(nn.Module):
    """A reconstructor that weighs all features for every pixel: the paper's four see few of them at once."""

    def __init__(self, config: ObfuscatorConfig, width: int = 32) -> None:
        super().__init__()
        self.size, self.width = (config.height, config.width), width
        self.all = nn.Sequential(
            nn.Linear(nets.inputs_of(config), 256), nn.ReLU(), nn.Linear(256, width * 49), nn.ReLU()
        )
        layers: list[nn.Module] = []
        for _ in range(3):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, 1, 1), nn.ReLU()]
        self.draw = nn.Sequential(*layers, nn.Conv2d(width, 3, 3, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Features -> faces (B, 3, H, W) in 0..1."""
        x = self.all(nets.coarse(features).flatten(1)).view(-1, self.width, 7, 7)
        face: Tensor = F.interpolate(self.draw(x), size=self.size, mode="bilinear")
        return face.sigmoid()


class Blind(nn.Module):
    """The best picture to show whatever arrives: what restoring is worth without a look at the features."""

    def __init__(self, config: ObfuscatorConfig) -> None:
        super().__init__()
        self.face = nn.Parameter(torch.zeros(3, config.height, config.width))

    def forward(self, features: Tensor) -> Tensor:
        """Anything -> the same face (B, 3, H, W) in 0..1."""
        return self.face.sigmoid().expand(len(features), -1, -1, -1)


def reconstructors(config: ObfuscatorConfig, effort: Effort) -> dict[str, Callable[[], nn.Module]]:
    """Table 3's four, and one of ours."""
    return {
        "AR": lambda: nets.Mirror(config),
        "URec#1": lambda: nets.URec(config, 3, effort.urec),
        "URec#2": lambda: nets.URec(config, 2, effort.urec),
        "ResRec": lambda: nets.ResRec(config, effort.resrec),
        "Whole": lambda: Whole(config),
    }


@dataclass(frozen=True)
class Guess:
    """How often an attribute was guessed right."""

    accuracy: float
    balanced: Interval
    majority: float
    """Accuracy of always naming the commonest class"""
    classes: int

    @property
    def above_chance(self) -> float:
        """Points of balanced accuracy above drawing lots."""
        return 100 * (self.balanced.value - 1 / self.classes)


def judged(truth: Labels, guesses: NDArray[np.int64], classes: int) -> Guess:
    """`guesses` (draws, N) of the classes `truth` (N,)."""
    right = guesses == truth
    majority = float(np.bincount(truth).max() / len(truth))
    return Guess(float(right.mean()), balanced_interval(truth, right.mean(0)), majority, classes)


def guessed(
    victim: Victim,
    make: Callable[[], nn.Module],
    attributes: Sequence[Attribute],
    labels: Labels,
    halves: tuple[NDArray[np.int64], NDArray[np.int64]],
    effort: Effort,
    device: str,
) -> dict[str, Guess]:
    """Attackers from scratch, each on one half of the people, asked about the other half."""
    sizes = [len(one.classes) for one in attributes]
    found = np.zeros((len(attributes), effort.draws, len(labels)), np.int64)
    for number, (own, others) in enumerate((halves, halves[::-1])):
        torch.manual_seed(number)
        net = Received(victim, make())
        inputs = np.concatenate([victim.sent[own], victim.mirrored[own]])
        targets = np.concatenate([labels[own], labels[own]])
        train(net, inputs, targets, balanced_loss(labels[own], sizes), effort.guess, number, device)
        found[:, :, others] = drawn(net, victim.sent[others], sizes, effort.draws, device)
    return {one.name: judged(labels[:, at], found[at], sizes[at]) for at, one in enumerate(attributes)}


def drawn(
    net: nn.Module, sent: NDArray[np.float16], sizes: Sequence[int], draws: int, device: str
) -> NDArray[np.int64]:
    """What a network says to several releases of each face: (attributes, draws, N)."""
    cuts = np.cumsum(sizes)[:-1]
    said = [np.split(predict(net, sent, device), cuts, axis=1) for _ in range(draws)]
    return np.array([[part.argmax(1) for part in one] for one in said], np.int64).transpose(1, 0, 2)


def balanced_loss(labels: Labels, sizes: Sequence[int]) -> Callable[[Tensor, Tensor], Tensor]:
    """Cross-entropy in which every class counts alike, summed over the attributes."""
    counts = [np.maximum(np.bincount(labels[:, i], minlength=size), 1) for i, size in enumerate(sizes)]
    weights = [torch.tensor(len(labels) / (len(c) * c), dtype=torch.float32) for c in counts]

    def loss(logits: Tensor, truth: Tensor) -> Tensor:
        parts = logits.split(list(sizes), 1)  # type: ignore[no-untyped-call]
        each = [
            F.cross_entropy(part, truth[:, i], weights[i].to(part.device), label_smoothing=0.05)
            for i, part in enumerate(parts)
        ]
        return torch.stack(each).sum()

    return loss


@dataclass(frozen=True)
class Identity:
    """In a recognizer's eyes: restored and true face, beside restored and somebody else's."""

    same: Interval
    stranger: Interval
    """With another person's true face"""
    beyond: Interval
    """The difference, face by face"""
    alike: Interval
    """The same difference to people of the same answer, which the service is told anyway"""


@dataclass(frozen=True)
class ReconstructedFaces:
    """How near a reconstructor came to the faces of the other half."""

    ms_ssim: Interval
    psnr: float
    identity: dict[str, Identity]
    faces: Pixels = field(repr=False)
    """Some of them, for the sheet"""
    extra: Pixels | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Judge:
    """A recognizer, and what it makes of the true faces that restored ones are compared with."""

    recognizer: Recognizer
    true: NDArray[np.float32]


def judge(recognizer: Recognizer, faces: Pixels, config: ObfuscatorConfig) -> Judge:
    """A recognizer that has seen the faces to be restored."""
    return Judge(recognizer, recognizer.embed_pixels(chips(faces, recognizer, config)))


def restored(
    victim: Victim,
    make: Callable[[], nn.Module],
    faces: Pixels,
    answer: Labels,
    halves: tuple[NDArray[np.int64], NDArray[np.int64]],
    effort: Effort,
    judges: dict[str, Judge],
    device: str,
) -> ReconstructedFaces:
    """A reconstructor from scratch, on pairs of features and faces of one half; tested on the other."""
    own, others = halves[0][: effort.pairs], halves[1][: effort.judged]
    torch.manual_seed(0)
    net = Received(victim, make())
    inputs = np.concatenate([victim.sent[own], victim.mirrored[own]])
    targets = np.concatenate([faces[own], faces[own][:, :, ::-1]])
    train(net, inputs, as_floats(targets), restoring_loss, effort.restore, 0, device)
    out = as_pixels(predict(net, victim.sent[others], device))
    shown = None if victim.extra is None else as_pixels(predict(net, victim.extra, device))
    truth = faces[others]
    return ReconstructedFaces(
        ms_ssim=mean_interval(ms_ssims(out, truth)),
        psnr=mean_psnr(out, truth),
        identity={name: identity(out, answer[others], one, victim.config) for name, one in judges.items()},
        faces=out[:12],
        extra=shown,
    )


def restoring_loss(out: Tensor, truth: Tensor) -> Tensor:
    """Eq. 6, and the squared error, which MS-SSIM hardly notices where all of a picture is too dark."""
    truth = truth.float() / 255
    return 1 - ms_ssim(out, truth).mean() + F.mse_loss(out, truth)


def identity(out: Pixels, answer: Labels, by: Judge, config: ObfuscatorConfig) -> Identity:
    """Cosines with the true face and with those of other people, who are drawn by lot."""
    theirs, true = by.recognizer.embed_pixels(chips(out, by.recognizer, config)), by.true
    rng = np.random.default_rng(0)
    other = (np.arange(len(out)) + rng.integers(1, len(out), len(out))) % len(out)
    alike = np.array([_like(answer, at, rng) for at in range(len(out))])
    same, stranger = cosines(theirs, true), cosines(theirs, true[other])
    return Identity(
        mean_interval(same),
        mean_interval(stranger),
        mean_interval(same - stranger),
        mean_interval(same - cosines(theirs, true[alike])),
    )


def _like(answer: Labels, at: int, rng: np.random.Generator) -> int:
    """Somebody else with the same answer; anybody else where there is none."""
    same = np.flatnonzero(answer == answer[at])
    same = same[same != at]
    return int(rng.choice(same)) if len(same) else (at + 1) % len(answer)


def chips(faces: Pixels, recognizer: Recognizer, config: ObfuscatorConfig) -> Pixels:
    """Aligned faces as a recognizer wants them: their landmarks lie where the template says."""
    from photoguard.recognizers import chip_for

    height, width = faces.shape[1:3]
    at = np.array(config.template) * [width, height] - 0.5
    return np.stack([chip_for(recognizer.spec, face, at) for face in faces])


def as_floats(faces: Pixels) -> NDArray[np.float16]:
    """(N, H, W, 3) of 0..255 to (N, 3, H, W), of 0..255 still: half precision holds those exactly."""
    return to_planes(faces).contiguous().numpy().astype(np.float16)

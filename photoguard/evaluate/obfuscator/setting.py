"""What the parts of the obfuscator's evaluation share: held-out faces, their labels, recognizers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from photoguard.datasets.labels import Labeled, labeled, leakage, split_by_hash
from photoguard.datasets.pictures import Reader, Source, listed
from photoguard.errors import UsageError
from photoguard.evaluate.common.recognizers import available
from photoguard.evaluate.obfuscator import attacks
from photoguard.nets import obfuscator as nets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from photoguard.nets.planes import Pixels
    from photoguard.recognizers import Recognizer

    Say = Callable[[str], None]

SMALLEST_HALF = 8  # faces
EYE = "mobilefacenet-casia"  # whom people are told apart by; another recognizer where it is missing
SAME_PERSON = 0.75  # cosine from which a held-out face is taken for somebody in the training set; of two
# faces drawn by lot, one pair in 10,000 has more than 0.73 (mobilefacenet-casia)


@dataclass(frozen=True)
class ObfuscatorOptions:
    """What to measure, on what, and where it goes."""

    out: Path
    """Gets `obfuscator.json`, `obfuscator.md` and pictures; rows of the same size in it are kept"""
    data: Path
    """A folder or zip of faces, or a folder with utkface.zip and perhaps `recognizers/`"""
    labels: str = "utkface"
    hold_out: int = 2000
    quick: bool = False
    models: Mapping[str, Path] = field(default_factory=dict)
    """Further models; the one named "undefended" is what the others' task accuracy is compared with"""
    skip: bool = False
    """Leave out pictures without labels and labels without pictures"""
    log: Path | None = None
    """A training's folder, whose losses are drawn"""
    page: Path | None = None
    """A second place for the tables and the pictures, which show NASA's portrait"""


@dataclass(frozen=True)
class ObfuscatorSetting:
    """Everything that the attacks on one model share."""

    faces: Pixels
    """(N, H, W, 3): held-out faces at the network's size"""
    labels: NDArray[np.int64]
    """(N, attributes): tasks first"""
    config: nets.ObfuscatorConfig
    halves: tuple[NDArray[np.int64], NDArray[np.int64]]
    trained_on: Labeled
    portrait: Pixels
    """(1, H, W, 3): the one face that docs may show"""
    judges: dict[str, attacks.Judge]
    effort: attacks.Effort
    device: str

    @property
    def tasks(self) -> NDArray[np.int64]:
        """The labels of the tasks."""
        return self.labels[:, : len(self.config.tasks)]

    @property
    def private(self) -> NDArray[np.int64]:
        """The labels of the private attributes."""
        return self.labels[:, len(self.config.tasks) :]


@dataclass(frozen=True)
class HeldOut:
    """Faces that the model was not trained on, and how many were left out because they may have been."""

    data: Labeled
    pixels: Pixels
    known: int


def prepare(
    asked: ObfuscatorOptions, config: nets.ObfuscatorConfig, say: Say
) -> tuple[ObfuscatorSetting, dict[str, object]]:
    """Read the faces, leave out whoever looks like somebody in the training set, and look for recognizers."""
    torch.set_flush_denormal(True)
    effort = attacks.QUICK if asked.quick else attacks.FULL
    folder = asked.data if (asked.data / "utkface.zip").is_file() else asked.data.parent
    training, held = _split(asked, folder, config)
    recognizers = {name: load() for name, load in available(folder, asked.out / "cache").items()}
    unseen = _unseen(asked.out, training, held, recognizers, config, say)
    data, pixels = unseen.data, unseen.pixels
    if effort.pictures is not None:
        data, pixels = data.at(np.arange(min(effort.pictures, len(data)))), pixels[: effort.pictures]
    order = np.random.default_rng(0).permutation(len(data))
    halves = (np.sort(order[::2]), np.sort(order[1::2]))
    truth = pixels[halves[1][: effort.judged]]
    setting = ObfuscatorSetting(
        faces=pixels,
        labels=data.labels,
        config=config,
        halves=halves,
        trained_on=training if effort.pictures is None else training.at(np.arange(min(800, len(training)))),
        portrait=portrait(config),
        judges={name: attacks.judge(one, truth, config) for name, one in recognizers.items()},
        effort=effort,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )
    return setting, heading(setting, asked.quick, unseen.known)


def _split(asked: ObfuscatorOptions, folder: Path, config: nets.ObfuscatorConfig) -> tuple[Labeled, Labeled]:
    """Training set and held-out pictures, with the classes that the model knows."""
    source = folder / "utkface.zip" if folder == asked.data else asked.data
    attributes = (*config.tasks, *config.private)
    found = labeled(listed(Source(source)), asked.labels, [one.name for one in attributes], asked.skip)
    training, held = split_by_hash(found, asked.hold_out)
    if held.attributes != attributes:
        raise UsageError("the labels have other classes than the model", "use the labels it was trained with")
    return training, held


def _unseen(
    out: Path,
    training: Labeled,
    held: Labeled,
    recognizers: dict[str, Recognizer],
    config: nets.ObfuscatorConfig,
    say: Say,
) -> HeldOut:
    """The held-out faces without those of people in the training set."""
    known, pixels = 0, read(held, config)
    if recognizers:
        say("looking for held-out people who are in the training set")
        new = remembered(
            out / "cache" / "unseen.json",
            [picture.name for picture in held.pictures],
            lambda: unseen_people(pixels, read(training, config), eye(recognizers), config),
        )
        known = int((~new).sum())
        held, pixels = held.at(np.flatnonzero(new)), pixels[new]
    if len(held) < 2 * SMALLEST_HALF:
        raise UsageError(
            f"only {len(held)} faces of people not trained on are left",
            "more pictures, or a larger --hold-out",
        )
    return HeldOut(held, pixels, known)


def read(data: Labeled, config: nets.ObfuscatorConfig) -> Pixels:
    """All pictures at the network's size, (N, H, W, 3)."""
    reader, size = Reader(data.pictures), (config.width, config.height)
    faces = [
        Image.fromarray(reader.read(number)).resize(size, Image.Resampling.BILINEAR)
        for number in range(len(data))
    ]
    return np.stack([np.asarray(face) for face in faces])


def eye(recognizers: dict[str, Recognizer]) -> Recognizer:
    """Whom people are told apart by."""
    return recognizers.get(EYE) or recognizers[max(recognizers)]


def remembered(path: Path, names: list[str], find: Callable[[], NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Which of `names` nobody trained on: what an earlier run wrote for the same names, or found now."""
    if path.is_file():
        known: dict[str, bool] = json.loads(path.read_text())
        if list(known) == names:
            return np.array(list(known.values()))
    found = find()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(zip(names, found.tolist(), strict=True))))
    return found


def unseen_people(
    held: Pixels, trained_on: Pixels, judge: Recognizer, config: nets.ObfuscatorConfig
) -> NDArray[np.bool_]:
    """Which held-out faces a recognizer takes for nobody in the training set."""
    known = judge.embed_pixels(attacks.chips(trained_on, judge, config))
    asked = judge.embed_pixels(attacks.chips(held, judge, config))
    return np.asarray((asked @ known.T).max(1) < SAME_PERSON)


def portrait(config: nets.ObfuscatorConfig) -> Pixels:
    """The one face that may be shown in docs: NASA's portrait, laid as the training pictures are."""
    from photoguard.methods.obfuscator import chip
    from photoguard.recognizers.sample import sample_landmarks, sample_picture

    return chip(config, sample_picture(), np.array(sample_landmarks()))[None]


def heading(setting: ObfuscatorSetting, quick: bool, known: int) -> dict[str, object]:
    """What a reader must know to judge the figures."""
    attributes = (*setting.config.tasks, *setting.config.private)
    count = len(setting.config.tasks)
    shares = {
        one.name: {
            name: float(np.mean(setting.labels[:, at] == number)) for number, name in enumerate(one.classes)
        }
        for at, one in enumerate(attributes)
    }
    return {
        "size": "quick" if quick else "full",
        "faces": len(setting.faces),
        "taken_for_known": known,
        "side": [setting.config.height, setting.config.width],
        "shares": shares,
        "told_by_answer": {
            one.name: leakage(joined(setting.tasks), setting.private[:, at])
            for at, one in enumerate(attributes[count:])
        },
        "bits": setting.config.bits,
        "reach": setting.config.reach,
        "features": list(setting.config.features),
    }


def joined(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """All columns as one class."""
    _, joined = np.unique(labels, axis=0, return_inverse=True)
    return np.asarray(joined.ravel(), np.int64)

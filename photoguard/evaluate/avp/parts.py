"""The parts of AVP's evaluation, in the order in which they are measured."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from photoguard.errors import PhotoguardError, WrongKeyError
from photoguard.evaluate.avp import pictures as avp_pictures
from photoguard.evaluate.avp.algorithm_1 import ablation, speed
from photoguard.evaluate.avp.attacks import Stolen, blindly, inverted, paired_data, recognized
from photoguard.evaluate.avp.quality import (
    Kept,
    bare,
    enrolled,
    learned,
    other_key,
    quality,
    sealed,
    survival,
    way_of,
)
from photoguard.evaluate.avp.setting import AvpSetting, Table1, made, portrait_chip, some_faces
from photoguard.evaluate.avp.statistics import Histogram, correlation, histogram
from photoguard.evaluate.common.metrics import mean_ssim
from photoguard.evaluate.common.report import INLINE
from photoguard.evaluate.common.ways import Sealed
from photoguard.formats import identities
from photoguard.methods.avp.distortions import distortions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from photoguard.evaluate.common.ways import Bare, Learned, Way
    from photoguard.nets.planes import Pixels

# --- Keys ---


@dataclass(frozen=True)
class KeyMatrix:
    """Chips of every key opened with every key: SSIM with the face."""

    matrix: list[list[float]]
    right: float
    wrong: float
    wrong_worst: float
    recognized: float
    """Share of what wrong keys give back that the chip's recognizer takes for the person"""
    recognized_by_other: float


@dataclass(frozen=True)
class Refused:
    """Sealed chips with somebody else's identity."""

    tried: int
    errors: int


@dataclass(frozen=True)
class WrongKeys:
    """Fig. 5."""

    keys: int
    faces: int
    gray: float
    """SSIM of a plain gray picture with the faces"""
    ways: dict[str, KeyMatrix] = field(metadata=INLINE)
    sealed: Refused


def wrong_keys(setting: AvpSetting) -> WrongKeys:
    """Fig. 5: chips of every key opened with every key, as numbers and as a picture of NASA's portrait."""
    size = setting.size
    faces = np.concatenate([portrait_chip(setting.main.spec), some_faces(setting, size.shown)])
    models = [setting.keys.model(number) for number in range(size.keys)]
    ways: list[Sequence[Bare | Learned]] = [
        [kind(model, size.steps) for model in models] for kind in (bare, learned)
    ]
    return WrongKeys(
        keys=size.keys,
        faces=len(faces),
        gray=mean_ssim(np.full_like(faces, 128), faces),
        ways={keys[0].name: _matrix(setting, faces, keys) for keys in ways},
        sealed=_sealed_with_wrong_keys(setting, faces[:1]),
    )


def _matrix(setting: AvpSetting, faces: Pixels, ways: Sequence[Bare | Learned]) -> KeyMatrix:
    """One way with several keys."""
    recognizer, name = setting.main, ways[0].name
    chips = [
        made(setting, f"matrix-{name}-{number}", way, faces, recognizer).chips
        for number, way in enumerate(ways)
    ]
    opened = [[other.forced(own) for other in ways] for own in chips]
    matrix = [[mean_ssim(back, faces) for back in row] for row in opened]
    pairs = [(i, j) for i in range(len(ways)) for j in range(len(ways)) if i != j]
    wrong, judge = [opened[i][j] for i, j in pairs], (recognizer, setting.thresholds[recognizer.name])
    avp_pictures.matrix(
        setting.out / f"avp-keys-{name}.png",
        faces[0],
        [part[0] for part in chips],
        [[back[0] for back in row] for row in opened],
        [[mean_ssim(back[:1], faces[:1]) for back in row] for row in opened],
    )
    return KeyMatrix(
        matrix=matrix,
        right=float(np.mean([matrix[i][i] for i in range(len(ways))])),
        wrong=float(np.mean([matrix[i][j] for i, j in pairs])),
        wrong_worst=max(matrix[i][j] for i, j in pairs),
        recognized=float(np.mean([recognized(back, faces, *judge) for back in wrong])),
        recognized_by_other=float(np.mean([recognized(back, faces, *setting.watching) for back in wrong])),
    )


def _sealed_with_wrong_keys(setting: AvpSetting, faces: Pixels) -> Refused:
    """Somebody else's identity is an error; nothing half-restored comes out."""
    way = sealed(setting, setting.size.steps)
    chips = made(setting, "matrix-sealed", way, faces, setting.main).chips
    codes = []
    for _ in range(setting.size.keys):
        try:
            Sealed(identities.generate()[0]).decrypt(chips)
            codes.append(0)
        except PhotoguardError as error:
            codes.append(error.exit_code)
    return Refused(len(codes), sum(code == WrongKeyError.exit_code for code in codes))


# --- Paired data ---


@dataclass(frozen=True)
class KnownPairs:
    """What attackers make of one way's chips, by how many pairs they know."""

    owner: float
    """SSIM of what the owner gets back"""
    cosine: float
    known: dict[str, Stolen]


@dataclass(frozen=True)
class Paired:
    """Fig. 6."""

    blind: Stolen
    unseen: int
    restorer: int
    """The width of the attackers' network"""
    ways: dict[str, KnownPairs] = field(metadata=INLINE)


def paired(setting: AvpSetting) -> Paired:
    """Fig. 6: a network trained on known pairs restores chips that it has no original of."""
    recognizer, size, people = setting.main, setting.size, setting.people
    known = people.others.at(np.arange(min(max(size.known), len(people.others)))).chips(recognizer.spec)
    unseen = people.probes.at(np.arange(len(people.probes))[:: max(len(people.probes) // size.unseen, 1)])
    truth = unseen.at(np.arange(min(size.unseen, len(unseen)))).chips(recognizer.spec)
    steps = size.pair_steps
    own, other = bare(setting.keys.model(0), steps), bare(setting.keys.model(1), steps)
    shuffled, hidden = learned(setting.keys.model(0), steps), sealed(setting, steps)
    ways: dict[str, tuple[Way, Way]] = {
        "bare, key reused": (own, own),
        "bare, another key": (own, other),
        "learned, key reused": (shuffled, shuffled),
        "sealed": (hidden, hidden),
    }
    return Paired(
        blind=blindly(known, truth, setting.watching),
        unseen=len(truth),
        restorer=size.width,
        ways={name: _known_pairs(setting, name, *both, known, truth) for name, both in ways.items()},
    )


def _known_pairs(
    setting: AvpSetting, name: str, theirs: Way, mine: Way, known: Pixels, truth: Pixels
) -> KnownPairs:
    """Pairs encrypted in `theirs`, and chips in `mine` that are restored by whoever knows them."""
    size = setting.size
    label = name.replace(",", "").replace(" ", "-")
    source = "bare-key-reused" if name == "bare, another key" else label
    pairs = made(setting, f"pairs-{source}", theirs, known, setting.main)
    target = made(setting, f"pairs-unseen-{label}", mine, truth, setting.main)
    return KnownPairs(
        owner=float(target.ssim_d.mean()),
        cosine=float(target.cosine.mean()),
        known={
            str(count): paired_data(
                pairs.chips[:count], known[:count], target.chips, truth, setting.watching, size.attack,
                size.width,
            )
            for count in size.known
            if count <= len(known)
        },
    )  # fmt: skip


# --- Statistics, robustness, template ---


@dataclass(frozen=True)
class Looks:
    """A stack of pictures in numbers."""

    correlation: dict[str, float]
    histogram: Histogram
    faces: int


def statistics(setting: AvpSetting) -> dict[str, Looks]:
    """A.1.2: neighbors and histograms."""
    recognizer = setting.main
    stacks = {"original": enrolled(setting, recognizer.name, "sealed").faces}
    portrait = {"original": portrait_chip(recognizer.spec)}
    for way in ("bare", "learned", "sealed"):
        stacks[way] = enrolled(setting, recognizer.name, way).chips
        portrait[way] = made(
            setting, f"portrait-{way}", way_of(setting, way), portrait["original"], recognizer
        ).chips
    avp_pictures.statistics(setting.out / "avp-statistics.png", {k: v[0] for k, v in portrait.items()})
    return {name: Looks(correlation(stack), histogram(stack), len(stack)) for name, stack in stacks.items()}


@dataclass(frozen=True)
class Searched:
    """Chips of one search, as re-encoded files."""

    table1: Table1 = field(metadata=INLINE)
    survival: dict[str, Kept]


@dataclass(frozen=True)
class Robustness:
    """The search with and without `--robust`."""

    faces: int
    searches: dict[str, Searched] = field(metadata=INLINE)


def robustness(setting: AvpSetting) -> Robustness:
    """Chips made with and without --robust, as re-encoded files."""
    recognizer, usual = setting.main, sealed(setting, setting.size.steps)
    faces = some_faces(setting, 2 * setting.size.shown)
    names = ("jpeg", "resize")
    ways = {
        "as usual": usual,
        "`--robust jpeg`": dataclasses.replace(usual, distortions=distortions(names[:1])),
        "`--robust jpeg,resize`": dataclasses.replace(usual, distortions=distortions(names)),
    }
    found = {}
    for number, (name, way) in enumerate(ways.items()):
        mine = made(setting, f"robust-{number}", way, faces, recognizer)
        found[name] = Searched(
            mine.figures(), survival(mine, recognizer, setting.thresholds[recognizer.name])
        )
    return Robustness(len(faces), found)


@dataclass(frozen=True)
class Templates:
    """Faces drawn from templates."""

    learned_from: int
    original: Stolen
    chip: Stolen


def template(setting: AvpSetting) -> Templates:
    """The chip is the recognizer's template: a face drawn from it by a network that saw other people."""
    recognizer = setting.main
    faces = setting.people.others.chips(recognizer.spec)
    mine = enrolled(setting, recognizer.name, "sealed")
    known = recognizer.embed_pixels(faces)
    original, chip = (
        inverted(
            known, faces, recognizer.embed_pixels(shown), mine.faces, setting.watching, setting.size.invert
        )
        for shown in (mine.faces, mine.chips)
    )
    return Templates(len(faces), original, chip)


PARTS: dict[str, Callable[[AvpSetting], Any]] = {
    "other_key": other_key,
    "wrong_keys": wrong_keys,
    "ablation": ablation,
    "statistics": statistics,
    "robustness": robustness,
    "speed": speed,
    "paired": paired,
    "template": template,
}


@dataclass(frozen=True)
class Part:
    """Something to measure, and which recognizers take part."""

    measure: Callable[[], Any]
    """Gives rows, as dataclasses"""
    seen_by: list[str]


def parts(setting: AvpSetting) -> dict[str, Part]:
    """Quality for each recognizer, then what is measured with the first alone."""
    first = {
        f"quality {name}": Part(partial(quality, setting, name), list(setting.recognizers))
        for name in setting.recognizers
    }
    watched = [setting.main.name, setting.judge]
    return first | {name: Part(partial(measure, setting), watched) for name, measure in PARTS.items()}

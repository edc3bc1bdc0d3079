"""What the parts of DDM's evaluation share: faces, pairs, recognizers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from photoguard.errors import WeightsError
from photoguard.evaluate.common import recognition as attacks
from photoguard.evaluate.common.faces import Faces, closed_set, named, test_tenth
from photoguard.evaluate.common.lfw import open_lfw, person_of
from photoguard.evaluate.common.perceptual import distance
from photoguard.evaluate.common.recognizers import available
from photoguard.evaluate.ddm import maps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from photoguard.evaluate.common.lfw import Lfw
    from photoguard.evaluate.common.networks import Training
    from photoguard.recognizers import Recognizer

    Say = Callable[[str], None]


@dataclass(frozen=True)
class DdmSize:
    """How much of LFW takes part."""

    people: int | None
    per_person: int | None
    pairs: int
    effort: attacks.Effort
    maps: Training
    returned: int = 100
    """Photos of each kind whose restored faces are measured"""


FULL = DdmSize(None, None, 3000, attacks.FULL, maps.FULL, 500)
QUICK = DdmSize(30, 18, 200, attacks.QUICK, maps.QUICK)
PROTOCOL = 2  # raised when figures of earlier versions no longer compare


@dataclass(frozen=True)
class DdmSetting:
    """Everything that the attacks on one cover share."""

    size: DdmSize
    data: Path
    lfw: Lfw
    faces: Faces
    others: Faces
    """Of people who are not among `faces`"""
    pairs: tuple[tuple[int, int, bool], ...]
    """Of the others, by number"""
    recognizers: dict[str, Recognizer]
    """As they are"""
    centers: dict[str, NDArray[np.float32]]
    """What each of them knows of the closed set's people: open photos of nine tenths"""
    strong: str
    fresh: Callable[[], Recognizer]
    """Another copy of the strong one, to train"""
    distance: attacks.Distance | None
    seeds: int
    device: str


def prepare(out: Path, data: Path, size: DdmSize, seeds: int, strong: str, say: Say) -> DdmSetting:
    """Read LFW, find its landmarks, and look for the recognizers."""
    torch.set_flush_denormal(True)
    lfw = open_lfw(data)
    cache = out / "cache"
    installed = available(data, cache)
    if strong not in installed:
        raise WeightsError(
            f"recognizer {strong} is not installed", f"photoguard recognizers add {strong} --weights FILE"
        )

    def progress(done: int, count: int) -> None:
        if done % 500 == 0:
            say(f"landmarks: {done} of {count}")

    faces = closed_set(lfw, size.people, size.per_person, progress=progress)
    others, pairs = other_pairs(lfw, size.pairs)
    recognizers = {name: load() for name, load in installed.items()}
    seen = faces.at(test_tenth(faces.labels, 0)[0])
    squeezenet = next((data / "perceptual").glob("squeezenet1_0*.safetensors"), None)
    return DdmSetting(
        size=size,
        data=data,
        lfw=lfw,
        faces=faces,
        others=others,
        pairs=pairs,
        recognizers=recognizers,
        centers={name: attacks.person_centers(seen, one) for name, one in recognizers.items()},
        strong=strong,
        fresh=installed[strong],
        distance=distance(squeezenet) if squeezenet else None,
        seeds=seeds,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )


def other_pairs(lfw: Lfw, count: int) -> tuple[Faces, tuple[tuple[int, int, bool], ...]]:
    """LFW's pairs of people who are not in the closed set, as faces and pairs of their numbers."""
    known = set(lfw.people(at_least=10))
    pairs = [
        pair
        for fold in lfw.folds
        for pair in fold
        if not {person_of(pair.first), person_of(pair.second)} & known
    ]
    half = [[pair for pair in pairs if pair.same == same] for same in (True, False)]
    step = max(min(map(len, half)) * 2 // count, 1)
    chosen = [pair for group in half for pair in group[::step][: count // 2]]
    names = sorted({name for pair in chosen for name in (pair.first, pair.second)})
    number = {name: at for at, name in enumerate(names)}
    people = {person: at for at, person in enumerate(sorted({person_of(name) for name in names}))}
    faces = named(lfw, names, [people[person_of(name)] for name in names])
    return faces, tuple((number[pair.first], number[pair.second], pair.same) for pair in chosen)


def some_faces(setting: DdmSetting) -> Faces:
    """About a hundred faces, spread over all people."""
    return setting.faces.at(np.arange(0, len(setting.faces), max(len(setting.faces) // 100, 1)))


def heading(setting: DdmSetting, quick: bool) -> dict[str, object]:
    """What a reader must know to judge the figures."""
    return {
        "size": "quick" if quick else "full",
        "people": setting.faces.people,
        "photos": len(setting.faces),
        "tested": len(test_tenth(setting.faces.labels, 0)[1]) * setting.seeds,
        "pairs": len(setting.pairs),
        "seeds": setting.seeds,
        "strong": setting.strong,
        "recognizers": sorted(setting.recognizers),
        "protocol": PROTOCOL,
    }

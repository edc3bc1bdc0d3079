"""Algorithm 1 as published, beside the tool's search: Fig. 7, and how long each takes."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from photoguard.evaluate.avp import pictures as avp_pictures
from photoguard.evaluate.avp.quality import bare, learned, sealed
from photoguard.evaluate.avp.setting import AvpSetting, Table1, measured, portrait_chip, some_faces
from photoguard.evaluate.common.metrics import mean_ssim
from photoguard.evaluate.common.report import INLINE
from photoguard.evaluate.common.ways import Bare
from photoguard.formats import identities
from photoguard.methods.avp.search import Published, published
from photoguard.methods.avp.target import resemblance
from photoguard.nets.planes import to_planes

if TYPE_CHECKING:
    from collections.abc import Callable

    from photoguard.methods.avp.search import Found
    from photoguard.nets.planes import Pixels
    from photoguard.recognizers import Recognizer

REACHED = 0.99  # the cosine up to which searches are timed


@dataclass(frozen=True)
class Hiding:
    """Algorithm 1 with one loss that hides the face."""

    table1: Table1 = field(metadata=INLINE)
    weight: float
    wrong_key: float
    """SSIM with the face of what another key gives back"""


@dataclass(frozen=True)
class Ablation:
    """Fig. 7: L_d beside L_v."""

    faces: int
    steps: int
    losses: dict[str, Hiding] = field(metadata=INLINE)


def ablation(setting: AvpSetting) -> Ablation:
    """Fig. 7: Algorithm 1 with L_d and with L_v."""
    recognizer, size = setting.main, setting.size
    model, another = setting.keys.model(0), setting.keys.model(1)
    faces = np.concatenate([portrait_chip(recognizer.spec), some_faces(setting, size.paper_faces - 1)])
    losses: dict[str, Hiding] = {}
    shown = {"original": faces[0]}
    for hiding, weight in (("variance", 1e-3), ("distance", 1.0)):
        settings = Published(steps=size.paper_steps, hiding=hiding, hiding_weight=weight, seed=0)  # type: ignore[arg-type]
        began = time.process_time()
        results = _published(faces, recognizer, Bare(model), settings)
        chips = np.stack([one.pixels for one in results])
        note = [{"steps": float(one.steps), "seconds": time.process_time() - began} for one in results]
        mine = measured(faces, chips, Bare(model).decrypt(chips), recognizer, note)
        wrong = Bare(another).decrypt(chips)
        losses[hiding] = Hiding(mine.figures(), weight, mean_ssim(wrong, faces))
        name = {"variance": "L_v", "distance": "L_d"}[hiding]
        shown |= {name: chips[0], f"{name}, right key": mine.restored[0], f"{name}, wrong key": wrong[0]}
    avp_pictures.strip(setting.out / "avp-ablation.png", shown)
    return Ablation(len(faces), size.paper_steps, losses)


def _published(
    faces: Pixels, recognizer: Recognizer, way: Bare, settings: Published, until: float = math.inf
) -> list[Found]:
    originals = to_planes(faces).float()
    return published(originals, resemblance([recognizer], originals), way.key, settings, until=until)


@dataclass(frozen=True)
class Timing:
    """One search of some faces, until the cosine is there and until it ends."""

    reached: int
    """Faces that got there"""
    steps: float | None
    seconds: float | None
    """None for both where a face did not get there"""
    seconds_a_step: float
    whole_steps: float
    whole_seconds: float
    times: float | None = None
    """How many times sooner than Algorithm 1 as published"""


@dataclass(frozen=True)
class Speed:
    """All searches of the same faces, in processor time."""

    faces: int
    cosine: float
    keygen: dict[str, float]
    searches: dict[str, Timing] = field(metadata=INLINE)
    at_least: bool
    """Algorithm 1 never got there: all its steps were not enough"""


def speed(setting: AvpSetting) -> Speed:
    """Steps and processor time to cosine 0.99, one search of the same faces each."""
    recognizer, size = setting.main, setting.size
    faces = some_faces(setting, size.paper_faces)
    keygen = {"learned": setting.keys.seconds(0), "sealed": _sealed_keygen()}
    model, aim = setting.keys.model(0), partial(resemblance, [recognizer])
    ways: dict[str, Callable[[], list[Found]]] = {
        "published": lambda: _published(faces, recognizer, Bare(model), Published(seed=0), REACHED),
        "bare": lambda: bare(model, size.steps).encrypt(faces, aim),
        "learned": lambda: learned(model, size.steps).encrypt(faces, aim),
        "sealed": lambda: sealed(setting, size.steps).encrypt(faces, aim),
    }
    found = {name: _timed(search) for name, search in ways.items()}
    first = found["published"]
    slow = first.whole_seconds if first.seconds is None else first.seconds
    found = {
        name: replace(one, times=slow / one.seconds if one.seconds else None) for name, one in found.items()
    }
    return Speed(len(faces), REACHED, keygen, found, at_least=first.seconds is None)


def _sealed_keygen() -> float:
    began = time.process_time()
    identities.generate()
    return time.process_time() - began


def _timed(search: Callable[[], list[Found]]) -> Timing:
    """When each face was there, in steps and in its share of the processor time."""
    began = time.process_time()
    results = search()
    spent = time.process_time() - began
    each = spent / sum(one.steps for one in results)
    steps = [
        next((at + 1 for at, step in enumerate(one.trace) if step.reached >= REACHED), None)
        for one in results
    ]
    there = [step for step in steps if step is not None]
    mean = float(np.mean(there)) if len(there) == len(steps) else None
    return Timing(
        reached=len(there),
        steps=mean,
        seconds=None if mean is None else mean * each,
        seconds_a_step=each,
        whole_steps=float(np.mean([one.steps for one in results])),
        whole_seconds=spent / len(results),
    )

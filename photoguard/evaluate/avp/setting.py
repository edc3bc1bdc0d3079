"""What the parts of AVP's evaluation share: faces, recognizers, keys, and encrypted chips on disk."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from photoguard.evaluate.common.metrics import cosines, ssim
from photoguard.methods.avp.chips import TOGETHER
from photoguard.methods.avp.target import resemblance, view
from photoguard.nets.planes import to_pixels, to_planes
from photoguard.recognizers.sample import sample_chip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from photoguard.evaluate.avp.people import Crowd, People
    from photoguard.evaluate.common.keys import Keys
    from photoguard.evaluate.common.networks import Training
    from photoguard.evaluate.common.ways import Way
    from photoguard.nets.planes import Pixels
    from photoguard.recognizers import Recognizer, Spec


@dataclass(frozen=True)
class AvpSize:
    """How much work each part may be."""

    crowd: Crowd
    bare: int | None
    """Faces for the paper's bare setting, the slowest; None: as many as for the others"""
    steps: dict[str, int]
    """Where a way's search ends sooner than the tool's own"""
    keys: int
    """Key models that differ in their start only"""
    shown: int
    """Faces for wrong keys, ablation and the robust search"""
    paper_steps: int
    paper_faces: int
    """Steps and faces of Algorithm 1 as published"""
    known: tuple[int, ...]
    """Known pairs of the paired-data attack"""
    unseen: int
    """Faces that it is tried on"""
    pair_steps: dict[str, int]
    """The same for its many chips"""
    attack: Training
    width: int
    invert: Training


@dataclass(frozen=True)
class Table1:
    """The columns of the paper's Table 1, and what they cost."""

    faces: int
    ssim_e: float
    ssim_d: float
    cosine: float
    worst: float
    """The lowest cosine"""
    steps: float
    seconds: float


@dataclass(frozen=True)
class Made:
    """Encrypted chips, measured on the files they were saved in."""

    faces: Pixels
    chips: Pixels
    restored: Pixels
    cosine: NDArray[np.float64]
    ssim_e: NDArray[np.float64]
    ssim_d: NDArray[np.float64]
    steps: NDArray[np.float64]
    seconds: NDArray[np.float64]
    """Processor time, of one thread"""

    def figures(self) -> Table1:
        """The means over all faces."""
        return Table1(
            faces=len(self.chips),
            ssim_e=float(self.ssim_e.mean()),
            ssim_d=float(self.ssim_d.mean()),
            cosine=float(self.cosine.mean()),
            worst=float(self.cosine.min()),
            steps=float(self.steps.mean()),
            seconds=float(self.seconds.mean()),
        )


@dataclass(frozen=True)
class AvpSetting:
    """Everything that the parts share."""

    out: Path
    size: AvpSize
    people: People
    recognizers: dict[str, Recognizer]
    """The first takes part in everything"""
    thresholds: dict[str, float]
    """The cosine from which each of them says "same", from LFW's pairs"""
    judge: str
    """Another recognizer where there is one, to look at what attackers restored"""
    fingerprint: str
    """Of LFW"""
    keys: Keys
    say: Callable[[str], None]

    @property
    def main(self) -> Recognizer:
        """The first recognizer."""
        return next(iter(self.recognizers.values()))

    @property
    def watching(self) -> tuple[Watching, float]:
        """The judge, ready for the first recognizer's chips, and its threshold."""
        judge = self.recognizers[self.judge]
        return Watching(judge, self.main.spec), self.thresholds[self.judge]


@dataclass(frozen=True)
class Watching:
    """A recognizer that is fed with the chips of another."""

    recognizer: Recognizer
    cut: Spec

    def embed_pixels(self, chips: Pixels) -> NDArray[np.float32]:
        """Embeddings of chips that were cut for the other."""
        return self.recognizer.embed_pixels(seen_by(chips, self.cut, self.recognizer.spec))


def made(setting: AvpSetting, name: str, way: Way, faces: Pixels, recognizer: Recognizer) -> Made:
    """Encrypt faces, or read what an earlier run encrypted under this `name` by the same search.

    Each chip is a PNG in `out`/chips; everything is measured on what these files hold.
    """
    signature = hashlib.sha256(repr(way.search).encode()).hexdigest()[:8]
    folder = setting.out / "chips" / f"{name}-{signature}"
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(faces), TOGETHER):
        numbers = range(start, min(start + TOGETHER, len(faces)))
        missing = [number for number in numbers if not (folder / f"{number:05d}.json").is_file()]
        if missing:
            began = time.process_time()
            found = way.encrypt(faces[missing], partial(resemblance, [recognizer]))
            each = (time.process_time() - began) / sum(one.steps for one in found)
            for number, one in zip(missing, found, strict=True):
                Image.fromarray(one.pixels).save(folder / f"{number:05d}.png")
                note = {"steps": one.steps, "seconds": one.steps * each}
                (folder / f"{number:05d}.json").write_text(json.dumps(note))
        if len(faces) > 4 * TOGETHER and start % (10 * TOGETHER) == 0:
            setting.say(f"{name}: {numbers.stop} of {len(faces)}")
    chips = np.stack([np.asarray(Image.open(folder / f"{number:05d}.png")) for number in range(len(faces))])
    notes = [json.loads((folder / f"{number:05d}.json").read_text()) for number in range(len(faces))]
    return measured(faces, chips, way.decrypt(chips), recognizer, notes)


def measured(
    faces: Pixels,
    chips: Pixels,
    restored: Pixels,
    recognizer: Recognizer,
    notes: Sequence[dict[str, float]],
) -> Made:
    """Compare chips and what came back of them with the faces."""
    return Made(
        faces=faces,
        chips=chips,
        restored=restored,
        cosine=cosines(recognizer.embed_pixels(chips), recognizer.embed_pixels(faces)),
        ssim_e=np.array([ssim(a, b) for a, b in zip(chips, faces, strict=True)]),
        ssim_d=np.array([ssim(a, b) for a, b in zip(restored, faces, strict=True)]),
        steps=np.array([note["steps"] for note in notes]),
        seconds=np.array([note["seconds"] for note in notes]),
    )


def seen_by(chips: Pixels, cut: Spec, other: Spec) -> Pixels:
    """Chips that were cut for one recognizer as another one's chips."""
    look = view(cut, other)
    with torch.no_grad():
        return to_pixels(look(to_planes(chips).float()))


def portrait_chip(spec: Spec) -> Pixels:
    """NASA's portrait as a recognizer wants it, (1, height, width, 3)."""
    return to_pixels(sample_chip(spec))


def some_faces(setting: AvpSetting, count: int) -> Pixels:
    """The first enrolled faces as the first recognizer wants them."""
    people = setting.people
    return people.probes.at(people.enrolled[:count]).chips(setting.main.spec)

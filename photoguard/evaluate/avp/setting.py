"""What the parts of AVP's evaluation share: faces, recognizers, keys, and encrypted chips on disk."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from PIL import Image

from photoguard.evaluate.common.metrics import cosines, ssim
from photoguard.methods.avp.target import resemblance, view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from photoguard.evaluate.avp.keys import Keys
    from photoguard.evaluate.avp.people import Crowd, People
    from photoguard.evaluate.avp.ways import Aim
    from photoguard.evaluate.common.networks import Training
    from photoguard.evaluate.ddm.covers import Pixels
    from photoguard.methods.avp.search import Fast, Found
    from photoguard.recognizers import Recognizer, Spec

BATCH = 8  # faces in one search


@dataclass(frozen=True)
class Size:
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


class Way(Protocol):
    """One way of encrypting chips for a recognizer, and of undoing it."""

    @property
    def search(self) -> Fast:
        """How it searches."""
        ...

    def encrypt(self, faces: Pixels, aim: Aim) -> list[Found]:
        """Search for each face (N, H, W, 3) a picture that the target of `aim` takes for it."""
        ...

    def decrypt(self, chips: Pixels) -> Pixels:
        """What the owner's key gives back of saved chips."""
        ...


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

    def figures(self) -> dict[str, float]:
        """The columns of Table 1, and what they cost."""
        return {
            "faces": len(self.chips),
            "ssim_e": float(self.ssim_e.mean()),
            "ssim_d": float(self.ssim_d.mean()),
            "cosine": float(self.cosine.mean()),
            "worst": float(self.cosine.min()),
            "steps": float(self.steps.mean()),
            "seconds": float(self.seconds.mean()),
        }


@dataclass(frozen=True)
class Setting:
    """Everything that the parts share."""

    out: Path
    size: Size
    people: People
    read: dict[str, Recognizer]
    """The recognizers; the first takes part in everything"""
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
        return next(iter(self.read.values()))

    @property
    def watching(self) -> tuple[Watching, float]:
        """The judge, ready for the first recognizer's chips, and its threshold."""
        judge = self.read[self.judge]
        return Watching(judge, self.main.spec), self.thresholds[self.judge]


@dataclass(frozen=True)
class Watching:
    """A recognizer that is fed with the chips of another."""

    recognizer: Recognizer
    cut: Spec

    def embed_pixels(self, chips: Pixels) -> NDArray[np.float32]:
        """Embeddings of chips that were cut for the other."""
        return self.recognizer.embed_pixels(seen_by(chips, self.cut, self.recognizer.spec))


def made(setting: Setting, name: str, way: Way, faces: Pixels, recognizer: Recognizer) -> Made:
    """Encrypt faces, or read what an earlier run encrypted under this `name` by the same search.

    Each chip is a PNG in `out`/chips; everything is measured on what these files hold.
    """
    signature = hashlib.sha256(repr(way.search).encode()).hexdigest()[:8]
    folder = setting.out / "chips" / f"{name}-{signature}"
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(faces), BATCH):
        numbers = range(start, min(start + BATCH, len(faces)))
        missing = [number for number in numbers if not (folder / f"{number:05d}.json").is_file()]
        if missing:
            began = time.process_time()
            found = way.encrypt(faces[missing], partial(resemblance, [recognizer]))
            each = (time.process_time() - began) / sum(one.steps for one in found)
            for number, one in zip(missing, found, strict=True):
                Image.fromarray(one.pixels).save(folder / f"{number:05d}.png")
                note = {"steps": one.steps, "seconds": one.steps * each}
                (folder / f"{number:05d}.json").write_text(json.dumps(note))
        if len(faces) > 4 * BATCH and start % (10 * BATCH) == 0:
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
        shown = look(tensor(chips)).round().clamp(0, 255)
    return pixels(shown)


def tensor(pictures: Pixels) -> torch.Tensor:
    """(N, H, W, 3) of 8 bits to (N, 3, H, W) of 0..255."""
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32))


def pixels(pictures: torch.Tensor) -> Pixels:
    """And back, rounded."""
    whole = pictures.detach().round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(whole.permute(0, 2, 3, 1).cpu().numpy())

"""The faces that the attacks are run on: LFW's middle, 128x128, by person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from photoguard.evaluate.lfw import landmarks, usual_landmarks
from photoguard.recognizers import Spec, chip_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from photoguard.evaluate.lfw import Lfw, Progress

SIDE = 128


@dataclass(frozen=True)
class Faces:
    """Faces cut out at their own resolution, where their landmarks lie, and whose they are."""

    pixels: NDArray[np.uint8]
    """(N, 128, 128, 3)"""
    landmarks: NDArray[np.float64]
    """(N, 5, 2), in pixels of the cut-out"""
    labels: NDArray[np.int64]
    """(N,): 0 .. people - 1"""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def people(self) -> int:
        """How many there are."""
        return int(self.labels.max()) + 1

    def chips(self, spec: Spec, pixels: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """The faces, or covers in their place, aligned as a recognizer wants them.

        The attacker is given the true landmarks, which the covers themselves would not show him.
        """
        shown = self.pixels if pixels is None else pixels
        return np.stack([chip_for(spec, face, at) for face, at in zip(shown, self.landmarks, strict=True)])

    def at(self, index: NDArray[np.int64]) -> Faces:
        """Some of them."""
        return Faces(self.pixels[index], self.landmarks[index], self.labels[index])


def closed_set(
    lfw: Lfw,
    people: int | None = None,
    per_person: int | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Faces:
    """Everyone with at least ten photos (158 people in LFW), or the first `people` of them by name."""
    chosen = list(lfw.people(at_least=10).values())[:people]
    names = [name for photos in chosen for name in photos[:per_person]]
    labels = [label for label, photos in enumerate(chosen) for _ in photos[:per_person]]
    return named(lfw, names, labels, cache, progress)


def named(
    lfw: Lfw,
    names: Sequence[str],
    labels: Sequence[int],
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Faces:
    """The faces of pictures by name."""
    points = landmarks(lfw, names, cache, progress)
    cuts, moved = [], []
    for name, at in zip(names, points, strict=True):
        picture = lfw.picture(name)
        center = usual_landmarks(picture.shape[1]).mean(0)
        left, top = (int(v) for v in (center - [SIDE / 2, SIDE / 2 + 8]).round())  # 8: more brow than chin
        cuts.append(picture[top : top + SIDE, left : left + SIDE])
        moved.append(at - [left, top])
    return Faces(np.stack(cuts), np.stack(moved), np.asarray(labels, np.int64))


def attackers_own(faces: Faces) -> NDArray[np.bool_]:
    """Which faces an attacker learns from, (N,): four fifths of the people, all but two at most."""
    return np.asarray(faces.labels < min(round(faces.people * 0.8), faces.people - 2))


def tenth(labels: NDArray[np.int64], number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices for training and testing: one tenth of every person is tested, another for each `number`."""
    order = np.random.default_rng(0).permutation(len(labels))
    test: list[int] = []
    for label in np.unique(labels):
        mine = order[labels[order] == label]
        size = max(len(mine) // 10, 1)
        start = number * size % max(len(mine) - size + 1, 1)
        test += mine[start : start + size].tolist()
    chosen = np.zeros(len(labels), bool)
    chosen[test] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)

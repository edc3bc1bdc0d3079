"""The faces that the attacks are run on: LFW's middle, 128x128, by person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from photoguard.evaluate.common.lfw import found_landmarks, landmarks, usual_landmarks
from photoguard.recognizers import Spec, chip_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from photoguard.evaluate.common.lfw import Lfw, Progress

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
        """The faces, or pictures in their place, aligned by the landmarks as a recognizer wants them."""
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
        left, top = _corner(usual_landmarks(picture.shape[1]))
        cuts.append(picture[top : top + SIDE, left : left + SIDE])
        moved.append(at - [left, top])
    return Faces(np.stack(cuts), np.stack(moved), np.asarray(labels, np.int64))


def _corner(usual: NDArray[np.float64]) -> tuple[int, int]:
    """Column and row of a picture at which the cut-out begins; 8: more brow than chin."""
    left, top = (usual.mean(0) - [SIDE / 2, SIDE / 2 + 8]).round()
    return int(left), int(top)


def as_seen(faces: Faces, shown: NDArray[np.uint8]) -> Faces:
    """The same people with the landmarks that whoever sees only `shown` finds: the usual ones if none.

    The true landmarks would tell who it is whatever the cover is: scale, turn and place of the aligned face
    alone name LFW's people three times as often as chance.
    """
    usual = (usual_landmarks(250) - _corner(usual_landmarks(250))) * shown.shape[1] / SIDE
    found: dict[bytes, NDArray[np.float64]] = {}  # many covers are the same picture
    points = []
    for picture in shown:
        key = picture.tobytes()
        if key not in found:
            found[key] = found_landmarks(picture, usual)
        points.append(found[key])
    return Faces(faces.pixels, np.stack(points), faces.labels)


def attackers_own(faces: Faces) -> NDArray[np.bool_]:
    """Which faces an attacker learns from, (N,): four fifths of the people, all but two at most."""
    return np.asarray(faces.labels < min(round(faces.people * 0.8), faces.people - 2))


def test_tenth(labels: NDArray[np.int64], number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
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

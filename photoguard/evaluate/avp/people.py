"""Who takes part in AVP's evaluation: the paper's protocol on LFW (Sec. 4.1), whole or in a smaller size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from photoguard.errors import UnreadableError
from photoguard.evaluate.common.faces import Faces
from photoguard.evaluate.common.lfw import landmarks, person_of
from photoguard.evaluate.common.metrics import Interval, proportion

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from photoguard.evaluate.common.lfw import Lfw, Progress

    Embeddings = NDArray[np.float32]

PROBES, AT_LEAST = 12, 13  # twelve people with more than twelve photos each


@dataclass(frozen=True)
class Crowd:
    """How many take part; None is all there are."""

    per_person: int | None
    """Photos of each of the twelve."""
    enrolled: int | None
    """Of these, how many take their turn in the gallery."""
    pairs: int
    """Verification pairs of other people, half of them of one person; their photos are the gallery."""
    gallery: int | None
    """Photos of other people in the gallery for AVP-ALL, where each must be encrypted."""


@dataclass(frozen=True)
class People:
    """The faces, as whole pictures with their landmarks."""

    probes: Faces
    enrolled: NDArray[np.int64]
    """Which of the probes take their turn in the gallery"""
    others: Faces
    """Everybody else who takes part: the gallery"""
    pairs: tuple[tuple[int, int, bool], ...]
    """Verification pairs, by number among the others"""
    encrypted: NDArray[np.int64]
    """Which of the others are there in encrypted form too"""


def people_of(
    lfw: Lfw, crowd: Crowd, seed: int = 0, cache: Path | None = None, progress: Progress | None = None
) -> People:
    """Twelve people drawn by lot, and the others."""
    many = lfw.people(at_least=AT_LEAST)
    if len(many) < PROBES:
        raise UnreadableError(
            f"only {len(many)} people in {lfw.path} have {AT_LEAST} photos", "AVP's protocol needs twelve"
        )
    rng = np.random.default_rng([seed, PROBES])
    chosen = sorted(rng.choice(sorted(many), PROBES, replace=False).tolist())
    probes = [name for person in chosen for name in many[person][: crowd.per_person]]
    turns = [count for person in chosen for count in range(len(many[person][: crowd.per_person]))]
    labels = [chosen.index(person_of(name)) for name in probes]
    enrolled = [at for at, turn in enumerate(turns) if crowd.enrolled is None or turn < crowd.enrolled]
    pairs = _pairs(lfw, set(chosen), crowd.pairs)
    if crowd.gallery is None:
        others = [name for name in lfw.names if person_of(name) not in chosen]
    else:
        others = sorted({name for pair in pairs for name in pair[:2]})
    number = {name: at for at, name in enumerate(others)}
    count = len(others) if crowd.gallery is None else min(crowd.gallery, len(others))
    known = {person: at for at, person in enumerate(sorted({person_of(name) for name in others}))}
    return People(
        probes=whole(lfw, probes, labels, cache, progress),
        enrolled=np.array(enrolled, np.int64),
        others=whole(lfw, others, [known[person_of(name)] for name in others], cache, progress),
        pairs=tuple((number[first], number[second], same) for first, second, same in pairs),
        encrypted=np.sort(rng.permutation(len(others))[:count]),
    )


def _pairs(lfw: Lfw, excluded: set[str], count: int) -> list[tuple[str, str, bool]]:
    """Pairs of LFW without these people, evenly from all folds, as many of one person as of two."""
    found = [
        (pair.first, pair.second, pair.same)
        for fold in lfw.folds
        for pair in fold
        if not {person_of(pair.first), person_of(pair.second)} & excluded
    ]
    half = [[pair for pair in found if pair[2] == same] for same in (True, False)]
    wanted = min(count // 2, *map(len, half))
    return [group[at] for group in half for at in np.linspace(0, len(group) - 1, wanted).astype(int)]


def whole(
    lfw: Lfw,
    names: list[str],
    labels: list[int],
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Faces:
    """Pictures as they are, so that a chip of any recognizer can be cut without an edge."""
    points = landmarks(lfw, names, cache, progress)
    return Faces(np.stack([lfw.picture(name) for name in names]), points, np.asarray(labels, np.int64))


@dataclass(frozen=True)
class Named:
    """How often the right person came first."""

    accuracy: Interval
    hits: int
    tests: int


def identified(people: People, probes: Embeddings, enrolled: Embeddings, gallery: Embeddings) -> Named:
    """Sec. 4.1: each enrolled photo joins the gallery in turn, and its person's other photos look for it.

    `probes` are the embeddings of all probe photos, `enrolled` those of what stands for the enrolled ones,
    and `gallery` those of the others, the latter two open or encrypted.
    """
    best_other = (probes @ gallery.T).max(1)
    own = probes @ enrolled.T  # (probes, enrolled)
    tested = people.probes.labels[:, None] == people.probes.labels[people.enrolled][None]
    tested[people.enrolled, np.arange(len(people.enrolled))] = False  # a photo does not look for itself
    hits = int(((own > best_other[:, None]) & tested).sum())
    return Named(proportion(hits, int(tested.sum())), hits, int(tested.sum()))

"""Whether a recognizer recognizes: the verification pairs of LFW, ten folds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from photoguard.evaluate.common.lfw import Lfw, landmarks, open_lfw
from photoguard.evaluate.common.metrics import Verification, cosines, verification
from photoguard.recognizers import Recognizer, chip_for, load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from photoguard.evaluate.common.lfw import Progress

BATCH = 64


def check(
    name: str,
    lfw: Path,
    folds: int = 10,
    cache: Path | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Verification:
    """LFW verification by the installed recognizer `name`, on the first `folds` of the ten folds.

    The first run looks for the landmarks of every picture (minutes) and keeps them in `cache`.
    """
    return check_recognizer(load(name, folder), open_lfw(lfw), folds, cache, progress)


def check_recognizer(
    recognizer: Recognizer,
    lfw: Lfw,
    folds: int = 10,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Verification:
    """The same for a recognizer and an LFW that are already open."""
    chosen = lfw.folds[:folds]
    names = sorted({name for fold in chosen for pair in fold for name in (pair.first, pair.second)})
    embeddings = dict(zip(names, embedded(recognizer, lfw, names, cache, progress), strict=True))
    scores, same = [], []
    for fold in chosen:
        first = np.stack([embeddings[pair.first] for pair in fold])
        second = np.stack([embeddings[pair.second] for pair in fold])
        scores.append(cosines(first, second))
        same.append(np.array([pair.same for pair in fold]))
    return verification(scores, same)


def embedded(
    recognizer: Recognizer,
    lfw: Lfw,
    names: Sequence[str],
    cache: Path | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """The embedding of each named picture, (N, D)."""
    points = landmarks(lfw, names, cache, progress)
    parts = []
    for start in range(0, len(names), BATCH):
        some = range(start, min(start + BATCH, len(names)))
        chips = [chip_for(recognizer.spec, lfw.picture(names[i]), points[i]) for i in some]
        parts.append(recognizer.embed_pixels(np.stack(chips), BATCH))
        if progress:
            progress(some.stop, len(names))
    return np.concatenate(parts)

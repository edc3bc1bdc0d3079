"""What is measured, as pure functions of arrays. Pictures are (..., H, W, 3) of 0..255."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from photoguard.nets import similarity
from photoguard.nets.planes import to_planes
from photoguard.photos.psnr import psnr

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Pictures = NDArray[Any]


def mean_psnr(a: Pictures, b: Pictures) -> float:
    """Mean over a stack (N, H, W, 3); a picture that is restored exactly counts as 100 dB."""
    return float(np.mean([min(psnr(x, y), 100.0) for x, y in zip(a, b, strict=True)]))


def ssim(a: Pictures, b: Pictures) -> float:
    """Structural similarity of two pictures: Gaussian window of 11 px, sigma 1.5, mean over the channels."""
    return float(similarity.ssim(*(to_planes(one[None]).double() for one in (a, b))))


def mean_ssim(a: Pictures, b: Pictures) -> float:
    """Mean over a stack (N, H, W, 3)."""
    return float(np.mean([ssim(x, y) for x, y in zip(a, b, strict=True)]))


def ms_ssims(a: Pictures, b: Pictures, batch: int = 64) -> NDArray[np.float64]:
    """Multi-scale structural similarity of each picture of two stacks (N, H, W, 3)."""
    x, y = (to_planes(part) / 255 for part in (a, b))
    with torch.inference_mode():
        parts = [similarity.ms_ssim(x[at : at + batch], y[at : at + batch]) for at in range(0, len(x), batch)]
    return np.asarray(torch.cat(parts).numpy(), np.float64)


def cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Row by row, the cosine between two stacks of embeddings (N, D)."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return np.asarray((x * y).sum(1) / np.maximum(lengths, 1e-12), np.float64)


def balanced_accuracy(truth: Sequence[int] | NDArray[Any], guess: Sequence[int] | NDArray[Any]) -> float:
    """Mean over the classes of the share of each that was guessed right; 1 / classes is chance."""
    truth, guess = np.asarray(truth), np.asarray(guess)
    return float(np.mean([np.mean(guess[truth == label] == label) for label in np.unique(truth)]))


def balanced_interval(truth: NDArray[Any], right: NDArray[Any]) -> Interval:
    """Balanced accuracy with its interval, from each picture's class and how often it was guessed right."""
    shares = [right[truth == label] for label in np.unique(truth)]
    means = np.array([share.mean() for share in shares])
    doubt = np.array([mean * (1 - mean) / len(share) for mean, share in zip(means, shares, strict=True)])
    value, spread = float(means.mean()), 1.96 * math.sqrt(float(doubt.sum())) / len(shares)
    return Interval(value, max(value - spread, 0.0), min(value + spread, 1.0))


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether `value` lies in the interval."""
        return self.low <= value <= self.high


def proportion(hits: int, trials: int, confidence: float = 0.95) -> Interval:
    """A share with Wilson's interval, which stays sensible near 0 and for few trials."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = hits / trials
    center = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    return Interval(p, max(center - spread, 0.0), min(center + spread, 1.0))


# Student's t at 97.5 % for 1, 2, ... degrees of freedom; beyond the list the normal value.
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def mean_interval(values: Sequence[float] | NDArray[Any]) -> Interval:
    """The mean of a few runs with Student's interval; of a single run, an interval without width."""
    data = np.asarray(values, np.float64)
    mean, count = float(data.mean()), len(data)
    if count < 2:
        return Interval(mean, mean, mean)
    t = _STUDENT[count - 2] if count - 2 < len(_STUDENT) else 1.96
    spread = t * float(data.std(ddof=1)) / math.sqrt(count)
    return Interval(mean, mean - spread, mean + spread)


@dataclass(frozen=True)
class Verification:
    """Same person or not, decided by the cosine: ten folds, each with the threshold best on the others."""

    accuracy: Interval
    folds: tuple[float, ...]
    threshold: float
    equal_error: float
    pairs: int


def verification(scores: Sequence[NDArray[Any]], same: Sequence[NDArray[Any]]) -> Verification:
    """The LFW protocol on the cosines of each fold and the truth beside them."""
    accuracies, thresholds = [], []
    for number in range(len(scores)):
        rest = [i for i in range(len(scores)) if i != number] or [number]
        threshold = best_threshold(*(np.concatenate([part[i] for i in rest]) for part in (scores, same)))
        accuracies.append(float(np.mean((scores[number] >= threshold) == same[number])))
        thresholds.append(threshold)
    all_scores, all_same = np.concatenate(list(scores)), np.concatenate(list(same))
    return Verification(
        accuracy=mean_interval(accuracies),
        folds=tuple(accuracies),
        threshold=float(np.mean(thresholds)),
        equal_error=equal_error(all_scores, all_same),
        pairs=len(all_scores),
    )


def best_threshold(scores: NDArray[Any], same: NDArray[Any]) -> float:
    """The score from which saying "same" gives the fewest errors."""
    order = np.argsort(scores)[::-1]
    ranked, truth = scores[order], same[order].astype(np.int64)
    # saying "same" to the k best: right on the same ones among them and on the different ones below
    right = np.concatenate([[0], np.cumsum(truth)]) + np.concatenate([[0], np.cumsum(1 - truth)])[-1]
    right = right - np.concatenate([[0], np.cumsum(1 - truth)])
    # a threshold cannot part equal scores: only cuts between different ones are real
    real = np.concatenate([[True], ranked[:-1] != ranked[1:], [True]]) if len(ranked) else np.array([True])
    best = int(np.argmax(np.where(real, right, -1)))
    if best == 0:
        return float(ranked[0]) + 1e-6
    if best == len(ranked):
        return float(ranked[-1])
    return float((ranked[best - 1] + ranked[best]) / 2)


def equal_error(scores: NDArray[Any], same: NDArray[Any]) -> float:
    """The error rate at the threshold where two people pass for one as often as one for two."""
    truth = same.astype(bool)
    cuts = np.unique(scores)
    same_person, others = np.sort(scores[truth]), np.sort(scores[~truth])
    turned_away = np.searchsorted(same_person, cuts, side="left") / max(len(same_person), 1)
    passed = 1 - np.searchsorted(others, cuts, side="left") / max(len(others), 1)
    turned_away, passed = np.append(turned_away, 1.0), np.append(passed, 0.0)
    at = int(np.argmin(np.abs(turned_away - passed)))
    return float((turned_away[at] + passed[at]) / 2)

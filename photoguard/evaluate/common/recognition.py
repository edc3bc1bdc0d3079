"""What attackers try on covers. Each attack gets its own copies and tells in numbers how far it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from photoguard.evaluate.common.faces import Faces, attackers_own, test_tenth
from photoguard.evaluate.common.metrics import (
    Interval,
    cosines,
    mean_psnr,
    mean_ssim,
    proportion,
    verification,
)
from photoguard.evaluate.common.networks import (
    FineTuned,
    PlainCNN,
    Restorer,
    Training,
    as_inputs,
    as_pixels,
    cross_entropy,
    predict,
    train,
)
from photoguard.nets.planes import to_planes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from photoguard.evaluate.common.metrics import Verification
    from photoguard.nets.planes import Pixels
    from photoguard.recognizers import Recognizer

    Load = Callable[[], Recognizer]
    Distance = Callable[[Pixels, Pixels], float]


@dataclass(frozen=True)
class Effort:
    """How much an attacker may spend; `quick` finishes in minutes on two cores."""

    side: int
    """The plain CNN and the restorer see pictures of this side."""
    plain: Training
    strong: Training
    restore: Training
    width: int


FULL = Effort(
    side=128,
    plain=Training(40, 2e-3, shift=6, flip=True),
    strong=Training(20, 2e-3, shift=2, flip=True),
    restore=Training(40, 2e-3, flip=True),
    width=64,
)
QUICK = Effort(
    side=64,
    plain=Training(16, 3e-3, shift=3, flip=True),
    strong=Training(6, 2e-3, shift=2, flip=True),
    restore=Training(10, 3e-3, flip=True),
    width=32,
)


@dataclass(frozen=True)
class Recognition:
    """How often the right one of the people was named."""

    accuracy: Interval
    runs: tuple[float, ...]
    people: int
    blind: float
    """Accuracy of always naming whoever has most photos, without a look at the picture."""

    @property
    def chance(self) -> float:
        """Accuracy of drawing a name from a hat."""
        return 1 / self.people

    @property
    def times_chance(self) -> float:
        """The accuracy as a multiple of that."""
        return self.accuracy.value / self.chance

    @property
    def above_chance(self) -> bool:
        """Whether the picture told anything: beyond both kinds of guessing by more than the interval."""
        return self.accuracy.low > max(self.chance, self.blind)


@dataclass(frozen=True)
class Standard:
    """The scale that makes the most of what covers show, learned from the attacker's own copies.

    Covers that differ by one gray level from each other are as good as any once their common picture is taken
    away and the rest is amplified.
    """

    middle: NDArray[np.float32]
    """(H, W, 3) or (3,)"""
    spread: NDArray[np.float32]

    def __call__(self, covers: Pixels) -> NDArray[np.float32]:
        """(N, H, W, 3) of 0..255 to (N, 3, H, W) of about unit variance."""
        scaled = (covers.astype(np.float32) - self.middle) / self.spread
        return np.ascontiguousarray(to_planes(scaled).numpy(), np.float32)

    def as_pixels(self, covers: Pixels) -> NDArray[np.float32]:
        """The same for a recognizer, which wants about the contrast of faces: (N, 3, H, W) around 127.5."""
        return 127.5 + 60 * self(covers)


def standard(covers: Pixels) -> Standard:
    """Mean and spread of each channel; of each pixel where the covers have most of their look in common."""
    some = covers[:: max(len(covers) // 500, 1)].astype(np.float32)
    common = some.mean(0)
    total, own = float(some.std()), float((some - common).std())
    if own < 0.3 * total or total < 1:
        return Standard(common, np.full(3, max(own, 0.25), np.float32))
    return Standard(some.mean((0, 1, 2)), np.maximum(some.std((0, 1, 2)), 0.25))


def _sized(covers: Pixels, side: int) -> Pixels:
    if covers.shape[1] == side:
        return covers
    return np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in covers])


def _recognition(hits: list[int], counts: list[int], labels: NDArray[np.int64], people: int) -> Recognition:
    """The runs test on different tenths, so their questions add up."""
    blind = float(np.bincount(labels).max() / len(labels))
    runs = tuple(hit / count for hit, count in zip(hits, counts, strict=True))
    return Recognition(proportion(sum(hits), sum(counts)), runs, people, blind)


def plain_cnn(
    covers: Pixels, labels: NDArray[np.int64], effort: Effort, seeds: int, device: str
) -> Recognition:
    """Table 1: a convolutional network trained on nine tenths of each person's covers, tested on the rest."""
    people = int(labels.max()) + 1
    small = _sized(covers, effort.side)
    hits, counts = [], []
    for seed in range(seeds):
        seen, unseen = test_tenth(labels, seed)
        scale = standard(small[seen])
        torch.manual_seed(seed)
        net = PlainCNN(people, effort.width)
        train(net, scale(small[seen]), labels[seen], cross_entropy, effort.plain, seed, device)
        guesses = predict(net, scale(small[unseen]), device).argmax(1)
        hits.append(int((guesses == labels[unseen]).sum()))
        counts.append(len(unseen))
    return _recognition(hits, counts, labels, people)


@dataclass(frozen=True)
class Strong:
    """Table 2: what a pretrained recognizer makes of covers once it was trained on them."""

    closed: Recognition
    open_set: Verification | None


def strong_recognizer(
    covers: Pixels,
    faces: Faces,
    load: Load,
    effort: Effort,
    seeds: int,
    device: str,
    pairs: tuple[Pixels, Faces, Sequence[tuple[int, int, bool]]] | None = None,
) -> Strong:
    """A recognizer fine-tuned on nine tenths of each person's covers: named people, and `pairs` of others.

    `pairs` are covers and faces of people who are not among `faces`, and the pairs by index.
    """
    hits, counts, opened = [], [], None
    for seed in range(seeds):
        seen, unseen = test_tenth(faces.labels, seed)
        recognizer = load().to(device)
        chips = faces.chips(recognizer.spec, covers)
        scale = standard(chips[seen])
        torch.manual_seed(seed)
        net = FineTuned(recognizer.embed, recognizer.net, recognizer.spec.embedding, faces.people)
        inputs = scale.as_pixels(chips[seen])
        train(net, inputs, faces.labels[seen], cross_entropy, effort.strong, seed, device)
        guesses = predict(net, scale.as_pixels(chips[unseen]), device).argmax(1)
        hits.append(int((guesses == faces.labels[unseen]).sum()))
        counts.append(len(unseen))
        if pairs and seed == 0:
            shown = scale.as_pixels(pairs[1].chips(recognizer.spec, pairs[0]))
            opened = verified(predict(net.embed, shown, device), pairs[2])
    return Strong(_recognition(hits, counts, faces.labels, faces.people), opened)


def verified(embeddings: NDArray[np.float32], pairs: Sequence[tuple[int, int, bool]]) -> Verification:
    """Same or not, on pairs of rows; ten folds, drawn by lot but the same each time, as many of each in all.

    Cosines are rounded: one picture in two batches has embeddings that differ in the last digit, and as a
    person's pictures lie side by side, that digit would tell.
    """
    first, second, same = (np.array(column) for column in zip(*pairs, strict=True))
    scores = cosines(embeddings[first], embeddings[second]).round(4)
    lot, count = np.random.default_rng(0), max(min(10, len(pairs) // 2), 1)
    halves = [np.array_split(lot.permutation(np.flatnonzero(same == truth)), count) for truth in (0, 1)]
    folds = [np.concatenate(parts) for parts in zip(*halves, strict=True)]
    return verification([scores[fold] for fold in folds], [same[fold].astype(bool) for fold in folds])


def person_centers(faces: Faces, recognizer: Recognizer) -> NDArray[np.float32]:
    """The mean embedding of each person's open photos as a unit vector, (people, D)."""
    known = recognizer.embed_pixels(faces.chips(recognizer.spec))
    means = np.stack([known[faces.labels == label].mean(0) for label in range(faces.people)])
    return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9), np.float32)


def unretrained(
    covers: Pixels, faces: Faces, recognizer: Recognizer, centers: NDArray[np.float32], seed: int = 0
) -> Recognition:
    """Table 3: covers of one tenth named by a recognizer that knows the people's open photos as `centers`."""
    _, unseen = test_tenth(faces.labels, seed)
    asked = recognizer.embed_pixels(faces.at(unseen).chips(recognizer.spec, covers[unseen]))
    hits = int(((asked @ centers.T).argmax(1) == faces.labels[unseen]).sum())
    return _recognition([hits], [len(unseen)], faces.labels, faces.people)


@dataclass(frozen=True)
class RestoredFaces:
    """How near a decoder trained on pairs of cover and face came to faces of people it had not seen."""

    psnr: float
    ssim: float
    perceptual: float | None
    """Mean distance of a network's feature maps; None without such a network."""
    cosine: float
    """Between a recognizer's embeddings of the restored and of the true face."""
    stranger: float
    """The same between the restored and somebody else's true face: what looking like a face is worth."""
    sample: Pixels


def restoring_decoder(
    covers: Pixels,
    faces: Faces,
    recognizer: Recognizer,
    effort: Effort,
    device: str,
    distance: Distance | None = None,
    seed: int = 0,
) -> RestoredFaces:
    """Train a decoder on the covers of four fifths of the people, and restore the others."""
    mine = attackers_own(faces)
    small, truth = _sized(covers, effort.side), _sized(faces.pixels, effort.side)
    scale = standard(small[mine])
    torch.manual_seed(seed)
    net = Restorer(width=effort.width // 2)
    train(net, scale(small[mine]), as_inputs(truth[mine]), F.mse_loss, effort.restore, seed, device)
    restored = as_pixels(predict(net, scale(small[~mine]), device))
    return compared(restored, truth[~mine], faces.at(np.flatnonzero(~mine)), recognizer, distance)


def compared(
    restored: Pixels, truth: Pixels, faces: Faces, recognizer: Recognizer, distance: Distance | None
) -> RestoredFaces:
    """RestoredFaces faces beside the true ones, in pixels and in a recognizer's eyes."""
    full = _sized_up(restored, faces.pixels.shape[1])
    theirs = recognizer.embed_pixels(faces.chips(recognizer.spec, full))
    true = recognizer.embed_pixels(faces.chips(recognizer.spec))
    others = np.array([np.flatnonzero(faces.labels != label)[0] for label in faces.labels])
    return RestoredFaces(
        psnr=mean_psnr(restored, truth),
        ssim=mean_ssim(restored, truth),
        perceptual=distance(restored, truth) if distance else None,
        cosine=float(cosines(theirs, true).mean()),
        stranger=float(cosines(theirs, true[others]).mean()),
        sample=restored[:6],
    )


def _sized_up(pictures: Pixels, side: int) -> Pixels:
    if pictures.shape[1] == side:
        return pictures
    return np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_CUBIC) for one in pictures])

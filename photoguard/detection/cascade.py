"""MTCNN on one photo: scan all places and sizes, refine, decide, look again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from photoguard.detection.candidates import (
    MTCNN,
    Array,
    Candidates,
    found,
    logit,
    moved,
    sigmoid,
    squared,
    suppress,
)
from photoguard.detection.networks import O_SIDE, P_CELL, P_STRIDE, R_SIDE, Networks
from photoguard.detection.pyramid import Halvings, Pixels, continued, crops, levels

TILE = (256, 512)  # rows, columns scanned at once: what P-Net computes from them stays in a core's cache
SHARED = P_CELL - P_STRIDE  # pixels that neighboring tiles share, so that no 12 x 12 window is left out
BATCH = 64  # crops at once


@dataclass(frozen=True)
class Sieve:
    """How finely the photo is scanned, and the lowest scores that pass on the way to `look_again`.

    Of a large photo's candidates nine in ten are tiny and none of them a face, and R-Net's look at each
    costs as much as P-Net's at 600 pixels; so the two finest sizes of the pyramid have their own bar. What
    falls through here CenterFace may still see: with lower bars no more faces were found on the hard photos.
    """

    factor: float  # from one size of the pyramid to the next; 0.71 halves the area, 0.6 saves a quarter of it
    finest: float
    propose: float
    refine: float
    decide: float


SIEVES = {  # by whether the photo is turned, and whether the look is thorough
    (False, False): Sieve(0.63, 0.9, 0.7, 0.6, 0.3),
    (True, False): Sieve(
        0.6, 0.95, 0.9, 0.6, 0.3
    ),  # only what scores high is accepted: little else need pass
    (False, True): Sieve(0.66, 0.7, 0.5, 0.4, 0.2),
    (True, True): Sieve(0.6, 0.95, 0.85, 0.5, 0.2),
}

# Evidence at which a candidate is as often a face as not: there the score is 0.5.
EVEN = 2.5
VOTE = 8.0  # logits further out say nothing more, and must not outvote the other views


def find(photo: Halvings, nets: Networks, min_face: float, sieve: Sieve) -> Candidates:
    """Everything on the photo as it stands that resembles an upright face."""
    boxes = refine(photo, nets, propose(photo, nets, min_face, sieve), sieve.refine)
    return look_again(photo, nets, decide(photo, nets, boxes, sieve.decide))


def propose(photo: Halvings, nets: Networks, min_face: float, sieve: Sieve) -> Array:
    """Square boxes (N, 4) that P-Net finds worth a closer look.

    No suppression between sizes: neighbors differ so much that it drops two candidates in a hundred.
    """
    largest = P_CELL / min_face
    fine = largest * sieve.factor**1.5

    def scan(tile: tuple[Pixels, int, int, float]) -> Array:
        picture, left, top, scale = tile
        boxes = scan_tile(picture, nets, sieve.finest if scale > fine else sieve.propose)
        placed: Array = (boxes + np.array([left, top, left, top])) / scale
        return placed

    return squared(
        np.concatenate([np.empty((0, 4)), *nets.workers.map(scan, _tiles(photo, largest, sieve.factor))])
    )


def _tiles(photo: Halvings, scale: float, factor: float) -> Iterator[tuple[Pixels, int, int, float]]:
    """Every part of every size of the photo, with even sides: pixels, left, top, scale."""
    rows, columns = TILE
    for picture, exact in levels(photo, scale, factor, P_CELL):
        whole = continued(picture, P_CELL // 2, 2)
        height, width = whole.shape[:2]
        for top in range(0, height - SHARED, rows - SHARED):
            for left in range(0, width - SHARED, columns - SHARED):
                tile = whole[top : top + rows, left : left + columns]
                yield tile, left - P_CELL // 2, top - P_CELL // 2, exact


def scan_tile(tile: Pixels, nets: Networks, threshold: float) -> Array:
    """P-Net's boxes (N, 4) on one small picture, local maxima only."""
    places, offsets = nets.propose(tile, threshold)
    corner = places[:, ::-1] * P_STRIDE
    return moved(np.concatenate([corner, corner + P_CELL], axis=1), offsets)


def refine(photo: Halvings, nets: Networks, boxes: Array, threshold: float) -> Array:
    """R-Net keeps the better of the candidates and moves them: square boxes (N, 4)."""
    logits, offsets = run_refine(photo, nets, boxes)
    kept = logits > logit(np.array(threshold))
    boxes, logits, offsets = boxes[kept], logits[kept], offsets[kept]
    chosen = suppress(boxes, logits, 0.7)
    return squared(moved(boxes[chosen], offsets[chosen]))


def run_refine(photo: Halvings, nets: Networks, boxes: Array) -> tuple[Array, Array]:
    """R-Net's logits (N,) and offsets (N, 4) for square boxes (N, 4)."""

    def run(part: Array) -> tuple[Array, Array]:
        return nets.refine(crops(photo, part, R_SIDE))

    logits, offsets = zip(*nets.workers.map(run, _batches(boxes)), strict=True)
    return np.concatenate(logits), np.concatenate(offsets)


def decide(photo: Halvings, nets: Networks, boxes: Array, threshold: float) -> Array:
    """O-Net keeps the better of the candidates and puts tight boxes (N, 4) around them."""
    logits, offsets, _ = run_decide(photo, nets, boxes)
    kept = logits > logit(np.array(threshold))
    boxes, logits = moved(boxes[kept], offsets[kept]), logits[kept]
    return boxes[suppress(boxes, logits, 0.7, of_smaller=True)]


def look_again(photo: Halvings, nets: Networks, boxes: Array) -> Candidates:
    """Judge tight boxes (N, 4) by several views of each: as it is, mirrored, a little closer and farther.

    A face stays a face in all of them; a texture that resembles one by chance does not. R-Net, which
    looks at coarser features, has half a vote.
    """
    squares = squared(boxes)
    sides = np.tile(squares[:, 2:] - squares[:, :2], 2)
    closer, farther = (squares + sides * np.array([d, d, -d, -d]) for d in (0.05, -0.05))
    views = [squares, squares[:, [2, 1, 0, 3]], closer, farther]  # right edge before the left: mirrored
    stacked = np.concatenate(views)
    logits, offsets, landmarks = run_decide(photo, nets, stacked)
    coarse, _ = run_refine(photo, nets, stacked)
    votes = np.clip(logits, -VOTE, VOTE) + np.clip(coarse, -VOTE, VOTE) / 2
    evidence = votes.reshape(len(views), -1).mean(axis=0)
    count = len(boxes)
    tight = moved(squares, offsets[:count])
    points = squares[:, None, :2] + landmarks[:count] * sides[:, None, :2]
    return found(tight, sigmoid(evidence - EVEN), points, MTCNN)


def run_decide(photo: Halvings, nets: Networks, boxes: Array) -> tuple[Array, Array, Array]:
    """O-Net's logits (N,), offsets (N, 4) and landmarks (N, 5, 2) in sides of the square boxes (N, 4)."""

    def run(part: Array) -> tuple[Array, Array, Array]:
        return nets.decide(crops(photo, part, O_SIDE))

    logits, offsets, landmarks = zip(*nets.workers.map(run, _batches(boxes)), strict=True)
    return np.concatenate(logits), np.concatenate(offsets), np.concatenate(landmarks)


def _batches(boxes: Array) -> list[Array]:
    return [boxes[start : start + BATCH] for start in range(0, max(len(boxes), 1), BATCH)]

"""Two detectors, one answer: each judges what the other found, and one score means the same for both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from photoguard.detection import cascade
from photoguard.detection.candidates import (
    CENTERFACE,
    MTCNN,
    Array,
    Candidates,
    joined,
    logit,
    same_face,
    sigmoid,
    visible,
)
from photoguard.detection.networks import Networks
from photoguard.detection.pyramid import Halvings

# Fitted by logistic regression on the tuning half of the hard photos and of the face-free ones
# (benchmarks/detection_fit.py): how much a unit of either detector's log-odds says. Where CenterFace sees
# nothing it counts as `LOWEST`.
WEIGHT = {MTCNN: 0.25, CENTERFACE: 1.45}
BIAS = 1.33
# Not fitted but chosen, so that doubt covers: half a face convinces both less. By so much it needs a score of
# 0.15 where others need 0.25; on the tuning half that finds more cut faces.
CUT = 0.64  # log-odds
LOWEST = 0.1  # CenterFace's own score from which MTCNN is asked about what it saw
FARTHEST = 8.0  # MTCNN's log-odds further out say nothing more


def vote(
    photo: Halvings, nets: Networks, mtcnn: Candidates, center: Candidates, smallest: float
) -> Candidates:
    """One list of both detectors' candidates on the photo as it stands, with scores from both.

    A face smaller than `smallest` CenterFace cannot judge: there it can only add to MTCNN's score.
    """
    seen, first, second, sides = opinions(photo, nets, mtcnn, center)
    # MTCNN alone may have seen a piece of something and its mirror image, which resembles a face.
    cut = at_border(seen.boxes, *photo.turned_size) & (seen.finders & CENTERFACE > 0)
    joint = score(first, second, cut)
    small = (sides < smallest) & (seen.finders & MTCNN > 0)
    return replace(seen, scores=np.where(small, np.maximum(joint, first), joint))


def opinions(
    photo: Halvings, nets: Networks, mtcnn: Candidates, center: Candidates
) -> tuple[Candidates, Array, Array, Array]:
    """Both detectors' candidates as one list of N, and (N,) each: MTCNN's score, CenterFace's, and the side.

    The side is MTCNN's where it found the face: the box around both boxes is larger than the face.
    """
    partners = _partners(center, mtcnn)
    both = partners >= 0
    pairs, alone = mtcnn.take(partners[both]), center.take(~both)
    rest = mtcnn.take(np.setdiff1d(np.arange(len(mtcnn)), partners))
    asked = cascade.look_again(photo, nets, alone.boxes).scores
    silent = np.full(len(rest), LOWEST)
    return (
        joined([_together(photo, pairs, center.take(both)), alone, rest]),
        np.concatenate([pairs.scores, asked, rest.scores]),
        np.concatenate([center.scores[both], alone.scores, silent]),
        np.concatenate(
            [(part.boxes[:, 2:] - part.boxes[:, :2]).max(axis=1) for part in (pairs, alone, rest)]
        ),
    )


def at_border(boxes: Array, width: int, height: int) -> NDArray[np.bool_]:
    """(N,) whether a box ends within a pixel of the photo's border or beyond it."""
    return np.asarray((boxes[:, :2] < 1).any(axis=1) | (boxes[:, 2:] > [width - 1, height - 1]).any(axis=1))


def _together(photo: Halvings, mtcnn: Candidates, center: Candidates) -> Candidates:
    """The same N faces found by both: a box around both boxes, since each alone leaves more open.

    Landmarks are MTCNN's, except where its box leaves the photo: there it has seen a mirror image.
    """
    first = np.minimum(mtcnn.boxes, center.boxes)[:, :2]
    last = np.maximum(mtcnn.boxes, center.boxes)[:, 2:]
    inside = visible(mtcnn.boxes, *photo.turned_size) >= 1 - 1e-9
    landmarks = np.where(inside[:, None, None], mtcnn.landmarks, center.landmarks)
    return Candidates(
        np.concatenate([first, last], axis=1),
        mtcnn.scores,
        landmarks,
        mtcnn.rotations,
        mtcnn.finders | center.finders,
    )


def score(mtcnn: Array, center: Array, cut: NDArray[np.bool_]) -> Array:
    """How sure both are together that there is a face, from how sure each is and where the border cuts it."""
    evidence = np.clip(logit(mtcnn), -FARTHEST, FARTHEST)
    return sigmoid(WEIGHT[MTCNN] * evidence + WEIGHT[CENTERFACE] * logit(center) + BIAS + CUT * cut)


def _partners(some: Candidates, others: Candidates) -> NDArray[np.intp]:
    """For each of some the best of the others that is the same face and nobody else's, or -1."""
    free = list(np.argsort(-others.scores, kind="stable"))
    found = np.full(len(some), -1, dtype=np.intp)
    for number in np.argsort(-some.scores, kind="stable"):
        best = next((i for i in free if same_face(some.boxes[number], others.boxes[i])), None)
        if best is not None:
            found[number] = best
            free.remove(best)
    return found

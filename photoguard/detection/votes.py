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
)
from photoguard.detection.networks import Networks
from photoguard.detection.pyramid import Halvings

# Logistic fit on the tuning half of the hard photos and of the face-free ones: how much a unit of either
# detector's log-odds says. CenterFace says nothing of a face below `UNSEEN`, and counts as that much then.
WEIGHT = {MTCNN: 0.3, CENTERFACE: 1.2}
BIAS = 1.29
UNSEEN = 0.08
FARTHEST = 8.0  # log-odds of MTCNN further out say nothing more


def vote(photo: Halvings, nets: Networks, mtcnn: Candidates, center: Candidates) -> Candidates:
    """One list of both detectors' candidates on the photo as it stands, with scores from both."""
    partners = _partners(center, mtcnn)
    both = partners >= 0
    seen = np.full(len(mtcnn), UNSEEN)
    np.maximum.at(seen, partners[both], center.scores[both])
    first = replace(mtcnn, scores=score(mtcnn.scores, seen))
    first.finders[partners[both]] |= CENTERFACE
    alone = center.take(~both)
    second = cascade.look_again(photo, nets, alone.boxes)
    return joined([first, replace(alone, scores=score(second.scores, alone.scores))])


def score(mtcnn: Array, center: Array) -> Array:
    """How sure both are together that there is a face, from how sure each is."""
    evidence = np.clip(logit(mtcnn), -FARTHEST, FARTHEST)
    return sigmoid(WEIGHT[MTCNN] * evidence + WEIGHT[CENTERFACE] * logit(center) + BIAS)


def _partners(some: Candidates, others: Candidates) -> NDArray[np.intp]:
    """For each of some the first of the others that is the same face, or -1."""
    found = [
        next((i for i, other in enumerate(others.boxes) if same_face(box, other)), -1) for box in some.boxes
    ]
    return np.array(found, dtype=np.intp)

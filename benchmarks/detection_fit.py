"""Fit the common score of both detectors: python -m benchmarks.detection_fit --data FOLDER.

Prints the numbers of photoguard/detection/votes.py, and how many of the candidates in each band of
scores are labelled faces, under the numbers of today and under the fitted ones. The photos are those of hard/
and the face-free ones that the benchmark of detection does not count. It takes some minutes.
The lift of faces at the border is not fitted and kept as it is: it is worth a cover, not a likelihood.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import photos
from benchmarks.hard import Boxes, labelled, meets
from benchmarks.photos import Pixels
from photoguard.detection import DetectionSettings, cascade, centerface, search, votes
from photoguard.detection.candidates import CENTERFACE, MTCNN, logit, visible
from photoguard.detection.faces import smallest_face
from photoguard.detection.networks import Networks, networks
from photoguard.detection.pyramid import halvings

BANDS = ((0.15, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 0.9), (0.9, 1.0))
Array = NDArray[np.float64]


def main() -> None:
    """Look at every photo, fit, and print."""
    parser = argparse.ArgumentParser(description="Fit the common score of both detectors.")
    parser.add_argument("--data", type=Path, default=os.environ.get("PHOTOGUARD_DATA"), help="data folder")
    parser.add_argument("--step", type=int, default=1, help="take every so many photos")
    options = parser.parse_args()
    if options.data is None:
        parser.error("name the data folder with --data or PHOTOGUARD_DATA")
    with networks() as nets:
        seen = [evidence(pixels, faces, nets) for pixels, faces in material(options.data, options.step)]
    features, faces = (np.concatenate(column) for column in zip(*seen, strict=True))
    today = np.array([votes.WEIGHT[MTCNN], votes.WEIGHT[CENTERFACE], votes.CUT, votes.BIAS])
    print(f"{len(faces)} candidates, {faces.sum():.0f} of them labelled faces")
    for name, numbers in (("today", today), ("fitted", fit(features, faces, today))):
        print(name, " ".join(f"{number:.3f}" for number in numbers), "(mtcnn, centerface, cut, bias)")
        scores = 1 / (1 + np.exp(-(features @ numbers)))
        for low, high in BANDS:
            band = (scores >= low) & (scores < high)
            print(f"  {low:.2f} to {high:.2f}: {faces[band].sum():.0f} of {band.sum()} are labelled faces")


def material(data: Path, step: int) -> Iterator[tuple[Pixels, Boxes]]:
    """Photos and all faces that somebody marked on them; what is to be ignored counts as marked.

    The crops are left out: of the faces on them, those that no crop was made for are not marked.
    """
    for number, photo in enumerate(labelled(data / "hard", ("wider", "mask"))):
        if number % step == 0:
            yield photo.pixels, np.concatenate([photo.faces, photo.ignored])
    for _, pixels in list(photos.face_free(data))[1 :: 2 * step]:
        yield pixels, np.empty((0, 4))


def evidence(pixels: Pixels, labels: Boxes, nets: Networks) -> tuple[Array, Array]:
    """Of each candidate on an upright photo: log-odds of both, whether it is cut, 1 (N, 4); face or not (N,).

    Faces too small for CenterFace to judge are left out.
    """
    photo, settings = halvings(pixels), DetectionSettings()
    size = smallest_face(*photo.size, settings)
    first = cascade.find(photo, nets, size, cascade.SIEVES[False, False])
    second = centerface.find(photo, nets, search.PIXELS, votes.LOWEST)
    found, mtcnn, center, sides = votes.opinions(photo, nets, first, second)
    judged = sides >= centerface.SMALLEST / centerface.scale_for(photo, search.PIXELS)
    judged &= visible(found.boxes, *photo.size) >= search.SHOWN
    odds = np.clip(logit(mtcnn), -votes.FARTHEST, votes.FARTHEST), logit(center)
    cut = votes.at_border(found.boxes, *photo.size) & (found.finders & CENTERFACE > 0)
    rows = np.stack([*odds, cut, np.ones(len(found))], axis=1)
    return rows[judged], meets(labels, found.boxes).any(axis=0)[judged].astype(np.float64)


def fit(features: Array, faces: Array, start: Array) -> Array:
    """Logistic regression: the numbers under which the labels are likeliest, by Newton's method."""
    numbers, free = start.copy(), [0, 1, 3]
    columns = features[:, free]
    for _ in range(30):
        shares = 1 / (1 + np.exp(-(features @ numbers)))
        curve = columns.T @ (columns * (shares * (1 - shares))[:, None])
        numbers[free] += np.linalg.solve(curve + 1e-6 * np.eye(len(free)), columns.T @ (faces - shares))
    return numbers


if __name__ == "__main__":
    main()

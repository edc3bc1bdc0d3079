"""The three stages of MTCNN on one photo: scan all places and sizes, refine, decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from photoguard.detection.candidates import Array, Candidates, moved, squared, suppress
from photoguard.detection.networks import Networks
from photoguard.detection.pyramid import Halvings, Pixels, crops, levels
from photoguard.nets.mtcnn import O_SIDE, P_CELL, P_STRIDE, R_SIDE

FACTOR = 0.709  # between sizes of the pyramid: half the area, as in the paper
TILE = (256, 512)  # rows, columns scanned at once: what P-Net computes from them stays in a core's cache
SHARED = P_CELL - P_STRIDE  # pixels that neighboring tiles share, so that no 12 x 12 window is left out
BATCH = 64  # crops at once


@dataclass(frozen=True)
class Thresholds:
    """The lowest scores that pass P-Net, R-Net and O-Net."""

    propose: float = 0.6
    refine: float = 0.7
    decide: float = 0.6


def propose(photo: Halvings, nets: Networks, min_face: float, threshold: float) -> Array:
    """Square boxes (N, 4) that P-Net finds worth a closer look."""

    def scan(tile: tuple[Pixels, int, int, float]) -> tuple[Array, Array]:
        picture, left, top, scale = tile
        boxes, scores = scan_tile(picture, nets, threshold)
        return (boxes + np.array([left, top, left, top])) / scale, scores

    found = list(nets.workers.map(scan, _tiles(photo, P_CELL / min_face)))
    boxes = np.concatenate([np.empty((0, 4)), *(boxes for boxes, _ in found)])
    scores = np.concatenate([np.empty(0), *(scores for _, scores in found)])
    return squared(boxes[suppress(boxes, scores, 0.7)])


def _tiles(photo: Halvings, scale: float) -> Iterator[tuple[Pixels, int, int, float]]:
    """Every part of every size of the photo, with even sides: pixels, left, top, scale."""
    rows, columns = TILE
    for picture, exact in levels(photo, scale, FACTOR, P_CELL):
        height, width = picture.shape[:2]
        even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        for top in range(0, height - SHARED, rows - SHARED):
            for left in range(0, width - SHARED, columns - SHARED):
                yield even[top : top + rows, left : left + columns], left, top, exact


def scan_tile(tile: Pixels, nets: Networks, threshold: float) -> tuple[Array, Array]:
    """P-Net's boxes (N, 4) and scores on one small picture, local maxima only."""
    with torch.inference_mode():
        pixels = torch.from_numpy(np.ascontiguousarray(tile)).to(nets.device)
        logits, features = nets.propose(pixels.permute(2, 0, 1)[None].float())  # already channels-last
        # Of 3 x 3 neighbors, which overlap by more than half, the best one is enough.
        peaks = torch.nn.functional.max_pool2d(logits[None], 3, 1, 1)[0]
        rows, columns = torch.nonzero((logits == peaks) & (logits > _logit(threshold)), as_tuple=True)
        scores = logits[rows, columns].double().sigmoid().cpu().numpy()
        offsets = nets.propose.offsets(features[rows, columns]).double().cpu().numpy()
    corner = torch.stack([columns, rows], dim=1).double().cpu().numpy() * P_STRIDE
    return moved(np.concatenate([corner, corner + P_CELL], axis=1), offsets), scores


def refine(photo: Halvings, nets: Networks, boxes: Array, threshold: float) -> Array:
    """R-Net keeps the better of the candidates and moves them: square boxes (N, 4)."""
    logits, offsets = run_refine(photo, nets, boxes)
    kept = logits > _logit(threshold)
    boxes, logits, offsets = boxes[kept], logits[kept], offsets[kept]
    chosen = suppress(boxes, logits, 0.7)
    return squared(moved(boxes[chosen], offsets[chosen]))


def run_refine(photo: Halvings, nets: Networks, boxes: Array) -> tuple[Array, Array]:
    """R-Net's logits (N,) and offsets (N, 4) for square boxes (N, 4)."""

    def run(part: Array) -> tuple[Array, Array]:
        with torch.inference_mode():
            logits, offsets = nets.refine(_tensor(crops(photo, part, R_SIDE), nets))
        return _array(logits), _array(offsets)

    logits, offsets = zip(*nets.workers.map(run, _batches(boxes)), strict=True)
    return np.concatenate(logits), np.concatenate(offsets)


def decide(photo: Halvings, nets: Networks, boxes: Array, threshold: float) -> Candidates:
    """O-Net's final boxes, scores and landmarks."""
    found = run_decide(photo, nets, boxes)
    found = found.take(found.scores >= threshold)
    return found.take(suppress(found.boxes, found.scores, 0.7, of_smaller=True))


def run_decide(photo: Halvings, nets: Networks, boxes: Array) -> Candidates:
    """O-Net's answer for each of the square boxes (N, 4), in their order."""

    def run(part: Array) -> tuple[Array, Array, Array]:
        with torch.inference_mode():
            logits, offsets, landmarks = nets.decide(_tensor(crops(photo, part, O_SIDE), nets))
        return _array(logits), _array(offsets), _array(landmarks)

    answers = zip(*nets.workers.map(run, _batches(boxes)), strict=True)
    logits, offsets, landmarks = (np.concatenate(answer) for answer in answers)
    sides = boxes[:, None, 2:] - boxes[:, None, :2]
    return Candidates(moved(boxes, offsets), _sigmoid(logits), boxes[:, None, :2] + landmarks * sides)


def _batches(boxes: Array) -> list[Array]:
    return [boxes[start : start + BATCH] for start in range(0, max(len(boxes), 1), BATCH)]


def _tensor(pictures: Pixels, nets: Networks) -> torch.Tensor:
    """(N, side, side, 3) to (N, 3, side, side), channels last."""
    return torch.from_numpy(pictures).to(nets.device).permute(0, 3, 1, 2).float()


def _array(tensor: torch.Tensor) -> Array:
    array: Array = tensor.double().cpu().numpy()
    return array


def _logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


def _sigmoid(logits: Array) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-logits)))

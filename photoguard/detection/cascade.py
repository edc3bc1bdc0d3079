"""The three stages of MTCNN on one photo: scan all places and sizes, refine, decide."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from photoguard.detection.candidates import Array, Candidates, moved, squared, suppress
from photoguard.detection.networks import Networks
from photoguard.detection.pyramid import Halvings, Pixels, crops, levels
from photoguard.nets.mtcnn import O_SIDE, P_CELL, P_STRIDE, R_SIDE

FACTOR = 0.709  # between sizes of the pyramid: half the area, as in the paper
TILE = 512  # scanned at once: intermediate maps stay in the processor's cache, twice as fast as one sweep
BATCH = 256  # crops at once
P_THRESHOLD, R_THRESHOLD = 0.6, 0.7


def find_candidates(photo: Halvings, nets: Networks, min_face: float, lowest: float) -> Candidates:
    """Run the cascade once on a photo as it stands."""
    return decide(photo, nets, refine(photo, nets, propose(photo, nets, min_face)), lowest)


def propose(photo: Halvings, nets: Networks, min_face: float) -> Array:
    """Square boxes (N, 4) that P-Net finds worth a closer look."""
    found_boxes, found_scores = [np.empty((0, 4))], [np.empty(0)]
    for picture, scale in levels(photo, P_CELL / min_face, FACTOR, P_CELL):
        boxes, scores = scan(picture, nets)
        found_boxes.append(boxes / scale)
        found_scores.append(scores)
    boxes, scores = np.concatenate(found_boxes), np.concatenate(found_scores)
    return squared(boxes[suppress(boxes, scores, 0.7)])


def scan(picture: Pixels, nets: Networks) -> tuple[Array, Array]:
    """P-Net's boxes (N, 4) and scores on one picture, local maxima only."""
    height, width = picture.shape[:2]
    picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    step = TILE - (P_CELL - P_STRIDE)  # neighbors share what the last window of one and the first lack
    found_boxes, found_scores = [np.empty((0, 4))], [np.empty(0)]
    for top in range(0, max(height - (P_CELL - P_STRIDE), 1), step):
        for left in range(0, max(width - (P_CELL - P_STRIDE), 1), step):
            boxes, scores = _scan_tile(picture[top : top + TILE, left : left + TILE], nets)
            found_boxes.append(boxes + np.array([left, top, left, top]))
            found_scores.append(scores)
    return np.concatenate(found_boxes), np.concatenate(found_scores)


def _scan_tile(tile: Pixels, nets: Networks) -> tuple[Array, Array]:
    with torch.inference_mode():
        pixels = torch.from_numpy(np.ascontiguousarray(tile)).to(nets.device)
        logits, features = nets.propose(pixels.permute(2, 0, 1)[None].float())  # already channels-last
        # Of 3 x 3 neighbors, which overlap by more than half, the best one is enough.
        peaks = torch.nn.functional.max_pool2d(logits[None], 3, 1, 1)[0]
        rows, columns = torch.nonzero((logits == peaks) & (logits > _logit(P_THRESHOLD)), as_tuple=True)
        scores = logits[rows, columns].double().sigmoid().cpu().numpy()
        offsets = nets.propose.offsets(features[rows, columns]).double().cpu().numpy()
    corner = torch.stack([columns, rows], dim=1).double().cpu().numpy() * P_STRIDE
    return moved(np.concatenate([corner, corner + P_CELL], axis=1), offsets), scores


def refine(photo: Halvings, nets: Networks, boxes: Array) -> Array:
    """R-Net keeps the better of the candidates and moves them: square boxes (N, 4)."""
    logits, offsets = _run(nets.refine, crops(photo, boxes, R_SIDE), nets)
    scores, kept = _sigmoid(logits), logits > _logit(R_THRESHOLD)
    boxes, scores, offsets = boxes[kept], scores[kept], offsets[kept]
    chosen = suppress(boxes, scores, 0.7)
    return squared(moved(boxes[chosen], offsets[chosen]))


def decide(photo: Halvings, nets: Networks, boxes: Array, lowest: float) -> Candidates:
    """O-Net's final boxes, scores from `lowest` and landmarks."""
    logits, offsets, points = _run(nets.decide, crops(photo, boxes, O_SIDE), nets)
    landmarks = boxes[:, None, :2] + points * (boxes[:, None, 2:] - boxes[:, None, :2])
    found = Candidates(moved(boxes, offsets), _sigmoid(logits), landmarks)
    found = found.take(found.scores >= lowest)
    return found.take(suppress(found.boxes, found.scores, 0.7, of_smaller=True))


def _run(net: torch.nn.Module, pictures: Pixels, nets: Networks) -> tuple[Array, ...]:
    """The network's answers for (N, side, side, 3) crops, as float64 arrays."""
    with torch.inference_mode():
        parts = [
            net(torch.from_numpy(pictures[start : start + BATCH]).to(nets.device).permute(0, 3, 1, 2).float())
            for start in range(0, max(len(pictures), 1), BATCH)
        ]
        return tuple(torch.cat(column).double().cpu().numpy() for column in zip(*parts, strict=True))


def _logit(score: float) -> float:
    return float(np.log(score / (1 - score)))


def _sigmoid(logits: Array) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-logits)))

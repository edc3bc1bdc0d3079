"""From a photo to its faces: which passes run, and how their answers become one list."""

from __future__ import annotations

import numpy as np
import torch

from photoguard.detection.candidates import Candidates
from photoguard.detection.cascade import decide, propose, refine
from photoguard.detection.faces import DetectionSettings, Face, smallest_face
from photoguard.detection.networks import Networks, networks
from photoguard.detection.pyramid import Halvings, Pixels, halvings
from photoguard.geometry import Box


def search(pixels: Pixels, settings: DetectionSettings) -> list[Face]:
    """Every face on the photo, in reading order."""
    height, width = pixels.shape[:2]
    with networks("cuda" if torch.cuda.is_available() else "cpu") as nets:
        found = find(halvings(pixels), nets, smallest_face(width, height, settings), settings)
    return _as_faces(found, width, height, settings)


def find(photo: Halvings, nets: Networks, min_face: float, settings: DetectionSettings) -> Candidates:
    """Run the cascade once on a photo as it stands."""
    boxes = propose(photo, nets, min_face, 0.6)
    return decide(photo, nets, refine(photo, nets, boxes, 0.7), settings.doubt)


def _as_faces(found: Candidates, width: int, height: int, settings: DetectionSettings) -> list[Face]:
    faces = []
    for box, score, landmarks in zip(found.boxes, found.scores, found.landmarks, strict=True):
        left, top = (int(v) for v in np.floor(box[:2]))
        right, bottom = (int(v) for v in np.ceil(box[2:]))
        whole = Box(left, top, right - left, bottom - top).clipped(width, height)
        if whole.area:
            points = tuple((float(x), float(y)) for x, y in landmarks)
            faces.append(Face(whole, points, float(score), bool(score >= settings.threshold)))
    return sorted(faces, key=lambda face: (face.box.y, face.box.x, face.box.height, face.box.width))

"""From a photo to its faces: which passes run, and how their answers become one list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from photoguard.detection import cascade
from photoguard.detection.candidates import Candidates, merged, turned_back
from photoguard.detection.faces import DetectionSettings, Face, lowest_score, smallest_face
from photoguard.detection.networks import Networks, networks
from photoguard.detection.pyramid import Halvings, Pixels, halvings
from photoguard.photos.geometry import Box

TURNS = (90, 180, 270)
SMALLEST_TURNED = 28.0  # pixels; sideways faces are rare, and looking for smaller ones doubles the work
COARSE = 4.0  # faces this much larger than the smallest are looked for in the turned photo as well


def search(pixels: Pixels, settings: DetectionSettings) -> list[Face]:
    """Every face on the photo, in reading order."""
    height, width = pixels.shape[:2]
    with networks("cuda" if torch.cuda.is_available() else "cpu") as nets:
        found = merged(passes(halvings(pixels), nets, settings))
    return _as_faces(found, width, height, settings)


def passes(photo: Halvings, nets: Networks, settings: DetectionSettings) -> list[Candidates]:
    """What each look at the photo found: upright, and turned as far as that is worth while.

    By default the turned photo is searched for larger faces only, a sixteenth of the work each, which finds
    a photo taken sideways. It is searched in full where that found more than the upright photo has, and
    always when nothing is certain upright.
    """
    min_face = smallest_face(*photo.size, settings)
    upright = find_turned(photo, nets, min_face, 0, settings)
    certain = _certain(upright, settings)
    found = [upright]
    everything = settings.thorough or not certain
    smallest = min_face if settings.min_face else max(min_face, SMALLEST_TURNED)
    for rotation in TURNS:
        part = find_turned(photo, nets, smallest if everything else COARSE * min_face, rotation, settings)
        if not everything and _certain(part, settings) > certain:
            part = find_turned(photo, nets, smallest, rotation, settings)
        found.append(part)
    return found


def find_turned(
    photo: Halvings, nets: Networks, min_face: float, rotation: int, settings: DetectionSettings
) -> Candidates:
    """One look at the photo turned by `rotation`, answered in its own coordinates."""
    if settings.thorough:
        sieve = cascade.TURNED_THOROUGH if rotation else cascade.UPRIGHT_THOROUGH
    else:
        sieve = cascade.TURNED if rotation else cascade.UPRIGHT
    found = cascade.find(replace(photo, rotation=rotation), nets, min_face, sieve)
    found = found.take(found.scores >= lowest_score(settings, rotation))
    return turned_back(found, rotation, *photo.size)


def _certain(found: Candidates, settings: DetectionSettings) -> int:
    return int((found.scores >= settings.threshold).sum())


def _as_faces(found: Candidates, width: int, height: int, settings: DetectionSettings) -> list[Face]:
    faces = []
    rows = zip(found.boxes, found.scores, found.landmarks, found.rotations, strict=True)
    for box, score, landmarks, rotation in rows:
        left, top = (int(v) for v in np.floor(box[:2]))
        right, bottom = (int(v) for v in np.ceil(box[2:]))
        whole = Box(left, top, right - left, bottom - top).clipped(width, height)
        if whole.area:
            points = tuple((float(x), float(y)) for x, y in landmarks)
            certain = bool(score >= settings.threshold)
            faces.append(Face(whole, points, float(score), certain, int(rotation)))
    return sorted(faces, key=lambda face: (face.box.y, face.box.x, face.box.height, face.box.width))

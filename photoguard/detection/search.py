"""From a photo to its faces: which passes run, and how their answers become one list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from photoguard.detection import cascade, centerface
from photoguard.detection.candidates import (
    CENTERFACE,
    MTCNN,
    Candidates,
    merged,
    turned_back,
    visible,
)
from photoguard.detection.faces import DetectionSettings, Face, lowest_score, smallest_face
from photoguard.detection.networks import Networks, networks
from photoguard.detection.pyramid import Halvings, Pixels, halvings
from photoguard.detection.votes import LOWEST, vote
from photoguard.photos.geometry import Box

TURNS = (90, 180, 270)
SMALLEST_TURNED = 28.0  # pixels; sideways faces are rare, and looking for smaller ones doubles the work
COARSE = 4.0  # faces this much larger than the smallest are looked for in the turned photo as well
PIXELS = 1e6  # of the copy that CenterFace sees; more would cost more than all of MTCNN
PIXELS_TURNED = 0.2e6  # of the turned copies with `thorough`
NEARLY = 0.8  # of the smallest face: boxes of the two detectors measure differently
SHOWN = 0.3  # of a box that must lie on the photo: less is a mirror image, or nothing to recognize
MOSTLY = 0.7  # and of one in the turned photo: a mirror image stands on its head
NAMES = {MTCNN: "mtcnn", CENTERFACE: "centerface"}


def search(pixels: Pixels, settings: DetectionSettings) -> list[Face]:
    """Every face on the photo, in reading order."""
    height, width = pixels.shape[:2]
    with networks() as nets:
        seen = merged(passes(halvings(pixels), nets, settings))
    return _as_faces(seen, width, height, settings)


def passes(photo: Halvings, nets: Networks, settings: DetectionSettings) -> list[Candidates]:
    """What each look at the photo found: upright, and turned as far as that is worth while.

    By default the turned photo is searched for larger faces only, a sixteenth of the work each, which finds
    a photo taken sideways. It is searched by both detectors where that found more than the upright photo
    has, and in full by MTCNN always when nothing is certain upright.
    """
    min_face = smallest_face(*photo.size, settings)
    upright = look(photo, nets, min_face, settings, PIXELS)
    certain = _certain(upright, settings)
    seen = [upright]
    everything = settings.thorough or not certain
    smallest = min_face if settings.min_face else max(min_face, SMALLEST_TURNED)
    for rotation in TURNS:
        turned = replace(photo, rotation=rotation)
        size = smallest if everything else COARSE * min_face
        part = look(turned, nets, size, settings, PIXELS_TURNED if settings.thorough else None)
        whole = part.take(visible(part.boxes, *turned.turned_size) >= MOSTLY)
        if _certain(whole, settings) <= certain:
            part = whole
        elif not settings.thorough:
            part = look(turned, nets, smallest, settings, PIXELS)
        seen.append(turned_back(part, rotation, *photo.size))
    return seen


def look(
    photo: Halvings, nets: Networks, min_face: float, settings: DetectionSettings, pixels: float | None
) -> Candidates:
    """One look at the photo as it stands, by MTCNN and, with so many `pixels`, by CenterFace."""
    seen = cascade.find(photo, nets, min_face, cascade.SIEVES[photo.rotation > 0, settings.thorough])
    if pixels:
        center = centerface.find(photo, nets, pixels, LOWEST)
        sides = (center.boxes[:, 2:] - center.boxes[:, :2]).max(axis=1)
        too_small = centerface.SMALLEST / centerface.scale_for(photo, pixels)
        seen = vote(photo, nets, seen, center.take(sides >= NEARLY * min_face), too_small)
    shown = visible(seen.boxes, *photo.turned_size) >= SHOWN
    return seen.take(shown & (seen.scores >= lowest_score(settings, photo.rotation)))


def _certain(seen: Candidates, settings: DetectionSettings) -> int:
    return int((seen.scores >= settings.threshold).sum())


def _as_faces(seen: Candidates, width: int, height: int, settings: DetectionSettings) -> list[Face]:
    faces = []
    rows = zip(seen.boxes, seen.scores, seen.landmarks, seen.rotations, seen.finders, strict=True)
    for box, score, landmarks, rotation, finders in rows:
        left, top = (int(v) for v in np.floor(box[:2]))
        right, bottom = (int(v) for v in np.ceil(box[2:]))
        whole = Box(left, top, right - left, bottom - top).clipped(width, height)
        if whole.area:
            points = tuple((float(x), float(y)) for x, y in landmarks)
            certain = bool(score >= settings.threshold)
            found_by = tuple(name for bit, name in NAMES.items() if finders & bit)
            faces.append(Face(whole, points, float(score), certain, int(rotation), found_by))
    return sorted(faces, key=lambda face: (face.box.y, face.box.x, face.box.height, face.box.width))

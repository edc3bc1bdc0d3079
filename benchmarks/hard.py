"""The hard set: photos with labelled faces in crowds, behind masks, in profile, and cut by the border."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.photos import Pixels

Boxes = NDArray[np.float64]
PARTS = ("wider", "mask", "cut")


@dataclass(frozen=True)
class Labelled:
    """One photo and the faces that somebody marked on it; boxes are left, top, right, bottom."""

    part: str  # one of PARTS
    name: str
    pixels: Pixels
    faces: Boxes  # (N, 4)
    attributes: list[dict[str, Any]]  # (N,)
    ignored: Boxes  # (M, 4) neither a miss nor a false cover


def labelled(folder: Path, parts: tuple[str, ...] = PARTS) -> Iterator[Labelled]:
    """The photos of the hard set, one after the other."""
    for part in parts:
        for record in json.loads((folder / f"{part}.json").read_text(encoding="utf-8")):
            with Image.open(folder / record["file"]) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            left, top, right, bottom = record.get("crop", (0, 0, pixels.shape[1], pixels.shape[0]))
            pixels = np.ascontiguousarray(pixels[top:bottom, left:right])
            faces, ignored = _edges(record["boxes"]), _edges(record.get("ignore", []))
            yield Labelled(part, record["file"], pixels, faces, record["attributes"], ignored)


def _edges(boxes: list[list[float]]) -> Boxes:
    corners = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return corners


def meets(labels: Boxes, boxes: Boxes) -> NDArray[np.bool_]:
    """(labels, boxes): whether the box finds the labelled face.

    It does with 0.3 of the area of both together in common; or when each one's middle lies in the other and
    their areas differ by less than four times, since labels of half-seen faces are matters of taste.
    """
    shared = _shared(labels, boxes)
    areas, others = _areas(labels)[:, None], _areas(boxes)[None]
    alike = shared > 0.3 * (areas + others - shared)
    sizes = np.maximum(areas, others) < 4 * np.minimum(areas, others)
    return np.asarray(alike | (_middle_inside(labels, boxes) & _middle_inside(boxes, labels).T & sizes))


def unmatched(photo: Labelled, boxes: Boxes) -> int:
    """How many boxes meet no labelled face and do not lie in what is ignored."""
    met = meets(photo.faces, boxes).any(axis=0) | meets(photo.ignored, boxes).any(axis=0)
    inside = (_shared(photo.ignored, boxes) > 0.4 * _areas(boxes)[None]).any(axis=0)
    return int((~met & ~inside).sum())


def _shared(one: Boxes, other: Boxes) -> Boxes:
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2))


def _areas(boxes: Boxes) -> Boxes:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))


def _middle_inside(one: Boxes, other: Boxes) -> NDArray[np.bool_]:
    middles = (one[:, None, :2] + one[:, None, 2:]) / 2
    return np.asarray(((middles > other[None, :, :2]) & (middles < other[None, :, 2:])).all(axis=2))

"""CenterFace (Xu et al. 2019) on one photo: a map of faces' middles, with sizes and landmarks beside it.

It sees the face as a whole where MTCNN looks for eyes, so that profiles and masks do not hide from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from photoguard.detection.candidates import (
    CENTERFACE,
    Array,
    Candidates,
    found,
    joined,
    logit,
    sigmoid,
    suppress,
)
from photoguard.detection.networks import Networks
from photoguard.detection.pyramid import Halvings, Pixels, turned_copy

STRIDE = 4  # pixels from one cell of the maps to the next
MULTIPLE = 32  # of which the network's input must measure
TILE = 640  # pixels a side scanned at once at most, which bounds memory
SHARED = 64  # pixels that neighboring tiles share; larger faces are found on the copy that is one tile
SMALLEST = 16.0  # pixels of the copy: it finds few smaller faces, and being silent there says nothing
SAME = 0.3  # of two boxes' common area: one face


def find(photo: Halvings, nets: Networks, pixels: float, lowest: float) -> Candidates:
    """Every face on the photo as it stands: seen on a copy of about `pixels`, and on one of a single tile."""
    scales = [scale_for(photo, pixels)]
    if max(photo.size) * scales[0] > TILE:
        scales.append(TILE / max(photo.size))

    def scan(tile: tuple[Pixels, Array, Array]) -> Candidates:
        return scan_tile(*tile, nets, lowest)

    tiles = [tile for scale in scales for tile in _tiles(photo, scale)]
    every = joined(list(nets.workers.map(scan, tiles)))
    return every.take(suppress(every.boxes, every.scores, SAME))


def scale_for(photo: Halvings, pixels: float) -> float:
    """How large the copy of about `pixels` is beside the photo."""
    width, height = photo.size
    return min(1.0, math.sqrt(pixels / (width * height)))


def _tiles(photo: Halvings, scale: float) -> Iterator[tuple[Pixels, Array, Array]]:
    """Every part of a copy: pixels, its corner in the copy, pixels of the photo for one of the copy's.

    The copy is stretched a little to sides that the network takes: a border of black pixels instead hides
    faces that the photo's edge cuts, and so does a mirror image.
    """
    width, height = (max(round(side * scale / MULTIPLE), 1) * MULTIPLE for side in photo.size)
    copy = turned_copy(photo, width, height)
    steps = np.array(photo.size) / (width, height)
    for rows in _parts(copy.shape[0]):
        for columns in _parts(copy.shape[1]):
            corner = np.array([columns.start, rows.start], dtype=np.float64)
            yield copy[rows, columns], corner, steps if photo.rotation % 180 == 0 else steps[::-1]


def _parts(side: int) -> list[slice]:
    """A side in as few equal parts as tiles allow, each sharing at least `SHARED` pixels with the next."""
    count = max(math.ceil((side - SHARED) / (TILE - SHARED)), 1)
    part = math.ceil((side + (count - 1) * SHARED) / count / MULTIPLE) * MULTIPLE
    starts = [(side - part) * number // max(count - 1, 1) for number in range(count)]
    return [slice(start, start + part) for start in starts]


def scan_tile(tile: Pixels, corner: Array, steps: Array, nets: Networks, lowest: float) -> Candidates:
    """What the network finds on a tile, in pixels of the turned photo.

    The score is the mean of two looks, at the tile and at its mirror image: a face stays one, a texture that
    resembles one by chance does not.
    """
    heats, *rest = nets.center(np.stack([tile, tile[:, ::-1]]))
    sizes, offsets, points = (grid[0].astype(np.float64) for grid in rest)
    heat = sigmoid((logit(heats[0, 0]) + logit(heats[1, 0, :, ::-1])) / 2)
    rows, columns = np.nonzero(heat >= lowest)
    height, width = np.exp(sizes[:, rows, columns]) * STRIDE
    down, right = offsets[:, rows, columns]
    middle = np.stack([columns + right + 0.5, rows + down + 0.5], axis=1) * STRIDE
    sides = np.stack([width, height], axis=1)
    first = middle - sides / 2
    places = points[:, rows, columns].reshape(5, 2, -1)[:, ::-1].transpose(2, 0, 1)  # (N, 5, 2) x, y in sides
    landmarks = first[:, None] + places * sides[:, None]
    boxes = np.concatenate([first, first + sides], axis=1)
    boxes = (boxes + np.tile(corner, 2)) * np.tile(steps, 2)
    return found(boxes, heat[rows, columns], (landmarks + corner) * steps, CENTERFACE)

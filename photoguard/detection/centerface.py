"""CenterFace (Xu et al. 2019) on one photo: a map of faces' middles, with sizes and landmarks beside it.

It sees the face as a whole where MTCNN looks for eyes, so that profiles and masks do not hide from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from photoguard.detection.candidates import CENTERFACE, Array, Candidates, found, joined, suppress
from photoguard.detection.networks import Networks
from photoguard.detection.pyramid import Halvings, Pixels, turned_copy

STRIDE = 4  # pixels from one cell of the maps to the next
MULTIPLE = 32  # of which the network's input must measure
TILE = 640  # pixels a side scanned at once, which bounds memory
SHARED = 128  # pixels that neighboring tiles share; larger faces are found on the copy that is one tile
SAME = 0.3  # of two boxes' common area: one face


def find(photo: Halvings, nets: Networks, pixels: float, lowest: float) -> Candidates:
    """Every face on the photo as it stands: seen on a copy of about `pixels`, and on one of a single tile."""
    width, height = photo.size
    scales = [min(1.0, math.sqrt(pixels / (width * height)))]
    if max(width, height) * scales[0] > TILE:
        scales.append(TILE / max(width, height))

    def scan(tile: tuple[Pixels, Array, Array]) -> Candidates:
        return scan_tile(*tile, nets, lowest)

    tiles = [tile for scale in scales for tile in _tiles(photo, scale)]
    every = joined(list(nets.workers.map(scan, tiles)))
    return every.take(suppress(every.boxes, every.scores, SAME))


def _tiles(photo: Halvings, scale: float) -> Iterator[tuple[Pixels, Array, Array]]:
    """Every part of a copy: pixels, its corner in the copy, pixels of the photo for one of the copy's.

    The copy is stretched a little to sides that the network takes: a border of black pixels instead hides
    faces that the photo's edge cuts, and so does a mirror image.
    """
    width, height = (max(round(side * scale / MULTIPLE), 1) * MULTIPLE for side in photo.size)
    copy = turned_copy(photo, width, height)
    steps = np.array(photo.size) / (width, height)
    for top in _starts(copy.shape[0]):
        for left in _starts(copy.shape[1]):
            tile = copy[top : top + TILE, left : left + TILE]
            yield tile, np.array([left, top], float), steps if photo.rotation % 180 == 0 else steps[::-1]


def _starts(side: int) -> list[int]:
    """Where tiles begin so that they share at least `SHARED` pixels and the last one ends with the copy."""
    count = 1 + max(0, math.ceil((side - TILE) / (TILE - SHARED)))
    return [max(side - TILE, 0) * number // max(count - 1, 1) for number in range(count)]


def scan_tile(tile: Pixels, corner: Array, steps: Array, nets: Networks, lowest: float) -> Candidates:
    """What the network finds on a tile, in pixels of the turned photo."""
    heat, sizes, offsets, points = (grid[0].astype(np.float64) for grid in nets.center(tile))
    rows, columns = np.nonzero(heat[0] >= lowest)
    height, width = np.exp(sizes[:, rows, columns]) * STRIDE
    down, right = offsets[:, rows, columns]
    middle = np.stack([columns + right + 0.5, rows + down + 0.5], axis=1) * STRIDE
    sides = np.stack([width, height], axis=1)
    first = middle - sides / 2
    places = points[:, rows, columns].reshape(5, 2, -1)[:, ::-1].transpose(2, 0, 1)  # (N, 5, 2) x, y in sides
    landmarks = first[:, None] + places * sides[:, None]
    boxes = np.concatenate([first, first + sides], axis=1)
    boxes = (boxes + np.tile(corner, 2)) * np.tile(steps, 2)
    seen = found(boxes, heat[0, rows, columns], (landmarks + corner) * steps, CENTERFACE)
    return seen.take(suppress(seen.boxes, seen.scores, SAME))

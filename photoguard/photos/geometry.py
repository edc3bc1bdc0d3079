"""Boxes on a photo, in whole pixels, and the way from a face to a recognizer's template and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    Points: TypeAlias = Sequence[tuple[float, float]] | NDArray[np.float64]

# Where recognizers expect image-left eye, image-right eye, nose and mouth corners (x, y); height x width.
TEMPLATE_112X96 = (
    (30.2946, 51.6963),
    (65.5318, 51.5014),
    (48.0252, 71.7366),
    (33.5493, 92.3655),
    (62.7299, 92.2041),
)
TEMPLATE_112X112 = tuple((x + 8, y) for x, y in TEMPLATE_112X96)
MARGIN = 0.25  # of a face's longer side, on every side of its cover: hair and ears belong to the face


@dataclass(frozen=True)
class Box:
    """A rectangle of whole pixels: columns x .. x+width-1, rows y .. y+height-1."""

    x: int
    y: int
    width: int
    height: int

    @property
    def area(self) -> int:
        """Pixels inside."""
        return self.width * self.height

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, in the order of arrays."""
        return self.height, self.width

    @property
    def window(self) -> tuple[slice, slice]:
        """The index that cuts this box out of an (H, W, ...) array."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def grown(self, margin: float) -> Box:
        """The box with `margin` times its larger side added on every side."""
        extra = round(margin * max(self.width, self.height))
        return Box(self.x - extra, self.y - extra, self.width + 2 * extra, self.height + 2 * extra)

    def on_grid(self, cell: Box) -> Box:
        """The box grown to whole cells of the grid that `cell` is one of."""
        left = self.x - (self.x - cell.x) % cell.width
        top = self.y - (self.y - cell.y) % cell.height
        right, bottom = self.x + self.width, self.y + self.height
        right += (cell.x - right) % cell.width
        bottom += (cell.y - bottom) % cell.height
        return Box(left, top, right - left, bottom - top)

    def moved(self, right: int, down: int) -> Box:
        """The box elsewhere."""
        return Box(self.x + right, self.y + down, self.width, self.height)

    def clipped(self, width: int, height: int) -> Box:
        """The part of the box on a width x height photo; its area is 0 when there is none."""
        left, top = min(max(self.x, 0), width), min(max(self.y, 0), height)
        right = min(max(self.x + self.width, left), width)
        bottom = min(max(self.y + self.height, top), height)
        return Box(left, top, right - left, bottom - top)

    def inside(self, width: int, height: int) -> bool:
        """Whether the box has pixels and all of them are on a width x height photo."""
        return self.area > 0 and self.clipped(width, height) == self

    def holds(self, other: Box) -> bool:
        """Whether all of another box is in this one."""
        right, bottom = self.x + self.width, self.y + self.height
        inside = other.x + other.width <= right and other.y + other.height <= bottom
        return self.x <= other.x and self.y <= other.y and inside

    def overlaps(self, other: Box) -> bool:
        """Whether the two boxes share a pixel."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


def upright_cell(columns: int, rows: int, orientation: int, width: int, height: int) -> Box:
    """A cell of the block grid of a stored raster, on the upright width x height photo that it shows.

    The grid starts at the raster's first pixel, which an EXIF orientation may put into any corner.
    """
    if orientation in (5, 6, 7, 8):
        columns, rows = rows, columns
    left = width % columns if orientation in (2, 3, 6, 7) else 0
    top = height % rows if orientation in (3, 4, 7, 8) else 0
    return Box(left, top, columns, rows)


@dataclass(frozen=True)
class Owners:
    """Whose each covered pixel is: the smallest box that holds a pixel owns it, of equal ones the first.

    Every covered pixel is so sealed exactly once, for one face's key.
    """

    boxes: tuple[Box, ...]
    contested: tuple[bool, ...]  # whether another box overlaps this one
    x: int
    y: int
    map: NDArray[np.int16]  # the owner's number at every pixel of contested boxes; its corner is at (x, y)

    @staticmethod
    def of(boxes: Sequence[Box]) -> Owners:
        """Paint all boxes that overlap into one map, large ones first: linear in their pixels."""
        import numpy as np

        contested = _contested(boxes)
        among = [n for n, shared in enumerate(contested) if shared]
        x = min((boxes[n].x for n in among), default=0)
        y = min((boxes[n].y for n in among), default=0)
        right = max((boxes[n].x + boxes[n].width for n in among), default=x)
        bottom = max((boxes[n].y + boxes[n].height for n in among), default=y)
        painted = np.full((bottom - y, right - x), -1, dtype=np.int16)
        for n in sorted(among, key=lambda n: (boxes[n].area, n), reverse=True):
            painted[boxes[n].moved(-x, -y).window] = n
        return Owners(tuple(boxes), contested, x, y, painted)

    def mask(self, number: int) -> NDArray[np.bool_]:
        """Which pixels of box `number` are its own."""
        import numpy as np

        box = self.boxes[number]
        if not self.contested[number]:
            return np.ones((box.height, box.width), dtype=np.bool_)
        return np.asarray(self.map[box.moved(-self.x, -self.y).window] == number)


def _contested(boxes: Sequence[Box]) -> tuple[bool, ...]:
    """Which boxes overlap another: each with all, in one go."""
    import numpy as np

    sides = np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b in boxes], np.int64).reshape(-1, 4)
    left, top, right, bottom = np.ascontiguousarray(sides.T)
    return tuple(
        bool(np.count_nonzero((left < r) & (top < b) & (right > x) & (bottom > y)) > 1)  # itself is one
        for x, y, r, b in sides
    )


def similarity(source: Points, target: Points) -> NDArray[np.float64]:
    """The (2, 3) matrix of the turn, scale and shift that brings `source` nearest to `target`.

    With points as complex numbers, target = a * source + b; least squares gives a and b directly.
    """
    import numpy as np

    start, end = (np.asarray(points, dtype=np.float64) @ np.array([1, 1j]) for points in (source, target))
    centered = start - start.mean()
    size = np.vdot(centered, centered).real
    if size == 0:
        raise ValueError("landmarks that are all one point have neither size nor direction")
    a = np.vdot(centered, end - end.mean()) / size
    b = end.mean() - a * start.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def chip_scale(landmarks: Points, template: Points) -> float:
    """By how much a face is enlarged on its way to a template; below 1 it is made smaller."""
    import numpy as np

    matrix = similarity(landmarks, template)
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def to_chip(
    pixels: NDArray[np.uint8], matrix: NDArray[np.float64], height: int, width: int
) -> NDArray[np.uint8]:
    """The (height, width, 3) chip that `matrix` (photo to chip) cuts out of a photo.

    Only the part of the photo that is needed is touched, and averaged down first when it is more than
    twice as large, since interpolation alone would skip pixels. Beyond the photo its edge goes on.
    """
    import cv2
    import numpy as np

    part = chip_box(matrix, height, width).grown(0.02).clipped(pixels.shape[1], pixels.shape[0])
    if part.area == 0:
        raise ValueError("the chip lies beside the photo")
    picture, moved = pixels[part.window], matrix.copy()
    moved[:, 2] += matrix[:, :2] @ (part.x, part.y)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.5:
        size = (max(round(2 * scale * part.width), 1), max(round(2 * scale * part.height), 1))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        ratio = np.array([part.width / size[0], part.height / size[1]])
        moved[:, 2] += moved[:, :2] @ (ratio / 2 - 0.5)  # pixel i of the smaller is at (i + 0.5) ratio - 0.5
        moved[:, :2] *= ratio
    edge = cv2.BORDER_REPLICATE
    chip = cv2.warpAffine(picture, moved, (width, height), flags=cv2.INTER_LINEAR, borderMode=edge)
    return np.asarray(chip, dtype=np.uint8)


def from_chip(
    pixels: NDArray[np.uint8], chip: NDArray[np.uint8], matrix: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """A copy of the photo with the chip laid back where `matrix` (photo to chip) took it from."""
    import cv2
    import numpy as np

    height, width = chip.shape[:2]
    part = chip_box(matrix, height, width).clipped(pixels.shape[1], pixels.shape[0])
    result = pixels.copy()
    if part.area == 0:
        return result
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ (part.x, part.y)
    flags, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, (part.width, part.height)
    laid = cv2.warpAffine(chip, moved, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    columns, rows = np.meshgrid(np.arange(part.width), np.arange(part.height))
    x, y = (row[0] * columns + row[1] * rows + row[2] for row in moved)
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    result[part.window][inside] = laid[inside]
    return result


def chip_box(matrix: NDArray[np.float64], height: int, width: int) -> Box:
    """The smallest box on the photo that holds the whole chip."""
    import numpy as np

    corners = np.array([(-0.5, -0.5), (width - 0.5, -0.5), (-0.5, height - 0.5), (width - 0.5, height - 0.5)])
    places = np.linalg.solve(matrix[:, :2], (corners - matrix[:, 2]).T)  # (2, 4)
    left, top = (int(v) for v in np.floor(places.min(axis=1)))
    right, bottom = (int(v) for v in np.ceil(places.max(axis=1)))
    return Box(left, top, right - left + 1, bottom - top + 1)

"""Boxes on a photo, in whole pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
    def window(self) -> tuple[slice, slice]:
        """The index that cuts this box out of an (H, W, ...) array."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def grown(self, margin: float) -> Box:
        """The box with `margin` times its larger side added on every side."""
        extra = round(margin * max(self.width, self.height))
        return Box(self.x - extra, self.y - extra, self.width + 2 * extra, self.height + 2 * extra)

    def clipped(self, width: int, height: int) -> Box:
        """The part of the box on a width x height photo; its area is 0 when there is none."""
        left, top = min(max(self.x, 0), width), min(max(self.y, 0), height)
        right = min(max(self.x + self.width, left), width)
        bottom = min(max(self.y + self.height, top), height)
        return Box(left, top, right - left, bottom - top)

    def inside(self, width: int, height: int) -> bool:
        """Whether the box has pixels and all of them are on a width x height photo."""
        return self.area > 0 and self.clipped(width, height) == self

    def overlaps(self, other: Box) -> bool:
        """Whether the two boxes share a pixel."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


def owned(boxes: list[Box], number: int) -> NDArray[np.bool_]:
    """Which pixels of box `number` are its own: the smallest box that holds a pixel owns it.

    Equal areas go to the lower number. Every covered pixel is so sealed exactly once, for one face's key.
    """
    import numpy as np

    box = boxes[number]
    mine = np.ones((box.height, box.width), dtype=bool)
    for other_number, other in enumerate(boxes):
        if other_number == number or not box.overlaps(other):
            continue
        if (other.area, other_number) < (box.area, number):
            left, top = max(other.x - box.x, 0), max(other.y - box.y, 0)
            right, bottom = other.x + other.width - box.x, other.y + other.height - box.y
            mine[top : max(bottom, 0), left : max(right, 0)] = False
    return mine

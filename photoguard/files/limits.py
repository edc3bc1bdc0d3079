"""How many bytes are read of each kind of file: far more than any holds, and less than a computer has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from photoguard import files
from photoguard.errors import PhotoguardError, UnreadableError

if TYPE_CHECKING:
    from pathlib import Path

PIXEL_CAP = 200_000_000  # with 8 bits a sample and three samples each; deeper ones count for more
BYTES_PER_PIXEL = 2  # of a picture's file: a noisy photo of 12 megapixels takes that much as PNG
PRIVATE = 1 << 28  # all private files of one picture together: with --portable they hold what was sealed
FEATURES = 1 << 26
KEY_MODEL = 1 << 27
KEYS = 1 << 20  # identities and recipients
NAMES = 1 << 28  # a list of photos (--files-from)


def picture_bytes(max_pixels: int = PIXEL_CAP) -> int:
    """So many bytes as pixels that are allowed may take."""
    return max(BYTES_PER_PIXEL * max_pixels, 1 << 20)


def read_picture(path: Path, max_pixels: int = PIXEL_CAP) -> bytes:
    """A photo, a public picture or a chip."""
    limit = picture_bytes(max_pixels)
    try:
        return files.read_file(path, limit)
    except UnreadableError:
        if files.is_there(path) and path.is_file() and path.stat().st_size > limit:
            raise UnreadableError(
                f"{files.shown(path)} has {path.stat().st_size} bytes, more than the {limit} that are read",
                "raise the limit with --max-pixels if you trust the file",
            ) from None
        raise


def read_private(paths: Sequence[Path]) -> dict[str, bytes | PhotoguardError]:
    """The private files of one picture by name, which share one limit, or what stands in the way of reading.

    Anybody can put more beside a picture: what cannot be read must not hinder the others.
    """
    left = PRIVATE
    found: dict[str, bytes | PhotoguardError] = {}
    for path in paths:
        try:
            data = files.read_file(path, left)
            left -= len(data)
            found[files.shown(path.name)] = data
        except PhotoguardError as error:
            found[files.shown(path.name)] = error
    return found

"""Content that DDM's network was not trained on, under its cover: messages in halftones, checkers, stripes.

The network answers texture of about its own pattern's period with the message itself. What `encrypt` writes
is the pattern without the network, and stands beside it.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from photoguard import weights
from photoguard.evaluate.common import report
from photoguard.evaluate.common.faces import closed_set
from photoguard.evaluate.common.lfw import open_lfw
from photoguard.evaluate.common.metrics import ssim
from photoguard.evaluate.ddm import covers, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from photoguard.evaluate.common.lfw import Lfw
    from photoguard.evaluate.ddm.covers import Cover
    from photoguard.nets.planes import Pixels

    Field = NDArray[np.float64]

PERIODS = (4, 5, 6, 7, 7.5, 8, 8.5, 9, 10, 12, 16, 20, 24)  # pixels
TILTS = (0, 2, 45)  # degrees
PHASES = (0.0, 0.25)  # of a period, across and down
QUALITY = 85  # of the JPEG that the content comes in
BLUR = 5.0  # pixels: what an attacker blurs a cover with, to see through the texture
NAME, PART = "ddm", "adversarial"  # of the results


def dots(x: Field, y: Field) -> Field:
    """A newspaper's screen."""
    return np.cos(2 * np.pi * x) * np.cos(2 * np.pi * y)


def checkers(x: Field, y: Field) -> Field:
    """Squares of half a period."""
    return np.asarray(np.sign(dots(x, y)))


def stripes(x: Field, y: Field) -> Field:
    """Upright lines of half a period, as on a video wall."""
    return np.asarray(np.sign(np.cos(2 * np.pi * x)))


def texture(
    message: Field,
    carrier: Callable[[Field, Field], Field],
    period: float,
    tilt: float = 0.0,
    phase: float = 0.0,
    quality: int = QUALITY,
) -> Pixels:
    """The (H, W) message of -1..1 in a texture, as the decoded JPEG shows it."""
    turn = np.radians(tilt)
    y, x = np.indices(message.shape) / period + phase
    carried = carrier(x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn))
    gray = np.rint(127.5 * (np.clip(message + carried, -1, 1) + 1)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(gray).convert("RGB").save(file, "JPEG", quality=quality)
    return np.array(Image.open(file).convert("RGB"))


def message_of(face: Pixels) -> Field:
    """A face's brightness in -1..1."""
    return cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float64) / 127.5 - 1


def lines_of_text(side: int) -> Field:
    """A sign to read: dark letters on a middle gray."""
    letters = np.zeros((side, side), np.uint8)
    for number, word in enumerate(("STOP", "B 4711", "HOME")):
        place = (side // 16, side * (2 * number + 2) // 7)
        cv2.putText(letters, word, place, cv2.FONT_HERSHEY_SIMPLEX, side / 128, 1, max(side // 40, 1))
    return np.asarray(-0.9 * letters, np.float64)


@dataclass(frozen=True)
class Seen:
    """How much of the message a blurred cover shows, at the worst texture."""

    correlation: float
    ssim: float
    period: float
    tilt: float


def seen(cover: Pixels, message: Field) -> tuple[float, float]:
    """Correlation and SSIM of the blurred cover, at the message's contrast, with the blurred message."""
    shown, true = (_blurred(part) for part in (message_of(cover), message))
    if shown.std() == 0:
        return 0.0, 0.0
    correlation = float((shown * true).mean() / (shown.std() * true.std()))
    shown *= np.sign(correlation) * true.std() / shown.std()  # a negative is as good
    stretched, wanted = (np.repeat(127.5 * (part[..., None] + 1), 3, axis=2) for part in (shown, true))
    return abs(correlation), ssim(stretched, wanted)


def _blurred(picture: Field) -> Field:
    """As small as the blur allows, about its mean: SSIM of smooth pictures is high whatever they show."""
    smooth = cv2.GaussianBlur(picture, (0, 0), BLUR, borderType=cv2.BORDER_REFLECT)
    small = cv2.resize(smooth, None, fx=1 / BLUR, fy=1 / BLUR, interpolation=cv2.INTER_AREA)
    return np.asarray(small - small.mean(), np.float64)


def worst(cover: Cover, messages: list[Field], carrier: Callable[[Field, Field], Field]) -> Seen:
    """The texture under which a cover shows most, over all messages of one size."""
    found = []
    for period, tilt in ((period, tilt) for period in PERIODS for tilt in TILTS):
        pairs = [(m, texture(m, carrier, period, tilt, phase)) for m in messages for phase in PHASES]
        shown = cover(np.stack([picture for _, picture in pairs]))
        for one, (message, _) in zip(shown, pairs, strict=True):
            found.append(Seen(*seen(one, message), period, tilt))
    return max(found, key=lambda one: one.correlation)


def contents(faces: Pixels) -> Iterator[tuple[str, list[Field], Callable[[Field, Field], Field]]]:
    """Every kind of content: its name, its messages, and what carries them."""
    messages = [message_of(face) for face in faces]
    yield "halftone", messages, dots
    yield "checkers", messages, checkers
    yield "stripes", messages, stripes
    yield "text on checkers", [lines_of_text(faces.shape[1])], checkers


def row(cover: Cover, faces: Pixels) -> dict[str, Seen]:
    """A cover over every kind of content."""
    return {name: worst(cover, messages, carrier) for name, messages, carrier in contents(faces)}


def add_rows(book: report.Book, faces: dict[str, Pixels]) -> None:
    """The shipped network's own cover, and the one that `encrypt` writes, over everybody in `faces`."""
    book.weights |= {f"DDM, {whose}": weights.SHIPPED["ddm"].sha256[:16] for whose in faces}
    for whose, pixels in faces.items():
        book.add(PART, f"DDM, {whose}", partial(row, covers.network(weights.load_ddm()), pixels))
        book.add(PART, f"encrypt, {whose}", partial(row, covers.tool("ddm"), pixels))


def evaluate_adversarial(
    out: Path, data: Path | None, say: Callable[[str], None], page: Path | None = None
) -> dict[str, Any]:
    """This part alone, added to the results that `out` holds."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{NAME}.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"rows": {}}
    add_rows(
        report.Book(out, NAME, tables.page, results, {}, say), faces_of(open_lfw(data) if data else None)
    )
    if page:
        page.write_text(tables.page(results))
    return results


def faces_of(lfw: Lfw | None) -> dict[str, Pixels]:
    """Whose faces are the messages: NASA's portrait, and four people of LFW."""
    return {"portrait": portrait()} | ({"LFW": closed_set(lfw, 4, 1).pixels} if lfw else {})


def portrait() -> Pixels:
    """NASA's portrait, (1, 256, 256, 3)."""
    from photoguard.recognizers.sample import sample_picture

    return sample_picture(256)[None]

"""How alike two pictures are to a recognizer: photos with faces, protected photos, or AVP's chips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from photoguard.detection import detect
from photoguard.errors import DamagedError, NoFaceError
from photoguard.formats import chip_data as avp_payload
from photoguard.formats import envelope
from photoguard.methods.avp import method as avp
from photoguard.photos import images, png
from photoguard.recognizers import TABLE, TEMPLATES, Embeds, Spec, chip_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

# Cosine from which two faces are one person to a recognizer: best on LFW's pairs
# (`photoguard recognizers check NAME --pairs LFW`); for ours, from where 1 % of different people pass: its
# best, 0.18, takes every tenth pair of them for one person.
THRESHOLDS = {
    "mobilefacenet-casia": 0.3,
    "mobilefacenet-112": 0.28,
    "edgeface-xs": 0.25,
    "photoguard-small": 0.3,
}
SIZES = tuple(dict.fromkeys((spec.height, spec.width) for spec in TABLE.values()))


@dataclass(frozen=True)
class Shown:
    """One face of a picture as a recognizer wants to see it."""

    number: int
    what: str  # "face" or "chip"
    pixels: Pixels


@dataclass(frozen=True)
class Pair:
    """A face of one picture and a face of another."""

    first: Shown
    second: Shown
    cosine: float


def compare(
    one: bytes, other: bytes, recognizer: Embeds, names: tuple[str, str] = ("one picture", "the other")
) -> list[Pair]:
    """Every face or chip of one picture with every one of the other; `names` are for messages."""
    first, second = faces_of(one, recognizer.spec, names[0]), faces_of(other, recognizer.spec, names[1])
    a, b = (recognizer.embed_pixels(np.stack([face.pixels for face in some])) for some in (first, second))
    cosines = a @ b.T
    return [Pair(x, y, float(cosines[i, j])) for i, x in enumerate(first) for j, y in enumerate(second)]


def faces_of(data: bytes, spec: Spec, name: str = "the picture") -> list[Shown]:
    """The chips of a protected photo and its faces that are not covered; or the chip that a picture is."""
    photo = images.decode(data, name)
    pixels = photo.shallow()
    if avp_payload.is_chip(pixels) or pixels.shape[:2] in ((spec.height, spec.width), *SIZES):
        return [Shown(1, "chip", seen_by(pixels, spec))]
    shown = []
    chunk = png.public_chunk(data)
    public = envelope.PublicFile.from_bytes(chunk) if chunk is not None else None
    if public is not None and (public.width, public.height) != (photo.width, photo.height):
        raise DamagedError(f"{name} was resized or cropped", "ask for the file as it was written")
    for number, face in enumerate(public.faces if public is not None else (), start=1):
        if face.method == "avp":
            cover = pixels[face.box.window]
            chip = avp.cut_out(cover, SIZES)
            whole = avp.from_photo(cover, spec.height, spec.width) if chip is None else seen_by(chip, spec)
            shown.append(Shown(number, "chip", whole))
    if not shown:
        found = detect(pixels)
        shown = [
            Shown(number, "face", chip_for(spec, pixels, face.landmarks))
            for number, face in enumerate(found, start=1)
        ]
    if not shown:
        raise NoFaceError(f"no face was found in {name}", "chips must be as they were written")
    return shown


def seen_by(chip: Pixels, spec: Spec) -> Pixels:
    """A chip as a recognizer of another size sees it: the face lies where that one expects it."""
    height, width = chip.shape[:2]
    if (height, width) == (spec.height, spec.width):
        return np.ascontiguousarray(chip)
    return chip_for(spec, chip, _template(height, width))


def _template(height: int, width: int) -> Sequence[tuple[float, float]]:
    """Where the landmarks of a chip of this size lie."""
    for spec in TABLE.values():
        if (spec.height, spec.width) == (height, width):
            return TEMPLATES[spec.template]
    return [(x * width / 112, y * height / 112) for x, y in TEMPLATES["112x112"]]

"""AVP's chips on the way of a photo: made for its faces, shown as their covers, told apart and opened."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from photoguard import methods, weights
from photoguard.covering import Cover
from photoguard.errors import DamagedError, WrongKeyError
from photoguard.formats import chip_data, identities
from photoguard.methods.avp import method as avp
from photoguard.photos import images, png
from photoguard.photos.geometry import chip_scale
from photoguard.recognizers.table import TEMPLATES

if TYPE_CHECKING:
    from photoguard.detection import Face
    from photoguard.formats.identities import Ask, Identity, Recipients
    from photoguard.formats.private import PrivateFile
    from photoguard.methods import Chips
    from photoguard.methods.avp.chips import Chip
    from photoguard.photos.images import Photo

CHIP_SIDE = 256  # pixels: no photo with a face to cover is as small as recognizers' chips
UNPROVEN = "nothing proves this chip's picture, as chips of version 1 have no tag: encrypt the photo again"


# For `protect`


def make(
    photo: Photo,
    faces: Sequence[Face | None],
    wanted: Chips | None,
    recipients: Recipients | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[dict[int, Chip], tuple[str, ...]]:
    """The chip of every face, by its number in the file, and what the user should know of them."""
    shown = {number: face for number, face in enumerate(faces, start=1) if face is not None}
    if wanted is None or not shown:
        return {}, ()
    from photoguard.methods.avp import chips
    from photoguard.recognizers import chip_for

    spec = chips.spec_for(wanted.recognizers)
    pixels = photo.shallow()
    aligned = np.stack([chip_for(spec, pixels, face.landmarks) for face in shown.values()])
    made = chips.encrypt(aligned, wanted, recipients, progress)
    notices = []
    for number, face in shown.items():
        scale = chip_scale(face.landmarks, TEMPLATES[spec.template])
        if scale > 1:
            notices.append(
                f"face {number} is smaller than its chip and was enlarged {scale:.1f} times for it"
            )
    return dict(zip(shown, made, strict=True)), tuple(notices)


def show(photo: Photo, covers: list[Cover], made: dict[int, Chip]) -> tuple[str, ...]:
    """Put chips in place of their covers; returns what the user should know of that."""
    notices = []
    for number, chip in made.items():
        noise = covers[number - 1].pixels
        height, width = noise.shape[:2]
        covers[number - 1] = Cover("chip", avp.on_photo(chip.pixels, height, width, noise.dtype))
        if photo.grey or height < chip.pixels.shape[0] or width < chip.pixels.shape[1]:
            why = "it has no colors" if photo.grey else "the face is small"
            notices.append(f"face {number}: on the photo the chip is not whole, as {why}; its own file is")
    return tuple(notices)


def check_written(data: bytes, chip: Chip, name: str, proof: Sequence[Identity]) -> None:
    """Prove on the written bytes that they are the chip and that the own key opens it."""
    if not {kind for kind, _ in png.list_chunks(data)} <= png.PUBLIC_CHUNKS:
        raise DamagedError(f"{name} holds more than it should")
    written = images.decode(data, name).pixels
    if not np.array_equal(written, chip.pixels):
        raise DamagedError(f"{name} did not survive being written")
    payload = chip_data.carried(written)
    if payload.kind != chip_data.SEALED or not proof:
        return
    if not np.array_equal(chip_data.unseal(payload, proof), chip.restored):
        raise DamagedError(f"{name} does not open with your key")


# For `reveal`


def without_carrier(data: bytes, max_pixels: int) -> Photo | None:
    """A picture that holds no carrier and is small enough to be a chip."""
    if png.public_chunk(data) is not None:
        return None
    if max(images.stated_size(io.BytesIO(data), "the picture")) > chip_data.SIDE_LIMIT:
        return None
    return images.decode(data, "the picture", max_pixels)


def chip_in(photo: Photo, private: Sequence[PrivateFile]) -> NDArray[np.uint8] | None:
    """The chip, when a picture without a carrier is one.

    Private files decide that: a chip that none of them names is none. Without them, a small picture has to be
    one.
    """
    if photo.pixels.dtype != np.uint8:
        return None
    if not private:
        small = max(photo.width, photo.height) <= CHIP_SIDE
        return photo.pixels if small or chip_data.is_chip(photo.pixels) else None
    if methods.digest(photo.pixels) in {grant.chip for file in private for grant in file.grants}:
        return photo.pixels
    if chip_data.is_chip(photo.pixels) and all(file.portable is None for file in private):
        raise DamagedError(
            "the picture is a chip that the private file does not name",
            "get the public picture from where it came from, or open the chip without the private file",
        )
    return None


def face_behind(
    pixels: NDArray[np.uint8], keys: Sequence[Identity], ask: Ask | None, key_model: bytes | None = None
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """The face behind a chip, from the chip alone, and what the user should know of it.

    A learned chip takes the key model's file as well.
    """
    payload = chip_data.carried(pixels)
    if payload.kind == chip_data.SEALED:
        face = chip_data.unseal(payload, keys, ask)
    elif key_model is None:
        raise WrongKeyError("this chip takes a learned key model", "name its file with --key-model FILE")
    elif len(key_model) > weights.KEY_MODEL_LIMIT:
        raise DamagedError("the key model is larger than any can be")
    else:
        from photoguard.methods.avp.keys import opened, restore_learned

        face = restore_learned(pixels, payload, opened(identities.unseal(key_model, keys, ask)))
    return face, () if payload.authenticated else (UNPROVEN,)

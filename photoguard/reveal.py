"""A public picture and private files in, the photo out: the whole way on one page."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoguard import envelope, identities, images, limits, methods, png, sealed
from photoguard.errors import DamagedError, UsageError, WrongKeyError
from photoguard.geometry import Owners
from photoguard.identities import Ask, Identity
from photoguard.images import Photo
from photoguard.methods import avp_payload
from photoguard.protect import as_grey

CHIP_SIDE = 256  # pixels: no photo with a face to cover is as small as recognizers' chips
CHANGED_HINT = "`--changed` restores the faces into the picture as it is now"


@dataclass(frozen=True)
class Restored:
    """A restored photo, not yet on disk."""

    photo: Photo
    opened: tuple[int, ...]
    closed: tuple[int, ...]  # faces that stay covered, because nobody granted them
    name: str | None  # of the original, when the metadata was granted
    exact: bool  # proven equal to the original, pixel for pixel
    changed: bool  # the picture is not the one that was written, only its faces are


def open_private(
    private: Iterable[bytes], keys: Sequence[Identity], ask: Ask | None
) -> list[envelope.PrivateFile]:
    """The private files that these keys open; none at all is an error."""
    opened, refused = [], None
    for data in private:
        try:
            opened.append(envelope.PrivateFile.from_bytes(identities.unseal(data, keys, ask)))
        except WrongKeyError as error:
            refused = error
    if not opened:
        raise refused or UsageError("no private file", "it is called NAME.priv; give it with --private")
    return opened


def reveal(
    picture: bytes,
    private: Sequence[envelope.PrivateFile],
    changed: bool = False,
    max_pixels: int = limits.PIXEL_CAP,
) -> Restored:
    """Put back every face that the private files grant."""
    chunk = png.public_chunk(picture)  # before the pixels: a PNG cut short is damaged, not unreadable
    photo = images.decode(picture, "the picture", max_pixels)
    public = _public(chunk, private)
    altered = _altered(photo, public, private)
    if altered and not changed:
        raise DamagedError("the picture was changed after it was protected", CHANGED_HINT)
    grants = {grant.number: grant for file in private for grant in file.grants}
    unknown = [number for number in grants if number > len(public.faces)]
    if unknown:
        raise DamagedError(f"the picture has no face {unknown[0]}")
    _paste(photo, public, [grants[number] for number in sorted(grants)])
    restored = photo
    closed = tuple(n for n in range(1, len(public.faces) + 1) if n not in grants)
    metadata = _metadata(public, private)
    exact = False
    if metadata is not None:
        restored = replace(restored, metadata=metadata.metadata)
        exact = bool(metadata.exact) and not closed and not altered
        if exact and sealed.fingerprint(restored) != metadata.exact:
            raise DamagedError("the restored photo is not the one that was sealed")
    name = metadata.name if metadata else None
    return Restored(restored, tuple(sorted(grants)), closed, name, exact, altered)


def chip_in(data: bytes, alone: bool) -> NDArray[np.uint8] | None:
    """AVP's chip, when a picture is one; without a private file (`alone`), a small picture has to be one."""
    if png.public_chunk(data) is not None:
        return None
    width, height = images.stated_size(io.BytesIO(data), "the picture")
    if max(width, height) > avp_payload.SIDE_LIMIT:  # a photo, and as such decoded later, once
        return None
    photo = images.decode(data, "the picture")
    small = max(width, height) <= CHIP_SIDE
    if photo.pixels.dtype == np.uint8 and (avp_payload.is_chip(photo.pixels) or (alone and small)):
        return photo.pixels
    return None


def reveal_chip(
    pixels: NDArray[np.uint8], keys: Sequence[Identity], ask: Ask | None, key_model: bytes | None = None
) -> Restored:
    """The face behind a chip, from the chip alone; a learned one takes the key model's file as well."""
    payload = avp_payload.carried(pixels)
    if payload.kind == avp_payload.SEALED:
        face = avp_payload.unseal(payload, keys, ask)
    elif key_model is None:
        raise WrongKeyError("this chip takes a learned key model", "name its file with --key-model FILE")
    else:
        from photoguard.methods.avp_keys import unlearned

        face = unlearned(pixels, payload, identities.unseal(key_model, keys, ask))
    return Restored(Photo(face), (1,), (), None, False, False)


def _public(chunk: bytes | None, private: Sequence[envelope.PrivateFile]) -> envelope.PublicFile:
    portable = (file.portable for file in private if file.portable is not None)
    carried = next(portable, None) if chunk is None else chunk
    if carried is None:
        raise DamagedError(
            "the picture has lost its photoguard data",
            "a platform may have stripped it: ask for the file as it was written, or encrypt with --portable",
        )
    public = envelope.PublicFile.from_bytes(carried)
    if any(file.photo_id != public.photo_id for file in private):
        raise DamagedError("the private file belongs to another photo", "look for the one made with it")
    return public


def _altered(photo: Photo, public: envelope.PublicFile, private: Sequence[envelope.PrivateFile]) -> bool:
    if (photo.width, photo.height) != (public.width, public.height):
        raise DamagedError(
            f"the picture has {photo.width} x {photo.height} pixels, not {public.width} x {public.height}",
            "it was resized or cropped; ask for the file as it was written",
        )
    fingerprint = sealed.fingerprint(photo)
    return any(file.picture != fingerprint for file in private)


def _paste(photo: Photo, public: envelope.PublicFile, grants: Sequence[envelope.Grant]) -> None:
    """Put the granted faces into the photo's own arrays: one at a time, so that one patch is all they cost.

    Of a face that owns no pixel nothing is opened: a stranger could ask for any amount of work with those.
    """
    owners = Owners.of([face.box for face in public.faces])
    for grant in grants:
        own = owners.mask(grant.number - 1)
        if own.any():
            _put_back(photo, public, grant, own)


def _put_back(
    photo: Photo, public: envelope.PublicFile, grant: envelope.Grant, own: NDArray[np.bool_]
) -> None:
    face = public.faces[grant.number - 1]
    content, alpha = _content(public, grant)
    place = photo.pixels[face.box.window]
    covered = methods.Covered(place, content, grant.feature, grant.check)
    (patch,) = _method(face.method).reveal(face.method, [covered])
    _same_kind(patch, place)
    np.copyto(place, as_grey(patch) if photo.grey else patch, where=own[..., None])
    if photo.alpha is not None and alpha is not None:
        np.copyto(photo.alpha[face.box.window], alpha.astype(photo.alpha.dtype), where=own)


def _method(name: str) -> methods.Method:
    try:
        return methods.method(name)
    except UsageError as error:
        raise DamagedError(str(error), "a newer photoguard may know it") from None


def _same_kind(patch: NDArray[Any], place: NDArray[Any]) -> None:
    if patch.shape != place.shape or patch.dtype != place.dtype:
        raise DamagedError("a sealed face does not fit its place", CHANGED_HINT)


def _content(public: envelope.PublicFile, grant: envelope.Grant) -> tuple[bytes, NDArray[Any] | None]:
    box = public.faces[grant.number - 1].box
    return sealed.unpack_face(envelope.open_carrier(public, grant.number, grant.key), box.height, box.width)


def _metadata(
    public: envelope.PublicFile, private: Sequence[envelope.PrivateFile]
) -> sealed.SealedMetadata | None:
    for file in private:
        if file.metadata_key is not None:
            return sealed.unpack_metadata(envelope.open_carrier(public, 0, file.metadata_key))
    return None

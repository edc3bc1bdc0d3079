"""A public picture and private files in, the photo out: the whole way on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoguard import chips, methods
from photoguard.covering import as_grey
from photoguard.errors import DamagedError, PhotoguardError, UnreadableError, UsageError
from photoguard.files import limits
from photoguard.formats import contents as sealed
from photoguard.formats import envelope
from photoguard.formats.identities import Ask, Identity
from photoguard.formats.private import Grant, PrivateFile
from photoguard.opening import Makers, Opened, open_private
from photoguard.photos import images, png
from photoguard.photos.geometry import Owners
from photoguard.photos.images import Photo
from photoguard.photos.metadata import Metadata, lost

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
    mode: int = -1  # permissions of the original, when they are known
    whole: bool = False  # all of the original's metadata was granted, not facts only
    made_by: str | None = None  # as `opening.Opened` says it
    notices: tuple[str, ...] = ()

    @property
    def file_mode(self) -> int:
        """The widest permissions of the restored file: never wider than the original's."""
        return 0o666 if self.mode < 0 else self.mode & 0o666


def restore(
    picture: bytes,
    private: Mapping[str, bytes | PhotoguardError],
    keys: Sequence[Identity],
    ask: Ask | None = None,
    makers: Makers | None = None,
    *,
    changed: bool = False,
    max_pixels: int = limits.PIXEL_CAP,
    key_model: bytes | None = None,
    expected: str = "the private file",
    own: str | None = None,
) -> Restored:
    """The photo of a public picture, or the face behind a chip: the files tell which of the two it is.

    `expected` is the private file's path, for a message; `own` is its name in `private`.
    """
    bare = chips.without_carrier(picture, max_pixels)
    public = png.public_chunk(picture) if len(private) > 1 else None
    opened = open_private(private, keys, ask, makers, own, public) if private else Opened((), None)
    chip = None if bare is None else chips.chip_in(bare, opened.files)
    if chip is not None:
        restored = reveal_chip(chip, keys, ask, key_model)
    elif opened.files:
        restored = reveal(picture, opened.files, changed, max_pixels)
    else:
        raise UnreadableError(f"{expected} does not exist", "name the private file with --private")
    return replace(restored, made_by=opened.made_by, notices=(*opened.notices, *restored.notices))


def reveal(
    picture: bytes,
    private: Sequence[PrivateFile],
    changed: bool = False,
    max_pixels: int = limits.PIXEL_CAP,
) -> Restored:
    """Put back every face that the private files, all of one sealing, grant."""
    chunk = png.public_chunk(picture)  # before the pixels: a PNG cut short is damaged, not unreadable
    photo = images.decode(picture, "the picture", max_pixels)
    public = _public(chunk, private)
    altered = _altered(photo, public, private)
    if altered and not changed:
        raise DamagedError("the picture was changed after it was protected", CHANGED_HINT)
    grants = {grant.number: grant for file in reversed(private) for grant in file.grants}
    unknown = [number for number in grants if number > len(public.faces)]
    if unknown:
        raise DamagedError(f"the picture has no face {unknown[0]}")
    _paste(photo, public, [grants[number] for number in sorted(grants)])
    # What the public picture says beside its pixels is not the original's: anybody may have written it.
    restored, opened = replace(photo, metadata=Metadata()), tuple(sorted(grants))
    closed = tuple(n for n in range(1, len(public.faces) + 1) if n not in grants)
    metadata = _metadata(public, private)
    exact = False
    if metadata is not None:
        restored = replace(restored, metadata=metadata.metadata)
        exact = bool(metadata.exact) and not closed and not altered
        if exact and sealed.fingerprint(restored, public.version) != metadata.exact:
            raise DamagedError("the restored photo is not the one that was sealed")
    everything = _everything(public, private)
    if everything is not None:
        restored = replace(restored, metadata=everything)
    name, mode = (metadata.name, metadata.mode) if metadata else (None, -1)
    whole, notices = everything is not None, lost(restored.metadata)
    return Restored(restored, opened, closed, name, exact, altered, mode, whole, notices=notices)


def reveal_chip(
    pixels: NDArray[np.uint8], keys: Sequence[Identity], ask: Ask | None, key_model: bytes | None = None
) -> Restored:
    """The face behind AVP's chip; a learned one takes the key model's file as well."""
    face, notices = chips.face_behind(pixels, keys, ask, key_model)
    return Restored(Photo(face), (1,), (), None, False, False, notices=notices)


def _public(chunk: bytes | None, private: Sequence[PrivateFile]) -> envelope.PublicFile:
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
    digest = sha256(carried).digest()
    if any(file.version != public.version or not file.fits(digest, len(public.faces)) for file in private):
        raise DamagedError(
            "the picture's sealed data is not what was sealed first", "get it again from where it came from"
        )
    return public


def _altered(photo: Photo, public: envelope.PublicFile, private: Sequence[PrivateFile]) -> bool:
    if (photo.width, photo.height) != (public.width, public.height):
        raise DamagedError(
            f"the picture has {photo.width} x {photo.height} pixels, not {public.width} x {public.height}",
            "it was resized or cropped; ask for the file as it was written",
        )
    fingerprint = sealed.fingerprint(photo, public.version)
    return any(file.picture != fingerprint for file in private)


def _paste(photo: Photo, public: envelope.PublicFile, grants: Sequence[Grant]) -> None:
    """Put the granted faces into the photo's own arrays: one at a time, so that one patch is all they cost.

    Of a face that owns no pixel nothing is opened: an attacker could ask for any amount of work with those.
    """
    owners = Owners.of([face.box for face in public.faces])
    for grant in grants:
        own = owners.mask(grant.number - 1)
        if own.any():
            _put_back(photo, public, grant, own)


def _put_back(photo: Photo, public: envelope.PublicFile, grant: Grant, own: NDArray[np.bool_]) -> None:
    face = public.faces[grant.number - 1]
    content, alpha = _content(public, grant)
    place = photo.pixels[face.box.window]
    part = methods.Sealed(place.shape, place.dtype, content, grant.feature, grant.check)
    (patch,) = _method(face.method).reveal(face.method, [part])
    _same_kind(patch, place)
    np.copyto(place, as_grey(patch) if photo.grey else patch, where=own[..., None])
    if photo.alpha is not None and alpha is not None:
        np.copyto(photo.alpha[face.box.window], _as_deep(alpha, photo.alpha.dtype), where=own)


def _method(name: str) -> methods.Method:
    try:
        return methods.method(name)
    except UsageError as error:
        raise DamagedError(str(error), "a newer photoguard may know it") from None


def _same_kind(patch: NDArray[Any], place: NDArray[Any]) -> None:
    if patch.shape != place.shape or patch.dtype != place.dtype:
        raise DamagedError("a sealed face does not fit its place", CHANGED_HINT)


def _as_deep(alpha: NDArray[Any], depth: np.dtype[Any]) -> NDArray[Any]:
    if alpha.max() > np.iinfo(depth).max:  # 300 in 8 bits would come back as 44
        raise DamagedError("a sealed face's alpha is deeper than the photo")
    return alpha.astype(depth)


def _content(public: envelope.PublicFile, grant: Grant) -> tuple[bytes, NDArray[Any] | None]:
    box = public.faces[grant.number - 1].box
    content = envelope.open_carrier(public, grant.number, grant.key)
    return sealed.unpack_face(content, box.height, box.width, public.version)


def _metadata(public: envelope.PublicFile, private: Sequence[PrivateFile]) -> sealed.SealedMetadata | None:
    for file in private:
        if file.metadata_key is not None:
            content = envelope.open_carrier(public, envelope.METADATA, file.metadata_key)
            return sealed.unpack_metadata(content, public.version)
    return None


def _everything(public: envelope.PublicFile, private: Sequence[PrivateFile]) -> Metadata | None:
    for file in private:
        if file.everything_key is not None:
            content = envelope.open_carrier(public, public.everything, file.everything_key)
            return sealed.unpack_everything(content)
    return None

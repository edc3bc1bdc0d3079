"""One photo in, a public picture and a private file out: the whole way on one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from photoguard import envelope, files, identities, images, limits, methods, png, sealed
from photoguard.detection import DetectionSettings, Face, detect
from photoguard.errors import DamagedError, DoubtError, NoFaceError, UsageError
from photoguard.geometry import Box, Owners, chip_scale
from photoguard.identities import Identity, Recipients
from photoguard.images import Photo
from photoguard.methods import avp, avp_payload
from photoguard.recognizers.table import TEMPLATES

if TYPE_CHECKING:
    from photoguard.methods.avp_chips import Chip

MARGIN = 0.25  # of the face's longer side, on every side: hair and ears belong to the face


@dataclass(frozen=True)
class Options:
    """What to protect in a photo, and how."""

    method: str = "ddm"
    settings: methods.Settings = field(default_factory=methods.Settings)
    detection: DetectionSettings = field(default_factory=DetectionSettings)
    faces: Literal["all", "largest", "none"] | tuple[int, ...] = "all"  # numbers as `detect` prints them
    keep: tuple[int, ...] = ()  # faces to leave readable
    regions: tuple[Box, ...] = ()  # further things to cover
    margin: float = MARGIN
    uncertain: Literal["cover", "drop", "fail"] = "cover"
    portable: bool = False
    max_pixels: int = limits.PIXEL_CAP


@dataclass(frozen=True)
class Protection:
    """A protected photo, not yet on disk."""

    picture: Photo  # what strangers see
    public: envelope.PublicFile
    private: envelope.PrivateFile
    found: tuple[Face, ...]  # all faces, covered or not
    covered: tuple[int, ...]  # their numbers; regions come after them in the file
    portable: bool
    notices: tuple[str, ...] = field(default=())
    chips: dict[int, Chip] = field(default_factory=dict)  # of avp, by the face's number in the file

    @property
    def kept(self) -> tuple[int, ...]:
        """The numbers of the faces that stay readable."""
        return tuple(n for n in range(1, len(self.found) + 1) if n not in self.covered)


def protect(
    data: bytes,
    source: Path,
    options: Options,
    recipients: Recipients | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Protection:
    """Find the faces of a photo, cover them, and seal what the covers replaced.

    `recipients` are whom AVP's sealed chips are for; `progress` hears of its search.
    """
    photo = images.decode(data, files.shown(source), options.max_pixels)
    found = find(photo, options)
    covered = select(found, options)
    faces: list[Face | None] = [found[n - 1] for n in covered]
    boxes = [_region(face.box.grown(options.margin), photo) for face in faces if face]
    boxes += [_region(box, photo) for box in options.regions]
    faces += [None] * len(options.regions)
    owners = Owners.of(boxes)
    own = [number for number in range(len(boxes)) if owners.mask(number).any()]  # others cover the rest
    boxes, faces = [boxes[n] for n in own], [faces[n] for n in own]
    if not boxes:
        raise no_face(source)
    envelope.refuse_area(boxes, photo.width, photo.height)
    parts = _cover(photo, boxes, options)
    chips, notices = _chips(photo, faces, options, recipients, progress)
    notices += _show_chips(photo, parts, chips)
    picture = _picture(photo, boxes, parts)
    public, keys = envelope.seal(
        photo.width,
        photo.height,
        [envelope.PublicFace(box, options.method) for box in boxes],
        sealed.pack_metadata(photo, source.name, options.settings.exact),
        [
            sealed.pack_face(part.public, _cut_alpha(photo, box))
            for part, box in zip(parts, boxes, strict=True)
        ],
    )
    grants = tuple(
        envelope.Grant(number, key, part.check, part.private)
        for number, (key, part) in enumerate(zip(keys[1:], parts, strict=True), start=1)
    )
    carrier = public.to_bytes() if options.portable else None
    private = envelope.PrivateFile(public.photo_id, sealed.fingerprint(picture), keys[0], grants, carrier)
    notices = (*photo.notices, *notices)
    return Protection(picture, public, private, tuple(found), covered, options.portable, notices, chips)


def no_face(source: Path) -> NoFaceError:
    """What to say when there is nothing to cover."""
    return NoFaceError(
        f"no face was found in {files.shown(source)}",
        "look again with --thorough or a smaller --min-face, or cover something with --region x,y,w,h",
    )


def find(photo: Photo, options: Options) -> list[Face]:
    """The photo's faces, less the uncertain ones when the user wants them dropped."""
    if options.faces == "none":
        return []
    found = detect(photo.shallow(), options.detection)
    if options.uncertain == "drop":
        return [face for face in found if face.certain]
    doubtful = [number for number, face in enumerate(found, start=1) if not face.certain]
    if doubtful and options.uncertain == "fail":
        raise DoubtError(
            f"uncertain about face {', '.join(map(str, doubtful))}",
            "see `photoguard detect --preview`, then choose with --faces, --keep or --strict-faces",
        )
    return found


def select(found: Sequence[Face], options: Options) -> tuple[int, ...]:
    """The numbers of the faces to cover."""
    named = {*options.keep, *(options.faces if isinstance(options.faces, tuple) else ())}
    missing = sorted(n for n in named if not 1 <= n <= len(found))
    if missing:
        raise UsageError(
            f"there is no face {missing[0]}: {len(found)} found", "`photoguard detect` numbers them"
        )
    numbers: Sequence[int] = range(1, len(found) + 1)
    if isinstance(options.faces, tuple):
        numbers = options.faces
    elif options.faces == "largest" and found:
        numbers = [max(numbers, key=lambda n: found[n - 1].box.area)]
    return tuple(sorted({*numbers} - {*options.keep}))


def _region(box: Box, photo: Photo) -> Box:
    clipped = box.clipped(photo.width, photo.height)
    if not clipped.area:
        raise UsageError(
            f"the region {box.x},{box.y},{box.width},{box.height} lies outside the photo",
            f"the photo has {photo.width} x {photo.height} pixels",
        )
    return clipped


def _cover(photo: Photo, boxes: list[Box], options: Options) -> list[methods.Covered]:
    patches, owners = [], Owners.of(boxes)
    for number, box in enumerate(boxes):
        patch = photo.pixels[box.window].copy()
        mine = owners.mask(number)
        # What belongs to a neighbor must not be sealed under this face's key.
        patch[~mine] = patch[mine].mean(axis=0).astype(patch.dtype)
        patches.append(patch)
    return methods.method(options.method).protect(options.method, patches, options.settings)


def _chips(
    photo: Photo,
    faces: Sequence[Face | None],
    options: Options,
    recipients: Recipients | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[dict[int, Chip], tuple[str, ...]]:
    """AVP's chip for every face, by its number in the file, and what the user should know of them."""
    wanted = options.settings.chips
    shown = {number: face for number, face in enumerate(faces, start=1) if face is not None}
    if wanted is None or not shown:
        return {}, ()
    from photoguard.methods import avp_chips
    from photoguard.recognizers import chip_for

    spec = avp_chips.spec_for(wanted.recognizers)
    pixels = photo.shallow()
    aligned = np.stack([chip_for(spec, pixels, face.landmarks) for face in shown.values()])
    chips = avp_chips.encrypt(aligned, wanted, recipients, progress)
    notices = []
    for number, face in shown.items():
        scale = chip_scale(face.landmarks, TEMPLATES[spec.template])
        if scale > 1:
            notices.append(
                f"face {number} is smaller than its chip and was enlarged {scale:.1f} times for it"
            )
    return dict(zip(shown, chips, strict=True)), tuple(notices)


def _show_chips(photo: Photo, parts: list[methods.Covered], chips: dict[int, Chip]) -> tuple[str, ...]:
    """Put chips in place of their covers; returns what the user should know of that."""
    notices = []
    for number, chip in chips.items():
        part = parts[number - 1]
        parts[number - 1] = replace(part, cover=avp.on_photo(chip.pixels, part.cover))
        height, width = part.cover.shape[:2]
        if photo.grey or height < chip.pixels.shape[0] or width < chip.pixels.shape[1]:
            why = "it has no colors" if photo.grey else "the face is small"
            notices.append(f"face {number}: on the photo the chip is not whole, as {why}; its own file is")
    return tuple(notices)


def _picture(photo: Photo, boxes: list[Box], parts: Sequence[methods.Covered]) -> Photo:
    pixels = photo.pixels.copy()
    alpha = None if photo.alpha is None else photo.alpha.copy()
    owners = Owners.of(boxes)
    for number, (box, part) in enumerate(zip(boxes, parts, strict=True)):
        mine = owners.mask(number)
        pixels[box.window][mine] = as_grey(part.cover)[mine] if photo.grey else part.cover[mine]
        if alpha is not None:  # an outline in the alpha channel would still show the head
            alpha[box.window] = np.iinfo(alpha.dtype).max
    return replace(photo, pixels=pixels, alpha=alpha, metadata=images.Metadata())


def as_grey(pixels: NDArray[Any]) -> NDArray[Any]:
    """Three equal channels of luminance."""
    return cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def _cut_alpha(photo: Photo, box: Box) -> NDArray[Any] | None:
    return None if photo.alpha is None else photo.alpha[box.window]


# On disk


def protect_file(
    source: Path,
    public: Path,
    private: Path,
    options: Options,
    recipients: Recipients,
    *,
    proof: Sequence[Identity] = (),
    force: bool = False,
    tidy: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Protection:
    """Protect one file: all outputs are written, checked as they lie on disk, then put in place together.

    `tidy` first finishes what killed runs left in the folder, which costs as much as the folder is long.
    """
    if public.parent != private.parent:
        raise UsageError("the public and the private file must be in one folder", "move one afterwards")
    if tidy:  # first: what they left decides which outputs exist
        files.finish_killed_runs(public.parent)
    chips = (files.chip_beside(public, 1),) if options.settings.chips else ()
    for target in (public, private, *chips):
        if files.is_same(target, source):
            raise UsageError(f"{files.shown(target)} is the photo itself", "choose another name with -o")
        if not force:
            files.refuse_existing(target)
    data = limits.read_picture(source, options.max_pixels)
    protection = protect(data, source, options, recipients, progress)
    del data
    with files.staged(public.parent, force, tidy) as stage:
        carrier = None if options.portable else protection.public.to_bytes()
        picture = stage.add(public.name, images.encode_public(protection.picture, carrier))
        secret = stage.add(private.name, identities.seal(protection.private.to_bytes(), recipients))
        check_written(picture.read_bytes(), secret.read_bytes(), protection, proof)
        for number, chip in protection.chips.items():
            name = files.chip_beside(public, number).name
            written = stage.add(name, images.encode_lossless(chip.pixels)).read_bytes()
            _check_chip(written, chip, f"the chip of face {number}", proof)
        stage.publish()
    return protection


def check_written(picture: bytes, secret: bytes, protection: Protection, proof: Sequence[Identity]) -> None:
    """Prove on the written bytes that nothing but covers is readable and that the own key opens the rest."""
    kinds = {kind for kind, _ in png.list_chunks(picture)}
    if not kinds <= png.PUBLIC_CHUNKS:
        raise DamagedError(f"the public picture holds more than it should: {sorted(kinds)}")
    chunk = png.public_chunk(picture)
    if protection.portable is (chunk is not None):
        raise DamagedError("the carrier is not where it belongs")
    if chunk is not None and envelope.PublicFile.from_bytes(chunk) != protection.public:
        raise DamagedError("the carrier did not survive being written")
    if not images.shows(picture, protection.picture):
        raise DamagedError("the public picture did not survive being written")
    if identities.stanzas(secret) != ["scrypt"] and proof:
        _prove(secret, protection, proof)


def _prove(secret: bytes, protection: Protection, proof: Sequence[Identity]) -> None:
    opened = envelope.PrivateFile.from_bytes(identities.unseal(secret, proof))
    if opened != protection.private:
        raise DamagedError("the private file did not survive being written")


def _check_chip(data: bytes, chip: Chip, name: str, proof: Sequence[Identity]) -> None:
    if not {kind for kind, _ in png.list_chunks(data)} <= png.PUBLIC_CHUNKS:
        raise DamagedError(f"{name} holds more than it should")
    written = images.decode(data, name).pixels
    if not np.array_equal(written, chip.pixels):
        raise DamagedError(f"{name} did not survive being written")
    payload = avp_payload.carried(written)
    if payload.kind != avp_payload.SEALED or not proof:
        return
    if not np.array_equal(avp_payload.unseal(payload, proof), chip.restored):
        raise DamagedError(f"{name} does not open with your key")

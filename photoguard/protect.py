"""One photo in, a public picture and a private file out: the whole way on one page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from photoguard import chips, covering, files, methods
from photoguard.detection import DetectionSettings, Face, detect
from photoguard.errors import DamagedError, DoubtError, NoFaceError, UsageError
from photoguard.files import limits, remote
from photoguard.formats import contents as sealed
from photoguard.formats import envelope, identities, signing
from photoguard.formats.identities import Identity, Recipients
from photoguard.formats.private import Grant, PrivateFile, seal_private
from photoguard.formats.signing import Signer
from photoguard.photos import images, png, profile
from photoguard.photos.continuation import continued
from photoguard.photos.geometry import MARGIN, Box, Owners
from photoguard.photos.images import Photo

if TYPE_CHECKING:
    from photoguard.methods.avp.chips import Chip


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
    look: covering.Look | None = None  # None: the method's own
    uncertain: Literal["cover", "drop", "fail"] = "cover"
    portable: bool = False
    first_frame: bool = False  # of an animation or of several pages; without it they are refused
    max_pixels: int = limits.PIXEL_CAP


@dataclass(frozen=True)
class Choice:
    """What of a photo is covered: `protect` covers it, and `detect` shows it."""

    found: tuple[Face, ...]
    covered: tuple[int, ...]  # numbers of the faces to cover
    boxes: tuple[Box, ...]  # of the covers, faces first and then regions
    numbers: tuple[int, ...]  # whose each box is: a face's number, or 0 for a region

    @property
    def faces(self) -> list[Face | None]:
        """The face in each box, None in a region's."""
        return [self.found[number - 1] if number else None for number in self.numbers]

    @property
    def counts(self) -> dict[str, int]:
        """How many faces are covered, how many of these are in doubt, and how many faces stay readable."""
        uncertain = sum(not self.found[number - 1].certain for number in self.covered)
        left = len(self.found) - len(self.covered)
        return {"covered": len(self.covered), "uncertain": uncertain, "open": left}

    def cover(self, number: int) -> Box | None:
        """A face's cover; None when it stays readable, or smaller covers hide all of it."""
        return self.boxes[self.numbers.index(number)] if number in self.numbers else None


@dataclass(frozen=True)
class Protection:
    """A protected photo, not yet on disk."""

    picture: Photo  # what everybody sees
    public: envelope.PublicFile
    private: PrivateFile
    covers: tuple[covering.Cover, ...]  # of its faces
    found: tuple[Face, ...]  # all faces, covered or not
    covered: tuple[int, ...]  # their numbers; regions come after them in the file
    portable: bool
    notices: tuple[str, ...] = field(default=())
    chips: dict[int, Chip] = field(default_factory=dict)  # of avp, by the face's number in the file

    @property
    def kept(self) -> tuple[int, ...]:
        """The numbers of the faces that stay readable."""
        return tuple(n for n in range(1, len(self.found) + 1) if n not in self.covered)

    def public_bytes(self) -> bytes:
        """`NAME.pub.png`."""
        return images.encode_public(self.picture, None if self.portable else self.public.to_bytes())

    def private_bytes(self, recipients: Recipients) -> bytes:
        """`NAME.priv`."""
        return identities.seal(self.private.to_bytes(), recipients)


def protect(
    data: bytes,
    source: Path,
    options: Options,
    recipients: Recipients | None = None,
    signer: Signer | None = None,
    progress: Callable[[int, int], None] | None = None,
    mode: int = -1,
) -> Protection:
    """Find the faces of a photo, cover them, and seal what the covers replaced.

    `recipients` are whom AVP's sealed chips are for; `signer` says who made it, without one somebody unknown
    did; `progress` hears of AVP's search; `mode` are the permissions of the original, -1 when they are not
    known.
    """
    photo = _opened(data, source, options)
    choice, method = choose(photo, options), options.method
    boxes = list(choice.boxes)
    if not boxes:
        raise nothing_to_cover(source, choice.found, options, png.public_chunk(data) is not None)
    envelope.refuse_area(boxes, photo.width, photo.height)
    owners = Owners.of(boxes)
    owned = [owners.mask(number) for number in range(len(boxes))]
    # What belongs to a neighbor must not be sealed under this face's key.
    patches = [continued(photo.pixels[box.window], mine) for box, mine in zip(boxes, owned, strict=True)]
    parts = methods.method(method).seal(method, patches, options.settings, owned)
    covers = _covers(photo, boxes, patches, options)
    own_chips, notices = chips.make(photo, choice.faces, options.settings.chips, recipients, progress)
    notices += chips.show(photo, covers, own_chips)
    picture = covering.picture(photo, boxes, covers)
    listed = [envelope.PublicFace(box, method, cover.look) for box, cover in zip(boxes, covers, strict=True)]
    public, keys = envelope.seal(
        photo.width,
        photo.height,
        listed,
        [
            sealed.pack_metadata(photo, source.name, options.settings.exact, mode),
            *(
                sealed.pack_face(part.public, _own_alpha(photo, box, mine))
                for box, part, mine in zip(boxes, parts, owned, strict=True)
            ),
            sealed.pack_everything(photo.metadata),
        ],
    )
    grants = _grants(keys[1:-1], parts, own_chips)
    private = seal_private(
        public, sealed.fingerprint(picture), keys, grants, signer or signing.throwaway(), options.portable
    )
    return Protection(
        picture,
        public,
        private,
        tuple(covers),
        choice.found,
        choice.covered,
        options.portable,
        (*photo.notices, *notices),
        own_chips,
    )


def _opened(data: bytes, source: Path, options: Options) -> Photo:
    """The photo, with a color profile that says nothing about its maker."""
    photo = images.decode(data, files.shown(source), options.max_pixels, options.first_frame)
    icc, of_profile = profile.publishable(photo.icc, photo.grey)
    return replace(photo, icc=icc, notices=(*photo.notices, *photo.metadata.notices, *of_profile))


def no_face(source: Path) -> NoFaceError:
    """What to say when there is nothing to cover."""
    return NoFaceError(
        f"no face was found in {files.shown(source)}",
        "look again with --thorough or a smaller --min-face, or cover something with --region x,y,w,h",
    )


def choose(photo: Photo, options: Options) -> Choice:
    """Find the faces of a photo, and say which of them, and which regions, to cover and how far."""
    found = tuple(find(photo, options))
    covered = select(found, options)
    numbers = [*covered, *([0] * len(options.regions))]
    boxes = [_region(found[n - 1].box.grown(options.margin), photo) for n in covered]
    boxes += [_region(box, photo) for box in options.regions]
    owners = Owners.of(boxes)
    own = [n for n in range(len(boxes)) if owners.mask(n).any()]  # smaller covers hide the rest
    return Choice(found, covered, tuple(boxes[n] for n in own), tuple(numbers[n] for n in own))


def nothing_to_cover(
    source: Path, found: Sequence[Face], options: Options, protected: bool = False
) -> NoFaceError:
    """Why nothing is covered: nobody is in the photo, or the user keeps everybody readable."""
    name = files.shown(source)
    if found:
        return NoFaceError(
            f"nothing to cover in {name}: --keep leaves every face readable that was to be covered",
            "leave a face out of --keep, or cover something with --region x,y,w,h",
        )
    if options.faces == "none":
        return NoFaceError(
            f"nothing to cover in {name}: --faces none, and no --region",
            "cover something with --region x,y,w,h, or leave --faces out",
        )
    if protected:
        return NoFaceError(
            f"{name} is protected already, and shows no face that is not covered",
            "`photoguard inspect` shows what is covered; --region covers more",
        )
    return no_face(source)


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
            "see `photoguard detect --preview`, then choose with --faces, --keep or --only-certain",
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
    # A cover that cuts a block of the original's coder in two: the rest of the block tells of what is hidden.
    return clipped.on_grid(photo.grid).clipped(photo.width, photo.height)


def _covers(
    photo: Photo, boxes: list[Box], patches: Sequence[images.Pixels], options: Options
) -> list[covering.Cover]:
    if options.look is not None:
        return covering.chosen(photo, boxes, options.look)
    return [covering.cover(options.method, patch, options.settings.strength) for patch in patches]


def _own_alpha(photo: Photo, box: Box, mine: NDArray[np.bool_]) -> NDArray[Any] | None:
    """The alpha of a face's own pixels; what belongs to a neighbor is opaque."""
    if photo.alpha is None:
        return None
    alpha = photo.alpha[box.window].copy()
    alpha[~mine] = np.iinfo(alpha.dtype).max
    return alpha


def _grants(
    keys: Sequence[bytes], parts: Sequence[methods.Sealed], own_chips: Mapping[int, Chip]
) -> list[Grant]:
    return [
        Grant(number, key, part.check, part.private, _digest(own_chips.get(number)))
        for number, (key, part) in enumerate(zip(keys, parts, strict=True), start=1)
    ]


def _digest(chip: Chip | None) -> bytes:
    return b"" if chip is None else methods.digest(chip.pixels)


# On disk


def protect_file(
    source: Path,
    public: Path,
    private: Path,
    options: Options,
    recipients: Recipients,
    *,
    signer: Signer | None = None,
    proof: Sequence[Identity] = (),
    force: bool = False,
    heals: bool = False,
    tidy: bool = True,
    secret: bytes | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Protection:
    """Protect one file: all outputs are written, checked as they lie on disk, then put in place together.

    The private file may have a folder of its own; then it is put in place first, and `heals` says that one
    that lies there alone is a killed run's. `tidy` first finishes what killed runs left in the folders, which
    costs as much as they are long. It can do so where they and this run have the user's `secret`; without one
    it only names what they left.
    """
    folders = dict.fromkeys((private.parent, public.parent)) if tidy else ()
    # first: what they left decides which outputs exist
    left = tuple(line for folder in folders for line in files.finish_killed_runs(folder, secret).notices)
    first_chip = (files.chip_beside(public, 1),) if options.settings.chips else ()
    for target in (public, private, *first_chip):
        if files.is_same(target, source):
            raise UsageError(f"{files.shown(target)} is the photo itself", "choose another name with -o")
        if not (force or (heals and target == private)):
            files.refuse_existing(target)
    data, mode = limits.read_picture(source, options.max_pixels), permissions(source)
    protection = protect(data, source, options, recipients, signer, progress, mode)
    del data
    with ExitStack() as stages:
        stage = hidden = stages.enter_context(files.staged(public.parent, force, secret))
        if private.parent != public.parent:
            hidden = stages.enter_context(files.staged(private.parent, force or heals, secret))
        picture = stage.add(public.name, protection.public_bytes())
        sealed_file = hidden.add(private.name, protection.private_bytes(recipients))
        check_written(picture.read_bytes(), sealed_file.read_bytes(), protection, proof)
        for number, chip in protection.chips.items():
            name = files.chip_beside(public, number).name
            written = stage.add(name, images.encode_lossless(chip.pixels)).read_bytes()
            chips.check_written(written, chip, f"the chip of face {number}", proof)
        stage.publish() if hidden is stage else files.publish_apart(hidden, stage)
    return replace(protection, notices=(*protection.notices, *left))


def permissions(source: Path) -> int:
    """The permission bits of a photo's file, or -1 where it has none."""
    return -1 if remote.is_remote(source) else source.stat().st_mode & 0o777


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
    covering.prove(protection.picture, [face.box for face in protection.public.faces], protection.covers)
    if identities.stanzas(secret) != ["scrypt"] and proof:
        _prove(secret, protection, proof)


def _prove(secret: bytes, protection: Protection, proof: Sequence[Identity]) -> None:
    opened = PrivateFile.from_bytes(identities.unseal(secret, proof))
    if opened != protection.private:
        raise DamagedError("the private file did not survive being written")

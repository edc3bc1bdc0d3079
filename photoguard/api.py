"""photoguard for programs: photos and keys in, pictures and private files out, all in memory.

What stands here is public as `photoguard.NAME`. The options are those of the command line. Nothing is written
and nothing is read beside what a call names; `save` writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from photoguard import arguments, chips, files, protect, reveal
from photoguard.arguments import Faces, File, Recipient
from photoguard.detection import Face
from photoguard.errors import DamagedError
from photoguard.files import limits, remote
from photoguard.formats import identities
from photoguard.formats.identities import Recipients
from photoguard.formats.private import PrivateFile
from photoguard.identity import Identity, asked
from photoguard.methods import Settings
from photoguard.photos import images
from photoguard.photos.geometry import MARGIN, Box


@dataclass(frozen=True)
class ProtectedPhoto:
    """A photo with covered faces, not yet on disk."""

    public: bytes
    """The picture to share, a PNG."""
    private: bytes
    """What restores it, encrypted to the recipients."""
    chips: Mapping[int, bytes]
    """With method avp: the PNGs to enroll, by number of the cover."""
    faces: tuple[Face, ...]
    """All that were found."""
    covered: tuple[int, ...]
    """The numbers of those that are covered, from 1."""
    name: str
    """Of the photo."""
    notices: tuple[str, ...]

    def save(self, folder: Path | str, *, force: bool = False) -> Path:
        """Write NAME.pub.png, NAME.priv and the chips, all or none; returns the picture's path."""
        public = remote.place(str(folder)) / files.public_name(Path(self.name))
        outputs = {public: self.public, files.private_beside(public): self.private}
        outputs |= {files.chip_beside(public, number): chip for number, chip in self.chips.items()}
        _write(public.parent, {path.name: data for path, data in outputs.items()}, force)
        return public


@dataclass(frozen=True)
class RestoredPhoto:
    """A restored photo, not yet on disk."""

    picture: bytes
    """A PNG, with the original's metadata where they were granted."""
    opened: tuple[int, ...]
    """The numbers of the faces that are back."""
    closed: tuple[int, ...]
    """Those that stay covered, because nobody granted them."""
    exact: bool
    """Whether it is proven equal to the original, pixel for pixel."""
    changed: bool
    """Whether the picture around the faces is not the one that was written."""
    name: str | None
    """Of the original, when the metadata were granted."""
    made_by: str | None
    """`you`, a name from `known`, or None for somebody unknown."""
    notices: tuple[str, ...]
    mode: int
    """The widest permissions for its file: the original's, if they are known."""

    def save(self, path: Path | str, *, force: bool = False) -> None:
        """Write the picture to a file."""
        target = remote.place(str(path))
        _write(target.parent, {target.name: self.picture}, force, self.mode)


def find_faces(
    photo: File,
    *,
    min_face: int | None = None,
    threshold: float | None = None,
    thorough: bool = False,
    only_certain: bool = False,
    max_pixels: int = limits.PIXEL_CAP,
) -> list[Face]:
    """The faces of a photo; the first has number 1 in `faces` and `keep` of `protect_photo`."""
    data, name = arguments.read_picture(photo, max_pixels), arguments.name_of(photo)
    decoded = images.decode(data, name, max_pixels)
    settings = arguments.detection(min_face, threshold, thorough)
    options = protect.Options(detection=settings, uncertain="drop" if only_certain else "cover")
    return protect.find(decoded, options)


def protect_photo(
    photo: File,
    identity: Identity | None = None,
    *,
    to: Recipient | Sequence[Recipient] = (),
    passphrase: str | None = None,
    method: str = "ddm",
    strength: float = 1.0,
    exact: bool = False,
    quality: float | None = None,
    compact: bool = False,
    look: str | File | None = None,
    recognizers: Sequence[str] = (),
    key_model: File | None = None,
    robust: Sequence[str] = (),
    cosine: float | None = None,
    faces: Faces = "all",
    keep: Sequence[int] = (),
    regions: Sequence[tuple[int, int, int, int]] = (),
    margin: float = MARGIN,
    min_face: int | None = None,
    threshold: float | None = None,
    thorough: bool = False,
    only_certain: bool = False,
    fail_on_uncertain: bool = False,
    portable: bool = False,
    max_pixels: int = limits.PIXEL_CAP,
    name: str | None = None,
) -> ProtectedPhoto:
    """Cover the faces of a photo; the identity opens the private file and signs it.

    With `to`, those alone open it: add the identity to the list to be one of them. Without an identity nobody
    can tell who made it. `regions` are (x, y, width, height) in pixels of the upright photo, `name` is what a
    photo from memory is called, and the other options are those of `photoguard encrypt`.
    """
    recipients = arguments.recipients(identity, to, passphrase)
    options = protect.Options(
        method=method,
        settings=Settings(
            strength=arguments.within("strength", strength, 1, 5),
            exact=exact,
            quality=arguments.quality(quality, compact, exact, method),
            compact=compact,
            chips=arguments.chips(method, recognizers, key_model, robust, cosine, identity),
        ),
        detection=arguments.detection(min_face, threshold, thorough),
        faces=arguments.faces(faces),
        keep=tuple(keep),
        regions=tuple(Box(*region) for region in regions),
        margin=arguments.within("margin", margin, 0, 2),
        look=None if look is None else arguments.look(method, look, max_pixels),
        uncertain=arguments.uncertain(only_certain, fail_on_uncertain),
        portable=portable,
        max_pixels=max_pixels,
    )
    source, signer = arguments.source(photo, name), identity.signer if identity else None
    data, mode = arguments.read_picture(photo, max_pixels), arguments.permissions(photo)
    made = protect.protect(data, source, options, recipients, signer, mode=mode)
    return _checked(made, recipients, identity, source.name)


def _checked(
    made: protect.Protection, recipients: Recipients, identity: Identity | None, name: str
) -> ProtectedPhoto:
    """The bytes of a protected photo, once they are proven to be what they should be."""
    proof = [key for key in identity.keys if identities.is_among(key, recipients)] if identity else []
    public, private = made.public_bytes(), made.private_bytes(recipients)
    protect.check_written(public, private, made, proof)
    pictures = {number: images.encode_lossless(chip.pixels) for number, chip in made.chips.items()}
    for number, chip in made.chips.items():
        chips.check_written(pictures[number], chip, f"the chip of face {number}", proof)
    return ProtectedPhoto(public, private, pictures, made.found, made.covered, name, made.notices)


def restore_photo(
    picture: File,
    identity: Identity | None = None,
    *,
    private: File | Sequence[File] | None = None,
    passphrase: str | None = None,
    known: Mapping[str, Recipient] | None = None,
    key_model: File | None = None,
    changed: bool = False,
    max_pixels: int = limits.PIXEL_CAP,
) -> RestoredPhoto:
    """Give a photo its faces back, or the face behind one of AVP's chips.

    Private files beside a picture on disk are found; for a picture in memory name them with `private`. A chip
    needs none. `passphrase` is that of private files which were locked with one. `known` says by what name
    to call whoever signed: {"ana": Path("ana.pub")}.
    """
    restored = reveal.restore(
        arguments.read_picture(picture, max_pixels),
        arguments.read_private(picture, private),
        identity.keys if identity else [],
        asked(passphrase),
        arguments.makers(identity, known or {}),
        changed=changed,
        max_pixels=max_pixels,
        key_model=None if key_model is None else arguments.read_limited(key_model, limits.KEY_MODEL),
    )
    return RestoredPhoto(
        images.encode_restored(restored.photo), restored.opened, restored.closed, restored.exact,
        restored.changed, restored.name, restored.made_by, restored.notices, restored.file_mode,
    )  # fmt: skip


def grant(
    private: File,
    identity: Identity | None = None,
    *,
    to: Recipient | Sequence[Recipient] = (),
    passphrase: str | None = None,
    faces: Literal["all"] | Sequence[int] = "all",
    metadata: bool | None = None,
    private_passphrase: str | None = None,
) -> bytes:
    """A private file for others that opens the faces you choose, made from one that you can open.

    The photo's metadata go along with all faces unless you say otherwise. `passphrase` locks the new file,
    `private_passphrase` opens the old one.
    """
    recipients = arguments.recipients(None, to, passphrase)
    keys = identity.keys if identity else []
    data = identities.unseal(arguments.read_limited(private, limits.PRIVATE), keys, asked(private_passphrase))
    granted = PrivateFile.from_bytes(data).granting(
        None if faces == "all" else list(map(int, faces)), metadata
    )
    return identities.seal(granted.to_bytes(), recipients)


def make_features(
    photo: File,
    *,
    to: Recipient | Sequence[Recipient] = (),
    passphrase: str | None = None,
    weights: Path | None = None,
    all_faces: bool = False,
    min_face: int | None = None,
    threshold: float | None = None,
    thorough: bool = False,
    max_pixels: int = limits.PIXEL_CAP,
) -> bytes:
    """A feature file: what a service may know of the largest face, encrypted to the service if `to` names it.

    `weights` is a model of your own; the one that ships answers whether this is an adult.
    """
    recipients = arguments.recipients(None, to, passphrase) if to or passphrase else None
    from photoguard import obfuscate

    data, name = arguments.read_picture(photo, max_pixels), arguments.name_of(photo)
    model, detection = obfuscate.load_model(weights), arguments.detection(min_face, threshold, thorough)
    made = obfuscate.make(data, name, model, detection, all_faces, max_pixels).file.to_bytes()
    return identities.seal(made, recipients) if recipients else made


def read_features(
    features: File,
    identity: Identity | None = None,
    *,
    passphrase: str | None = None,
    weights: Path | None = None,
) -> list[dict[str, dict[str, float]]]:
    """The service's side: for each face, each question's answers with their probabilities."""
    from photoguard import obfuscate

    keys = identity.keys if identity else []
    file = obfuscate.read(arguments.read_limited(features, limits.FEATURES), keys, asked(passphrase))
    return obfuscate.answers(obfuscate.load_model(weights), file)


def _write(folder: Path, outputs: Mapping[str, bytes], force: bool, at_most: int = 0o666) -> None:
    """Put files in place together, once they are proven to lie on disk as they should."""
    if not force:
        for name in outputs:
            files.refuse_existing(folder / name)
    with files.staged(folder, force) as stage:
        for name, data in outputs.items():
            if stage.add(name, data, at_most=at_most).read_bytes() != data:
                raise DamagedError(f"{files.shown(folder / name)} did not survive being written")
        stage.publish()

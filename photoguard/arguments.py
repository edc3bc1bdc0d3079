"""What callers of the library may write, in the form that the modules below want."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

from photoguard import covering, files, protect
from photoguard.detection import DetectionSettings
from photoguard.errors import PhotoguardError, UsageError
from photoguard.files import limits, remote
from photoguard.formats import identities, public_keys
from photoguard.formats.identities import Recipients
from photoguard.formats.public_keys import PublicKeys
from photoguard.identity import Identity
from photoguard.methods import Chips
from photoguard.opening import YOU, Makers
from photoguard.recognizers.table import SHIPPED

File = Path | str | bytes  # where a file is, or what is in it
Recipient = Identity | Path | str  # oneself; a recipients file; its text, such as age1...
Faces = Literal["all", "largest", "none"] | Sequence[int]
One = TypeVar("One")


def place(file: Path | str) -> Path:
    """The path of a local file, or of an address."""
    return remote.place(file) if isinstance(file, str) else file


def read_picture(photo: File, max_pixels: int) -> bytes:
    """A photo, a public picture or a chip."""
    return photo if isinstance(photo, bytes) else limits.read_picture(place(photo), max_pixels)


def read_limited(file: File, limit: int) -> bytes:
    """Any other file, up to its kind's limit."""
    return file if isinstance(file, bytes) else files.read_file(place(file), limit)


def name_of(photo: File) -> str:
    """What messages call a photo."""
    return "photo" if isinstance(photo, bytes) else files.shown(place(photo))


def look(method: str, chosen: File, max_pixels: int) -> covering.Look:
    """What covers show: a choice by its name, or a picture."""
    if isinstance(chosen, str) and chosen in covering.CHOICES:
        return covering.chosen_look(method, chosen)
    covering.refuse_look(method)
    if isinstance(chosen, str) and not place(chosen).exists():
        raise UsageError(f"there is no look {chosen}", f"{', '.join(covering.CHOICES)}, or a picture's file")
    return covering.chosen_look(method, (read_picture(chosen, max_pixels), name_of(chosen)))


def source(photo: File, name: str | None) -> Path:
    """The photo's path, or what one in memory is called."""
    return Path(name or "photo") if name or isinstance(photo, bytes) else place(photo)


def permissions(photo: File) -> int:
    """The permission bits of a photo's file, -1 where it has none."""
    return -1 if isinstance(photo, bytes) else protect.permissions(place(photo))


def several(given: One | Sequence[One]) -> Sequence[One]:
    """One or several, as several."""
    alone = isinstance(given, (str, bytes)) or not isinstance(given, Sequence)
    return [given] if alone else given  # type: ignore[list-item, return-value]


def read_private(picture: File, private: File | Sequence[File] | None) -> dict[str, bytes | PhotoguardError]:
    """Private files by name, those beside the picture unless others are named."""
    if private is None:
        if isinstance(picture, bytes):
            return {}
        path = place(picture)
        stem = files.stem_of(path, files.PUBLIC_SUFFIX)
        beside = [files.private_files(folder).get(stem, ()) for folder in files.private_folders(path.parent)]
        return limits.read_private([file for found in beside for file in found])
    given: Sequence[File] = several(private)
    found = limits.read_private([place(file) for file in given if not isinstance(file, bytes)])
    return found | {
        f"private file {number}": file
        for number, file in enumerate(given, start=1)
        if isinstance(file, bytes)
    }


def public_keys_of(one: Recipient) -> PublicKeys:
    """Whom to encrypt to, and how he signs."""
    if isinstance(one, Identity):
        return public_keys.of_identity(one.text)
    text = one if isinstance(one, str) else files.read_file(one, limits.KEYS).decode("utf-8", "replace")
    return public_keys.parse(text)


def recipients(
    identity: Identity | None, to: Recipient | Sequence[Recipient], passphrase: str | None
) -> Recipients:
    """Those named, or the identity's own."""
    named: Sequence[Recipient] = several(to)
    keys = tuple(key for one in named for key in public_keys_of(one).recipients)
    if passphrase is not None:
        if keys:
            raise UsageError("passphrase and to exclude each other", "age files have one or the other")
        return Recipients(passphrase=passphrase)
    if not named and identity:
        keys = identity.recipients
    if not keys:
        raise UsageError("nobody to encrypt to", "give an identity, `to` or a passphrase")
    return Recipients(keys)


def makers(identity: Identity | None, known: Mapping[str, Recipient]) -> Makers:
    """Whose signing key is whose."""
    found = {public_keys_of(one).signer: name for name, one in known.items()}
    if identity and identity.signer:
        found[identity.signer.public] = YOU
    return {signer: name for signer, name in found.items() if signer}


def faces(chosen: Faces) -> Literal["all", "largest", "none"] | tuple[int, ...]:
    """Which faces to cover."""
    if not isinstance(chosen, str):
        return tuple(chosen)
    if chosen not in ("all", "largest", "none"):
        raise UsageError(f"faces cannot be {chosen!r}", "all, largest, none, or numbers such as [1, 3]")
    return chosen


def detection(min_face: int | None, threshold: float | None, thorough: bool) -> DetectionSettings:
    """How hard to look for faces."""
    default = DetectionSettings(min_face=min_face, thorough=thorough)
    if threshold is None:
        return default
    return DetectionSettings(min_face, threshold, thorough)


def uncertain(only_certain: bool, fail: bool) -> Literal["cover", "drop", "fail"]:
    """What becomes of faces that the detector is not certain of."""
    if only_certain and fail:
        raise UsageError("only_certain and fail_on_uncertain exclude each other", "choose one")
    return "drop" if only_certain else "fail" if fail else "cover"


def within(option: str, value: float, least: float, most: float) -> float:
    """The value, if the command line takes it as well."""
    if not least <= value <= most:
        raise UsageError(f"{option} {value} is out of range ({least}-{most})")
    return value


def quality(wanted: float | None, compact: bool, exact: bool, method: str) -> float | None:
    """The least PSNR, if it goes with the other options."""
    if (wanted is not None or compact) and (exact or method != "ddm"):
        raise UsageError("quality and compact belong to method ddm without exact", "leave one of them out")
    if wanted is not None and compact:
        raise UsageError("quality and compact exclude each other", "choose one")
    return None if wanted is None else within("quality", wanted, 20, 60)


def chips(
    method: str,
    recognizers: Sequence[str],
    key_model: File | None,
    robust: Sequence[str],
    cosine: float | None,
    identity: Identity | None,
) -> Chips | None:
    """What AVP's chips are for; None with other methods."""
    if method != "avp":
        if recognizers or key_model is not None or robust or cosine is not None:
            raise UsageError("recognizers, key_model, robust and cosine belong to method avp")
        return None
    wanted = Chips(tuple(several(recognizers)) or (SHIPPED,), robust=tuple(several(robust)))
    strange = [change for change in wanted.robust if change not in ("jpeg", "resize")]
    if strange:
        raise UsageError(f"robust does not know {strange[0]!r}", "it takes jpeg and resize")
    if cosine is not None:
        wanted = replace(wanted, least=within("cosine", cosine, 0, 1))
    if key_model is None:
        return wanted
    locked = read_limited(key_model, limits.KEY_MODEL)
    return replace(wanted, key_model=identities.unseal(locked, identity.keys if identity else []))

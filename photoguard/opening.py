"""Private files: which of them open, which belong together, and who made what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from photoguard.errors import DamagedError, PhotoguardError, UnreadableError, UsageError, WrongKeyError
from photoguard.formats import identities
from photoguard.formats.identities import Ask, Identity
from photoguard.formats.private import PrivateFile

YOU = "you"
WORK = 3 * identities.PASSPHRASE_WORK  # for all private files of a picture: some ten seconds
Makers = Mapping[bytes, str]  # the public keys of known signers, and what to call them


@dataclass(frozen=True)
class Opened:
    """Private files of one sealing."""

    files: tuple[PrivateFile, ...]
    made_by: str | None  # YOU, a known name, or None for somebody unknown
    notices: tuple[str, ...] = ()


def open_private(
    private: Mapping[str, bytes | PhotoguardError],
    keys: Sequence[Identity],
    ask: Ask | None = None,
    makers: Makers | None = None,
    own: str | None = None,
    public: bytes | None = None,
) -> Opened:
    """Those private files that these keys open and that belong to one sealing; none at all is an error.

    `private` has names, for messages, and bytes, or why there are none. Whoever can write beside a picture
    can add private files: one by you counts before one by somebody known, and that before one by somebody
    unknown; of these the photo's `own` one, then those of the `public` envelope in the picture. The first in
    that order decides; what does not belong to it is named and passed over.
    """
    opened, failed = _unsealed(private, keys, ask, own)
    if not opened:
        raise next(iter(failed.values()), None) or UsageError(
            "no private file", "it is called NAME.priv; give it with --private"
        )
    notices = [
        f"{name} was passed over: {error}"
        for name, error in failed.items()
        if not isinstance(error, WrongKeyError)  # somebody else's grant lies there rightly
    ]
    first = min(
        opened,
        key=lambda name: (_rank(opened[name], makers or {}), name != own, not _is_of(opened[name], public)),
    )
    if len(opened) > 1 and public is not None and not _is_of(opened[first], public):
        raise DamagedError(f"{first} belongs to another photo", "move it away if somebody put it there")
    agreeing = {name: file for name, file in opened.items() if _sealing(file) == _sealing(opened[first])}
    notices += [
        f"{name} was passed over: {by} made it for another sealing than {first}"
        for name, file in opened.items()
        if name not in agreeing
        for by in [maker(file, makers or {}) or "somebody unknown"]
    ]
    order = sorted(agreeing, key=lambda name: name != first)
    return Opened(tuple(agreeing[name] for name in order), maker(opened[first], makers or {}), tuple(notices))


def _unsealed(
    private: Mapping[str, bytes | PhotoguardError], keys: Sequence[Identity], ask: Ask | None, own: str | None
) -> tuple[dict[str, PrivateFile], dict[str, PhotoguardError]]:
    """The private files that open, and why others do not; the photo's own and those of little work first."""
    opened: dict[str, PrivateFile] = {}
    failed: dict[str, PhotoguardError] = {}
    costs = {name: identities.work(data) for name, data in private.items() if isinstance(data, bytes)}
    left = WORK
    for name in sorted(private, key=lambda name: (name != own, costs.get(name, 0))):
        data = private[name]
        try:
            if isinstance(data, PhotoguardError):
                raise data
            if costs[name] > left:
                raise UnreadableError("too many private files lie here", "name yours with --private")
            left -= costs[name]
            opened[name] = PrivateFile.from_bytes(identities.unseal(data, keys, ask))
        except PhotoguardError as error:
            failed[name] = error
    return {n: opened[n] for n in private if n in opened}, {n: failed[n] for n in private if n in failed}


def maker(file: PrivateFile, makers: Makers) -> str | None:
    """Who signed a private file; None for somebody unknown, and for version 1, which has no signature."""
    return None if file.seal is None else makers.get(file.seal.signer)


def _rank(file: PrivateFile, makers: Makers) -> int:
    by = maker(file, makers)
    return 2 if by is None else 1 if by != YOU else 0


def _is_of(file: PrivateFile, public: bytes | None) -> bool:
    """Whether a private file was made with this public envelope; in version 1 only the photo's id tells."""
    if public is None or file.seal is None:
        return public is not None and f'"id":"{file.photo_id.hex()}"'.encode() in public
    return file.seal.envelope == sha256(public).digest()


def _sealing(file: PrivateFile) -> object:
    """What private files of one sealing have in common."""
    return file.seal or (file.photo_id, file.picture)

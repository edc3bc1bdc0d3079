"""What proves that a stage is the user's own, and tells what it holds: its name, and a list in it.

The name ends in a code over its random part and the folder that it lies in. The list has a line for
everything that the run was about to do there, each with a code over itself and the one before:

    output NAME              before a file of that name is begun
    place | replace          decided: every output is whole and on disk

All codes are keyed with a secret of the user. Whoever renames folders can make neither, nor use those of
another stage or place. A line that a crash has torn is no line, and none follows it.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field

from photoguard.files.folders import Folder
from photoguard.files.names import STAGING

LIST = STAGING + "list"
LIST_BYTES = 1 << 20  # thousands of outputs; no stage has more
PLACE, REPLACE = "place", "replace"
STAGE = re.compile(re.escape(STAGING) + r"[0-9a-f]{16}(?:[0-9a-f]{16})?")
EARLIER = re.compile(re.escape(STAGING) + r"[0-9a-f]{16}(\.force)?(\.done)?")  # of versions without a list


def stage_secret(key: bytes) -> bytes:
    """The secret of stages, from the user's: what a worker elsewhere gets, and it opens no journal."""
    return hashlib.blake2b(b"stages", key=key).digest()[:32]


def new_name(secret: bytes | None, beside: Folder) -> str:
    """A stage's name; without a secret nobody can tell later whose it was."""
    start = STAGING + secrets.token_hex(8)
    return start if secret is None else start + _name_code(secret, start, beside)


def is_own(secret: bytes, name: str, beside: Folder) -> bool:
    """Whether the user named a stage so, in this folder."""
    start, code = name[:-16], name[-16:]
    return len(start) > len(STAGING) and hmac.compare_digest(code, _name_code(secret, start, beside))


def _name_code(secret: bytes, start: str, beside: Folder) -> str:
    return _code(secret, start, str(beside.kind().st_ino))[:16]


def _code(secret: bytes, *words: str) -> str:
    return hmac.new(secret, "\n".join(words).encode(), hashlib.sha256).hexdigest()[:32]


@dataclass
class Listing:
    """The list of a stage: what is in it, and whether it is decided."""

    outputs: list[str] = field(default_factory=list)
    decided: str = ""  # or PLACE or REPLACE

    def take(self, line: list[str]) -> None:
        """Take in a line of the list, less its code."""
        kind, *words = line
        if kind == "output":
            self.outputs.append(_text(words[0]))
        elif kind in (PLACE, REPLACE):
            self.decided = kind


@dataclass
class Writer:
    """Adds to the list of a stage; without a secret there is none on disk."""

    inside: Folder
    secret: bytes | None
    last: str  # the code before, at first the stage's name
    listing: Listing = field(default_factory=Listing)

    def add(self, *line: str, durable: bool = False) -> None:
        """Add a line, with `durable` on disk for certain."""
        if self.secret is not None:
            self.last = _code(self.secret, self.last, *line)
            handle = self.inside.open(LIST, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                text = " ".join((*line, self.last)) + "\n"
                if os.write(handle, text.encode()) < len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                if durable:
                    os.fsync(handle)
            finally:
                os.close(handle)
        self.listing.take(list(line))

    def output(self, name: str) -> None:
        """Say that a file is about to be begun."""
        self.add("output", _hex(name))

    def decide(self, force: bool) -> None:
        """Say that all are whole: with this line the outputs come, without it they never do."""
        self.add(REPLACE if force else PLACE, durable=True)


def read(inside: Folder, secret: bytes, name: str) -> Listing:
    """The list of a stage, as far as the user wrote it."""
    listing, last = Listing(), name
    for raw in inside.read(LIST).decode("ascii", "replace").split("\n")[:-1]:
        *line, code = raw.split(" ")
        last = _code(secret, last, *line)
        if not line or not hmac.compare_digest(code.encode(), last.encode()):
            break
        listing.take(line)
    return listing


def _hex(name: str) -> str:
    return os.fsencode(name).hex()


def _text(word: str) -> str:
    return os.fsdecode(bytes.fromhex(word))

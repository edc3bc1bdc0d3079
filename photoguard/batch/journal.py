"""What earlier runs finished, so that a run that was cut off goes on where it was.

Beside the outputs of each folder lies a hidden file with a sealed JSON object a line, only added to:

    {"to": "a.pub.png", "begun": true, "photo": DIGEST, "as": DIGEST}
    {"to": "a.pub.png", "files": {"a.pub.png": 81234, "a.priv": 712}, "photo": DIGEST, "as": DIGEST}

The first is on disk before the photo is worked on: outputs that exist beside such a line alone are the run's
own, whole because they are put in place together. Lines are encrypted with a secret of the user and padded,
since the folder may be shared: they tell nobody else which photos there were. A line that does not open, for
instance one that a crash has torn, is no line. A file of that name that is not the user's journal, be it of
an earlier version or planted, is never added to: then the notes go to the user's state folder.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import secrets
import stat
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from photoguard import files
from photoguard.batch.plan import Task
from photoguard.errors import OutputExistsError, UnreadableError, UnwritableError
from photoguard.files import remote

NAME = ".photoguard-journal"
REDO = "--force protects it again"
LABEL = b"photoguard journal 2"
PADDED = 192  # bytes that a line is filled up to, or a multiple: two names of usual length, and digests
LONGEST = 1 << 16  # bytes of a line; longer ones are none
OPENED = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no link, and no waiting at a pipe


@dataclass(frozen=True)
class Skipped:
    """An earlier run finished this one."""

    files: tuple[str, ...]


@dataclass
class Place:
    """Where the journal of a folder lies."""

    path: Path
    found: os.stat_result | None = None  # of the file that was read
    torn: bool = False


class _ForeignError(Exception):
    """A file with a journal's name that is not the user's."""


@dataclass
class Journal:
    """The journals of all folders that a run writes to."""

    key: bytes  # the user's, 16 bytes or more
    settings: bytes  # everything that decides how an output looks
    home: Path  # for the journals of remote folders, where no line can be added to a file
    by_content: bool = False  # compare photos by their bytes, not by size and time
    _lines: dict[Path, dict[str, dict[str, Any]]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)  # what a person should know of
    _places: dict[Path, Place] = field(default_factory=dict)

    def finished(self, task: Task, note: bool = True) -> Skipped | None:
        """Whether nothing is left to do for a task; raises when its outputs are there but not from this.

        With `note`, what a killed run finished without saying so is said now.
        """
        line = self._folder(task.public.parent).get(task.public.name)
        if line is None:
            return None
        names = line.get("files")
        if names is None:
            if not line.get("begun") or not all(map(files.is_there, task.certain)):
                return None
            if remote.is_remote(
                task.public
            ):  # perhaps not whole: the work looks, and does it again if need be
                return None
            names = {path.name: path.stat().st_size for path in task.certain}  # killed before it was noted
        elif names and not any(files.is_there(task.public.parent / name) for name in names):
            return None  # removed by somebody who wants them anew
        self._compare(task, line)
        if any(not _has_size(task.public.parent / name, size) for name, size in names.items()):
            raise OutputExistsError(
                f"the outputs of {files.shown(task.source)} were changed or are missing in part", REDO
            )
        if note and "files" not in line:
            self.done(task, [task.public.parent / name for name in names])
        return Skipped(tuple(names))

    def _compare(self, task: Task, line: Mapping[str, Any]) -> None:
        name = files.shown(task.source)
        if line["as"] != self._settings():
            raise OutputExistsError(f"{name} was done with other options", REDO)
        known = "content" if self.by_content and "content" in line else "photo"
        if line[known] != self._digests(task.source)[known]:
            raise OutputExistsError(f"{name} has changed since it was done", REDO)

    def begin(self, tasks: Iterable[Task], forced: bool = False) -> list[Task]:
        """Note, on disk for certain, which tasks are about to be done, and tell which are fresh."""
        lines: dict[Path, list[dict[str, Any]]] = defaultdict(list)
        begun = []
        for task in tasks:
            before = self._folder(task.public.parent).get(task.public.name, {})
            ours = bool(before.get("begun")) and "files" not in before  # a killed run had it in hand
            fresh = not forced and (ours or not any(map(files.is_there, task.certain)))
            begun.append(replace(task, fresh=fresh))
            try:
                digests = self._digests(task.source)
            except UnreadableError:  # the work itself says so, and the others go on
                continue
            line = {"to": task.public.name, **digests, "as": self._settings()}
            lines[task.public.parent].append(line | ({"begun": True} if fresh else {}))
        for folder, added in lines.items():
            self._add(folder, added, durable=True)
        return begun

    def done(self, task: Task, outputs: Sequence[Path]) -> None:
        """Note what a task became; nothing, for a photo in which there was nothing to do."""
        try:
            sizes = {path.name: path.stat().st_size for path in outputs}
        except OSError:  # somebody has moved them meanwhile: nothing to go on from
            return
        before = self._folder(task.public.parent).get(task.public.name)
        if before is None:  # the photo could not be read when it was begun
            return
        # as the photo was before the work: one that is edited meanwhile has changed since
        line = {key: value for key, value in before.items() if key != "begun"} | {"files": sizes}
        self._add(task.public.parent, [line], durable=False)

    def _folder(self, folder: Path) -> dict[str, dict[str, Any]]:
        if folder in self._lines:
            return self._lines[folder]
        if remote.is_remote(folder):
            places = [self._home(str(folder))]
        else:
            places = [folder / NAME, self._home(str(folder.absolute()))]
        for path in places:
            try:
                self._read(folder, path)
                return self._lines[folder]
            except _ForeignError:
                self.notices.append(
                    f"{files.shown(path)} is no journal of yours, or one of an earlier version: left "
                    "alone. It may name photos; look into it, and remove it yourself"
                )
        raise UnwritableError("there is no place for a journal", f"look at {files.shown(places[-1])}")

    def _home(self, folder: str) -> Path:
        return self.home / self._digest(folder.encode("utf-8", "surrogateescape"))

    def _read(self, folder: Path, path: Path) -> None:
        """Read a journal line by line; the first one tells whether it is the user's."""
        place = Place(path)
        found: dict[str, dict[str, Any]] = {}
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | OPENED), "rb") as file:
                place.found = os.fstat(file.fileno())
                raw = file.readline(LONGEST) if _is_own(place.found) else b"none"
                if raw and unsealed(raw, self.key) is None:
                    raise _ForeignError
                while raw:
                    line = unsealed(raw, self.key)
                    if line is not None:
                        found[line["to"]] = line
                    place.torn = not raw.endswith(b"\n")
                    raw = file.readline(LONGEST)
        except (FileNotFoundError, NotADirectoryError):  # the work says what is wrong with the folder
            pass
        except OSError as error:
            if error.errno in (errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE):
                raise UnreadableError(f"{files.shown(path)} cannot be read: {error.strerror}") from None
            raise _ForeignError from None
        self._lines[folder], self._places[folder] = found, place

    def _add(self, folder: Path, lines: Sequence[dict[str, Any]], durable: bool) -> None:
        self._folder(folder)
        place = self._places[folder]
        with files.writing(place.path):
            try:
                handle = self._opened(place)
            except FileExistsError:  # another run began one meanwhile
                del self._lines[folder]
                self._folder(folder)
                place = self._places[folder]
                handle = self._opened(place)
            try:
                text = b"\n" if place.torn else b""
                text += b"".join(sealed(line, self.key) for line in lines)
                if os.write(handle, text) < len(text):
                    raise UnwritableError(f"cannot write {files.shown(place.path)}: the disk is full")
                place.torn = False
                if durable:
                    os.fsync(handle)
            finally:
                os.close(handle)
        self._lines[folder].update((line["to"], line) for line in lines)

    def _opened(self, place: Place) -> int:
        """The journal that was read, or a new one: never a file that has got its name since."""
        place.path.parent.mkdir(parents=True, exist_ok=True)
        new = os.O_CREAT | os.O_EXCL if place.found is None else 0
        handle = os.open(place.path, os.O_WRONLY | os.O_APPEND | OPENED | new, 0o600)
        found = os.fstat(handle)
        if place.found is not None and not (_is_own(found) and os.path.samestat(found, place.found)):
            os.close(handle)
            raise UnwritableError(f"{files.shown(place.path)} was replaced while the run was at work")
        place.found = found
        return handle

    def _settings(self) -> str:
        return self._digest(self.settings)

    def _digests(self, source: Path) -> dict[str, str]:
        try:
            if remote.is_remote(source):
                stamp = remote.version(source)
            else:
                kind = source.stat()
                stamp = f"{kind.st_size}|{kind.st_mtime_ns}"
        except OSError as error:
            raise UnreadableError(f"{files.shown(source)} cannot be read: {error.strerror}") from None
        digests = {"photo": self._digest(f"{source.name}|{stamp}".encode("utf-8", "surrogateescape"))}
        if self.by_content:
            digests["content"] = self._digest(files.read_file(source))
        return digests

    def _digest(self, data: bytes) -> str:
        return hashlib.blake2b(data, key=self.key, digest_size=16).hexdigest()


def sealed(line: dict[str, Any], key: bytes) -> bytes:
    """A line as it lies on disk."""
    plain = json.dumps(line, separators=(",", ":")).encode()
    plain = plain.ljust(-(-len(plain) // PADDED) * PADDED)
    nonce = secrets.token_bytes(12)
    return base64.b64encode(nonce + _cipher(key).encrypt(nonce, plain, LABEL)) + b"\n"


def unsealed(raw: bytes, key: bytes) -> dict[str, Any] | None:
    """A line of this key's, or nothing: what does not open is none, whoever wrote it."""
    try:
        data = base64.b64decode(raw.rstrip(b"\n"), validate=True)
        opened: dict[str, Any] = json.loads(_cipher(key).decrypt(data[:12], data[12:], LABEL))
    except (ValueError, InvalidTag):
        return None
    return opened


def _cipher(key: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(hashlib.blake2b(b"journal", key=key, digest_size=32).digest())


def _is_own(kind: os.stat_result) -> bool:
    """A plain file of the user's with no other name, by which it would be something else."""
    plain = stat.S_ISREG(kind.st_mode) and kind.st_nlink == 1
    return plain and (os.name != "posix" or kind.st_uid == os.geteuid())


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False

"""What earlier runs finished, so that a run that was cut off goes on where it was.

Beside the outputs of each folder lies a hidden file with a JSON object a line, only added to:

    {"to": "a.pub.png", "begun": true, "photo": DIGEST, "as": DIGEST}
    {"to": "a.pub.png", "files": {"a.pub.png": 81234, "a.priv": 712}, "photo": DIGEST, "as": DIGEST}

The first is on disk before the photo is worked on: outputs that exist beside such a line alone are the run's
own, whole because they are put in place together. The digests are keyed with a secret of the user, since the
folder may be shared, and times and sizes of originals are nobody's business. A line that a crash has torn is
no line.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from photoguard import files, remote
from photoguard.batch.plan import Task
from photoguard.errors import OutputExistsError, UnreadableError, UnwritableError

NAME = ".photoguard-journal"
REDO = "--force protects it again"


@dataclass(frozen=True)
class Skipped:
    """An earlier run finished this one."""

    files: tuple[str, ...]


@dataclass
class Journal:
    """The journals of all folders that a run writes to."""

    key: bytes  # the user's, 16 bytes or more
    settings: bytes  # everything that decides how an output looks
    home: Path  # for the journals of remote folders, where no line can be added to a file
    by_content: bool = False  # compare photos by their bytes, not by size and time
    _lines: dict[Path, dict[str, dict[str, Any]]] = field(default_factory=dict)
    _torn: set[Path] = field(default_factory=set)

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
        if folder not in self._lines:
            self._lines[folder] = self._read(self._path(folder))
        return self._lines[folder]

    def _path(self, folder: Path) -> Path:
        return self.home / self._digest(str(folder).encode()) if remote.is_remote(folder) else folder / NAME

    def _read(self, path: Path) -> dict[str, dict[str, Any]]:
        if not path.is_file() or not path.stat().st_size:  # a run may be killed before its first line
            return {}
        text = files.read_file(path).decode("utf-8", "replace")
        if not text.endswith("\n"):
            self._torn.add(path)
        found: dict[str, dict[str, Any]] = {}
        for raw in text.splitlines():
            try:
                line = json.loads(raw)
                line |= {"files": dict(line["files"])} if "files" in line else {}
                found[line["to"]] = line | {"photo": line["photo"], "as": line["as"]}
            except (ValueError, TypeError, KeyError):
                continue
        return found

    def _add(self, folder: Path, lines: Sequence[dict[str, Any]], durable: bool) -> None:
        path = self._path(folder)
        known = self._folder(folder)
        known.update((line["to"], line) for line in lines)
        text = "\n" if path in self._torn else ""
        self._torn.discard(path)
        text += "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        with files.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
            handle = os.open(path, flags, 0o600)
            try:
                if os.write(handle, text.encode()) < len(text):
                    raise UnwritableError(f"cannot write {files.shown(path)}: the disk is full")
                if durable:
                    os.fsync(handle)
            finally:
                os.close(handle)

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
        digests = {"photo": self._digest(f"{source.name}|{stamp}".encode())}
        if self.by_content:
            digests["content"] = self._digest(files.read_file(source))
        return digests

    def _digest(self, data: bytes) -> str:
        return hashlib.blake2b(data, key=self.key, digest_size=16).hexdigest()


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False

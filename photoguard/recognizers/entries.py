"""Which recognizers there are: those that ship, and the user's, kept with their hash in the cache folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from photoguard import weights
from photoguard.errors import UsageError, WeightsError
from photoguard.recognizers.table import TABLE, Spec


@dataclass(frozen=True)
class Entry:
    """An installed recognizer, as its JSON in the cache folder has it."""

    name: str
    spec: Spec
    file: str
    sha256: str
    one_by_one: bool


def folder_of_user() -> Path:
    """Where recognizers are kept."""
    import platformdirs

    return Path(platformdirs.user_cache_path("photoguard")) / "recognizers"


def shipped() -> tuple[str, ...]:
    """The recognizers that come with photoguard: always there, never removed."""
    return tuple(name for name in TABLE if name in weights.SHIPPED)


def available(folder: Path | None = None) -> list[str]:
    """The recognizers that `load` can give at once: shipped ones first, then the user's."""
    return [*shipped(), *installed(folder)]


def installed(folder: Path | None = None) -> dict[str, Entry]:
    """The user's recognizers by name."""
    folder = folder or folder_of_user()
    return {path.stem: entry(path) for path in sorted(folder.glob("*.json"))}


def remove(name: str, folder: Path | None = None) -> None:
    """Forget an installed recognizer and delete its copy of the weights."""
    if name in shipped():
        raise UsageError(f"{name} ships with photoguard and stays")
    folder = folder or folder_of_user()
    path = folder / f"{name}.json"
    if not path.is_file():
        raise UsageError(
            f"recognizer {name} is not installed", "`photoguard recognizers list` names those that are"
        )
    file = folder / entry(path).file
    path.unlink()
    file.unlink(missing_ok=True)


def file_hash(path: Path) -> str:
    """The sha256 of a weights file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def entry(path: Path) -> Entry:
    """An installed recognizer, from its JSON."""
    try:
        fields = json.loads(path.read_text())
        entry = Entry(**{**fields, "spec": Spec(**fields["spec"])})
    except (ValueError, TypeError, KeyError) as error:
        raise WeightsError(
            f"{path.name} in the cache folder is damaged", "add the recognizer again"
        ) from error
    if Path(entry.file).name != entry.file:  # it names a file beside itself and none elsewhere
        raise WeightsError(
            f"{path.name} in the cache folder names a file outside it", "add the recognizer again"
        )
    return entry


def proven(name: str, folder: Path | None = None) -> tuple[Entry, Path]:
    """An installed recognizer and its file, which is the one that was added."""
    folder = folder or folder_of_user()
    path = folder / f"{name}.json"
    if not path.is_file():
        where = f"its weights: {TABLE[name].source}; then " if name in TABLE else ""
        raise WeightsError(
            f"recognizer {name} is not installed", f"{where}photoguard recognizers add {name} --weights FILE"
        )
    found = entry(path)
    file = folder / found.file
    if not file.is_file() or file_hash(file) != found.sha256:
        raise WeightsError(f"the weights of {name} are missing or altered", "add the recognizer again")
    return found, file

"""What `decrypt` and `verify` share: the keys that open, and what is told of the faces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from photoguard import files
from photoguard.cli.shared import albums, known
from photoguard.cli.shared.keyring import (
    default_key_model,
    load_identities,
    locked_key_model,
)
from photoguard.cli.shared.options import named_faces
from photoguard.cli.shared.voice import Voice, ask_passphrase
from photoguard.errors import PhotoguardError
from photoguard.files import limits
from photoguard.formats import identities

if TYPE_CHECKING:
    from photoguard.batch.work import Restoring


def private_places(given: list[Path] | None) -> tuple[list[Path], list[Path]]:
    """What was given with --private: files, and folders in which those of each picture are found."""
    folders = [path for path in given or [] if files.is_folder(path)]
    return [path for path in given or [] if path not in folders], folders


def restoring(
    voice: Voice, album: albums.Album, key: Path | None, private: list[Path] | None, key_model: Path | None
) -> Restoring:
    """The work with the user's keys; a passphrase is asked for once, before other processes start."""
    from photoguard.batch.work import Restoring

    answers: dict[str, str] = {}

    def ask(prompt: str) -> str:
        if prompt not in answers:
            answers[prompt] = ask_passphrase(prompt)
        return answers[prompt]

    keys, chosen = tuple(load_identities(key, voice)), tuple(private or ())
    albums.warn_of_secrets(voice, album.cluster, "key")
    model = locked_key_model(key_model) if key_model else None
    if model is None and default_key_model().exists():
        # Most pictures do not need it: no matter what it is.
        model = files.read_file(default_key_model(), limits.KEY_MODEL)
    makers = known.signers(voice, keys)
    if not album.many:
        return Restoring(keys, chosen, makers, key_model=model, ask=ask)
    kinds = (_kinds(path) for task in album.tasks for path in task.secrets)
    locked = next(filter(None, kinds), None) == ["scrypt"]
    phrase = ask("Passphrase of the private files") if locked else None
    return Restoring(keys, chosen, makers, passphrase=phrase, key_model=model)


def _kinds(private: Path) -> list[str]:
    """The kinds of keys that open a private file; none where it is damaged, as its photo will say."""
    try:
        return identities.stanzas(identities.dearmored(files.read_file(private, limits.PRIVATE)))
    except PhotoguardError:
        return []


def faces_text(record: dict[str, Any]) -> str:
    """What is told of a restored or verified picture's faces."""
    opened, closed = record["opened"], record["closed"]
    text = f"{len(opened)} of {len(opened) + len(closed)} faces open"
    if closed:
        text += f"; not granted to you: {named_faces(closed)}"
    if record["exact"]:
        text += "; equal to the original in every pixel"
    if record["changed"]:
        text += "; the picture around them was changed"
    return f"{text}; made by {record['made_by'] or 'somebody unknown'}"

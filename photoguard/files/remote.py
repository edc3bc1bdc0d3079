"""Photos and outputs on other machines: any address that fsspec knows, such as s3://bucket/folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from photoguard.errors import UsageError

ADDRESS = re.compile(r"[a-z][a-z0-9+]+://")
MISSING = (
    "pip install 'photoguard[cluster]', and the fsspec package for that kind of address (s3fs, gcsfs, ...)"
)


def place(text: str) -> Path:
    """The path of a local file or folder, or something that behaves like one for an address."""
    if not ADDRESS.match(text):
        return Path(text)
    try:
        from upath import UPath

        path = UPath(text)
        _ = path.fs  # raises when nothing installed knows such addresses
    except (ImportError, ValueError) as error:
        raise UsageError(f"{text} cannot be reached: {error}", MISSING) from None
    return cast(Path, path)


def is_remote(path: Path) -> bool:
    """Whether a path is an address."""
    return not isinstance(path, Path)


def version(path: Path) -> str:
    """What changes when a remote file changes, and was told by its server."""
    return str(path.fs.ukey(path.path))  # type: ignore[attr-defined]

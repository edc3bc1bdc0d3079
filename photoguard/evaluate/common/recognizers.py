"""The recognizers that an evaluation can use."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from photoguard import recognizers
from photoguard.recognizers import TABLE, load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from photoguard.recognizers import Recognizer


def available(data: Path, cache: Path) -> dict[str, Callable[[], Recognizer]]:
    """The user's recognizers, and those files of `data/recognizers` whose hash the table has."""
    found: dict[str, Callable[[], Recognizer]] = {n: partial(load, n) for n in recognizers.installed()}
    known = {spec.sha256: spec.name for spec in TABLE.values() if spec.sha256}
    for path in sorted((data / "recognizers").glob("*")) if data.is_dir() else []:
        name = known.get(recognizers.file_hash(path))
        if name and name not in found:
            if name not in recognizers.installed(cache):
                recognizers.add(name, path, folder=cache)
            found[name] = partial(load, name, cache)
    return found

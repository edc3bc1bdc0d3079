"""What the command lines of the pages share: `python -m photoguard.train.NAME`, as torchrun needs it."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any


def parser(about: str | None, config: type[Any]) -> argparse.ArgumentParser:
    """Data, output and device, and a flag for each number and name of the page's configuration."""
    result = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--data", type=Path, action="append", required=True, help="folder or zip of faces")
    result.add_argument("--out", type=Path, required=True)
    result.add_argument("--device", default="auto")
    result.add_argument("--workers", type=int, default=0)
    for item in _plain(config):
        flag = "--" + item.name.replace("_", "-")
        result.add_argument(flag, type=type(item.default), default=item.default)
    return result


def settings(given: dict[str, Any], config: type[Any]) -> dict[str, Any]:
    """Those of the configuration."""
    return {item.name: given[item.name] for item in _plain(config)}


def _plain(config: type[Any]) -> list[dataclasses.Field[Any]]:
    """A `start` is a path on the command line, and in the configuration its sha256: the page's own matter."""
    fields = dataclasses.fields(config)
    return [f for f in fields if isinstance(f.default, (int, float, str)) and f.name != "start"]

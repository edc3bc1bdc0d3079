"""Face recognizers: which there are, how to add one, and embedding with it.

`TABLE` and `Spec` cost nothing to import; torch comes with the first of the other names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from photoguard.recognizers.table import TABLE, TEMPLATES, Spec

if TYPE_CHECKING:
    from photoguard.recognizers.alignment import chip_for
    from photoguard.recognizers.embedder import Embeds, load_for_pixels
    from photoguard.recognizers.entries import Entry, available, file_hash, installed, remove, shipped
    from photoguard.recognizers.recognizer import Recognizer
    from photoguard.recognizers.store import Proof, add, load

__all__ = [
    "TABLE",
    "TEMPLATES",
    "Embeds",
    "Entry",
    "Proof",
    "Recognizer",
    "Spec",
    "add",
    "available",
    "chip_for",
    "file_hash",
    "installed",
    "load",
    "load_for_pixels",
    "remove",
    "shipped",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for module in ("alignment", "entries", "embedder", "recognizer", "store"):
        found = import_module(f"photoguard.recognizers.{module}")
        if name in __all__ and hasattr(found, name):
            return getattr(found, name)
    raise AttributeError(name)

"""The layers of the package; `PYTHONPATH=tests python -m support.layers` writes them into design.md."""

from __future__ import annotations

import re
from pathlib import Path

from support.places import ROOT

# A module imports only from lower layers, or from its own room.
LAYERS = {  # room: layer, task
    "errors": (0, "every way to fail: exit code, hint"),
    "interruption": (1, "Ctrl-C"),
    "files": (1, "addresses, reading, and outputs in place whole"),
    "nets": (1, "torch modules without files"),
    "looks": (1, "covers from a box's size, colors beside it, or a picture"),
    "photos": (2, "photos to pixels and back; what files hold beside the picture; boxes"),
    "weights": (2, "pinned weights"),
    "datasets": (2, "pictures and labels to learn from"),
    "formats": (3, "our format, one file a part; age keys; who made a file"),
    "graphs": (3, "frozen networks from files, run without torch"),
    "detection": (4, "pixels to faces"),
    "recognizers": (4, "faces to embeddings"),
    "methods": (5, "`seal` and `reveal` on patches, a folder a method"),
    "covering": (5, "the public picture and its proof"),
    "opening": (5, "the private files of one sealing"),
    "identity": (4, "somebody's own keys, for programs"),
    "match": (6, "whether two photos show one person, to a recognizer"),
    "chips": (6, "AVP's part of protecting and restoring"),
    "obfuscate": (6, "a photo to features to answers"),
    "protect": (7, "one photo, sealed"),
    "reveal": (7, "one photo, restored"),
    "arguments": (8, "what was typed or called with, checked"),
    "batch": (8, "many photos"),
    "train": (8, "learning"),
    "evaluate": (8, "measuring"),
    "api": (9, "the functions for programs"),
    "cli": (9, "prints, prompts, reads the environment, exits"),
    "__main__": (10, "python -m photoguard"),
}


def design() -> Path:
    """The page with the table."""
    return next((ROOT / "docs").rglob("design.md"))


def table() -> str:
    """The layers as design.md shows them: a line a layer, each module's task in the order of the modules."""
    lines = ["| layer | modules | task |", "|---|---|---|"]
    for layer in sorted({layer for layer, _ in LAYERS.values()}):
        here = {room: task for room, (at, task) in LAYERS.items() if at == layer}
        names = ", ".join(f"`{room}{'/' * (ROOT / 'photoguard' / room).is_dir()}`" for room in here)
        lines.append(f"| {layer} | {names} | {'; '.join(here.values())} |")
    return "\n".join(lines) + "\n"


def with_table(page: str) -> str:
    """The page with today's table in the place of the one it has."""
    return re.sub(r"\| layer \| modules \| task \|\n(\|.*\n)*", lambda _: table(), page)


if __name__ == "__main__":
    design().write_text(with_table(design().read_text()))

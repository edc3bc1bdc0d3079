"""What an evaluation leaves behind: figures as JSON, tables as Markdown, sheets as PNG."""

from __future__ import annotations

import json
import math
import re
import time
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from photoguard.nets.planes import Pixels

    Page = Callable[[dict[str, Any]], str]


DERIVED = ("times_chance", "above_chance")  # properties that are written as well


# Metadata of a row's fields
INLINE = {"inline": True}  # its own fields, or its rows by name, stand in its place; None leaves nothing
OPTIONAL = {"optional": True}  # it is not written where it is None


def plain(value: Any) -> Any:
    """Dataclasses as dicts, arrays left out, numbers short: what JSON can hold."""
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items() if not isinstance(v, np.ndarray)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (float, np.floating)):
        return None if math.isnan(value) else round(float(value), 6)
    return value.item() if isinstance(value, np.generic) else value


def _fields(row: Any) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for one in fields(row):
        value = getattr(row, one.name)
        if (value is None and one.metadata) or isinstance(value, np.ndarray):
            continue
        written |= plain(value) if "inline" in one.metadata else {one.name: plain(value)}
    return written | {name: plain(getattr(row, name)) for name in DERIVED if hasattr(row, name)}


def resumed(out: Path, heading: Any, name: str) -> dict[str, Any]:
    """The results that an earlier run with the same heading left in `name`.json, or none yet."""
    path = out / f"{name}.json"
    if path.is_file():
        earlier: dict[str, Any] = json.loads(path.read_text())
        if earlier.get("heading") == plain(heading):
            return earlier
    return {"heading": plain(heading), "rows": {}}


def write(out: Path, results: dict[str, Any], name: str, page: Page) -> None:
    """Results so far: `name`.json, and as tables `name`.md; each whole or as before."""
    for suffix, text in ((".json", json.dumps(results, indent=1)), (".md", page(results))):
        part = out / f"{name}{suffix}.part"
        part.write_text(text)
        part.replace(out / f"{name}{suffix}")


def publish(page: Path, text: str, pictures: Sequence[Path]) -> None:
    """The tables at a second place, such as docs/, with the pictures in the folder `images` beside them."""
    (page.parent / "images").mkdir(parents=True, exist_ok=True)
    page.write_text(text)
    for picture in pictures:
        (page.parent / "images" / picture.name).write_bytes(picture.read_bytes())


@dataclass
class Book:
    """The results in a folder, to which a run adds what is missing."""

    out: Path
    name: str
    """Of the files"""
    page: Page
    """What makes the tables"""
    results: dict[str, Any]
    weights: dict[str, str]
    """Of the networks by name: figures of other weights are measured anew"""
    say: Callable[[str], None]

    def add(self, part: str, name: str, measure: Callable[[], Any]) -> None:
        """Measure one row of a part, unless it is there, and write all down at once."""
        rows, weights = self.results.setdefault(part, {}), self.weights.get(name, "")
        if name in rows and rows[name]["weights"] == weights:
            return
        began = time.monotonic()
        rows[name] = plain(measure()) | {"weights": weights}
        rows[name]["seconds"] = round(time.monotonic() - began)
        self.write()
        self.say(f"{part}, {name}: {rows[name]['seconds']} s")

    def write(self) -> None:
        """Figures and tables as they are now."""
        write(self.out, self.results, self.name, self.page)

    def sort(self, parts: Sequence[str], names: Sequence[str]) -> None:
        """Bring the rows of these parts into this order; what is not in it comes last."""
        place = {name: number for number, name in enumerate(names)}
        for part in parts:
            rows = self.results.get(part, {})
            self.results[part] = {n: rows[n] for n in sorted(rows, key=lambda n: place.get(n, len(place)))}


def sheet(path: Path, rows: Sequence[Pixels], side: int = 96) -> None:
    """Stacks of pictures as rows of one PNG."""
    from PIL.Image import Resampling

    count = max(len(row) for row in rows)
    canvas = Image.new("RGB", (count * (side + 4), len(rows) * (side + 4)), "white")
    for down, row in enumerate(rows):
        for right, picture in enumerate(row):
            small = Image.fromarray(picture).resize((side, side), Resampling.NEAREST)
            canvas.paste(small, (right * (side + 4) + 2, down * (side + 4) + 2))
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.save(path, optimize=True)


def small_figure(source: Path, target: Path) -> None:
    """A copy of a drawing with few colors, for docs."""
    with Image.open(source) as drawing:
        small = drawing.convert("RGB").quantize(32)
    target.parent.mkdir(parents=True, exist_ok=True)
    small.save(target, optimize=True)


def file_name(name: str) -> str:
    """A row's name as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")

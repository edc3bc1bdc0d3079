"""Which faces and regions are covered, and how far: options of `encrypt` and `detect`, read the same way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from photoguard import files
from photoguard.cli.shared.options import face_numbers
from photoguard.errors import UsageError
from photoguard.files import limits
from photoguard.photos.geometry import Box

if TYPE_CHECKING:
    from photoguard.photos.images import Photo
    from photoguard.protect import Choice, Options

Chosen = Literal["all", "largest", "none"] | tuple[int, ...]

Faces = Annotated[
    str,
    typer.Option("--faces", help="Faces to cover: all, largest, none, or numbers from `detect` like 1,3."),
]
Keep = Annotated[str, typer.Option("--keep", help="Faces to leave readable, by number: 2 or 2,4.")]
Region = Annotated[
    list[str] | None,
    typer.Option(
        "--region",
        help="Cover this too: x,y,width,height in pixels of the upright photo. Repeat it for several.",
    ),
]
Margin = Annotated[
    float,
    typer.Option(
        "--margin", min=0.0, max=2.0, help="How far covers reach beyond a face, as a share of its size."
    ),
]


def chosen_faces(text: str) -> Chosen:
    """What was typed after --faces."""
    words: dict[str, Literal["all", "largest", "none"]] = {"all": "all", "largest": "largest", "none": "none"}
    return words[text] if text in words else face_numbers(text, "--faces")


def refuse_numbers(many: bool, chosen: Chosen, keep: str) -> None:
    """Face 2 is somebody else on every photo."""
    if many and (isinstance(chosen, tuple) or keep):
        raise UsageError("face numbers belong to one photo", "give one photo, or use --faces all or largest")


def regions(typed: list[str] | None) -> tuple[Box, ...]:
    """What was typed after each --region."""
    return tuple(map(_box, typed or []))


def _box(text: str) -> Box:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        width = height = 0
    if width < 1 or height < 1:
        raise UsageError(f"--region {text!r} is not x,y,width,height", "like this: --region 120,80,300,90")
    return Box(x, y, width, height)


def look(source: Path, options: Options) -> tuple[Photo, Choice]:
    """A photo and what `encrypt` would cover of it."""
    from photoguard import protect
    from photoguard.photos import images

    data = limits.read_picture(source, options.max_pixels)
    photo = images.decode(data, files.shown(source), options.max_pixels, options.first_frame)
    return photo, protect.choose(photo, options)


def counter(options: Options) -> Callable[[Path], dict[str, int]]:
    """For a dry run: how many faces of a photo would be covered, are in doubt, or stay readable."""

    def count(source: Path) -> dict[str, int]:
        from photoguard import protect

        _, choice = look(source, options)
        if not choice.boxes:
            raise protect.nothing_to_cover(source, choice.found, options)
        return choice.counts

    return count

"""`detect`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photoguard import batch, files
from photoguard.cli.shared import albums, choosing, options
from photoguard.cli.shared.keyring import tidied
from photoguard.cli.shared.options import detection_settings, face_numbers
from photoguard.cli.shared.voice import Voice, guarded
from photoguard.errors import BatchError, PhotoguardError, UsageError
from photoguard.files import limits, remote
from photoguard.photos.geometry import MARGIN, Box

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from photoguard.detection import Face
    from photoguard.photos.sheet import Cell
    from photoguard.protect import Choice, Options

PREVIEWS = (".png", ".jpg", ".jpeg")


@guarded
def detect(
    photos: Annotated[
        list[Path],
        typer.Argument(
            help="Photos to look at, or folders of photos.",
            show_default=False,
            parser=remote.place,
            metavar="PHOTOS",
        ),
    ],
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview",
            help="Draw one photo with its covers outlined as `encrypt` would make them, and what the "
            "detectors found inside, as PNG or JPEG: green is certain, orange uncertain, blue and dashed "
            "stays readable.",
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            "--sheet",
            help="Lay all photos on one picture, PNG or JPEG, small and with their covers outlined; a red "
            "frame says that nothing is covered.",
        ),
    ] = None,
    faces: choosing.Faces = "all",
    keep: choosing.Keep = "",
    region: choosing.Region = None,
    margin: choosing.Margin = MARGIN,
    min_face: options.MinFace = None,
    threshold: options.Threshold = None,
    thorough: options.Thorough = False,
    only_certain: options.OnlyCertain = False,
    strict_faces: options.StrictFaces = False,
    recursive: options.Recursive = False,
    include: albums.Include = None,
    exclude: albums.Exclude = None,
    max_pixels: options.MaxPixels = limits.PIXEL_CAP,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """List the faces in photos with the numbers that --faces and --keep take, and draw what is covered."""
    voice = Voice(json, quiet, verbose)
    chosen = choosing.chosen_faces(faces)
    kept, regions = face_numbers(keep, "--keep"), choosing.regions(region)
    certain = options.certain_only(only_certain, strict_faces, voice)
    inputs = albums.without_outputs(voice, photos)
    tasks = batch.plan(inputs, None, albums.selection(recursive, include, exclude))
    sources, many = [task.source for task in tasks], albums.is_many(tasks, inputs)
    choosing.refuse_numbers(many, chosen, keep)
    _check_pictures(sources, many, preview, sheet, force)
    from photoguard.protect import Options

    asked = Options(
        detection=detection_settings(min_face, threshold, thorough),
        faces=chosen,
        keep=kept,
        regions=regions,
        margin=margin,
        uncertain="drop" if certain else "cover",
        max_pixels=max_pixels,
    )
    looking = _Looking(voice, sources, many, asked, preview, force, [])
    try:
        albums.one_by_one(voice, "photo", sources, looking)
    except BatchError:
        looking.write(sheet)  # what failed is on it too
        raise
    looking.write(sheet)


@dataclass(frozen=True)
class _Looking:
    """One photo after the other: each uses all cores, and memory stays that of one."""

    voice: Voice
    sources: list[Path]
    many: bool
    options: Options
    preview: Path | None
    force: bool
    cells: list[Cell]  # of the sheet

    def __call__(self, number: int) -> None:
        """List one photo's faces, draw it, and keep it for the sheet."""
        from photoguard import protect
        from photoguard.photos import preview, sheet

        source = self.sources[number]
        try:
            photo, choice = choosing.look(source, self.options)
        except PhotoguardError:
            self.cells.append(sheet.Cell(None, source.name, "failed", alarm=True))
            raise
        if not choice.found and not choice.boxes and not self.many:
            raise protect.no_face(source)
        drawn = photo.shallow(), choice.found, choice.covered, choice.boxes
        if self.preview is not None:
            self._put(self.preview, preview.draw(*drawn))
        text = albums.counted(choice.counts) if choice.found else "no face was found"
        self.cells.append(sheet.Cell(sheet.thumbnail(*drawn), source.name, text, alarm=not choice.boxes))
        if self.many and (not self.voice.json or not choice.found):
            self.voice.result(f"{files.shown(source)}: {text}", {"photo": str(source), "skipped": text})
        for face_number, face in enumerate(choice.found, start=1):
            self.voice.result(*_told(source, face_number, face, choice))

    def write(self, path: Path | None) -> None:
        """Lay the sheet."""
        if path is not None:
            from photoguard.photos import sheet

            self._put(path, sheet.lay(self.cells))

    def _put(self, path: Path, pixels: NDArray[np.uint8]) -> None:
        from photoguard.photos import images

        secret = tidied(path.parent, self.voice)
        with files.staged(path.parent, self.force, secret) as stage:
            stage.add(path.name, images.encode_preview(pixels, path.suffix))
            stage.publish()


def _told(source: Path, number: int, face: Face, choice: Choice) -> tuple[str, dict[str, Any]]:
    """A face as text and as a record."""
    box, covered = face.box, number in choice.covered
    doubt = "" if face.certain else "  uncertain"
    text = f"{number:3}  {box.width} x {box.height} at {box.x},{box.y}  score {face.score:.3f}{doubt}"
    cover = choice.cover(number)
    return text + ("" if covered else "  open"), {
        "photo": str(source),
        "face": number,
        "box": _numbers(box),
        "cover": cover and _numbers(cover),  # none: readable, or wholly under smaller covers
        "covered": covered,
        "score": round(face.score, 4),
        "certain": face.certain,
        "rotation": face.rotation,
        "found_by": list(face.found_by),
        "landmarks": [[round(x, 1), round(y, 1)] for x, y in face.landmarks],
    }


def _numbers(box: Box) -> list[int]:
    return [box.x, box.y, box.width, box.height]


def _check_pictures(
    sources: list[Path], many: bool, preview: Path | None, sheet: Path | None, force: bool
) -> None:
    """Refuse what cannot be drawn before anything is looked at."""
    from photoguard.photos.sheet import MOST

    if preview is not None and many:
        raise UsageError("a preview shows one photo", "lay several on one picture with --sheet")
    if sheet is not None and len(sources) > MOST:
        raise UsageError(
            f"{len(sources)} photos are more than the {MOST} of a sheet", "take a folder at a time"
        )
    for option, path in (("--preview", preview), ("--sheet", sheet)):
        if path is None:
            continue
        if any(files.is_same(path, source) for source in sources):
            what = option.removeprefix("--")
            raise UsageError(f"the {what} would replace the photo", f"choose another name with {option}")
        if path.suffix.lower() not in PREVIEWS:
            raise UsageError(f"{files.shown(path)} is neither PNG nor JPEG", "end its name in .png or .jpg")
        if not force:
            files.refuse_existing(path, option)

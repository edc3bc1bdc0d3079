"""The options that several commands share, with the help text that the docs repeat."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from photoguard.cli.shared.voice import Voice
from photoguard.errors import UsageError
from photoguard.files import remote
from photoguard.recognizers.table import SHIPPED

Json = Annotated[bool, typer.Option("--json", help="Print results as JSON, one object a line.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print results and errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more about what is done.")]
Debug = Annotated[bool, typer.Option("--debug", help="Print the stack trace.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite outputs that exist.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Look into subfolders too.")]
# `readable=False` everywhere: photoguard says itself what stands in the way of reading, with exit code 3.
Key = Annotated[
    Path | None,
    typer.Option(
        "--key",
        "-k",
        readable=False,
        help="Identity file (age, with or without a passphrase) or SSH private key to open with; "
        "default: your identity.",
    ),
]
KeyModel = Annotated[
    Path | None,
    typer.Option(
        "--key-model",
        readable=False,
        help="Learned key model that AVP's chips were made with; default: the one that `keygen --model` "
        "wrote to your config folder.",
    ),
]
Private = Annotated[
    list[Path] | None,
    typer.Option(
        "--private",
        "-p",
        readable=False,
        help="Private file to open faces with, or a folder of private files; repeat it for several. Default: "
        "NAME.priv and NAME.*.priv beside the picture, or in ALBUM.private beside its album; where none has "
        "such a name or opens, those there that are the picture's, whatever they are called.",
    ),
]
Changed = Annotated[
    bool,
    typer.Option("--changed", help="Accept a picture that was edited or re-encoded after it was protected."),
]
MaxPixels = Annotated[
    int, typer.Option("--max-pixels", min=1, help="Refuse photos with more pixels than this.")
]
MinFace = Annotated[
    int | None,
    typer.Option(
        "--min-face",
        min=12,
        help="Smallest face to look for, in pixels; default: depends on the photo's size.",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", min=0.0, max=1.0, help="Score from which a face counts as certain."),
]
Thorough = Annotated[
    bool, typer.Option("--thorough", help="Look harder: small faces, all rotations, several times slower.")
]
OnlyCertain = Annotated[
    bool,
    typer.Option(
        "--only-certain",
        help="Take only faces that the detector is certain of; `encrypt` leaves the others readable.",
    ),
]
StrictFaces = Annotated[
    bool, typer.Option("--strict-faces", hidden=True, help="Earlier name of --only-certain.")
]
To = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        "-t",
        help="Recipient: age1..., an SSH public key, a NAME kept with `recipients --as`, a file with one a "
        "line, or `self`. Repeat it for several; default: yourself.",
    ),
]


def recognizer_names(named: Sequence[str]) -> tuple[str, ...]:
    """The recognizers that were named, or the one that ships."""
    return tuple(named) or (SHIPPED,)


def certain_only(only_certain: bool, strict_faces: bool, voice: Voice) -> bool:
    """Whether uncertain faces are left alone, under the option's name of today or its earlier one."""
    if strict_faces:
        voice.note("note: --strict-faces is now called --only-certain")
    return only_certain or strict_faces


def detection_settings(min_face: int | None, threshold: float | None, thorough: bool) -> Any:
    """What the detector is asked for."""
    from photoguard.detection import DetectionSettings

    if threshold is None:
        return DetectionSettings(min_face=min_face, thorough=thorough)
    return DetectionSettings(min_face=min_face, threshold=threshold, thorough=thorough)


def face_numbers(text: str, option: str) -> tuple[int, ...]:
    """Numbers as `detect` prints them, from `1,3`."""
    try:
        numbers = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        numbers = (0,)
    if any(number < 1 for number in numbers) or (text and not numbers):
        raise UsageError(f"{option} {text!r} is not a list of face numbers", f"like this: {option} 1,3")
    return numbers


def named_faces(numbers: Sequence[int]) -> str:
    """`face 2`, or `faces 2, 7`."""
    return f"{'face' if len(numbers) == 1 else 'faces'} {', '.join(map(str, numbers))}"


Pictures = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Public pictures, or folders of them; addresses such as s3://bucket/folder too. "
        "`decrypt -` reads standard input.",
        show_default=False,
        parser=remote.place,
        metavar="PICTURES",
    ),
]


Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        readable=False,
        help="A model of your own (`train obfuscator`); default: the shipped one.",
    ),
]

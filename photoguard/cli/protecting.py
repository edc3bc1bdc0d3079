"""`encrypt` and `detect`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from photoguard import batch, files
from photoguard.cli.shared import albums, options
from photoguard.cli.shared.keyring import (
    chosen_recipients,
    has_identity,
    load_key_model,
    load_signer,
    proof_identities,
    stage_secret,
    tidied,
)
from photoguard.cli.shared.voice import Voice, guarded
from photoguard.errors import UsageError
from photoguard.files import limits, remote
from photoguard.formats.signing import Signer
from photoguard.photos.geometry import Box

SEALED = "sealed"
COSINE = 0.98
SHIPPED_RECOGNIZER = "photoguard-small"
LEAKS = {"blur": 41, "pixelate": 53}  # per cent of 17 people that a recognizer retrained on such covers names


class MethodName(StrEnum):
    """The covers to choose from."""

    ddm = "ddm"
    solid = "solid"
    blur = "blur"
    pixelate = "pixelate"
    avp = "avp"


@guarded
def encrypt(
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Photos, or folders of photos; addresses such as s3://bucket/folder too.",
            show_default=False,
            parser=remote.place,
            metavar="PHOTOS",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            parser=remote.place,
            metavar="PATH",
            help="Public file for one photo, or a folder or address; beside each photo by default.",
        ),
    ] = None,
    method: Annotated[
        MethodName,
        typer.Option(
            "--method",
            "-m",
            help="What strangers see in a face's place. The covers of ddm and solid tell nothing but the "
            "box's size. blur and pixelate are made of the face and tell something: recognizers retrained "
            f"on them name {LEAKS['blur']} and {LEAKS['pixelate']} % of 17 people where guessing gives 7 %.",
        ),
    ] = MethodName.ddm,
    strength: Annotated[
        float,
        typer.Option(
            "--strength",
            min=1.0,
            max=5.0,
            help="How much blur and pixelate hide; they adapt to the face's size.",
        ),
    ] = 1.0,
    exact: Annotated[
        bool, typer.Option("--exact", help="Restore every pixel exactly; the files grow.")
    ] = False,
    quality: Annotated[
        float | None,
        typer.Option(
            "--quality",
            min=20.0,
            max=60.0,
            help="Restore ddm faces with at least so many decibels (exit 9 if not).",
        ),
    ] = None,
    recognizer: Annotated[
        list[str] | None,
        typer.Option(
            "--recognizer",
            help="With avp: the recognizer that still knows the faces, as `recognizers list` names it; the "
            "one that ships with photoguard when left out. Repeat it for chips that several know.",
        ),
    ] = None,
    key_model: Annotated[
        str,
        typer.Option(
            "--key-model",
            help="With avp: what turns a lone chip back into the face. sealed: your identity, the face "
            "travels in the chip; learned: the key model that `keygen --model` made, or its file.",
        ),
    ] = SEALED,
    robust: Annotated[
        str,
        typer.Option(
            "--robust",
            help="With avp: what recognition survives: jpeg, resize or jpeg,resize. A sealed chip's hidden "
            "face does not survive it.",
        ),
    ] = "",
    cosine: Annotated[
        float,
        typer.Option(
            "--cosine",
            min=0.0,
            max=1.0,
            help="With avp: how near chip and face must be to the recognizer (exit 9 if not).",
        ),
    ] = COSINE,
    to: options.To = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Seal to a passphrase instead of recipients.")
    ] = False,
    faces: Annotated[
        str,
        typer.Option(
            "--faces", help="Faces to cover: all, largest, none, or numbers from `detect` like 1,3."
        ),
    ] = "all",
    keep: Annotated[str, typer.Option("--keep", help="Faces to leave readable, by number: 2 or 2,4.")] = "",
    region: Annotated[
        list[str] | None,
        typer.Option(
            "--region",
            help="Cover this too: x,y,width,height in pixels of the upright photo. Repeat it for several.",
        ),
    ] = None,
    margin: Annotated[
        float,
        typer.Option(
            "--margin", min=0.0, max=2.0, help="How far covers reach beyond a face, as a share of its size."
        ),
    ] = 0.25,
    min_face: options.MinFace = None,
    threshold: options.Threshold = None,
    thorough: options.Thorough = False,
    strict_faces: options.StrictFaces = False,
    fail_on_uncertain: Annotated[
        bool, typer.Option("--fail-on-uncertain", help="Write nothing when a face is uncertain (exit 4).")
    ] = False,
    portable: Annotated[
        bool,
        typer.Option(
            "--portable", help="Keep all sealed data in the private file, for platforms that strip pictures."
        ),
    ] = False,
    recursive: options.Recursive = False,
    include: albums.Include = None,
    exclude: albums.Exclude = None,
    files_from: albums.FilesFrom = None,
    no_face: Annotated[
        albums.NoFace,
        typer.Option(
            "--no-face",
            help="A photo without a face is an error, or skipped, or (copy-nothing) noted as done so that "
            "later runs do not look again. It is never copied.",
        ),
    ] = albums.NoFace.error,
    jobs: albums.Jobs = None,
    cluster: albums.Cluster = None,
    by_content: albums.ByContent = False,
    dry_run: albums.DryRun = False,
    max_pixels: options.MaxPixels = limits.PIXEL_CAP,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Cover the faces in photos; each photo becomes NAME.pub.png to share and NAME.priv to restore it."""
    voice = Voice(json, quiet, verbose)
    if strict_faces and fail_on_uncertain:
        raise UsageError("--strict-faces and --fail-on-uncertain exclude each other", "choose one")
    uncertain: Literal["cover", "drop", "fail"] = (
        "drop" if strict_faces else "fail" if fail_on_uncertain else "cover"
    )
    if quality is not None and (exact or method is not MethodName.ddm):
        raise UsageError("--quality belongs to --method ddm without --exact", "leave one of them out")
    of_avp = (recognizer, key_model != SEALED, robust, cosine != COSINE)
    if any(of_avp) and method is not MethodName.avp:
        named = "--recognizer, --key-model, --robust and --cosine"
        raise UsageError(f"{named} belong to --method avp", "add -m avp")
    chosen_faces, kept = _faces(faces), face_numbers(keep, "--keep")
    regions = tuple(map(_box, region or []))
    inputs = albums.without_outputs(voice, albums.named(photos, files_from))
    selection = batch.Selection(
        recursive, tuple(include or ()), tuple(exclude or ()), mirrored=files_from is not None
    )
    tasks = batch.plan(inputs, output, selection)
    many = len(tasks) > 1 or files.is_folder(inputs[0])
    if many and (isinstance(chosen_faces, tuple) or keep):
        raise UsageError("face numbers belong to one photo", "give one photo, or use --faces all or largest")
    if dry_run and (not to or "self" in to) and not has_identity():
        albums.show_plan(voice, albums.Album(tasks, many, force=force), "protect")
        return
    _speak_of_leaks(voice, method.value)
    recipients = chosen_recipients(to or [], passphrase, voice)
    proof = proof_identities(recipients, voice)

    from photoguard.batch.work import Encrypting
    from photoguard.methods import Chips, Settings
    from photoguard.protect import Options

    chips, learned = None, None
    if method is MethodName.avp:
        learned = None if key_model == SEALED else load_key_model(key_model, voice)
        chips = Chips(recognizer_names(recognizer or ()), cosine, _robust(robust), learned)

    choice = Options(
        method=method.value,
        settings=Settings(strength, exact, quality, chips),
        detection=detection_settings(min_face, threshold, thorough),
        faces=chosen_faces,
        keep=kept,
        regions=regions,
        margin=margin,
        uncertain=uncertain,
        portable=portable,
        max_pixels=max_pixels,
    )
    journal = None
    if any(map(files.is_folder, inputs)) or files_from is not None:
        which_model = sha256(learned).hexdigest() if learned else ""  # no repr tells it
        journal = albums.journal_for(voice, f"{choice} {recipients.keys}{which_model}", by_content, dry_run)
    album = albums.Album(tasks, many, jobs, force, journal, no_face, cluster)
    if dry_run:
        albums.show_plan(voice, album, "protect")
        return
    signer: Signer | None = load_signer(voice)
    if cluster is not None:  # a secret key does not leave this machine
        proof, signer = [], None
        _speak_of_cluster(voice, cluster, passphrase, learned is not None)
    progress = None if many or chips is None else voice.counter("step")
    secret = stage_secret(voice)
    album = replace(album, secret=secret)
    work = Encrypting(choice, recipients, signer, tuple(proof), force, not many, secret, progress)
    if chips is not None and cluster is None:  # a recognizer without weights: before anything is looked at
        batch.pool.load(work) if many else work.load()
    albums.work_through(voice, album, work, _protected_text, "protected")


def _speak_of_leaks(voice: Voice, method: str) -> None:
    if method in LEAKS:
        voice.note(
            f"{method} keeps some of a face: a recognizer retrained on such covers names "
            f"{LEAKS[method]} % of 17 people, guessing 7 %. ddm and solid keep nothing."
        )


def _speak_of_cluster(voice: Voice, cluster: str, passphrase: bool, learned: bool) -> None:
    if passphrase:
        albums.warn_of_secrets(voice, cluster, "passphrase")
    if learned:
        albums.warn_of_secrets(voice, cluster, "key model")
    voice.note("On a cluster the private files are not opened as a test: check some with `verify`.")


def recognizer_names(named: Sequence[str]) -> tuple[str, ...]:
    """The recognizers that were named, or the one that ships."""
    return tuple(named) or (SHIPPED_RECOGNIZER,)


def detection_settings(min_face: int | None, threshold: float | None, thorough: bool) -> Any:
    """What the detector is asked for."""
    from photoguard.detection import DetectionSettings

    if threshold is None:
        return DetectionSettings(min_face=min_face, thorough=thorough)
    return DetectionSettings(min_face=min_face, threshold=threshold, thorough=thorough)


def _protected_text(record: dict[str, Any]) -> str:
    covers = len(record["covers"])
    text = f"{files.shown(record['source'])}: {covers} {'cover' if covers == 1 else 'covers'}"
    if record["uncertain"]:
        text += f"; uncertain but covered: face {', '.join(map(str, record['uncertain']))}"
    if record["kept"]:
        text += f"; left readable: face {', '.join(map(str, record['kept']))}"
    public, private = files.shown(record["public"]), files.shown(record["private"])
    text = f"{text}\n  public   {public}\n  private  {private}"
    return text + "".join(map(_chip_text, record.get("chips", ())))


def _chip_text(chip: dict[str, Any]) -> str:
    known = ", ".join(f"{name} {cosine:.4f}" for name, cosine in chip["cosine"].items())
    survived = "".join(f", {cosine:.3f} after {what}" for what, cosine in chip["survived"].items())
    return (
        f"\n  face {chip['face']:<3} {files.shown(chip['file'])}\n"
        f"           cosine {known}{survived}; SSIM {chip['ssim_e']:.3f} hidden, "
        f"{chip['ssim_d']:.3f} restored; {chip['steps']} steps, {chip['seconds']:.1f} s"
    )


def _faces(text: str) -> Literal["all", "largest", "none"] | tuple[int, ...]:
    words: dict[str, Literal["all", "largest", "none"]] = {"all": "all", "largest": "largest", "none": "none"}
    return words[text] if text in words else face_numbers(text, "--faces")


def face_numbers(text: str, option: str) -> tuple[int, ...]:
    """Numbers as `detect` prints them, from `1,3`."""
    try:
        numbers = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        numbers = (0,)
    if any(number < 1 for number in numbers) or (text and not numbers):
        raise UsageError(f"{option} {text!r} is not a list of face numbers", f"like this: {option} 1,3")
    return numbers


def _robust(text: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    strange = [part for part in chosen if part not in ("jpeg", "resize")]
    if strange:
        raise UsageError(f"--robust does not know {strange[0]!r}", "it takes jpeg, resize or jpeg,resize")
    return chosen


def _box(text: str) -> Box:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        width = height = 0
    if width < 1 or height < 1:
        raise UsageError(f"--region {text!r} is not x,y,width,height", "like this: --region 120,80,300,90")
    return Box(x, y, width, height)


@guarded
def detect(
    photo: Annotated[Path, typer.Argument(help="The photo to look at.", show_default=False, readable=False)],
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview", help="Draw the numbered faces on a copy of the photo, written here as PNG or JPEG."
        ),
    ] = None,
    min_face: options.MinFace = None,
    threshold: options.Threshold = None,
    thorough: options.Thorough = False,
    strict_faces: options.StrictFaces = False,
    max_pixels: options.MaxPixels = limits.PIXEL_CAP,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """List the faces in a photo with the numbers that --faces and --keep take, and draw them."""
    voice = Voice(json, quiet, verbose)
    if preview is not None and not force:
        files.refuse_existing(preview)
    from photoguard import protect
    from photoguard.photos import images

    choice = protect.Options(
        detection=detection_settings(min_face, threshold, thorough),
        uncertain="drop" if strict_faces else "cover",
    )
    data = images.decode(limits.read_picture(photo, max_pixels), files.shown(photo), max_pixels)
    found = protect.find(data, choice)
    if not found:
        raise protect.no_face(photo)
    if preview is not None:
        _write_preview(preview, photo, data, found, force, tidied(preview.parent, voice))
    for number, face in enumerate(found, start=1):
        box = face.box
        doubt = "" if face.certain else "  uncertain"
        text = f"{number:3}  {box.width} x {box.height} at {box.x},{box.y}  score {face.score:.3f}{doubt}"
        record = {
            "face": number,
            "box": [box.x, box.y, box.width, box.height],
            "score": round(face.score, 4),
            "certain": face.certain,
            "rotation": face.rotation,
            "found_by": list(face.found_by),
            "landmarks": [[round(x, 1), round(y, 1)] for x, y in face.landmarks],
        }
        voice.result(text, record)


def _write_preview(
    preview: Path, photo: Path, data: Any, found: Sequence[Any], force: bool, secret: bytes | None
) -> None:
    from photoguard.photos import images
    from photoguard.photos.preview import draw

    if files.is_same(preview, photo):
        raise UsageError("the preview would replace the photo", "choose another name with --preview")
    picture = images.encode_preview(draw(data.shallow(), found), preview.suffix)
    with files.staged(preview.parent, force, secret) as stage:
        stage.add(preview.name, picture)
        stage.publish()

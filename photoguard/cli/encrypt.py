"""`encrypt`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from photoguard import batch, files
from photoguard.cli.shared import albums, choosing, options, streams
from photoguard.cli.shared.keyring import (
    chosen_recipients,
    has_identity,
    load_key_model,
    load_signer,
    proof_identities,
    stage_secret,
)
from photoguard.cli.shared.options import detection_settings, face_numbers, named_faces, recognizer_names
from photoguard.cli.shared.voice import Voice, guarded
from photoguard.errors import UsageError
from photoguard.files import limits, remote
from photoguard.formats.identities import Identity, Recipients
from photoguard.formats.signing import Signer
from photoguard.methods import Chips, MethodName, Settings
from photoguard.photos.geometry import MARGIN

if TYPE_CHECKING:
    from photoguard.covering import Look
    from photoguard.protect import Options

SEALED = "sealed"
LEAKS = {"blur": 29, "pixelate": 44}  # per cent of 30 people that a recognizer retrained on them names


@guarded
def encrypt(
    photos: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Photos, or folders of photos, or - for standard input; addresses such as "
            "s3://bucket/folder too.",
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
            help="Public file for one photo, or a folder or address, or - for standard output; default: "
            "beside each photo.",
        ),
    ] = None,
    private: Annotated[
        Path | None,
        typer.Option(
            "--private",
            "-p",
            readable=False,
            help="With `-`: the private file to write; default: beside the public file.",
        ),
    ] = None,
    private_to: Annotated[
        Path | None,
        typer.Option(
            "--private-to",
            parser=remote.place,
            metavar="FOLDER",
            help="Folder for private files, with the subfolders of the public ones. Default: beside the "
            "public file; for an album with an output folder OUT, OUT.private beside it.",
        ),
    ] = None,
    rename: Annotated[
        bool,
        typer.Option(
            "--rename",
            help="Give outputs names that say nothing, all in one folder; the photo's own name is sealed.",
        ),
    ] = False,
    method: Annotated[
        MethodName,
        typer.Option(
            "--method",
            "-m",
            help="What everybody else sees in a face's place. The covers of ddm and solid tell nothing but "
            "the box's size. blur and pixelate are made of the face and leak some of it: recognizers "
            f"retrained on them name {LEAKS['blur']} and {LEAKS['pixelate']} % of 30 people where guessing "
            "gives 3 % (docs/results/ddm.md).",
        ),
    ] = MethodName.ddm,
    look: Annotated[
        str,
        typer.Option(
            "--look",
            help="With ddm and solid: what covers show. plain, pattern, soft (a block in the tone of its "
            "surroundings), or a picture's file, such as a logo. ddm takes pattern by default, solid plain.",
        ),
    ] = "",
    strength: Annotated[
        float | None,
        typer.Option(
            "--strength",
            min=1.0,
            max=5.0,
            help="With blur and pixelate: how much they hide; they adapt to the face's size. Default: "
            f"{Settings.strength}.",
        ),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Restore every pixel exactly; the files grow.")
    ] = False,
    quality: Annotated[
        float | None,
        typer.Option(
            "--quality",
            min=20.0,
            max=60.0,
            help="With ddm: minimum PSNR of restored faces, in dB; 42 by default, where nobody sees a "
            "difference.",
        ),
    ] = None,
    compact: Annotated[
        bool,
        typer.Option("--compact", help="With ddm: the network's code alone; small files, softer faces."),
    ] = False,
    recognizer: Annotated[
        list[str] | None,
        typer.Option(
            "--recognizer",
            help="With avp: the recognizer that still knows the faces, as `recognizers list` names it; "
            "default: the one that ships with photoguard. Repeat it for chips that several know.",
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
            help="With avp: minimum cosine between chip and face for the recognizer (exit 9 if not reached).",
        ),
    ] = Chips.least,
    to: options.To = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Seal to a passphrase instead of recipients.")
    ] = False,
    faces: choosing.Faces = "all",
    keep: choosing.Keep = "",
    region: choosing.Region = None,
    margin: choosing.Margin = MARGIN,
    min_face: options.MinFace = None,
    threshold: options.Threshold = None,
    thorough: options.Thorough = False,
    only_certain: options.OnlyCertain = False,
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
    first_frame: Annotated[
        bool,
        typer.Option(
            "--first-frame", help="Of an animation or a file of several pages, take the first one alone."
        ),
    ] = False,
    recursive: options.Recursive = False,
    include: albums.Include = None,
    exclude: albums.Exclude = None,
    files_from: albums.FilesFrom = None,
    no_face: albums.OnNoFace = albums.NoFace.error,
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
    voice = Voice(json, quiet, verbose, aside=streams.is_output(output))
    uncertain = _uncertain(options.certain_only(only_certain, strict_faces, voice), fail_on_uncertain)
    _check_quality(quality, compact, exact, strength, method)
    _check_avp(method, recognizer, key_model, robust, cosine)
    cover_look = _look(method, look, max_pixels) if look else None
    chosen, kept = choosing.chosen_faces(faces), face_numbers(keep, "--keep")
    regions = choosing.regions(region)
    inputs = albums.without_outputs(voice, albums.named(photos, files_from))
    streamed = _streamed(inputs, output, private, method, dry_run or cluster is not None)
    data = streams.read(inputs[0], max_pixels) if streamed else b""  # before a passphrase is read
    chosen_files = albums.selection(recursive, include, exclude, files_from)
    albums.speak_of_others(voice, inputs, chosen_files)
    apart = None if streamed else albums.private_folder(voice, inputs, files_from, output, private_to)
    names = _neutral(voice, inputs, output) if rename and not streamed else None
    tasks = (
        [] if streamed else batch.plan(inputs, output, chosen_files, albums.photos_noted(voice), apart, names)
    )
    many = albums.is_many(tasks, inputs)
    album = albums.Album(tasks, many, jobs, force, None, no_face, cluster, apart=apart)
    choosing.refuse_numbers(album.many, chosen, keep)
    from photoguard.protect import Options

    choice = Options(
        method=method.value,
        settings=Settings(Settings.strength if strength is None else strength, exact, quality, compact),
        detection=detection_settings(min_face, threshold, thorough),
        faces=chosen,
        keep=kept,
        regions=regions,
        margin=margin,
        look=cover_look,
        uncertain=uncertain,
        portable=portable,
        first_frame=first_frame,
        max_pixels=max_pixels,
    )
    if dry_run and (not to or "self" in to) and not has_identity():
        albums.show_plan(voice, album, "protect", choosing.counter(choice))
        return
    _speak_of_leaks(voice, method)
    recipients = chosen_recipients(to or [], passphrase, voice)
    proof = proof_identities(recipients, voice)
    if method is MethodName.avp:
        learned = None if key_model == SEALED else load_key_model(key_model, voice)
        chips = Chips(recognizer_names(recognizer or ()), cosine, _robust(robust), learned)
        choice = replace(choice, settings=replace(choice.settings, chips=chips))
    if streamed:
        from photoguard.batch.work import Encrypting

        work = Encrypting(choice, recipients, load_signer(voice), tuple(proof), force)
        record = streams.protect(voice, work, data, inputs[0], *streamed)
        voice.result(_protected_text(record), record)
        return
    if albums.keeps_journal(inputs, files_from):
        journal = albums.journal_for(voice, _as_text(choice, recipients), by_content, dry_run)
        album = replace(album, journal=journal)
    if dry_run:
        albums.show_plan(voice, album, "protect", choosing.counter(choice))
        return
    _protect(voice, album, choice, recipients, proof)


def _streamed(
    inputs: list[Path], output: Path | None, private: Path | None, method: MethodName, refused: bool
) -> tuple[Path, Path] | None:
    """The picture and the private file of a run with `-`; none for other runs."""
    if not streams.are_used(inputs, output):
        if private:
            raise UsageError("--private belongs to `-`", "other runs write NAME.priv beside NAME.pub.png")
        return None
    if method is MethodName.avp or refused:
        raise UsageError("`-` takes none of --method avp, --dry-run and --cluster", "give files instead")
    if output is None or (private is None and streams.is_output(output)):
        raise UsageError("where is the private file to go?", "name it with --private FILE")
    return output, private or files.private_beside(output)


def _neutral(voice: Voice, inputs: list[Path], output: Path | None) -> Callable[[Path], str]:
    if output is not None and not files.is_folder(inputs[0]) and not files.means_folder(output):
        raise UsageError("-o names the public file already", "leave --rename out, or name a folder")
    return albums.neutral_names(voice, output)


def _uncertain(only_certain: bool, fail: bool) -> Literal["cover", "drop", "fail"]:
    if only_certain and fail:
        raise UsageError("--only-certain and --fail-on-uncertain exclude each other", "choose one")
    return "drop" if only_certain else "fail" if fail else "cover"


def _check_quality(
    quality: float | None, compact: bool, exact: bool, strength: float | None, method: MethodName
) -> None:
    for name, asked in (("--quality", quality is not None), ("--compact", compact)):
        if asked and (exact or method is not MethodName.ddm):
            raise UsageError(f"{name} belongs to --method ddm without --exact", "leave one of them out")
    if compact and quality is not None:
        raise UsageError("--quality and --compact exclude each other", "choose one")
    if strength is not None and method.value not in LEAKS:
        raise UsageError("--strength belongs to --method blur or pixelate", "leave it out")


def _check_avp(
    method: MethodName, recognizer: list[str] | None, key_model: str, robust: str, cosine: float
) -> None:
    asked = (recognizer, key_model != SEALED, robust, cosine != Chips.least)
    if any(asked) and method is not MethodName.avp:
        named = "--recognizer, --key-model, --robust and --cosine"
        raise UsageError(f"{named} belong to --method avp", "add -m avp")


def _look(method: MethodName, look: str, max_pixels: int) -> Look:
    from photoguard import arguments

    return arguments.look(method.value, look, max_pixels)


def _as_text(choice: Options, recipients: Recipients) -> str:
    """What a journal compares, so that other settings do a photo again."""
    learned = choice.settings.chips and choice.settings.chips.key_model
    which_model = sha256(learned).hexdigest() if learned else ""  # no repr tells it
    return f"{choice} {recipients.keys}{which_model}"


def _protect(
    voice: Voice, album: albums.Album, choice: Options, recipients: Recipients, proof: list[Identity]
) -> None:
    from photoguard.batch.work import Encrypting

    chips, many = choice.settings.chips, album.many
    signer: Signer | None = load_signer(voice)
    if album.cluster is not None:  # a secret key does not leave this machine
        proof, signer = [], None
        learned = chips is not None and chips.key_model is not None
        _speak_of_cluster(voice, album.cluster, recipients.passphrase is not None, learned)
    progress = None if many or chips is None else voice.counter("step")
    secret = stage_secret(voice)
    album = replace(album, secret=secret)
    work = Encrypting(choice, recipients, signer, tuple(proof), album.force, not many, secret, progress)
    if chips is not None and album.cluster is None:  # a recognizer without weights: before any photo is read
        batch.pool.load(work) if many else work.load()
    albums.work_through(voice, album, work, _protected_text, "protected")


def _speak_of_leaks(voice: Voice, method: MethodName) -> None:
    if method in LEAKS:
        voice.note(
            f"{method} keeps some of a face: a recognizer retrained on such covers names "
            f"{LEAKS[method]} % of 30 people, guessing 3 %. ddm and solid keep nothing."
        )


def _speak_of_cluster(voice: Voice, cluster: str, passphrase: bool, learned: bool) -> None:
    if passphrase:
        albums.warn_of_secrets(voice, cluster, "passphrase")
    if learned:
        albums.warn_of_secrets(voice, cluster, "key model")
    voice.note("On a cluster the private files are not opened as a test: check some with `verify`.")


def _protected_text(record: dict[str, Any]) -> str:
    covers = len(record["covers"])
    text = f"{files.shown(record['source'])}: {covers} {'cover' if covers == 1 else 'covers'}"
    if record["uncertain"]:
        text += f"; uncertain but covered: {named_faces(record['uncertain'])}"
    if record["kept"]:
        text += f"; left readable: {named_faces(record['kept'])}"
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


def _robust(text: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    strange = [part for part in chosen if part not in ("jpeg", "resize")]
    if strange:
        raise UsageError(f"--robust does not know {strange[0]!r}", "it takes jpeg, resize or jpeg,resize")
    return chosen

"""Sessions at the command line, as a user has them.

Covers: cli.main, cli.shared.choosing, cli.shared.options, cli.shared.restoring.
"""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.albums import names
from support.shell import Shell

from photoguard.photos import images, png

BY_HAND = (
    "--method",
    "solid",
    "--faces",
    "none",
    "--region",
    "150,30,120,150",
)  # what needs no detector starts much faster


def pixels(path: Path) -> np.ndarray:
    return images.decode(path.read_bytes(), path.name).pixels


def small(folder: Path, name: str = "small.png", seed: int = 7) -> Path:
    """A photo without a face."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def test_a_photo_is_protected_and_restored(photoguard: Shell, portrait: Path) -> None:
    done = photoguard("encrypt", portrait)
    assert "1 cover" in done.stdout and "Back it up" in done.stderr
    public, private = portrait.with_name("portrait.pub.png"), portrait.with_name("portrait.priv")
    original, covered = pixels(portrait), pixels(public)
    face = (slice(60, 175), slice(180, 268))
    assert np.abs(covered[face].astype(int) - original[face]).mean() > 30
    assert np.array_equal(covered[250:], original[250:]), "what is no face stays as it is"
    assert private.stat().st_size < 1200  # 224 of them seal it

    photoguard("decrypt", public)
    restored = pixels(portrait.with_name("portrait.restored.png"))
    assert np.array_equal(restored[250:], original[250:])
    assert np.abs(restored.astype(int) - original).mean() < 1
    photoguard("verify", public)
    assert sorted(p.name for p in portrait.parent.iterdir()) == [
        "portrait.jpg", "portrait.priv", "portrait.pub.png", "portrait.restored.png",
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["ddm", "solid", "blur", "pixelate"])
def test_exact_restores_every_pixel(photoguard: Shell, portrait: Path, method: str) -> None:
    photoguard("encrypt", portrait, *BY_HAND, "--method", method, "--exact")
    done = photoguard("decrypt", portrait.with_name("portrait.pub.png"), "--json")
    assert json.loads(done.stdout)["exact"] is True
    assert np.array_equal(pixels(portrait.with_name("portrait.restored.png")), pixels(portrait))


def test_metadata_leaves_the_picture_and_comes_back(photoguard: Shell, portrait: Path) -> None:
    photoguard("encrypt", portrait, *BY_HAND)
    public = portrait.with_name("portrait.pub.png")
    assert {kind for kind, _ in png.list_chunks(public.read_bytes())} <= png.PUBLIC_CHUNKS
    assert b"sample camera" not in public.read_bytes()
    done = photoguard("decrypt", public, "--json")
    assert json.loads(done.stdout)["name"] == "portrait.jpg"
    with (
        Image.open(portrait.with_name("portrait.restored.png")) as restored,
        Image.open(portrait) as original,
    ):
        assert restored.getexif()[0x0110] == "sample camera"
        assert restored.getexif().get_ifd(0x8825) == original.getexif().get_ifd(0x8825)


def test_no_face_is_an_error_and_writes_nothing(photoguard: Shell, tmp_path: Path) -> None:
    photo = tmp_path / "scene" / "plain.png"
    photo.parent.mkdir()
    Image.new("RGB", (300, 200), (90, 120, 60)).save(photo)
    done = photoguard("encrypt", photo, code=4)
    assert "no face was found" in done.stderr and "--region" in done.stderr
    assert [p.name for p in photo.parent.iterdir()] == ["plain.png"]


def test_faces_are_chosen_by_number(photoguard: Shell, tmp_path: Path, portrait: Path) -> None:
    face = np.asarray(Image.open(portrait))[0:250, 60:360]
    group = tmp_path / "group" / "three.png"
    group.parent.mkdir()
    Image.fromarray(np.hstack([face, face, face])).save(group)
    found = [
        json.loads(line)
        for line in photoguard("detect", group, "--only-certain", "--json").stdout.splitlines()
    ]
    assert [face["face"] for face in found] == [1, 2, 3] and all(face["certain"] for face in found)
    done = photoguard("encrypt", group, "--only-certain", "--keep", "2", "--json")
    report = json.loads(done.stdout)
    assert report["covered"] == [1, 3] and report["kept"] == [2]
    covered, original = pixels(group.with_name("three.pub.png")), pixels(group)
    for number, face in enumerate(found, start=1):
        x, y, width, height = face["box"]
        same = np.array_equal(covered[y : y + height, x : x + width], original[y : y + height, x : x + width])
        assert same is (number == 2)
    assert "there is no face 9" in photoguard("encrypt", group, "--faces", "9", "--force", code=2).stderr
    only = json.loads(photoguard("encrypt", group, "--faces", "3", "--force", "--json").stdout)
    assert only["covered"] == [3]


def test_the_preview_shows_what_was_found(photoguard: Shell, portrait: Path) -> None:
    preview = portrait.with_name("preview.png")
    photoguard("detect", portrait, "--preview", preview)
    height, width = pixels(preview).shape[:2]
    assert height == width >= 512, "small photos are enlarged so that the numbers can be read"
    colors = {tuple(color) for color in pixels(preview).reshape(-1, 3)}
    assert colors - {tuple(color) for color in pixels(portrait).reshape(-1, 3)}
    photoguard("detect", portrait, "--preview", preview, code=8)
    photoguard("detect", portrait, "--preview", portrait, "--force", code=2)


def test_detect_tells_and_draws_the_covers_of_encrypt(photoguard: Shell, portrait: Path) -> None:
    typed = ("--margin", "0.5", "--region", "300,300,100,80", "--only-certain")
    preview = portrait.with_name("preview.png")
    face = json.loads(photoguard("detect", portrait, *typed, "--preview", preview, "--json").stdout)
    covers = json.loads(photoguard("encrypt", portrait, *typed, "--json").stdout)["covers"]
    assert face["cover"] == covers[0] and face["covered"]
    picture = pixels(preview)
    zoom = picture.shape[0] / pixels(portrait).shape[0]
    green = (picture == (57, 255, 20)).all(axis=-1)
    for x, y, width, height in covers:
        for edge in (x * zoom + 1, (x + width) * zoom - 2):
            column = green[round((y + height / 4) * zoom) : round((y + height / 2) * zoom)]
            assert column[:, round(edge) - 2 : round(edge) + 3].any(axis=1).all()
    kept = json.loads(photoguard("detect", portrait, "--keep", "1", "--json").stdout)
    assert kept["cover"] is None and not kept["covered"]


def test_an_album_on_a_sheet_and_in_a_dry_run(photoguard: Shell, tmp_path: Path, portrait: Path) -> None:
    (tmp_path / "album" / "sea").mkdir(parents=True)
    sheet = tmp_path / "sheet.jpg"
    shutil.copy(portrait, tmp_path / "album" / "one.jpg")
    Image.new("RGB", (300, 200), (90, 120, 60)).save(tmp_path / "album" / "sea" / "plain.png")
    done = photoguard("detect", "album", "-r", "--sheet", sheet, "--json")
    one, plain = sorted(map(json.loads, done.stdout.splitlines()), key=lambda line: line["photo"])
    assert one["face"] == 1 and plain == {"photo": "album/sea/plain.png", "skipped": "no face was found"}
    assert pixels(sheet).shape[1] > 480
    assert (
        "more" not in done.stderr
        and "one photo" in photoguard("detect", "album", "--preview", "a.png", code=2).stderr
    )
    photoguard("detect", "album", "--keep", "1", code=2)
    photoguard("detect", "album", "-r", "--sheet", sheet, code=8)
    (tmp_path / "album" / "bad.jpg").write_bytes(b"no photo")
    bad = photoguard("detect", "album", "-r", "--sheet", sheet, "--force", code=10)
    assert "1 of 3 failed" in bad.stderr and "1 face covered" in bad.stdout
    dry = photoguard("encrypt", "album", "-r", "--dry-run", "--no-face", "skip", "--json")
    told = {line["source"]: line for line in map(json.loads, dry.stdout.splitlines())}
    assert told["album/one.jpg"]["covered"] == 1 and told["album/one.jpg"]["open"] == 0
    assert told["album/sea/plain.png"]["would"] == "skip" and told["album/bad.jpg"]["would"] == "fail"
    assert "3 photos; 1 face covered in all; nothing was done" in dry.stderr
    assert sorted(p.name for p in (tmp_path / "album").iterdir()) == ["bad.jpg", "one.jpg", "sea"]


@pytest.mark.parametrize("method, share", [("blur", "29 %"), ("pixelate", "44 %"), ("solid", None)])
def test_a_cover_that_is_made_of_the_face_says_what_it_leaks(
    photoguard: Shell, tmp_path: Path, method: str, share: str | None
) -> None:
    photo = small(tmp_path / "soft")
    typed = ("encrypt", photo, "-m", method, "--faces", "none", "--region", "0,0,32,32")
    said = photoguard(*typed).stderr
    assert share in said and "3 %" in said if share else "%" not in said


def test_regions_cover_other_things(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "plates")
    photoguard(
        "encrypt",
        photo,
        "--method",
        "solid",
        "--faces",
        "none",
        "--region",
        "10,10,20,8",
        "--region",
        "60,50,500,500",
    )
    covered, original = pixels(photo.with_name("small.pub.png")), pixels(photo)
    first, second = covered[:32, :32], covered[48:, 48:]  # grown to the grid of 16 pixels
    assert (first == first[0, 0]).all() and (second == second[0, 0]).all()
    assert np.array_equal(covered[:48, 32:], original[:48, 32:])
    assert np.array_equal(covered[32:, :48], original[32:, :48])
    for wrong in ("1,2,3", "a,b,c,d", "5,5,0,9", "500,500,10,10"):
        photoguard(
            "encrypt", photo, "--method", "solid", "--faces", "none", "--region", wrong, "--force", code=2
        )


def test_overlapping_regions_come_back_whole_and_one_grant_shows_no_more_than_its_own(
    photoguard: Shell, tmp_path: Path
) -> None:
    photo = small(tmp_path / "overlap")
    regions = ("--region", "0,0,32,32", "--region", "16,16,16,32")
    photoguard("encrypt", photo, "--method", "solid", "--faces", "none", *regions, "--exact")
    public, private = photo.with_name("small.pub.png"), photo.with_name("small.priv")
    photoguard("decrypt", public)
    assert np.array_equal(pixels(photo.with_name("small.restored.png")), pixels(photo))
    photoguard("grant", private, "--faces", "1", "--to", "self", "-o", tmp_path / "one.priv")
    photoguard("decrypt", public, "--private", tmp_path / "one.priv", "-o", tmp_path / "one.png")
    one = pixels(tmp_path / "one.png")
    assert np.array_equal(one[:16, :32], pixels(photo)[:16, :32])
    assert np.array_equal(one[16:48, 16:32], pixels(public)[16:48, 16:32]), "the neighbor stays covered"


def test_a_grant_gives_some_faces_to_someone_else(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "party")
    ana = tmp_path / "ana.key"
    recipient = json.loads(photoguard("keygen", "-o", ana, "--json").stdout)["recipient"]
    photoguard(
        "encrypt",
        photo,
        "--method",
        "solid",
        "--faces",
        "none",
        "--exact",
        "--region",
        "5,5,20,20",
        "--region",
        "50,30,20,20",
    )
    public, private = photo.with_name("small.pub.png"), photo.with_name("small.priv")
    before = public.read_bytes()
    photoguard("decrypt", public, "--key", ana, code=5)
    assert not photo.with_name("small.restored.png").exists()

    photoguard("grant", private, "--to", recipient, "--faces", "2", "-o", tmp_path / "for-ana.priv")
    assert public.read_bytes() == before
    done = photoguard("decrypt", public, "--key", ana, "--private", tmp_path / "for-ana.priv", "--json")
    report = json.loads(done.stdout)
    assert report["opened"] == [2] and report["closed"] == [1]
    assert report["name"] is None, "metadata stays closed when only some faces are granted"
    restored = pixels(photo.with_name("small.restored.png"))
    assert np.array_equal(restored[30:50, 50:70], pixels(photo)[30:50, 50:70])
    assert np.array_equal(restored[5:25, 5:25], pixels(public)[5:25, 5:25])
    photoguard("grant", tmp_path / "for-ana.priv", "--key", ana, "--faces", "1", "--to", recipient, code=2)

    photoguard("grant", private, "--to", recipient, "--faces", "1", "-o", tmp_path / "more.priv")
    both = ("--private", tmp_path / "for-ana.priv", "--private", tmp_path / "more.priv")
    done = photoguard("decrypt", public, "--key", ana, *both, "--json", "--force")
    assert json.loads(done.stdout)["opened"] == [1, 2]


def test_a_platform_that_strips_chunks_keeps_the_picture_private(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "posted")
    photoguard("encrypt", photo, "--method", "solid", "--faces", "none", "--region", "10,10,30,30")
    public = photo.with_name("small.pub.png")
    Image.open(public).save(public)  # drops what it does not know
    assert png.public_chunk(public.read_bytes()) is None
    done = photoguard("decrypt", public, code=6)
    assert "--portable" in done.stderr
    photoguard("inspect", public, code=3)


def test_portable_files_survive_a_platform(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "posted")
    photoguard(
        "encrypt",
        photo,
        "--method",
        "solid",
        "--faces",
        "none",
        "--region",
        "10,10,30,30",
        "--portable",
        "--exact",
    )
    public = photo.with_name("small.pub.png")
    assert png.public_chunk(public.read_bytes()) is None
    photoguard("decrypt", public)
    assert np.array_equal(pixels(photo.with_name("small.restored.png")), pixels(photo))
    copy = public.with_name("downloaded.jpg")
    Image.open(public).save(copy, quality=60)
    private = ("--private", photo.with_name("small.priv"))
    assert "--changed" in photoguard("decrypt", copy, *private, code=6).stderr
    photoguard("decrypt", copy, *private, "--changed", "-o", tmp_path / "back.png")
    assert np.array_equal(pixels(tmp_path / "back.png")[10:40, 10:40], pixels(photo)[10:40, 10:40])


def test_an_edited_picture_is_noticed(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "edited")
    photoguard("encrypt", photo, "--method", "solid", "--faces", "none", "--region", "10,10,30,30")
    public = photo.with_name("small.pub.png")
    chunk = png.public_chunk(public.read_bytes())
    changed = pixels(public).copy()
    changed[0, 0] ^= 1
    public.write_bytes(images.encode_public(images.Photo(changed), chunk))
    assert "changed after it was protected" in photoguard("verify", public, code=6).stderr
    photoguard("decrypt", public, "--changed")


def test_a_private_file_of_another_photo_is_refused(photoguard: Shell, tmp_path: Path) -> None:
    one, other = small(tmp_path / "a", "one.png"), small(tmp_path / "a", "other.png")
    for photo in (one, other):
        photoguard("encrypt", photo, "--method", "solid", "--faces", "none", "--region", "10,10,30,30")
    done = photoguard(
        "decrypt", one.with_name("one.pub.png"), "--private", other.with_name("other.priv"), code=6
    )
    assert "another photo" in done.stderr


def test_a_folder_is_worked_through_to_its_end(photoguard: Shell, tmp_path: Path) -> None:
    album = tmp_path / "album"
    small(album, "one.png", 1)
    small(album, "one.bmp", 2)
    small(album, "deep/two.png", 3)
    small(album, ".hidden.png", 4)
    (album / "broken.jpg").write_bytes(b"no photo at all")
    (album / "notes.txt").write_text("no photo either")
    region = ("--method", "solid", "--faces", "none", "--region", "5,5,20,20")
    done = photoguard("encrypt", album, "-o", tmp_path / "shared", "-r", *region, "--json", code=10)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted("error" in line for line in lines) == [False, False, False, True]
    assert "3 of 4 photos protected, 1 failed" in done.stderr
    stems = ("deep/two", "one.bmp", "one.png")
    journals = [".photoguard-journal", "deep/.photoguard-journal"]
    assert names(tmp_path / "shared") == [stem + ".pub.png" for stem in stems], "nothing else is shared"
    assert names(tmp_path / "shared.private") == sorted(journals + [stem + ".priv" for stem in stems])
    (album / "broken.jpg").unlink()
    photoguard("encrypt", album, *region)
    done = photoguard("encrypt", album, *region)
    assert "0 of 2 photos protected, 2 finished" in done.stderr, "own outputs are no photos"
    (album / ".photoguard-journal").unlink()
    done = photoguard("encrypt", album, *region, code=10)
    assert "0 of 2 photos protected, 2 failed" in done.stderr, "what is not known is not overwritten"
    done = photoguard("decrypt", tmp_path / "shared", "-r", "-o", tmp_path / "back")
    assert len(list((tmp_path / "back").rglob("*.restored.png"))) == 3
    assert "3 of 3 photos restored" in done.stderr


def test_originals_are_never_touched(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "kept", "photo.png")
    before = photo.read_bytes()
    photoguard(
        "encrypt",
        photo,
        "--method",
        "solid",
        "--faces",
        "none",
        "--region",
        "1,1,9,9",
        "-o",
        photo,
        "--force",
        code=2,
    )
    photoguard("encrypt", photo, "--method", "solid", "--faces", "none", "--region", "1,1,9,9")
    photoguard("decrypt", photo.with_name("photo.pub.png"), "-o", photo, code=8)
    public = photo.with_name("photo.pub.png")
    photoguard("decrypt", public, "-o", public, "--force", code=2)
    assert photo.read_bytes() == before


def test_sealing_to_others_and_to_a_passphrase(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "sealed")
    key = tmp_path / "friend.key"
    recipient = json.loads(photoguard("keygen", "-o", key, "--json").stdout)["recipient"]
    region = ("--method", "solid", "--faces", "none", "--region", "1,1,30,30")
    done = photoguard("encrypt", photo, *region, "--to", recipient)
    assert "--to self" in done.stderr
    public = photo.with_name("small.pub.png")
    photoguard("verify", public, code=5)
    photoguard("verify", public, "--key", key)
    photoguard("encrypt", photo, *region, "--to", recipient, "--to", "self", "--force")
    photoguard("verify", public)
    photoguard("encrypt", photo, *region, "--passphrase", "--force", typed="four random words here\n")
    photoguard("verify", public, typed="wrong words\n", code=5)
    photoguard("verify", public, typed="four random words here\n")


def test_keygen_never_overwrites_and_guards_its_files(photoguard: Shell, tmp_path: Path) -> None:
    key, spare = tmp_path / "me.key", tmp_path / "spare" / "me.recovery"
    photoguard("keygen", "-o", key, "--recovery", spare)
    before = key.read_bytes()
    for path in (key, spare):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    photoguard("keygen", "-o", key, code=8)
    assert key.read_bytes() == before
    assert photoguard("recipients", key).stdout.count("recipient  age1") == 2


def test_what_is_sealed_to_me_opens_with_the_recovery_identity(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "safe")
    spare = tmp_path / "spare.key"
    photoguard("keygen", "--recovery", spare)
    photoguard("encrypt", photo, "--method", "solid", "--faces", "none", "--region", "1,1,30,30")
    photoguard("verify", photo.with_name("small.pub.png"), "--key", spare)


def test_a_locked_identity_asks_for_its_passphrase(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "locked")
    photoguard("keygen", "--passphrase", typed="correct horse\n")
    photoguard("encrypt", photo, "--method", "solid", "--faces", "none", "--region", "1,1,30,30")
    public = photo.with_name("small.pub.png")
    photoguard("decrypt", public, typed="battery staple\n", code=5)
    photoguard("decrypt", public, typed="correct horse\n")


def test_inspect_needs_no_key(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "open")
    photoguard(
        "encrypt", photo, "--method", "solid", "--faces", "none", "--region", "10,10,30,30", "-m", "blur"
    )
    record = json.loads(photoguard("inspect", photo.with_name("small.pub.png"), "--json").stdout)
    assert record["faces"][0]["box"] == [0, 0, 48, 48] and record["faces"][0]["method"] == "blur"
    record = json.loads(photoguard("inspect", photo.with_name("small.priv"), "--json").stdout)
    assert record["opens_with"] == ["X25519"]
    photoguard("inspect", photo, code=3)
    assert "--private" in photoguard("decrypt", photo.with_name("small.priv"), code=2).stderr


@pytest.mark.parametrize(
    "command", [("--help",), ("--version",), ("keygen", "-o", "key"), ("inspect", "x.priv")]
)
def test_quick_commands_load_no_heavy_library(
    photoguard: Shell, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "x.priv").write_bytes(b"age-encryption.org/v1\n-> X25519 abc\ndef\n--- mac\n")
    spy = (
        "import atexit, sys\n"
        "heavy = {'torch', 'torchvision', 'numpy', 'cv2', 'PIL', 'facenet_pytorch', 'tqdm'}\n"
        "atexit.register(lambda: print('LOADED', sorted(heavy & set(sys.modules)), file=sys.stderr))"
    )
    assert "LOADED []" in photoguard(*command, before=spy).stderr


def test_restoring_a_plain_cover_never_loads_torch(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "light")
    photoguard("encrypt", photo, "--method", "solid", "--faces", "none", "--region", "1,1,30,30")
    photoguard("decrypt", photo.with_name("small.pub.png"), before="import sys; sys.modules['torch'] = None")


def test_wrong_words_are_usage_errors(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "typed")
    for words in (
        ("--faces", "one"), ("--faces", "0"), ("--strength", "0.2"), ("--method", "magic"), ("--to", "bob"),
        ("--only-certain", "--fail-on-uncertain"), ("--to", "age1xyz"), ("-o", "out.jpg"),
        ("--strict-faces", "--fail-on-uncertain"), ("--no-face", "copy"),
    ):  # fmt: skip
        expected = 3 if words == ("--to", "bob") else 2
        photoguard("encrypt", photo, *words, code=expected)
    assert "out.jpg must end in .png" in photoguard("encrypt", photo, "-o", "out.jpg", code=2).stderr
    assert "error, skip, remember" in photoguard("encrypt", photo, "--no-face", "copy", code=2).stderr
    assert [p.name for p in photo.parent.iterdir()] == ["small.png"]
    shutil.rmtree(photo.parent)


def test_the_earlier_name_of_only_certain_works_and_is_not_shown(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "renamed")
    by_hand = ("--method", "solid", "--faces", "none", "--region", "1,1,30,30")
    earlier = photoguard("encrypt", photo, *by_hand, "--strict-faces")
    assert "--strict-faces is now called --only-certain" in earlier.stderr
    assert "now called" not in photoguard("encrypt", photo, *by_hand, "--only-certain", "--force").stderr
    for command in ("encrypt", "detect"):
        shown = photoguard(command, "--help").stdout
        assert "--only-certain" in shown and "--strict-faces" not in shown


def test_both_names_of_only_certain_drop_uncertain_faces(photoguard: Shell, portrait: Path) -> None:
    certain = ("--threshold", "1.0")  # no face is certain then
    assert "no face" in photoguard("detect", portrait, *certain, "--only-certain", code=4).stderr
    assert "no face" in photoguard("detect", portrait, *certain, "--strict-faces", code=4).stderr
    assert "uncertain" in photoguard("detect", portrait, *certain).stdout


def test_the_pixel_cap_is_an_option(photoguard: Shell, tmp_path: Path) -> None:
    photo = small(tmp_path / "large")
    region = ("--method", "solid", "--faces", "none", "--region", "1,1,30,30")
    assert "--max-pixels" in photoguard("encrypt", photo, *region, "--max-pixels", "4000", code=3).stderr
    photoguard("encrypt", photo, *region, "--max-pixels", "5000")


def test_ctrl_c_ends_a_folder_run_cleanly(photoguard: Shell, tmp_path: Path) -> None:
    album = tmp_path / "album"
    for number in range(30):
        small(album, f"{number:02}.png", number)
    interrupt = (
        "import os, signal\n"
        "from photoguard import batch, files\n"
        "whole = files.Stage.publish\n"
        "def publish(stage):\n"
        "    whole(stage)\n"
        "    if stage.folder.name == 'album':\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "files.Stage.publish = publish"
    )
    photoguard("keygen")
    region = ("--method", "solid", "--faces", "none", "--region", "1,1,30,30")
    done = photoguard("encrypt", album, "-j", 1, *region, code=130, before=interrupt)
    assert "interrupted" in done.stderr and "1 of 30 photos protected, 29 not begun" in done.stderr
    left = sorted(p.name for p in album.iterdir() if p.suffix == ".priv" or p.name.endswith(".pub.png"))
    assert left == ["00.priv", "00.pub.png"]
    assert [p.name for p in album.iterdir() if p.name.startswith(".")] == [".photoguard-journal"]


def test_a_portable_picture_comes_back_from_a_messenger(photoguard: Shell, portrait: Path) -> None:
    """As docs/guide/walk.md says: re-encoded it comes back, scaled it is refused."""
    photoguard("encrypt", portrait, "--portable", *BY_HAND)
    folder, private = portrait.parent, portrait.with_suffix(".priv")
    with Image.open(portrait.with_suffix(".pub.png")) as picture:
        picture.convert("RGB").save(folder / "received.jpg", quality=80)
        picture.convert("RGB").resize((picture.width // 2, picture.height // 2)).save(folder / "half.jpg")
    photoguard("decrypt", folder / "received.jpg", "--private", private, "-o", folder / "x.png", code=6)
    photoguard("decrypt", folder / "received.jpg", "--private", private, "--changed", "-o", folder / "x.png")
    box = (slice(40, 170), slice(160, 260))
    off = pixels(folder / "x.png")[box].astype(float) - pixels(portrait)[box]
    assert np.abs(off).mean() < 4, "the face is the original's"
    photoguard(
        "decrypt", folder / "half.jpg", "--private", private, "--changed", "-o", folder / "y.png", code=6
    )

"""Small things of everyday use, each as somebody meets it.

Covers: cli.inspect, cli.grant, cli.keygen, cli.shared.streams.
"""

from __future__ import annotations

import json
import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from support.nursery import Nursery
from support.shell import Shell
from support.small_photos import REGION, names, picture, pixels

from photoguard.photos import images


@pytest.fixture
def me(newcomer: Nursery) -> Nursery:
    newcomer.run("keygen")
    return newcomer


def test_each_way_of_covering_nothing_has_its_own_message(me: Nursery, portrait: Path) -> None:
    photo = picture(portrait.with_name("photo.png"))
    assert "--faces none, and no --region" in me.run("encrypt", photo, "--faces", "none", code=4).stderr
    assert "--keep leaves every face" in me.run("encrypt", portrait, "--keep", "1", code=4).stderr
    assert "no face was found" in me.run("encrypt", photo, code=4).stderr
    me.run("encrypt", photo, *REGION)
    again = me.run("encrypt", photo.with_suffix(".pub.png"), code=4).stderr
    assert "is protected already" in again and "no face was found" not in again


def test_quiet_is_a_line_a_photo_and_verbose_says_more(me: Nursery, photo: Path) -> None:
    quiet = me.run("encrypt", photo, *REGION, "-q", "--force")
    assert quiet.stdout.splitlines() == [f"{photo}: 1 cover"] and quiet.stderr == ""
    plain = me.run("encrypt", photo, *REGION, "--force")
    more = me.run("encrypt", photo, *REGION, "--force", "-v")
    assert more.stdout == plain.stdout and "cover 1: 48 x 48 at 0,0, solid" in more.stderr
    told = me.run("decrypt", photo.with_suffix(".pub.png"), "-v").stderr
    assert f"the original was called {photo.name}" in told


def test_strength_belongs_to_blur_and_pixelate(me: Nursery, photo: Path) -> None:
    for method in ("ddm", "solid"):
        command = ("encrypt", photo, *REGION, "--method", method, "--strength", "2")
        assert "--strength belongs to" in me.run(*command, code=2).stderr
    me.run("encrypt", photo, *REGION, "--method", "blur", "--strength", "2")


def test_in_a_batch_each_hint_stands_with_its_error(me: Nursery, photo: Path) -> None:
    (photo.parent / "cut.png").write_bytes(photo.read_bytes()[:200])
    picture(photo.parent / "there.png")
    (photo.parent / "there.pub.png").write_bytes(b"x")
    lines = me.run("encrypt", photo.parent, *REGION, code=10).stderr.splitlines()
    for what, hint in (("is damaged", "unfinished copy"), ("already exists", "--force")):
        (at,) = [number for number, line in enumerate(lines) if what in line]
        assert lines[at + 1].startswith("hint: ") and hint in lines[at + 1]
    assert sum("unfinished copy" in line for line in lines) == 1


def test_a_single_photo_that_fails_is_told_as_json(me: Nursery, photo: Path) -> None:
    photo.write_bytes(b"no photo at all")
    done = me.run("encrypt", photo, *REGION, "--json", code=3)
    told = json.loads(done.stdout)
    assert told["source"] == str(photo) and told["exit"] == 3 and "not a photo" in told["error"]
    missing = me.run("inspect", photo.parent / "missing", "--json", code=3)
    assert json.loads(missing.stdout)["file"] == str(photo.parent / "missing")
    assert json.loads(me.run("grant", photo, "--json", code=2).stdout)["exit"] == 2


def test_a_preview_in_the_way_names_the_option_that_detect_has(me: Nursery, photo: Path) -> None:
    look = photo.with_name("look.png")
    look.write_bytes(b"mine")
    said = me.run("detect", photo, "--preview", look, code=8).stderr
    assert "another name with --preview" in said and "with -o" not in said
    assert look.read_bytes() == b"mine"


def test_inspect_takes_several_and_tells_of_all(me: Nursery, photo: Path) -> None:
    me.run("encrypt", photo, *REGION)
    public, private = photo.with_suffix(".pub.png"), photo.with_suffix(".priv")
    done = me.run("inspect", public, photo, private, "--json", code=10)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one.get("kind") for one in told] == ["public", None, "private"]
    assert told[1]["exit"] == 3 and told[1]["file"] == str(photo)


def test_the_bar_is_silent_on_a_pipe_and_shows_no_empty_rate(
    me: Nursery, photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture(photo.parent / "b.png")
    assert "photo/s" not in me.run("encrypt", photo.parent, *REGION).stderr
    import sys

    from photoguard.cli.shared.voice import Voice

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    for size, shown in ((0, False), (1 << 40, True)):
        with Voice().bar(2, "photo") as bar:
            bar(2, {"bytes": size, "faces": 1})
        said = capsys.readouterr().err
        assert "faces=1" in said and ("MB/s=" in said) is shown, said


@pytest.mark.parametrize("coding", ["raw", "tiff_lzw", "jpeg"])
def test_a_restored_tiff_says_nothing_of_the_tiffs_layout(coding: str) -> None:
    out, icc = BytesIO(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise = np.random.default_rng(1).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(out, "TIFF", compression=coding, icc_profile=icc, description="a day")
    restored = images.encode_restored(images.decode(out.getvalue(), "photo.tif"))
    with Image.open(BytesIO(restored)) as image:
        assert dict(image.getexif()) == {270: "a day"} and image.info["icc_profile"] == icc
    assert struct.pack("<H", 34675) not in images.decode(out.getvalue(), "photo.tif").metadata.exif


@pytest.mark.parametrize("name", ["photo.png", "elsewhere.png"])
def test_the_original_is_never_replaced_by_its_restored_copy(me: Nursery, photo: Path, name: str) -> None:
    me.run("encrypt", photo, *REGION)
    public = photo.with_suffix(".pub.png")
    moved = public.rename(public.with_name("sent.pub.png")) if name == "elsewhere.png" else public
    photo.with_suffix(".priv").rename(moved.with_name("kept.priv"))
    before = photo.read_bytes()
    command = ("decrypt", moved, "--private", moved.with_name("kept.priv"), "-o", photo, "--force")
    assert "has the original's name" in me.run(*command, code=2).stderr
    assert photo.read_bytes() == before
    photo.rename(photo.with_name("away.png"))
    me.run(*command)
    assert np.array_equal(pixels(photo), pixels(photo.with_name("away.png")))


def test_files_of_a_folder_that_are_no_photos_are_counted(me: Nursery, photo: Path) -> None:
    for name in ("a.jp2", "b.JP2", "c.cr2", "skipped.txt", ".hidden"):
        (photo.parent / name).write_bytes(b"x")
    done = me.run("encrypt", photo.parent, *REGION, "--exclude", "*.txt")
    assert "left alone: 2 .jp2, 1 .cr2\n" in done.stderr
    assert "left alone" not in me.run("encrypt", photo, *REGION, "--force").stderr


@pytest.mark.parametrize("kind", ["gif", "tif", "webp", "png"])
def test_the_first_frame_alone_is_taken_when_asked_for(me: Nursery, tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (80, 60), color) for color in ("white", "black")]
    moving = tmp_path / f"moving.{kind}"
    frames[0].save(
        moving, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "webp" else {})
    )
    assert "--first-frame" in me.run("encrypt", moving, *REGION, code=3).stderr
    assert "only the first" in me.run("encrypt", moving, *REGION, "--first-frame").stderr
    me.run("decrypt", tmp_path / "moving.pub.png")
    assert (pixels(tmp_path / "moving.restored.png") == 255).all()


def test_several_photos_have_no_room_in_one_file(me: Nursery, photo: Path) -> None:
    other = picture(photo.parent / "b.png")
    for inputs in ((photo, other), (photo.parent,)):
        command = ("encrypt", *inputs, *REGION, "-o", photo.parent / "one.pub.png")
        assert "names one file" in me.run(*command, code=2).stderr
    me.run("encrypt", photo, other, *REGION)
    publics = [path.with_suffix(".pub.png") for path in (photo, other)]
    assert "names one file" in me.run("decrypt", *publics, "-o", photo.parent / "one.png", code=2).stderr
    assert not any(name.startswith("one") for name in names(photo.parent))


def test_grant_says_whom_it_needs(me: Nursery, photo: Path, photoguard: Shell) -> None:
    said = " ".join(me.run("grant", "--help").stdout.split())
    assert "Whom to grant to" in said and "With --reseal, default: yourself" in said
    me.run("encrypt", photo, *REGION)
    assert "nobody to grant to" in me.run("grant", photo.with_suffix(".priv"), code=2).stderr


def test_the_first_run_names_the_command_that_makes_a_spare_key(newcomer: Nursery, photo: Path) -> None:
    assert "`photoguard keygen --recovery FILE`" in newcomer.run("encrypt", photo, *REGION).stderr
    newcomer.run("keygen", "--recovery", "usb/me.recovery", cwd=newcomer.home)
    newcomer.run("encrypt", photo, *REGION, "--force")
    newcomer.run("verify", photo.with_suffix(".pub.png"), "--key", newcomer.home / "usb" / "me.recovery")


# Streams


def piped(me: Nursery, command: str, cwd: Path, code: int = 0) -> str:
    """A shell's pipes and redirections, which carry bytes and not text; what came on standard error."""
    import os
    import subprocess
    import sys

    from support.places import ROOT

    program = f'"{sys.executable}" -m photoguard'
    env = {**os.environ, "HOME": str(me.home), "XDG_CONFIG_HOME": str(me.home / ".config")}
    done = subprocess.run(
        ["bash", "-c", "set -o pipefail; " + command.replace("photoguard", program)], cwd=cwd, check=False,
        env={**env, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == code and done.stdout == "", f"{done.returncode} {done.stdout}\n{done.stderr}"
    return done.stderr


def test_a_photo_goes_through_pipes_both_ways(me: Nursery, photo: Path) -> None:
    options = " ".join(REGION)
    said = piped(
        me,
        f"cat photo.png | photoguard encrypt - -o - --private p.priv {options} "
        "| tee seen.png | photoguard decrypt - --private p.priv -o - > back.png",
        photo.parent,
    )
    assert "stdin: 1 cover" in said and "made by you" in said
    assert np.array_equal(pixels(photo.with_name("back.png")), pixels(photo))
    assert (pixels(photo.with_name("seen.png"))[:48, :48] == pixels(photo.with_name("seen.png"))[0, 0]).all()
    assert names(photo.parent) == ["back.png", "p.priv", "photo.png", "seen.png"]
    piped(me, f"photoguard encrypt /dev/stdin -o b.pub.png {options} < photo.png >&2", photo.parent)
    piped(me, "photoguard decrypt b.pub.png -o - > b.png", photo.parent)
    assert np.array_equal(pixels(photo.with_name("b.png")), pixels(photo))
    failed = piped(me, f"photoguard encrypt - -o - -p p.priv --json {options} < photo.png", photo.parent, 8)
    assert json.loads(failed.splitlines()[0])["exit"] == 8


def test_a_dash_is_never_a_folder_and_a_picture_never_fills_a_terminal(me: Nursery, photo: Path) -> None:
    wrong = {
        ("encrypt", photo, "-o", "-"): "--private FILE",
        ("encrypt", "-", "-p", "x.priv"): "name a file with -o",
        ("encrypt", "-", photo, "-o", "-", "-p", "x.priv"): "one photo",
        ("encrypt", photo.parent, "-o", "-", "-p", "x.priv"): "one photo",
        ("encrypt", photo, "-p", "x.priv"): "belongs to `-`",
        ("decrypt", "-", "-p", "x.priv"): "name a file with -o",
    }
    for command, hint in wrong.items():
        assert hint in me.run(*command, cwd=photo.parent, code=2, typed="x").stderr
    terminal = "import sys\nfrom unittest import mock\nsys.stdout = mock.Mock(wraps=sys.stdout)\n"
    terminal += "sys.stdout.isatty = lambda: True"
    for command in (("encrypt", photo, *REGION, "-p", "x.priv"), ("decrypt", photo)):
        done = me.run(*command, "-o", "-", cwd=photo.parent, code=2, before=terminal)
        assert "not printed to a terminal" in done.stderr and done.stdout == ""
    assert names(photo.parent) == ["photo.png"]

"""Odd names, inputs that are no photos, outputs that exist, keys in wrong places: clear errors, no harm."""

from __future__ import annotations

import json
import os
import socket
import stat
from base64 import b64decode, b64encode
from pathlib import Path

import numpy as np
import pytest
from support.nursery import Nursery
from support.small_photos import NO_RIGHTS, REGION, names, pair, picture, pixels
from support.vectors import FOLDER, read

from photoguard.formats import identities
from photoguard.formats.identities import Recipients

PASSPHRASE = "open-sesame-and-a-half"


def identity(nursery: Nursery) -> Path:
    return nursery.home / ".config" / "photoguard" / "identity"


# Names


@pytest.mark.parametrize(
    "name",
    ["two words.png", "new\nline.png", b"caf\xe9.png", "-x.png", "--force.png", "a;b$(c)&'\".png",
     "100%{0}.png", "\U0001f388 \u202eparty.png", "dots..in.it.png", " .png", "UPPER.PNG"],
    ids=repr,
)  # fmt: skip
def test_a_name_of_any_kind(nursery: Nursery, tmp_path: Path, name: str | bytes) -> None:
    folder = tmp_path / "odd folder\n"
    folder.mkdir()
    name = os.fsdecode(name)
    try:
        photo = picture(folder / name)
    except OSError:
        pytest.skip("this file system has no such names")
    done = nursery.run("encrypt", *REGION, "--", name, cwd=folder)
    assert len(done.stdout.splitlines()) == 3, "one line for the photo, one for each output"
    public, private = pair(photo)
    assert sorted(names(folder)) == sorted([name, public.name, private.name])
    done = nursery.run("decrypt", "--json", "--", public.name, cwd=folder)
    assert json.loads(done.stdout)["name"] == name
    restored = folder / json.loads(done.stdout)["restored"]
    assert np.array_equal(pixels(restored), pixels(photo))
    nursery.run("verify", f"./{public.name}", cwd=folder)
    nursery.run("inspect", f"./{private.name}", cwd=folder)


def test_a_dash_in_front_needs_two_dashes_or_a_folder(nursery: Nursery, tmp_path: Path) -> None:
    picture(tmp_path / "-x.png")
    nursery.run("encrypt", *REGION, "-x.png", cwd=tmp_path, code=2)
    nursery.run("encrypt", *REGION, "./-x.png", cwd=tmp_path)
    nursery.run("encrypt", *REGION, "--force", "--", "-x.png", cwd=tmp_path)
    assert names(tmp_path) == ["-x.png", "-x.priv", "-x.pub.png"]


# Inputs


def bad_input(kind: str, path: Path) -> None:
    if kind == "a folder":
        path.mkdir()
        (path / "notes.txt").write_text("nothing to see")
    elif kind == "not a regular file":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as one:
            here = Path.cwd()
            os.chdir(path.parent)  # a socket's whole path may have 107 bytes
            try:
                one.bind(path.name)
            finally:
                os.chdir(here)
    elif kind == "is empty":
        path.touch()
    elif kind == "form a loop":
        path.symlink_to(path.name)
    elif kind == "no permission to read":
        path.write_bytes(b"something")
        path.chmod(0)
    elif kind == "a link to nothing":
        path.symlink_to("nowhere")


COMMANDS = {
    "encrypt": ("encrypt", "BAD", *REGION),
    "detect": ("detect", "BAD"),
    "decrypt": ("decrypt", "BAD"),
    "verify": ("verify", "BAD"),
    "inspect": ("inspect", "BAD"),
    "grant": ("grant", "BAD", "--to", "self"),
    "recipients": ("recipients", "BAD"),
    "--to": ("encrypt", "PHOTO", *REGION, "--force", "--to", "BAD"),
    "--key": ("decrypt", "PUBLIC", "--key", "BAD"),
    "--private": ("decrypt", "PUBLIC", "--private", "BAD"),
}
SAYS = {
    "a folder": "is a folder", "not a regular file": "is not a regular file",
    "a socket": "is not a regular file", "is empty": "is empty", "form a loop": "links form a loop",
    "no permission to read": "no permission to read",
    "a link to nothing": "does not exist", "missing": "does not exist", "long": "name is too long",
}  # fmt: skip


def state(folder: Path) -> list[tuple[str, int, int, int]]:
    found = [(path.name, path.lstat()) for path in folder.iterdir()]
    return sorted((name, file.st_mode, file.st_size, file.st_mtime_ns) for name, file in found)


@pytest.mark.parametrize("kind", SAYS)
def test_an_input_that_cannot_be_read(nursery: Nursery, photo: Path, kind: str) -> None:
    nursery.run("encrypt", photo, *REGION)
    bad = photo.with_name("x" * 300 if kind == "long" else "bad")
    bad_input(kind, bad)
    before = state(photo.parent)
    there_is_another = ("--private",)  # a folder is looked into; the private file beside the picture opens it
    places = {"BAD": bad, "PHOTO": photo, "PUBLIC": pair(photo)[0]}
    for what, command in COMMANDS.items():
        done = nursery.run(*(places.get(str(word), word) for word in command), code=None, before=NO_RIGHTS)
        if kind == "a folder" and what in ("encrypt", "decrypt", "verify", "detect"):
            assert done.code == 2 and "here" in done.stderr, what  # an empty album is no unreadable file
        elif kind == "a folder" and what in there_is_another:
            assert done.code == 0, what
            photo.with_name("photo.restored.png").unlink()
        else:
            assert done.code == 3 and SAYS[kind] in done.stderr.replace("File name too", "the name is too"), (
                f"{what}: {done.code} {done.stderr}"
            )
        assert state(photo.parent) == before, what


@pytest.mark.parametrize(
    "content", [b"\0" * 100, b"GIF89a", b"%PDF-1.7\n", b"\xff\xd8\xff\xe0", b"P6 9 9 255 "]
)
def test_an_input_that_is_no_photo(nursery: Nursery, tmp_path: Path, content: bytes) -> None:
    fake = tmp_path / "fake.png"
    fake.write_bytes(content)
    for command in ("encrypt", "detect", "inspect", "decrypt"):
        options = REGION if command == "encrypt" else ()
        extra = ("--private", fake) if command == "decrypt" else ()
        nursery.run(command, fake, *options, *extra, code=3)
    assert names(tmp_path) == ["fake.png"]


DAMAGED_PICTURES = [
    path
    for path in FOLDER.glob("picture-*.txt")
    if read(path)["expect"] != "ok" and len(read(path).fields["private"]) == 1
]


def test_no_damaged_picture_leaves_an_output(nursery: Nursery, tmp_path: Path) -> None:
    recipient = nursery.run("recipients").stdout.split()[1]
    to_me = Recipients((identities.parse_recipient(recipient),))
    public, private = tmp_path / "photo.pub.png", tmp_path / "photo.priv"
    assert len(DAMAGED_PICTURES) > 20
    for path in DAMAGED_PICTURES:
        vector = read(path)
        public.write_bytes(vector.body)
        private.write_bytes(identities.seal(b64decode(vector["private"]), to_me))
        done = nursery.run("decrypt", public, code=6)
        assert vector["says"] in done.stderr
        nursery.run("verify", public, code=6)
        assert names(tmp_path) == ["photo.priv", "photo.pub.png"], path.name


def test_a_damaged_private_file_and_a_wrong_one(nursery: Nursery, photo: Path, tmp_path: Path) -> None:
    nursery.run("encrypt", photo, *REGION)
    public, private = pair(photo)
    whole = private.read_bytes()
    for at in (10, 60, len(whole) // 2, len(whole) - 1):
        private.write_bytes(whole[:at])
        nursery.run("decrypt", public, code=6)
    private.write_bytes(whole)
    nursery.run("keygen", "-o", tmp_path / "other.key")
    nursery.run("decrypt", public, "--key", tmp_path / "other.key", code=5)
    assert names(photo.parent) == ["photo.png", "photo.priv", "photo.pub.png"]


# Outputs


@pytest.mark.parametrize("there", ["photo.pub.png", "photo.priv"])
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_an_output_that_exists_is_kept(nursery: Nursery, photo: Path, there: str, kind: str) -> None:
    target = photo.with_name(there)
    if kind == "file":
        target.write_text("mine")
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to("nowhere")
    done = nursery.run("encrypt", photo, *REGION, code=8)
    assert f"{there} already exists" in done.stderr and "--force" in done.stderr
    assert names(photo.parent) == sorted(["photo.png", there])
    if kind == "folder":
        nursery.run("encrypt", photo, *REGION, "--force", code=8)
        assert names(photo.parent) == sorted(["photo.png", there])
        return
    assert not target.exists() or target.read_text() == "mine"
    nursery.run("encrypt", photo, *REGION, "--force")
    nursery.run("verify", pair(photo)[0])
    assert not target.is_symlink()


def test_a_restored_photo_that_exists_is_kept(nursery: Nursery, photo: Path) -> None:
    nursery.run("encrypt", photo, *REGION)
    restored = photo.with_name("photo.restored.png")
    restored.write_text("mine")
    nursery.run("decrypt", pair(photo)[0], code=8)
    assert restored.read_text() == "mine"
    nursery.run("decrypt", pair(photo)[0], "--force")
    assert np.array_equal(pixels(restored), pixels(photo))


@pytest.mark.parametrize("link", ["hard", "symbolic", "none"])
def test_an_output_that_is_the_input_is_refused(nursery: Nursery, photo: Path, link: str) -> None:
    target = photo.with_name("shared.png")
    if link == "hard":
        os.link(photo, target)
    elif link == "symbolic":
        target.symlink_to(photo)
    else:
        target = photo
    before = photo.read_bytes()
    done = nursery.run("encrypt", photo, *REGION, "--force", "-o", target, code=2)
    assert "is the photo itself" in done.stderr
    nursery.run("encrypt", photo, *REGION)
    public, private = pair(photo)
    nursery.run("decrypt", public, "-o", public, "--force", code=2)
    nursery.run("grant", private, "--to", "self", "-o", private, "--force", code=2)
    assert photo.read_bytes() == before
    nursery.run("verify", public)


def test_overwriting_what_belongs_to_a_photo_that_is_gone(nursery: Nursery, photo: Path) -> None:
    nursery.run("encrypt", photo, *REGION)
    photo.unlink()
    assert "does not exist" in nursery.run("encrypt", photo, *REGION, "--force", code=3).stderr
    nursery.run("verify", pair(photo)[0])


# Keys


def test_a_key_that_others_can_read_is_warned_about(nursery: Nursery, photo: Path) -> None:
    nursery.run("encrypt", photo, *REGION)
    key = photo.with_name("my key")
    key.write_bytes(identity(nursery).read_bytes())
    for mode, warned in ((0o600, False), (0o400, False), (0o640, True), (0o644, True), (0o602, True)):
        key.chmod(mode)
        done = nursery.run("verify", pair(photo)[0], "--key", key, "--quiet")
        assert ("others can read" in done.stderr) is warned, oct(mode)
        assert ("chmod 600" in done.stderr) is warned
    assert stat.S_IMODE(identity(nursery).stat().st_mode) == 0o600


BUGS = {
    "in a parser": "import photoguard.formats.private as e\ne.PrivateFile.from_bytes = lambda data: {}[data]",
    "in the seal": "import photoguard.formats.identities as i\n"
    "def unseal(*secrets): raise ValueError(secrets)\n"
    "i.unseal = unseal",
    "with its secrets as text": "import photoguard.formats.identities as i\n"
    "def parse(data, ask):\n    raise RuntimeError(data.decode('latin-1'))\n"
    "i.parse_identities = parse",
    "chained": "import photoguard.formats.identities as i\n"
    "def unseal(data, keys, ask=None):\n"
    "    try:\n        raise ValueError([str(k.secret) for k in keys])\n"
    "    except ValueError as error:\n        raise RuntimeError(str(error)) from error\n"
    "i.unseal = unseal",
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_shows_no_secret(nursery: Nursery, photo: Path, bug: str) -> None:
    nursery.run("encrypt", photo, *REGION)
    for options in ((), ("--debug",), ("--debug", "--verbose"), ("--json", "--debug")):
        done = nursery.run("decrypt", pair(photo)[0], *options, code=70, before=BUGS[bug])
        assert "a bug in photoguard" in done.stderr
        assert ("File " in done.stderr) is ("--debug" in options), "the trace itself is there when asked for"
        hold_no_secret(nursery, photo, done.stdout + done.stderr)


def test_failing_runs_show_no_secret(nursery: Nursery, photo: Path, tmp_path: Path) -> None:
    nursery.run("encrypt", photo, *REGION)
    public, private = pair(photo)
    secret = identity(nursery).read_text().splitlines()[-1]
    locked = photo.with_name("locked.png")
    locked.write_bytes(photo.read_bytes())
    nursery.run("encrypt", locked, *REGION, "--passphrase", typed=PASSPHRASE + "\n")
    nursery.run("keygen", "-o", tmp_path / "locked.key", "--passphrase", typed=PASSPHRASE + "\n")
    broken = tmp_path / "broken.key"
    broken.write_text(secret[:-1] + "\n")
    commands = [
        ("decrypt", public, "--key", broken),
        ("decrypt", public, "--key", secret),
        ("encrypt", photo, *REGION, "--force", "--to", secret),
        ("encrypt", photo, *REGION, "--force", "--to", secret.lower()),
        ("encrypt", secret, *REGION),
        ("encrypt", photo, *REGION, "--force", "--to", broken),
        ("recipients", broken),
        ("inspect", identity(nursery)),
        ("grant", identity(nursery), "--to", "self"),
        ("decrypt", pair(locked)[0], "--private", pair(locked)[1], "--key", private),
        ("decrypt", public, "--private", identity(nursery)),
        ("decrypt", public, "--private", private, "--key", tmp_path / "locked.key"),
    ]
    for command in commands:
        done = nursery.run(*command, "--debug", "--verbose", typed=PASSPHRASE + "?\n", code=None)
        assert done.code not in (0, 70), command
        hold_no_secret(nursery, photo, done.stdout + done.stderr)


def test_successful_runs_show_no_secret(nursery: Nursery, photo: Path, tmp_path: Path) -> None:
    public, private = pair(photo)
    said = ""
    for command in (
        ("keygen", "-o", tmp_path / "new.key", "--passphrase"), ("encrypt", photo, *REGION),
        ("verify", public), ("inspect", public), ("inspect", private),
        ("recipients",), ("grant", private, "--to", "self"), ("decrypt", public),
    ):  # fmt: skip
        done = nursery.run(*command, "--debug", "--verbose", typed=PASSPHRASE + "\n")
        said += done.stdout + done.stderr
    hold_no_secret(nursery, photo, said)


def hold_no_secret(nursery: Nursery, photo: Path, said: str) -> None:
    """Neither the identity, nor the passphrase, nor a key out of the private file, in any usual spelling."""
    text = identity(nursery).read_text()
    secret = text.splitlines()[-1].removeprefix("AGE-SECRET-KEY-1")
    assert secret.lower() not in said.lower() and secret[:12].lower() not in said.lower()
    assert PASSPHRASE not in said
    keys = identities.parse_identities(text.encode(), str)
    plain = identities.unseal(pair(photo)[1].read_bytes(), keys)
    for part in (plain[-32:], plain[-96:-64]):
        for spelled in (part.hex(), b64encode(part).decode(), repr(part)[2:-1], str(list(part))):
            assert spelled not in said

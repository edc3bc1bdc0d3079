"""photoguard as a library: the same files as the command line's, in memory, and nothing else touched.

Covers: arguments, identity, chips, obfuscate.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.obfuscators import players
from support.places import PORTRAIT, ROOT
from support.shell import Shell

import photoguard as library
from photoguard import weights
from photoguard.errors import (
    DamagedError,
    NoFaceError,
    OutputExistsError,
    UnreadableError,
    UsageError,
    WrongKeyError,
)
from photoguard.photos import images

ME, ANA = library.Identity.generate(), library.Identity.generate()
DATA = PORTRAIT.read_bytes()
FAST = {"method": "solid", "faces": "none", "regions": [(180, 60, 90, 110), (300, 300, 60, 60)]}


def python(code: str, folder: Path, **settings: str) -> str:
    """What a program prints that runs in a folder, with a home of its own."""
    home = {"HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder / "config")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, **home, "PYTHONPATH": str(ROOT), **settings},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


# The door


def test_importing_photoguard_loads_nothing_and_takes_no_time(tmp_path: Path) -> None:
    code = "import sys, time; start = time.process_time(); import photoguard\n"
    code += "print(time.process_time() - start, *{'torch', 'numpy', 'cv2', 'PIL', 'typer'} & {*sys.modules})"
    said = python(code, tmp_path).split()
    assert float(said[0]) < 0.1 and said[1:] == []


def test_an_identity_loads_no_torch_and_no_numpy(tmp_path: Path) -> None:
    code = "import sys, photoguard; photoguard.Identity.generate().public\n"
    assert python(code + "print({'torch', 'numpy'} & {*sys.modules})", tmp_path) == "set()\n"


def test_every_public_name_is_there_and_says_what_it_is() -> None:
    assert set(library.__all__) <= set(dir(library))
    for name in library.__all__:
        assert inspect.getdoc(getattr(library, name)), name
    assert library.PhotoguardError is library.errors.PhotoguardError
    with pytest.raises(AttributeError, match="protect_foto"):
        library.protect_foto  # noqa: B018
    assert not hasattr(library, "limits"), "what the library uses is not public"


def test_options_are_given_by_name_alone() -> None:
    for name in ("find_faces", "protect_photo", "restore_photo", "grant", "make_features", "read_features"):
        parameters = inspect.signature(getattr(library, name)).parameters.values()
        free = [one.name for one in parameters if one.kind is not inspect.Parameter.KEYWORD_ONLY]
        assert free[1:] in ([], ["identity"]), name


def test_the_module_runs_as_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "photoguard", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"photoguard {library.__version__}\n"


def test_the_readme_s_python_runs_as_it_stands(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.S)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "portrait.jpg").write_bytes(DATA)
    library.Identity.generate().save(tmp_path / "config" / "photoguard" / "identity")
    assert "Box(" in python(block, tmp_path)
    names = {path.name for path in (tmp_path / "shared").iterdir()}
    assert names == {"portrait.pub.png", "portrait.priv", "portrait.restored.png"}


# Beside the command line


@pytest.fixture
def me(photoguard: Shell, tmp_path: Path) -> library.Identity:
    """The command line's own identity."""
    photoguard("keygen")
    return library.Identity.load(tmp_path / "home" / ".config" / "photoguard" / "identity")


@pytest.mark.parametrize("portable", [False, True])
def test_each_restores_what_the_other_protected(
    photoguard: Shell, me: library.Identity, portrait: Path, tmp_path: Path, portable: bool
) -> None:
    portrait.chmod(0o640)
    more = ["--portable"] if portable else []
    photoguard("encrypt", portrait, "--exact", "--region", "300,300,60,60", *more)
    theirs = portrait.with_name("portrait.pub.png")
    hidden = library.protect_photo(portrait, me, exact=True, regions=[(300, 300, 60, 60)], portable=portable)
    ours = hidden.save(tmp_path / "ours")
    pictures = [images.decode(path.read_bytes(), "picture").pixels for path in (theirs, ours)]
    assert np.array_equal(*pictures)

    seen = library.restore_photo(theirs, me)
    assert (seen.opened, seen.exact, seen.made_by, seen.name) == ((1, 2), True, "you", "portrait.jpg")
    said = json.loads(photoguard("decrypt", ours, "--json").stdout)
    assert (said["opened"], said["exact"], said["made_by"], said["name"]) == (
        [1, 2], True, "you", "portrait.jpg",
    )  # fmt: skip
    restored = ours.with_name("portrait.restored.png")
    seen.save(tmp_path / "seen.png")
    assert restored.read_bytes() == (tmp_path / "seen.png").read_bytes()
    assert {path.stat().st_mode & 0o777 for path in (restored, tmp_path / "seen.png")} == {0o640}
    with pytest.raises(OutputExistsError):
        hidden.save(tmp_path / "ours")
    hidden.save(tmp_path / "ours", force=True)


def test_faces_have_the_numbers_that_detect_prints(photoguard: Shell, portrait: Path) -> None:
    (said,) = map(json.loads, photoguard("detect", portrait, "--json").stdout.splitlines())
    (face,) = library.find_faces(str(portrait))
    assert said["box"] == [face.box.x, face.box.y, face.box.width, face.box.height]
    assert library.find_faces(images.encode_lossless(np.full((64, 64, 3), 128, np.uint8))) == []


# In memory


WATCHED = """
import os, sys, photoguard
sys.path.remove("")  # where imports look into this folder
data = open("portrait.jpg", "rb").read()
touched = []
def hook(event, args):
    if event == "open" and isinstance(args[0], (str, bytes)):
        path, writes = os.path.abspath(os.fsdecode(args[0])), args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes or path.startswith(os.getcwd()):
            touched.append(path)
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.listdir", "os.scandir"):
        if str(args[0]).startswith(os.getcwd()) and args[0] != os.getcwd():  # which imports look into
            touched.append(args[0])
sys.addaudithook(hook)
me = photoguard.Identity.generate()
hidden = photoguard.protect_photo(data, me)
given = photoguard.grant(hidden.private, me, to=me)
assert photoguard.restore_photo(hidden.public, me, private=given).opened == (1,)
print("before", [path for path in touched if not path.startswith("/dev/")])
photoguard.Identity.generate().save("identity")
print("after", len(touched) > 0)
"""


def test_a_call_with_bytes_touches_no_file_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "portrait.jpg").write_bytes(DATA)
    said = python(WATCHED, tmp_path, PYTHONDONTWRITEBYTECODE="1").splitlines()
    assert said == ["before []", "after True"]
    assert {path.name for path in tmp_path.iterdir()} == {"portrait.jpg", "identity", "identity.pub"}


def test_whoever_holds_the_key_and_nobody_else() -> None:
    hidden = library.protect_photo(DATA, ME, **FAST, exact=True, name="holiday.jpg")
    restored = library.restore_photo(hidden.public, ME, private=hidden.private)
    assert restored.exact and restored.name == "holiday.jpg" and restored.made_by == "you"
    assert np.array_equal(
        images.decode(restored.picture, "restored").pixels, images.decode(DATA, "portrait").pixels
    )
    with pytest.raises(WrongKeyError):
        library.restore_photo(hidden.public, ANA, private=hidden.private)
    with pytest.raises(UnreadableError, match="private file"):
        library.restore_photo(hidden.public, ME)
    changed = images.decode(hidden.public, "public").pixels ^ 1
    with pytest.raises(DamagedError):
        library.restore_photo(images.encode_lossless(changed), ME, private=hidden.private)


def test_recipients_are_those_named_and_whoever_signed_is_told() -> None:
    hidden = library.protect_photo(DATA, ME, to=[ANA.public, ANA.recipients[0]], **FAST)
    with pytest.raises(WrongKeyError):
        library.restore_photo(hidden.public, ME, private=hidden.private)
    seen = [
        library.restore_photo(hidden.public, ANA, private=hidden.private, known=known).made_by
        for known in ({}, {"me": ME}, {"me": ME.public})
    ]
    assert seen == [None, "me", "me"]
    nobody = library.protect_photo(DATA, to=ANA, **FAST)
    assert library.restore_photo(nobody.public, ANA, private=nobody.private).made_by is None
    locked = library.protect_photo(DATA, ME, passphrase="open sesame", **FAST)
    with pytest.raises(WrongKeyError):
        library.restore_photo(locked.public, ME, private=locked.private)
    again = library.restore_photo(locked.public, private=locked.private, passphrase="open sesame")
    assert again.opened == (1, 2)


def test_a_grant_opens_what_it_names() -> None:
    hidden = library.protect_photo(DATA, ME, **FAST)
    one = library.grant(hidden.private, ME, to=ANA, faces=[2])
    seen = library.restore_photo(hidden.public, ANA, private=one)
    assert (seen.opened, seen.closed, seen.name) == ((2,), (1,), None)
    with_name = library.grant(hidden.private, ME, to=ANA, faces=[2], metadata=True)
    assert library.restore_photo(hidden.public, ANA, private=[one, with_name]).name == "photo"
    with pytest.raises(UsageError, match="nobody"):
        library.grant(hidden.private, ME)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"margin": 3}, "margin 3 is out of range"), ({"strength": 0}, "strength"),
        ({"quality": 0, "method": "ddm"}, "quality 0"), ({"quality": 40}, "quality and compact belong"),
        ({"quality": 40, "compact": True, "method": "ddm"}, "exclude each other"),
        ({"cosine": 0.5}, "belong to method avp"), ({"method": "avp", "robust": ["fog"]}, "fog"),
        ({"faces": "some"}, "some"), ({"method": "paint"}, "paint"), ({"keep": [7]}, "no face 7"),
        ({"only_certain": True, "fail_on_uncertain": True}, "exclude each other"),
        ({"passphrase": "x", "to": ANA}, "exclude each other"),
    ],
)  # fmt: skip
def test_an_option_that_makes_no_sense_is_a_usage_error(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        library.protect_photo(DATA, ME, **{**FAST, **options})  # type: ignore[arg-type]


def test_a_look_is_a_name_or_a_picture() -> None:
    wanted = {"method": "solid", "faces": "none", "regions": [(0, 0, 32, 32)]}
    soft, logo = (library.protect_photo(DATA, ME, look=look, **wanted) for look in ("soft", DATA))
    shown = [images.decode(made.public, "public").pixels[:32, :32] for made in (soft, logo)]
    assert not np.array_equal(*shown)
    for options, says in (
        ({"look": "tartan"}, "no look tartan"),
        ({"look": "soft", "method": "blur"}, "blur"),
    ):
        with pytest.raises(UsageError, match=says):
            library.protect_photo(DATA, ME, **{**wanted, **options})


def test_options_do_what_the_command_line_s_do() -> None:
    kept = library.protect_photo(DATA, ME, method="solid", keep=[1], regions=[(0, 0, 32, 32)])
    assert (kept.covered, len(kept.faces)) == ((), 1)
    wide = library.protect_photo(DATA, ME, method="solid", margin=1.0)
    tight = library.protect_photo(DATA, ME, method="solid", margin=0.0)
    covered = [
        int((images.decode(one.public, "x").pixels != images.decode(DATA, "x").pixels).any(2).sum())
        for one in (wide, tight)
    ]
    assert covered[0] > 2 * covered[1]
    with pytest.raises(NoFaceError):
        library.protect_photo(images.encode_lossless(np.full((64, 64, 3), 128, np.uint8)), ME)
    with pytest.raises(UsageError, match="nobody to encrypt to"):
        library.protect_photo(DATA)


def test_a_photo_of_unknown_permissions_is_written_as_the_umask_says(tmp_path: Path) -> None:
    hidden = library.protect_photo(DATA, ME, **FAST)
    before = os.umask(0o077)
    try:
        library.restore_photo(hidden.public, ME, private=hidden.private).save(tmp_path / "restored.png")
    finally:
        os.umask(before)
    assert (tmp_path / "restored.png").stat().st_mode & 0o777 == 0o600


# Identities


def test_an_identity_is_saved_for_its_owner_alone_and_loaded_again(tmp_path: Path) -> None:
    path = tmp_path / "me"
    ME.save(path)
    assert library.Identity.load(path) == ME and path.stat().st_mode & 0o777 == 0o600
    assert path.with_name("me.pub").read_text() == ME.public and "AGE-SECRET" not in ME.public
    assert "AGE-SECRET" not in repr(ME)
    with pytest.raises(OutputExistsError):
        ANA.save(path)
    hidden = library.protect_photo(DATA, to=path.with_name("me.pub"), **FAST)
    assert library.restore_photo(hidden.public, ME, private=hidden.private).opened == (1, 2)
    (tmp_path / "other").write_text("nothing of ours")
    with pytest.raises(UnreadableError, match="no key"):
        library.Identity.load(tmp_path / "other")


def test_the_default_identity_is_the_command_line_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with pytest.raises(WrongKeyError, match="no identity yet"):
        library.Identity.load()
    assert list(tmp_path.iterdir()) == []
    ME.save(tmp_path / "photoguard" / "identity")
    assert library.Identity.load() == ME


def test_a_locked_identity_takes_its_passphrase(photoguard: Shell, tmp_path: Path) -> None:
    from photoguard.formats import identities

    path = tmp_path / "locked"
    path.write_bytes(identities.seal(ME.text.encode(), identities.Recipients(passphrase="open sesame")))
    assert library.Identity.load(path, passphrase="open sesame") == ME
    for passphrase in (None, "sesame"):
        with pytest.raises(WrongKeyError):
            library.Identity.load(path, passphrase=passphrase)


# Features


def test_features_go_to_the_service_and_no_further(tmp_path: Path, portrait: Path) -> None:
    own = tmp_path / "own.safetensors"
    weights.save_obfuscator(own, players())
    sealed = library.make_features(portrait, to=ANA, weights=own)
    (answers,) = library.read_features(sealed, ANA, weights=own)
    assert sum(answers["bright"].values()) == pytest.approx(1)
    with pytest.raises(WrongKeyError):
        library.read_features(sealed, ME, weights=own)
    open_to_all = library.make_features(DATA, weights=own)
    assert len(library.read_features(open_to_all, weights=own)) == 1
    with pytest.raises(DamagedError, match="another model"):
        library.read_features(open_to_all)

"""Private files in a folder of their own: nothing but public pictures is shared, and decrypt finds them.

Covers: opening.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.albums import BY_HAND, names, photo
from support.nursery import Nursery
from support.shell import Shell
from support.small_photos import REGION, picture, pixels

from photoguard import batch, files, opening
from photoguard.batch.journal import NAME
from photoguard.errors import UsageError
from photoguard.formats import identities
from photoguard.formats.identities import Recipients


def test_an_albums_private_files_lie_beside_it(photoguard: Shell, album: Path, tmp_path: Path) -> None:
    done = photoguard("encrypt", album, "-o", "shared", "-r", *BY_HAND)
    assert "private files are in shared.private" in done.stderr
    shared, private = names(tmp_path / "shared"), names(tmp_path / "shared.private")
    assert len(shared) == 6 and all(name.endswith(".pub.png") for name in shared)
    assert [name.replace(".pub.png", ".priv") for name in shared] == [n for n in private if NAME not in n]
    assert "6 finished" in photoguard("encrypt", album, "-o", "shared", "-r", *BY_HAND).stderr
    photoguard("verify", "shared", "-r")
    photoguard("decrypt", "shared", "-r", "-o", "back")
    photoguard("decrypt", Path("shared", shared[0]), "-o", "one.png")
    (tmp_path / "shared.private").rename(tmp_path / "safe")
    photoguard("verify", "shared", "-r", code=10)
    photoguard("verify", "shared", "-r", "--private", "safe")
    photoguard("decrypt", "shared", "-r", "-o", "again", "--private", "safe")


def test_private_to_and_folders_that_are_not_for_sharing(photoguard: Shell, tmp_path: Path) -> None:
    one = photo(tmp_path / "album" / "one.png")
    photoguard("encrypt", one, "-o", "out/one.pub.png", "--private-to", "keep", *BY_HAND)
    assert names(tmp_path / "out") == ["one.pub.png"] and names(tmp_path / "keep") == ["one.priv"]
    photoguard("encrypt", "album", "-o", "album", *BY_HAND)
    assert names(tmp_path / "album") == [NAME, "one.png", "one.priv", "one.pub.png"], (
        "photos lie there anyway"
    )
    photoguard("encrypt", "album", "--force", *BY_HAND, "--private-to", "keep2")
    assert names(tmp_path / "keep2") == [NAME, "one.priv"]


@pytest.mark.parametrize("portable", [(), ("--portable",)])
def test_private_files_are_found_whatever_they_or_the_picture_are_called(
    photoguard: Shell, tmp_path: Path, portable: tuple[str, ...]
) -> None:
    for number in range(3):
        photoguard("encrypt", photo(tmp_path / f"{number}.png", number), *REGION, "-o", "made", *portable)
    mine = tmp_path / "download"
    mine.mkdir()
    shutil.copy(tmp_path / "made" / "1.pub.png", mine / "IMG_7.png")
    for number, name in enumerate(("ana.priv", "bea.priv", "carl.priv")):
        shutil.copy(tmp_path / "made" / f"{number}.priv", mine / name)
    done = photoguard("decrypt", mine / "IMG_7.png", "-o", "back.png")
    assert "the photo 1.png" in done.stdout
    assert np.array_equal(pixels(tmp_path / "back.png"), pixels(tmp_path / "1.png"))
    (mine / "bea.priv").unlink()
    photoguard("decrypt", mine / "IMG_7.png", "-o", "no.png", code=6 if portable else 3)


def test_a_file_of_the_right_name_that_does_not_open_hides_no_other(
    photoguard: Shell, tmp_path: Path
) -> None:
    photoguard("encrypt", photo(tmp_path / "a.png"), *BY_HAND)
    photoguard("keygen", "-o", "other")
    (stranger,) = [w for w in (tmp_path / "other").read_text().split() if w.startswith("age1")]
    (tmp_path / "a.priv").rename(tmp_path / "ana.priv")
    photoguard("grant", "ana.priv", "--to", stranger, "-o", "a.priv")
    assert "1 of 1 faces open" in photoguard("decrypt", "a.pub.png", "-o", "back.png").stdout


def test_a_folder_full_of_private_files_is_tried_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MOST", 5)
    text, recipient = identities.generate()
    key = identities.parse_identities(text.encode(), lambda _: "")[0]
    for number in range(20):
        data = identities.seal(b"nothing", Recipients((recipient,)))
        (tmp_path / f"{number:02}.x.priv").write_bytes(data)
    tried: list[bytes] = []
    monkeypatch.setattr(opening.identities, "unseal", lambda data, keys: tried.append(data) or data)
    assert opening.shelve(tmp_path, [key]) == {} and len(tried) == 5


def test_neutral_names(photoguard: Shell, album: Path, tmp_path: Path) -> None:
    typed = ("encrypt", album, "-r", "-o", "shared", "--rename", *BY_HAND)
    photoguard(*typed)
    made = names(tmp_path / "shared")
    assert len(made) == 6 and all(len(name) == len("0123456789abcdef.pub.png") for name in made)
    assert "6 finished" in photoguard(*typed).stderr, "the same names again"
    done = photoguard("decrypt", "shared", "-o", "back", "--json")
    told = {json.loads(line)["name"] for line in done.stdout.splitlines()}
    assert told == {f"{number}.png" for number in range(6)}, "the photos' own names are sealed"
    photoguard("encrypt", album / "sea" / "1.png", "-o", "x.pub.png", "--rename", *BY_HAND, code=2)


@pytest.mark.parametrize("options", [(), ("--force",)])
def test_killed_at_every_step_between_two_folders(
    nursery: Nursery, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """A public picture is never there without a private file that opens it, and the same command heals."""
    (tmp_path / "album").mkdir()
    picture(tmp_path / "album" / "photo.png")
    public, private = tmp_path / "out" / "photo.pub.png", tmp_path / "out.private" / "photo.priv"
    typed = ("encrypt", tmp_path / "album", "-o", tmp_path / "out", *REGION)
    seen = set()
    for step in range(100):
        if options:
            nursery.run(*typed, code=None)
        else:
            for folder in ("out", "out.private"):
                shutil.rmtree(tmp_path / folder, ignore_errors=True)
        done = nursery.run(*typed, *options, "-j", "1", code=None, die_at=step, within=tmp_path / "out")
        if done.code == 0:
            break
        seen.add((private.exists(), public.exists()))
        assert private.exists() or not public.exists()
        for folder in (public.parent, private.parent):
            for left in folder.glob(f"{files.STAGING}*"):
                os.utime(left, (0, 0))
        nursery.run(*typed, *options)
        nursery.run("verify", public.parent)
        assert names(public.parent) == ["photo.pub.png"] and names(private.parent) == [NAME, "photo.priv"]
    assert step > 12
    if not options:
        assert (True, False) in seen, "one was killed between the two"


def test_two_photos_never_share_a_private_file(tmp_path: Path) -> None:
    for folder in "ab":
        photo(tmp_path / folder / "x.png")
    inputs = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"]
    assert len(batch.plan(inputs, None, batch.Selection())) == 2
    with pytest.raises(UsageError, match="both become"):
        batch.plan(inputs, None, batch.Selection(), private_to=tmp_path / "keep")

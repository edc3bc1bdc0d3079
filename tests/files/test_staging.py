"""Stages, listings and names: what the atomic writing is made of.

Covers: files.folders, files.names, files.reading.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from photoguard import batch, files
from photoguard.errors import OutputExistsError, UnreadableError, UnwritableError, UsageError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


DEAD = ".photoguard-0123456789abcdef"


# Writing


def test_outputs_appear_together_and_only_when_published(tmp_path: Path) -> None:
    with files.staged(tmp_path / "new" / "folder") as stage:
        stage.add("a.pub.png", b"public")
        stage.add("a.priv", b"private")
        assert all(name.startswith(".photoguard-") for name in names(tmp_path / "new" / "folder"))
        stage.publish()
        assert names(tmp_path / "new" / "folder") == ["a.priv", "a.pub.png"]
    assert (tmp_path / "new" / "folder" / "a.priv").read_bytes() == b"private"


def test_what_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), files.staged(tmp_path) as stage:
        stage.add("a.priv", b"private")
        1 / 0  # noqa: B018
    assert names(tmp_path) == []


def test_one_output_that_exists_keeps_all_away(tmp_path: Path) -> None:
    (tmp_path / "b.pub.png").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"b\.pub\.png"), files.staged(tmp_path) as stage:
        stage.add("b.priv", b"private")
        stage.add("b.pub.png", b"public")
        stage.publish()
    assert names(tmp_path) == ["b.pub.png"] and (tmp_path / "b.pub.png").read_text() == "mine"
    with files.staged(tmp_path, force=True) as stage:
        stage.add("b.priv", b"private")
        stage.add("b.pub.png", b"public")
        stage.publish()
    assert (tmp_path / "b.pub.png").read_text() == "public"


@pytest.mark.parametrize("folder", ["taken", "taken/deeper"])
def test_a_file_where_a_folder_should_be(tmp_path: Path, folder: str) -> None:
    (tmp_path / "taken").write_text("mine")
    with (
        pytest.raises(UnwritableError, match=r"is in the way|is a file") as caught,
        files.staged(tmp_path / folder),
    ):
        pass
    assert "-o" in caught.value.hint


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    with files.staged(tmp_path) as stage:
        stage.add("a.priv", b"private")
        stage.publish()
    with pytest.raises(OutputExistsError), files.staged(tmp_path) as stage:
        stage.add("a.priv", b"other")
        stage.publish()
    assert (tmp_path / "a.priv").read_bytes() == b"private" and names(tmp_path) == ["a.priv"]


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        files.write_secret(tmp_path / "key", "secret")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert not files.readable_by_others(tmp_path / "key")
    with pytest.raises(OutputExistsError):
        files.write_secret(tmp_path / "key", "other")
    assert (tmp_path / "key").read_text() == "secret"


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.ENOSPC, "disk is full"), (errno.EDQUOT, "quota"), (errno.EROFS, "read-only"),
     (errno.EACCES, "no permission"), (errno.ENAMETOOLONG, "too long"), (errno.EIO, "Input/output error")],
)  # fmt: skip
def test_what_the_system_says_is_said_in_words(tmp_path: Path, number: int, says: str) -> None:
    with pytest.raises(UnwritableError, match=says), files.writing(tmp_path / "out\n.png"):
        raise OSError(number, os.strerror(number))


def test_a_mode_holds_whatever_the_umask(tmp_path: Path) -> None:
    for umask in (0, 0o022, 0o077, 0o177):
        before = os.umask(umask)
        try:
            with files.staged(tmp_path / str(umask)) as stage:
                stage.add("secret", b"secret", mode=0o600)
                stage.add("shared", b"shared", mode=0o644)
                stage.add("usual", b"usual")
                stage.publish()
        finally:
            os.umask(before)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / str(umask)).iterdir()}
        assert modes == {"secret": 0o600, "shared": 0o644, "usual": 0o666 & ~umask}


def test_without_handles_for_folders_outputs_come_whole_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photoguard.files.folders.HANDLES", False)
    with files.staged(tmp_path, secret=b"s" * 32) as stage:
        stage.add("a.pub.png", b"public")
        stage.add("a.priv", b"private")
        stage.publish()
    with pytest.raises(OutputExistsError), files.staged(tmp_path) as stage:
        stage.add("a.priv", b"other")
        stage.publish()
    assert names(tmp_path) == ["a.priv", "a.pub.png"] and (tmp_path / "a.priv").read_bytes() == b"private"


# Listings and names


def test_listings_leave_out_what_is_not_a_photo(tmp_path: Path) -> None:
    for name in (
        "b.JPG", "a.heic", "a.pub.png", "a.priv", "a.restored.png", "old.restored.jpg", "A.PUB.PNG",
        "notes.txt", ".hidden.jpg", "deep/c.avif", "deep/.secret/d.jpg", f"{DEAD}/e.png",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "round").symlink_to(tmp_path)
    found = [str(path.relative_to(tmp_path)) for path in files.photos_in(tmp_path, recursive=True)]
    assert found == ["a.heic", "b.JPG", "deep/c.avif", "old.restored.jpg"]
    flat = [path.name for path in files.photos_in(tmp_path, recursive=False)]
    assert flat == ["a.heic", "b.JPG", "old.restored.jpg"]
    assert [path.name for path in files.pictures_in(tmp_path, True)] == ["A.PUB.PNG", "a.pub.png"]


def test_no_two_photos_share_an_output(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "b.jpg", "deep/a.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    out = tmp_path / "out"
    made = [
        str(task.public.relative_to(out))
        for task in batch.plan([tmp_path / "in"], out, batch.Selection(True))
    ]
    assert made == ["a.jpg.pub.png", "a.png.pub.png", "b.pub.png", "deep/a.pub.png"]
    assert len({task.private for task in batch.plan([tmp_path / "in"], out, batch.Selection(True))}) == 4
    one, other = tmp_path / "in" / "a.jpg", tmp_path / "in" / "deep" / "a.jpg"
    assert len(batch.plan([one, one], None, batch.Selection(False))) == 1, "named twice, done once"
    with pytest.raises(UsageError, match="two inputs"):
        batch.plan([one, other], out, batch.Selection(False))


@pytest.mark.parametrize(
    ("name", "printed"),
    [("plain.png", "plain.png"), ("two\nlines", "two\\nlines"), (os.fsdecode(b"\xe9"), "\\udce9"),
     ("\x1b[31mred", "\\x1b[31mred"), ("gr\u00fcn.png", "gr\u00fcn.png"), ("\u202eevil", "\\u202eevil")],
)  # fmt: skip
def test_a_name_is_one_printable_line(name: str, printed: str) -> None:
    assert files.shown(Path(name)) == printed


def test_reading_has_a_limit(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"12345")
    assert files.read_file(tmp_path / "big", limit=5) == b"12345"
    with pytest.raises(UnreadableError, match="5 bytes"):
        files.read_file(tmp_path / "big", limit=4)

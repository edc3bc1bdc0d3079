"""What killed runs left, and what strangers plant to look like it: only the former is ever touched."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.albums import BY_HAND, photo
from support.shell import Shell

from photoguard import files
from photoguard.files import staging
from photoguard.files.listing import LIST

SECRET, OTHER = b"s" * 32, b"o" * 32
EARLIER = ".photoguard-00000000deadbeef"
ROOT_ONLY = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away"
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def dead(
    folder: Path, contents: dict[str, str], decided: bool = False, force: bool = False, secret: bytes = SECRET
) -> Path:
    """The stage of a run that was killed in `folder`."""
    before = set(folder.iterdir()) if folder.exists() else set()
    child = os.fork()
    if not child:
        with files.staged(folder, force, secret) as stage:
            for name, text in contents.items():
                stage.add(name, text.encode())
            if decided:
                stage.decide()
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    (made,) = set(folder.iterdir()) - before
    return made


def settle(folder: Path, secret: bytes | None = SECRET) -> list[str]:
    """The names of what clean-up left alone."""
    return sorted(path.name for path in files.finish_killed_runs(folder, secret).left)


# What killed runs left


def test_what_was_decided_is_finished_and_what_was_not_is_removed(tmp_path: Path) -> None:
    (tmp_path / "c.priv").write_text("old")
    dead(tmp_path, {"a.priv": "half"})
    dead(tmp_path, {"b.priv": "private", "b.png": "public"}, decided=True)
    dead(tmp_path, {"c.priv": "new"}, decided=True, force=True)
    done = files.finish_killed_runs(tmp_path, SECRET)
    assert names(tmp_path) == ["b.png", "b.priv", "c.priv"] and not done.left
    assert sorted(path.name for path in done.finished) == names(tmp_path)
    assert (tmp_path / "c.priv").read_text() == "new"


def test_names_of_any_kind_are_listed(tmp_path: Path) -> None:
    odd = {os.fsdecode(b"\xe9 \n.priv"): "private", "\u202e.pub.png": "public"}
    dead(tmp_path, odd, decided=True)
    assert settle(tmp_path) == [] and names(tmp_path) == sorted(odd)


def test_a_move_that_was_half_done_is_finished(tmp_path: Path) -> None:
    stage = dead(tmp_path, {"b.priv": "private", "b.png": "public"}, decided=True)
    os.link(stage / "b.priv", tmp_path / "b.priv")  # killed between link and unlink
    assert settle(tmp_path) == [] and names(tmp_path) == ["b.png", "b.priv"]


def test_finishing_never_overwrites(tmp_path: Path) -> None:
    stage = dead(tmp_path, {"b.priv": "private"}, decided=True)
    (tmp_path / "b.priv").write_text("mine")
    assert settle(tmp_path) == [stage.name], "a person decides"
    assert (tmp_path / "b.priv").read_text() == "mine" and (stage / "b.priv").read_text() == "private"


def test_an_empty_stage_that_was_made_a_moment_ago_is_left_alone(tmp_path: Path) -> None:
    stage = dead(tmp_path, {})
    assert settle(tmp_path) == [] and names(tmp_path) == [stage.name], "its run may be about to lock it"
    os.utime(stage, (0, 0))
    assert settle(tmp_path) == [] and names(tmp_path) == []


def test_a_torn_list_decides_nothing(tmp_path: Path) -> None:
    stage = dead(tmp_path, {"b.priv": "private", "b.png": "public"}, decided=True)
    (stage / LIST).write_bytes((stage / LIST).read_bytes()[:-1])
    assert settle(tmp_path) == [] and names(tmp_path) == []


def test_the_stage_of_a_living_run_is_neither_touched_nor_named(tmp_path: Path) -> None:
    with files.staged(tmp_path, secret=SECRET) as stage:
        stage.add("a.priv", b"private")
        assert settle(tmp_path) == settle(tmp_path, None) == []
        stage.publish()
    assert names(tmp_path) == ["a.priv"]


# What is not certainly ours


def renamed(tmp_path: Path, suffix: str) -> Path:
    """An album that somebody gave the name of a stage."""
    photo(tmp_path / "shared" / "album" / "wedding.png")
    return (tmp_path / "shared" / "album").rename(tmp_path / "shared" / (EARLIER + suffix))


@pytest.mark.parametrize("suffix", ["", ".done", ".force.done", "0123456789abcdef"])
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_an_album_with_the_name_of_a_stage_is_named_and_left(tmp_path: Path, suffix: str, mode: int) -> None:
    """Clean-up by name deleted the originals in it, or moved them."""
    album = renamed(tmp_path, suffix)
    album.chmod(mode)
    os.utime(album, (0, 0))
    assert settle(tmp_path / "shared") == [album.name]
    assert names(album) == ["wedding.png"] and names(tmp_path / "shared") == [album.name]


@pytest.mark.parametrize("suffix", ["", ".done", ".force.done"])
def test_a_planted_album_is_named_by_the_command(photoguard: Shell, tmp_path: Path, suffix: str) -> None:
    album = renamed(tmp_path, suffix)
    album.chmod(0o700)
    mine = photo(tmp_path / "shared" / "mine.png")
    for typed in ((mine,), (tmp_path / "shared", "-r"), (mine, mine.with_name("second.png"))):
        photo(mine.with_name("second.png"))
        done = photoguard("encrypt", *typed, *BY_HAND, "--force")
        assert f"{album} looks like the rest of a killed run and was left alone" in done.stderr
        assert done.stderr.count("looks like") == 1, "said once"
    assert names(album) == ["wedding.png"]


def test_an_empty_folder_with_a_stage_name_stays(tmp_path: Path) -> None:
    (tmp_path / EARLIER).mkdir(mode=0o700)
    os.utime(tmp_path / EARLIER, (0, 0))
    assert settle(tmp_path) == [EARLIER] == names(tmp_path)


@pytest.mark.parametrize("name", [".photoguard-backup", ".photoguard-0123", EARLIER + ".old", ".photoguard-"])
def test_other_names_are_nothing_to_us(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "diary.txt").write_text("dear diary")
    assert settle(tmp_path) == [] and names(tmp_path / name) == ["diary.txt"]


@pytest.mark.parametrize("name", [EARLIER, EARLIER + ".force.done", EARLIER + "0123456789abcdef"])
@pytest.mark.parametrize("kind", ["link", "file", "pipe"])
def test_what_is_no_folder_is_named_and_left(tmp_path: Path, name: str, kind: str) -> None:
    home, shared = tmp_path / "home", tmp_path / "shared"
    for folder in (home, shared):
        folder.mkdir(mode=0o700)
    (home / "diary.txt").write_text("dear diary")
    if kind == "link":
        (shared / name).symlink_to(home)
    elif kind == "pipe":
        os.mkfifo(shared / name)
    else:
        (shared / name).write_text("mine")
    assert settle(shared) == [name] == names(shared) and names(home) == ["diary.txt"]


def changed(change: str, stage: Path) -> None:
    """Make of a killed run's stage something that it cannot have left."""
    target = stage / "b.priv"
    if change == "another file":
        (stage / "wedding.png").write_text("original")
    elif change == "a pipe":
        target.unlink()
        os.mkfifo(target)
    elif change == "a link":
        target.unlink()
        target.symlink_to("/etc/hostname")
    elif change == "a folder":
        target.unlink()
        target.mkdir()
    elif change == "open to others":
        stage.chmod(0o755)
    elif change == "no list":
        (stage / LIST).unlink()
    elif change == "a pipe for a list":
        (stage / LIST).unlink()
        os.mkfifo(stage / LIST)
    elif change == "a huge list":
        os.truncate(stage / LIST, 1 << 33)
    elif change == "a forged line":
        (stage / "wedding.png").write_text("original")
        with (stage / LIST).open("a") as file:
            file.write(f"output {b'wedding.png'.hex()} {'0' * 32}\n")
    elif change == "somebody else's":
        os.chown(stage, 12345, 12345)


@pytest.mark.parametrize("decided", [False, True])
@pytest.mark.parametrize(
    "change",
    ["another file", "a pipe", "a link", "a folder", "open to others", "no list", "a pipe for a list",
     "a huge list", "a forged line", pytest.param("somebody else's", marks=ROOT_ONLY)],
)  # fmt: skip
def test_a_stage_that_holds_more_than_its_list_is_left(tmp_path: Path, change: str, decided: bool) -> None:
    stage = dead(tmp_path, {"b.priv": "private", "b.png": "public"}, decided)
    changed(change, stage)
    before = names(stage)
    assert settle(tmp_path) == [stage.name] == names(tmp_path)
    assert names(stage) == before


def test_hard_links_to_a_users_files_are_left(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear diary")
    stage = dead(tmp_path, {"b.priv": "private"}, decided=True)
    os.link(tmp_path / "diary.txt", stage / "second.priv")
    assert settle(tmp_path) == [stage.name] and names(stage) == [LIST, "b.priv", "second.priv"]


def test_a_stage_is_good_for_its_own_folder_name_and_user_only(tmp_path: Path) -> None:
    stage = dead(tmp_path / "a", {"b.priv": "private"}, decided=True)
    (tmp_path / "b").mkdir()
    moved = stage.rename(tmp_path / "b" / stage.name)
    assert settle(tmp_path / "b") == [stage.name], "moved to another folder it would put outputs there"
    back = moved.rename(stage)
    other = back.rename(back.with_name(EARLIER + stage.name[-16:]))
    assert settle(tmp_path / "a") == [other.name]
    other.rename(stage)
    assert settle(tmp_path / "a", OTHER) == [stage.name] == settle(tmp_path / "a", None)
    assert names(stage) == [LIST, "b.priv"]
    assert settle(tmp_path / "a") == [] and names(tmp_path / "a") == ["b.priv"]


def test_a_name_alone_decides_nothing(tmp_path: Path) -> None:
    """Earlier versions took `.done` for the decision, which whoever may rename could make."""
    stage = dead(tmp_path, {"b.priv": "half"})
    planted = stage.rename(stage.with_name(stage.name + ".done"))
    assert settle(tmp_path) == [] and names(planted) == [LIST, "b.priv"], "no name of ours at all"


def test_without_the_users_secret_all_is_named_and_nothing_touched(tmp_path: Path) -> None:
    made = [dead(tmp_path, {"a.priv": "x"}, True), dead(tmp_path, {"b.priv": "x"}, secret=b"")]
    assert settle(tmp_path, None) == sorted(path.name for path in made) == names(tmp_path)


def test_without_handles_for_folders_all_is_named_and_nothing_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = dead(tmp_path, {"a.priv": "x"}, decided=True)
    monkeypatch.setattr("photoguard.files.folders.HANDLES", False)
    monkeypatch.setattr("photoguard.files.leftovers.HANDLES", False)
    assert settle(tmp_path) == [stage.name] == names(tmp_path)


def test_a_config_folder_that_cannot_be_written(photoguard: Shell, tmp_path: Path) -> None:
    photoguard("keygen")
    (tmp_path / "home" / ".config" / "photoguard" / "journal.key").unlink()
    refuse = """
from photoguard import files
from photoguard.errors import UnwritableError
def refuse(*_):
    raise UnwritableError("read-only")
files.write_secret = refuse
"""
    mine = photo(tmp_path / "mine.png")
    stage = dead(tmp_path, {"b.priv": "half"})
    done = photoguard("encrypt", mine, *BY_HAND, before=refuse)
    assert "neither continued nor cleaned up after: read-only" in done.stderr
    assert (
        str(stage) in done.stderr and (tmp_path / "mine.priv").exists() and names(stage) == [LIST, "b.priv"]
    )


# Races


def by_name(folder: Path) -> None:
    """Clean-up as earlier versions did it: by names, each looked up anew."""
    for path in folder.glob(".photoguard-*"):
        if path.is_dir() and not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) == 0o700:
            for output in sorted(os.listdir(path)):  # noqa: PTH208
                os.replace(path / output, folder / output)  # noqa: PTH105
            os.rmdir(path)  # noqa: PTH106


def swapped_at(moment: int, stage: Path, private: Path, work: Callable[[], Any]) -> bool:
    """Work with a stage that becomes a link before the n-th call to the system; whether it came to that."""
    calls, left = ("open", "stat", "listdir", "unlink", "link", "replace", "rmdir", "mkdir"), [moment]
    real = {name: getattr(os, name) for name in calls}

    def stepping(name: str) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            left[0] -= 1
            if left[0] == -1 and os.path.lexists(stage):
                os.rename(stage, stage.with_name("aside"))  # noqa: PTH104
                os.symlink(private, stage)  # noqa: PTH211
            return real[name](*args, **more)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in calls:
            patch.setattr(os, name, stepping(name))
        with contextlib.suppress(OSError):
            work()
    return left[0] < 0


@pytest.mark.parametrize("decided", [True, False])
def test_a_link_that_is_swapped_in_at_any_moment(tmp_path: Path, decided: bool) -> None:
    robbed = {"now": False, "then": False}
    for moment in range(200):
        goes_on = False
        for which in robbed:
            shared = tmp_path / f"{moment}-{which}"
            private = tmp_path / f"{moment}-{which}-private"
            private.mkdir(mode=0o700)
            for name in ("a.priv", "a.pub.png", LIST):
                (private / name).write_text("dear diary")
            stage = dead(shared, {"a.priv": "private", "a.pub.png": "public"}, decided, force=True)
            work = partial(settle if which == "now" else by_name, shared)
            goes_on |= swapped_at(moment, stage, private, work)
            texts = [path.read_text() for path in shared.glob("a.p*")]
            robbed[which] |= len(names(private)) < 3 or "dear diary" in texts
        if not goes_on:
            break
    assert moment > 10, "it was tried at every step"
    assert robbed == {"now": False, "then": True}, "the same attack on clean-up by name succeeds"


def test_a_stage_that_is_swapped_under_a_living_run(tmp_path: Path) -> None:
    """Its outputs come from the folder that it holds; what somebody put in place of it is not looked at."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    (private / "a.priv").write_text("dear diary")
    for moment in range(200):
        shared = tmp_path / str(moment)
        shared.mkdir()
        with files.staged(shared, secret=SECRET) as stage:
            stage.add("a.priv", b"private")
            goes_on = swapped_at(moment, stage.inside.path, private, stage.publish)
        assert names(private) == ["a.priv"] and (shared / "a.priv").read_bytes() == b"private"
        if not goes_on:
            break
    assert moment > 3


def test_a_target_that_appears_meanwhile_is_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = staging.put_in_place

    def late(*args: Any) -> None:
        (tmp_path / "a.priv").write_text("mine")
        real(*args)

    monkeypatch.setattr(staging, "put_in_place", late)
    with pytest.raises(files.staging.OutputExistsError), files.staged(tmp_path, secret=SECRET) as stage:
        stage.add("a.priv", b"private")
        stage.publish()
    assert (tmp_path / "a.priv").read_text() == "mine"


def test_a_stage_of_what_was_done_again_is_removed_and_no_other(tmp_path: Path) -> None:
    """On a cluster another worker does the photo of one that was killed before anything arrived."""
    stage = dead(tmp_path, {"a.priv": "first", "a.pub.png": "first"}, decided=True)
    for name in ("a.priv", "a.pub.png"):
        (tmp_path / name).write_text("second")
    assert files.finish_killed_runs(tmp_path, SECRET, {tmp_path / "b.priv"}).left == (stage,)
    done = {tmp_path / "a.priv", tmp_path / "a.pub.png", tmp_path / "b.priv"}
    assert files.finish_killed_runs(tmp_path, SECRET, done).left == () and not stage.exists()
    assert (tmp_path / "a.priv").read_text() == "second"

"""Things that go wrong around the program: it is killed, disks fill up, folders cannot be written.

Whatever happens, there are both outputs or neither, and what is there opens.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.disks import small_disk
from support.nursery import Nursery
from support.small_photos import NO_RIGHTS, REGION, names, pair, picture, pixels

from photoguard import files

# Killed


def settle(nursery: Nursery, photo: Path) -> None:
    """A minute later, the next run in the folder, of another photo."""
    for left in photo.parent.glob(".photoguard-*"):
        os.utime(left, (0, 0))
    other = picture(photo.with_name("other.png"), 8)
    nursery.run("encrypt", other, *REGION)
    for path in (other, *pair(other)):
        path.unlink()


def both_or_neither(nursery: Nursery, photo: Path) -> bool:
    """Whether the pair is there, after checking that it is whole."""
    public, private = pair(photo)
    assert public.exists() is private.exists(), names(photo.parent)
    assert not list(photo.parent.glob(".photoguard-*")), names(photo.parent)
    if public.exists():
        nursery.run("decrypt", public, "-o", photo.with_name("back.png"))
        assert np.array_equal(pixels(photo.with_name("back.png")), pixels(photo))
        photo.with_name("back.png").unlink()
    return public.exists()


def test_killed_at_fifty_moments(nursery: Nursery, photo: Path) -> None:
    usual = min(nursery.run("encrypt", photo, *REGION, "--force").seconds for _ in range(3))
    killed = 0
    for moment in np.linspace(0, usual, 50):
        for path in pair(photo):
            path.unlink(missing_ok=True)
        killed += nursery.run("encrypt", photo, *REGION, code=None, kill_after=float(moment)).code == -9
        settle(nursery, photo)
        both_or_neither(nursery, photo)
    assert killed > 25, f"only {killed} runs were killed before they ended"


def steps(nursery: Nursery, photo: Path, *options: str) -> Iterator[int]:
    """Kill `encrypt` before each of its changes of the folder, one after the other, until it gets through."""
    for step in range(100):
        done = nursery.run(
            "encrypt", photo, *REGION, *options, code=None, die_at=step, within=photo.parent / files.STAGING
        )
        yield step
        if done.code == 0:
            assert step > 8, "a run has more steps than that"
            return
        assert done.code == -9, done.stderr
    raise AssertionError("it never got through")


def test_killed_at_every_step(nursery: Nursery, photo: Path) -> None:
    seen = []
    for _ in steps(nursery, photo):
        settle(nursery, photo)
        seen.append(both_or_neither(nursery, photo))
        for path in pair(photo):
            path.unlink(missing_ok=True)
    assert seen == sorted(seen), "from one step on the outputs appear"
    assert seen.count(True) > 3, "kills after the decision were among them, also between the two outputs"


def test_killed_at_every_step_of_overwriting(nursery: Nursery, photo: Path) -> None:
    nursery.run("encrypt", photo, *REGION)
    public, private = pair(photo)
    old = public.read_bytes(), private.read_bytes()
    changes = []
    for _ in steps(nursery, photo, "--force"):
        settle(nursery, photo)
        assert both_or_neither(nursery, photo), "there is always a pair"
        new = public.read_bytes(), private.read_bytes()
        assert (new[0] == old[0]) is (new[1] == old[1]), "both are old or both are new"
        changes.append(new != old)
        old = new
    assert changes == sorted(changes) and set(changes) == {False, True}


@pytest.mark.parametrize("after", ["private", "both"])
def test_killed_right_after_an_output_was_put_in_place(nursery: Nursery, photo: Path, after: str) -> None:
    kill = f"""
import os, signal
link, count = os.link, {1 if after == "private" else 2}
def dying(*args, **kwargs):
    global count
    link(*args, **kwargs)
    count -= 1
    if not count:
        os.kill(os.getpid(), signal.SIGKILL)
os.link = dying
"""
    public, private = pair(photo)
    for finish in ("another photo", "the same command"):
        nursery.run("encrypt", photo, *REGION, code=-9, before=kill)
        assert (private.exists(), public.exists()) == (True, after == "both")
        if finish == "another photo":
            settle(nursery, photo)
        else:
            done = nursery.run("encrypt", photo, *REGION, code=8)
            assert "already exists" in done.stderr
        assert both_or_neither(nursery, photo)
        public.unlink()
        private.unlink()


def test_leftovers_are_not_photos_and_a_living_run_is_left_alone(nursery: Nursery, photo: Path) -> None:
    dead = photo.with_name(".photoguard-0123456789abcdef")
    alive = photo.with_name(".photoguard-fedcba9876543210")
    for folder in (dead, alive):
        folder.mkdir()
        picture(folder / "photo.pub.png", 3)
        picture(folder / "holiday.png", 4)
    handle = os.open(alive, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        done = nursery.run("encrypt", photo.parent, *REGION, "--recursive", "--json")
        assert [json.loads(line)["source"] for line in done.stdout.splitlines()] == [str(photo)]
        left = [".photoguard-journal", dead.name, alive.name, "photo.png", "photo.priv", "photo.pub.png"]
        assert names(photo.parent) == sorted(left)
        assert names(alive) == names(dead) == ["holiday.png", "photo.pub.png"]
        assert str(dead) in done.stderr and str(alive) not in done.stderr
        done = nursery.run("decrypt", photo.parent, "--recursive", "--json", "-o", photo.parent / "back")
        assert len(done.stdout.splitlines()) == 1
    finally:
        os.close(handle)


@pytest.mark.parametrize("heal", ["decrypt", "the next run"])
def test_a_pair_that_was_replaced_by_half_says_how_it_is_healed(
    nursery: Nursery, photo: Path, heal: str
) -> None:
    nursery.run("encrypt", photo, *REGION)
    kill = """
import os, signal
replace, left = os.replace, [1]
def dying(*args, **kwargs):
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    left[0] -= 1
    replace(*args, **kwargs)
os.replace = dying
"""
    nursery.run("encrypt", photo, *REGION, "--force", code=-9, before=kill)
    public = pair(photo)[0]
    done = nursery.run("verify", public, code=None)
    assert done.code != 0 and f"`photoguard decrypt {public}`" in done.stderr
    assert f"killed before it put {public} in place" in done.stderr
    assert list(photo.parent.glob(".photoguard-*")), "verify writes nothing"
    if heal == "decrypt":
        nursery.run("decrypt", public, "-o", photo.with_name("back.png"))
        photo.with_name("back.png").unlink()
    else:
        settle(nursery, photo)
    done = nursery.run("verify", public)
    assert "killed" not in done.stderr and both_or_neither(nursery, photo)


def test_keygen_killed_at_every_step_can_be_run_again(nursery: Nursery, tmp_path: Path) -> None:
    waited = []
    for step in range(200):
        keys, safe = tmp_path / f"{step}" / "keys", tmp_path / f"{step}" / "safe"
        typed = ("keygen", "-o", keys / "identity", "--recovery", safe / "recovery")
        killed = nursery.run(*typed, code=None, die_at=step, within=tmp_path)
        for left in tmp_path.glob("*/*/.photoguard-*"):
            os.utime(left, (0, 0))
        again = nursery.run(*typed, code=None)
        assert again.code in (0, 8), again.stderr
        assert names(keys) == ["identity", "identity.pub"] and names(safe) == ["recovery"]
        modes = [(path.stat().st_mode & 0o777) for path in (*sorted(keys.iterdir()), safe / "recovery")]
        assert modes == [0o600, 0o644, 0o600]
        spare = json.loads(nursery.run("recipients", safe / "recovery", "--json").stdout.splitlines()[0])[
            "recipient"
        ]
        assert spare in (keys / "identity.pub").read_text().split()
        waited.append("in place now" in again.stderr)
        if killed.code == 0:
            break
    assert step > 15 and any(waited), "kills after the decision were among them"


# Disks and folders


@pytest.mark.program("mount")
def test_a_full_disk(nursery: Nursery, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 32):
        photo = picture(disk / "photo.png")
        done = nursery.run("encrypt", photo, *REGION, code=3)
        assert "the disk is full" in done.stderr and "nothing was written" in done.stderr
        assert names(disk) == ["photo.png"]


@pytest.mark.program("mount")
def test_a_disk_with_room_for_few_files(nursery: Nursery, tmp_path: Path) -> None:
    seen = []
    for count in range(3, 10):
        disk = tmp_path / f"disk{count}"
        with small_disk(disk, 256, count):
            photo = picture(disk / "photo.png")
            done = nursery.run("encrypt", photo, *REGION, code=None)
            seen.append(done.code)
            if done.code:
                assert "the disk is full" in done.stderr and "nothing was written" in done.stderr
                assert names(disk) == ["photo.png"], count
            else:
                nursery.run("verify", pair(photo)[0])
                assert names(disk) == ["photo.png", "photo.priv", "photo.pub.png"]
    assert seen[0] == 3 and seen[-1] == 0 and seen == sorted(seen, reverse=True)


@pytest.mark.program("mount")
def test_a_disk_that_is_full_when_restoring(nursery: Nursery, photo: Path, tmp_path: Path) -> None:
    nursery.run("encrypt", photo, *REGION)
    disk = tmp_path / "disk"
    with small_disk(disk, 8):
        done = nursery.run("decrypt", pair(photo)[0], "-o", disk / "back.png", code=3)
        assert "the disk is full" in done.stderr
        assert names(disk) == []


def test_a_limit_on_file_sizes(nursery: Nursery, photo: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))"
    done = nursery.run("encrypt", photo, *REGION, code=3, before=limit)
    assert f"cannot write {photo.with_suffix('.pub.png')}" in done.stderr
    assert os.strerror(errno.EFBIG) in done.stderr
    assert names(photo.parent) == ["photo.png"]


def test_a_folder_without_permission(nursery: Nursery, photo: Path) -> None:
    photo.parent.chmod(0o500)
    try:
        done = nursery.run("encrypt", photo, *REGION, code=3, before=NO_RIGHTS)
        assert "no permission" in done.stderr and "-o" in done.stderr
    finally:
        photo.parent.chmod(0o700)
    assert names(photo.parent) == ["photo.png"]


@pytest.mark.program("mount")
def test_a_read_only_file_system(nursery: Nursery, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 256):
        photo = picture(disk / "photo.png")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        done = nursery.run("encrypt", photo, *REGION, code=3)
        assert "the file system is read-only" in done.stderr
        assert names(disk) == ["photo.png"]


def test_a_file_where_the_output_folder_should_be(nursery: Nursery, photo: Path) -> None:
    target = photo.with_name("notes") / "x.pub.png"
    photo.with_name("notes").write_text("not a folder")
    done = nursery.run("encrypt", photo, *REGION, "-o", target, code=3)
    assert "cannot write" in done.stderr
    assert names(photo.parent) == ["notes", "photo.png"]


def test_a_name_that_is_too_long(nursery: Nursery, photo: Path) -> None:
    long = photo.rename(photo.with_name("a" * 250 + ".png"))
    done = nursery.run("encrypt", long, *REGION, code=3)
    assert "name is too long" in done.stderr
    assert names(photo.parent) == [long.name]

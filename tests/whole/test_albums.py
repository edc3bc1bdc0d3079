"""Runs over many photos as users have them: what takes part, killed runs, what goes on.

Covers: cli.shared.albums.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest
from support.albums import (
    BY_HAND,
    at_home,
    count,
    key_of,
    names,
    noted,
    photo,
)
from support.places import ROOT
from support.shell import Shell

from photoguard.batch.journal import NAME


def stamps(folder: Path) -> dict[str, int]:
    return {
        str(path): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.name != NAME
    }


@pytest.mark.parametrize("separator", ["\n", "\0"])
def test_names_come_from_a_list_and_keep_their_folders(
    photoguard: Shell, album: Path, separator: str
) -> None:
    listed = ["album/sea/1.png", "album/hills/high/0.png", "album/sea/with space.png"]
    photo(album / "sea" / "with space.png")
    (album.parent / "list").write_text(separator.join(listed) + separator)
    photoguard("encrypt", "--files-from", "list", "-o", "out", *BY_HAND)
    made = [name for name in names(album.parent / "out") if name.endswith(".pub.png")]
    assert made == sorted(name.replace(".png", ".pub.png") for name in listed)
    photoguard("encrypt", "--files-from", "-", "-o", "again", *BY_HAND, typed=separator.join(listed))
    assert names(album.parent / "again") == names(album.parent / "out")
    photoguard("encrypt", code=2)


def test_a_dry_run_tells_and_does_nothing(photoguard: Shell, album: Path, tmp_path: Path) -> None:
    before = names(tmp_path)
    photo(album / "empty.png").write_bytes(b"")
    before.append("album/empty.png")
    done = photoguard("encrypt", album, "-r", "-o", "out", "--dry-run", "--json", *BY_HAND)
    told = {Path(line["source"]).name: line["would"] for line in map(json.loads, done.stdout.splitlines())}
    assert told == {f"{n}.png": "protect" for n in range(6)} | {"empty.png": "fail"}
    photoguard("encrypt", album, "--to", "self", "-r", "-o", "out", "--dry-run", *BY_HAND)
    photoguard("decrypt", album, "-r", "-o", "out", "--dry-run", code=2)
    old = photo(album / "sea" / "old.pub.png")
    photoguard("decrypt", album, "-r", "-o", "out", "--dry-run")
    old.unlink()
    assert names(tmp_path) == sorted(before), "not even an identity or a journal's secret was made"


def test_one_bad_photo_is_a_line_and_the_run_goes_on(photoguard: Shell, album: Path) -> None:
    (album / "sea" / "bad.jpg").write_bytes(b"no photo")
    done = photoguard("encrypt", album, "-r", "-j", 2, "--json", *BY_HAND, code=10)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum("public" in line for line in lines) == 6
    (bad,) = [line for line in lines if "error" in line]
    assert bad["exit"] == 3 and bad["source"].endswith("bad.jpg")
    assert "6 of 7 photos protected, 1 failed" in done.stderr


def test_no_photo_stops_the_others(photoguard: Shell, album: Path) -> None:
    (album / "sea" / "empty.png").write_bytes(b"")
    photo(album / "sea" / ("x" * 250 + ".png"))  # its outputs can have no such name
    done = photoguard("encrypt", album, "-r", "-j", 1, "--by-content", *BY_HAND, code=10)
    assert "6 of 8 photos protected, 2 failed" in done.stderr
    assert "empty.png is empty" in done.stderr and "the name is too long" in done.stderr


def test_outputs_that_a_pattern_brings_along_are_left_alone(photoguard: Shell, album: Path) -> None:
    photoguard("encrypt", album / "sea", *BY_HAND)
    photo(album / "sea" / "new.png")
    named = sorted(
        path for path in (album / "sea").iterdir() if path.name in ("new.png", "1.priv", "1.pub.png")
    )
    done = photoguard("encrypt", *named, *BY_HAND)
    assert "2 of the files named are outputs" in done.stderr
    assert (album / "sea" / "new.pub.png").exists() and not (album / "sea" / "1.pub.pub.png").exists()


def test_a_damaged_private_file_costs_its_own_photo_only(photoguard: Shell, album: Path) -> None:
    photoguard("encrypt", album / "sea", "-o", "out", *BY_HAND)
    (album.parent / "out" / "1.priv").write_bytes(b"no age file")
    done = photoguard("decrypt", "out", "-j", 1, code=10)
    assert "2 of 3 photos restored, 1 failed" in done.stderr


@pytest.mark.parametrize(
    ("policy", "code", "again"),
    [("error", 10, 1), ("skip", 0, 1), ("remember", 0, 2), ("copy-nothing", 0, 2)],
)
def test_photos_without_a_face(photoguard: Shell, tmp_path: Path, policy: str, code: int, again: int) -> None:
    photo(tmp_path / "album" / "empty.png", size=(48, 48))
    (tmp_path / "album" / "portrait.jpg").write_bytes((ROOT / "examples" / "portrait.jpg").read_bytes())
    done = photoguard(
        "encrypt", tmp_path / "album", "-o", "out", "--no-face", policy, "-m", "solid", code=code
    )
    assert names(tmp_path / "out") == [NAME, "portrait.priv", "portrait.pub.png"]
    assert ("1 failed" in done.stderr) is (policy == "error")
    done = photoguard(
        "encrypt", tmp_path / "album", "-o", "out", "--no-face", policy, "-m", "solid", code=code
    )
    assert f"{again} finished by an earlier run" in done.stderr


def test_a_damaged_journal_key_says_what_to_do(photoguard: Shell, album: Path) -> None:
    photoguard("encrypt", album, "-r", "-o", "out", *BY_HAND)
    (key,) = album.parent.rglob("journal.key")
    for text in ("no key", "00", "00" * 100):
        key.write_text(text)
        assert "remove it" in photoguard("encrypt", album, "-r", "-o", "out", *BY_HAND, code=6).stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_not_text_is_worked_on_and_found_finished(photoguard: Shell, tmp_path: Path) -> None:
    photo(tmp_path / "album" / "\udcff\n.png")
    photoguard("encrypt", tmp_path / "album", *BY_HAND)
    assert "1 finished by an earlier run" in photoguard("encrypt", tmp_path / "album", *BY_HAND).stderr


def test_planted_journals_in_a_run(photoguard: Shell, album: Path) -> None:
    out = album.parent / "out"
    out.mkdir()
    (out / NAME).write_bytes(b"[" * 100_000)
    typed = ("encrypt", album / "sea", "-o", out, *BY_HAND)
    assert "is no journal of yours" in photoguard(*typed).stderr
    assert "3 finished by an earlier run" in photoguard(*typed).stderr
    (out / NAME).unlink()
    os.mkfifo(out / NAME)
    assert "3 finished by an earlier run" in photoguard(*typed).stderr


def test_the_same_command_goes_on(photoguard: Shell, album: Path) -> None:
    typed = ("encrypt", album, "-r", "-o", "out", *BY_HAND)
    photoguard(*typed, "--exclude", "hills")
    out = album.parent / "out"
    before = stamps(out)
    done = photoguard(*typed)
    assert "3 of 6 photos protected, 3 finished by an earlier run" in done.stderr
    assert {path: stamps(out)[path] for path in before} == before
    photo(album / "sea" / "1.png", 99)
    done = photoguard(*typed, code=10)
    assert "1.png has changed" in done.stderr and "--force" in done.stderr
    photoguard(*typed, "--region", "0,0,5,5", code=10)
    photoguard(*typed, "--force")
    assert "6 finished" in photoguard(*typed).stderr
    photoguard("verify", out, "-r")
    done = photoguard("decrypt", out, "-r", "-o", "back")
    assert "6 of 6 photos restored" in done.stderr
    assert "6 finished" in photoguard("decrypt", out, "-r", "-o", "back").stderr


def command(album: Path, out: Path, *more: str) -> list[str]:
    typed = ["encrypt", str(album), "-r", "-o", str(out), *BY_HAND, *more]
    return [sys.executable, "-c", "from photoguard.cli.main import run; run()", *typed]


def killed(typed: list[str], env: dict[str, str], out: Path, written: int, how: int) -> int:
    """Start a run, signal it once `written` more files are there, and wait for its end."""
    goal = count(out) + written
    run = subprocess.Popen(
        typed, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
    )
    while run.poll() is None and count(out) < goal:
        time.sleep(0.002)
    if run.poll() is None:
        (os.killpg if how == signal.SIGKILL else os.kill)(run.pid, how)
    return run.wait(20)


def survives(tmp_path: Path, photos: int, kills: int, seed: int) -> None:
    """Kill runs at random moments: each resumed, nothing partial, nothing finished done twice."""
    random, out, env = Random(seed), tmp_path / "out", at_home(tmp_path)
    for number in range(photos):
        photo(tmp_path / "album" / f"{number:03}.png", number)
    (tmp_path / "album").mkdir(exist_ok=True)
    seen: dict[str, int] = {}
    for _ in range(kills):
        killed(
            command(tmp_path / "album", out, "-j", "2"),
            env,
            out,
            random.randint(1, max(2, photos // kills)),
            9,
        )
        ready = {line["to"] for line in noted(out / NAME, key_of(tmp_path)) if "files" in line}
        now = stamps(out)
        assert all(now.get(path, stamp) == stamp for path, stamp in seen.items()), "done again"
        assert ready <= {Path(path).name for path in now}
        seen |= {path: stamp for path, stamp in now.items() if Path(path).name in ready}
    subprocess.run(command(tmp_path / "album", out), env=env, check=True, capture_output=True)
    assert all(stamps(out)[path] == stamp for path, stamp in seen.items())
    expected = [f"{n:03}.{kind}" for n in range(photos) for kind in ("priv", "pub.png")]
    assert names(out) == sorted([NAME, *expected]), "all outputs, and nothing that a killed run left"
    check = [sys.executable, "-c", "from photoguard.cli.main import run; run()", "verify", str(out)]
    subprocess.run(check, env=env, check=True, capture_output=True)


def test_killed_runs_go_on(tmp_path: Path) -> None:
    survives(tmp_path, photos=16, kills=3, seed=1)


@pytest.mark.slow
def test_a_hundred_kills(tmp_path: Path) -> None:
    survives(tmp_path, photos=300, kills=100, seed=2)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_finishes_what_is_in_hand(tmp_path: Path, jobs: str) -> None:
    out, env = tmp_path / "out", at_home(tmp_path)
    for number in range(60):
        photo(tmp_path / "album" / f"{number:03}.png", number)
    assert killed(command(tmp_path / "album", out, "-j", jobs), env, out, 4, signal.SIGINT) == 130
    made = names(out)
    assert len(made) < 121, "it did stop"
    publics = {name for name in made if name.endswith(".pub.png")}
    ready = {line["to"] for line in noted(out / NAME, key_of(tmp_path)) if "files" in line}
    assert publics == ready and len(made) == 2 * len(publics) + 1, "whole, noted, nothing else"

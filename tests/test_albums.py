"""Runs over many photos: what takes part, several processes, going on after an interruption."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Shell
from PIL import Image

from photoguard import batch
from photoguard.batch.journal import NAME, sealed, unsealed
from photoguard.batch.pool import weigh
from photoguard.errors import (
    OutputExistsError,
    PhotoguardError,
    UnreadableError,
    UnwritableError,
    UsageError,
)

BY_HAND = ("--method", "solid", "--faces", "none", "--region", "10,10,20,20")  # needs no network: starts fast


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (60, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Six photos in two folders."""
    for number in range(6):
        photo(tmp_path / "album" / ("sea" if number % 2 else "hills/high") / f"{number}.png", number)
    return tmp_path / "album"


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def count(folder: Path) -> int:
    """How many files lie there while a run comes and goes."""
    while folder.exists():
        try:
            return len(names(folder))
        except FileNotFoundError:  # a stage that was put in place this moment
            continue
    return 0


def stamps(folder: Path) -> dict[str, int]:
    return {
        str(path): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.name != NAME
    }


# Which photos take part


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        (batch.Selection(), ""),
        (batch.Selection(True), "024135"),
        (batch.Selection(True, include=("sea/*",)), "135"),
        (batch.Selection(True, include=("*.png",), exclude=("hills",)), "135"),
        (batch.Selection(True, exclude=("hills/high/",)), "135"),
        (batch.Selection(True, exclude=("high", "3.*")), "15"),
        (batch.Selection(True, include=("4.png", "5.*")), "45"),
    ],
)
def test_patterns_choose_photos(album: Path, selection: batch.Selection, left: str) -> None:
    if not left:
        with pytest.raises(UsageError, match="no photo"):
            batch.plan([album], None, selection)
        return
    assert [task.source.stem for task in batch.plan([album], None, selection)] == list(left)


def test_a_folder_that_is_left_out_is_not_even_listed(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.iterdir

    def guarded(folder: Path) -> Iterator[Path]:
        if folder.name == "high":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(Path, "iterdir", guarded)
    with pytest.raises(UnreadableError, match="cannot list") as caught:
        batch.plan([album], None, batch.Selection(True))
    assert "--exclude" in caught.value.hint
    tasks = batch.plan([album], None, batch.Selection(True, exclude=("high",)))
    assert [task.source.stem for task in tasks] == list("135")


def test_a_photo_whose_name_begins_like_anothers_keeps_its_own_private_files(tmp_path: Path) -> None:
    for name in ("a.pub.png", "a.priv", "a.ana.priv", "a.b.pub.png", "a.b.priv", "a.b.ana.priv"):
        (tmp_path / name).write_bytes(b"x")
    tasks = batch.plan_restoring([tmp_path], None, batch.Selection())
    secrets = {task.source.name: [path.name for path in task.secrets] for task in tasks}
    assert secrets == {"a.pub.png": ["a.ana.priv", "a.priv"], "a.b.pub.png": ["a.b.ana.priv", "a.b.priv"]}


def test_links_out_of_the_tree_are_not_followed(album: Path, tmp_path: Path) -> None:
    photo(tmp_path / "private" / "diary.png")
    (album / "sea" / "out.png").symlink_to(tmp_path / "private" / "diary.png")
    (album / "sea" / "in.png").symlink_to(album / "sea" / "1.png")
    (album / "sea" / "ring.png").symlink_to("ring.png")
    (album / "folder").symlink_to(tmp_path / "private")
    found = [task.source.name for task in batch.plan([album], None, batch.Selection(True))]
    assert "in.png" in found and "out.png" not in found and "diary.png" not in found


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


# Never stops early, never lies


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
    ("policy", "code", "again"), [("error", 10, 1), ("skip", 0, 1), ("copy-nothing", 0, 2)]
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


def double(task: batch.Task) -> int:
    if task.source.stem == "bug":
        raise KeyError("a bug")
    if task.source.stem == "error":
        raise UnreadableError("cannot", "a hint")
    if task.source.stem == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if task.source.stem == "threads":
        import torch

        return torch.get_num_threads()
    return 2 * int(task.source.stem)


def some(*stems: str) -> list[batch.Task]:
    return [batch.Task(Path(f"{stem}.png"), Path(f"{stem}.pub.png")) for stem in stems]


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_task_has_one_outcome(jobs: int) -> None:
    tasks = some(*map(str, range(20)), "bug", "error")
    found = {o.task.source.stem: o for o in batch.run(tasks, double, batch.Pool(jobs))}
    assert len(found) == 22 and all(found[str(n)].result == 2 * n for n in range(20))
    bug, error = found["bug"].error, found["error"].error
    assert bug and bug.exit_code == 70 and "KeyError" in str(bug)
    assert error and error.exit_code == 3 and error.hint == "a hint"


def test_a_worker_that_dies_costs_its_own_photo_only() -> None:
    tasks = some("1", "2", "dies", *map(str, range(3, 12)))
    outcomes = list(batch.run(tasks, double, batch.Pool(2)))
    assert sorted(o.task.source.stem for o in outcomes) == sorted(t.source.stem for t in tasks)
    (lost,) = [o for o in outcomes if o.error]
    assert lost.task.source.stem == "dies" and "memory" in lost.error.hint


def rest(task: batch.Task) -> None:
    time.sleep(0 if task.source.stem == "1" else 60)


def test_a_run_that_is_given_up_ends_its_workers(tmp_path: Path) -> None:
    began, run = time.monotonic(), batch.run(some("1", "2", "3"), rest, batch.Pool(2))
    assert next(run).task.source.stem == "1"
    run.close()  # type: ignore[attr-defined] - as a second Ctrl-C does
    assert not multiprocessing.active_children() and time.monotonic() - began < 20


def test_a_worker_has_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert {o.result for o in batch.run(some("threads", "threads"), double, batch.Pool(2))} == {1}


def wait_and_see(task: batch.Task) -> tuple[float, float]:
    began = time.monotonic()
    time.sleep(0.15)
    return began, time.monotonic()


@pytest.mark.parametrize(("pixels", "together"), [(2500, False), (10_000, True)])
def test_no_more_pixels_in_hand_than_allowed(tmp_path: Path, pixels: int, together: bool) -> None:
    tasks = [batch.Task(photo(tmp_path / f"{n}.png", n), tmp_path / f"{n}.pub.png") for n in range(4)]
    assert weigh(tasks[0].source) == 2400
    spans = sorted(o.result for o in batch.run(tasks, wait_and_see, batch.Pool(2, pixels)) if o.result)
    overlap = any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans))
    assert len(spans) == 4 and overlap is together


def test_a_pipe_among_the_photos_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("photoguard.photos.images.stated_size", lambda path: (60, 40))
    os.mkfifo(tmp_path / "pipe.jpg")
    assert weigh(photo(tmp_path / "a.png")) == 2400
    assert weigh(tmp_path / "pipe.jpg") == 1


# Going on after an interruption


@pytest.fixture
def journal(tmp_path: Path) -> batch.Journal:
    return batch.Journal(b"k" * 32, b"solid", tmp_path / "home")


@pytest.fixture
def task(tmp_path: Path, journal: batch.Journal) -> batch.Task:
    """A photo that was done and noted."""
    task = batch.Task(photo(tmp_path / "a.png"), tmp_path / "out" / "a.pub.png")
    journal.begin([task])
    for path in task.certain:
        path.write_bytes(b"output")
    journal.done(task, task.certain)
    return task


def noted(path: Path, key: bytes = b"k" * 32) -> list[dict[str, Any]]:
    """The lines of a journal."""
    return [line for raw in path.read_bytes().splitlines() if (line := unsealed(raw, key)) is not None]


def key_of(home: Path) -> bytes:
    return bytes.fromhex((home / ".config" / "photoguard" / "journal.key").read_text())


def reopened(journal: batch.Journal, **changes: object) -> batch.Journal:
    return replace(journal, _lines={}, _places={}, notices=[], **changes)


def test_what_is_finished_is_skipped(journal: batch.Journal, task: batch.Task) -> None:
    skipped = reopened(journal).finished(task)
    assert skipped and sorted(skipped.files) == ["a.priv", "a.pub.png"]
    for path in task.certain:
        path.unlink()
    assert reopened(journal).finished(task) is None, "outputs taken away are made anew"


def test_a_journal_tells_nothing_about_the_originals(journal: batch.Journal, task: batch.Task) -> None:
    path = task.public.parent / NAME
    kind = task.source.stat()
    assert path.stat().st_mode & 0o077 == 0
    assert str(kind.st_size) not in path.read_text() and str(kind.st_mtime_ns) not in path.read_text()
    assert not any(name in path.read_bytes() for name in (b"a.p", b"priv", b"png", b"files", b"begun"))
    lengths = {len(line) for line in path.read_bytes().splitlines()}
    assert len(lengths) == 1, "not even how long a name is, or what kind of line it is"
    assert len(set(path.read_bytes().splitlines())) == 2
    other = reopened(journal, key=b"other" * 8)
    assert other.finished(task) is None and noted(path, b"other" * 8) == []


def test_changes_are_noticed(journal: batch.Journal, task: batch.Task) -> None:
    with pytest.raises(OutputExistsError, match="other options"):
        reopened(journal, settings=b"blur").finished(task)
    content = task.source.read_bytes()
    os.utime(task.source, ns=(0, 0))
    with pytest.raises(OutputExistsError, match="has changed"):
        reopened(journal).finished(task)
    task.private.write_bytes(b"shorter")
    task.source.write_bytes(content)
    fresh = reopened(journal)
    fresh.begin([task])
    fresh.done(task, task.certain)
    task.private.write_bytes(b"cut")
    with pytest.raises(OutputExistsError, match="changed or are missing"):
        reopened(journal).finished(task)


def test_content_counts_on_request(journal: batch.Journal, task: batch.Task) -> None:
    by_content = reopened(journal, by_content=True)
    by_content.begin([task])
    by_content.done(task, task.certain)
    times = task.source.stat().st_mtime_ns
    os.utime(task.source, ns=(0, 0))
    assert reopened(journal, by_content=True).finished(task), "the same bytes"
    data = bytearray(task.source.read_bytes())
    data[-20] ^= 1
    task.source.write_bytes(data)
    os.utime(task.source, ns=(times, times))
    assert reopened(journal).finished(task), "same size, same time"
    with pytest.raises(OutputExistsError, match="has changed"):
        reopened(journal, by_content=True).finished(task)


def test_a_photo_that_is_edited_while_in_hand_has_changed_since(
    journal: batch.Journal, task: batch.Task
) -> None:
    journal.begin([task], forced=True)
    photo(task.source, seed=1)
    os.utime(task.source, ns=(0, 0))
    journal.done(task, task.certain)
    with pytest.raises(OutputExistsError, match="has changed"):
        reopened(journal).finished(task)


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


def test_outputs_of_somebody_else_are_not_taken_for_finished(journal: batch.Journal, tmp_path: Path) -> None:
    task = batch.Task(photo(tmp_path / "a.png"), tmp_path / "a.pub.png")
    for path in task.certain:
        path.write_bytes(b"not ours")
    journal.begin([task])
    assert reopened(journal).finished(task) is None


def test_killed_between_the_output_and_its_note(journal: batch.Journal, tmp_path: Path) -> None:
    task = batch.Task(photo(tmp_path / "a.png"), tmp_path / "a.pub.png")
    journal.begin([task])
    task.private.write_bytes(b"private")
    assert reopened(journal).finished(task) is None
    task.public.write_bytes(b"public")
    assert reopened(journal).finished(task)
    assert len(noted(tmp_path / NAME)) == 2, "noted now"


def test_a_torn_line_is_no_line(journal: batch.Journal, task: batch.Task) -> None:
    path = task.public.parent / NAME
    whole = path.read_bytes()
    for cut in range(1, 60, 7):
        path.write_bytes(whole[:-cut])
        again = reopened(journal)
        assert again.finished(task), "its outputs lie beside the first line"
        assert "files" in noted(path)[-1]


def test_what_was_moved_meanwhile_is_not_noted(journal: batch.Journal, task: batch.Task) -> None:
    path = task.public.parent / NAME
    lines = path.read_text()
    task.public.unlink()
    journal.done(task, task.certain)
    assert path.read_text() == lines


ODD = {
    "nonsense": b"nonsense",
    "bytes": b"\xff\x00\xfe",
    "brackets": b"[" * 100_000,
    "an earlier version's": b'{"to": "a.pub.png", "files": {"a.pub.png": 6}, "photo": "a", "as": "b"}',
    "NUL": b'{"to": "a\\u0000.pub.png", "files": {"a\\u0000": 6}, "photo": "a", "as": "b"}',
    "a lone surrogate": b'{"to": "a\\ud800.pub.png", "files": {"\\ud800": 6}, "photo": "a", "as": "b"}',
    "another's": sealed({"to": "a.pub.png", "begun": True, "photo": "a", "as": "b"}, b"other" * 8).rstrip(),
    "longer than any": b"A" * 3_000_000,
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_a_line_that_is_none_of_ours_is_no_line(journal: batch.Journal, task: batch.Task, odd: bytes) -> None:
    path = task.public.parent / NAME
    with path.open("ab") as file:
        file.write(odd + b"\n")
    assert reopened(journal).finished(task)
    again = reopened(journal)
    again.begin([task], forced=True)
    assert len(noted(path)) == 3 and not again.notices


def plant(path: Path, kind: str) -> None:
    """Something with a journal's name that is not the user's journal."""
    other = path.with_name("diary.txt")
    other.write_bytes(b"dear diary")
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a link":
        path.symlink_to(other)
    elif kind == "a second name":
        path.write_bytes(sealed({"to": "x"}, b"k" * 32))
        os.link(path, path.with_name("second"))
    elif kind == "a photo":
        photo(path.with_suffix(".png")).rename(path)
    else:
        path.write_bytes(ODD[kind] + b"\n")


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a link", "a second name", "a photo", *ODD], ids=str)
def test_what_is_planted_as_a_journal_is_left_alone(
    journal: batch.Journal, tmp_path: Path, kind: str
) -> None:
    task = batch.Task(photo(tmp_path / "a.png"), tmp_path / "a.pub.png")
    path = tmp_path / NAME
    plant(path, kind)
    before = path.read_bytes() if path.is_file() else None
    journal.begin([task])
    for output in task.certain:
        output.write_bytes(b"output")
    journal.done(task, task.certain)
    assert reopened(journal).finished(task), "noted in the user's own folder"
    assert len(noted(next((tmp_path / "home").iterdir()))) == 2
    assert any("left alone" in notice for notice in journal.notices)
    assert (path.read_bytes() if path.is_file() else None) == before


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


def test_a_journal_that_is_swapped_while_in_use_is_not_written_to(
    journal: batch.Journal, task: batch.Task
) -> None:
    path = task.public.parent / NAME
    photo(path.with_name("mine.png")).replace(path)
    before = path.read_bytes()
    with pytest.raises(UnwritableError, match="was replaced"):
        journal.done(task, task.certain)
    assert path.read_bytes() == before


def test_two_runs_begin_one_journal(journal: batch.Journal, tmp_path: Path) -> None:
    one, two = (batch.Task(photo(tmp_path / f"{n}.png"), tmp_path / f"{n}.pub.png") for n in "ab")
    other = reopened(journal)
    assert journal.finished(one) is None and other.finished(two) is None, "neither has found one"
    journal.begin([one])
    other.begin([two])
    assert [line["to"] for line in noted(tmp_path / NAME)] == ["a.pub.png", "b.pub.png"]


def test_a_journal_without_a_line_is_as_good_as_none(journal: batch.Journal, task: batch.Task) -> None:
    (task.public.parent / NAME).write_bytes(b"")
    assert reopened(journal).finished(task) is None


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


def at_home(tmp_path: Path) -> dict[str, str]:
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config"), "PYTHONPATH": str(ROOT)}
    return {**os.environ, **home}


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


def test_a_container_with_little_memory_is_believed(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    assert batch.pool._free_memory(tmp_path) == 8000 * 1024
    group = tmp_path / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (group / "memory.current").write_text("1000\n")
    for limit, free in (("max", 8000 * 1024), ("5000", 4000), ("500", 0), (str(1 << 40), 8000 * 1024)):
        (group / "memory.max").write_text(limit + "\n")
        assert batch.pool._free_memory(tmp_path) == free
    (tmp_path / "proc" / "meminfo").unlink()
    assert batch.pool._free_memory(tmp_path) == 4_000_000_000


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


def test_a_second_source_of_one_name_is_refused(tmp_path: Path) -> None:
    one, other = photo(tmp_path / "a" / "x.png"), photo(tmp_path / "b" / "x.png")
    with pytest.raises(PhotoguardError, match="both become"):
        batch.plan([one, other], tmp_path / "out", batch.Selection())

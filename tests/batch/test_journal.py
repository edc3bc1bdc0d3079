"""Going on after an interruption: what is noted, and what is believed of what is noted."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from support.albums import (
    noted,
    photo,
)

from photoguard import batch
from photoguard.batch.journal import NAME, sealed
from photoguard.errors import (
    OutputExistsError,
    PhotoguardError,
    UnwritableError,
)


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


def test_a_second_source_of_one_name_is_refused(tmp_path: Path) -> None:
    one, other = photo(tmp_path / "a" / "x.png"), photo(tmp_path / "b" / "x.png")
    with pytest.raises(PhotoguardError, match="both become"):
        batch.plan([one, other], tmp_path / "out", batch.Selection())

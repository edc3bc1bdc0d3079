"""What takes part in a run over many photos.

Covers: batch.plan, batch.resume.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.albums import (
    photo,
)

from photoguard import batch
from photoguard.errors import (
    UnreadableError,
    UsageError,
)


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
    assert secrets == {"a.pub.png": ["a.priv", "a.ana.priv"], "a.b.pub.png": ["a.b.priv", "a.b.ana.priv"]}


def test_links_out_of_the_tree_are_not_followed(album: Path, tmp_path: Path) -> None:
    photo(tmp_path / "private" / "diary.png")
    (album / "sea" / "out.png").symlink_to(tmp_path / "private" / "diary.png")
    (album / "sea" / "in.png").symlink_to(album / "sea" / "1.png")
    (album / "sea" / "ring.png").symlink_to("ring.png")
    (album / "folder").symlink_to(tmp_path / "private")
    found = [task.source.name for task in batch.plan([album], None, batch.Selection(True))]
    assert "in.png" in found and "out.png" not in found and "diary.png" not in found

"""Recognizers are found in the data folder by what is in their files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from photoguard import recognizers
from photoguard.evaluate.common import recognizers as found


def test_a_file_is_known_by_its_hash_and_not_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(recognizers, "installed", lambda folder=None: [])
    added = []
    monkeypatch.setattr(recognizers, "add", lambda name, path, folder: added.append((name, path.name)))
    folder = tmp_path / "recognizers"
    folder.mkdir()
    (folder / "anything.bin").write_bytes(b"weights")
    (folder / "other.bin").write_bytes(b"something else")
    known = replace(found.TABLE["edgeface-xs"], sha256=recognizers.file_hash(folder / "anything.bin"))
    monkeypatch.setitem(found.TABLE, "edgeface-xs", known)
    assert list(found.available(tmp_path, tmp_path / "cache")) == ["edgeface-xs"]
    assert added == [("edgeface-xs", "anything.bin")]

"""The examples run as they stand, and do what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import ROOT

SAYS = {
    "protect_and_restore": ["face 1: 87 x 111 pixels", "1 face open, exact True, made by you"],
    "album": ["portrait.pub.png: 1 covered"],
    "share_one_face": ["Ana sees cover (1,), not (2,); made by me", "not among the recipients"],
    "chip": ["face 1: cosine 0.9"],
    "feature_service": ["portrait.jpg: age>=18 yes"],
}
WRITES = {
    "protect_and_restore": "shared/portrait.restored.png",
    "album": "album/portrait.priv",
    "share_one_face": "seen-by-ana.png",
    "chip": "chips/face1.restored.png",
}
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_an_example_runs_without_arguments(script: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for words in SAYS[script.stem]:
        assert words in done.stdout
    if script.stem in WRITES:
        assert (tmp_path / WRITES[script.stem]).is_file()
    assert not (tmp_path / "config").exists()


def test_examples_are_short_and_listed() -> None:
    listed = (ROOT / "examples" / "README.md").read_text()
    for script in SCRIPTS:
        assert len(script.read_text().splitlines()) < 40
        assert f"({script.name})" in listed

"""`evaluate` at the command line: what it measures, and what it says where data is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.shell import Shell


@pytest.mark.parametrize("what", ["ddm", "obfuscator", "avp"])
def test_data_that_is_not_there_is_named(photoguard: Shell, tmp_path: Path, what: str) -> None:
    done = photoguard("evaluate", what, "--data", tmp_path / "none", "--out", tmp_path / "out", code=3)
    assert "none" in done.stderr and done.stderr.startswith("error:")
    assert not list(tmp_path.glob("out/*.md")), "no table without a measurement"

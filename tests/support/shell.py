"""A command line to type at: every command is a process that starts from nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from support.places import ROOT

Shell = Callable[..., subprocess.CompletedProcess[str]]


def shell(home: Path, folder: Path) -> Shell:
    """Commands typed in `folder` by somebody whose home is `home`; each has its exit code checked."""
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "PYTHONPATH": str(ROOT)}

    def run(
        *args: object, code: int = 0, typed: str = "", cwd: Path | None = None, before: str = ""
    ) -> subprocess.CompletedProcess[str]:
        program = before + "\nfrom photoguard.cli.main import run; run()"
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, args)], env={**os.environ, **own}, input=typed,
            capture_output=True, text=True, errors="surrogateescape", cwd=cwd or folder, check=False,
        )  # fmt: skip
        assert done.returncode == code, f"exit {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
        return done

    return run

"""What the tests share: the sample photo, real data where it exists, and a command line to type at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PORTRAIT = ROOT / "examples" / "portrait.jpg"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on real data and on a GPU say why they are skipped."""
    folder = os.environ.get("PHOTOGUARD_DATA")
    no_data = pytest.mark.skip(reason="PHOTOGUARD_DATA names no folder with the real photos")
    no_gpu = pytest.mark.skip(reason="there is no CUDA device")
    for item in items:
        if item.get_closest_marker("data") and not (folder and Path(folder).is_dir()):
            item.add_marker(no_data)
        if item.get_closest_marker("gpu") and not _has_gpu():
            item.add_marker(no_gpu)


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """Evaluation turns the processor's denormal numbers off; the next test wants them back."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def data() -> Path:
    """The folder with real photos."""
    return Path(os.environ["PHOTOGUARD_DATA"])


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    """A copy of the sample photo in a folder of its own."""
    folder = tmp_path / "photos"
    folder.mkdir()
    copy = folder / "portrait.jpg"
    copy.write_bytes(PORTRAIT.read_bytes())
    return copy


Shell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def photoguard(tmp_path: Path) -> Shell:
    """Type a command: `photoguard("encrypt", photo)`; a home of its own, the exit code checked."""
    home = tmp_path / "home"
    home.mkdir()

    def run(
        *args: object, code: int = 0, typed: str = "", cwd: Path | None = None, before: str = ""
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                before + "\nfrom photoguard.cli.main import run; run()",
                *map(os.fspath, map(_text, args)),
            ],
            env={
                **os.environ,
                "HOME": str(home),
                "XDG_CONFIG_HOME": str(home / ".config"),
                "PYTHONPATH": str(ROOT),
            },
            input=typed,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            cwd=cwd or tmp_path,
            check=False,
        )
        assert done.returncode == code, f"exit {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
        return done

    return run


def _text(value: object) -> str:
    return os.fspath(value) if isinstance(value, Path) else str(value)

"""Folders of small photos, tasks for workers, and whole commands in processes of their own."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from support.places import ROOT

from photoguard import batch
from photoguard.batch.journal import unsealed
from photoguard.errors import UnreadableError

BY_HAND = ("--method", "solid", "--faces", "none", "--region", "10,10,20,20")  # needs no network: starts fast


def photo(path: Path, seed: int = 0, size: tuple[int, int] = (60, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


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


def rest(task: batch.Task) -> None:
    time.sleep(0 if task.source.stem == "1" else 60)


def wait_and_see(task: batch.Task) -> tuple[float, float]:
    began = time.monotonic()
    time.sleep(0.15)
    return began, time.monotonic()


def noted(path: Path, key: bytes = b"k" * 32) -> list[dict[str, Any]]:
    """The lines of a journal."""
    return [line for raw in path.read_bytes().splitlines() if (line := unsealed(raw, key)) is not None]


def key_of(home: Path) -> bytes:
    return bytes.fromhex((home / ".config" / "photoguard" / "journal.key").read_text())


def at_home(tmp_path: Path) -> dict[str, str]:
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config"), "PYTHONPATH": str(ROOT)}
    return {**os.environ, **home}

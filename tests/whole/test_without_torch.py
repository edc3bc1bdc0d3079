"""The everyday commands run where torch is not installed, and the others say what they need."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from support.places import ROOT
from support.shell import Shell

BLOCKED = "import sys; sys.modules['torch'] = sys.modules['torchvision'] = None"
SPAWN = (
    "import multiprocessing; get = multiprocessing.get_context\n"
    "multiprocessing.get_context = lambda way: get('spawn')"
)
WATCHED = ("torch", "torchvision", "onnxruntime", "cv2", "numpy", "PIL", "pillow_heif")
SPY = (
    "import atexit, sys\n"
    f"atexit.register(lambda: print('LOADED', *(name for name in {WATCHED} if name in sys.modules)))"
)
PAGE = ROOT / "docs" / "development" / "design.md"


@pytest.fixture
def portrait(photoguard: Shell, tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "examples" / "portrait.jpg", tmp_path / "a.jpg"))


@pytest.mark.parametrize("method", ["ddm", "solid", "blur", "pixelate"])
def test_a_photo_there_and_back(photoguard: Shell, portrait: Path, method: str) -> None:
    photoguard("encrypt", portrait, "--method", method, before=BLOCKED)
    for command in ("verify", "decrypt"):
        photoguard(command, portrait.with_name("a.pub.png"), before=BLOCKED)


def test_commands_that_look_at_faces(photoguard: Shell, portrait: Path) -> None:
    photoguard("detect", portrait, before=BLOCKED)
    photoguard("features", portrait, before=BLOCKED)
    photoguard("classify", portrait.with_name("a.features"), before=BLOCKED)
    photoguard("match", portrait, portrait, before=BLOCKED)


@pytest.mark.parametrize("start", ["", SPAWN], ids=["fork", "spawn"])
def test_an_album_over_two_workers(photoguard: Shell, portrait: Path, tmp_path: Path, start: str) -> None:
    (tmp_path / "album").mkdir()
    for name in "bcd":
        shutil.copy(portrait, tmp_path / "album" / f"{name}.jpg")
    # Spawned workers begin from nothing: Python's own start-up hook blocks torch there too.
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(BLOCKED)
    hook = f"import os; os.environ['PYTHONPATH'] += ':{tmp_path / 'hook'}'"
    before = f"{BLOCKED}\n{hook}\n{start}"
    photoguard("encrypt", tmp_path / "album", "-o", tmp_path / "out", "--jobs", "2", before=before)
    photoguard("verify", "-r", tmp_path / "out", "--jobs", "2", before=before)
    photoguard("decrypt", tmp_path / "out", "--jobs", "2", before=before)
    assert len([*(tmp_path / "out").glob("*.restored.png")]) == 3


@pytest.mark.parametrize(
    "words",
    [("encrypt", "a.jpg", "--method", "avp"), ("train", "ddm", "--data", ".", "--out", "x")],
)
def test_what_needs_torch_says_so(photoguard: Shell, portrait: Path, words: tuple[str, ...]) -> None:
    said = photoguard(*words, code=7, before=BLOCKED, cwd=portrait.parent).stderr
    assert "needs torch" in said and "pip install torch" in said
    assert [path.name for path in portrait.parent.glob("a.*")] == ["a.jpg"]


def test_the_page_lists_what_each_command_loads(photoguard: Shell, portrait: Path) -> None:
    """The table in docs/development/design.md."""
    table = PAGE.read_text("utf-8").partition("## What each command loads")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \| ([a-zA-Z0-9_, ]+) \|$", table, re.M)
    told = {
        command: set(loads.replace("nothing", "").replace(",", " ").split())
        for commands, loads in rows
        for command in re.findall("`([a-z]+)`", commands)
    }
    typed = {
        "keygen": ("-o", "key"), "encrypt": (portrait,), "verify": ("a.pub.png",), "decrypt": ("a.pub.png",),
        "inspect": ("a.priv",), "detect": (portrait,), "features": (portrait,), "classify": ("a.features",),
        "match": (portrait, portrait),
    }  # fmt: skip
    found = {}
    for command, words in typed.items():
        out = photoguard(command, *words, before=SPY, cwd=portrait.parent).stdout
        found[command] = set(out.rpartition("LOADED")[2].split())
    assert told == found


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("import sys; sys.modules['onnxruntime'] = None", "ONNX Runtime cannot be loaded"),
        (
            "import sys, types; sys.modules['onnxruntime'] = types.SimpleNamespace(__version__='1.9.0')",
            "too old",
        ),
        (
            "from photoguard import graphs; graphs.GRAPHS['pnet'] = '0' * 64",
            "not the file that was published",
        ),
        (
            "import dataclasses; from photoguard import weights\n"
            "weights.SHIPPED['ddm'] = dataclasses.replace(weights.SHIPPED['ddm'], sha256='0' * 64)",
            "not the file that was published",
        ),
        (
            "import numpy as np; from photoguard import graphs; load = graphs.load\n"
            "def broken(name, values, alone=False):\n"
            "    return load(name, {k: v * np.float32('nan') for k, v in values.items()}, alone)\n"
            "graphs.load = broken",
            "values that are no numbers",
        ),
    ],
    ids=["missing", "old", "graph", "weights", "nan"],
)
def test_a_fault_of_the_networks_ends_with_exit_7_and_no_file(
    photoguard: Shell, portrait: Path, before: str, says: str
) -> None:
    said = photoguard("encrypt", portrait, code=7, before=before).stderr
    assert says in said and "hint: " in said
    assert [path.name for path in portrait.parent.glob("*a.*")] == ["a.jpg"]

"""Rooms import downward, and some stay free of what is slow, large or somebody else's."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from support.layers import LAYERS, design, table
from support.source import PACKAGE, imports, inside, modules, tree

NO_TORCH = (
    "errors",
    "interruption",
    "files",
    "photos",
    "formats",
    "looks",
    "graphs",
    "detection",
    "covering",
    "opening",
    "cli",
)
BARE_MACHINE = {"torch", "numpy", "PIL", "tqdm", "typer", "safetensors"}  # all that nets and train may need


def room(name: str) -> str:
    """The part of the package that a module lies in; nothing for the package itself."""
    return name.split(".")[1] if "." in name else ""


def packages(path: Path, **which: bool) -> set[str]:
    """The top-level packages that a file imports."""
    return {name.split(".")[0] for name in imports(tree(path), **which)}


@pytest.mark.parametrize("name", [name for name in modules() if room(name)])
def test_imports_point_downward(name: str) -> None:
    own = room(name)
    assert own in LAYERS, f"{own} has no layer: add it to tests/support/layers.py"
    for other in {room(one) for one in imports(tree(modules()[name]), typing=False) if one in modules()}:
        if other not in ("", own):
            assert LAYERS[other][0] < LAYERS[own][0], f"{own} may not import {other}"


def test_the_design_page_shows_these_layers() -> None:
    assert table() in design().read_text(), "run: PYTHONPATH=tests python -m support.layers"
    assert set(LAYERS) == {room(name) for name in modules()} - {"", "__main__"}


@pytest.mark.parametrize("own", NO_TORCH)
def test_modules_that_must_start_fast_or_stay_small_never_import_torch(own: str) -> None:
    for name, path in inside(own).items():
        assert not packages(path, typing=False) & {"torch", "torchvision"}, name


def test_methods_seal_and_looks_cover_and_neither_knows_the_other() -> None:
    for own, other in (("methods", "looks"), ("looks", "methods")):
        for name, path in inside(own).items():
            assert other not in {room(one) for one in imports(tree(path)) if one in modules()}, name


def test_the_envelope_knows_no_pictures() -> None:
    assert not packages(PACKAGE / "formats" / "envelope.py") & {"PIL", "cv2"}


@pytest.mark.parametrize("own", ["nets", "train", "weights"])
def test_training_runs_on_a_bare_machine(own: str) -> None:
    for name, path in inside(own).items():
        foreign = packages(path, everywhere=False)
        assert foreign <= BARE_MACHINE | set(sys.stdlib_module_names) | {"photoguard"}, f"{name}: {foreign}"


def test_only_weights_reads_safetensors() -> None:
    assert {room(name) for name, path in modules().items() if "safetensors" in packages(path)} <= {"weights"}


def test_only_the_command_line_prints_and_exits() -> None:
    for name, path in modules().items():
        if room(name) in ("cli", "train"):
            continue
        for node in ast.walk(tree(path)):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            assert called not in ("print", "input", "exit"), f"{name} calls {called}"

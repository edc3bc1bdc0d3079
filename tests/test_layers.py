"""The layers of docs/design.md, checked from the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "photoguard"

# A module imports only from lower layers, or from its own package.
LAYERS = {
    "errors": 0,
    "interruption": 1, "files": 1, "nets": 1, "looks": 1,
    "photos": 2, "weights": 2, "datasets": 2,
    "formats": 3, "graphs": 3,
    "detection": 4, "recognizers": 4,
    "methods": 5, "covering": 5, "opening": 5,
    "protect": 6, "match": 6, "reveal": 7,
    "batch": 8, "train": 8, "evaluate": 8,
    "cli": 9,
}  # fmt: skip
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


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST, top_level_only: bool = False) -> set[str]:
    """The modules imported, less those that only type checkers see."""
    nodes = list(tree.body) if top_level_only and isinstance(tree, ast.Module) else list(ast.walk(tree))
    hidden = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    found: set[str] = set()
    for node in nodes:
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "photoguard":
                found |= {f"photoguard.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downward(path: Path) -> None:
    own = layer_of(path)
    assert own in LAYERS, f"{own} has no layer: add it to the table here and in docs/design.md"
    for name in imports(ast.parse(path.read_text())):
        if not name.startswith("photoguard.") or name == "photoguard.__version__":
            continue
        other = name.split(".")[1]
        assert other == own or LAYERS[other] < LAYERS[own], f"{own} may not import {other}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=lambda p: p.stem)
def test_no_command_imports_another(path: Path) -> None:
    """What two of them need lies in cli/shared; `main` registers them, and the reference prints them."""
    found = {f"{name}." for name in imports(ast.parse(path.read_text()))}
    others = {name for name in found if name.startswith("photoguard.cli.")}
    if path.stem not in ("main", "reference"):
        assert all(name.startswith("photoguard.cli.shared.") for name in others), f"{path.stem}: {others}"


@pytest.mark.parametrize("own", NO_TORCH)
def test_modules_that_must_start_fast_or_stay_small_never_import_torch(own: str) -> None:
    for path in modules():
        if layer_of(path) == own:
            assert not {n.split(".")[0] for n in imports(ast.parse(path.read_text()))} & {
                "torch",
                "torchvision",
            }


def test_methods_seal_and_looks_cover_and_neither_knows_the_other() -> None:
    for path in modules():
        own, other = layer_of(path), {"methods": "looks", "looks": "methods"}.get(layer_of(path))
        names = imports(ast.parse(path.read_text()))
        assert other is None or not {n for n in names if n.startswith(f"photoguard.{other}")}, own


def test_the_envelope_knows_no_pictures() -> None:
    assert not {
        n.split(".")[0] for n in imports(ast.parse((PACKAGE / "formats" / "envelope.py").read_text()))
    } & {
        "PIL",
        "cv2",
    }


@pytest.mark.parametrize("own", ["nets", "train", "weights"])
def test_training_runs_on_a_bare_machine(own: str) -> None:
    standard = __import__("sys").stdlib_module_names
    for path in modules():
        if layer_of(path) != own:
            continue
        foreign = {n.split(".")[0] for n in imports(ast.parse(path.read_text()), top_level_only=True)}
        assert foreign <= BARE_MACHINE | set(standard) | {"photoguard"}, f"{path.name} needs {foreign}"


def test_only_weights_reads_safetensors() -> None:
    users = {
        layer_of(p)
        for p in modules()
        if any(n.startswith("safetensors") for n in imports(ast.parse(p.read_text())))
    }
    assert users <= {"weights"}


def test_only_the_command_line_prints_and_exits() -> None:
    for path in modules():
        if layer_of(path) in ("cli", "train"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            assert called not in ("print", "input", "exit"), f"{path.name} calls {called}"

"""The package's own source, as the tests of its order read it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from support.places import ROOT

PACKAGE = ROOT / "photoguard"
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    """A file, parsed once."""
    return ast.parse(path.read_text())


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name; a folder goes by the name of its `__init__`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def inside(folder: str) -> dict[str, Path]:
    """The modules of one folder of the package, such as `evaluate.avp`."""
    return {name: path for name, path in modules().items() if f"{name}.".startswith(f"photoguard.{folder}.")}


@cache
def imports(module: ast.AST, typing: bool = True, everywhere: bool = True) -> set[str]:
    """The modules imported; `typing` with those that type checkers alone see, `everywhere` with late ones."""
    nodes = list(ast.walk(module)) if everywhere else list(ast.iter_child_nodes(module))
    hidden = set() if typing else {id(child) for block in _for_checkers(module) for child in ast.walk(block)}
    found: set[str] = set()
    for node in nodes:
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _for_checkers(module: ast.AST) -> Iterator[ast.If]:
    for node in ast.walk(module):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield node


@cache
def own_imports(name: str) -> frozenset[str]:
    """The modules of the package that a module imports; from a folder, only what is taken from it counts."""
    wanted = imports(tree(modules()[name]))
    known = {one for one in wanted if one in modules() and one != name}
    # `from photoguard.files import remote` also names photoguard.files: that is no use of it.
    bare = {one for one in known if _only_modules_of(one, modules()[name])}
    return frozenset(known - bare)


def _only_modules_of(folder: str, path: Path) -> bool:
    """Whether all that is imported from a folder are modules in it."""
    taken = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            taken += [False for alias in node.names if alias.name == folder]
        elif isinstance(node, ast.ImportFrom) and node.module == folder:
            taken += [f"{folder}.{alias.name}" in modules() for alias in node.names]
    return bool(taken) and all(taken)


def functions(path: Path) -> Iterator[Function]:
    """Every function of a file, inner ones and methods too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, Function):
            yield node

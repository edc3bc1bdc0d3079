"""The order of the rooms: no cycle, no command or experiment in another, nothing too long or untested.

Every rule is read from the source.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from support.places import ROOT
from support.source import PACKAGE, Function, functions, imports, inside, modules, own_imports, tree

EXPERIMENTS = ("ddm", "avp", "obfuscator", "classification")
TESTS = ROOT / "tests"
LINES = {"file": 450, "function": 60}


# Who imports whom


def cycle(graph: dict[str, frozenset[str]]) -> list[str]:
    """The first way found from a module back to itself."""
    done: set[str] = set()

    def back(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name not in done:
            for other in sorted(graph[name]):
                if found := back(other, [*way, name]):
                    return found
            done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := back(name, []))), [])


def test_a_cycle_is_found() -> None:
    none, two = frozenset(), frozenset({"b", "c"})
    assert cycle({"a": two, "b": frozenset({"c"}), "c": none}) == []
    assert cycle({"a": two, "b": none, "c": frozenset({"a"})}) == ["a", "c", "a"]


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports that only type checkers see, and those within functions, count too."""
    assert not (found := cycle({name: own_imports(name) for name in modules()})), " -> ".join(found)


def commands() -> dict[str, Path]:
    """The files of commands; `main` puts them together, `shared` is what they share."""
    apart = ("photoguard.cli", "photoguard.cli.main", "photoguard.cli.reference")
    return {name: path for name, path in inside("cli").items() if name not in apart and "shared" not in name}


@pytest.mark.parametrize("name", commands())
def test_no_command_imports_another(name: str) -> None:
    assert not own_imports(name) & set(commands())


def test_what_commands_share_knows_no_command() -> None:
    for name in inside("cli.shared"):
        assert not own_imports(name) & set(commands()), name


@pytest.mark.parametrize("own", EXPERIMENTS)
def test_no_experiment_imports_another(own: str) -> None:
    others = tuple(f"photoguard.evaluate.{other}" for other in EXPERIMENTS if other != own)
    for name in inside(f"evaluate.{own}"):
        assert not [one for one in own_imports(name) if one.startswith(others)], name


def test_what_experiments_share_knows_no_experiment() -> None:
    all_of_them = tuple(f"photoguard.evaluate.{one}" for one in EXPERIMENTS)
    for name in inside("evaluate.common"):
        assert not [one for one in own_imports(name) if one.startswith(all_of_them)], name


def test_no_test_imports_a_test() -> None:
    tests = {path.stem for path in TESTS.rglob("test_*.py")} | {"conftest"}
    for path in TESTS.rglob("*.py"):
        found = {part for name in imports(tree(path)) for part in name.split(".")}
        assert not found & tests, f"{path.relative_to(ROOT)} imports {found & tests}"


# Every module has a test


COVERS = re.compile(r"^Covers: *((?:.|\n)*?)\.$", re.M)


def named(test: Path) -> set[str]:
    """The modules that a test names after `Covers:` in its docstring, without `photoguard.` in front."""
    text = " ".join(COVERS.findall(ast.get_docstring(tree(test)) or ""))
    return {f"photoguard.{name}" for name in re.findall(r"[\w.]*\w", text)}


@cache
def covered() -> set[str]:
    """The modules with a test of their name, those that a test of their room imports, and those it names."""
    found = set()
    for test in TESTS.rglob("test_*.py"):
        room = ".".join(("photoguard", *test.parent.relative_to(TESTS).parts))
        imported = {name for name in imports(tree(test)) if name.rpartition(".")[0] == room or name == room}
        found |= {f"{room}.{test.stem.removeprefix('test_')}"} | imported | named(test)
    return found | {name for name in commands() if name.rpartition(".")[2] in typed()}


@cache
def typed() -> set[str]:
    """Whatever tests type: a command's test types it."""
    return {
        word.value
        for test in TESTS.rglob("test_*.py")
        for call in ast.walk(tree(test))
        if isinstance(call, ast.Call)
        for word in call.args
        if isinstance(word, ast.Constant) and isinstance(word.value, str)
    }


def has_code(path: Path) -> bool:
    """Whether a file defines anything: most `__init__` say one sentence or pass names on."""
    return any(isinstance(node, Function | ast.ClassDef) for node in tree(path).body)


@pytest.mark.parametrize("name", [name for name, path in modules().items() if has_code(path)])
def test_every_module_has_a_test(name: str) -> None:
    assert name in covered(), (
        "write a test of its name, or name it in `Covers: a.b, a.c.` of a test's docstring"
    )


def test_what_tests_name_is_there() -> None:
    """A module that moves or goes takes its name in `Covers:` along."""
    for test in TESTS.rglob("test_*.py"):
        assert named(test) <= set(modules()), f"{test.relative_to(ROOT)} names {named(test) - set(modules())}"


# Nothing is too long


def body_lines(function: Function) -> int:
    """The lines of a function, its decorators, signature and docstring left out."""
    first = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0]
    return (function.end_lineno or 0) - first.lineno + 1


def whole_lines(function: Function) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


def test_no_function_is_too_long() -> None:
    """Of a command only the body counts: its options take a line each, with their help texts."""
    long = [
        f"{name}.{function.name}: {lines} lines"
        for name, path in modules().items()
        for function in functions(path)
        if (lines := body_lines(function) if name in commands() else whole_lines(function))
        > LINES["function"]
    ]
    assert not long


def test_no_file_is_too_long() -> None:
    long = {
        name: count
        for name, path in modules().items()
        if (count := len(path.read_text().splitlines())) > LINES["file"]
    }
    assert not long


def test_the_package_lies_where_these_tests_look() -> None:
    assert len(modules()) > 100 and modules()["photoguard.cli.main"] == PACKAGE / "cli" / "main.py"
    assert "photoguard.errors" in own_imports("photoguard.protect") and len(commands()) > 5

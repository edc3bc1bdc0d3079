"""The README's test command brings all that the tests use; what only a developer's machine has is no help."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

from support.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOUND_ELSEWHERE = {"torchvision"}  # facenet-pytorch brings it


def wanted(requirements: list[str]) -> set[str]:
    """The distributions that requirements name, extras of our own followed."""
    names: set[str] = set()
    for requirement in requirements:
        name, extras = re.match(r"([\w.-]+)(?:\[([\w, -]+)\])?", requirement).groups()  # type: ignore[union-attr]
        names.add(name.lower().replace("_", "-"))
        for extra in re.split(r", *", extras or "") if name == PROJECT["name"] else ():
            names |= wanted(PROJECT["optional-dependencies"][extra])
    return names


def imported(folder: str) -> set[str]:
    found: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    own = {path.stem for path in (ROOT / folder).rglob("*.py")} | {
        path.name for path in (ROOT / folder).iterdir()
    }
    return (
        found - set(sys.stdlib_module_names) - own - {"photoguard", "tests", "benchmarks"} - FOUND_ELSEWHERE
    )


def test_the_dev_extra_brings_all_that_tests_and_package_import() -> None:
    brought = wanted([*PROJECT["dependencies"], "photoguard[dev]"])
    known = packages_distributions()
    for module in sorted(imported("tests") | imported("photoguard")):
        names = {name.lower().replace("_", "-") for name in known.get(module, [module])}
        assert names & brought, f"{module} is imported, and no requirement brings {names}"

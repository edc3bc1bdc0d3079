"""No page of the documentation names what is not there: links, headings, files, commands, options, tests."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
import typer

from photoguard.cli import reference
from photoguard.cli.main import app

ROOT = Path(__file__).parents[2]
FOLDERS = "photoguard|tests|docs|weights|benchmarks|examples"
PAGES = sorted([*ROOT.glob("*.md"), *(p for name in FOLDERS.split("|") for p in (ROOT / name).rglob("*.md"))])
OTHERS = (
    "pip ",
    "small/bin/pip ",
    "pytest",
    "python ",
    "torchrun ",
    "dask ",
    "ruff ",
    "mypy ",
    "find ",
)  # programs with options
# Settings of `python -m photoguard.train.ddm` that `photoguard train ddm` does not offer.
TRAINING = {
    "--principal-start", "--check-gain", "--spread-weight", "--same-weight", "--away-weight",
    "--private-boost", "--warm-up",
}  # fmt: skip

LABELS = {"carrier", "commitment", "seal", "signing", "chip"}  # words of keyed labels: "photoguard carrier"
MADE = (".pub.png", ".restored.png")  # by the commands beside them

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)


def code(page: Path) -> list[str]:
    """What somebody might type: the lines of blocks, continued ones joined, and inline code."""
    text = page.read_text()
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, flags=re.S | re.M)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return lines + [span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", prose(page))]


@cache
def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub links to them."""
    titles = re.findall(r"^#+ (.*)$", prose(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@cache
def commands() -> dict[str, set[str]]:
    """The options of every command, but not their earlier names."""
    found = reference._commands(typer.main.get_command(app), "photoguard")
    return {
        path: {"--help"}
        | {
            name
            for p in command.params
            for name in [*p.opts, *p.secondary_opts]
            if not getattr(p, "hidden", False)
        }
        for path, command in found
    }


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        there = (page.parent / name).resolve() if name else page
        assert there.exists(), f"{target} is not there"
        assert not anchor or anchor in anchors(there), f"{target}: there is no such heading"


@each_page
def test_files_that_are_named_exist(page: Path) -> None:
    for name in re.findall(rf"(?<![\w/])((?:{FOLDERS})/[\w./-]*\w/?)", prose(page)):
        assert (ROOT / name).exists() or name.endswith(MADE), name


@each_page
def test_commands_and_options_exist(page: Path) -> None:
    every = {option for options in commands().values() for option in options}
    for line in code(page):
        for part in re.split(r"&& |\| |# ", line):
            typed = part.strip()
            if typed.startswith(OTHERS):
                continue
            known = every | {"--version"} | TRAINING
            first = re.match(r"photoguard ([a-z][a-z-]*)", typed)
            if first and first[1] not in LABELS:
                named = [path for path in commands() if f"{typed} ".startswith(f"{path} ")]
                groups = [path for path in commands() if path.startswith(f"{typed} ")]
                assert named or groups, f"there is no command {typed!r}"
                known = set().union(*(commands()[path] for path in named or groups))
            for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", typed):
                assert option in known, f"{option} in {typed!r}"


def test_the_map_of_the_files_has_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    rows = [row for row in text[text.index("## Map of the files") :].splitlines() if row.startswith("| `")]
    typed = {name for row in rows for name in re.findall(r"`([a-z][a-z -]*[a-z])", row.split("|")[1])}
    for path in commands():
        name = path.removeprefix("photoguard ")
        assert typed & {name, name.split()[0]}, f"{path} is not on the map"


@each_page
def test_tests_that_are_named_exist(page: Path) -> None:
    defined = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    files = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    for name in re.findall(r"`(?:tests/\w*/?)?(test_\w+(?:\.py)?)`", page.read_text()):
        assert name in files or f"def {name}(" in defined, name


@pytest.mark.parametrize(
    "name, experiment",
    [("ddm", "ddm"), ("avp", "avp"), ("obfuscator", "obfuscator"), ("avp-classification", "classification")],
)
def test_a_page_of_results_is_what_its_generator_makes_of_the_figures(name: str, experiment: str) -> None:
    generator = import_module(f"photoguard.evaluate.{experiment}.tables")
    results = ROOT / "docs" / "results"
    made = generator.page(json.loads((results / f"{name}.json").read_text()))
    assert (results / f"{name}.md").read_text() == made, "write the page anew from its figures"

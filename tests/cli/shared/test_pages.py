"""What `--help` shows.

Covers: cli.shared.pages.
"""

from __future__ import annotations

import typer.main
from support.shell import Shell

from photoguard.cli.main import app
from photoguard.cli.shared.pages import EXAMPLES, GROUPS


def test_help_begins_with_examples_and_groups_options(photoguard: Shell) -> None:
    page = photoguard("encrypt", "--help").stdout
    places = [page.index(f"{title}:\n") for title in ("Examples", "Arguments", *GROUPS["encrypt"])]
    assert places == sorted(places)
    covered = page[page.index("What is covered:") : page.index("Covers, and")]
    assert "--keep" in covered and "--cosine" not in covered
    assert not any(kind in page for kind in ("<str", "<list", "<int", "<float", "<Path")), "one style"
    assert "--margin NUMBER" in page and "--key-model TEXT" in page and "  PHOTOS  " in page
    assert all(line.strip() in page for line in EXAMPLES["encrypt"])


def test_groups_name_options_that_exist_once() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for command, groups in GROUPS.items():
        named = [name for names in groups.values() for name in names]
        assert len(named) == len(set(named))
        assert set(named) <= {parameter.name for parameter in commands[command].params}


def test_the_list_of_commands_has_whole_sentences(photoguard: Shell) -> None:
    listed = photoguard("--help").stdout.split("Commands:")[1]
    assert "..." not in listed
    assert "NAME.priv to restore it." in " ".join(listed.split())

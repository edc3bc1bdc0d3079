"""The page docs/commands.md, written from the help texts: python -m photoguard.cli.reference."""

from __future__ import annotations

from typing import Any

import typer

from photoguard import errors
from photoguard.cli.main import app
from photoguard.cli.shared.voice import BUG, INTERRUPTED

HEAD = """# Commands

Written by `python -m photoguard.cli.reference > docs/commands.md` from the help texts that
`photoguard COMMAND --help` prints. Results go to standard output, everything else to standard error.
"""


def page() -> str:
    """The whole reference as Markdown."""
    root: Any = typer.main.get_command(app)
    parts = [HEAD]
    for path, command in _commands(root, "photoguard"):
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        names = " ".join(str(p.name).upper() for p in arguments)
        parts.append(f"## {path}\n\n`{path} [OPTIONS]{' ' + names if names else ''}`\n\n{command.help}\n")
        rows = [(f"`{str(p.name).upper()}`", getattr(p, "help", "")) for p in arguments]
        rows += [(_option(p), p.help) for p in command.params if p.param_type_name == "option"]
        parts.append("| | |\n|---|---|\n" + "".join(f"| {name} | {text} |\n" for name, text in rows if text))
    parts.append("## Exit codes\n\n| code | meaning |\n|---|---|\n" + "".join(_exit_codes()))
    return "\n".join(parts)


def _commands(command: Any, path: str) -> list[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        return [(path, command)]
    return [found for name, sub in command.commands.items() for found in _commands(sub, f"{path} {name}")]


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    plain = option.is_flag or option.default in (None, "", ()) or callable(option.default)
    default = getattr(option.default, "value", option.default)
    return names if plain else f"{names} (default `{default}`)"


def _exit_codes() -> list[str]:
    """One row a code, in order."""
    rows: dict[int, list[str]] = {0: ["All went well."]}
    for error in errors.PhotoguardError.__subclasses__():
        rows.setdefault(error.exit_code, []).append(error.__doc__ or "")
    rows[BUG] = ["A bug in photoguard."]
    rows[INTERRUPTED] = ["Interrupted; nothing unfinished was left behind."]
    return [f"| {code} | {' '.join(rows[code])} |\n" for code in sorted(rows)]


if __name__ == "__main__":
    print(page(), end="")

"""How `--help` is laid out: examples first, long lists of options in groups, whole sentences for commands."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand, TyperGroup

EXAMPLES = {
    "encrypt": (
        "photoguard encrypt photo.jpg                 photo.pub.png to share, photo.priv to keep",
        "photoguard encrypt album/ -o shared/ -r      a folder; private files go to shared.private/",
    ),
    "decrypt": (
        "photoguard decrypt photo.pub.png             with photo.priv beside it",
        "photoguard decrypt shared/ -o back/ -r       a folder, private files from shared.private/",
    ),
}
GROUPS = {
    "encrypt": {
        "What is covered": (
            "faces", "keep", "region", "margin", "min_face", "threshold", "thorough", "only_certain",
            "fail_on_uncertain", "no_face", "first_frame",
        ),
        "Covers, and what comes back": ("method", "look", "strength", "exact", "quality", "compact"),
        "Who can open it": ("to", "passphrase"),
        "Outputs": ("output", "private", "private_to", "rename", "portable", "force"),
        "Albums": (
            "recursive", "include", "exclude", "files_from", "jobs", "cluster", "by_content", "dry_run",
        ),
        "AVP (--method avp)": ("recognizer", "key_model", "robust", "cosine"),
    },
}  # fmt: skip


class Page(TyperCommand):
    """A command whose page has examples and groups."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """What it does, and how it is typed."""
        super().format_help_text(ctx, formatter)
        if self.name in EXAMPLES:
            with formatter.section("Examples"):
                for line in EXAMPLES[self.name]:
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, the groups in their order, and the rest."""
        groups = GROUPS.get(self.name or "", {})
        of = {name: title for title, names in groups.items() for name in names}
        rows: dict[str, list[Any]] = {title: [] for title in ("Arguments", *groups, "Options")}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            usual = "Arguments" if parameter.param_type_name == "argument" else "Options"
            if record is not None:
                rows[of.get(parameter.name or "", usual)].append((_plain(record[0]), record[1]))
        for title, records in rows.items():
            if records:
                with formatter.section("Everything else" if groups and title == "Options" else title):
                    formatter.write_dl(records)


def _plain(usage: str) -> str:
    """Values in one style: capitals, whatever type is behind them."""
    usage = re.sub(r"^([A-Z]+)(\.\.\.)? <.*>$", r"\1\2", usage)
    usage = re.sub(r"<(list\[)?[Pp]ath\]?>", "PATH", usage)
    usage = re.sub(r"<(int|float)( range)?>", "NUMBER", usage)
    return re.sub(r"<(list\[)?str\]?>", "TEXT", usage)


class Contents(TyperGroup):
    """A list of commands that says what each does without cutting the sentence."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """A command a row."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, " ".join((one.help or "").split("\n\n")[0].split())) for name, one in found if one]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

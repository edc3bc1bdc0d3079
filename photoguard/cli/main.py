"""The `photoguard` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from photoguard import __version__
from photoguard.cli import (
    classify,
    decrypt,
    detect,
    encrypt,
    evaluate,
    features,
    grant,
    inspect,
    keygen,
    match,
    recipients,
    recognizers,
    train,
    verify,
)
from photoguard.cli.shared.voice import complain
from photoguard.errors import PhotoguardError

app = typer.Typer(
    name="photoguard",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
for command in (
    encrypt.encrypt, decrypt.decrypt, keygen.keygen, detect.detect, inspect.inspect, verify.verify,
    grant.grant, recipients.recipients, features.features, classify.classify, match.match,
):  # fmt: skip
    app.command()(command)
for group in (recognizers.app, train.app, evaluate.app):
    app.add_typer(group)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"photoguard {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Hide the faces in your photos from people and machines, and give them back to whoever holds the key."""


def run() -> None:
    """The entry point; names that are not valid text are printed with escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except PhotoguardError as error:  # an address among the options, which are read before the command begins
        complain(error)
        raise SystemExit(error.exit_code) from None

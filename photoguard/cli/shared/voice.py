"""How the program speaks: results on stdout, everything else on stderr, errors with a hint."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ParamSpec, TextIO

from photoguard.errors import BatchError, PhotoguardError, UsageError, missing

P = ParamSpec("P")

BUG, INTERRUPTED = 70, 130
REPORT = "run again with --debug and report what it prints"
SECRET = re.compile("(AGE-SECRET-KEY-)[0-9A-Z-]+", re.IGNORECASE)


def _say(text: str, stream: TextIO) -> None:
    """A line that does not tear a progress bar, nor shows a secret that was typed in the wrong place."""
    text = SECRET.sub(r"\1...", text)
    if "tqdm" in sys.modules:
        from tqdm import tqdm

        tqdm.write(text, file=stream)
        stream.flush()
    else:
        print(text, file=stream, flush=True)


@dataclass(frozen=True)
class Voice:
    """What the user wants to hear."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    aside: bool = False  # results go to standard error, because a picture goes to standard output

    def result(self, text: str, record: dict[str, Any]) -> None:
        """A result: one line of JSON for a script, text for a person."""
        _say(
            json.dumps(record, sort_keys=True) if self.json else text,
            sys.stderr if self.aside else sys.stdout,
        )

    def note(self, text: str) -> None:
        """Something a person should know."""
        if not self.quiet:
            _say(text, sys.stderr)

    def detail(self, text: str) -> None:
        """Something for the curious."""
        if self.verbose:
            self.note(text)

    def warn(self, text: str) -> None:
        """Something that is said even when quiet."""
        _say(f"warning: {text}", sys.stderr)

    def counter(self, unit: str) -> Callable[[int, int], None]:
        """A bar for work that reports (done, total); a new total starts a new bar."""
        bars: list[Any] = []

        def advance(done: int, total: int) -> None:
            if self.quiet or not sys.stderr.isatty():
                return
            if not bars or bars[-1].total != total:
                from tqdm import tqdm

                bars.append(tqdm(total=total, unit=unit, file=sys.stderr))
            bars[-1].update(done - bars[-1].n)

        return advance

    @contextlib.contextmanager
    def bar(self, total: int, unit: str) -> Iterator[Callable[[int, dict[str, Any]], None]]:
        """A bar with figures beside it, when a person is watching and there is something to wait for."""
        if self.quiet or total < 2 or not sys.stderr.isatty():
            yield lambda count, figures: None
            return
        from tqdm import tqdm

        with tqdm(total=total, unit=unit, file=sys.stderr) as line:

            def advance(count: int, figures: dict[str, Any]) -> None:
                shown = dict(figures)
                read = shown.pop("bytes", 0)
                seconds = line.format_dict["elapsed"]
                if seconds and read / 1e6 / seconds >= 0.05:  # less would be shown as 0.0
                    shown["MB/s"] = f"{read / 1e6 / seconds:.1f}"
                line.set_postfix(shown, refresh=False)
                line.update(count)

            yield advance


def complain(error: PhotoguardError) -> None:
    """What happened, and what to do."""
    _say(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""), sys.stderr)


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """A command that ends with the right exit code whatever happens, without a traceback unless asked."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        code = 0
        try:
            command(*args, **kwargs)
        except PhotoguardError as error:
            if kwargs.get("json") and not isinstance(error, BatchError):  # its failures were told one by one
                told = {"error": str(error), "hint": error.hint, "exit": error.exit_code}
                _say(json.dumps({**error.about, **told}, sort_keys=True), _results(kwargs))
            complain(error)
            code = error.exit_code
            _trace(kwargs)
        except KeyboardInterrupt:
            print("interrupted; nothing unfinished was left behind", file=sys.stderr)
            code = INTERRUPTED
        except BrokenPipeError:  # the reader of our output went away
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except MemoryError:
            print(
                "error: not enough memory\nhint: try one photo at a time, or a smaller one", file=sys.stderr
            )
            code = 3
        except Exception as error:
            absent = missing(error)
            complain(absent or PhotoguardError(f"a bug in photoguard: {type(error).__name__}", REPORT))
            code = absent.exit_code if absent else BUG
            _trace(kwargs)
        if code:
            raise SystemExit(code)

    return run


def _results(kwargs: dict[str, Any]) -> TextIO:
    """Where results go: beside a picture on standard output there is no room for them."""
    return sys.stderr if str(kwargs.get("output")) in ("-", "/dev/stdout", "/dev/fd/1") else sys.stdout


def _trace(kwargs: dict[str, Any]) -> None:
    """The call stack without the error's text and without local variables: either may hold a secret."""
    if kwargs.get("debug"):
        error = sys.exc_info()[1]
        while error is not None:
            print("".join(traceback.format_tb(error.__traceback__)) + type(error).__name__, file=sys.stderr)
            error = error.__cause__


def ask_passphrase(prompt: str) -> str:
    """A passphrase from the terminal, or from one line of standard input in a script."""
    if not sys.stdin.isatty():
        try:
            line = sys.stdin.readline()
        except UnicodeDecodeError:  # some locales are strict, others give half characters
            line = "\udcff"
        if not line.strip("\r\n"):
            raise UsageError("a passphrase is needed", "run in a terminal, or give it on standard input")
        return _text(line.rstrip("\r\n"))
    from getpass import getpass

    return _text(getpass(f"{prompt}: "))


def _text(typed: str) -> str:
    try:
        typed.encode()
    except UnicodeEncodeError:
        raise UsageError("the passphrase is not valid UTF-8", "type it in this terminal") from None
    return typed


def new_passphrase(prompt: str) -> str:
    """A passphrase typed twice, or read once in a script."""
    first = ask_passphrase(prompt)
    if sys.stdin.isatty() and ask_passphrase(f"{prompt}, again") != first:
        raise UsageError("the two passphrases differ", "type it again")
    if not first:
        raise UsageError("the passphrase is empty", "choose several random words")
    return first

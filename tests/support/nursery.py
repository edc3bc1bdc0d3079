"""A process that has photoguard loaded and forks one child a command: real processes that start at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.places import ROOT

PROGRAM = """
import contextlib, io, json, os, signal, sys, time
import PIL.Image
import photoguard.protect, photoguard.reveal, photoguard.methods.patches
import typer.main
from photoguard.cli import main

main.app = typer.main.get_command(main.app)
PIL.Image.init()
quiet = contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO())
with quiet[0], quiet[1], contextlib.suppress(SystemExit):
    main.app(["inspect", "/nowhere", "--json"])  # loads what typer loads late

def child(order):
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    for number, path in enumerate(order["streams"]):
        os.dup2(os.open(path, os.O_RDWR), number)
    sys.argv = ["photoguard", *order["args"]]
    exec(order["before"], {"__name__": "before"})
    if order["die_at"] is not None:
        left = [order["die_at"]]
        def count(event, args):
            if event not in ("open", "os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir"):
                return
            paths = [os.fsdecode(one) for one in args if isinstance(one, (str, bytes, os.PathLike))]
            if event == "open" and args[2] & os.O_CREAT and "/" not in paths[0]:
                paths = [order["within"]]  # the event does not tell in which open folder
            handles = args[2:] if event in ("os.mkdir", "os.rename", "os.link") else args[1:]
            handles = () if event == "open" else [fd for fd in handles if fd >= 0]
            folders = [os.readlink(f"/proc/self/fd/{fd}") + "/" for fd in handles]
            whole = [folder + path for folder in folders for path in paths]
            if any(order["within"] in path for path in paths + whole):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
        sys.addaudithook(count)
    code = 1
    try:
        main.run()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

for line in sys.stdin:
    order = json.loads(line)
    start, pid = time.monotonic(), os.fork()
    if not pid:
        child(order)
    if order["kill_after"] is not None:
        time.sleep(order["kill_after"])
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(json.dumps([code, time.monotonic() - start]), flush=True)
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int  # -9 when it was killed
    seconds: float
    stdout: str
    stderr: str


class Nursery:
    """Commands typed one after the other, each in a process of its own."""

    def __init__(self, folder: Path, loaded: str = "") -> None:
        """`loaded` are further imports that every command shares."""
        self.streams = [folder / name for name in ("stdin", "stdout", "stderr")]
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{loaded}\n{PROGRAM}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.home = _home(folder)

    def of(self, folder: Path) -> Nursery:
        """The same process with a new home: what was kept in another is not there."""
        other = copy(self)
        other.home = _home(folder)
        return other

    def run(
        self, *args: object, code: int | None = 0, typed: str = "", cwd: Path | None = None, before: str = "",
        kill_after: float | None = None, die_at: int | None = None, within: Path | None = None,
    ) -> Done:  # fmt: skip
        """Run one command; `die_at` kills it before its n-th change of the folder `within`."""
        for path, text in zip(self.streams, (typed, "", ""), strict=True):
            path.write_text(text)
        # What a test sets meanwhile counts too.
        env = {**os.environ, "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config")}
        order: dict[str, Any] = {
            "args": [str(arg) for arg in args], "env": env, "cwd": str(cwd or self.home.parent),
            "before": before, "streams": list(map(str, self.streams)),
            "kill_after": kill_after, "die_at": die_at, "within": str(within),
        }  # fmt: skip
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        ended, seconds = json.loads(self.process.stdout.readline())
        out, err = (path.read_text(errors="surrogateescape") for path in self.streams[1:])
        assert code is None or ended == code, f"exit {ended}, not {code}\n{out}\n{err}"
        return Done(ended, seconds, out, err)

    def close(self) -> None:
        """Let the process end."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def _home(folder: Path) -> Path:
    home = folder / "home"
    home.mkdir()
    return home

"""The docs say what the program does: same commands, same options, same files.

Covers: cli.reference.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from support.places import ROOT
from support.shell import Shell

from photoguard.cli import reference


def test_the_reference_is_what_the_help_says() -> None:
    written = (ROOT / "docs" / "guide" / "commands.md").read_text()
    assert written == reference.page(), "run: python -m photoguard.cli.reference > docs/guide/commands.md"


def test_every_option_has_a_help_text() -> None:
    import typer

    from photoguard.cli.main import app

    for path, command in reference._commands(typer.main.get_command(app), "photoguard"):
        assert command.help, f"{path} says nothing of itself"
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{path} {parameter.name} has no help text"


def readme_commands(block: str = r"```sh\n(.*?)```") -> list[str]:
    """The lines of README's first code block that call photoguard, or of another block."""
    block = re.findall(block, (ROOT / "README.md").read_text(), flags=re.S)[0]
    return re.findall(r"photoguard [^&\n]+", block)


def test_the_readme_starts_with_commands_that_work(photoguard: Shell, tmp_path) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "portrait.jpg").write_bytes((ROOT / "examples" / "portrait.jpg").read_bytes())
    commands = readme_commands()
    assert len(commands) >= 2
    printed = "".join(photoguard(*command.split()[1:], cwd=tmp_path).stdout for command in commands)
    assert "examples/portrait.pub.png" in printed and "examples/portrait.restored.png" in printed


def test_the_readme_works_typed_as_written_from_top_to_bottom(photoguard: Shell, tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "portrait.jpg", tmp_path / "examples")
    for command in readme_commands():
        photoguard(*command.split()[1:], cwd=tmp_path)
    shutil.copy(ROOT / "examples" / "portrait.jpg", tmp_path / "photo.jpg")
    commands = readme_commands(r"## What it does\n+```\n(.*?)```")
    assert len(commands) > 8
    for command in commands:
        photoguard(*command.partition("#")[0].split()[1:], cwd=tmp_path)
    photoguard("verify", "photo.pub.png", "--key", "usb/me.recovery", cwd=tmp_path)


def test_the_walk_through_works_typed_as_written(photoguard: Shell, tmp_path: Path) -> None:
    one = Image.open(ROOT / "examples" / "portrait.jpg")
    two = Image.new("RGB", (2 * one.width, one.height))  # somebody with a twin
    for x in (0, one.width):
        two.paste(one, (x, 0))
    two.save(tmp_path / "photo.jpg", quality=95)
    (tmp_path / "album" / "summer").mkdir(parents=True)
    shutil.copy(ROOT / "examples" / "portrait.jpg", tmp_path / "album" / "summer")
    photoguard("keygen", "-o", tmp_path / "other" / "identity")
    shutil.copy(tmp_path / "other" / "identity.pub", tmp_path / "ana.pub")

    (tmp_path / "keep").mkdir()
    text = (ROOT / "docs" / "guide" / "walk.md").read_text()
    commands = re.findall(r"^photoguard (.+?)(?:  +#.*)?$", text, flags=re.M)
    assert len(commands) > 10
    for command in commands:
        if "IMG_1234" in command:  # a renamed download
            shutil.copy(tmp_path / "photo.priv", tmp_path / "keep")
            shutil.copy(tmp_path / "photo.pub.png", tmp_path / "IMG_1234.png")
        if "received" in command:  # what a messenger makes of a picture
            Image.open(tmp_path / "chat.pub.png").convert("RGB").save(tmp_path / "received.jpg", quality=80)
        photoguard(*command.split(), cwd=tmp_path)
    made = {path.name for path in tmp_path.iterdir()}
    assert {"photo.restored.png", "IMG_1234.restored.png", "received.restored.png", "found.png"} <= made
    assert (tmp_path / "shared.private" / "summer" / "portrait.priv").exists()
    granted = ("photo.pub.png", "--private", "ana.priv", "--key", "other/identity", "-o", "hers.png")
    assert "1 of 2 faces" in photoguard("decrypt", *granted, cwd=tmp_path).stdout


@pytest.mark.parametrize("module", ["benchmarks.whole_way", "benchmarks.png_encoders", "benchmarks.gallery"])
def test_benchmarks_explain_themselves(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "usage" in done.stdout

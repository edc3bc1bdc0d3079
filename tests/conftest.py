"""Which tests take part, and what they share: the sample photo, real data, command lines to type at."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.albums import photo as noise
from support.disks import can_mount
from support.nursery import Nursery
from support.places import PORTRAIT
from support.shell import Shell, shell
from support.small_photos import picture

MISSING = pytest.StashKey[Counter[str]]()  # how many tests each absent program would have taken part in


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests on real data say why they are skipped; those with a program that is absent do not take part."""
    folder = os.environ.get("PHOTOGUARD_DATA")
    no_data = pytest.mark.skip(reason="PHOTOGUARD_DATA names no folder with the real photos")
    missing = {item: name for item in items if (name := _absent(item))}
    config.stash[MISSING] = Counter(missing.values())
    config.hook.pytest_deselected(items=list(missing))
    items[:] = [item for item in items if item not in missing]
    for item in items:
        if item.get_closest_marker("data") and not (folder and Path(folder).is_dir()):
            item.add_marker(no_data)


def _absent(item: pytest.Item) -> str:
    """The first program that the test needs and this machine lacks, or that this user may not use."""
    needed = [str(name) for mark in item.iter_markers("program") for name in mark.args]
    if "mount" in needed and not can_mount():
        return "mount"
    return next((name for name in needed if not shutil.which(name)), "")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what did not take part, so that nobody takes a pass for more than it is."""
    for name, count in sorted(config.stash.get(MISSING, Counter()).items()):
        terminalreporter.write_line(f"left out: {count} tests that need the program {name}")


@pytest.fixture(autouse=True)
def denormals() -> Iterator[None]:
    """Evaluation turns the processor's denormal numbers off; the next test wants them back."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def data() -> Path:
    """The folder with real photos."""
    return Path(os.environ["PHOTOGUARD_DATA"])


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    """A copy of the sample photo in a folder of its own."""
    folder = tmp_path / "photos"
    folder.mkdir()
    copy = folder / "portrait.jpg"
    copy.write_bytes(PORTRAIT.read_bytes())
    return copy


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small photo of noise in a folder of its own."""
    folder = tmp_path / "photos"
    folder.mkdir()
    return picture(folder / "photo.png")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Six photos in two folders."""
    for number in range(6):
        noise(tmp_path / "album" / ("sea" if number % 2 else "hills/high") / f"{number}.png", number)
    return tmp_path / "album"


@pytest.fixture
def photoguard(tmp_path: Path) -> Shell:
    """Type a command: `photoguard("encrypt", photo)`; a home of its own, the exit code checked."""
    home = tmp_path / "home"
    home.mkdir()
    return shell(home, tmp_path)


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """One process for all commands that start by forking."""
    made = Nursery(tmp_path_factory.mktemp("nursery"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def nursery(loaded: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Nursery:
    """Commands of somebody who has an identity."""
    made = loaded.of(tmp_path_factory.mktemp("owner"))
    made.run("keygen")
    return made


@pytest.fixture
def newcomer(loaded: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Nursery:
    """Commands of somebody who has nothing yet, for one test."""
    return loaded.of(tmp_path_factory.mktemp("newcomer"))


@pytest.fixture(scope="session")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """As `loaded`, with torch and the networks' code: importing them takes seconds a command."""
    code = "import torch, photoguard.methods.avp.chips, photoguard.methods.obfuscator, photoguard.detection"
    made = Nursery(tmp_path_factory.mktemp("nursery"), code)
    yield made
    made.close()

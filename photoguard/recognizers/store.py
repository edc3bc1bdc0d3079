"""Adding recognizers, which proves them, and loading them on torch."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from photoguard import weights
from photoguard.errors import UsageError, WeightsError
from photoguard.files import read_file, staged
from photoguard.nets.compact import fused
from photoguard.recognizers.entries import Entry, folder_of_user, proven, shipped
from photoguard.recognizers.loading import network, of_its_own, route
from photoguard.recognizers.recognizer import Recognizer
from photoguard.recognizers.sample import sample_chip
from photoguard.recognizers.table import TABLE, TEMPLATES, Spec

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Proof:
    """What `add` found out on the sample face."""

    entry: Entry
    mirror: float
    """Cosine between the sample face and its mirror image: near 1 for a network that was read correctly."""
    noise: float
    """Cosine between the sample face and noise: near 0."""
    published: bool | None
    """Whether the file is the one whose hash the table has; None when it has none."""


def add(
    name: str,
    file: Path,
    arch: str | None = None,
    changes: Mapping[str, str | int | float] | None = None,
    folder: Path | None = None,
) -> Proof:
    """Prove the weights in `file` on a sample face and keep a copy of them under `name`.

    `arch` names the row of `TABLE` whose network and input the file has (default: the row called `name`);
    `changes` replaces fields of that row, for a model that wants another size or normalization.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
        raise UsageError(f"{name!r} cannot name a recognizer", "small letters, digits, dots and dashes")
    if name in shipped():
        raise UsageError(f"{name} ships with photoguard", f"choose another name, and --arch {name}")
    spec = replace(_spec(name, arch, file), name=name, **dict(changes or {}))  # type: ignore[arg-type]
    if spec.template not in TEMPLATES:
        raise UsageError(f"there is no template {spec.template!r}", f"one of {', '.join(TEMPLATES)}")
    torch.set_flush_denormal(True)
    data = read_file(file)
    sha256 = hashlib.sha256(data).hexdigest()
    recognizer = Recognizer(name, spec, network(file, spec))
    recognizer, mirror, noise = _proven(recognizer)
    suffix = file.suffix or ".pt"
    entry = Entry(name, recognizer.spec, name + suffix, sha256, recognizer.one_by_one)
    with staged(folder or folder_of_user(), force=True) as stage:
        stage.add(entry.file, data)
        stage.add(f"{name}.json", json.dumps(asdict(entry), indent=1).encode())
        stage.publish()
    return Proof(entry, mirror, noise, sha256 == spec.sha256 if spec.sha256 else None)


def load(name: str, folder: Path | None = None) -> Recognizer:
    """The shipped or installed recognizer `name`; its file is hashed before anything parses it.

    From then on this process reads the smallest of numbers as zero: some networks are many times slower on a
    CPU without that.
    """
    torch.set_flush_denormal(True)
    if name in shipped():
        return Recognizer(name, TABLE[name], fused(weights.recognizer_network(*weights.shipped(name), name)))
    entry, file = proven(name, folder)
    return Recognizer(name, entry.spec, network(file, entry.spec), entry.one_by_one)


def _spec(name: str, arch: str | None, file: Path) -> Spec:
    """The row that describes the file, or an error that lists the rows."""
    spec = TABLE.get(arch or name)
    if spec is None:
        raise UsageError(
            f"no recognizer is called {arch or name}",
            f"say --arch with one of {', '.join(TABLE)}: the one whose network and input this file has",
        )
    if spec.architecture == "photoguard":
        return of_its_own(spec, file)
    form = route(file)  # an ONNX or TorchScript export of a network that the table has as a state dict
    if form != "state":
        return replace(spec, architecture=form)
    if spec.architecture in ("onnx", "torchscript"):
        raise UsageError(f"{file.name} is not a {spec.architecture} file", "name the network with --arch")
    return spec


def _proven(recognizer: Recognizer) -> tuple[Recognizer, float, float]:
    """Run the sample face through: finite, the right size, differentiable; else an error that says which."""
    face = sample_chip(recognizer.spec)  # (1, 3, H, W)
    noise = torch.randint(0, 256, face.shape, generator=torch.Generator().manual_seed(0)).float()
    name = recognizer.name
    chip = face.clone().requires_grad_()
    try:
        embedding = recognizer.embed(chip)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        size = f"{recognizer.spec.height}x{recognizer.spec.width}"
        raise WeightsError(f"{name} does not take a face of {size}: {_one_line(error)}") from error
    if embedding.shape != (1, recognizer.spec.embedding):
        raise WeightsError(
            f"{name} gives {embedding.shape[1]} numbers, not {recognizer.spec.embedding}",
            "name another --arch, or state the size of the embedding",
        )
    if not embedding.requires_grad:
        raise WeightsError(
            f"no gradient flows through {name}", "its operators hide the derivative; export it anew"
        )
    (gradient,) = torch.autograd.grad(embedding.sum() + embedding[0, 0], chip, allow_unused=True)
    if not bool(embedding.isfinite().all()) or gradient is None or not bool(gradient.isfinite().all()):
        raise WeightsError(f"{name} gives no finite embedding and gradient on the sample face")
    others = torch.cat([face.flip(3), noise])
    try:
        pair = recognizer.embed(others).detach()
    except RuntimeError:
        recognizer = replace(recognizer, one_by_one=True)
        pair = recognizer.embed(others).detach()
    mirror, strange = (pair @ embedding.detach()[0]).tolist()
    return recognizer, mirror, strange


def _one_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

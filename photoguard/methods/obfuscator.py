"""DeepObfuscator in use: a face becomes features that answer a question; the service reads the answer."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from photoguard import graphs, weights
from photoguard.errors import DamagedError
from photoguard.formats.features import FeatureFile
from photoguard.methods.quantization import dequantise, quantise
from photoguard.photos.geometry import similarity, to_chip

if TYPE_CHECKING:
    from pathlib import Path

    from photoguard.detection import Face
    from photoguard.nets.obfuscator import Players
    from photoguard.nets.obfuscator_config import ObfuscatorConfig

    Floats = NDArray[np.float32]
    Run = Callable[[Floats], Floats]

NAME = "obfuscator"
BATCH = 64  # faces that a service classifies at once
OWN = "own"  # the name of any model that the user trained: its file's name may tell too much

Answers = dict[str, dict[str, float]]  # task -> class -> probability


@dataclass(frozen=True)
class Model:
    """Networks and the hash that pins them."""

    name: str
    sha256: str
    config: ObfuscatorConfig
    encode: Run
    """Faces (N, 3, H, W) in 0..1 to features (N, C, H/4, W/4)."""
    answer: Run
    """Features to the logits of all tasks' classes, side by side."""


def shipped() -> Model:
    """The model that the package carries, which needs no torch."""
    entry, values = weights.SHIPPED[NAME], weights.arrays(NAME)

    def part(graph: str, prefix: str) -> Run:
        own = {k.removeprefix(prefix): value for k, value in values.items() if k.startswith(prefix)}
        run = graphs.load(graph, own)
        return lambda x: run(x)[0]

    config = weights.obfuscator_config(entry.config)
    return Model(
        NAME, entry.sha256, config, part("obfuscate", "obfuscator."), part("classify", "classifier.")
    )


def trained(path: Path) -> Model:
    """A model that the user trained."""
    networks, sha256 = weights.load_trained_obfuscator(path)
    return of_networks(OWN, sha256, networks)


def of_networks(name: str, sha256: str, networks: Players) -> Model:
    """A model that runs on torch."""
    import torch

    def part(run: Callable[[torch.Tensor], torch.Tensor]) -> Run:
        def on_arrays(x: Floats) -> Floats:
            with torch.inference_mode():
                found: Floats = run(torch.from_numpy(np.ascontiguousarray(x))).numpy()
            return found

        return on_arrays

    def answer(features: torch.Tensor) -> torch.Tensor:
        return torch.cat(networks.classifier(features), 1)

    return Model(name, sha256, networks.config, part(networks.obfuscator), part(answer))


def obfuscate(model: Model, pixels: NDArray[np.uint8], faces: Sequence[Face]) -> FeatureFile:
    """The features of faces on an upright photo, with noise that nobody can repeat."""
    chips = np.stack([chip(model.config, pixels, np.array(face.landmarks)) for face in faces])
    count = len(faces) * int(np.prod(model.config.features))
    return _obfuscate(model, chips, gaussian(secrets.token_bytes(8 * (count + count % 2))))


def _obfuscate(model: Model, chips: NDArray[np.uint8], noise: NDArray[np.float32]) -> FeatureFile:
    shape = model.config.features
    features = model.encode(np.ascontiguousarray(chips.transpose(0, 3, 1, 2), np.float32) / np.float32(255))
    if model.config.reach:  # the config bounds what they may tell
        features = features + noise[: features.size].reshape(features.shape)
    return FeatureFile(model.name, model.sha256, shape, tuple(coded(one) for one in features))


def gaussian(random: bytes) -> NDArray[np.float32]:
    """Normal values from the system's randomness, 8 bytes each (Box and Muller).

    Not from torch's generator: it starts from 32 bits, and whoever tries all of them takes the noise away.
    """
    whole = np.frombuffer(random, dtype="<u8").astype(np.float64)
    first, second = ((whole + 0.5) / 2.0**64).reshape(2, -1)
    radius, angle = np.sqrt(-2 * np.log(np.minimum(first, 1 - 2.0**-53))), 2 * np.pi * second
    values = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    return np.asarray(values, np.float32)


def chip(
    config: ObfuscatorConfig, pixels: NDArray[np.uint8], landmarks: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """The face turned, scaled and cut as those that the networks were trained on."""
    size = np.array([config.width, config.height])
    template = np.array(config.template) * size - 0.5
    return to_chip(pixels, similarity(landmarks, template), config.height, config.width)


def coded(features: Floats) -> bytes:
    """(C, H, W) as it travels: every map's lowest value and step in float16, then 8 bits a value."""
    codes, low, step = quantise(features[None])
    scales = np.concatenate([low, step], 1).astype("<f2")
    return scales.tobytes() + codes.tobytes()


def decoded(file: FeatureFile) -> Floats:
    """The features of all faces, (N, C, H, W)."""
    channels, rows, columns = file.shape
    found = []
    for blob in file.faces:
        scales = np.frombuffer(blob, "<f2", 2 * channels).astype(np.float32)
        codes = np.frombuffer(blob, np.uint8, offset=4 * channels)
        low, step = scales[None, :channels], scales[None, channels:]
        found.append(dequantise(codes.reshape(1, channels, rows, columns), low, step))
    return np.concatenate(found)


def classify(model: Model, file: FeatureFile) -> list[Answers]:
    """What the service reads: for each face, each task's classes with their probabilities."""
    config = model.config
    if file.sha256 != model.sha256 or file.model != model.name:
        raise DamagedError(
            f"these features are of another model: {file.model}, sha256 {file.sha256[:16]}..., "
            f"not {model.sha256[:16]}...",
            "classify them with the weights that made them (--weights FILE)",
        )
    if file.shape != config.features:
        raise DamagedError("the features have another shape than their model's")
    found: list[Answers] = []
    for start in range(0, len(file.faces), BATCH):
        some = replace(file, faces=file.faces[start : start + BATCH])
        found += [_answers(config, logits.astype(np.float64)) for logits in model.answer(decoded(some))]
    return found


def _answers(config: ObfuscatorConfig, logits: NDArray[np.float64]) -> Answers:
    """One face's logits, all tasks side by side, as probabilities."""
    told, at = {}, 0
    for task in config.tasks:
        own = np.exp(logits[at : at + len(task.classes)] - logits[at : at + len(task.classes)].max())
        told[task.name] = dict(zip(task.classes, (own / own.sum()).tolist(), strict=True))
        at += len(task.classes)
    return told


def answer(shares: dict[str, float]) -> tuple[str, float]:
    """The likeliest class and its probability."""
    best = max(shares, key=lambda name: shares[name])
    return best, shares[best]


def described(model: Model) -> dict[str, Any]:
    """What a model asks and hides, for messages."""
    config = model.config
    return {
        "model": model.name,
        "sha256": model.sha256,
        "tasks": [task.name for task in config.tasks],
        "private": [one.name for one in config.private],
        "bits": config.bits if config.reach else None,
    }

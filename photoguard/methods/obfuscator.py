"""DeepObfuscator in use: a face becomes features that answer a question; the service reads the answer."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from photoguard import weights
from photoguard.errors import DamagedError
from photoguard.formats.features import FeatureFile
from photoguard.nets.ddm import dequantise, quantise
from photoguard.nets.obfuscator import released
from photoguard.nets.planes import to_planes
from photoguard.photos.geometry import similarity, to_chip

if TYPE_CHECKING:
    from pathlib import Path

    from photoguard.detection import Face
    from photoguard.nets.obfuscator import ObfuscatorConfig, Players

NAME = "obfuscator"
BATCH = 64  # faces that a service classifies at once
OWN = "own"  # the name of any model that the user trained: its file's name may tell too much

Answers = dict[str, dict[str, float]]  # task -> class -> probability


@dataclass(frozen=True)
class Model:
    """Networks and the hash that pins them."""

    name: str
    sha256: str
    networks: Players


def shipped() -> Model:
    """The model that the package carries."""
    tensors, config = weights.shipped(NAME)
    return Model(NAME, weights.SHIPPED[NAME].sha256, weights.obfuscator_networks(tensors, config, NAME))


def trained(path: Path) -> Model:
    """A model that the user trained."""
    networks, sha256 = weights.load_trained_obfuscator(path)
    return Model(OWN, sha256, networks)


def obfuscate(model: Model, pixels: NDArray[np.uint8], faces: Sequence[Face]) -> FeatureFile:
    """The features of faces on an upright photo, with noise that nobody can repeat."""
    chips = np.stack([chip(model.networks.config, pixels, np.array(face.landmarks)) for face in faces])
    count = len(faces) * int(np.prod(model.networks.config.features))
    return _obfuscate(model, chips, gaussian(secrets.token_bytes(8 * (count + count % 2))))


def _obfuscate(model: Model, chips: NDArray[np.uint8], noise: NDArray[np.float32]) -> FeatureFile:
    shape = model.networks.config.features
    x = to_planes(chips).float() / 255
    drawn = torch.from_numpy(noise)[: len(chips) * int(np.prod(shape))].view(len(chips), *shape)
    with torch.inference_mode():
        features = released(model.networks.obfuscator(x), drawn, model.networks.config)
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


def coded(features: torch.Tensor) -> bytes:
    """(C, H, W) as it travels: every map's lowest value and step in float16, then 8 bits a value."""
    codes, low, step = quantise(features[None].float())
    scales = torch.cat([low, step], 1).half().numpy().astype("<f2")
    return scales.tobytes() + codes.numpy().tobytes()


def decoded(file: FeatureFile) -> torch.Tensor:
    """The features of all faces, (N, C, H, W)."""
    channels, rows, columns = file.shape
    found = []
    for blob in file.faces:
        scales = torch.from_numpy(np.frombuffer(blob, "<f2", 2 * channels).astype(np.float32))
        codes = torch.from_numpy(np.frombuffer(blob, np.uint8, offset=4 * channels).copy())
        low, step = scales[None, :channels], scales[None, channels:]
        found.append(dequantise(codes.view(1, channels, rows, columns), low, step))
    return torch.cat(found)


def classify(model: Model, file: FeatureFile) -> list[Answers]:
    """What the service reads: for each face, each task's classes with their probabilities."""
    config = model.networks.config
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
        with torch.inference_mode():
            answers = [logits.softmax(1).tolist() for logits in model.networks.classifier(decoded(some))]
        found += [
            {
                task.name: dict(zip(task.classes, shares, strict=True))
                for task, shares in zip(config.tasks, face, strict=True)
            }
            for face in zip(*answers, strict=True)
        ]
    return found


def answer(shares: dict[str, float]) -> tuple[str, float]:
    """The likeliest class and its probability."""
    best = max(shares, key=lambda name: shares[name])
    return best, shares[best]


def described(model: Model) -> dict[str, Any]:
    """What a model asks and hides, for messages."""
    config = model.networks.config
    return {
        "model": model.name,
        "sha256": model.sha256,
        "tasks": [task.name for task in config.tasks],
        "private": [one.name for one in config.private],
        "bits": config.bits if config.reach else None,
    }

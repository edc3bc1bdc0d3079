"""A photo in, features for a service out, and the answers that the service reads in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from photoguard.detection import DetectionSettings, detect
from photoguard.errors import NoFaceError
from photoguard.files import limits
from photoguard.formats import identities
from photoguard.formats.features import FeatureFile
from photoguard.formats.identities import Ask, Identity
from photoguard.methods import obfuscator
from photoguard.methods.obfuscator import Answers, Model
from photoguard.photos import images


@dataclass(frozen=True)
class Features:
    """What a service may know of a photo's faces."""

    file: FeatureFile
    left_out: int  # faces that were found and are not in the file


def load_model(path: Path | None = None) -> Model:
    """A model that somebody trained, or the one that ships."""
    return obfuscator.trained(path) if path else obfuscator.shipped()


def make(
    data: bytes,
    name: str,
    model: Model,
    detection: DetectionSettings | None = None,
    all_faces: bool = False,
    max_pixels: int = limits.PIXEL_CAP,
) -> Features:
    """The features of a photo's largest face, or of all that are certain; `name` is only for messages."""
    pixels = images.decode(data, name, max_pixels).shallow()
    found = [face for face in detect(pixels, detection or DetectionSettings()) if face.certain]
    if not found:
        raise NoFaceError(
            f"no face was found in {name}", "look again with --thorough or a smaller --min-face"
        )
    sent = found if all_faces else [max(found, key=lambda face: face.box.area)]
    return Features(obfuscator.obfuscate(model, pixels, sent), len(found) - len(sent))


def read(data: bytes, keys: Sequence[Identity] = (), ask: Ask | None = None) -> FeatureFile:
    """A feature file, opened with the service's keys where it is sealed."""
    return FeatureFile.from_bytes(identities.unseal(data, keys, ask) if identities.is_locked(data) else data)


def answers(model: Model, file: FeatureFile) -> list[Answers]:
    """For each face, each question's classes with their probabilities."""
    return obfuscator.classify(model, file)

"""The feature file: what a client sends instead of a photo; docs/spec/format.md, section 14, is the law."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any

from photoguard.errors import DamagedError
from photoguard.formats.envelope import pack, unpack

SUFFIX = ".features"
KIND = "features"
VERSION = 1
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
SIDE_LIMIT = 4096
VALUE_LIMIT = 1 << 24
FACE_LIMIT = 4096


@dataclass(frozen=True)
class FeatureFile:
    """Which model made the features, their shape, and the coded features of each face."""

    model: str
    sha256: str  # of the model's weights
    shape: tuple[int, int, int]  # channels, rows, columns
    faces: tuple[bytes, ...]

    def to_bytes(self) -> bytes:
        """The envelope."""
        header = {"kind": KIND, "model": self.model, "sha256": self.sha256, "shape": list(self.shape)}
        return pack(header, self.faces, VERSION)

    @staticmethod
    def from_bytes(data: bytes) -> FeatureFile:
        """Parse and check all that needs no model."""
        header, blobs = unpack(data, KIND, VERSION)
        if set(header) != {"model", "sha256", "shape"}:
            raise DamagedError("the header has missing or unknown fields")
        model, sha256, shape = header["model"], header["sha256"], header["shape"]
        if not isinstance(model, str) or not MODEL_NAME.fullmatch(model):
            raise DamagedError("the model has no proper name")
        if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
            raise DamagedError("the model's hash is not 32 bytes in hexadecimal")
        if not _is_shape(shape):
            raise DamagedError("the features' shape is not three positive numbers")
        if not 1 <= len(blobs) <= FACE_LIMIT:
            raise DamagedError("the file holds no face")
        channels, rows, columns = shape
        if any(len(blob) != channels * (4 + rows * columns) for blob in blobs):
            raise DamagedError("the features are not as long as their shape says")
        for blob in blobs:
            _check_scales(blob, channels)
        return FeatureFile(model, sha256, (channels, rows, columns), tuple(blobs))


def _is_shape(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 3:
        return False
    if not all(type(n) is int and 1 <= n <= SIDE_LIMIT for n in value):
        return False
    channels, rows, columns = value
    return bool(channels * rows * columns <= VALUE_LIMIT)


def _check_scales(blob: bytes, channels: int) -> None:
    """Lowest values and steps are finite, steps above zero."""
    scales = struct.unpack(f"<{2 * channels}e", blob[: 4 * channels])
    if not all(abs(value) < float("inf") for value in scales) or min(scales[channels:]) <= 0:
        raise DamagedError("a map's scale is no number")

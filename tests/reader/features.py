"""Feature files (section 14)."""

from __future__ import annotations

import numpy as np

from reader.envelope import FACES, is_number, is_text, require, unpack


def feature_file(data: bytes) -> list[np.ndarray]:
    """The features of every face: (channels, rows, columns)."""
    _, header, blobs = unpack(data, "features", (1,), "model", "sha256", "shape")
    model, shape = header["model"], header["shape"]
    require(is_text(model, "[a-z0-9][a-z0-9-]{0,31}"), "model")
    require(is_text(header["sha256"], "[0-9a-f]{64}"), "sha256")
    require(isinstance(shape, list) and len(shape) == 3, "shape")
    require(all(is_number(n, 1, 4096) for n in shape) and np.prod(shape) <= 1 << 24, "shape")
    require(1 <= len(blobs) <= FACES, "faces")
    channels, rows, columns = shape
    require(all(len(blob) == channels * (4 + rows * columns) for blob in blobs), "a face's length")
    return [_decoded(blob, channels).reshape(shape) for blob in blobs]


def _decoded(blob: bytes, channels: int) -> np.ndarray:
    low, step = np.frombuffer(blob, "<f2", 2 * channels).astype(np.float32).reshape(2, channels, 1)
    require(bool(np.isfinite([low, step]).all() and (step > 0).all()), "a map's scale")
    return low + np.frombuffer(blob, np.uint8, offset=4 * channels).reshape(channels, -1) * step

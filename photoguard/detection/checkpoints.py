"""The tensors of a state dict as torch saved it before 2020, read without torch: tensors and nothing else.

Such a file is a row of pickles and then the numbers. Pickles can name any function; this reader knows three
names, none of which does anything but hold what it is given.
"""

from __future__ import annotations

import io
import math
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoguard.errors import WeightsError

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
STORAGES = 1000
NUMBERS = 1 << 28


@dataclass(frozen=True)
class _Stored:
    """A tensor whose numbers come later in the file."""

    key: str
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _Reader(pickle.Unpickler):
    """Knows the names that a plain state dict has, and refuses all others."""

    def find_class(self, module: str, name: str) -> Any:
        """One of three."""
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
            ("torch", "FloatStorage"): float,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a state dict")
        return known[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """What a tensor refers to: a storage's key and length."""
        word, kind, key, _, count, _ = pid
        if word != "storage" or kind is not float or not isinstance(key, str):
            raise pickle.UnpicklingError("a storage of an unknown kind")
        return key, int(count)


def _rebuilt(storage: Any, offset: int, shape: Any, stride: Any, *_: Any) -> _Stored:
    key, _ = storage
    shape, stride = tuple(map(int, shape)), tuple(map(int, stride))
    if math.prod(shape) > NUMBERS or min(int(offset), *shape, *stride, 0) < 0:
        raise pickle.UnpicklingError("a tensor of an impossible shape")
    return _Stored(key, int(offset), shape, stride)


def tensors(data: bytes, name: str) -> dict[str, NDArray[np.float32]]:
    """The tensors by name; anything else in the file is an error."""
    file = io.BytesIO(data)
    try:
        if _Reader(file).load() != MAGIC or _Reader(file).load() != PROTOCOL:
            raise ValueError("it is of another format")
        _Reader(file).load()  # the machine that wrote it
        state, keys = _Reader(file).load(), _Reader(file).load()
        if not isinstance(state, dict) or not isinstance(keys, list) or len(keys) > STORAGES:
            raise ValueError("it is no state dict")
        numbers = {key: _numbers(file) for key in keys}
        return {str(key): _taken(one, numbers) for key, one in state.items()}
    except (
        pickle.UnpicklingError, ValueError, TypeError, KeyError, IndexError, EOFError, AttributeError,
        OverflowError, MemoryError, RecursionError, ImportError,
    ) as error:  # fmt: skip
        raise WeightsError(f"{name} holds no tensors: {error}") from None


def _numbers(file: io.BytesIO) -> NDArray[np.float32]:
    count = int.from_bytes(file.read(8), "little")
    if count > NUMBERS:
        raise ValueError("a storage is larger than the file")
    return np.frombuffer(file.read(4 * count), "<f4", count)


def _taken(one: Any, numbers: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    if not isinstance(one, _Stored):
        raise TypeError("a value is no tensor")
    strides = tuple(4 * step for step in one.stride)
    # numpy refuses what reaches beyond the storage
    return np.ndarray(one.shape, "<f4", numbers[one.key], 4 * one.offset, strides).copy()

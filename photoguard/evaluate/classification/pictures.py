"""Pictures of 32x32 in ten classes: a set drawn on the spot, or the user's CIFAR-10."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from photoguard.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from photoguard.nets.planes import Pixels

    Field = NDArray[Any]
    Drawing = Callable[[Field, Field, np.random.Generator], Field]

SIDE, OVERSAMPLED = 32, 2
NOISE = (2.0, 14.0)  # standard deviation of the grain
CONTRAST = (25.0, 130.0)  # gray levels between a shape and what lies behind it


@dataclass(frozen=True)
class Labeled:
    """Pictures (N, 32, 32, 3) and their classes (N,)."""

    pixels: Pixels
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> Labeled:
        """The first so many."""
        return Labeled(self.pixels[:count], self.labels[:count])


@dataclass(frozen=True)
class Pictures:
    """What a classifier learns from and what it is tested on."""

    name: str
    train: Labeled
    test: Labeled


def _between(inner: float, outer: float) -> Drawing:
    return lambda u, v, _: (np.hypot(u, v) < outer) & (np.hypot(u, v) >= inner)


def _triangle(u: Field, v: Field, _: np.random.Generator) -> Field:
    return np.asarray(np.maximum(v, np.sqrt(3) / 2 * np.abs(u) - v / 2) < 0.55)


def _blotches(u: Field, v: Field, rng: np.random.Generator) -> Field:
    coarse = rng.normal(size=(7, 7))
    smooth = cv2.resize(coarse, u.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth > 0.2, np.float64)


# Each takes coordinates in units of the shape's size, turned at random, and says where the shape is.
CLASSES: dict[str, Drawing] = {
    "disc": _between(0.0, 1.0),
    "ring": _between(0.45, 1.0),
    "square": lambda u, v, _: np.maximum(np.abs(u), np.abs(v)) < 0.85,
    "triangle": _triangle,
    "cross": lambda u, v, _: (
        (np.minimum(np.abs(u), np.abs(v)) < 0.28) & (np.maximum(np.abs(u), np.abs(v)) < 1)
    ),
    "stripes": lambda u, _v, _: np.sin(4.5 * u) > 0,
    "checks": lambda u, v, _: np.sin(4.0 * u) * np.sin(4.0 * v) > 0,
    "dots": lambda u, v, _: np.cos(4.5 * u) + np.cos(4.5 * v) > 0.9,
    "waves": lambda u, v, _: np.sin(4.5 * (u + 0.35 * np.sin(2.5 * v))) > 0,
    "blotches": _blotches,
}


def drawn(train: int, test: int, seed: int = 0) -> Pictures:
    """Shapes and textures of any size, place, angle and color, behind grain and under a bar or two."""
    rng = np.random.default_rng([seed, 32])
    return Pictures("drawn shapes and textures", _draw(train, rng), _draw(test, rng))


def _draw(count: int, rng: np.random.Generator) -> Labeled:
    labels = rng.permutation(np.arange(count) % len(CLASSES))
    drawings = list(CLASSES.values())
    return Labeled(np.stack([_picture(drawings[label], rng) for label in labels]), labels.astype(np.int64))


def _picture(drawing: Drawing, rng: np.random.Generator) -> Pixels:
    across = SIDE * OVERSAMPLED
    y, x = np.mgrid[:across, :across] / OVERSAMPLED - SIDE / 2 + 0.25
    angle, size, (dx, dy) = rng.uniform(0, 2 * np.pi), rng.uniform(6.0, 11.0), rng.uniform(-4, 4, 2)
    u = (np.cos(angle) * (x - dx) + np.sin(angle) * (y - dy)) / size
    v = (np.cos(angle) * (y - dy) - np.sin(angle) * (x - dx)) / size
    mask = np.asarray(drawing(u, v, rng), np.float64)
    color = rng.normal(size=3)
    back = rng.uniform(50, 205, 3) + rng.uniform(-1.5, 1.5, 3) * x[..., None] * rng.uniform(0, 1)
    scene = back + mask[..., None] * rng.uniform(*CONTRAST) * color / np.linalg.norm(color)
    for _ in range(rng.integers(0, 3)):  # bars that lie on top
        off, wide, turn = rng.uniform(-14, 14), rng.uniform(0.5, 1.5), rng.uniform(0, np.pi)
        scene[np.abs(np.cos(turn) * x + np.sin(turn) * y - off) < wide] = rng.uniform(0, 255, 3)
    small = cv2.resize(scene, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    grainy = small + rng.normal(0, rng.uniform(*NOISE), small.shape)
    return np.asarray(np.clip(grainy.round(), 0, 255), np.uint8)


# --- CIFAR-10 as its authors publish it: the binary version, or the one of Python pickles ---

TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_BATCH = "test_batch"
RECORD = 1 + 3 * SIDE * SIDE


def cifar10(folder: Path) -> Pictures:
    """CIFAR-10 from its folder, `cifar-10-batches-bin` or `cifar-10-batches-py`, or from one above it."""
    for place in (folder, folder / "cifar-10-batches-bin", folder / "cifar-10-batches-py"):
        if (place / f"{TEST_BATCH}.bin").is_file():
            parts = [_binary(place / f"{name}.bin") for name in (*TRAIN_BATCHES, TEST_BATCH)]
        elif (place / TEST_BATCH).is_file():
            parts = [_pickled(place / name) for name in (*TRAIN_BATCHES, TEST_BATCH)]
        else:
            continue
        seen = Labeled(
            np.concatenate([part.pixels for part in parts[:-1]]),
            np.concatenate([part.labels for part in parts[:-1]]),
        )
        return Pictures("CIFAR-10", seen, parts[-1])
    raise UnreadableError(
        f"{folder} holds no CIFAR-10", "unpack cifar-10-binary.tar.gz or cifar-10-python.tar.gz and name it"
    )


def _binary(path: Path) -> Labeled:
    data = np.frombuffer(_bytes(path), np.uint8)
    if not len(data) or len(data) % RECORD:
        raise UnreadableError(f"{path} is no batch of CIFAR-10: {len(data)} bytes")
    records = data.reshape(-1, RECORD)
    return _labeled(path, records[:, 1:], records[:, 0])


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error}") from None


class _Numbers(pickle.Unpickler):
    """Builds dicts, lists, numbers and arrays; whatever else a pickle names is refused, not called."""

    def find_class(self, module: str, name: str) -> Any:
        if (module.replace("_core", "core"), name) == ("numpy.core.multiarray", "_reconstruct"):
            return np.empty(0).__reduce__()[0]
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in CIFAR-10")
        return _ALLOWED[module, name]


def _latin(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding {encoding} has no place in CIFAR-10")
    return text.encode("latin1")


_ALLOWED = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype, ("_codecs", "encode"): _latin}


def _pickled(path: Path) -> Labeled:
    import io

    try:
        batch = _Numbers(io.BytesIO(_bytes(path)), encoding="bytes").load()
        return _labeled(path, np.asarray(batch[b"data"], np.uint8), np.asarray(batch[b"labels"]))
    except UnreadableError:
        raise
    except Exception as error:  # a hostile pickle fails in many ways; each is the same to the user
        raise UnreadableError(f"{path} is no batch of CIFAR-10: {error}") from None


def _labeled(path: Path, rows: NDArray[np.uint8], labels: NDArray[Any]) -> Labeled:
    """Rows of one plane a color, as the files have them, to pictures."""
    if rows.ndim != 2 or rows.shape != (len(labels), RECORD - 1) or labels.min() < 0 or labels.max() > 9:
        raise UnreadableError(f"{path} is no batch of CIFAR-10: its rows or labels are not as they should be")
    planes = rows.reshape(-1, 3, SIDE, SIDE)
    return Labeled(np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels.astype(np.int64))

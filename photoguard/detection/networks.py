"""MTCNN's trained networks, read from the installed facenet-pytorch without importing it.

Its import would bring torchvision along, about a second for three small files.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from photoguard.errors import WeightsError
from photoguard.nets.mtcnn import ONet, PNet, RNet, fold_scaling

# facenet-pytorch 2.5.3 (MIT)
DIGESTS = {
    "pnet.pt": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    "rnet.pt": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    "onet.pt": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
}
HINT = "Reinstall it: pip install --force-reinstall --no-deps facenet-pytorch==2.5.3"


@dataclass(frozen=True)
class Networks:
    """The cascade, ready to run on `device`, its work shared out to `workers`."""

    propose: PNet
    refine: RNet
    decide: ONet
    device: torch.device
    workers: Executor


@contextmanager
def networks(device: str) -> Iterator[Networks]:
    """The networks with one thread for each that torch may use, given back at the end.

    Torch's own threads split every operation and wait for each other after it; beside another busy
    program that made detection eight times slower. Whole tiles and batches for a thread each do not wait.
    """
    propose, refine, decide = load_networks(device)
    count = torch.get_num_threads()
    with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,)) as workers:
        try:
            yield Networks(propose, refine, decide, torch.device(device), workers)
        finally:
            torch.set_num_threads(count)  # a worker's setting is also the default of threads to come


@cache
def load_networks(device: str) -> tuple[PNet, RNet, ONet]:
    """Load the three networks once a process."""
    folder = weights_folder()
    propose, refine, decide = PNet(), RNet(), ONet()
    for net, name in ((propose, "pnet.pt"), (refine, "rnet.pt"), (decide, "onet.pt")):
        _fill(net, folder / name)
        fold_scaling(net.conv1)
        net.eval().requires_grad_(False).to(torch.device(device)).to(memory_format=torch.channels_last)
    return propose, refine, decide


def weights_folder() -> Path:
    """The data folder of the installed facenet-pytorch."""
    spec = find_spec("facenet_pytorch")
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError("The package facenet-pytorch, which carries the face detector, is missing.", HINT)
    return Path(spec.submodule_search_locations[0]) / "data"


def _fill(net: nn.Module, path: Path) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"The face detector's weights cannot be read: {path}", HINT) from error
    if hashlib.sha256(content).hexdigest() != DIGESTS[path.name]:
        raise WeightsError(f"The face detector's weights are not the expected ones: {path}", HINT)
    net.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))

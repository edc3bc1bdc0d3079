"""Networks without torch: graphs that ship, filled with their weights when they are loaded, and ONNX Runtime.

A graph is what `photoguard/nets` says, written down by `python -m photoguard.train.graphs`: its operators and
no weights. Those stay in one place, the pinned safetensors, and are handed over in memory. Graphs are pinned
by hash like weights.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoguard import weights
from photoguard.errors import WeightsError

Arrays = Mapping[str, NDArray[Any]]
OLDEST = (1, 20)  # release of ONNX Runtime
HINT = "pip install 'onnxruntime>=1.20'"

GRAPHS = {  # name -> sha256 of its file
    "pnet": "64a2d519763d1015a29ef889ecb19e6f31219f199062336c168dc1f241bd46b6",
    "rnet": "49897dc298e4071a27d5d6449d301980ec1e65ebfbee7618df466df404219e0b",
    "onet": "512669f528e474a90809e16ceea804b1d4ccb1d2a38b34bcded81adf38a4b04f",
    "ddm-encode": "d0124bb848627e16a8dcaea8ce0e90365aac749f4c0c3ac2bd3b61c3b77a0221",
    "ddm-decode": "6ae6e5e629c86f809c17623b241fafa414c915d9fe5dd2dc1493c72424050315",
    "obfuscate": "595e71da0a0421f7d0a6ad32b84fcb9d86c148d6dd7ea06b8572717146787bec",
    "classify": "ad1a514f2f2ce4e6ca452d44470b0b7757310a6bf3c57a9919bcffe08197b150",
    "photoguard-small": "6a9473163263640a22dca6fb3a404430d956fa6ead21a918a0a297214eca811a",
}


@dataclass(frozen=True)
class Graph:
    """A network that is ready to run; any thread may run it."""

    name: str
    session: Any

    def __call__(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """The network's outputs, all of them numbers."""
        names = [one.name for one in self.session.get_inputs()]
        outputs: list[NDArray[Any]] = self.session.run(None, dict(zip(names, inputs, strict=True)))
        if not all(np.isfinite(output.sum(dtype=np.float64)) for output in outputs):
            raise WeightsError(
                f"the network {self.name} gave values that are no numbers",
                "this processor or its ONNX Runtime computes wrongly: try another release of onnxruntime",
            )
        return outputs


def threads() -> int:
    """How many threads this process may compute with: those of OMP_NUM_THREADS, one in a run's workers."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(int(told), cores)) if told.isdigit() else cores


def load(name: str, values: Arrays, alone: bool = False) -> Graph:
    """The graph of that name with these weights; `alone` runs it in the caller's thread only."""
    path = weights.place(f"graphs/{name}.onnx", f"the graph {name}")
    return _opened(name, weights.checked(path, GRAPHS[name]), values, 1 if alone else threads())


def foreign(name: str, model: bytes | Path) -> Graph:
    """A whole ONNX model of somebody else, for the caller's thread only."""
    source = str(model) if isinstance(model, Path) else model
    return _opened(name, source, {}, 1)


def _opened(name: str, model: bytes | str, values: Arrays, count: int) -> Graph:
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = count, 1
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # one block for a whole run: it rarely fits into what is free already
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    kept = {key: np.ascontiguousarray(value, np.float32) for key, value in values.items()}
    if kept:
        held = [runtime.OrtValue.ortvalue_from_numpy(value) for value in kept.values()]
        options.add_external_initializers(list(kept), held)
    try:
        return Graph(name, runtime.InferenceSession(model, options, providers=_providers(runtime)))
    except Exception as error:  # ONNX Runtime has many kinds, none of them documented
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(f"ONNX Runtime does not take the network {name}: {line}", HINT) from None


@cache
def _runtime() -> Any:
    # Otherwise release 1.32 keeps a device id and a store for telemetry in the user's home.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ImportError as error:
        raise WeightsError(f"ONNX Runtime cannot be loaded: {error}", HINT) from None
    release = tuple(int(part) for part in onnxruntime.__version__.split(".")[:2])
    if release < OLDEST:
        raise WeightsError(f"ONNX Runtime {onnxruntime.__version__} is too old", HINT)
    _share_memory(onnxruntime)
    return onnxruntime


def _share_memory(runtime: Any) -> None:
    """One pool of memory for all networks: each keeps what it has ever used, and they run in turns."""
    kind = runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    place = runtime.OrtMemoryInfo("Cpu", kind, 0, runtime.OrtMemType.DEFAULT)
    with suppress(Exception):  # a program that uses ONNX Runtime itself may have made one already
        runtime.create_and_register_allocator(place, None)


def _providers(runtime: Any) -> Sequence[str]:
    """A GPU where the installed ONNX Runtime can use one, and the processor."""
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    return [one for one in wanted if one in runtime.get_available_providers()]

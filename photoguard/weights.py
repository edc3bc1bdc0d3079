"""Network weights: what is shipped, where it lies, and that it is exactly what it should be."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photoguard.errors import UnreadableError, WeightsError
from photoguard.files import read_file, shown, write_whole

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from photoguard.nets.compact import CompactConfig, CompactNet
    from photoguard.nets.ddm import DDM, DDMConfig
    from photoguard.nets.obfuscator import Players
    from photoguard.nets.obfuscator_config import ObfuscatorConfig

_PACKAGE = Path(__file__).resolve().parent
FOLDERS = (_PACKAGE / "shipped_weights", _PACKAGE.parent / "weights")  # in a wheel, in a checkout
FORMAT = "photoguard-weights-1"
HEADER_LIMIT = 1 << 18
KEY_MODEL_LIMIT = 1 << 27  # bytes of a user's key model, locked or not; the largest generator has 76 MB


@dataclass(frozen=True)
class Weights:
    """One pinned file."""

    file: str
    sha256: str
    licence: str
    source: str
    config: Mapping[str, Any]


SHIPPED: dict[str, Weights] = {
    "ddm": Weights(
        file="ddm.safetensors",
        sha256="6cb293197b4a2ae084d27bd89d5d76f8047cf6aa2c789942f45a0272ac7d8741",
        licence="MIT",
        source="trained by this project, see weights/README.md",
        config={"widths": [16, 48, 96], "maps": 64, "one_in": 64, "blocks": 3}
        | {"fake_range": 3.0, "fake_margin": 0.5},
    ),
    "obfuscator": Weights(
        file="obfuscator.safetensors",
        sha256="90f52a18ec50f2e805638529afd7b5353861c7f36edc71bf53d54875093494c3",
        licence="MIT",
        source="trained by this project, see weights/README.md",
        config={
            "tasks": [{"name": "age>=18", "classes": ["no", "yes"]}],
            "private": [
                {"name": "gender", "classes": ["male", "female"]},
                {"name": "race", "classes": ["White", "Black", "Asian", "Indian", "other"]},
            ],
            "height": 112,
            "width": 112,
            "widths": [8, 16],
            "head": [16, 32, 48],
            "hidden": 128,
            "context": 32,
            "reach": 2.75,
            "template": [[0.297, 0.29], [0.7, 0.291], [0.497, 0.527], [0.313, 0.697], [0.679, 0.698]],
        },
    ),
    "photoguard-small": Weights(
        file="photoguard-small.safetensors",
        sha256="a3d305bdc00fd5a81f2e90c448789885084565425b1acbaa013747902461722a",
        licence="MIT",
        source="trained by this project, see weights/README.md",
        config={"height": 112, "width": 96, "embedding": 256, "widths": [24, 48, 128, 256]},
    ),
}


def located(entry: Weights, name: str) -> Path:
    """Where a pinned file lies."""
    return place(entry.file, f"the weights {name}")


def place(file: str, what: str) -> Path:
    """Where a file that ships lies."""
    for folder in FOLDERS:
        if (folder / file).is_file():
            return folder / file
    raise WeightsError(f"{what} are missing: no {file}", "install photoguard again, or fetch the file anew")


def checked(path: Path, sha256: str) -> bytes:
    """The bytes of a weights file, once their sha256 is the pinned one; nothing is parsed before."""
    try:
        data = read_file(path)
    except UnreadableError as error:
        raise WeightsError(f"the weights cannot be read: {error}", error.hint) from None
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise WeightsError(
            f"{shown(path)} is not the file that was published: sha256 {found[:16]}..., not {sha256[:16]}...",
            "install photoguard again, or fetch the file anew",
        )
    return data


def tensors(data: bytes, name: str) -> dict[str, Tensor]:
    """The tensors of any safetensors file: a recognizer's state dict as its authors published it."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{name} is not a whole safetensors file: {error}") from None


def parsed(data: bytes, name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the configuration of a safetensors file that `save` wrote."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    _, config = described(data, name)
    try:
        return load(data), config
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"{name} holds no weights of ours: {error}") from None


def described(data: bytes, name: str) -> tuple[dict[str, tuple[str, list[int]]], dict[str, Any]]:
    """The type and shape of every tensor, and the configuration, as the header states them.

    Nothing of the size that it promises is allocated.
    """
    length = int.from_bytes(data[:8], "little")
    if length > HEADER_LIMIT:
        raise WeightsError(f"{name} holds no weights of ours: its header is too long")
    try:
        header = json.loads(data[8 : 8 + length])
        config = dict(json.loads(header.pop("__metadata__")[FORMAT]))
        stated = {key: (entry["dtype"], list(entry["shape"])) for key, entry in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{name} holds no weights of ours: {error}") from None
    return stated, config


def save(path: Path, tensors: Mapping[str, Tensor], config: Mapping[str, Any], half: bool = False) -> str:
    """Write a weights file, whole or not at all; returns its sha256."""
    data = packed(tensors, config, half)
    write_whole(path, data)
    return hashlib.sha256(data).hexdigest()


def packed(tensors: Mapping[str, Tensor], config: Mapping[str, Any], half: bool = False) -> bytes:
    """A weights file's bytes, which `parsed` reads."""
    import torch
    from safetensors.torch import save as serialise

    kept = {
        name: value.detach().cpu().to(torch.float16 if half else torch.float32).contiguous()
        for name, value in tensors.items()
    }
    # One entry alone: safetensors writes several in any order, and the same weights must be the same bytes.
    return serialise(kept, {FORMAT: json.dumps(dict(config), sort_keys=True)})


def ddm_network(tensors: Mapping[str, Tensor], config: Mapping[str, Any], name: str) -> DDM:
    """A DDM network ready for use, from what `parsed` returned."""
    import torch

    from photoguard.nets.ddm import DDM

    try:
        network = DDM(ddm_config(config))
        network.load_state_dict({key: value.float() for key, value in tensors.items()})
    except (TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{name} does not fit its own configuration: {error}") from None
    network.eval().requires_grad_(False)
    return network.to(memory_format=torch.channels_last)


def ddm_config(config: Mapping[str, Any]) -> DDMConfig:
    """The configuration as it stands in a file -> as the network wants it."""
    from photoguard.nets.ddm import DDMConfig

    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    return DDMConfig(**values)


def shipped(name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the configuration of the shipped weights of that name."""
    tensors, config = parsed(_pinned(name), name)
    if config != dict(SHIPPED[name].config):
        raise WeightsError(f"the weights {name} are of another configuration", "install photoguard again")
    return tensors, config


def arrays(name: str) -> dict[str, NDArray[np.float32]]:
    """The shipped weights of that name for networks that run without torch."""
    import numpy as np
    from safetensors.numpy import load

    return {key: value.astype(np.float32) for key, value in load(_pinned(name)).items()}


def _pinned(name: str) -> bytes:
    if name not in SHIPPED:
        raise WeightsError(f"there are no weights named {name}", f"known: {', '.join(sorted(SHIPPED))}")
    return checked(located(SHIPPED[name], name), SHIPPED[name].sha256)


def load_ddm(name: str = "ddm") -> DDM:
    """The shipped DDM network of that name."""
    return ddm_network(*shipped(name), name)


def load_trained_ddm(path: Path, sha256: str) -> DDM:
    """A DDM network that the user trained; `sha256` is what training printed when it wrote the file."""
    return ddm_network(*parsed(checked(path, sha256), shown(path)), shown(path))


def save_ddm(path: Path, network: DDM, half: bool = False) -> str:
    """Write a DDM network's weights; returns the sha256 to load them with."""
    config = json.loads(json.dumps(dataclasses.asdict(network.config)))
    return save(path, network.state_dict(), config, half)


def recognizer_network(tensors: Mapping[str, Tensor], config: Mapping[str, Any], name: str) -> CompactNet:
    """A recognizer of ours ready for use, from what `parsed` or `shipped` returned."""
    from photoguard.nets.compact import CompactNet

    try:
        network = CompactNet(recognizer_config(config))
        counters = {
            key: value for key, value in network.state_dict().items() if not value.is_floating_point()
        }
        network.load_state_dict({key: value.float() for key, value in tensors.items()} | counters)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{name} does not fit its own configuration: {error}") from None
    network.eval().requires_grad_(False)
    return network


def recognizer_config(config: Mapping[str, Any]) -> CompactConfig:
    """The configuration as it stands in a file -> as the network wants it."""
    from photoguard.nets.compact import CompactConfig

    return CompactConfig(**{**config, "widths": tuple(config["widths"])})


def save_recognizer(path: Path, network: CompactNet, half: bool = False) -> str:
    """Write a recognizer's weights; returns the sha256 to load them with."""
    config = json.loads(json.dumps(dataclasses.asdict(network.config)))
    state = {key: value for key, value in network.state_dict().items() if value.is_floating_point()}
    return save(path, state, config, half)


def obfuscator_networks(tensors: Mapping[str, Tensor], config: Mapping[str, Any], name: str) -> Players:
    """DeepObfuscator's networks ready for use, from what `parsed` or `shipped` returned."""
    from photoguard.nets.obfuscator import Players

    try:
        networks = Players(obfuscator_config(config))
        counters = {
            key: value for key, value in networks.state_dict().items() if not value.is_floating_point()
        }
        networks.load_state_dict({key: value.float() for key, value in tensors.items()} | counters)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{name} does not fit its own configuration: {error}") from None
    return networks.eval().requires_grad_(False)


def obfuscator_config(config: Mapping[str, Any]) -> ObfuscatorConfig:
    """The configuration as it stands in a file -> as the networks want it."""
    from photoguard.nets.obfuscator_config import Attribute, ObfuscatorConfig

    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    if "template" in values:
        values["template"] = tuple(map(tuple, config["template"]))
    for part in ("tasks", "private"):
        values[part] = tuple(Attribute(one["name"], tuple(one["classes"])) for one in config[part])
    return ObfuscatorConfig(**values)


def load_trained_obfuscator(path: Path) -> tuple[Players, str]:
    """DeepObfuscator's networks that the user trained, and the file's sha256, which feature files name."""
    data = read_file(path)
    return obfuscator_networks(*parsed(data, shown(path)), shown(path)), hashlib.sha256(data).hexdigest()


def save_obfuscator(path: Path, networks: Players, half: bool = False) -> str:
    """Write DeepObfuscator's networks, one adversary with them; returns the sha256 to load them with."""
    config = json.loads(json.dumps(dataclasses.asdict(networks.config)))
    state = {key: value for key, value in networks.state_dict().items() if value.is_floating_point()}
    return save(path, state, config, half)

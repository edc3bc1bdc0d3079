"""Networks by name, and the key layouts in which their authors published the weights."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import torch

from photoguard.errors import WeightsError
from photoguard.nets import iresnet
from photoguard.nets.inception import inception_resnet
from photoguard.nets.iresnet import IResNet, IResNetConfig
from photoguard.nets.mobilefacenet import MobileFaceNet, MobileFaceNetConfig
from photoguard.nets.sphereface import SphereFace, SphereFaceConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from photoguard.recognizers.table import Spec

State = dict[str, "Tensor"]

IRESNETS = {
    "iresnet-r18": IResNetConfig(iresnet.R18),
    "iresnet-r50": IResNetConfig(iresnet.R50),
    "iresnet-r100": IResNetConfig(iresnet.R100),
    "adaface-r18": IResNetConfig(iresnet.R18, plain_shortcut=True),
    "adaface-r50": IResNetConfig(iresnet.R50, plain_shortcut=True),
    "adaface-r100": IResNetConfig(iresnet.R100, plain_shortcut=True),
    "ir-50": IResNetConfig(iresnet.R50, plain_shortcut=True, middle_norm=False),
}
SPHEREFACES = {
    "sphereface-20": SphereFaceConfig(block_bias=True),
    "cosface-20": SphereFaceConfig(block_bias=False),
}
WHOLE_FILES = ("onnx", "torchscript", "photoguard")  # the file brings its own network
ARCHITECTURES = (*IRESNETS, *SPHEREFACES, "mobilefacenet", "inception-resnet-v1", *WHOLE_FILES)

# What a training run wraps around the network, and the classifiers it leaves behind.
_WRAPPERS = ("module.", "model.", "backbone.", "net.")
_HEADS = ("head.", "logits.", "fc6.", "classifier.", "margin.")


def build(spec: Spec) -> nn.Module:
    """The network of `spec`, without weights."""
    name = spec.architecture
    if name in IRESNETS:
        return IResNet(IRESNETS[name])
    if name in SPHEREFACES:
        return SphereFace(SPHEREFACES[name])
    if name == "mobilefacenet":
        return MobileFaceNet(MobileFaceNetConfig(spec.height, spec.width, spec.embedding))
    if name == "inception-resnet-v1":
        return inception_resnet()
    raise WeightsError(
        f"there is no architecture {name!r} for a state dict", f"one of {', '.join(ARCHITECTURES)}"
    )


def our_layout(spec: Spec, state: State) -> State:
    """The published `state` under the names that our networks use."""
    state = {_unwrapped(key): value for key, value in state.items()}
    state = {key: value for key, value in state.items() if not key.startswith(_HEADS)}
    rename: Callable[[str], str] = str
    if spec.architecture in IRESNETS and any(key.startswith("body.") for key in state):
        state = _with_neutral_norm(state)
        rename = partial(_from_body, IRESNETS[spec.architecture])
    elif spec.architecture in SPHEREFACES and "conv1_1.weight" in state:
        rename = _from_numbered
    return {rename(key): value for key, value in state.items()}


def fill(net: nn.Module, state: State, what: str) -> None:
    """Put `state` into `net`; every weight must be there, in its shape, and nothing else."""
    wanted = net.state_dict()
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    missing = sorted(wanted.keys() - state.keys() - counters)
    extra = sorted(state.keys() - wanted.keys())
    shapes = [key for key in state.keys() & wanted.keys() if state[key].shape != wanted[key].shape]
    for problem, keys in (
        ("lacks", missing),
        ("has unknown", extra),
        ("has of another shape", sorted(shapes)),
    ):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise WeightsError(
                f"{what} {problem} weights: {', '.join(keys[:3])}{more}",
                "is this the right architecture? `photoguard recognizers list` names them",
            )
    net.load_state_dict(state, strict=False)  # complete but for batch counters, which only training reads


def _unwrapped(key: str) -> str:
    for wrapper in _WRAPPERS:
        key = key.removeprefix(wrapper)
    return key


def _with_neutral_norm(state: State) -> State:
    """AdaFace's last norm has no weights of its own: it multiplies by 1 and adds 0."""
    if "output_layer.4.running_mean" in state and "output_layer.4.weight" not in state:
        mean = state["output_layer.4.running_mean"]
        neutral = {
            "output_layer.4.weight": torch.ones_like(mean),
            "output_layer.4.bias": torch.zeros_like(mean),
        }
        return state | neutral
    return state


_STEM = {
    "input_layer.0": "conv1",
    "input_layer.1": "bn1",
    "input_layer.2": "prelu",
    "output_layer.0": "bn2",
    "output_layer.3": "fc",
    "output_layer.4": "features",
}


def _from_body(config: IResNetConfig, key: str) -> str:
    """`body.7.res_layer.1.weight` (AdaFace, evoLVe: blocks numbered through) to `layer3.0.conv1.weight`."""
    block = re.fullmatch(r"body\.(\d+)\.(res_layer\.\d|shortcut_layer)\.(.+)", key)
    if block is None:
        stem = re.fullmatch(r"(\w+_layer\.\d)\.(.+)", key)
        return f"{_STEM.get(stem[1], stem[1])}.{stem[2]}" if stem else key
    number, stage = int(block[1]), 0
    while stage < 3 and number >= config.blocks[stage]:
        number -= config.blocks[stage]
        stage += 1
    if block[2] == "shortcut_layer":
        part = "downsample"
    else:
        norms = ["bn2"] if config.middle_norm else []
        part = ["bn1", "conv1", *norms, "prelu", "conv2", "bn3"][int(block[2][-1])]
    return f"layer{stage + 1}.{number}.{part}.{block[3]}"


def _from_numbered(key: str) -> str:
    """`conv3_4.weight` (SphereFace: convolutions numbered through) to `layer3.3.conv1.weight`."""
    match = re.fullmatch(r"(conv|relu)(\d)_(\d)\.(.+)", key)
    if match is None:
        return key.replace("fc5.", "fc.")
    kind, stage, number, rest = match[1], match[2], int(match[3]), match[4]
    if number == 1:  # the convolution that halves the picture, then its PReLU
        return f"layer{stage}.{0 if kind == 'conv' else 1}.{rest}"
    block, second = divmod(number - 2, 2)
    part = "conv" if kind == "conv" else "prelu"
    return f"layer{stage}.{2 + block}.{part}{second + 1}.{rest}"

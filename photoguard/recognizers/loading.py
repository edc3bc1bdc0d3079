"""Three routes from a file to a network: state dict, ONNX, TorchScript. No route runs Python from a file."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from photoguard import weights
from photoguard.errors import UsageError, WeightsError
from photoguard.files import read_file
from photoguard.nets.compact import fused
from photoguard.recognizers.architectures import State, build, fill, our_layout

if TYPE_CHECKING:
    from pathlib import Path

    from photoguard.recognizers.table import Spec


def network(path: Path, spec: Spec) -> nn.Module:
    """The frozen network of `spec` with the weights of `path`, ready to embed."""
    if not path.is_file():
        raise WeightsError(f"{path} is not there", f"where to get {spec.name}: {spec.source}")
    if spec.architecture == "onnx":
        net = read_onnx(path)
    elif spec.architecture == "torchscript":
        net = read_torchscript(path)
    elif spec.architecture == "photoguard":
        net = fused(weights.recognizer_network(*weights.parsed(read_file(path), path.name), path.name))
    else:
        net = build(spec)
        fill(net, our_layout(spec, read_state(path)), path.name)
    for parameter in net.parameters():  # not net.requires_grad_: TorchScript modules refuse that
        parameter.requires_grad = False
    return net.eval()


def of_its_own(spec: Spec, path: Path) -> Spec:
    """The row `spec` with the sizes that a recognizer trained here states in its file."""
    config = weights.recognizer_config(weights.parsed(read_file(path), path.name)[1])
    height, width = config.height, config.width
    return replace(spec, height=height, width=width, embedding=config.embedding, template=f"{height}x{width}")


def route(path: Path) -> str:
    """What kind of file this is: "onnx", "torchscript" or "state" (a state dict)."""
    if path.suffix == ".onnx":
        return "onnx"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any("/code/" in name for name in archive.namelist()):
                return "torchscript"
    return "state"


def read_state(path: Path) -> State:
    """The tensors of a safetensors file or of a torch checkpoint, by name."""
    if path.suffix == ".safetensors":
        return weights.tensors(read_file(path), path.name)
    return _tensors(_read_checkpoint(path), path)


class _Inert(dict[Any, Any]):
    """Stands in for whatever class a checkpoint mentions beside its tensors; never that class itself."""

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        super().__init__()

    def __setstate__(self, _state: object) -> None:
        pass


def _read_checkpoint(path: Path) -> object:
    """A torch checkpoint, through torch's weights-only unpickler.

    Published checkpoints often carry the training framework's own objects beside the weights. Those become
    `_Inert`; nothing that the file names is imported or called.
    """
    try:
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        stand_ins: list[Any] = [(_Inert, name) for name in foreign]
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        ValueError,
        EOFError,
        KeyError,
        AttributeError,
        TypeError,
    ) as error:
        raise WeightsError(
            f"{path.name} is not a checkpoint that can be read without running code from it",
            "save its state dict as safetensors where you trust it",
        ) from error


def _tensors(checkpoint: object, path: Path) -> State:
    """The state dict in a checkpoint: the checkpoint itself, or the entry with the most tensors."""
    if isinstance(checkpoint, dict):
        candidates = [checkpoint, *(value for value in checkpoint.values() if isinstance(value, dict))]
        found = [{str(k): v for k, v in entry.items() if isinstance(v, Tensor)} for entry in candidates]
        best = max(found, key=len)
        if best:
            return best
    raise WeightsError(f"{path.name} holds no tensors", "a state dict is wanted: names and tensors")


def read_torchscript(path: Path) -> nn.Module:
    """A TorchScript file; it holds its own little language, not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch prefers its newer export format
            net: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise WeightsError(f"{path.name} is not a TorchScript file that torch can load") from error
    return net


def read_onnx(path: Path) -> nn.Module:
    """An ONNX file, converted to torch so that gradients flow."""
    try:
        import onnx
        import onnx2torch
    except ImportError as error:
        raise UsageError(
            "ONNX recognizers need an extra package", "pip install 'photoguard[onnx]'"
        ) from error
    try:
        model = onnx.load(str(path), load_external_data=False)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and onnx's errors have no common root
        raise WeightsError(f"{path.name} is not a whole ONNX file") from error
    if strange := _unconvertible(model):
        raise WeightsError(
            f"{path.name} uses operators that do not convert to torch: {', '.join(strange)}",
            "export the model with other operators, or as TorchScript",
        )
    try:
        net: nn.Module = onnx2torch.convert(model)
    except Exception as error:  # a converter may fail on an attribute with whatever comes to hand
        raise WeightsError(f"{path.name} does not convert to torch: {error}") from error
    return net


def _unconvertible(model: Any) -> list[str]:
    """Operators of the graph that onnx2torch has no converter for."""
    from onnx2torch.node_converters.registry import get_converter

    versions = {entry.domain: entry.version for entry in model.opset_import}
    strange = set()
    for node in model.graph.node:
        try:
            get_converter(node.op_type, versions.get(node.domain, 1), node.domain)
        except NotImplementedError:
            strange.add(f"{node.domain}.{node.op_type}" if node.domain else node.op_type)
    return sorted(strange)

"""Write the graphs that ship: `python -m photoguard.train.graphs` in a checkout, after a network has changed.

Each is a network of `nets` as ONNX, with the names of its weights and none of their values. It prints
what `photoguard/graphs.py` pins.
"""

from __future__ import annotations

import hashlib
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from photoguard import weights
from photoguard.nets import mtcnn

OPSET = 17


class Part(nn.Module):
    """One way through a network, as a module of its own."""

    def __init__(self, network: nn.Module, way: Callable[..., Any]) -> None:
        super().__init__()
        self.network, self.way = network, way

    def forward(self, *inputs: Tensor) -> Any:
        """What the way gives."""
        return self.way(self.network, *inputs)


def networks() -> dict[str, tuple[nn.Module, Callable[..., Any], tuple[Tensor, ...], dict[int, str]]]:
    """Every graph: network, way through it, an input to trace it with, and which axes may be of any size."""
    ddm, small = weights.load_ddm(), weights.shipped("photoguard-small")
    players = weights.obfuscator_networks(*weights.shipped("obfuscator"), "obfuscator")
    recognizer = weights.recognizer_network(*small, "photoguard-small")
    picture, any_number = {0: "n", 2: "h", 3: "w"}, {0: "n"}
    faces, features = torch.rand(2, 3, 112, 112), torch.rand(2, *players.config.features)
    chips = torch.rand(2, 3, recognizer.config.height, recognizer.config.width)
    return {
        "pnet": (mtcnn.PNet(), lambda net, x: net(x), (torch.rand(1, 3, 64, 96),), {2: "h", 3: "w"}),
        "rnet": (mtcnn.RNet(), lambda net, x: net(x), (torch.rand(2, 3, 24, 24),), any_number),
        "onet": (mtcnn.ONet(), lambda net, x: net(x), (torch.rand(2, 3, 48, 48),), any_number),
        "ddm-encode": (ddm, lambda net, x: net.features(x), (torch.rand(1, 3, 64, 64),), picture),
        "ddm-decode": (ddm, lambda net, x: net.picture(x), (torch.rand(1, 64, 4, 4),), picture),
        "obfuscate": (players.obfuscator, lambda net, x: net(x), (faces,), any_number),
        "classify": (players.classifier, lambda net, x: torch.cat(net(x), 1), (features,), any_number),
        "photoguard-small": (recognizer, lambda net, x: net(x), (chips,), any_number),
    }


def exported(
    network: nn.Module, way: Callable[..., Any], inputs: tuple[Tensor, ...], free: dict[int, str]
) -> bytes:
    """A graph without weights."""
    import onnx

    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on the exporter's age, and on sizes that are constants on purpose
        torch.onnx.export(
            Part(network.eval(), way), inputs, cast(Any, out), dynamo=False, opset_version=OPSET,
            input_names=["x"], dynamic_axes={"x": free}, do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,
        )  # fmt: skip
    model = onnx.load_from_string(out.getvalue())
    names = {}
    for value in model.graph.initializer:
        if value.name.startswith("network."):
            names[value.name] = value.name.removeprefix("network.")
            value.name = names[value.name]
            value.ClearField("raw_data")
            value.data_location = onnx.TensorProto.EXTERNAL
            value.external_data.add(key="location", value="weights")
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.ClearField("doc_string")
    model.producer_version = ""
    return bytes(model.SerializeToString(deterministic=True))


def pins(graphs: dict[str, bytes]) -> dict[str, str]:
    """What `photoguard.graphs` pins of them."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in graphs.items()}


def main() -> None:
    """Write all of them."""
    folder = Path(weights.FOLDERS[-1]) / "graphs"
    folder.mkdir(exist_ok=True)
    made = {name: exported(*parts) for name, parts in networks().items()}
    for name, pin in pins(made).items():
        (folder / f"{name}.onnx").write_bytes(made[name])
        sys.stdout.write(f'    "{name}": "{pin}",\n')


if __name__ == "__main__":
    main()

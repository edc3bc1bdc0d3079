"""The graphs that ship say what the networks say, and nothing that is altered runs.

Covers: train.graphs, detection.checkpoints, methods.quantization, recognizers.embedder.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.places import ROOT

from photoguard import graphs, weights
from photoguard.detection import checkpoints
from photoguard.detection import networks as detectors
from photoguard.errors import PhotoguardError, WeightsError
from photoguard.methods import obfuscator, quantization
from photoguard.methods.ddm import method as ddm
from photoguard.nets import ddm as nets
from photoguard.nets import mtcnn
from photoguard.recognizers import load, load_for_pixels
from photoguard.train import graphs as export

TOLERANCE = 1e-4  # of values around 1: two libraries add in different orders


def near(one: np.ndarray, other: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    return one.shape == other.shape and float(np.abs(one - other).max()) < tolerance


@pytest.fixture(scope="module")
def exported() -> dict[str, bytes]:
    return {name: export.exported(*parts) for name, parts in export.networks().items()}


def test_what_ships_is_what_the_networks_export(exported: dict[str, bytes]) -> None:
    """One definition of each network: who changes it writes the graphs anew."""
    assert exported.keys() == graphs.GRAPHS.keys()
    for name in exported:
        assert weights.place(f"graphs/{name}.onnx", name).stat().st_size < 30_000, "no weights inside"
    assert export.pins(exported) == dict(graphs.GRAPHS)


def test_ddm_as_graphs() -> None:
    network, (encode, decode) = weights.load_ddm(), ddm.network()
    x = np.random.default_rng(0).random((2, 3, 48, 80), np.float32)
    with torch.inference_mode():
        maps = network.features(torch.from_numpy(x)).numpy()
        picture = network.picture(torch.from_numpy(maps)).numpy()
    assert near(encode(x)[0], maps) and near(decode(maps)[0], picture)
    public = maps[:, : ddm.PUBLIC]
    theirs = [part.numpy() for part in nets.quantise(torch.from_numpy(public))]
    for mine, their in zip(quantization.quantise(public), theirs, strict=True):
        assert np.array_equal(mine, their)
    back = nets.dequantise(*map(torch.from_numpy, theirs)).numpy()
    assert np.array_equal(quantization.dequantise(*theirs), back)


def test_deepobfuscator_as_graphs() -> None:
    tensors, config = weights.shipped("obfuscator")
    networks = weights.obfuscator_networks(tensors, config, "obfuscator")
    mine, theirs = obfuscator.shipped(), obfuscator.of_networks("own", "", networks)
    x = np.random.default_rng(0).random((3, 3, 112, 112), np.float32)
    features = mine.encode(x)
    assert near(features, theirs.encode(x)) and near(mine.answer(features), theirs.answer(features))


def test_the_shipped_recognizer_as_a_graph() -> None:
    chips = np.random.default_rng(0).integers(0, 256, (3, 112, 96, 3), np.uint8)
    mine, theirs = load_for_pixels("photoguard-small"), load("photoguard-small")
    assert near(mine.embed_pixels(chips), theirs.embed_pixels(chips))


@pytest.mark.parametrize("name", ["p_net", "r_net", "o_net"])
def test_mtcnn_as_graphs(name: str) -> None:
    source = {"p_net": detectors.P_NET, "r_net": detectors.R_NET, "o_net": detectors.O_NET}[name]
    network = {"p_net": mtcnn.PNet, "r_net": mtcnn.RNet, "o_net": mtcnn.ONet}[name]().eval()
    network.load_state_dict(
        {k: torch.from_numpy(v) for k, v in checkpoints.tensors(source.read(), name).items()}
    )
    side = {"p_net": 64, "r_net": 24, "o_net": 48}[name]
    x = np.random.default_rng(0).integers(0, 256, (1, 3, side, side)).astype(np.float32)
    with torch.inference_mode():
        theirs = network((torch.from_numpy(x) - 127.5) / 128)
    for mine, their in zip(getattr(detectors.load_networks(), name)(x), theirs, strict=True):
        assert near(mine, their.numpy(), 1e-3)


# State dicts without torch


def test_a_state_dict_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    state = {
        "a": torch.randn(3, 4),
        "b": torch.randn(5)[1:4],
        "t": torch.randn(2, 3, 4, 5).permute(3, 2, 1, 0),
    }
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    found = checkpoints.tensors((tmp_path / "old.pt").read_bytes(), "old.pt")
    assert found.keys() == state.keys()
    assert all(np.array_equal(found[name], state[name].numpy()) for name in state)


def test_whatever_else_a_pickle_says_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> object:
            return (Path.touch, (tmp_path / "touched",))

    for state in (
        {"a": Evil()},
        Evil(),
        {"a": 1},
        [torch.zeros(1)],
        {"a": torch.zeros(1, dtype=torch.float64)},
    ):
        torch.save(state, tmp_path / "evil.pt", _use_new_zipfile_serialization=False)
        with pytest.raises(WeightsError):
            checkpoints.tensors((tmp_path / "evil.pt").read_bytes(), "evil.pt")
    assert not (tmp_path / "touched").exists()


@given(st.data())
def test_any_change_of_a_state_dict_gives_only_our_errors(data: st.DataObject) -> None:
    good = bytearray(detectors.P_NET.read())
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, 2000))] = data.draw(st.integers(0, 255))
    try:
        checkpoints.tensors(bytes(good), "p")
    except PhotoguardError as error:
        assert error.exit_code == 7


# Faults


def test_an_altered_graph_or_a_missing_one_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "weights" / "graphs", tmp_path / "graphs")
    monkeypatch.setattr(weights, "FOLDERS", (tmp_path,))
    graph = tmp_path / "graphs" / "pnet.onnx"
    data = bytearray(graph.read_bytes())
    data[len(data) // 2] ^= 1
    graph.write_bytes(data)
    with pytest.raises(WeightsError, match="not the file that was published"):
        graphs.load("pnet", {})
    graph.unlink()
    with pytest.raises(WeightsError, match="missing"):
        graphs.load("pnet", {})


def test_values_that_are_no_numbers_are_an_error() -> None:
    encode, _ = ddm.network()
    with pytest.raises(WeightsError, match="no numbers"):
        encode(np.full((1, 3, 16, 16), np.nan, np.float32))


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ("import sys; sys.modules['onnxruntime'] = None", "cannot be loaded"),
        (
            "import types, sys; sys.modules['onnxruntime'] = types.SimpleNamespace(__version__='1.9.0')",
            "too old",
        ),
    ],
)
def test_a_runtime_that_is_missing_or_too_old_is_named(before: str, says: str) -> None:
    code = f"{before}\nfrom photoguard.detection.networks import load_networks\nload_networks()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert says in done.stderr and "WeightsError" in done.stderr

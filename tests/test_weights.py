"""Weights: found from anywhere, checked before anything is parsed, refused when anything is off."""

import dataclasses
import hashlib
import json
import subprocess
import sys

import pytest
import torch

from photoguard import weights
from photoguard.errors import WeightsError
from photoguard.nets.ddm import DDM, DDMConfig

TINY = DDMConfig(widths=(4, 6, 8), blocks=1)


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A tiny network in the place of the shipped one."""
    torch.manual_seed(0)
    network = DDM(TINY)
    sha256 = weights.save_ddm(tmp_path / "tiny.safetensors", network)
    config = json.loads(json.dumps(dataclasses.asdict(TINY)))
    entry = weights.Weights("tiny.safetensors", sha256, "MIT", "a test", config)
    monkeypatch.setitem(weights.SHIPPED, "tiny", entry)
    monkeypatch.setattr(weights, "FOLDERS", (tmp_path / "nowhere", tmp_path))
    return tmp_path / "tiny.safetensors", network


def test_saved_weights_load_again(shipped):
    loaded = weights.load_ddm("tiny")
    assert loaded.config == TINY and not loaded.training
    x = torch.rand(1, 3, 32, 32)
    assert torch.allclose(loaded.features(x), shipped[1].features(x), atol=1e-5)


def test_half_precision_halves_the_file(tmp_path):
    network = DDM(TINY)
    for half, name in ((False, "full"), (True, "half")):
        weights.save_ddm(tmp_path / name, network, half)
    assert (tmp_path / "half").stat().st_size < 0.65 * (tmp_path / "full").stat().st_size
    sha256 = hashlib.sha256((tmp_path / "half").read_bytes()).hexdigest()
    assert next(weights.load_trained_ddm(tmp_path / "half", sha256).parameters()).dtype == torch.float32


@pytest.mark.parametrize("where", [0, 8, 100, -1])
def test_one_altered_byte_is_refused_before_anything_is_parsed(shipped, monkeypatch, where):
    path, _ = shipped
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(bytes(data))
    monkeypatch.setattr(weights, "parsed", lambda *_: pytest.fail("parsed unchecked bytes"))
    with pytest.raises(WeightsError, match="not the file that was published") as caught:
        weights.load_ddm("tiny")
    assert caught.value.exit_code == 7 and caught.value.hint


def test_missing_weights(shipped):
    shipped[0].unlink()
    with pytest.raises(WeightsError, match="missing"):
        weights.load_ddm("tiny")


def test_a_folder_in_the_place_of_the_file(tmp_path):
    with pytest.raises(WeightsError):
        weights.checked(tmp_path, "0" * 64)


def test_unknown_name():
    with pytest.raises(WeightsError, match="no weights named nonsense"):
        weights.load_ddm("nonsense")


def test_another_configuration_is_refused(shipped, monkeypatch):
    other = dataclasses.replace(weights.SHIPPED["tiny"], config={"widths": [1, 2, 3]})
    monkeypatch.setitem(weights.SHIPPED, "tiny", other)
    with pytest.raises(WeightsError, match="another configuration"):
        weights.load_ddm("tiny")


def test_tensors_that_do_not_fit_the_configuration(tmp_path):
    sha256 = weights.save(tmp_path / "w", {"down.0.weight": torch.zeros(3)}, dataclasses.asdict(TINY))
    with pytest.raises(WeightsError, match="does not fit"):
        weights.load_trained_ddm(tmp_path / "w", sha256)


@pytest.mark.parametrize("data", [b"", b"\x00" * 7, b"\x02" + b"\x00" * 7 + b"{}", b"PK\x03\x04 a pickle?"])
def test_files_of_another_kind(data):
    with pytest.raises(WeightsError):
        weights.parsed(data, "it")


def test_foreign_safetensors_are_refused():
    from safetensors.torch import save

    with pytest.raises(WeightsError, match="no weights of ours"):
        weights.parsed(save({"x": torch.zeros(1)}), "it")
    with pytest.raises(WeightsError, match="no weights of ours"):
        weights.parsed(save({"x": torch.zeros(1)}, {"photoguard-weights-2": "{}"}), "it")


def test_the_same_weights_are_the_same_bytes(tmp_path):
    network = DDM(TINY)
    assert len({weights.save_ddm(tmp_path / str(n), network) for n in range(5)}) == 1


def test_every_pinned_file_is_there_and_loads_from_another_folder(tmp_path):
    for name, entry in weights.SHIPPED.items():
        data = weights.checked(weights.located(entry, name), entry.sha256)
        assert len(data) < 20e6
    code = "from photoguard.weights import load_ddm; print(load_ddm().config.one_in)"
    root = str(weights.located(weights.SHIPPED["ddm"], "ddm").parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, check=True
    )
    assert done.stdout.split() == [b"64"]

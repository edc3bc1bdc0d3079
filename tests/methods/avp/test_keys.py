"""Key models as files: bounds that hold before anything is allocated, and faults of every kind."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from support.chips import OWNER, carrying, face, learned_model
from support.places import ROOT

from photoguard import reveal, weights
from photoguard.errors import DamagedError, WeightsError
from photoguard.formats import chip_data as avp_payload
from photoguard.formats import envelope, identities
from photoguard.methods.avp import keys as avp_keys
from photoguard.methods.avp.keys import KeyModel
from photoguard.nets.generator import PRESETS, Generator, GeneratorConfig
from photoguard.photos import images

CONFIG = {"channels": 4, "halvings": 1, "blocks": 1, "norm": False}
HUGE = {"channels": 256, "halvings": 4, "blocks": 32, "norm": True}
SOME = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))


def key_model(blob: bytes, secret: bytes = b"s" * 32) -> bytes:
    return envelope.pack({"kind": "keymodel"}, [secret, blob], 1)


def raw(header: Any, data: bytes = b"") -> bytes:
    """A safetensors file without any check."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def described(config: Any, tensors: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"__metadata__": {weights.FORMAT: json.dumps(config)}, **(tensors or {})}


def bomb() -> bytes:
    """A few hundred bytes that ask for a network of many gigabytes."""
    return key_model(raw(described(HUGE)))


MEASURED = """
import resource, sys, torch
from photoguard.errors import DamagedError
from photoguard.methods.avp.keys import KeyModel
data = open(sys.argv[1], "rb").read()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    KeyModel.from_bytes(data)
except DamagedError as error:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10, error)
"""


def measured(data: bytes, path: Path) -> tuple[int, str]:
    """By how many MiB reading raises a process's peak, and what it says."""
    path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], env={"PYTHONPATH": str(ROOT)}, timeout=60,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    mebibytes, _, says = done.stdout.partition(" ")
    return int(mebibytes), says


def test_a_small_file_cannot_ask_for_a_large_network(tmp_path: Path) -> None:
    with torch.device("meta"):
        asked = Generator(GeneratorConfig(**HUGE))  # type: ignore[arg-type]
    assert sum(4 * p.numel() for p in asked.parameters()) > 7e9 and len(bomb()) < 464
    mebibytes, says = measured(bomb(), tmp_path / "bomb")
    assert mebibytes < 50 and "out of range" in says


def test_the_largest_that_is_allowed_is_refused_without_its_weights(tmp_path: Path) -> None:
    largest = {"channels": 64, "halvings": 2, "blocks": 16, "norm": True}
    mebibytes, says = measured(key_model(raw(described(largest))), tmp_path / "none")
    assert mebibytes < 50 and "do not fit" in says


def test_a_file_larger_than_any_key_model_is_refused() -> None:
    with pytest.raises(DamagedError, match="larger than any"):
        KeyModel.from_bytes(bytes(weights.KEY_MODEL_LIMIT + 1))
    chip = carrying(avp_payload.mark(b"s" * 32, bytes(16), 112, 112), face(3))
    with pytest.raises(DamagedError, match="larger than any"):
        reveal.reveal_chip(chip, OWNER, None, bytes(weights.KEY_MODEL_LIMIT + 1))


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_presets_fit(preset: str) -> None:
    model = KeyModel(b"s" * 32, Generator(PRESETS[preset]).eval())
    data = model.to_bytes()
    again = KeyModel.from_bytes(data)
    assert again.generator.config == PRESETS[preset] and len(data) < weights.KEY_MODEL_LIMIT
    for name, value in model.generator.state_dict().items():
        assert torch.equal(again.generator.state_dict()[name], value)


@pytest.mark.parametrize(
    "changed",
    [
        {"channels": 65}, {"channels": 0}, {"channels": 64, "halvings": 3}, {"halvings": 5}, {"halvings": -1},
        {"blocks": 17}, {"blocks": 2}, {"blocks": True}, {"norm": 1}, {"channels": 4.0}, {"more": 1},
        {"channels": 10**30},
    ],
)  # fmt: skip
def test_a_configuration_that_is_out_of_range_or_of_other_weights_is_damaged(changed: dict[str, Any]) -> None:
    blob = weights.packed(learned_model().generator.state_dict(), CONFIG | changed)
    with pytest.raises(DamagedError, match="configuration"):
        KeyModel.from_bytes(key_model(blob))


@pytest.mark.parametrize(
    "blob",
    [
        b"", b"garbage", bytes(400), b"\xff" * 400, raw(b"[]"), raw(b"[" * 100_000), raw({}), raw(b"{" * 9),
        raw({"__metadata__": {weights.FORMAT: "[" * 100_000}}), raw({"__metadata__": []}),
        raw(described([1])), raw(described(CONFIG, {"x": 1})),
        raw(described(CONFIG, {"x": {"dtype": "F32"}})),
        raw(described(CONFIG, {"x": {"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 4]}})),
        struct.pack("<Q", (1 << 64) - 1) + b"{}", struct.pack("<Q", weights.HEADER_LIMIT + 1),
    ],
    ids=range(16),
)  # fmt: skip
def test_garbage_is_a_damaged_key_model_and_elsewhere_a_fault_of_the_weights(blob: bytes) -> None:
    with pytest.raises(DamagedError) as caught:
        KeyModel.from_bytes(key_model(blob))
    assert caught.value.exit_code == 6
    with pytest.raises(WeightsError) as elsewhere:
        weights.parsed(blob, "the weights")
    assert elsewhere.value.exit_code == 7


def test_weights_of_other_types_or_without_numbers_are_damaged() -> None:
    state = learned_model().generator.state_dict()
    half = weights.packed(state, CONFIG, half=True)
    fewer = weights.packed(dict(list(state.items())[1:]), CONFIG)
    numberless = weights.packed({**state, "layers.1.bias": torch.full((4,), torch.nan)}, CONFIG)
    for blob in (half, fewer, numberless):
        with pytest.raises(DamagedError, match="weights"):
            KeyModel.from_bytes(key_model(blob))
    with pytest.raises(DamagedError):
        KeyModel.from_bytes(key_model(weights.packed(state, CONFIG), b"short"))
    with pytest.raises(DamagedError):
        KeyModel.from_bytes(learned_model().to_bytes()[:-1])


@cache
def good() -> bytes:
    return weights.packed(learned_model().generator.state_dict(), CONFIG)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Good weights with one to three faults, most of them in the header."""
    data = good()
    header = 8 + int.from_bytes(data[:8], "little")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, header) | st.integers(0, len(data)))
        kind = draw(st.sampled_from(["flip", "digit", "cut", "insert", "remove"]))
        head, rest = data[:at], data[at:]
        if kind == "flip":
            data = head + bytes(byte ^ 1 << draw(st.integers(0, 7)) for byte in rest[:1]) + rest[1:]
        elif kind == "digit":  # other numbers, other shapes, other configurations
            at = draw(
                st.sampled_from([n for n, byte in enumerate(data[:header]) if chr(byte).isdigit()] or [0])
            )
            data = data[:at] + draw(st.sampled_from([b"0", b"9", b"99", b"-1", b"1e9"])) + data[at + 1 :]
        elif kind == "cut":
            data = head
        elif kind == "insert":
            data = head + draw(st.binary(min_size=1, max_size=9)) + rest
        else:
            data = head + rest[draw(st.integers(1, 9)) :]
        length = len(data) - len(good()) + header - 8
        if draw(st.booleans()) and length > 0:  # else the length is another fault
            data = struct.pack("<Q", length) + data[8:]
    return data


@SOME
@given(mutated())
def test_a_mutated_key_model_is_read_or_damaged(blob: bytes) -> None:
    try:
        model = KeyModel.from_bytes(key_model(blob))
    except DamagedError:
        return
    assert model.generator.config == GeneratorConfig(**CONFIG)  # type: ignore[arg-type]


@pytest.mark.parametrize(("height", "width"), [(1, 200), (2, 52), (112, 113), (258, 112), (1024, 1024)])
def test_a_learned_chip_that_its_generator_cannot_take_is_damaged(height: int, width: int) -> None:
    cargo = avp_payload.mark(b"s" * 32, bytes(16), height, width)
    chip = carrying(cargo, np.zeros((height, width, 3), np.uint8))
    with pytest.raises(DamagedError, match="size"):
        avp_keys.restore_learned(chip, avp_payload.carried(chip), learned_model())


def test_a_key_model_that_is_a_bomb_or_garbage_ends_a_command_with_6(
    photoguard: Callable[..., Any], tmp_path: Path
) -> None:
    photoguard("keygen", "-q")
    mine = next((tmp_path / "home").rglob("identity")).read_bytes()
    to_me = identities.Recipients(tuple(identities.recipients_of(mine.decode())))
    chip = carrying(avp_payload.mark(b"s" * 32, bytes(16), 112, 112), face(3))
    (tmp_path / "chip.png").write_bytes(images.encode_lossless(chip))
    for plain in (bomb(), key_model(b"garbage" * 50)):
        (tmp_path / "model.age").write_bytes(identities.seal(plain, to_me))
        failed = photoguard("decrypt", "chip.png", "--key-model", "model.age", code=6).stderr
        assert "error: the key model" in failed
    assert not (tmp_path / "chip.restored.png").exists()
    Image.open(tmp_path / "chip.png").verify()

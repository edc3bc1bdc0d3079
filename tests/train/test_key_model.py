"""Training a key model: its folder, Ctrl-C, going on, and runs that end by the clock."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from photoguard.nets.generator import GeneratorConfig
from photoguard.train import key_model, records

TINY = replace(key_model.SMALL, network=GeneratorConfig(4, 1, 1, norm=False), side=32, steps=4)


def test_ctrl_c_in_the_middle_of_a_step_waits_for_its_end_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have set it aside
    step, calls = torch.optim.Adam.step, []

    def pressed(self: torch.optim.Adam) -> None:
        step(self)
        calls.append(self)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", pressed)
        with pytest.raises(KeyboardInterrupt):
            key_model.train(TINY, device="cpu", folder=tmp_path)
    state = torch.load(tmp_path / records.CHECKPOINT, weights_only=True)
    assert state["step"] == 2 and state["optimizer"]["state"][0]["step"] == 2
    assert len(calls) == 2 and state["seconds"] > 0
    del state["window"]  # which older versions did not write
    records.save_checkpoint(tmp_path, state)
    learned = key_model.train(TINY, device="cpu", folder=tmp_path)
    assert learned.steps == 4 and learned.seconds > state["seconds"]
    assert torch.load(tmp_path / records.CHECKPOINT, weights_only=True)["optimizer"]["state"][0]["step"] == 4


def test_its_folder_holds_a_log_and_a_sheet(tmp_path: Path) -> None:
    learned = key_model.train(TINY, device="cpu", folder=tmp_path)
    losses, checked = records.read_log(tmp_path)
    assert losses["step"] == 4 and losses["loss"] > 0
    assert checked["ssim"] == pytest.approx(learned.ssim, abs=1e-6)
    assert [path.name for path in (tmp_path / "sheets").iterdir()] == ["000004.png"]


def test_progress_is_told_in_steps_or_in_seconds() -> None:
    told: list[tuple[int, int]] = []
    key_model.train(replace(TINY, steps=10), device="cpu", progress=lambda *now: told.append(now))
    assert told == [(5, 10), (10, 10)]
    told.clear()
    learned = key_model.train(
        replace(TINY, steps=None, seconds=2.0), device="cpu", progress=lambda *now: told.append(now)
    )
    assert learned.seconds >= 2 and {total for _, total in told} == {2}
    assert [done for done, _ in told] == sorted(done for done, _ in told)

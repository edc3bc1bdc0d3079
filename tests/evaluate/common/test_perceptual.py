"""The distance that follows the eye: none between equals, more where more is changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from photoguard import weights
from photoguard.evaluate.common.perceptual import distance
from photoguard.nets.squeezenet import SqueezeNet


def test_more_noise_is_further_away(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights.save(tmp_path / "squeezenet", SqueezeNet().state_dict(), {})
    measure = distance(tmp_path / "squeezenet")
    rng = np.random.default_rng(0)
    pictures = rng.integers(60, 190, (2, 64, 64, 3)).astype(np.uint8)
    noise = rng.normal(size=pictures.shape)
    little, much = (np.clip(pictures + strength * noise, 0, 255).astype(np.uint8) for strength in (5, 50))
    assert measure(pictures, pictures) == pytest.approx(0, abs=1e-9)
    assert 0 < measure(pictures, little) < measure(pictures, much)

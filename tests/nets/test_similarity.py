"""One SSIM for the tool, training and evaluation."""

from __future__ import annotations

import pytest
import torch

from photoguard.nets.similarity import ssim

A = torch.randint(0, 200, (2, 3, 20, 24), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_ssim_is_one_for_equal_pictures_and_negative_for_a_negative() -> None:
    a = A.double()
    same, turned = float(ssim(a, a).mean()), float(ssim(a, 200 - a).mean())
    assert same == pytest.approx(1) and turned < -0.5

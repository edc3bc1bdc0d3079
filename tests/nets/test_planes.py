"""Pixels become planes and come back."""

from __future__ import annotations

import numpy as np
import torch

from photoguard.nets.planes import to_pixels, to_planes

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)


def test_pixels_come_back_and_channels_stand_in_front() -> None:
    planes = to_planes(PIXELS)
    assert planes.shape == (2, 3, 4, 5) and int(planes[1, 2, 3, 4]) == PIXELS[1, 3, 4, 2]
    assert planes.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(to_pixels(planes), PIXELS)


def test_arrays_that_torch_does_not_take_are_copied() -> None:
    locked = PIXELS.copy()
    locked.flags.writeable = False
    np.testing.assert_array_equal(to_pixels(to_planes(locked)), PIXELS)
    np.testing.assert_array_equal(to_pixels(to_planes(PIXELS[:, :, ::-1])), PIXELS[:, :, ::-1])


def test_pixels_are_rounded_and_cut_off() -> None:
    planes = torch.tensor([-3.0, 0.5, 1.5, 254.6, 300.0]).view(1, 1, 1, 5)
    assert to_pixels(planes).ravel().tolist() == [0, 0, 2, 255, 255]

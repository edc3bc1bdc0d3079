"""What stands in for a face, by name: faces (N, H, W, 3) in, covers as the saved files show them out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from photoguard.covering import cover
from photoguard.evaluate.ddm import jpeg, p3
from photoguard.looks.filters import blurred, pixelated
from photoguard.nets import ddm as nets
from photoguard.nets.planes import Pixels, to_pixels, to_planes

if TYPE_CHECKING:
    from photoguard.nets.ddm import DDM

Cover = Callable[[Pixels], Pixels]
ORIGINAL = "Original"


def one_by_one(single: Callable[[Any], Any]) -> Cover:
    """A cover of single patches as a cover of stacks."""
    return lambda faces: np.stack([single(face) for face in faces])


def tool(name: str) -> Cover:
    """The cover that `photoguard encrypt --method NAME` puts into the public picture."""
    return one_by_one(lambda face: cover(name, face).pixels)


def baselines(seed: int = 0) -> dict[str, Cover]:
    """The paper's baselines that need no trained network, and the tool's own plain covers."""
    noise = np.random.default_rng(seed)
    return {
        ORIGINAL: lambda faces: faces,
        "Pixelation(20)": one_by_one(partial(pixelated, block=20)),
        "Blurring(16)": one_by_one(partial(blurred, sigma=16.0)),
        "P3(20)": one_by_one(partial(p3_public, threshold=20)),
        "P3(10)": one_by_one(partial(p3_public, threshold=10)),
        "P3(1)": one_by_one(partial(p3_public, threshold=1)),
        "pixelate": tool("pixelate"),
        "blur": tool("blur"),
        "solid": tool("solid"),
        "random": lambda faces: noise.integers(0, 256, faces.shape, dtype=np.uint8),
    }


def p3_public(face: Pixels, threshold: int, quality: int = p3.QUALITY) -> Pixels:
    """The public part of P3, as a viewer decodes the saved file."""
    return jpeg.to_pixels(p3.split(face, threshold, quality).public_jpeg)


def network(ddm: DDM, seed: int = 0, batch: int = 32) -> Cover:
    """Covers x_e of a DDM or MSEDNet, rounded to the saved 8 bits, with the fakes that it was trained for."""
    generator = torch.Generator().manual_seed(seed)

    def stand_in(private: torch.Tensor) -> torch.Tensor:
        if ddm.config.fake == "noise":
            return private + torch.randn(private.shape, generator=generator).to(private.device)  # Eq. 2
        uniform = torch.rand(private.shape, generator=generator).to(private.device)
        return nets.fake_from_uniform(private, uniform, ddm.config)

    def drawn(faces: Pixels) -> Pixels:
        parts = []
        for start in range(0, len(faces), batch):
            public, private = maps(ddm, faces[start : start + batch])
            parts.append(picture(ddm, public, stand_in(private), faces.shape[1:3]))
        return np.concatenate(parts)

    return drawn


@torch.no_grad()
def maps(ddm: DDM, faces: Pixels) -> tuple[torch.Tensor, torch.Tensor]:
    """Public and private maps of a stack of faces, as they travel."""
    device = next(ddm.parameters()).device
    x = to_planes(faces).to(device).float() / 255
    return nets.as_travelled(*ddm.encode(nets.pad(x)))


@torch.no_grad()
def picture(ddm: DDM, public: torch.Tensor, private: torch.Tensor, size: tuple[int, ...]) -> Pixels:
    """What the decoder makes of the maps, (N, height, width, 3) of 8 bits."""
    decoded = ddm.decode(public, private)[:, :, : size[0], : size[1]]
    return to_pixels(decoded * 255)

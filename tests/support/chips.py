"""Smooth made-up faces, chips that carry something, and the smallest networks that AVP can use."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from photoguard.formats import chip_data as avp_payload
from photoguard.formats import identities
from photoguard.methods.avp.keys import KeyModel
from photoguard.nets.generator import Generator, GeneratorConfig
from photoguard.recognizers import TABLE, Recognizer

PAIR = identities.generate()

OWNER = identities.parse_identities(PAIR[0].encode(), str)

TO_OWNER = identities.Recipients((PAIR[1],))


def face(seed: int = 0) -> np.ndarray:
    y, x = np.mgrid[:112, :112]
    waves = [127 + 90 * np.sin(x / (9 + seed + c)) * np.cos(y / (14 + c)) for c in range(3)]
    return np.stack(waves, -1).round().astype(np.uint8)


def carrying(cargo: avp_payload.Cargo, picture: np.ndarray) -> np.ndarray:
    """The picture as a chip."""
    bits = np.where(cargo.low == avp_payload.FREE, picture & 3, cargo.low)
    return cargo.tagged(picture & 252 | bits)


def learned_model() -> KeyModel:
    torch.manual_seed(0)
    return KeyModel(b"s" * 32, Generator(GeneratorConfig(4, 1, 1, norm=False)).eval().requires_grad_(False))


def tiny_recognizer(name: str = "mobilefacenet-casia", seed: int = 0) -> Recognizer:
    """A recognizer of two convolutions that sees something."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 9, 8), nn.Tanh(), nn.Conv2d(8, 16, 3, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(4),
        nn.Flatten(), nn.Linear(256, 32, bias=False),
    )  # fmt: skip
    return Recognizer(name, TABLE[name], net.requires_grad_(False).eval())

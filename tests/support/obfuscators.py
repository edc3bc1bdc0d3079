"""Tiny DeepObfuscators and labeled faces for the tests."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from PIL import Image

from photoguard.nets import obfuscator as nets

TASK = nets.Attribute("bright", ("no", "yes"))
GENDER = nets.Attribute("gender", ("male", "female"))
RACE = nets.Attribute("race", ("White", "Black", "Asian", "Indian", "other"))

TINY = nets.ObfuscatorConfig(
    tasks=(TASK,),
    private=(GENDER, RACE),
    height=32,
    width=32,
    widths=(4, 6),
    head=(6, 8, 8),
    hidden=8,
    context=4,
)
PLAIN = dataclasses.replace(TINY, reach=0.0)


def players(config=TINY, seed=0, adversaries=1):
    torch.manual_seed(seed)
    return nets.Players(config, adversaries)


def write_faces(folder, count=40):
    """UTKFace by name; whoever is 18 has a bright picture, women a red one."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        age, gender, race = (30, 8)[number % 2], number // 2 % 2, number % 5
        pixels = rng.integers(0, 60, (40, 40, 3)) + (120 if age >= 18 else 0)
        pixels[..., 0] += 70 * gender
        name = f"{age}_{gender}_{race}_{20170000 + number}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / name)
    return folder

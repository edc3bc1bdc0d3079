"""What the obfuscator's evaluation measures: one victim under all attacks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from photoguard.evaluate.common.metrics import ms_ssims
from photoguard.evaluate.common.networks import Training, train
from photoguard.evaluate.obfuscator import attacks
from photoguard.evaluate.obfuscator.setting import ObfuscatorSetting, joined, read
from photoguard.nets import obfuscator as nets
from photoguard.nets.planes import to_planes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from photoguard.nets.planes import Pixels

SHIPPED, NOISE, OPEN = "photoguard", "noise on the picture", "undefended"


@dataclass(frozen=True)
class VictimRow:
    """One victim under all attacks, by attribute or attacker."""

    bits: float | None
    """What one file can tell at most; None where nothing bounds it"""
    task: dict[str, attacks.Guess]
    along: dict[str, attacks.Guess] | None
    """By the adversary that was trained along"""
    fresh: dict[str, attacks.Guess]
    strong: dict[str, attacks.Guess]
    restored: dict[str, attacks.ReconstructedFaces]


def victim(setting: ObfuscatorSetting, name: str, network: nets.Players) -> attacks.Victim:
    """A model's features of all held-out faces."""
    network.to(setting.device)
    return attacks.Victim(
        name=name,
        config=network.config,
        sent=features(network, setting.faces, setting.device),
        mirrored=features(network, setting.faces[:, :, ::-1], setting.device),
        spread=1.0 if network.config.reach else 0.0,
        networks=network,
        extra=features(network, setting.portrait, setting.device),
    )


@torch.no_grad()
def features(network: nets.Players, faces: Pixels, device: str) -> NDArray[np.float16]:
    """Features without noise, (N, C, h, w)."""
    parts = []
    for start in range(0, len(faces), 64):
        x = to_planes(faces[start : start + 64]).to(device).float() / 255
        parts.append(network.obfuscator(x).half().cpu().numpy())
    return np.concatenate(parts)


def noisy(setting: ObfuscatorSetting, sigma: float) -> attacks.Victim:
    """The first baseline: the picture itself with Gaussian noise."""

    def sent(faces: Pixels) -> NDArray[np.float16]:
        return np.asarray(attacks.as_floats(faces) / np.float16(255), np.float16)

    return attacks.Victim(
        name=NOISE,
        config=setting.config,
        sent=sent(setting.faces),
        mirrored=sent(setting.faces[:, :, ::-1]),
        spread=sigma,
        raw=True,
        extra=sent(setting.portrait),
    )


def visibility(setting: ObfuscatorSetting, wanted: float) -> float:
    """The noise under which pictures are as like the true ones as the best restored ones are."""
    some = setting.faces[:64].astype(np.float32) / 255
    noise = np.random.default_rng(0).standard_normal(some.shape).astype(np.float32)
    low, high = 0.0, 2.0
    for _ in range(12):
        sigma = (low + high) / 2
        shown = ((some + sigma * noise).clip(0, 1) * 255).round().astype(np.uint8)
        if ms_ssims(shown, setting.faces[:64]).mean() > wanted:
            low = sigma
        else:
            high = sigma
    return round((low + high) / 2, 4)


def victim_row(setting: ObfuscatorSetting, one: attacks.Victim) -> VictimRow:
    """One victim under all attacks."""
    config, private = one.config, one.config.private
    if one.networks is None:
        service, along = trained_service(setting, one), None
    else:
        service = attacks.Received(one, one.networks.classifier).eval()
        along = attacks.Received(one, one.networks.adversaries[0]).eval()
    guesses = {
        name: attacks.guessed(
            one, make, private, setting.private, setting.halves, setting.effort, setting.device
        )
        for name, make in (
            ("fresh", lambda: nets.Classifier(config, private)),
            ("strong", lambda: attacks.StrongClassifier(config, private)),
        )
    }
    return VictimRow(
        bits=config.bits if config.reach and not one.raw else None,
        task=told(service, one, config.tasks, setting.tasks, setting),
        along=told(along, one, private, setting.private, setting) if along else None,
        **guesses,
        restored=_restored(setting, one),
    )


def _restored(setting: ObfuscatorSetting, one: attacks.Victim) -> dict[str, attacks.ReconstructedFaces]:
    kinds = attacks.reconstructors(one.config, setting.effort)
    if one.name not in (SHIPPED, OPEN):  # the paper compares the others by the mirrored one alone
        kinds = {name: kinds[name] for name in ("AR", "ResRec")}
    answer = joined(setting.tasks)
    return {
        name: attacks.restored(
            one, make, setting.faces, answer, setting.halves, setting.effort, setting.judges, setting.device
        )
        for name, make in kinds.items()
    }


def told(
    net: nn.Module,
    one: attacks.Victim,
    attributes: tuple[nets.Attribute, ...],
    labels: NDArray[np.int64],
    setting: ObfuscatorSetting,
) -> dict[str, attacks.Guess]:
    """What a network that is there already says to each held-out face."""
    torch.manual_seed(0)
    sizes = [len(attribute.classes) for attribute in attributes]
    found = attacks.drawn(net.to(setting.device), one.sent, sizes, setting.effort.draws, setting.device)
    return {
        attribute.name: attacks.judged(labels[:, at], found[at], sizes[at])
        for at, attribute in enumerate(attributes)
    }


def trained_service(setting: ObfuscatorSetting, one: attacks.Victim) -> nn.Module:
    """The service of the noise baseline: it learns its task on noisy pictures of the training set."""
    config = one.config
    faces = read(setting.trained_on, config)
    labels = setting.trained_on.of(config.tasks)
    torch.manual_seed(0)
    plain = dataclasses.replace(config, reach=0.0, context=0)
    net = attacks.Received(one, nets.Classifier(plain, config.tasks))
    inputs = np.asarray(attacks.as_floats(faces) / np.float16(255), np.float16)
    how = Training(max(setting.effort.guess.epochs // 2, 2), 1e-3, flip=True)
    sizes = [len(task.classes) for task in config.tasks]
    train(net, inputs, labels, attacks.balanced_loss(labels, sizes), how, 0, setting.device)
    return net


def blind(setting: ObfuscatorSetting) -> attacks.ReconstructedFaces:
    """What restoring is worth without a look at the features."""
    nothing = np.zeros((len(setting.faces), 1, 4, 4), np.float16)
    one = attacks.Victim("blind", setting.config, nothing, nothing, 0.0, extra=nothing[:1])
    effort = dataclasses.replace(setting.effort, restore=Training(setting.effort.restore.epochs, 0.05, 16))
    return attacks.restored(
        one,
        lambda: attacks.Blind(setting.config),
        setting.faces,
        joined(setting.tasks),
        setting.halves,
        effort,
        setting.judges,
        setting.device,
    )

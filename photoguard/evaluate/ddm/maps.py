"""The paper's own setting, in which the public maps are readable: what an attacker makes of them.

photoguard seals these maps. These attacks are the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from photoguard.evaluate.common.faces import attackers_own
from photoguard.evaluate.common.metrics import cosines, mean_psnr, mean_ssim
from photoguard.evaluate.common.networks import (
    MapDecoder,
    Regressor,
    Training,
    as_inputs,
    as_pixels,
    predict,
    train,
)
from photoguard.evaluate.ddm import covers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from photoguard.evaluate.common.faces import Faces
    from photoguard.nets.ddm import DDM
    from photoguard.nets.planes import Pixels
    from photoguard.recognizers import Recognizer

FULL = Training(60, 2e-3)
QUICK = Training(15, 3e-3)


@dataclass(frozen=True)
class Opened:
    """How well faces come back, in dB, as structure, and in a recognizer's eyes."""

    psnr: float
    ssim: float
    cosine: float


@dataclass(frozen=True)
class ReadableMaps:
    """Restored faces of people whom no attacker had seen, by what took the private map's place."""

    owner: Opened
    """The true private map."""
    zeros: Opened
    mean: Opened
    """The mean private map of other people."""
    regressed: Opened
    """A private map predicted from the public ones."""
    r2: float
    """How much of the private map's variance the prediction explains."""
    fresh: Opened
    """A decoder of the attacker's own on the public maps alone."""
    private_spread: float
    """Standard deviation of the true private map."""


def readable_maps(
    ddm: DDM, faces: Faces, recognizer: Recognizer, how: Training, device: str, seed: int = 0
) -> ReadableMaps:
    """All three attacks; they learn from four fifths of the people and are tested on the others."""
    mine = attackers_own(faces)
    public, private = all_maps(ddm, faces.pixels)
    test = faces.at(np.flatnonzero(~mine))
    size = faces.pixels.shape[1:3]

    def opened(restored: Pixels) -> Opened:
        theirs = recognizer.embed_pixels(test.chips(recognizer.spec, restored))
        true = recognizer.embed_pixels(test.chips(recognizer.spec))
        return Opened(
            mean_psnr(restored, test.pixels),
            mean_ssim(restored, test.pixels),
            float(cosines(theirs, true).mean()),
        )

    def decoded(instead: NDArray[np.float32]) -> Opened:
        place = next(ddm.parameters()).device
        maps = [torch.from_numpy(np.ascontiguousarray(m)).to(place) for m in (public[~mine], instead)]
        parts = [
            covers.picture(ddm, a, b, size)
            for a, b in zip(torch.split(maps[0], 32), torch.split(maps[1], 32), strict=True)
        ]
        return opened(np.concatenate(parts))

    true = private[~mine]
    mean = np.broadcast_to(private[mine].mean(0), true.shape)
    guess = _regressed(public, private, mine, how, device, seed)
    fresh = _fresh(public, faces.pixels, mine, how, device, seed)
    return ReadableMaps(
        owner=decoded(true),
        zeros=decoded(np.zeros_like(true)),
        mean=decoded(mean),
        regressed=decoded(guess),
        r2=explained(true, guess),
        fresh=opened(fresh[:, : size[0], : size[1]]),
        private_spread=float(true.std()),
    )


def all_maps(ddm: DDM, faces: Pixels, batch: int = 32) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Public and private maps of many faces: (N, 63, h, w) and (N, 1, h, w) for the usual share."""
    parts = [covers.maps(ddm, faces[start : start + batch]) for start in range(0, len(faces), batch)]
    public, private = (np.concatenate([part[i].cpu().numpy() for part in parts]) for i in range(2))
    return public, private


def explained(truth: NDArray[np.float32], guess: NDArray[np.float32]) -> float:
    """R2: 1 for a perfect guess, 0 for one no better than the mean at each position."""
    error = float(((truth - guess) ** 2).sum())
    return 1 - error / max(float(((truth - truth.mean(0)) ** 2).sum()), 1e-12)


def _regressed(
    public: NDArray[np.float32],
    private: NDArray[np.float32],
    mine: NDArray[np.bool_],
    how: Training,
    device: str,
    seed: int,
) -> NDArray[np.float32]:
    """The private maps of the test people, predicted from their public ones."""
    middle, spread = private[mine].mean(), max(float(private[mine].std()), 1e-6)
    known = _scaled(public, mine)
    torch.manual_seed(seed)
    net = Regressor(public.shape[1], private.shape[1])
    targets = ((private[mine] - middle) / spread).astype(np.float32)
    train(net, known[mine], targets, F.mse_loss, how, seed, device)
    return np.asarray(predict(net, known[~mine], device) * spread + middle, np.float32)


def _fresh(
    public: NDArray[np.float32],
    faces: Pixels,
    mine: NDArray[np.bool_],
    how: Training,
    device: str,
    seed: int,
) -> Pixels:
    """The test people's faces by a decoder trained on other people's public maps and faces."""
    known = _scaled(public, mine)
    height, width = known.shape[2] * 16, known.shape[3] * 16
    targets = np.zeros((int(mine.sum()), 3, height, width), np.float32)
    targets[:, :, : faces.shape[1], : faces.shape[2]] = as_inputs(faces[mine])
    torch.manual_seed(seed)
    net = MapDecoder(public.shape[1])
    train(net, known[mine], targets, F.mse_loss, how, seed, device)
    return as_pixels(predict(net, known[~mine], device))


def _scaled(public: NDArray[np.float32], mine: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Each map with the mean and spread that it has over the attacker's own faces."""
    middle, spread = public[mine].mean((0, 2, 3), keepdims=True), public[mine].std((0, 2, 3), keepdims=True)
    return np.asarray((public - middle) / np.maximum(spread, 1e-6), np.float32)

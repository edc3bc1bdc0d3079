"""What attackers try on AVP's pictures: learning from known pairs, and drawing a face from its template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from photoguard.evaluate.common.metrics import cosines, mean_ssim
from photoguard.evaluate.common.networks import Restorer, Training, as_inputs, as_pixels, predict, train
from photoguard.evaluate.common.recognition import standard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from photoguard.nets.planes import Pixels

    class Embeds(Protocol):
        """A recognizer, or what stands before one."""

        def embed_pixels(self, chips: Pixels) -> NDArray[np.float32]:
            """Embeddings of chips."""
            ...

    Judge = tuple[Embeds, float]  # with the cosine from which it says "same"

FOLD = 32  # the restorer takes pictures whose sides are multiples of this


@dataclass(frozen=True)
class Stolen:
    """What an attacker made of encrypted pictures that he had no original of."""

    ssim: float
    """With the originals"""
    blind: float
    """The same for the mean face of the originals he knows, which takes no look at the encrypted picture"""
    recognized: float
    """Share of his pictures in which the recognizer still sees the person"""
    sample: Pixels

    @property
    def gain(self) -> float:
        """What looking at the encrypted picture was worth."""
        return self.ssim - self.blind


def paired_data(
    encrypted: Pixels,
    originals: Pixels,
    unseen: Pixels,
    truth: Pixels,
    judge: Judge,
    how: Training,
    width: int = 32,
    seed: int = 0,
) -> Stolen:
    """Sec. 4.3: a network learns from known pairs and restores `unseen`; SSIM is with the `truth`.

    An attacker without known pairs is `blindly`. `judge` is a recognizer with its threshold.
    """
    scale = standard(encrypted)
    torch.manual_seed(seed)
    net = _Painter(Restorer(width=width), originals.mean(0))
    train(net, scale(encrypted), as_inputs(originals), F.mse_loss, how, seed, "cpu")
    return _stolen(as_pixels(predict(net, scale(unseen), "cpu")), truth, originals.mean(0), judge)


def blindly(guess: Pixels, truth: Pixels, judge: Judge) -> Stolen:
    """No known pair: the same mean face for everybody, of faces found anywhere (N, H, W, 3)."""
    mean = guess.mean(0)
    return _stolen(np.repeat(mean.round().astype(np.uint8)[None], len(truth), 0), truth, mean, judge)


def _stolen(restored: Pixels, truth: Pixels, mean: NDArray[np.float64], judge: Judge) -> Stolen:
    same = np.repeat(mean.round().astype(np.uint8)[None], len(truth), 0)
    return Stolen(
        ssim=mean_ssim(restored, truth),
        blind=mean_ssim(same, truth),
        recognized=recognized(restored, truth, *judge),
        sample=restored[:6],
    )


def recognized(pictures: Pixels, originals: Pixels, judge: Embeds, threshold: float) -> float:
    """Share of pictures that the recognizer takes for the same person as the original."""
    alike = cosines(judge.embed_pixels(pictures), judge.embed_pixels(originals))
    return float((alike >= threshold).mean())


class _Painter(nn.Module):
    """A restorer for chips of any size that begins at the mean face."""

    def __init__(self, net: Restorer, mean: NDArray[np.float64]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.from_numpy(mean / 255).permute(2, 0, 1).float())

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        padded = F.pad(x, (0, -width % FOLD, 0, -height % FOLD))
        mean: Tensor = self.mean  # type: ignore[assignment]
        face: Tensor = self.net(padded)[:, :, :height, :width]
        return face - 0.5 + mean


class Inverter(nn.Module):
    """From a template back to a face: one layer onto a coarse grid, then four doublings."""

    def __init__(self, embedding: int, height: int, width: int, channels: int = 64) -> None:
        super().__init__()
        self.grid = (channels * 2, -(-height // 16), -(-width // 16))
        self.size = (height, width)
        layers: list[nn.Module] = [nn.Linear(embedding, int(np.prod(self.grid)))]
        layers += [nn.Unflatten(1, self.grid), nn.ReLU()]
        inputs = self.grid[0]
        for outputs in (channels, channels // 2, channels // 4, channels // 4):
            layers += [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, 3, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (B, D, 1, 1) to faces (B, 3, height, width) of 0..1."""
        face: Tensor = self.layers(x.flatten(1) * 10)  # unit vectors of a hundred numbers each are small
        return torch.sigmoid(face[:, :, : self.size[0], : self.size[1]])


def inverted(
    embeddings: NDArray[np.float32],
    faces: Pixels,
    templates: NDArray[np.float32],
    truth: Pixels,
    judge: Judge,
    how: Training,
    seed: int = 0,
) -> Stolen:
    """Faces drawn from the templates of encrypted pictures, by a network trained on anybody's open faces.

    It needs the recognizer and no pair of the owner's. `judge` should be another recognizer, whose opinion
    the network was not trained on.
    """
    torch.manual_seed(seed)
    net = Inverter(embeddings.shape[1], *faces.shape[1:3])
    known, asked = (one[:, :, None, None] for one in (embeddings, templates))
    train(net, known, as_inputs(faces), F.mse_loss, how, seed, "cpu")
    return _stolen(as_pixels(predict(net, asked, "cpu")), truth, faces.mean(0), judge)

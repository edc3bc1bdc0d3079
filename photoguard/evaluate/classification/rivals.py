"""The two older ways of Table 4 to hide pictures from people and show them to a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from photoguard.evaluate.common.networks import Training, as_inputs, as_pixels, predict, train
from photoguard.nets.classifier import Classifier, Transformation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from photoguard.nets.planes import Pixels


@dataclass(frozen=True)
class Scrambler:
    """Learnable image encryption (Tanaka 2018): every block of 4x4 pixels scrambled with the same key.

    A block's 48 bytes become 96 half bytes; the key turns some of them into their negatives and puts all of
    them in another order.
    """

    order: NDArray[np.int64]
    """(96,): which half byte comes to each place"""
    negative: NDArray[np.bool_]
    """(96,): which half bytes are turned into 15 minus themselves, before they move"""
    block: int = 4

    def encrypt(self, pixels: Pixels) -> Pixels:
        """(N, H, W, 3), H and W multiples of the block."""
        halves = self._halves(pixels)
        return self._whole(np.where(self.negative, 15 - halves, halves)[..., self.order], pixels.shape)

    def decrypt(self, pixels: Pixels) -> Pixels:
        """The very same pixels again."""
        halves = self._halves(pixels)[..., np.argsort(self.order)]
        return self._whole(np.where(self.negative, 15 - halves, halves), pixels.shape)

    def _halves(self, pixels: Pixels) -> NDArray[np.uint8]:
        """Blocks of upper half bytes, then lower ones: (N, H/4, W/4, 96)."""
        n, height, width, _ = pixels.shape
        b = self.block
        blocks = pixels.reshape(n, height // b, b, width // b, b, 3).transpose(0, 1, 3, 2, 4, 5)
        flat = blocks.reshape(n, height // b, width // b, b * b * 3)
        return np.concatenate([flat >> 4, flat & 15], -1)

    def _whole(self, halves: NDArray[np.uint8], shape: tuple[int, ...]) -> Pixels:
        upper, lower = np.split(halves, 2, -1)
        n, height, width, _ = shape
        b = self.block
        blocks = ((upper << 4) | lower).reshape(n, height // b, width // b, b, b, 3)
        return np.ascontiguousarray(blocks.transpose(0, 1, 3, 2, 4, 5).reshape(shape), np.uint8)


def scrambler(seed: int, block: int = 4) -> Scrambler:
    """A key drawn from `seed`: for measuring, so a number is enough."""
    rng = np.random.default_rng([seed, block])
    count = 2 * block * block * 3
    return Scrambler(rng.permutation(count), rng.permutation(np.arange(count) % 2 == 0), block)


class _Protecting(nn.Module):
    """The transformation network in front of the classifier it is trained for, which stays as it is."""

    def __init__(self, transformation: Transformation, classifier: Classifier) -> None:
        super().__init__()
        self.transformation = transformation
        self._classifier = (classifier,)  # in a tuple, so that it is neither trained nor switched to training

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of the protected pictures, and how the first maps of both look to the classifier."""
        classifier, shown = self._classifier[0], self.transformation(x)
        return classifier(shown), classifier.look(shown)[0], classifier.look(x)[0].detach()


def transformation(
    classifier: Classifier,
    pixels: Pixels,
    labels: NDArray[np.int64],
    how: Training,
    device: str,
    weight: float = 0.5,
    seed: int = 0,
) -> Transformation:
    """Train the network of Ito et al. (2021) for a classifier that is ready.

    The classifier should say the right class, and the maps of its first stage should look different from the
    original's. The authors take these maps from a VGG16 trained on ImageNet; here they are the classifier's.
    """
    torch.manual_seed(seed)
    net = _Protecting(Transformation(), classifier.to(device).eval())

    def loss(found: tuple[Tensor, Tensor, Tensor], truth: Tensor) -> Tensor:
        logits, shown, open_maps = found
        shown, open_maps = (maps - maps.mean((2, 3), keepdim=True) for maps in (shown, open_maps))
        # The square of the cosine of the two looks: a negative would show the shape as well as a copy does.
        alike = F.cosine_similarity(shown.flatten(1), open_maps.flatten(1)).square().mean()
        return F.cross_entropy(logits, truth) + weight * alike

    inputs = as_inputs(pixels)
    train(net, inputs, labels, loss, how, seed, device)  # type: ignore[arg-type]
    return net.transformation


def transformed(net: Transformation, pixels: Pixels, device: str) -> Pixels:
    """The protected pictures as saved in 8 bits."""
    return as_pixels(predict(net, as_inputs(pixels), device))

"""Adversarial pictures for Table 3: they fool the recognizer they were made for, and look like the face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from photoguard.nets.planes import to_pixels, to_planes
from photoguard.photos.geometry import similarity

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from photoguard.evaluate.common.faces import Faces
    from photoguard.nets.planes import Pixels
    from photoguard.recognizers import Recognizer

BOUND = 10.0  # gray levels by which a pixel may change
BATCH = 32


def fgsm(faces: Faces, recognizer: Recognizer, known: NDArray[np.float32], bound: float = BOUND) -> Pixels:
    """One step of `bound` along the sign of the gradient, away from each face's own person in `known`."""
    centers = torch.from_numpy(known).to(recognizer.device)
    out = []
    for start in range(0, len(faces), BATCH):
        x, towards, labels = _batch(faces, recognizer, start)
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(_doubt(recognizer, towards(x), centers, labels), x)
        out.append(to_pixels(x.detach() + bound * gradient.sign()))
    return np.concatenate(out)


def universal(
    train: Faces,
    faces: Faces,
    recognizer: Recognizer,
    known: NDArray[np.float32],
    bound: float = BOUND,
    epochs: int = 5,
) -> Pixels:
    """One perturbation for all faces, learned on `train`: sign steps on the mean gradient of each batch.

    The paper's UAP needs no data; this one sees the recognizer and real faces, so it is the stronger.
    """
    centers = torch.from_numpy(known).to(recognizer.device)
    change = torch.zeros(1, 3, *train.pixels.shape[1:3], device=recognizer.device)
    order = np.random.default_rng(0).permutation(len(train))
    shuffled = train.at(order)
    for epoch in range(epochs):
        for start in range(0, len(shuffled), BATCH):
            x, towards, labels = _batch(shuffled, recognizer, start)
            change.requires_grad_()
            doubt = _doubt(recognizer, towards((x + change).clamp(0, 255)), centers, labels)
            (gradient,) = torch.autograd.grad(doubt, change)
            step = bound / 5 / (1 + epoch)
            change = (change.detach() + step * gradient.sign()).clamp(-bound, bound)
    shown = to_planes(faces.pixels).float() + change.detach().cpu()
    return to_pixels(shown)


def _doubt(recognizer: Recognizer, chips: Tensor, centers: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(24 * recognizer.embed(chips) @ centers.T, labels)


def _batch(
    faces: Faces, recognizer: Recognizer, start: int
) -> tuple[Tensor, Callable[[Tensor], Tensor], Tensor]:
    """Some faces (B, 3, H, W), what aligns them with a gradient, and whose they are."""
    part = slice(start, start + BATCH)
    x = to_planes(faces.pixels[part]).to(recognizer.device).float()
    grid = _grid(faces, recognizer, part).to(recognizer.device)

    def aligned(pictures: Tensor) -> Tensor:
        return F.grid_sample(pictures, grid, padding_mode="border", align_corners=True)

    return x, aligned, torch.from_numpy(faces.labels[part]).to(recognizer.device)


def _grid(faces: Faces, recognizer: Recognizer, part: slice) -> Tensor:
    """For each pixel of a chip where on the picture it comes from, in the units of `grid_sample`."""
    spec, (height, width) = recognizer.spec, faces.pixels.shape[1:3]
    rows, columns = np.mgrid[0 : spec.height, 0 : spec.width].astype(np.float64)
    places = np.stack([columns, rows, np.ones_like(rows)], -1)  # (h, w, 3)
    grids = []
    for landmarks in faces.landmarks[part]:
        back = similarity(recognizer.template, landmarks)  # (2, 3): chip to picture
        grids.append(places @ back.T / [(width - 1) / 2, (height - 1) / 2] - 1)
    return torch.from_numpy(np.stack(grids)).float()

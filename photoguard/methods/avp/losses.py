"""AVP's losses: pictures (B, 3, H, W) in, one number a picture out."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

BLOCK = 8  # pixels a side of L_v's blocks: a feature of a face, such as an eye, is larger


def distance(picture: Tensor, original: Tensor) -> Tensor:
    """L_d (Eq. 5) of pictures in 0..1, as a mean over the samples so that chips of all sizes weigh alike."""
    return (picture - original).square().mean((1, 2, 3))


def variance(picture: Tensor, block: int = BLOCK) -> Tensor:
    """L_v (Eq. 12-13) of pictures in 0..1: variance of the sums of all blocks, added up over the channels."""
    sums = F.avg_pool2d(picture, block, stride=1) * block**2  # (B, 3, H - 7, W - 7): Eq. 12
    return sums.flatten(2).var(2, correction=0).sum(1)  # Eq. 13


def feature_distance(embedding: Tensor, wanted: Tensor) -> Tensor:
    """L_t for recognition (Eq. 16)."""
    return (embedding - wanted).square().sum(1)


def class_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """L_t for classification (Eq. 17): minus the logit of the class that the original was given."""
    return -logits.gather(1, classes[:, None])[:, 0]


def class_doubt(logits: Tensor, classes: Tensor) -> Tensor:
    """L_t for classification as photoguard has it: Eq. 17 can be met while another logit rises faster."""
    return F.cross_entropy(logits, classes, reduction="none")

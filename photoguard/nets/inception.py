"""InceptionResnetV1 (FaceNet), as facenet-pytorch has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def inception_resnet() -> nn.Module:
    """The network without weights: (B, 3, 160, 160) to (B, 512)."""
    from facenet_pytorch import InceptionResnetV1  # not at the top: a bare GPU machine does not have it

    net: nn.Module = InceptionResnetV1(pretrained=None, classify=False)
    return net

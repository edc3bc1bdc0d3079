"""P3: a picture split in the JPEG domain, after Ra, Govindan and Ortega (2013). A baseline to compare with.

Every coefficient up to the threshold T stays public. Of a larger one the public part keeps T, without the
sign; how much it exceeds T, and its sign, are secret, and so is every block's mean. Both are JPEG files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from photoguard.errors import DamagedError, UsageError
from photoguard.evaluate.ddm import jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUALITY = 90


@dataclass(frozen=True)
class P3Parts:
    """The two files."""

    public_jpeg: bytes
    secret: bytes
    """A JPEG as well; P3 encrypts it, and so must whoever uses it."""

    @property
    def secret_share(self) -> float:
        """The secret part's share of all bytes, as in the paper's Table 5."""
        return len(self.secret) / (len(self.secret) + len(self.public_jpeg))


def split(patch: NDArray[np.uint8], threshold: int, quality: int = QUALITY) -> P3Parts:
    """Split an (H, W, 3) patch; `threshold` counts quantization steps."""
    if not 1 <= threshold <= 255:
        raise UsageError(f"the P3 threshold {threshold} is out of range (1-255)", "1 hides most")
    whole = jpeg.from_pixels(patch, quality)
    public, secret = _split(whole.blocks, threshold)
    return P3Parts(
        jpeg.serialize(replace(whole, blocks=public)),
        jpeg.serialize(replace(whole, blocks=secret, comment=bytes([threshold]))),
    )


def join(parts: P3Parts) -> bytes:
    """The JPEG that was split: every coefficient is what it was."""
    public, secret = jpeg.parse(parts.public_jpeg), jpeg.parse(parts.secret)
    if public.blocks.shape != secret.blocks.shape or len(secret.comment) != 1:
        raise DamagedError("these two P3 parts do not belong together")
    blocks = _join(public.blocks, secret.blocks, secret.comment[0])
    return jpeg.serialize(replace(public, blocks=blocks, comment=b""))


def _split(blocks: NDArray[np.int16], threshold: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    large = np.abs(blocks) > threshold
    public = np.where(large, threshold, blocks).astype(np.int16)
    secret = np.where(large, blocks - np.sign(blocks) * threshold, 0).astype(np.int16)
    public[..., 0], secret[..., 0] = 0, blocks[..., 0]
    return public, secret


def _join(public: NDArray[np.int16], secret: NDArray[np.int16], threshold: int) -> NDArray[np.int16]:
    blocks = np.where(secret == 0, public, secret + np.sign(secret) * threshold).astype(np.int16)
    blocks[..., 0] = secret[..., 0]
    return blocks

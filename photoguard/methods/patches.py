"""Sealing a patch as a picture file of its own, WebP or PNG: what every method but `ddm` does."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from photoguard.errors import DamagedError
from photoguard.methods import Sealed, Settings, checked, digest
from photoguard.photos.images import no_pillow_cap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from photoguard.methods import Pixels

WEBP_QUALITY = 95  # visually lossless; a 300-px face takes about 20 KB
WEBP_SIDE = 16383
WEBP, PNG = b"W", b"P"


def seal(
    name: str,
    patches: Sequence[Pixels],
    settings: Settings,
    owned: Sequence[NDArray[np.bool_]] | None = None,
) -> list[Sealed]:
    """Seal the pixels of every patch, owned or not: those that are not were filled by the caller."""
    return [_seal(patch, settings.exact) for patch in patches]


def _seal(patch: Pixels, exact: bool) -> Sealed:
    public = compress(patch, exact)
    return Sealed(patch.shape, patch.dtype, public, b"", digest(decompress(public, patch.shape)))


def reveal(name: str, parts: Sequence[Sealed]) -> list[Pixels]:
    """The sealed pixels of every patch."""
    return [checked(decompress(part.public, part.shape), part.check) for part in parts]


def compress(patch: Pixels, exact: bool) -> bytes:
    """A patch as bytes: WebP, lossless when asked; PNG where WebP cannot hold it."""
    if patch.dtype != np.uint8 or max(patch.shape[:2]) > WEBP_SIDE:
        done, png = cv2.imencode(".png", cv2.cvtColor(patch, cv2.COLOR_RGB2BGR))
        if not done:
            raise RuntimeError("OpenCV did not encode a patch")
        return PNG + png.tobytes()
    out = io.BytesIO()
    quality = 50 if exact else WEBP_QUALITY  # of lossless WebP: the effort, not the fidelity
    Image.fromarray(patch).save(
        out, "WEBP", lossless=exact, exact=exact, quality=quality, method=4 - 2 * exact
    )
    return WEBP + out.getvalue()


def decompress(data: bytes, shape: tuple[int, ...]) -> Pixels:
    """The patch that `compress` was given, or nearly; `shape` is known, so no picture can blow up."""
    kinds = {WEBP: "WEBP", PNG: "PNG"}
    try:
        with no_pillow_cap(), Image.open(io.BytesIO(data[1:]), formats=[kinds[data[:1]]]) as image:
            if (image.height, image.width, 3) != shape or getattr(image, "is_animated", False):
                raise ValueError(f"{image.size}")
        # OpenCV decodes as Pillow does, sample for sample, in a fifth of the memory.
        patch = cv2.imdecode(np.frombuffer(data, np.uint8, offset=1), cv2.IMREAD_UNCHANGED)
        if patch is None or patch.shape[:2] != shape[:2] or patch.ndim != 3:
            raise ValueError("no picture of three colors")
        if patch.shape[2] == 4:  # a WebP may have alpha, which was never part of a patch
            return np.ascontiguousarray(patch[..., 2::-1])
        return np.asarray(cv2.cvtColor(patch, cv2.COLOR_BGR2RGB, dst=patch))
    except (KeyError, OSError, SyntaxError, ValueError, cv2.error):
        raise DamagedError(
            "a sealed face cannot be decoded", "the file, or the program, has changed"
        ) from None

"""Plain covers: solid, blur and pixelate. They are also the baselines that learned covers are judged by.

The strength is relative to the patch, so a large face is no more readable than a small one. At strength 1 on
a 128-pixel patch `blur` and `pixelate` are far beyond the DDM paper's baselines, which stay available as
`blurred(patch, 16)` and `pixelated(patch, 20)`: networks trained on those recognize a third of the faces.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from photoguard.errors import DamagedError
from photoguard.images import no_pillow_cap
from photoguard.methods import Covered, Pixels, Settings, checked, digest

BLOCKS = 5  # mosaic blocks along the longer side at strength 1
BLUR = 1 / 5  # standard deviation at strength 1, as a share of the longer side
WEBP_QUALITY = 95  # visually lossless; a 300-px face takes about 20 KB
WEBP_SIDE = 16383
WEBP, PNG = b"W", b"P"


def protect(name: str, patches: Sequence[Pixels], settings: Settings) -> list[Covered]:
    """Cover every patch and seal its pixels."""
    return [_protect(name, patch, settings) for patch in patches]


def _protect(name: str, patch: Pixels, settings: Settings) -> Covered:
    public = compress(patch, settings.exact)
    return Covered(
        cover(name, patch, settings.strength), public, b"", digest(decompress(public, patch.shape))
    )


def reveal(name: str, covered: Sequence[Covered]) -> list[Pixels]:
    """The sealed pixels of every patch."""
    return [checked(decompress(c.public, c.cover.shape), c.check) for c in covered]


def cover(name: str, patch: Pixels, strength: float) -> Pixels:
    """What strangers see in the patch's place."""
    longer = max(patch.shape[:2])
    if name == "solid":
        return np.full_like(patch, np.iinfo(patch.dtype).max // 2)
    if name == "blur":
        return blurred(patch, BLUR * strength * longer)
    return pixelated(patch, max(1, round(longer * strength / BLOCKS)))


def blurred(patch: Pixels, sigma: float) -> Pixels:
    """Gaussian blur with a standard deviation in pixels."""
    # A wide blur is computed on a small copy: the result is smooth, and 8 bits cannot tell the difference.
    shrink = max(1, int(sigma / 8))
    height, width = patch.shape[:2]
    size = (max(1, width // shrink), max(1, height // shrink))
    small = cv2.resize(patch.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REFLECT)
    smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(np.rint(smooth), 0, np.iinfo(patch.dtype).max).astype(patch.dtype)


def pixelated(patch: Pixels, block: int) -> Pixels:
    """The mean color of every block x block square."""
    height, width = patch.shape[:2]
    rows, columns = -(-height // block), -(-width // block)
    padding = ((0, rows * block - height), (0, columns * block - width), (0, 0))
    padded = np.pad(patch.astype(np.float64), padding, mode="edge")
    means = padded.reshape(rows, block, columns, block, 3).mean(axis=(1, 3))
    full = np.rint(means).astype(patch.dtype).repeat(block, axis=0).repeat(block, axis=1)
    return np.ascontiguousarray(full[:height, :width])


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

"""DDM: a network parts the face into public maps and a small private one, and joins them again.

The sealed public bytes hold the quantised public maps, the private file the private map. A coded residual at
the patch's own resolution makes up for what the network missed; `--compact` leaves it out. `--exact` seals
the patch itself, lossless: a residual on top of a network would be exact only on machines that round alike.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photoguard import graphs, weights
from photoguard.errors import DamagedError
from photoguard.graphs import Graph
from photoguard.methods import Sealed, Settings, checked, digest
from photoguard.methods.ddm.maps import Codes, pack_maps, unpack_maps
from photoguard.methods.patches import PNG, WEBP, WEBP_SIDE, compress, decompress
from photoguard.methods.quantization import dequantise, quantise
from photoguard.photos.psnr import psnr

if TYPE_CHECKING:
    from photoguard.methods import Pixels

STRIDE = 16  # pixels of a patch per position of a map
PUBLIC = 63  # of 64 maps; the last one is private
LEAST, SIDE = 128, 512  # pixels: smaller and larger faces go through the network at these longer sides
BATCH_PIXELS = 4 * SIDE * SIDE  # as many patches at once as that; about 300 MB of activations
MAPS, RESIDUAL = b"M", b"R"
ROWS, COLUMNS = 4, 8  # of the sketch that tells a right face from a wrong one in 32 bytes
TOLERANCE = 3  # gray levels: machines round differently, and a wrong key is far off
LOSSLESS_LOOK = 42.0  # dB: beside the original nobody sees a difference
RESIDUAL_QUALITIES = (20, 40, 55, 65, 73, 79, 84, 87, 89, 90, 91, 92, 93, 95, 97, 100)  # of WebP


@cache
def network() -> tuple[Graph, Graph]:
    """The shipped network's encoder and decoder, loaded once.

    Maps (N, 64, H/16, W/16) of pictures (N, 3, H, W) in 0..1; the last map is the private one.
    """
    values = weights.arrays("ddm")
    parts = [{k: v for k, v in values.items() if k.startswith(way)} for way in ("down", "up")]
    return graphs.load("ddm-encode", parts[0]), graphs.load("ddm-decode", parts[1])


def seal(
    name: str,
    patches: Sequence[Pixels],
    settings: Settings,
    owned: Sequence[NDArray[np.bool_]] | None = None,
) -> list[Sealed]:
    """Seal every patch; those of one size go through the network together."""
    encode, decode = network()
    done: dict[int, Sealed] = {}
    inputs = [_scaled(_shallow(patch)) for patch in patches]
    for numbers in _batches([s.shape[:2] for s in inputs]):
        (maps,) = encode(_to_network([inputs[n] for n in numbers]))
        codes, low, step = quantise(maps[:, :PUBLIC])
        private = maps[:, PUBLIC:].astype("<f2")
        (pictures,) = decode(np.concatenate([dequantise(codes, low, step), private.astype(np.float32)], 1))
        recovered = _to_pixels(pictures)
        for at, n in enumerate(numbers):
            patch = patches[n]
            packed = pack_maps(Codes(codes[at], low[at], step[at]))
            restored = _fitted(recovered[at], inputs[n].shape, patch.shape, patch.dtype)
            public_bytes, restored = _public_bytes(
                packed, restored, patch, settings, owned[n] if owned else None
            )
            exact = public_bytes[:1] in (WEBP, PNG)
            check = digest(restored) if exact else _sketch(restored)
            feature = b"" if exact else private[at].tobytes()
            done[n] = Sealed(patch.shape, patch.dtype, public_bytes, feature, check)
    return [done[n] for n in range(len(patches))]


def reveal(name: str, parts: Sequence[Sealed]) -> list[Pixels]:
    """Restore every patch."""
    return [_reveal(part) for part in parts]


def _reveal(one: Sealed) -> Pixels:
    kind, body = one.public[:1], one.public[1:]
    if kind in (WEBP, PNG):
        return checked(decompress(one.public, one.shape), one.check)
    residual = b""
    if kind == RESIDUAL:
        length = int.from_bytes(body[:4], "big")
        body, residual = body[4 : 4 + length], body[4 + length :]
    elif kind != MAPS:
        raise DamagedError("a face's public maps are of an unknown kind", "a newer photoguard may know it")
    restored = _decoded(body, one)
    if residual:
        restored = _with_residual(restored, residual)
    off = np.abs(_numbers(_sketch(restored)) - _numbers(one.check)).max()
    if off > TOLERANCE:
        raise DamagedError("a restored face is not the one that was sealed", "the weights may differ")
    return restored


def _decoded(maps: bytes, one: Sealed) -> Pixels:
    _, decode = network()
    height, width = _network_size(one.shape)
    rows, columns = -(-height // STRIDE), -(-width // STRIDE)
    packed = unpack_maps(maps, (PUBLIC, rows, columns))
    private = np.frombuffer(one.private[: len(one.private) // 2 * 2], "<f2").astype(np.float32)
    if len(one.private) != 2 * rows * columns or not np.isfinite(private).all():
        raise DamagedError("a face's private feature is damaged")
    public = dequantise(packed.codes[None], packed.low[None], packed.step[None])
    (picture,) = decode(np.concatenate([public, private.reshape(1, 1, rows, columns)], 1))
    return _fitted(_to_pixels(picture)[0], (height, width), one.shape, one.dtype)


# Sizes and pixels


def _network_size(shape: Sequence[int]) -> tuple[int, int]:
    """Height and width at which a patch goes through the network."""
    height, width = shape[:2]
    scale = min(max(1.0, LEAST / max(height, width)), SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _scaled(patch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = _network_size(patch.shape)
    if (height, width) == patch.shape[:2]:
        return patch
    how = cv2.INTER_AREA if height < patch.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(patch, (width, height), interpolation=how).astype(np.uint8)


def _shallow(patch: Pixels) -> NDArray[np.uint8]:
    return patch if patch.dtype == np.uint8 else (patch >> 8).astype(np.uint8)


def _batches(sizes: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Numbers of patches that go through the network together: of one size, and not too many pixels."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, size in enumerate(sizes):
        groups.setdefault(size, []).append(number)
    batches = []
    for (height, width), numbers in groups.items():
        step = max(1, BATCH_PIXELS // (height * width))
        batches += [numbers[at : at + step] for at in range(0, len(numbers), step)]
    return batches


def _to_network(patches: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """(B, 3, H, W) in 0..1, the last row and column repeated up to multiples of 16."""
    stacked = np.stack(patches)
    height, width = stacked.shape[1:3]
    edges = ((0, 0), (0, -height % STRIDE), (0, -width % STRIDE), (0, 0))
    padded = np.pad(stacked, edges, mode="edge").transpose(0, 3, 1, 2)
    return np.ascontiguousarray(padded, np.float32) / np.float32(255)


def _to_pixels(x: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(B, H, W, 3) in 0..255."""
    pixels = np.rint(np.clip(x, 0, 1) * np.float32(255)).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def _fitted(
    pixels: NDArray[np.uint8], size: Sequence[int], shape: Sequence[int], dtype: np.dtype[Any]
) -> Pixels:
    """The network's output without its padding, at the patch's shape and depth."""
    height, width = shape[:2]
    cut = pixels[: size[0], : size[1]]
    if cut.shape[:2] != (height, width):
        cut = cv2.resize(cut, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    return cut.astype(np.uint16) * 257 if dtype == np.uint16 else np.ascontiguousarray(cut)


def _sketch(patch: Pixels) -> bytes:
    """The mean brightness of 4 x 8 fields."""
    gray = cv2.cvtColor(_shallow(patch), cv2.COLOR_RGB2GRAY).astype(np.float32)
    fields = cv2.resize(gray, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA)
    return np.rint(fields).astype(np.uint8).tobytes()


def _numbers(sketch: bytes) -> NDArray[np.int16]:
    return np.frombuffer(sketch, np.uint8).astype(np.int16)


# Quality


def _public_bytes(
    maps: bytes, restored: Pixels, patch: Pixels, settings: Settings, owned: NDArray[np.bool_] | None
) -> tuple[bytes, Pixels]:
    """What is sealed beside the private feature, and the patch that comes out of both."""
    if settings.exact or patch.dtype == np.uint16:  # the network has 8 bits
        return compress(patch, exact=True), patch
    least = LOSSLESS_LOOK if settings.quality is None else settings.quality
    if settings.compact or psnr(restored, patch, owned) >= least:
        return MAPS + maps, restored
    difference = np.clip(patch.astype(np.int16) - restored + 128, 0, 255).astype(np.uint8)
    tried: dict[int, tuple[bytes, Pixels]] = {}

    def reaches(quality: int) -> bool:
        out = io.BytesIO()
        Image.fromarray(difference).save(out, "WEBP", quality=quality, method=2)
        tried[quality] = out.getvalue(), _with_residual(restored, out.getvalue())
        return psnr(tried[quality][1], patch, owned) >= least

    fits = max(patch.shape[:2]) <= WEBP_SIDE
    chosen = bisect_left(RESIDUAL_QUALITIES, True, key=reaches) if fits else len(RESIDUAL_QUALITIES)
    if chosen == len(RESIDUAL_QUALITIES):  # WebP halves the resolution of colors, which fine noise needs
        return compress(patch, exact=True), patch
    residual, better = tried[RESIDUAL_QUALITIES[chosen]]
    return RESIDUAL + len(maps).to_bytes(4, "big") + maps + residual, better


def _with_residual(restored: Pixels, residual: bytes) -> Pixels:
    difference = decompress(WEBP + residual, restored.shape).astype(np.int16) - 128
    better: Pixels = np.clip(restored.astype(np.int16) + difference, 0, 255).astype(np.uint8)
    return better

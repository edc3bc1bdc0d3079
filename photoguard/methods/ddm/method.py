"""DDM: a network parts the face into public maps and a small private one, and joins them again.

The sealed public bytes hold the quantised public maps, the private file the private map. `--quality` adds a
coded residual. `--exact` seals the patch itself, lossless: a residual on top of a network would be exact only
on machines that round alike.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from photoguard import weights
from photoguard.errors import DamagedError, QualityError
from photoguard.methods import Pixels, Sealed, Settings, checked, digest
from photoguard.methods.ddm.maps import Codes, pack_maps, unpack_maps
from photoguard.methods.patches import PNG, WEBP, compress, decompress
from photoguard.nets import ddm as nets
from photoguard.nets import similarity
from photoguard.nets.planes import to_pixels, to_planes

LEAST, SIDE = 128, 512  # pixels: smaller and larger faces go through the network at these longer sides
BATCH_PIXELS = 4 * SIDE * SIDE  # as many patches at once as that; about 300 MB of activations
MAPS, RESIDUAL = b"M", b"R"
ROWS, COLUMNS = 4, 8  # of the sketch that tells a right face from a wrong one in 32 bytes
TOLERANCE = 3  # gray levels: machines round differently, and a wrong key is far off
RESIDUAL_QUALITIES = (50, 65, 75, 80, 85, 90, 94, 97, 100)


@cache
def network() -> nets.DDM:
    """The shipped network, loaded once."""
    return weights.load_ddm()


def seal(name: str, patches: Sequence[Pixels], settings: Settings) -> list[Sealed]:
    """Seal every patch; those of one size go through the network together."""
    net = network()
    done: dict[int, Sealed] = {}
    inputs = [_scaled(_shallow(patch)) for patch in patches]
    for numbers in _batches([s.shape[:2] for s in inputs]):
        with torch.inference_mode():
            public, private = net.encode(_to_tensor([inputs[n] for n in numbers]))
            codes, low, step = nets.quantise(public)
            private = private.half().float()
            recovered = _to_pixels(net.decode(nets.dequantise(codes, low, step), private))
            values = nets.private_values(private, net.config).numpy().astype("<f2")
        for at, n in enumerate(numbers):
            patch = patches[n]
            maps = pack_maps(Codes(codes[at].numpy(), low[at].numpy(), step[at].numpy()))
            restored = _fitted(recovered[at], inputs[n].shape, patch.shape, patch.dtype)
            public_bytes, restored = _public_bytes(maps, restored, patch, settings)
            exact = public_bytes[:1] in (WEBP, PNG)
            check = digest(restored) if exact else _sketch(restored)
            feature = b"" if exact else values[at].tobytes()
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
    net = network()
    height, width = _network_size(one.shape)
    rows, columns = -(-height // nets.STRIDE), -(-width // nets.STRIDE)
    public_maps = net.config.maps - (net.config.private_maps if net.config.private_every == 1 else 0)
    packed = unpack_maps(maps, (public_maps, rows, columns))
    values = np.frombuffer(one.private[: len(one.private) // 2 * 2], "<f2").astype(np.float32)
    expected = nets.private_values(torch.zeros(1, net.config.private_maps, rows, columns), net.config).numel()
    if len(one.private) != 2 * expected or not np.isfinite(values).all():
        raise DamagedError("a face's private feature is damaged")
    with torch.inference_mode():
        public = nets.dequantise(
            *(torch.from_numpy(np.array(part))[None] for part in (packed.codes, packed.low, packed.step))
        )
        feature = nets.private_from_values(torch.from_numpy(values)[None], net.config, rows, columns)
        pixels = _to_pixels(net.decode(public, feature))[0]
    return _fitted(pixels, (height, width), one.shape, one.dtype)


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


def _to_tensor(patches: Sequence[NDArray[np.uint8]]) -> Tensor:
    """(B, 3, H, W) in 0..1, H and W padded to multiples of 16."""
    stacked = to_planes(np.stack(patches)).float() / 255
    return nets.pad(stacked).contiguous(memory_format=torch.channels_last)


def _to_pixels(x: Tensor) -> NDArray[np.uint8]:
    """(B, H, W, 3) in 0..255."""
    return to_pixels(x * 255)


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


def psnr(a: Pixels, b: Pixels) -> float:
    """Peak signal-to-noise ratio of two 8-bit pictures in decibels."""
    return float(similarity.psnr(*(torch.from_numpy(np.ascontiguousarray(one))[None] for one in (a, b))))


def _public_bytes(maps: bytes, restored: Pixels, patch: Pixels, settings: Settings) -> tuple[bytes, Pixels]:
    """What is sealed beside the private feature, and the patch that comes out of both."""
    if settings.exact or patch.dtype == np.uint16:  # the network has 8 bits
        sealed = compress(patch, exact=True)
        return sealed, patch
    if settings.quality is None or psnr(restored, patch) >= settings.quality:
        return MAPS + maps, restored
    difference = np.clip(patch.astype(np.int16) - restored + 128, 0, 255).astype(np.uint8)
    for quality in RESIDUAL_QUALITIES:
        out = io.BytesIO()
        Image.fromarray(difference).save(out, "WEBP", quality=quality, lossless=quality == 100, method=4)
        better = _with_residual(restored, out.getvalue())
        if psnr(better, patch) >= settings.quality:
            return RESIDUAL + len(maps).to_bytes(4, "big") + maps + out.getvalue(), better
    raise QualityError(
        f"a face cannot be restored at {settings.quality:g} dB this way",
        "use --exact, which restores every pixel",
    )


def _with_residual(restored: Pixels, residual: bytes) -> Pixels:
    difference = decompress(WEBP + residual, restored.shape).astype(np.int16) - 128
    better: Pixels = np.clip(restored.astype(np.int16) + difference, 0, 255).astype(np.uint8)
    return better

"""DDM's way back (section 8): maps, network, scaling and sketch, in numpy alone."""

from __future__ import annotations

import json
import lzma
import struct
from functools import cache
from pathlib import Path

import numpy as np

from reader.envelope import DamagedError, require
from reader.pictures import Pixels, digest, luminance, patch_of

WEIGHTS = Path(__file__).parents[2] / "weights" / "ddm.safetensors"
PUBLIC_MAPS = 63


def restored_patch(
    method_bytes: bytes, feature: bytes, check: bytes, height: int, width: int, deep: bool
) -> Pixels:
    """The patch, its check proven."""
    if method_bytes[:1] in (b"W", b"P"):
        patch = patch_of(method_bytes, height, width)
        require(digest(patch) == check, "a patch's digest")
        return patch
    require(method_bytes[:1] == b"M" or (method_bytes[:1] == b"R" and not deep), "a method byte")
    patch = network_patch(method_bytes, feature, height, width)
    off = np.abs(sketch(patch).astype(int) - np.frombuffer(check, np.uint8).reshape(4, 8))
    require(bool(off.max() <= 3), "a patch's sketch")
    return patch.astype(np.uint16) * 257 if deep else patch


def network_patch(method_bytes: bytes, feature: bytes, height: int, width: int) -> Pixels:
    """What the network makes of `M` or `R`, the residual added."""
    maps, residual = method_bytes[1:], b""
    if method_bytes[:1] == b"R":
        end = 4 + int.from_bytes(maps[:4], "big")
        maps, residual = maps[4:end], maps[end:]
    patch = _decoded(maps, feature, height, width)
    if not residual:
        return patch
    better = patch.astype(int) + patch_of(b"W" + residual, height, width) - 128
    return np.clip(better, 0, 255).astype(np.uint8)


def _decoded(maps: bytes, feature: bytes, height: int, width: int) -> Pixels:
    longer = max(height, width)
    scale = min(max(1.0, 128 / longer), 512 / longer)
    size = [max(1, round(side * scale)) for side in (height, width)]  # Python rounds halves to even
    rows, columns = (-(-side // 16) for side in size)
    private = np.frombuffer(feature[: len(feature) // 2 * 2], "<f2").astype(np.float32)
    require(len(feature) == 2 * rows * columns and bool(np.isfinite(private).all()), "the private feature")
    public = unpacked_maps(maps, rows, columns)
    picture = decoder(np.concatenate([public, private.reshape(1, rows, columns)]).transpose(1, 2, 0))
    picture = np.rint(np.clip((picture + 1) / 2, 0, 1) * 255).astype(np.uint8)[: size[0], : size[1]]
    return picture if size == [height, width] else bicubic(picture, height, width)


def unpacked_maps(data: bytes, rows: int, columns: int) -> np.ndarray:
    """(63, rows, columns) of float32."""
    require(data[:6] == struct.pack("<HHH", PUBLIC_MAPS, rows, columns), "the maps' shape")
    count = PUBLIC_MAPS * rows * columns
    length = 4 * PUBLIC_MAPS + count
    filters = [{"id": lzma.FILTER_LZMA2, "lc": 0, "lp": 0, "pb": 0, "dict_size": 1 << 23}]
    engine = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
    try:
        body = engine.decompress(data[6:], max_length=length)
        if not engine.eof:
            body += engine.decompress(b"", max_length=1)  # nothing but the end mark is left
    except (lzma.LZMAError, EOFError) as error:
        raise DamagedError(f"the maps: {error}") from None
    require(len(body) == length and engine.eof and not engine.unused_data, "the maps' length")
    low, step = np.frombuffer(body, "<f2", 2 * PUBLIC_MAPS).astype(np.float32).reshape(2, -1, 1, 1)
    require(bool(np.isfinite([low, step]).all() and (step > 0).all()), "a map's scale")
    rest = np.frombuffer(body, np.uint8, offset=4 * PUBLIC_MAPS).reshape(-1, rows, columns).copy()
    rest[:, :, 0] = np.cumsum(rest[:, :, 0], axis=1, dtype=np.uint8)
    return low + np.cumsum(rest, axis=2, dtype=np.uint8) * step


# The network; pictures are (rows, columns, channels) of float32


@cache
def weights() -> dict[str, np.ndarray]:
    """A safetensors file: length of the header, JSON, numbers."""
    data = WEIGHTS.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    entries = json.loads(data[8:start])
    return {
        name: np.frombuffer(data[start + e["data_offsets"][0] : start + e["data_offsets"][1]], "<f2")
        .astype(np.float32)
        .reshape(e["shape"])
        for name, e in entries.items()
        if name != "__metadata__"
    }


def decoder(x: np.ndarray) -> np.ndarray:
    """All 64 maps -> the picture in -1 .. 1, sixteen times as high and wide."""
    for level in range(4):
        x = doubled(x, f"up.{level}")
        for block in range(3 if level < 3 else 0):
            name = f"up_blocks.{level}.{block}"
            x = x + convolved(np.maximum(convolved(x, f"{name}.first"), 0), f"{name}.second")
    return x


def convolved(x: np.ndarray, name: str) -> np.ndarray:
    """3 x 3, one row and column of zeros around; weights (out, in, 3, 3)."""
    weight, bias = weights()[f"{name}.weight"], weights()[f"{name}.bias"]
    rows, columns = x.shape[:2]
    x = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    shifted = (x[i : i + rows, j : j + columns] @ weight[:, :, i, j].T for i in range(3) for j in range(3))
    return sum(shifted, bias)


def doubled(x: np.ndarray, name: str) -> np.ndarray:
    """4 x 4, transposed, stride 2, padding 1; weights (in, out, 4, 4)."""
    weight, bias = weights()[f"{name}.weight"], weights()[f"{name}.bias"]
    rows, columns = x.shape[:2]
    out = np.zeros((2 * rows + 2, 2 * columns + 2, weight.shape[1]), np.float32)
    for i in range(4):
        for j in range(4):
            out[i : i + 2 * rows : 2, j : j + 2 * columns : 2] += x @ weight[:, :, i, j]
    return out[1:-1, 1:-1] + bias


# Scaling


def bicubic(picture: Pixels, height: int, width: int) -> Pixels:
    """Keys' cubic with a = -0.75, four samples on each axis, edges repeated."""
    down, across = (_cubic(*sides) for sides in ((picture.shape[0], height), (picture.shape[1], width)))
    scaled = np.einsum("yi,ijc,xj->yxc", down, picture.astype(np.float64), across, optimize=True)
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _cubic(before: int, after: int) -> np.ndarray:
    """(after, before) weights of one axis."""
    matrix = np.zeros((after, before))
    for to in range(after):
        at = (to + 0.5) * before / after - 0.5
        for start in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            d = abs(at - start)
            near = 1.25 * d**3 - 2.25 * d**2 + 1
            far = -0.75 * (d**3 - 5 * d**2 + 8 * d - 4)
            matrix[to, min(max(start, 0), before - 1)] += near if d <= 1 else far
    return matrix


def sketch(patch: Pixels) -> np.ndarray:
    """(4, 8) mean luminances."""
    gray = luminance(patch)
    height, width = gray.shape
    share = _area if height >= 4 and width >= 8 else _two
    return np.rint(share(height, 4) @ gray @ share(width, 8).T).astype(np.uint8)


def _area(before: int, after: int) -> np.ndarray:
    """(after, before): which share of field `to` lies in pixel `start`."""
    to, start = np.mgrid[:after, :before]
    size = before / after
    covered = np.minimum((to + 1) * size, start + 1) - np.maximum(to * size, start)
    return np.maximum(covered, 0) / size


def _two(before: int, after: int) -> np.ndarray:
    """The same for patches with fewer pixels than fields on an axis: two pixels make a field."""
    matrix, size = np.zeros((after, before)), before / after
    for to in range(after):
        first = int(to * size)
        second = (to + 1) - (first + 1) / size
        second = second - np.floor(second) if second > 0 else 0.0
        matrix[to, min(first, before - 1)] += 1 - second
        matrix[to, min(first + 1, before - 1)] += second
    return matrix

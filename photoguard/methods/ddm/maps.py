"""DDM's quantised public maps as few bytes: neighbours subtracted, planes side by side, LZMA.

The bytes go sealed into the carrier, so this is compression and no protection. Layout, little-endian:
Maps, rows, columns (16 bits each), then the LZMA stream of: lowest value of every map, step of every map
(float16), then the codes, map after map, each less its left neighbour modulo 256, in the first column less
its upper one.
"""

from __future__ import annotations

import lzma
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photoguard.errors import DamagedError

MAX_SIDE = 4096  # positions along one side: a patch of 65,536 px
MAX_CODES = 1 << 26  # what a damaged header may ask for
_HEAD = struct.Struct("<HHH")
# Raw LZMA2 without container: the envelope around it has its own length and authentication.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 0, "pb": 0, "dict_size": 1 << 23}]


@dataclass(frozen=True)
class Codes:
    """What `nets.ddm.quantise` gives for one patch, as numpy arrays."""

    codes: NDArray[np.uint8]  # (maps, rows, columns)
    low: NDArray[np.float32]  # (maps,) each exactly a float16
    step: NDArray[np.float32]  # (maps,) likewise, above 0


def _damaged(why: str) -> DamagedError:
    return DamagedError(f"the public maps of a face are damaged: {why}", "ask for the file again")


def _predicted(left: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Differences along the rows; the first column along the columns."""
    rest = left.copy()
    rest[:, :, 1:] -= left[:, :, :-1]
    rest[:, 1:, 0] -= left[:, :-1, 0]
    return rest


def _restored(rest: NDArray[np.uint8]) -> NDArray[np.uint8]:
    whole = rest.copy()
    whole[:, :, 0] = np.cumsum(rest[:, :, 0], axis=1, dtype=np.uint8)
    return np.cumsum(whole, axis=2, dtype=np.uint8)


def pack_maps(maps: Codes) -> bytes:
    """The maps of one patch as bytes."""
    count, rows, columns = maps.codes.shape
    scales = np.stack([maps.low, maps.step]).astype("<f2")
    body = scales.tobytes() + _predicted(maps.codes).tobytes()
    return _HEAD.pack(count, rows, columns) + lzma.compress(body, lzma.FORMAT_RAW, filters=_FILTERS)


def unpack_maps(data: bytes, shape: tuple[int, int, int] | None = None) -> Codes:
    """The reverse of `pack_maps`; anything that it would not have written is a DamagedError.

    Maps of another shape than is due are not inflated.
    """
    if len(data) < _HEAD.size:
        raise _damaged("they end early")
    count, rows, columns = _HEAD.unpack_from(data)
    size = count * rows * columns
    if not size or max(rows, columns) > MAX_SIDE or size > MAX_CODES:
        raise _damaged("their size makes no sense")
    if shape is not None and shape != (count, rows, columns):
        raise _damaged("they have the wrong shape")
    body = _decompressed(data[_HEAD.size :], 4 * count + size)
    scales = np.frombuffer(body, "<f2", 2 * count).astype(np.float32).reshape(2, count)
    if not np.isfinite(scales).all() or (scales[1] <= 0).any():
        raise _damaged("a scale makes no sense")
    rest = np.frombuffer(body, np.uint8, size, 4 * count).reshape(count, rows, columns)
    return Codes(_restored(rest), scales[0], scales[1])


def _decompressed(stream: bytes, length: int) -> bytes:
    engine = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS)
    try:
        body = engine.decompress(stream, max_length=length)
        if len(body) == length and not engine.eof:
            body += engine.decompress(b"", max_length=1)  # the end mark, and nothing before it
    except (lzma.LZMAError, EOFError) as error:
        raise _damaged(str(error)) from None
    if len(body) != length or not engine.eof or engine.unused_data:
        raise _damaged("their length does not fit their size")
    return body

"""The chunks of a PNG: what is in a file without decoding its pixels, and how ours gets in."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from photoguard.errors import DamagedError, UnreadableError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = b"pgRd"  # ancillary, private, unsafe to copy once the pixels were edited
PUBLIC_CHUNKS = frozenset({b"IHDR", b"iCCP", CHUNK, b"IDAT", b"IEND"})
START, IHDR_END = b"\x89PNG\r\n\x1a\n", 33
CHUNK_LIMIT = (1 << 31) - 1
UP = 2  # the filter that takes each sample less the one above it


def with_chunks(png: bytes, chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The PNG with further chunks right behind its IHDR."""
    from PIL.PngImagePlugin import putchunk

    out = io.BytesIO()
    out.write(png[:IHDR_END])
    for kind, body in chunks:
        if len(body) > CHUNK_LIMIT:
            raise UnreadableError("the sealed data is too large for a PNG", "use --portable")
        putchunk(out, kind, body)
    out.write(png[IHDR_END:])
    return out.getvalue()


class Writer:
    """A PNG that grows by rows, so that nobody ever holds more of it than its compressed bytes."""

    def __init__(
        self, width: int, height: int, depth: int, kind: int, chunks: Sequence[tuple[bytes, bytes]]
    ) -> None:
        self._out = io.BytesIO(START)
        self._out.seek(len(START))
        # Deflate that looks for runs only: photos have nothing else that repeats, and it is fast.
        self._deflate = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
        self._above: NDArray[np.uint8] | None = None
        self._put(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
        for name, body in chunks:
            self._put(name, body)

    def add(self, samples: NDArray[np.uint8]) -> None:
        """The next rows, (N, bytes of a row)."""
        import numpy as np

        filtered = np.empty((len(samples), 1 + samples.shape[1]), np.uint8)
        filtered[:, 0] = UP
        filtered[0, 1:] = samples[0] if self._above is None else samples[0] - self._above
        np.subtract(samples[1:], samples[:-1], out=filtered[1:, 1:])
        self._above = samples[-1].copy()
        self._put_pixels(self._deflate.compress(filtered.data))

    def done(self) -> bytes:
        """The whole file."""
        self._put_pixels(self._deflate.flush())
        self._put(b"IEND", b"")
        return self._out.getvalue()

    def _put_pixels(self, body: bytes) -> None:
        if body:
            self._put(b"IDAT", body)

    def _put(self, kind: bytes, body: bytes) -> None:
        if len(body) > CHUNK_LIMIT:
            raise UnreadableError("the sealed data is too large for a PNG", "use --portable")
        crc = zlib.crc32(body, zlib.crc32(kind))
        for part in (struct.pack(">I", len(body)), kind, body, struct.pack(">I", crc)):
            self._out.write(part)


def list_chunks(png: bytes) -> list[tuple[bytes, memoryview]]:
    """Every chunk of a PNG in order, not copied; a file with anything between or after them is damaged."""
    if not png.startswith(START):
        raise DamagedError("this is not a PNG")
    chunks, at, view = [], len(START), memoryview(png)
    while at < len(png):
        if at + 12 > len(png):
            raise DamagedError("the PNG is cut short", "get it again from where it came from")
        (length,) = struct.unpack_from(">I", png, at)
        kind = png[at + 4 : at + 8]
        if at + 12 + length > len(png):
            raise DamagedError("the PNG is cut short", "get it again from where it came from")
        chunks.append((kind, view[at + 8 : at + 8 + length]))
        (crc,) = struct.unpack_from(">I", png, at + 8 + length)
        if zlib.crc32(view[at + 4 : at + 8 + length]) != crc:
            raise DamagedError(f"the PNG's {kind!r} chunk is damaged", "get it again from where it came from")
        at += 12 + length
        if kind == b"IEND" and at != len(png):
            raise DamagedError("there is data after the end of the PNG")
    if not chunks or chunks[-1][0] != b"IEND":
        raise DamagedError("the PNG is cut short", "get it again from where it came from")
    return chunks


def form(png: bytes) -> tuple[int, ...]:
    """Width, height, depth and color type that a PNG states."""
    return struct.unpack_from(">IIBB", png.ljust(IHDR_END, b"\0"), len(START) + 8)


def read_rows(png: bytes, length: int) -> Iterator[NDArray[np.uint8]]:
    """The rows of a PNG of `Writer`, `length` bytes each, some at a time."""
    import numpy as np

    inflate, left, above = zlib.decompressobj(), b"", np.zeros((1, length), np.uint8)
    for kind, body in list_chunks(png):
        if kind != b"IDAT":
            continue
        left += inflate.decompress(body)
        count = len(left) // (length + 1)
        filtered = np.frombuffer(left, np.uint8, count * (length + 1)).reshape(count, length + 1)
        left = left[count * (length + 1) :]
        if (filtered[:, 0] != UP).any():
            raise DamagedError("the PNG was not written by photoguard")
        if count:
            rows = np.concatenate([above, filtered[:, 1:]]).cumsum(axis=0, dtype=np.uint8)[1:]
            above = rows[-1:]
            yield rows
    if left or not inflate.eof:
        raise DamagedError("the PNG's pixels are cut short")


def public_chunk(png: bytes) -> bytes | None:
    """Our chunk of a public PNG, or None where a platform stripped it or it travels in the private file."""
    if not png.startswith(START):
        return None
    found = [body for kind, body in list_chunks(png) if kind == CHUNK]
    if len(found) > 1:
        raise DamagedError("the picture has more than one photoguard chunk")
    return bytes(found[0]) if found else None

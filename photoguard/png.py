"""The chunks of a PNG: what is in a file without decoding its pixels, and how ours gets in."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

from photoguard.errors import DamagedError, UnreadableError

CHUNK = b"pgRd"  # ancillary, private, unsafe to copy once the pixels were edited
PUBLIC_CHUNKS = frozenset({b"IHDR", b"iCCP", CHUNK, b"IDAT", b"IEND"})
START, IHDR_END = b"\x89PNG\r\n\x1a\n", 33
CHUNK_LIMIT = (1 << 31) - 1


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


def list_chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """Every chunk of a PNG in order; a file with anything before, between or after them is damaged."""
    if not png.startswith(START):
        raise DamagedError("this is not a PNG")
    chunks, at = [], len(START)
    while at < len(png):
        if at + 12 > len(png):
            raise DamagedError("the PNG is cut short", "get it again from where it came from")
        (length,) = struct.unpack_from(">I", png, at)
        kind = png[at + 4 : at + 8]
        if at + 12 + length > len(png):
            raise DamagedError("the PNG is cut short", "get it again from where it came from")
        chunks.append((kind, png[at + 8 : at + 8 + length]))
        (crc,) = struct.unpack_from(">I", png, at + 8 + length)
        if zlib.crc32(png[at + 4 : at + 8 + length]) != crc:
            raise DamagedError(f"the PNG's {kind!r} chunk is damaged", "get it again from where it came from")
        at += 12 + length
        if kind == b"IEND" and at != len(png):
            raise DamagedError("there is data after the end of the PNG")
    if not chunks or chunks[-1][0] != b"IEND":
        raise DamagedError("the PNG is cut short", "get it again from where it came from")
    return chunks


def public_chunk(png: bytes) -> bytes | None:
    """Our chunk of a public PNG, or None where a platform stripped it or it travels in the private file."""
    if not png.startswith(START):
        return None
    found = [body for kind, body in list_chunks(png) if kind == CHUNK]
    if len(found) > 1:
        raise DamagedError("the picture has more than one photoguard chunk")
    return found[0] if found else None

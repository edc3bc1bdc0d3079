"""The public picture's color profile: made anew from the numbers that define colors, and nothing else.

A profile names the device, its owner's settings and dates, and can hold any text. What colors need are a few
matrices, curves and tables; whatever is not exactly one of these stays out.
"""

from __future__ import annotations

import io
import itertools
import struct

from PIL import Image, ImageCms

SIZE_LIMIT = 1_000_000  # bytes; what PNG readers accept
CLASSES, SPACES, CONNECTIONS = (b"mntr", b"scnr", b"prtr", b"spac"), (b"RGB ", b"GRAY"), (b"XYZ ", b"Lab ")
D50 = struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
TRIPLES = (b"wtpt", b"bkpt", b"rXYZ", b"gXYZ", b"bXYZ")
CURVES = (b"rTRC", b"gTRC", b"bTRC", b"kTRC")
TABLES = (b"A2B0", b"A2B1", b"A2B2", b"B2A0", b"B2A1", b"B2A2", b"gamt")
PARAMETERS = (1, 3, 4, 5, 7)  # of the five kinds of parametric curves
FIXED_LIMIT = 16.0  # larger numbers are text or noise
CURVE_LIMIT, GRID_LIMIT = 4096, 65


class _RefusedError(ValueError):
    """Not a profile that can go out."""


def publishable(icc: bytes, grey: bool) -> tuple[bytes, tuple[str, ...]]:
    """The profile made anew, or nothing and a notice why."""
    if not icc:
        return b"", ()
    try:
        return _rebuilt(icc, b"GRAY" if grey else b"RGB "), ()
    except (_RefusedError, struct.error, IndexError) as error:
        why = str(error) if isinstance(error, _RefusedError) else "it is cut short"
        return b"", (f"the color profile is left out of the public picture, as {why}; it is sealed",)


def _rebuilt(icc: bytes, space: bytes) -> bytes:
    if len(icc) > SIZE_LIMIT:
        raise _RefusedError("it is too large")
    if icc[36:40] != b"acsp" or icc[8] not in (2, 4) or icc[12:16] not in CLASSES:
        raise _RefusedError("it is no profile of a picture")
    if icc[16:20] != space or icc[20:24] not in CONNECTIONS:
        raise _RefusedError("its colors are not the picture's")
    tags = {name: body for name, body in _tags(icc).items() if body}
    modern = icc[8] == 4
    tags |= {b"desc": _text(b"desc", modern), b"cprt": _text(b"cprt", modern)}
    rebuilt = _written(icc, tags)
    _check(rebuilt, space)
    return rebuilt


def _tags(icc: bytes) -> dict[bytes, bytes]:
    """The tags that hold numbers, each made anew."""
    (count,) = struct.unpack_from(">I", icc, 128)
    if count > 200:
        raise _RefusedError("it is no profile of a picture")
    found: dict[bytes, bytes] = {}
    for at in range(132, 132 + 12 * count, 12):
        name, start, length = struct.unpack_from(">4sII", icc, at)
        if start + length > len(icc):
            raise _RefusedError("it is cut short")
        body = icc[start : start + length]
        if name in TRIPLES:
            found[name] = _fixed(body, b"XYZ ", 3)
        elif name == b"chad":
            found[name] = _fixed(body, b"sf32", 9)
        elif name in CURVES:
            found[name] = _curve(body)
        elif name in TABLES:
            channels = (1 if icc[16:20] == b"GRAY" else 3, 3)
            if name.startswith(b"B2A"):
                channels = channels[::-1]
            found[name] = _table(body, (3, 1) if name == b"gamt" else channels)
    return found


def _numbers(data: bytes, count: int) -> bytes:
    """So many s15Fixed16 numbers of a size that colors have."""
    values = struct.unpack_from(f">{count}i", data)
    if any(abs(value) > FIXED_LIMIT * 65536 for value in values):
        raise _RefusedError("its numbers are no colors")
    return struct.pack(f">{count}i", *values)


def _fixed(body: bytes, kind: bytes, count: int) -> bytes:
    if body[:4] != kind or len(body) < 8 + 4 * count:
        raise _RefusedError("a part of it is not what it should be")
    return kind + bytes(4) + _numbers(body[8:], count)


def _curve(body: bytes) -> bytes:
    if body[:4] == b"para":
        kind = struct.unpack_from(">H", body, 8)[0]
        if kind >= len(PARAMETERS):
            raise _RefusedError("it has an unknown kind of curve")
        return struct.pack(">4s4xHxx", b"para", kind) + _numbers(body[12:], PARAMETERS[kind])
    if body[:4] != b"curv":
        raise _RefusedError("it has an unknown kind of curve")
    (count,) = struct.unpack_from(">I", body, 8)
    if count > CURVE_LIMIT:
        raise _RefusedError("a curve of it is too long")
    values = struct.unpack_from(f">{count}H", body, 12)
    if any(before > after for before, after in itertools.pairwise(values)):  # text goes up and down
        raise _RefusedError("a curve of it is none")
    return struct.pack(f">4s4xI{count}H", b"curv", count, *values)


def _table(body: bytes, channels: tuple[int, int]) -> bytes:
    kind, inputs, outputs, grid = struct.unpack_from(">4s4xBBB", body)
    if (inputs, outputs) != channels:
        raise _RefusedError("a table of it has the wrong channels")
    if kind in (b"mAB ", b"mBA "):
        return _chain(body, kind, inputs, outputs)
    if not 2 <= grid <= GRID_LIMIT or kind not in (b"mft1", b"mft2"):
        raise _RefusedError("it has an unknown kind of table")
    head = struct.pack(">4s4xBBBx", kind, inputs, outputs, grid) + _numbers(body[12:], 9)
    if kind == b"mft1":
        length, start = 256 * inputs + grid**inputs * outputs + 256 * outputs, 48
    else:
        before, after = struct.unpack_from(">HH", body, 48)
        if not (2 <= before <= CURVE_LIMIT and 2 <= after <= CURVE_LIMIT):
            raise _RefusedError("a curve of it is too long")
        head += struct.pack(">HH", before, after)
        length, start = 2 * (before * inputs + grid**inputs * outputs + after * outputs), 52
    return head + _exactly(body, start, length)


def _exactly(body: bytes, start: int, length: int) -> bytes:
    if start + length > len(body):
        raise _RefusedError("a table of it is cut short")
    return body[start : start + length]


def _chain(body: bytes, kind: bytes, inputs: int, outputs: int) -> bytes:
    """A table of version 4: curves, matrix, curves, grid, curves; some may be absent."""
    offsets = struct.unpack_from(">5I", body, 12)  # B, matrix, M, grid, A
    near, far = (outputs, inputs) if kind == b"mAB " else (inputs, outputs)
    pieces = []
    for number, (start, curves) in enumerate(zip(offsets, (near, 0, near, 0, far), strict=True)):
        if not start:
            pieces.append(b"")
        elif number == 1:
            pieces.append(_numbers(body[start:], 12))
        elif number == 3:
            pieces.append(_grid(body[start:], inputs, outputs))
        else:
            pieces.append(_curves(body[start:], curves))
    head, at, behind = struct.pack(">4s4xBBxx", kind, inputs, outputs), 32, b""
    for piece in pieces:
        head += struct.pack(">I", at + len(behind) if piece else 0)
        behind += piece.ljust(-(-len(piece) // 4) * 4, b"\0")
    return head + behind


def _curves(body: bytes, count: int) -> bytes:
    out, at = b"", 0
    for _ in range(count):
        curve = _curve(body[at:])
        padded = curve.ljust(-(-len(curve) // 4) * 4, b"\0")
        out += padded
        at += len(padded)
    return out


def _grid(body: bytes, inputs: int, outputs: int) -> bytes:
    points, width = body[:inputs], body[16]
    if not all(2 <= n <= GRID_LIMIT for n in points) or width not in (1, 2):
        raise _RefusedError("a table of it has no proper grid")
    length = width * outputs
    for n in points:
        length *= n
    return points.ljust(16, b"\0") + bytes([width, 0, 0, 0]) + _exactly(body, 20, length)


def _text(name: bytes, modern: bool) -> bytes:
    """A constant where the standard demands a text."""
    text = "color profile" if name == b"desc" else "none"
    if modern:
        wide = text.encode("utf-16-be")
        return struct.pack(">4s4xII2s2sII", b"mluc", 1, 12, b"en", b"US", len(wide), 28) + wide
    if name == b"cprt":
        return b"text" + bytes(4) + text.encode() + b"\0"
    return struct.pack(">4s4xI", b"desc", len(text) + 1) + text.encode() + b"\0" + bytes(4 + 4 + 2 + 1 + 67)


def _written(icc: bytes, tags: dict[bytes, bytes]) -> bytes:
    at, starts, behind = 132 + 12 * len(tags), {}, b""
    for body in tags.values():
        if body not in starts:  # three equal curves are written once
            starts[body] = at + len(behind)
            behind += body.ljust(-(-len(body) // 4) * 4, b"\0")
    table = struct.pack(">I", len(tags))
    table += b"".join(struct.pack(">4sII", name, starts[body], len(body)) for name, body in tags.items())
    intent = struct.unpack_from(">I", icc, 64)[0]
    head = bytes(4) + icc[8:10] + bytes(2) + icc[12:24] + bytes(12) + b"acsp" + bytes(24)
    head += struct.pack(">I", intent if intent < 4 else 0) + D50
    return struct.pack(">I", at + len(behind)) + head.ljust(124, b"\0") + table + behind


def _check(icc: bytes, space: bytes) -> None:
    """That color management takes the profile for such pixels."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        transform = ImageCms.buildTransform(
            profile, ImageCms.createProfile("sRGB"), "L" if space == b"GRAY" else "RGB", "RGB"
        )
        transform.apply(Image.new("L" if space == b"GRAY" else "RGB", (1, 1)))
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        raise _RefusedError("color management cannot use it") from None

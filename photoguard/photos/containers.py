"""What a photo's file holds beside the picture, as ranges of its bytes: one small parser a format.

Whatever a parser cannot place is taken for metadata: it is sealed once too often rather than lost.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable, Iterator

from photoguard.photos import exif

Range = tuple[str, int, int]  # what it is, start, end
STEPS = 200_000  # pieces of one file that are looked at; the rest is one piece
REST, STRUCTURE, TRAILER = "rest", "structure", "behind the picture"
PICTURE = ""  # the kind of what holds coded pixels


def ranges(data: bytes, kind: str) -> list[Range]:
    """Everything beside the picture, in the order of the file; `kind` is Pillow's name of the format."""
    parser = PARSERS.get(kind)
    if parser is None:
        return []
    found, at = [], 0
    try:
        for what, start, end in parser(data):
            if what != PICTURE and start < min(end, len(data)):
                found.append((what, start, min(end, len(data))))
            at = max(at, end)
    except (struct.error, IndexError):  # cut short, which decoders forgive in some places
        found.append((REST, at, len(data)))
    return [one for one in found if one[1] < one[2]]


# JPEG

_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
_APP_NAMES = (
    (0xE0, b"JFIF\0", "JFIF"), (0xE0, b"", "JFIF thumbnail"), (0xE1, b"Exif\0", "EXIF"),
    (0xE1, b"http://ns.adobe.com/xap/1.0/\0", "XMP"),
    (0xE1, b"http://ns.adobe.com/xmp/extension/\0", "extended XMP"), (0xE2, b"ICC_PROFILE\0", "ICC profile"),
    (0xE2, b"MPF\0", "MPF"), (0xEB, b"JP", "C2PA"), (0xED, b"Photoshop 3.0\0", "Photoshop"),
    (0xEE, b"Adobe", "Adobe"), (0xFE, b"", "comment"),
)  # fmt: skip


def _jpeg(data: bytes) -> Iterator[Range]:
    at, in_scan = 2, False
    for _ in range(STEPS):
        found = _MARKER.search(data, at)
        start = found.start() if found else len(data)
        if not in_scan and data[at:start].strip(b"\xff"):
            yield REST, at, start
        if found is None:
            return
        marker, at = data[start + 1], start + 2
        if marker == 0xD9:
            yield TRAILER, at, len(data)
            return
        if marker in (0x01, 0xD8):
            continue
        (length,) = struct.unpack_from(">H", data, at)
        if marker >= 0xE0:
            yield _segment_name(marker, data[at + 2 : at + 40], length - 2), at + 2, at + length
        in_scan = marker == 0xDA or (in_scan and marker == 0xDC)
        at += max(length, 2)
    yield REST, at, len(data)


def _segment_name(marker: int, start: bytes, length: int) -> str:
    name = next((name for m, begin, name in _APP_NAMES if m == marker and start.startswith(begin)), "")
    if name == "JFIF" and length > 14:
        return "JFIF thumbnail"
    return name or (f"APP{marker & 15}" if marker < 0xF0 else f"marker {marker:02X}")


# Chunks: PNG, WebP


def _png(data: bytes) -> Iterator[Range]:
    at = 8
    for _ in range(STEPS):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind == b"IEND":
            yield TRAILER, end, len(data)
            return
        if not kind.isalpha() or not kind.isascii():
            break
        if kind not in (b"IHDR", b"PLTE", b"IDAT"):
            yield kind.decode(), at + 8, end - 4
        at = end
    yield REST, at, len(data)


_WEBP_NAMES = {b"EXIF": "EXIF", b"XMP ": "XMP", b"ICCP": "ICC profile"}
_WEBP_PICTURE = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF")


def _webp(data: bytes) -> Iterator[Range]:
    at, end = 12, min(8 + struct.unpack_from("<I", data, 4)[0], len(data))
    for _ in range(STEPS):
        if at + 8 > end:
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind not in _WEBP_PICTURE:
            yield _WEBP_NAMES.get(kind) or f"chunk {_letters(kind)}", at + 8, at + 8 + length
        at += 8 + length + length % 2
    yield TRAILER, at, len(data)


def _letters(name: bytes) -> str:
    return re.sub(rb"[^A-Za-z0-9]", b"_", name).decode()


# GIF, BMP


def _gif(data: bytes) -> Iterator[Range]:
    at = 13 + _table(data[10])
    for _ in range(STEPS):
        start, introducer = at, data[at]
        if introducer == 0x3B:
            yield TRAILER, at + 1, len(data)
            return
        if introducer == 0x2C:
            at = _behind_sub_blocks(data, at + 11 + _table(data[at + 9]))
        elif introducer == 0x21:
            at = _behind_sub_blocks(data, start + 2)
            if data[start + 1] != 0xF9:  # that one says how the picture is shown
                yield _extension(data[start + 1], data[start + 3 : start + 14]), start + 2, at
        else:
            break
    yield REST, at, len(data)


def _table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _behind_sub_blocks(data: bytes, at: int) -> int:
    for _ in range(10 * STEPS):
        if not data[at]:
            return at + 1
        at += data[at] + 1
    return at


def _extension(label: int, name: bytes) -> str:
    names = {b"XMP DataXMP": "XMP", b"ICCRGBG1012": "ICC profile", b"NETSCAPE2.0": STRUCTURE}
    return "comment" if label == 0xFE else names.get(name, f"extension {label:02X}")


def _bmp(data: bytes) -> Iterator[Range]:
    start, header, width, height, _, depth, coding, size = struct.unpack_from("<IIiiHHII", data, 10)
    yield STRUCTURE, 14, start
    if coding in (0, 3, 6) and header >= 40:
        size = (width * depth + 31) // 32 * 4 * abs(height)
    yield TRAILER, start + size, len(data)


# Files of directories: TIFF

_TIFF_NAMES = {700: "XMP", 34675: "ICC profile", 34377: "Photoshop", 33723: "IPTC", 330: "previews"}
TIFF_STRUCTURE = {
    *range(254, 267), 273, 277, 278, 279, 284, 317, 320, *range(322, 326), 330, 338, 339, 347,
    *range(512, 522), 529, 530, 532, 700, 33723, 34377, 34675,
}  # fmt: skip


def _tiff(data: bytes) -> Iterator[Range]:
    found = exif.directories(data)
    if not found:  # BigTIFF
        return iter([(REST, 0, len(data))])
    order = exif.ORDERS[data[:4]]
    (start,) = struct.unpack_from(order + "I", data, 4)
    named: list[Range] = [(STRUCTURE, 0, 8), (STRUCTURE, start, start + 6 + 12 * len(found["main"]))]
    for name, entries in found.items():
        for entry in entries:
            if entry.length > 4:
                kind = _TIFF_NAMES.get(entry.tag) or (STRUCTURE if entry.tag in TIFF_STRUCTURE else "EXIF")
                named.append((kind if name == "main" else "EXIF", entry.at, entry.at + entry.length))
            if entry.tag in exif.POINTERS.values() and name == "main" and entry.length == 4:
                (at,) = struct.unpack_from(order + "I", data, entry.at)
                named.append(("EXIF", at, at + 6 + 12 * len(exif.directory(data, at))))
    main = {entry.tag: entry for entry in found["main"]}
    for offsets, lengths in ((273, 279), (324, 325)):
        if offsets in main and lengths in main:
            pairs = zip(_numbers(data, main[offsets]), _numbers(data, main[lengths]), strict=False)
            named += [(PICTURE, at, at + length) for at, length in pairs]
    return _filled(data, named)


def _numbers(data: bytes, entry: exif.Entry) -> tuple[int, ...]:
    letter = {3: "H", 4: "I"}.get(entry.kind)
    if letter is None:
        return ()
    return struct.unpack_from(f"{exif.ORDERS[data[:4]]}{entry.count}{letter}", data, entry.at)


def _filled(data: bytes, named: list[Range]) -> Iterator[Range]:
    """Ranges in order and none twice, with what lies between them as the rest."""
    at = 0
    for kind, start, end in sorted([*named, (PICTURE, len(data), len(data))], key=lambda one: one[1:]):
        between = data[at:start]
        if len(between) >= 16 or between.strip(b"\0"):  # not what only aligns
            yield REST, at, start
        if end > max(start, at):
            yield kind, max(start, at), end
        at = max(at, end, start)


# Files of boxes: HEIF, AVIF


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Type, start, start of the body, end."""
    for _ in range(STEPS):
        if at + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, at + 8), 16
        stop = end if size == 0 else at + size
        if stop < at + head or stop > end:
            return
        yield kind, at, at + head, stop
        at = stop


_BOX_STRUCTURE = (b"ftyp", b"meta", b"free")


def _heif(data: bytes) -> Iterator[Range]:
    named: list[Range] = []
    boxes = list(_boxes(data, 0, len(data)))
    for kind, start, body, end in boxes:
        if kind == b"mdat":
            named.append((PICTURE, start, body))  # the head of the box
        else:
            named.append((STRUCTURE if kind in _BOX_STRUCTURE else f"box {_letters(kind)}", start, end))
    meta = next(((body + 4, end) for kind, _, body, end in boxes if kind == b"meta"), None)
    if meta:
        with contextlib.suppress(struct.error, ValueError, KeyError, IndexError):
            named += _items(data, *meta)  # else all of the media data is sealed
    return _filled(data, named)


def _items(data: bytes, at: int, end: int) -> list[Range]:
    """Where the items of a `meta` box lie; those that the primary item is made of are the picture."""
    boxes = {kind: (body, stop) for kind, _, body, stop in _boxes(data, at, end)}
    body, _ = boxes[b"pitm"]
    (primary,) = struct.unpack_from(">I" if data[body] else ">H", data, body + 4)
    made_of = _derivations(data, *boxes[b"iref"]) if b"iref" in boxes else {}
    picture, ahead = {primary}, [primary]
    while ahead:
        new = made_of.get(ahead.pop(), set()) - picture
        picture |= new
        ahead += new
    types = _item_types(data, *boxes[b"iinf"])
    names = {b"Exif": "EXIF", b"mime": "XMP"}
    return [
        (
            PICTURE if item in picture else names.get(types[item]) or f"item {item} {_letters(types[item])}",
            start,
            stop,
        )
        for item, start, stop in _extents(data, boxes[b"iloc"][0])
        if item in types
    ]


def _derivations(data: bytes, body: int, end: int) -> dict[int, set[int]]:
    letter = "I" if data[body] else "H"
    found: dict[int, set[int]] = {}
    for kind, _, at, _ in _boxes(data, body + 4, end):
        if kind == b"dimg":
            item, count = struct.unpack_from(f">{letter}H", data, at)
            sources = struct.unpack_from(f">{count}{letter}", data, at + 2 + struct.calcsize(letter))
            found.setdefault(item, set()).update(sources)
    return found


def _item_types(data: bytes, body: int, end: int) -> dict[int, bytes]:
    types = {}
    for _, _, at, _ in _boxes(data, body + (8 if data[body] else 6), end):
        item, _, kind = struct.unpack_from(">HH4s" if data[at] == 2 else ">IH4s", data, at + 4)
        types[item] = kind
    return types


def _extents(data: bytes, at: int) -> list[tuple[int, int, int]]:
    """Item, start, end of every extent that lies in the file itself."""
    version, sizes = data[at], struct.unpack_from(">H", data, at + 4)[0]
    widths = [sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15 if version else 0]
    offset, length, base, index = widths
    wide = ">I" if version == 2 else ">H"
    (count,) = struct.unpack_from(wide, data, at + 6)
    at += 6 + struct.calcsize(wide)
    found, left = [], STEPS
    for _ in range(count):
        (item,) = struct.unpack_from(wide, data, at)
        at += struct.calcsize(wide)
        method = data[at + 1] & 15 if version else 0
        at += 4 if version else 2
        start, at = int.from_bytes(data[at : at + base]), at + base
        (number,) = struct.unpack_from(">H", data, at)
        at += 2
        left -= number + 1
        if left < 0 or at > len(data):
            raise ValueError("too many extents")
        for _ in range(number):
            where = start + int.from_bytes(data[at + index : at + index + offset])
            size = int.from_bytes(data[at + index + offset : at + index + offset + length])
            at += index + offset + length
            if method == 0:
                found.append((item, where, where + size))
    return found


PARSERS: dict[str, Callable[[bytes], Iterator[Range]]] = {
    "JPEG": _jpeg, "MPO": _jpeg, "PNG": _png, "WEBP": _webp, "GIF": _gif, "BMP": _bmp, "DIB": _bmp,
    "TIFF": _tiff, "HEIF": _heif, "AVIF": _heif,
}  # fmt: skip

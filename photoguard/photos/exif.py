"""EXIF, value by value: read in bounded work, turned upright, or made anew from short values."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # of the types, in bytes
ASCII, SHORT, LONG = 2, 3, 4
ORIENTATION = 0x0112
POINTERS = {"exif": 0x8769, "gps": 0x8825}
ENTRY_LIMIT = 1000  # in one directory; cameras write under 100

# Facts: tags that describe a photo, and none that could hold a piece of it.
FACTS = {
    "main": {
        270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 316, 318, 319, 531, 18246, 18249, 33432,
        40091, 40092, 40093, 40094, 40095,
    },
    "exif": {
        33434, 33437, 34850, 34852, 34855, *range(34864, 34870), 36864, 36867, 36868, *range(36880, 36883),
        37121, 37122, *range(37377, 37387), 37396, 37510, 37520, 37521, 37522, *range(37888, 37894), 40960,
        40961, 40962, 40963, 40964, 41483, 41486, 41487, 41488, 41492, 41493, 41495, 41728, 41729,
        *range(41985, 41995), 41996, *range(42016, 42020), *range(42032, 42038), 42240,
    },
    "gps": set(range(32)),
}  # fmt: skip
WIDE_WORDS = {40091, 40092, 40093, 40094, 40095}  # texts in UTF-16 that have the type of bytes
WORDS = WIDE_WORDS | {37510, 27, 28}
WORDS_LIMIT, NUMBERS_LIMIT, FACTS_LIMIT = 1_000, 64, 10_000  # bytes
LONG_WORD = re.compile("[!-~]{65}")  # no word, but coded data


@dataclass(frozen=True)
class Entry:
    """One value of a directory: where it lies and how it is to be read."""

    tag: int
    kind: int
    count: int
    at: int
    length: int


Directories = dict[str, list[Entry]]


def directories(data: bytes) -> Directories:
    """The main directory of EXIF or a TIFF, and the EXIF and GPS ones that it points to; no others."""
    order = ORDERS.get(data[:4])
    if order is None or len(data) < 8:
        return {}
    main = directory(data, struct.unpack_from(order + "I", data, 4)[0])
    found = {"main": main}
    for name, tag in POINTERS.items():
        pointers = [entry for entry in main if entry.tag == tag and entry.kind in (LONG, 13)]
        if pointers:
            found[name] = directory(data, struct.unpack_from(order + "I", data, pointers[0].at)[0])
    return found


def directory(data: bytes, start: int) -> list[Entry]:
    """The entries of a directory whose values lie inside the data; the first of each tag counts."""
    order = ORDERS[data[:4]]
    if start + 2 > len(data):
        return []
    (count,) = struct.unpack_from(order + "H", data, start)
    found: dict[int, Entry] = {}
    for at in range(start + 2, min(start + 2 + 12 * min(count, ENTRY_LIMIT), len(data) - 11), 12):
        tag, kind, number = struct.unpack_from(order + "HHI", data, at)
        length = SIZES.get(kind, 4 if kind == 13 else 0) * number
        where = at + 8 if length <= 4 else struct.unpack_from(order + "I", data, at + 8)[0]
        if length and where + length <= len(data):
            found.setdefault(tag, Entry(tag, kind, number, where, length))
    return list(found.values())


def upright(data: bytes) -> bytes:
    """The EXIF with its orientation 1, patched in place so that maker notes keep their offsets.

    The whole entry is written, because viewers obey an orientation of any type.
    """
    order = ORDERS.get(data[:4])
    if order is None or len(data) < 14:
        return data
    patched = bytearray(data)
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return data
    (count,) = struct.unpack_from(order + "H", data, start)
    for entry in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        if struct.unpack_from(order + "H", data, entry) == (ORIENTATION,):
            struct.pack_into(order + "HHIHH", patched, entry, ORIENTATION, SHORT, 1, 1, 0)
    return bytes(patched)


def facts(data: bytes) -> bytes:
    """EXIF of short values of known tags only: there is no room for a picture in it."""
    left = FACTS_LIMIT

    def keep(name: str, entry: Entry) -> bool:
        nonlocal left
        words = entry.kind == ASCII or entry.tag in WORDS
        if entry.tag not in FACTS[name] or entry.length > min(WORDS_LIMIT if words else NUMBERS_LIMIT, left):
            return False
        if words and not _are_words(entry, data[entry.at : entry.at + entry.length]):
            return False
        left -= entry.length
        return True

    return rebuilt(data, keep)


def is_plain(text: str) -> bool:
    """Whether a text is one to read, and no data in disguise."""
    return "".join(text.split()).isprintable() and not LONG_WORD.search(text)


def _are_words(entry: Entry, value: bytes) -> bool:
    coding = "utf-8"
    if entry.kind != ASCII and entry.tag in WIDE_WORDS:
        coding = "utf-16-le"
    elif entry.kind != ASCII:  # eight letters say how the rest is coded
        coding, value = ("utf-16" if value.startswith(b"UNICODE\0") else "utf-8"), value[8:]
    try:
        return is_plain(value.decode(coding).strip("\0"))
    except UnicodeDecodeError:
        return entry.kind == ASCII and is_plain(value.decode("latin-1").strip("\0"))


def rebuilt(data: bytes, keep: Callable[[str, Entry], bool]) -> bytes:
    """New EXIF of the values to keep, in the order of bytes that they have; orientation 1."""
    order = ORDERS.get(data[:4], ">")
    kept: dict[str, dict[int, tuple[int, int, bytes]]] = {}
    for name, entries in directories(data).items():
        chosen = {e.tag: (e.kind, e.count, data[e.at : e.at + e.length]) for e in entries if keep(name, e)}
        if chosen:
            kept[name] = chosen
    if not kept:
        return b""
    main = kept.setdefault("main", {})
    if ORIENTATION in main:
        main[ORIENTATION] = (SHORT, 1, struct.pack(order + "H", 1))
    for name, tag in POINTERS.items():
        main.pop(tag, None)
        if name in kept:
            main[tag] = (LONG, 1, bytes(4))  # until it is known where
    at, starts = 8, {}
    for name, values in kept.items():
        starts[name] = at
        at += len(_written(order, values, 0))
    for name in set(POINTERS) & set(kept):
        main[POINTERS[name]] = (LONG, 1, struct.pack(order + "I", starts[name]))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", starts["main"])
    return head + b"".join(_written(order, kept[name], starts[name]) for name in kept)


def _written(order: str, values: dict[int, tuple[int, int, bytes]], start: int) -> bytes:
    """A directory that stands at `start`, with its long values behind it."""
    table = struct.pack(order + "H", len(values))
    behind = b""
    for tag, (kind, count, value) in sorted(values.items()):
        short = value.ljust(4, b"\0")
        if len(value) > 4:
            short = struct.pack(order + "I", start + 6 + 12 * len(values) + len(behind))
            behind += value + b"\0" * (len(value) % 2)
        table += struct.pack(order + "HHI", tag, kind, count) + short
    return table + bytes(4) + behind

"""JPEG files as quantized DCT coefficients, and back: exact, without going through pixels.

Pillow's libjpeg does the transform and the quantization; this reads and writes the entropy-coded part of
baseline files whose planes all have the full resolution, which is what `from_pixels` makes.
"""

from __future__ import annotations

import heapq
import io
import struct
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from photoguard.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

SOI, EOI, SOF0, DHT, SOS, DQT, COM = 0xD8, 0xD9, 0xC0, 0xC4, 0xDA, 0xDB, 0xFE
END_OF_BLOCK, SIXTEEN_ZEROS = 0x00, 0xF0
Tables = dict[int, "tuple[list[int], list[int]]"]  # by class and number: codes of each length, and symbols


@dataclass(frozen=True)
class Coefficients:
    """What a JPEG holds: for each plane and 8x8 block 64 whole numbers, in zigzag order."""

    width: int
    height: int
    blocks: NDArray[np.int16]
    """(rows, columns, planes, 64); the first of the 64 is the block's mean (DC), the others are AC."""
    steps: NDArray[np.int16]
    """(planes, 64): the quantization step of each."""
    comment: bytes = b""


def from_pixels(pixels: NDArray[np.uint8], quality: int) -> Coefficients:
    """The coefficients of an (H, W, 3) picture at a JPEG quality, chroma at full resolution."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0)
    return parse(file.getvalue())


def to_pixels(jpeg: bytes) -> NDArray[np.uint8]:
    """The picture that any viewer shows, (H, W, 3)."""
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


# --- reading ---------------------------------------------------------------------------------------------


def parse(jpeg: bytes) -> Coefficients:
    """The coefficients of a JPEG file."""
    try:
        return _parse(jpeg)
    except (struct.error, IndexError, KeyError, ValueError, OverflowError) as error:
        raise UnreadableError("this is not a whole JPEG of the kind that P3 splits") from error


def _parse(jpeg: bytes) -> Coefficients:
    if jpeg[:2] != bytes([0xFF, SOI]):
        raise ValueError("no JPEG")
    steps: dict[int, NDArray[np.int16]] = {}
    tables: Tables = {}
    comment, frame, at = b"", b"", 2
    while True:
        mark, kind, length = struct.unpack_from(">BBH", jpeg, at)
        body = jpeg[at + 4 : at + 2 + length]
        at += 2 + length
        if mark != 0xFF or len(body) != length - 2:
            raise ValueError("segment")
        if kind == DQT:
            steps |= _steps(body)
        elif kind == DHT:
            tables |= _tables(body)
        elif kind == COM:
            comment = body
        elif kind == SOF0:
            frame = body
        elif kind == SOS:
            break
        elif kind < 0xE0:  # another coding, or restart intervals; APPn segments may say what they like
            raise ValueError("not baseline")
    height, width, planes = struct.unpack_from(">xHHB", frame)
    parts = [frame[6 + 3 * i : 9 + 3 * i] for i in range(planes)]
    if not width or not height or any(part[1] != 0x11 for part in parts):
        raise ValueError("sampling")
    if body[0] != planes or any(body[1 + 2 * i] != parts[i][0] for i in range(planes)):
        raise ValueError("scan")
    used = [(body[2 + 2 * i] >> 4, 0x10 | body[2 + 2 * i] & 15) for i in range(planes)]
    rows, columns = -(-height // 8), -(-width // 8)
    data = jpeg[at : jpeg.index(bytes([0xFF, EOI]), at)].replace(b"\xff\x00", b"\xff")
    if rows * columns * planes > 4 * len(data):  # each block takes two bits at least
        raise ValueError("size")
    lookups = {number: _lookup(*table) for number, table in tables.items()}
    blocks = _decode(data, [(lookups[dc], lookups[ac]) for dc, ac in used], rows * columns)
    stacked = np.stack([steps[part[2]] for part in parts])
    return Coefficients(width, height, blocks.reshape(rows, columns, planes, 64), stacked, comment)


def _steps(body: bytes) -> dict[int, NDArray[np.int16]]:
    """A DQT segment: the number of each table, then its 64 steps of one byte."""
    return {
        body[start]: np.frombuffer(body, np.uint8, 64, start + 1).astype(np.int16)
        for start in range(0, len(body), 65)
    }


def _tables(body: bytes) -> Tables:
    """A DHT segment: for each table how many codes of 1 to 16 bits there are, then the symbols."""
    tables: Tables = {}
    while body:
        lengths = list(body[1:17])
        count = sum(lengths)
        tables[body[0]] = (lengths, list(body[17 : 17 + count]))
        body = body[17 + count :]
    return tables


def _codes(lengths: Iterable[int], symbols: list[int]) -> dict[int, tuple[int, int]]:
    """Code and length of each symbol: codes of one length count up, the next length goes on from there."""
    codes, code, at = {}, 0, 0
    for length, count in enumerate(lengths, 1):
        for symbol in symbols[at : at + count]:
            codes[symbol] = (code, length)
            code += 1
        at += count
        code <<= 1
    return codes


def _lookup(lengths: list[int], symbols: list[int]) -> list[int]:
    """For each value of the next 16 bits: symbol * 32 + length of its code; 0 for what is no code."""
    table = np.zeros(1 << 16, np.int32)
    for symbol, (code, length) in _codes(lengths, symbols).items():
        start = code << (16 - length)
        table[start : start + (1 << (16 - length))] = symbol * 32 + length
    return table.tolist()


def _decode(data: bytes, tables: list[tuple[list[int], list[int]]], count: int) -> NDArray[np.int16]:
    """The scan's blocks, planes interleaved: (count * planes, 64)."""
    out = [[0] * 64 for _ in range(count * len(tables))]
    means = [0] * len(tables)
    bits, held, at = 0, 0, 0  # `held` bits of the stream wait in `bits`
    end = len(data) + 8
    data += b"\xff" * 16
    for number, block in enumerate(out):
        plane = number % len(tables)
        lookup, position = tables[plane][0], 0
        while position < 64:
            while held < 32:
                bits = (bits << 8 | data[at]) & 0xFFFFFFFFFFFF
                held += 8
                at += 1
            entry = lookup[bits >> (held - 16) & 0xFFFF]
            symbol, length = entry >> 5, entry & 31
            if not length or at > end:
                raise ValueError("code")
            size = symbol & 15
            held -= length + size
            value = bits >> held & ((1 << size) - 1)
            if size and value < 1 << (size - 1):
                value -= (1 << size) - 1
            if position == 0:
                means[plane] += value
                block[0] = means[plane]
                lookup = tables[plane][1]
            elif symbol == END_OF_BLOCK:
                break
            else:
                position += symbol >> 4
                block[position] = value
            position += 1
    return np.array(out, np.int16)


# --- writing ---------------------------------------------------------------------------------------------


def serialize(coefficients: Coefficients) -> bytes:
    """A JPEG file of exactly these coefficients, with the Huffman codes that make it shortest."""
    planes = coefficients.blocks.shape[2]
    symbols, values, sizes, tables = _events(coefficients.blocks.reshape(-1, planes, 64))
    parts = [b"\xff\xd8", _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")]
    if coefficients.comment:
        parts.append(_segment(COM, coefficients.comment))
    for plane in range(planes):
        parts.append(_segment(DQT, bytes([plane]) + coefficients.steps[plane].astype(np.uint8).tobytes()))
    head = struct.pack(">BHHB", 8, coefficients.height, coefficients.width, planes)
    parts.append(_segment(SOF0, head + b"".join(bytes([i + 1, 0x11, i]) for i in range(planes))))
    codes, lengths = np.zeros(len(symbols), np.int64), np.zeros(len(symbols), np.int64)
    for number in np.unique(tables).tolist():  # 0 DC luma, 1 DC chroma, 0x10 AC luma, 0x11 AC chroma
        here = tables == number
        counts, used = _best_code(Counter(symbols[here].tolist()))
        parts.append(_segment(DHT, bytes([number]) + bytes(counts) + bytes(used)))
        code_of = _codes(counts, used)
        codes[here] = [code_of[symbol][0] for symbol in symbols[here].tolist()]
        lengths[here] = [code_of[symbol][1] for symbol in symbols[here].tolist()]
    scan = bytes([planes]) + b"".join(bytes([i + 1, 0x11 * min(i, 1)]) for i in range(planes))
    parts.append(_segment(SOS, scan + b"\0\x3f\0"))
    parts.append(_packed((codes << sizes) | values, lengths + sizes).replace(b"\xff", b"\xff\x00"))
    return b"".join(parts) + b"\xff\xd9"


def _segment(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, kind, len(body) + 2) + body


def _events(blocks: NDArray[np.int16]) -> tuple[NDArray[np.int64], ...]:
    """Everything the scan says, in its order: symbol, value bits, their number, Huffman table."""
    count, planes, _ = blocks.shape
    flat = blocks.reshape(-1, 64).astype(np.int64)
    chroma = np.tile(np.minimum(np.arange(planes), 1), count)
    means = np.diff(blocks[:, :, 0].astype(np.int64), axis=0, prepend=0).reshape(-1)
    block, position = np.nonzero(flat[:, 1:])
    position = position + 1
    first = np.concatenate([[True], block[1:] != block[:-1]]) if len(block) else np.zeros(0, bool)
    zeros = position - np.where(first, 0, np.concatenate([[0], position[:-1]])[: len(position)]) - 1
    levels = flat[block, position]
    last = np.zeros(len(flat), np.int64)
    np.maximum.at(last, block, position)
    short = np.nonzero(last < 63)[0]
    long_runs = zeros // 16
    skipped = np.repeat(np.arange(len(block)), long_runs)
    none = np.zeros
    kinds = [  # (block, order in the block, symbol without size, value)
        (np.arange(len(flat)), none(len(flat), np.int64), none(len(flat), np.int64), means),
        (
            block[skipped],
            2 * position[skipped],
            np.full(len(skipped), SIXTEEN_ZEROS),
            none(len(skipped), np.int64),
        ),
        (block, 2 * position + 1, (zeros % 16) << 4, levels),
        (short, np.full(len(short), 200), np.full(len(short), END_OF_BLOCK), none(len(short), np.int64)),
    ]
    where, order, symbol, value = (np.concatenate([kind[i] for kind in kinds]) for i in range(4))
    sorting = np.argsort(where * 256 + order, kind="stable")
    where, order, symbol, value = where[sorting], order[sorting], symbol[sorting], value[sorting]
    sizes = np.ceil(np.log2(np.abs(value) + 1)).astype(np.int64)  # exact: values stay far below 2**50
    bits = np.where(value < 0, value + (1 << sizes) - 1, value)
    return symbol + sizes, bits, sizes, chroma[where] + np.where(order == 0, 0, 0x10)


def _packed(codes: NDArray[np.int64], lengths: NDArray[np.int64]) -> bytes:
    """Bit strings one behind the other, filled up with ones to whole bytes."""
    ends = np.cumsum(lengths)
    owner = np.repeat(np.arange(len(codes)), lengths)
    shift = ends[owner] - 1 - np.arange(len(owner))  # how far from the end of its own string each bit lies
    bits = (codes[owner] >> shift) & 1
    return np.packbits(np.concatenate([bits, np.ones(-len(bits) % 8, np.int64)]).astype(np.uint8)).tobytes()


def _best_code(counts: Counter[int]) -> tuple[list[int], list[int]]:
    """The shortest prefix code of at most 16 bits: how many codes of each length, and the symbols."""
    spare = 256  # takes the code of all ones, which JPEG keeps free
    heap = [(count, [symbol]) for symbol, count in counts.items()] + [(0, [spare])]
    depth = dict.fromkeys([*counts, spare], 0)
    heapq.heapify(heap)
    while len(heap) > 1:
        (a, left), (b, right) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in left + right:
            depth[symbol] += 1
        heapq.heappush(heap, (a + b, left + right))
    lengths = [0] * (max(*depth.values(), 16) + 1)
    for symbol in depth:
        lengths[depth[symbol]] += 1
    for long in range(len(lengths) - 1, 16, -1):  # shorten: two too long ones take the place of a shorter one
        while lengths[long]:
            short = max(i for i in range(1, long - 1) if lengths[i])
            lengths[long] -= 2
            lengths[long - 1] += 1
            lengths[short] -= 1
            lengths[short + 1] += 2
    lengths[max(i for i in range(17) if lengths[i])] -= 1  # the spare one's
    return lengths[1:17], sorted(counts, key=lambda symbol: (depth[symbol], symbol))

"""What a photo tells beside its picture: facts that a friend may have, and everything bit for bit.

Facts are made anew from short values, so no picture can be inside. Everything can hold thumbnails and videos
of the photo without covers, so it only ever goes to somebody who may see all faces.
"""

from __future__ import annotations

import hashlib
import io
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from photoguard.photos import containers, exif, xmp
from photoguard.photos.png import with_chunks

XMP_KEYWORD = "XML:com.adobe.xmp"
TEXT_LIMIT, TEXTS_LIMIT = 1_000, 8_000  # characters of one text, and of all, among the facts
CHUNKS_LIMIT, PARTS_LIMIT, SIZE_LIMIT = 1024, 2048, 1 << 28
TEXT_CHUNKS = ("tEXt", "zTXt", "iTXt")
# Chunks that say how pixels are coded: the restored picture codes them in its own way.
CODING = frozenset({"tRNS", "sBIT", "bKGD", "hIST", "acTL", "fcTL", "fdAT", "pgRd"})
# Nobody misses these: they say how the file was laid out.
UNMISSED = frozenset({containers.STRUCTURE, "JFIF", "Adobe", "MPF", "tRNS"})

Chunk = tuple[str, bytes]  # type and body
Texts = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Part:
    """A range of the original file, byte for byte."""

    kind: str
    where: int
    body: bytes
    lost: bool = True  # the restored picture does not show it


@dataclass(frozen=True)
class Metadata:
    """What a photo tells beside its pixels; without `chunks` and `parts` these are facts only."""

    format: str = ""
    exif: bytes = b""
    texts: Texts = ()
    xmp: bytes = b""  # from files of version 1 only, which have all of it there
    chunks: tuple[Chunk, ...] = ()  # what of everything a PNG can hold, upright
    parts: tuple[Part, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether this is everything, not facts."""
        return bool(self.chunks or self.parts)


def collect(data: bytes, image: Image.Image) -> Metadata:
    """Facts, and everything, from the bytes of a photo and what Pillow read before it loaded the pixels."""
    kind = image.format or ""
    parts, notices = _parts(data, kind)
    whole = _exif(data, image, parts)
    texts = tuple(_texts(kind, parts))
    chunks = list(_png_chunks(parts) if kind == "PNG" else _made_chunks(image, parts, whole, texts))
    chunks = [chunk for chunk in chunks if _is_neutral(chunk)][:CHUNKS_LIMIT]
    return Metadata(
        kind, exif.facts(whole), _short(texts), b"", tuple(chunks), _marked(kind, parts, chunks), notices
    )


def _parts(data: bytes, kind: str) -> tuple[list[Part], tuple[str, ...]]:
    parts: list[Part] = []
    left_out, size = [], 0
    for what, start, end in containers.ranges(data, kind):
        if len(parts) == PARTS_LIMIT or size + end - start > SIZE_LIMIT:
            left_out.append(end - start)
            continue
        parts.append(Part(what, start, data[start:end]))
        size += end - start
    if not left_out:
        return parts, ()
    size, count = sum(left_out), len(left_out)
    return parts, (f"metadata of {size:,} bytes in {count:,} pieces is more than can be sealed: left out",)


def _exif(data: bytes, image: Image.Image, parts: list[Part]) -> bytes:
    if image.format == "TIFF":
        return exif.rebuilt(data, _tells)
    if image.format == "PNG":
        found = next((part.body for part in parts if part.kind == "eXIf"), b"")
    else:
        found = bytes(image.info.get("exif") or b"")
    return re.sub(rb"^(Exif\0\0){1,2}", b"", found)


def _tells(name: str, entry: exif.Entry) -> bool:
    """Whether a value of a TIFF is about the photo rather than about its file."""
    return entry.length < 1 << 16 and not (name == "main" and entry.tag in containers.TIFF_STRUCTURE)


# What a PNG can hold


def _png_chunks(parts: list[Part]) -> Iterator[Chunk]:
    for part in parts:
        if len(part.kind) == 4 and part.kind[0].islower() and part.kind not in CODING and part.kind.isalpha():
            if part.kind == "eXIf":
                yield "eXIf", exif.upright(part.body)
            elif part.kind == "iTXt" and _is_xmp_body(part.body):
                packed = part.body[len(XMP_KEYWORD) + 1]  # with an orientation, `_is_neutral` refuses it
                yield "iTXt", part.body if packed else xmp.upright(part.body)
            else:
                yield part.kind, part.body


def _made_chunks(image: Image.Image, parts: list[Part], whole: bytes, texts: Texts) -> Iterator[Chunk]:
    icc = image.info.get("icc_profile")
    if icc and image.mode != "CMYK":  # such colors become sRGB
        yield "iCCP", b"ICC profile\0\0" + zlib.compress(icc)
    if whole:
        yield "eXIf", exif.upright(whole)
    found = image.info.get("xmp") or b""
    packet = xmp.as_utf8(found.encode() if isinstance(found, str) else bytes(found))
    packet = xmp.with_extension(packet, _extension(parts))
    if packet:
        yield "iTXt", XMP_KEYWORD.encode() + bytes(5) + xmp.upright(packet)
    for keyword, text in texts:
        yield _text_chunk(keyword, text)


def _extension(parts: list[Part]) -> bytes:
    """What the extended packet of a JPEG adds to the main one."""
    mains = b"".join(part.body for part in parts if part.kind == "XMP")
    return xmp.extension(mains, [part.body for part in parts if part.kind == "extended XMP"])


def _text_chunk(keyword: str, text: str) -> Chunk:
    info = PngInfo()
    info.add_itxt(keyword.encode("latin-1", "replace").decode("latin-1")[:79] or "Comment", text)
    return "iTXt", info.chunks[0][1]


def _is_neutral(chunk: Chunk) -> bool:
    """Whether viewers open a PNG with this chunk, and show it as it stands.

    An orientation in a raw profile or in broken EXIF would turn the upright photo a second time.
    """
    try:
        with Image.open(io.BytesIO(with_chunks(_DOT, [(chunk[0].encode(), chunk[1])]))) as image:
            image.load()
            return image.getexif().get(exif.ORIENTATION, 1) not in range(2, 9)
    except Exception:  # Pillow raises what it likes on hostile chunks; this one is left out and named
        return False


def _dot() -> bytes:
    out = io.BytesIO()
    Image.new("L", (1, 1)).save(out, "PNG")
    return out.getvalue()


_DOT = _dot()


def _marked(kind: str, parts: list[Part], chunks: list[Chunk]) -> tuple[Part, ...]:
    """The parts, each with whether the restored picture lacks what it says."""
    if kind == "PNG":
        names = {name for name, _ in chunks}
        kept = {hashlib.sha256(body).digest() for _, body in chunks}
        here = [
            p.kind in names and (p.kind == "eXIf" or _is_xmp(p) or hashlib.sha256(p.body).digest() in kept)
            for p in parts
        ]
    else:
        carried = {"iCCP": "ICC profile", "eXIf": "EXIF"}
        shown = {carried[name] for name, _ in chunks if name in carried}
        shown |= {"XMP" if _is_xmp_body(body) else "comment" for name, body in chunks if name == "iTXt"}
        added = _extension(parts)
        if added and any(added in body for _, body in chunks):
            shown.add("extended XMP")
        here = [part.kind in shown for part in parts]
    return tuple(
        replace(part, lost=part.kind not in UNMISSED and not found)
        for part, found in zip(parts, here, strict=True)
    )


def _is_xmp(part: Part) -> bool:
    return part.kind == "iTXt" and _is_xmp_body(part.body)


def _is_xmp_body(body: bytes) -> bool:
    return body.startswith(XMP_KEYWORD.encode() + b"\0")


# Texts


def _texts(kind: str, parts: Iterable[Part]) -> Iterator[tuple[str, str]]:
    """Comments and PNG texts as the file has them, in its order; not XMP, and nothing that bursts."""
    for part in parts:
        if kind == "PNG" and part.kind in TEXT_CHUNKS:
            found = _text(part.kind, part.body)
            if found and found[0] != XMP_KEYWORD:
                yield found
        elif part.kind == "comment":
            body = b"".join(_sub_blocks(part.body)) if kind == "GIF" else part.body
            try:
                yield "Comment", body.decode()
            except UnicodeDecodeError:
                yield "Comment", body.decode("latin-1")


def _sub_blocks(body: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(body) and body[at]:
        yield body[at + 1 : at + 1 + body[at]]
        at += 1 + body[at]


def _text(kind: str, body: bytes) -> tuple[str, str] | None:
    """Keyword and text of a PNG's text chunk, when it is well-formed and the text is short."""
    keyword, zero, rest = body.partition(b"\0")
    coding, packed = "latin-1", kind == "zTXt"
    if kind == "iTXt":
        packed, coding = rest[:1] == b"\1", "utf-8"
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    elif packed:
        rest = rest[1:]
    try:
        if packed:
            inflater = zlib.decompressobj()
            rest = inflater.decompress(rest, 4 * TEXT_LIMIT)
            if not inflater.eof:
                return None
        return (keyword.decode("latin-1"), rest.decode(coding)) if zero else None
    except (zlib.error, UnicodeDecodeError):
        return None


def _short(texts: Iterable[tuple[str, str]]) -> Texts:
    kept, left = [], TEXTS_LIMIT
    for keyword, text in texts:
        raw = keyword.lower().startswith("raw profile")
        size = len(keyword) + len(text)
        fits = len(keyword) <= 79 and len(text) <= TEXT_LIMIT and size <= left
        if fits and not raw and exif.is_plain(keyword) and exif.is_plain(text):
            kept.append((keyword, text))
            left -= size
    return tuple(kept)


# Giving back


def restored_chunks(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    """What a restored PNG gets beside its pixels: everything where it was granted, else the facts."""
    if metadata.whole:
        once: set[str] = set()
        chunks = []
        for name, body in metadata.chunks:
            if name in CODING or name in once:
                continue
            once |= {name} & {"iCCP", "eXIf"}
            chunks.append((name.encode(), body))
        return chunks
    found: list[tuple[bytes, bytes]] = [(b"eXIf", metadata.exif)] if metadata.exif else []
    texts: Any = [_text_chunk(keyword, text) for keyword, text in metadata.texts]
    if metadata.xmp:
        texts = [_text_chunk(XMP_KEYWORD, metadata.xmp.decode("utf-8", "replace")), *texts]
    return found + [(name.encode(), body) for name, body in texts]


def lost(metadata: Metadata) -> tuple[str, ...]:
    """What the restored picture lacks, in one sentence for the user."""
    sizes: dict[str, int] = {}
    for part in metadata.parts:
        if part.lost:
            sizes[part.kind] = sizes.get(part.kind, 0) + len(part.body)
    if not sizes:
        return ()
    named = ", ".join(f"{kind} ({size:,} bytes)" for kind, size in sizes.items())
    return (f"not in the restored PNG: {named}; `decrypt --parts FOLDER` writes what there is to files",)


def file_names(metadata: Metadata) -> list[str]:
    """A name for the file of each part, in their order."""
    return [f"{n:04}-{part.kind.replace(' ', '-')}.bin" for n, part in enumerate(metadata.parts, start=1)]

"""Photos with a picture of the uncovered face hidden in every place that formats have for one."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pillow_heif
from PIL import Image

from photoguard.photos import png

Chunks = list[tuple[bytes, bytes]]


def picture(seed: int = 1, side: int = 48) -> Image.Image:
    """Noise, so that its coded bytes occur nowhere by chance."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


THUMBNAIL = saved(picture(2, 24), "JPEG", quality=60)  # 927 bytes


def jpeg(*segments: tuple[int, bytes], behind: bytes = b"", **options: object) -> bytes:
    """A JPEG with further segments, and data behind its end."""
    bare = saved(picture(), "JPEG", **options)
    more = b"".join(struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body for marker, body in segments)
    return bare[:20] + more + bare[20:] + behind  # behind JFIF


def png_with(chunks: Chunks, behind: bytes = b"") -> bytes:
    return png.with_chunks(saved(picture(), "PNG"), chunks) + behind


def exif(
    main: dict[int, bytes] | None = None, inside: dict[int, bytes] | None = None, second: bytes = b""
) -> bytes:
    """EXIF of bytes and texts: a main directory, an EXIF directory, and a second one with a thumbnail."""

    def directory(at: int, values: dict[int, tuple[int, int, bytes]], following: bool) -> bytes:
        end = at + 6 + 12 * len(values)
        table, behind = struct.pack("<H", len(values)), b""
        for tag, (kind, count, value) in sorted(values.items()):
            where = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", end + len(behind))
            behind += value if len(value) > 4 else b""
            table += struct.pack("<HHI", tag, kind, count) + where
        return table + struct.pack("<I", end + len(behind) if following else 0) + behind

    texts = {tag: (2, len(value), value) for tag, value in ({0x010F: b"maker\0"} | (main or {})).items()}
    deeper = directory(
        8, {tag: (7, len(value), value) for tag, value in (inside or {0x9000: b"0232"}).items()}, False
    )
    start = 8 + len(deeper)
    texts[0x8769] = (4, 1, struct.pack("<I", 8))
    first = directory(start, texts, bool(second))
    last = b""
    if second:
        at = start + len(first)
        numbers = {0x0201: (4, 1, struct.pack("<I", at + 30)), 0x0202: (4, 1, struct.pack("<I", len(second)))}
        last = directory(at, numbers, False) + second
    return b"II*\0" + struct.pack("<I", start) + deeper + first + last


def photoshop(number: int, body: bytes) -> bytes:
    return (
        b"Photoshop 3.0\0"
        + struct.pack(">4sHHI", b"8BIM", number, 0, len(body))
        + body
        + b"\0" * (len(body) % 2)
    )


def xmp(inside: str, attributes: str = "") -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/" '
        'xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        f"{attributes}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


IN_XMP = f"<xmpGImg:image>{base64.b64encode(THUMBNAIL).decode()}</xmpGImg:image>"


def xmp_segment(packet: bytes) -> tuple[int, bytes]:
    return 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet


def extended_xmp(main: str, extension: bytes) -> list[tuple[int, bytes]]:
    """Segments of a main packet that names an extended one, and of that one in two pieces."""
    guid = hashlib.md5(extension).hexdigest().upper()
    name = b"http://ns.adobe.com/xmp/extension/\0" + guid.encode()
    half = len(extension) // 2
    pieces = [
        (0xE1, name + struct.pack(">II", len(extension), at) + extension[at : at + half or None])
        for at in (0, half)
    ]
    pieces[1] = (0xE1, name + struct.pack(">II", len(extension), half) + extension[half:])
    return [xmp_segment(xmp(main, f'xmpNote:HasExtendedXMP="{guid}"')), pieces[1], pieces[0]]


def raw_profile(name: str, body: bytes) -> bytes:
    """A text as ImageMagick writes profiles into PNGs."""
    return (
        f"Raw profile type {name}".encode()
        + b"\0\0"
        + zlib.compress(f"\n{name}\n{len(body):8}\n{body.hex()}\n".encode())
    )


def tiff(extra: bytes) -> bytes:
    """A TIFF whose tag SubIFDs points to a directory with a preview."""
    pixels = np.asarray(picture()).tobytes()
    strip = 8
    preview = strip + len(pixels)
    below = preview + len(extra)
    sub = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, preview, 0x0202, 4, 1, len(extra), 0)
    bits = below + len(sub)
    main = bits + 6
    values = [
        (256, 3, 1, 48), (257, 3, 1, 48), (258, 3, 3, bits), (259, 3, 1, 1), (262, 3, 1, 2),
        (271, 2, 4, 0x00434241), (273, 4, 1, strip), (277, 3, 1, 3), (278, 3, 1, 48),
        (279, 4, 1, len(pixels)), (330, 4, 1, below),
    ]  # fmt: skip
    table = b"".join(struct.pack("<HHII", *value) for value in values)
    head = b"II*\0" + struct.pack("<I", main)
    return (
        head + pixels + extra + sub + struct.pack("<3H", 8, 8, 8) + struct.pack("<H", 11) + table + bytes(4)
    )


def heic(second: Image.Image | None = None, exif_bytes: bytes = b"") -> bytes:
    file = pillow_heif.from_pillow(picture(side=64))
    if second:
        file.add_from_pillow(second)
    out = io.BytesIO()
    file.save(out, quality=50, exif=exif_bytes or None, save_all=True)
    return out.getvalue()


def coded_heic(image: Image.Image) -> bytes:
    """The coded picture of a HEIC that holds nothing else."""
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=50)
    return out.getvalue().partition(b"mdat")[2]


def webp_with(chunks: Chunks, behind: bytes = b"") -> bytes:
    bare = saved(picture(), "WEBP", lossless=True)[12:]
    more = b"".join(kind + struct.pack("<I", len(b)) + b + b"\0" * (len(b) % 2) for kind, b in chunks)
    flags = struct.pack(
        "<4sII3s3s", b"VP8X", 10, 0x0C, (47).to_bytes(3, "little"), (47).to_bytes(3, "little")
    )
    body = b"WEBP" + flags + bare + more
    return b"RIFF" + struct.pack("<I", len(body)) + body + behind


# Where -> (a photo, the bytes of the hidden picture as they stand in it)
PLACES: dict[str, Callable[[], tuple[bytes, bytes]]] = {
    "thumbnail directory": lambda: (jpeg(exif=b"Exif\0\0" + exif(second=THUMBNAIL)), THUMBNAIL),
    "maker note": lambda: (jpeg(exif=b"Exif\0\0" + exif(inside={0x927C: THUMBNAIL})), THUMBNAIL),
    "user comment": lambda: (jpeg(exif=b"Exif\0\0" + exif(inside={0x9286: THUMBNAIL})), THUMBNAIL),
    "description": lambda: (jpeg(exif=b"Exif\0\0" + exif({0x010E: THUMBNAIL[:900]})), THUMBNAIL[:900]),
    "unknown tag": lambda: (jpeg(exif=b"Exif\0\0" + exif({0xC000: THUMBNAIL[:40]})), THUMBNAIL[:40]),
    "MPF": lambda: (jpeg((0xE2, b"MPF\0II*\0\x08\0\0\0\0\0"), behind=THUMBNAIL), THUMBNAIL),
    "motion photo": lambda: (jpeg(behind=b"\0\0\0\x18ftypmp42" + THUMBNAIL), THUMBNAIL),
    "Photoshop": lambda: (jpeg((0xED, photoshop(0x040C, THUMBNAIL))), THUMBNAIL),
    "JFXX": lambda: (jpeg((0xE0, b"JFXX\0\x10" + THUMBNAIL)), THUMBNAIL),
    "C2PA": lambda: (jpeg((0xEB, b"JP\0\1\0\0\0\1" + THUMBNAIL)), THUMBNAIL),
    "unknown segment": lambda: (jpeg((0xE7, THUMBNAIL)), THUMBNAIL),
    "comment": lambda: (jpeg((0xFE, THUMBNAIL)), THUMBNAIL),
    "XMP": lambda: (jpeg(xmp_segment(xmp(IN_XMP))), base64.b64encode(THUMBNAIL)),
    "extended XMP": lambda: (jpeg(*extended_xmp("", xmp(IN_XMP))), base64.b64encode(THUMBNAIL)[:400]),
    "PNG raw profile": lambda: (
        png_with([(b"zTXt", raw_profile("exif", exif(second=THUMBNAIL)))]),
        raw_profile("exif", exif(second=THUMBNAIL)),
    ),
    "PNG EXIF": lambda: (png_with([(b"eXIf", exif(second=THUMBNAIL))]), THUMBNAIL),
    "PNG C2PA": lambda: (png_with([(b"caBX", THUMBNAIL)]), THUMBNAIL),
    "PNG text": lambda: (
        png_with([(b"tEXt", b"thumb\0" + base64.b64encode(THUMBNAIL))]), base64.b64encode(THUMBNAIL)
    ),
    "behind a PNG": lambda: (png_with([], THUMBNAIL), THUMBNAIL),
    "WebP EXIF": lambda: (webp_with([(b"EXIF", exif(second=THUMBNAIL))]), THUMBNAIL),
    "WebP chunk": lambda: (webp_with([(b"junk", THUMBNAIL)]), THUMBNAIL),
    "behind a WebP": lambda: (webp_with([], THUMBNAIL), THUMBNAIL),
    "TIFF preview": lambda: (tiff(THUMBNAIL), THUMBNAIL),
    "HEIC item": lambda: (heic(picture(3, 64)), coded_heic(picture(3, 64))),
    "HEIC EXIF": lambda: (heic(exif_bytes=exif(second=THUMBNAIL)), THUMBNAIL),
    "behind a HEIC": lambda: (heic() + struct.pack(">I4s", 935, b"mpvd") + THUMBNAIL, THUMBNAIL),
    "GIF comment": lambda: (saved(picture(), "GIF", comment=THUMBNAIL), THUMBNAIL[:255]),
    "behind a GIF": lambda: (saved(picture(), "GIF") + THUMBNAIL, THUMBNAIL),
    "behind a BMP": lambda: (saved(picture(), "BMP") + THUMBNAIL, THUMBNAIL),
}  # fmt: skip

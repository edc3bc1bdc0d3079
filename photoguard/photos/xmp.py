"""XMP packets: their coding, their orientation, and the extended packet of a JPEG."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Sequence
from xml.parsers import expat

EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
GUID = slice(len(EXTENSION), len(EXTENSION) + 32)
HEAD = len(EXTENSION) + 32 + 8  # then length of the whole and offset of this piece
NAMED = re.compile(rb'HasExtendedXMP\s*(?:=\s*["\']|>)([0-9A-F]{32})')


def as_utf8(packet: bytes) -> bytes:
    """A packet in UTF-16 as PNG wants it."""
    for coding in ("utf-16-le", "utf-16-be"):
        if packet.startswith(("<".encode(coding), "\ufeff".encode(coding))):
            return packet.decode(coding, "replace").lstrip("\ufeff").encode()
    return packet


def upright(packet: bytes) -> bytes:
    """With its orientation 1, because the photo stands upright."""
    packet = re.sub(rb'(tiff:Orientation\s*=\s*["\'])\d', rb"\g<1>1", packet)
    return re.sub(rb"(<tiff:Orientation>\s*)\d", rb"\g<1>1", packet)


def extension(main: bytes, segments: Sequence[bytes]) -> bytes:
    """The elements of the extended packet that the main one names; nothing unless it is whole."""
    named = NAMED.search(main)
    if named is None:
        return b""
    pieces = {
        struct.unpack_from(">I", segment, HEAD - 4)[0]: segment[HEAD:]
        for segment in segments
        if segment[GUID] == named[1] and len(segment) >= HEAD
    }
    packet = b"".join(pieces[at] for at in sorted(pieces))
    if hashlib.md5(packet, usedforsecurity=False).hexdigest().upper().encode() != named[1]:
        return b""
    start, end = packet.find(b">", packet.find(b"<rdf:RDF")) + 1, packet.rfind(b"</rdf:RDF>")
    return packet[start:end] if 0 < start < end else b""


def with_extension(main: bytes, elements: bytes) -> bytes:
    """The main packet with the elements of the extended one; as it is where they do not fit."""
    end = main.rfind(b"</rdf:RDF>")
    if not elements or end < 0:
        return main
    kept = re.sub(rb'xmpNote:HasExtendedXMP\s*=\s*"[0-9A-F]{32}"', b"", main[:end])
    joined = kept + elements + main[end:]
    return joined if _is_xml(joined) else main


def _is_xml(text: bytes) -> bool:
    if b"<!" in text:  # entities grow
        return False
    try:
        expat.ParserCreate(namespace_separator=" ").Parse(text, True)
    except expat.ExpatError:
        return False
    return True

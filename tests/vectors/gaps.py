"""Pictures of version 1 about what a second reader could not learn from the specification at first."""

# ruff: noqa: E501  (one fault a line reads best as a table)
from __future__ import annotations

import struct
import sys
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from stones import (
    BASE,
    BOXES,
    CHUNK,
    FLAT_WEBP,
    KEYS,
    Grant,
    Photo,
    PrivateFile,
    Scene,
    Vector,
    chunk,
    damaged,
    fingerprint,
    gradient,
    pack,
    png_of,
    scene,
    sealed,
    stored,
)  # fmt: skip

from photoguard import methods
from photoguard.photos.geometry import Box

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # the second reader, so that no vector repeats photoguard's own network
from reader.ddm import network_patch, sketch  # noqa: E402
from reader.pictures import luminance  # noqa: E402

WITHIN = 2  # levels by which networks may differ


def encoded(private: Sequence[PrivateFile]) -> list[str]:
    """Private envelopes as header lines."""
    return [b64encode(file.to_bytes()).decode() for file in private]


def good(
    comment: str, made: Scene, body: bytes | None = None, private: Sequence[PrivateFile] = (), **fields: Any
) -> Vector:
    """A picture that is restored; `restored` may be another photo than the original."""
    numbers = ",".join(str(n) for n in range(1, len(made.public.faces) + 1))
    expected = {"opened": numbers, "closed": "", "name": "photo.jpg", "exact": "yes",
                "restored": fingerprint(made.original).hex(), **fields}  # fmt: skip
    given = {"private": encoded(private or [made.private])}
    kept = {name: value for name, value in {**given, **expected}.items() if value is not None}
    return Vector("ok", "picture", comment, made.png() if body is None else body, kept)


def bad(says: str, comment: str, made: Scene, private: Sequence[PrivateFile] = (), **png: Any) -> Vector:
    """A picture with a fault."""
    return damaged("picture", says, comment, made.png(**png), private=encoded(private or [made.private]))


def gap_vectors() -> dict[str, Vector]:
    """All of them."""
    return envelope_vectors() | alpha_vectors() | gray_vectors() | ddm_vectors()


def envelope_vectors() -> dict[str, Vector]:
    """Which envelope counts, where it stands, and faces that own nothing."""
    ours = (CHUNK, BASE.public.to_bytes())
    other_keys = [KEYS[3], KEYS[0], KEYS[1]]
    contents = [pack({"exact": "", "format": "", "kind": "metadata", "name": "other"}, [b"", b"", b"{}"])]
    contents += [pack({"kind": "face"}, [b"other", b""])] * 2
    other = replace(BASE.public, carriers=sealed(BASE.public.header(), other_keys, contents)).to_bytes()
    first = replace(BASE.private.granting([1], True), portable=BASE.public.to_bytes())
    second = replace(BASE.private.granting([2], False), portable=other)
    theirs = replace(second, grants=(Grant(2, other_keys[2], bytes(32), b""),))
    base = BASE.png()
    at = base.index(b"IEND") - 4
    bare = BASE.png(chunks=[])
    twice = [BOXES[0], BOXES[0], BOXES[1]]
    inner = [Box(2, 2, 12, 8), Box(2, 2, 6, 8), Box(8, 2, 6, 8)]
    last = BASE.png(chunks=[])[: bare.index(b"IEND") - 4] + chunk(*ours) + base[at:]
    return {
        "ok-chunk-last": good("The pgRd chunk stands behind IDAT.", BASE, last),
        "ok-chunk-before-portable": good(
            "The private file holds another envelope, but the picture's counts.", BASE,
            private=[replace(BASE.private, portable=other)]),
        "ok-portable-first": good(
            "Two portable files with different envelopes: the first one's counts.", BASE, bare, [first, second]),
        "portable-second": bad(
            "face 1 was altered", "The first file's envelope counts, and the second's keys do not open it.", BASE,
            [replace(second, grants=()), first], chunks=[]),
        "portable-other-key": bad(
            "face 2 was altered", "The second file's key opens only its own envelope.", BASE, [first, theirs], chunks=[]),
        "ok-owns-nothing": good("Two equal boxes: the second owns no pixel.", scene(boxes=twice)),
        "ok-owns-nothing-between": good("Two smaller boxes own all of the first.", scene(boxes=inner)),
    }  # fmt: skip


def alpha_vectors() -> dict[str, Vector]:
    """Alpha that does not fit the picture."""
    patch = b"P" + png_of(BASE.original.pixels[BOXES[0].window])
    alpha = Photo(gradient(), alpha=gradient()[..., 0])

    def face(values: Any) -> dict[int, bytes]:
        hidden = (
            stored(np.broadcast_to(values, (8, 8)).astype(">u2").tobytes()) if values is not None else b""
        )
        return {1: pack({"kind": "face"}, [patch, hidden])}

    opaque = scene(alpha, contents=face(None), exact=False)
    restored = alpha.alpha.copy()  # type: ignore[union-attr]
    restored[BOXES[0].window] = 255
    more = {1: pack({"kind": "face"}, [patch, stored(bytes(2 * 8 * 8 + 2))])}
    overlap = [Box(2, 2, 12, 12), Box(8, 6, 10, 6)]
    one = scene(alpha, overlap, exact=False)
    shown, shown_alpha = one.picture.pixels.copy(), one.picture.alpha.copy()  # type: ignore[union-attr]
    own = np.ones((12, 12), bool)
    own[4:10, 6:] = False
    shown[overlap[0].window][own] = alpha.pixels[overlap[0].window][own]
    shown_alpha[overlap[0].window][own] = alpha.alpha[overlap[0].window][own]  # type: ignore[index]
    return {
        "ok-alpha-ignored": good("Face 1 holds alpha, the photo has none.", scene(contents=face(7))),
        "ok-alpha-empty": good(
            "Face 1 holds no alpha, the photo has some: the box stays opaque.", opaque, exact="no",
            restored=fingerprint(replace(alpha, alpha=restored)).hex()),
        "ok-alpha-shared": good(
            "Only face 1 of two that overlap: its alpha is put back where it owns the pixel.", one,
            private=[one.private.granting([1], False)], opened="1", closed="2", name="", exact="no",
            restored=fingerprint(Photo(shown, shown_alpha)).hex()),
        "alpha-300": bad("alpha is deeper", "A value of 300 in a photo of 8 bits.", scene(alpha, contents=face(300), exact=False)),
        "alpha-more": bad("wrong size", "Face 1's alpha inflates to a pixel more.", scene(alpha, contents=more)),
    }  # fmt: skip


def gray_vectors() -> dict[str, Vector]:
    """Colored patches under the covers of gray photos come back as luminance."""
    made = {}
    for name, dtype in (("8", np.uint8), ("16", np.uint16)):
        photo = Photo(gradient(dtype, grey=True), grey=True)
        patch = gradient(dtype)[3:11, 5:13]
        content = {1: pack({"kind": "face"}, [b"P" + png_of(patch), b""])}
        colored = scene(photo, contents=content, checks={1: methods.digest(patch)}, exact=False)
        luminance = (patch.astype(np.int64) @ (9798, 19235, 3735) + 16384) >> 15
        restored = photo.pixels.copy()
        restored[BOXES[0].window] = luminance[..., None]
        made[f"ok-grey-luminance-{name}"] = good(
            "A colored patch in a gray photo.", colored, exact="no",
            restored=fingerprint(Photo(restored, grey=True)).hex())  # fmt: skip
    return made


# DDM: maps that no network made, so that they are the same everywhere


def raw_lzma2(data: bytes) -> bytes:
    """A raw LZMA2 stream of stored chunks and its end mark."""
    chunks = [data[at : at + (1 << 16)] for at in range(0, len(data), 1 << 16)]
    marks = [b"\x01" if n == 0 else b"\x02" for n in range(len(chunks))]
    body = (mark + struct.pack(">H", len(one) - 1) + one for mark, one in zip(marks, chunks, strict=True))
    return b"".join(body) + b"\0"


def noise(label: str, count: int) -> np.ndarray[Any, Any]:
    """The same numbers 0 to 255 everywhere."""
    blocks = (sha256(f"{label} {n}".encode()).digest() for n in range(-(-count // 32)))
    return np.frombuffer(b"".join(blocks)[:count], np.uint8)


def positions(box: Box) -> tuple[int, int]:
    """Rows and columns of a box's maps."""
    longer = max(box.height, box.width)
    scale = min(max(1.0, 128 / longer), 512 / longer)
    rows, columns = (-(-max(1, round(side * scale)) // 16) for side in (box.height, box.width))
    return rows, columns


def maps(
    rows: int, columns: int, count: int = 63, low: float = -1.5, step: float = 3 / 256, cut: int = 0,
    end: bytes = b"", head: tuple[int, int, int] | None = None,
) -> bytes:  # fmt: skip
    """Packed maps; `head` says another size than they have."""
    lows, steps = np.full(count, -1.5), np.full(count, 3 / 256)
    lows[-1], steps[-1] = low, step
    scales = np.stack([lows, steps]).astype("<f2").tobytes()
    body = scales + noise("codes", count * rows * columns).tobytes()
    return struct.pack("<HHH", *(head or (count, rows, columns))) + raw_lzma2(body[: len(body) - cut]) + end


def feature(rows: int, columns: int, label: str = "private") -> bytes:
    """A private feature."""
    values = noise(label, rows * columns).astype(np.float32) / 64 - 2
    return values.astype("<f2").tobytes()


def ddm_scene(photo: Photo, box: Box, method_bytes: bytes, private: bytes, check: bytes) -> Scene:
    """A photo with one face that the network restores."""
    made = scene(photo, [box], method="ddm", exact=False, checks={1: check},
                 contents={1: pack({"kind": "face"}, [method_bytes, b""])})  # fmt: skip
    grant = replace(made.private.grants[0], feature=private)
    return replace(made, private=replace(made.private, grants=(grant,)))


def ddm_vectors() -> dict[str, Vector]:
    """What the network restores, and maps with faults."""
    box, photo = Box(3, 2, 10, 8), Photo(gradient())
    rows, columns = positions(box)
    right, secret = maps(rows, columns), feature(rows, columns)
    check = sketch_of(near("ok-ddm", photo, box, b"M" + right, secret), box)

    def ok(
        name: str,
        comment: str,
        photo: Photo = photo,
        box: Box = box,
        residual: bytes | None = None,
        off: int = 0,
    ) -> Vector:
        size = positions(box)
        packed = maps(*size)
        method = (
            b"M" + packed if residual is None else b"R" + struct.pack(">I", len(packed)) + packed + residual
        )
        samples = near(name, photo, box, method, feature(*size))
        fields = bytearray(sketch_of(samples, box))
        fields[5] += off if fields[5] < 128 else -off
        made = ddm_scene(photo, box, method, feature(*size), bytes(fields))
        return good(
            comment, made, exact="no", restored=None,
            near=b64encode(stored(samples.tobytes())).decode(), within=str(within(samples)))  # fmt: skip

    def fault(
        says: str,
        comment: str,
        packed: bytes = right,
        private: bytes = secret,
        check: bytes = check,
        kind: bytes = b"M",
    ) -> Vector:
        return bad(says, comment, ddm_scene(photo, box, kind + packed, private, check))

    wide = Photo(np.tile(gradient()[:4], (1, 22, 1)))
    off, nan = bytearray(check), bytearray(secret)
    off[5] += 8 if off[5] < 128 else -8
    nan[-2:] = b"\0\x7e"
    shape, length, scale = "wrong shape", "length does not fit", "a scale makes no sense"
    huge = struct.pack("<HHH", 63, 4096, 4096) + raw_lzma2(bytes(64))
    deep = Photo(gradient(np.uint16))
    residual = struct.pack(">I", len(right)) + right
    return {
        "ok-ddm": ok("ok-ddm", "10 x 8 pixels, of which the network makes 128 x 102: seven rows of maps, cut and scaled."),
        "ok-ddm-large": ok("ok-ddm-large", "520 x 4 pixels, of which the network makes 512 x 4.", wide, Box(0, 0, 520, 4)),
        "ok-ddm-few-rows": ok("ok-ddm-few-rows", "Fewer rows than the sketch has fields.", box=Box(3, 2, 18, 3)),
        "ok-ddm-few-columns": ok("ok-ddm-few-columns", "Fewer columns than the sketch has fields.", box=Box(3, 2, 5, 12)),
        "ok-ddm-residual": ok("ok-ddm-residual", "A residual of one color.", box=Box(3, 2, 8, 8), residual=FLAT_WEBP),
        "ok-ddm-grey": ok("ok-ddm-grey", "Into a gray photo.", Photo(gradient(grey=True), grey=True)),
        "ok-ddm-16-bit": ok("ok-ddm-16-bit", "Into a photo of 16 bits.", deep),
        "ok-ddm-sketch-off": ok("ok-ddm-sketch-off", "A field of the sketch is off by one.", off=1),
        "ddm-sketch": fault("not the one that was sealed", "A field of the sketch is off by eight.", check=bytes(off)),
        "ddm-other-feature": fault("not the one that was sealed", "Another face's private feature.",
                                   private=feature(rows, columns, "other")),
        "ddm-feature-short": fault("feature is damaged", "A value of the private feature is missing.", private=secret[:-2]),
        "ddm-feature-odd": fault("feature is damaged", "A byte behind the private feature.", private=secret + b"\0"),
        "ddm-feature-nan": fault("feature is damaged", "A value of the private feature is no number.", private=bytes(nan)),
        "ddm-feature-missing": fault("feature is damaged", "No private feature.", private=b""),
        "ddm-maps-64": fault(shape, "64 public maps.", maps(rows, columns, 64)),
        "ddm-rows": fault(shape, "A row too many.", maps(rows + 1, columns)),
        "ddm-turned": fault(shape, "Rows and columns have changed places.", maps(columns, rows)),
        "ddm-huge": fault("size makes no sense", "The maps say that they have 4096 x 4096 positions.", huge),
        "ddm-head-cut": fault("end early", "Five bytes of maps.", right[:5]),
        "ddm-code-missing": fault(length, "The last code is missing.", maps(rows, columns, cut=1)),
        "ddm-code-more": fault(length, "A code too many.", maps(rows, columns + 1, head=(63, rows, columns))),
        "ddm-no-end": fault(length, "The stream has no end mark.", right[:-1]),
        "ddm-after-end": fault(length, "A byte behind the end mark.", maps(rows, columns, end=b"x")),
        "ddm-not-lzma": fault("maps of a face are damaged", "The stream is no LZMA2.", right[:6] + b"\xff" + right[7:]),
        "ddm-step-zero": fault(scale, "A step is zero.", maps(rows, columns, step=0)),
        "ddm-step-negative": fault(scale, "A step is negative.", maps(rows, columns, step=-1)),
        "ddm-low-infinite": fault(scale, "A lowest value is infinite.", maps(rows, columns, low=float("inf"))),
        "ddm-byte-unknown": fault("unknown kind", "The method byte is X.", kind=b"X"),
        "ddm-residual-length": fault("damaged", "The maps' length is beyond the end.", struct.pack(">I", 1 << 30) + b"x", kind=b"R"),
        "ddm-residual-size": fault("cannot be decoded", "The residual is smaller than the box.", residual + FLAT_WEBP, kind=b"R"),
        "ddm-residual-16-bit": bad("not the one that was sealed", "A residual in a photo of 16 bits.", ddm_scene(
            deep, Box(3, 2, 8, 8), b"R" + struct.pack(">I", len(maps(8, 8))) + maps(8, 8) + FLAT_WEBP, feature(8, 8), bytes(32))),
    }  # fmt: skip


def near(name: str, photo: Photo, box: Box, method: bytes, private: bytes) -> np.ndarray[Any, Any]:
    """The samples that come back: those of the vector that is there, when they are right up to rounding."""
    patch = network_patch(method, private, box.height, box.width)
    if photo.pixels.dtype == np.uint16:
        patch = patch.astype(np.uint16) * 257
    samples = photo.pixels.copy()
    samples[box.window] = luminance(patch)[..., None] if photo.grey else patch
    try:
        text = (HERE / f"picture-{name}.txt").read_text()
        line = next(line for line in text.splitlines() if line.startswith("near: "))
        stream = b64decode(line.removeprefix("near: "))
        there = np.frombuffer(stream[7 : 7 + samples.nbytes], samples.dtype).reshape(samples.shape)
    except (FileNotFoundError, StopIteration, ValueError):
        return samples
    return there if np.abs(there.astype(np.int64) - samples).max() <= within(samples) else samples


def within(samples: np.ndarray[Any, Any]) -> int:
    """By how much a sample may differ."""
    return WITHIN * (257 if samples.dtype == np.uint16 else 1)


def sketch_of(samples: np.ndarray[Any, Any], box: Box) -> bytes:
    """The check of a restored patch."""
    patch = samples[box.window]
    return sketch((patch >> 8).astype(np.uint8) if patch.dtype == np.uint16 else patch).tobytes()

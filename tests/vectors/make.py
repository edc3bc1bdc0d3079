"""Write the test vectors of docs/spec/format.md: `python tests/vectors/make.py`.

Everything comes from the fixed ids and keys below through the deterministic halves of photoguard's functions,
so a second run writes the same bytes. Only age files are different each time they are made: those that still
hold what they should are kept. No key here ever protected anything.
"""

# ruff: noqa: E501  (one fault a line reads best as a table)
from __future__ import annotations

import json
import re
import struct
import textwrap
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
import version2
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from gaps import gap_vectors
from stones import (
    BASE,
    BOXES,
    CARRIERS,
    CHUNK,
    FLAT_CHIP_WEBP,
    FLAT_WEBP,
    HEADER,
    IDENTITY,
    KEYS,
    OTHER_ID,
    PASSPHRASE,
    PHOTO_ID,
    SECRET_HEADER,
    SECRETS,
    STRANGER,
    Grant,
    Photo,
    PrivateFile,
    Scene,
    Vector,
    associated,
    canonical,
    chunk,
    damaged,
    fingerprint,
    gradient,
    pack,
    pad,
    png_of,
    raw,
    scene,
    stored,
)  # fmt: skip

from photoguard import methods
from photoguard.errors import PhotoguardError
from photoguard.formats import chip_data as avp_payload
from photoguard.formats import identities
from photoguard.formats.features import FeatureFile
from photoguard.formats.identities import Recipients
from photoguard.methods.avp import keys as avp_keys
from photoguard.photos.geometry import Box
from photoguard.photos.images import decode

HERE = Path(__file__).parent


# The public envelope


def public_vectors() -> dict[str, Vector]:
    """What a reader decides without any key."""
    good = BASE.public.to_bytes()
    text = canonical(HEADER)

    def bad(says: str, comment: str, body: bytes) -> Vector:
        return damaged("public", says, comment, body)

    def other(says: str, comment: str, **changes: Any) -> Vector:
        kept = {name: value for name, value in {**HEADER, **changes}.items() if value is not None}
        return bad(says, comment, raw(kept, CARRIERS))

    def face(says: str, comment: str, **changes: Any) -> Vector:
        first = {name: v for name, v in {**HEADER["faces"][0], **changes}.items() if v is not None}
        return other(says, comment, faces=[first, HEADER["faces"][1]])

    def spelled(comment: str, old: bytes, new: bytes) -> Vector:
        assert text.count(old) == 1
        return bad("not canonical", comment, raw(text.replace(old, new), CARRIERS))

    box, lengths, shape = "no proper box", "more bytes than there are", "two positive numbers"
    return {
        "ok": Vector("ok", "public", "Two faces and metadata.", good),
        "bad-magic": bad("not photoguard data", "The magic is PGRE.", raw(HEADER, CARRIERS, magic=b"PGRE")),
        "too-short": bad("not photoguard data", "Eight bytes: the header's length is cut.", good[:8]),
        "version-0": bad("version 0", "The version is 0.", raw(HEADER, CARRIERS, version=0)),
        "version-2": bad("faces and blobs", "Version 1, stated as 2.", raw(HEADER, CARRIERS, version=2)),
        "version-3": bad("version 3", "The version is 3.", raw(HEADER, CARRIERS, version=3)),
        "header-beyond-data": bad(
            "longer than the data", "The header's length is one more than there are bytes.", raw(text, [], more=1)),
        "header-length-huge": bad(
            "longer than the data", "The header's length is 2^32 - 1.", good[:5] + b"\xff" * 4 + good[9:]),
        "header-length-short": bad(
            "not canonical", "The header's length leaves out the last brace.", raw(text, CARRIERS, more=-1)),
        "header-empty": bad("not canonical", "A header of no bytes.", raw(b"", CARRIERS)),
        "trailing-byte": bad("1 bytes too many", "One byte after the last blob.", good + b"\0"),
        "truncated-blob": bad(lengths, "The last byte is missing.", good[:-1]),
        "json-space": spelled("A space after a colon.", b'"size":[', b'"size": ['),
        "json-newline": bad("not canonical", "A newline after the header.", raw(text + b"\n", CARRIERS)),
        "json-order": bad(
            "not canonical", "The keys are in another order.",
            raw(json.dumps(dict(reversed(HEADER.items())), separators=(",", ":")).encode(), CARRIERS)),
        "json-duplicate": spelled("The key kind stands there twice.", b'"kind":', b'"kind":"public","kind":'),
        "json-escape": spelled("The k of kind is written as an escape.", b'"kind"', b'"\\u006bind"'),
        "json-not-ascii": spelled("A letter that is not ASCII.", b'"id":"0', '"id":"\u00e9'.encode()),
        "json-array": bad("not canonical", "The header is an array.", raw(b"[" + text + b"]", CARRIERS)),
        "json-exponent": spelled("A number with an exponent.", b'"size":[24,', b'"size":[2.4e1,'),
        "json-minus-zero": spelled("A box starts at -0.", b"[2,2,8,8]", b"[-0,2,8,8]"),
        "json-zeros": spelled("A number with a leading zero.", b'"size":[24,', b'"size":[024,'),
        "kind-private": other("not a public envelope", "The kind is private.", kind="private"),
        "kind-missing": other("not a public envelope", "There is no kind.", kind=None),
        "field-unknown": other("unknown fields", "A field that version 1 does not have.", note="x"),
        "field-missing": other("missing or unknown", "There is no id.", id=None),
        "id-short": other("16 bytes", "The id has 15 bytes.", id=PHOTO_ID[:-1].hex()),
        "id-uppercase": other("16 bytes", "The id has upper case digits.", id=PHOTO_ID.hex().upper()),
        "id-number": other("16 bytes", "The id is a number.", id=7),
        "size-float": other(shape, "The width is 24.0.", size=[24.0, 16]),
        "size-zero": other(shape, "The height is 0.", size=[24, 0]),
        "size-huge": other(shape, "The width is 2^20 + 1.", size=[(1 << 20) + 1, 16]),
        "size-three": other(shape, "The size has three numbers.", size=[24, 16, 3]),
        "size-object": other(shape, "The size is an object.", size={"width": 24}),
        "box-outside": face("outside the photo", "The box ends one column beyond the photo.", box=[17, 2, 8, 8]),
        "box-empty": face(box, "The box has no rows.", box=[2, 2, 8, 0]),
        "box-negative": face(box, "The box starts at column -1.", box=[-1, 2, 8, 8]),
        "box-huge": face(box, "The box starts at column 10^40.", box=[10**40, 2, 8, 8]),
        "box-bool": face(box, "The box starts at column true.", box=[True, 2, 8, 8]),
        "box-text": face(box, 'The box starts at column "2".', box=["2", 2, 8, 8]),
        "box-three": face(box, "The box has three numbers.", box=[2, 2, 8]),
        "box-missing": face(box, "The first face has no box.", box=None),
        "method-missing": face(box, "The first face has no method.", method=None),
        "method-uppercase": face("proper name", "The method is Solid.", method="Solid"),
        "method-empty": face("proper name", "The method has no letters.", method=""),
        "method-long": face("proper name", "The method has 17 letters.", method="a" * 17),
        "method-newline": face("proper name", "The method ends in a newline.", method="solid\n"),
        "method-number": face("proper name", "The method is a number.", method=1),
        "face-field-unknown": face(box, "A face with a name.", name="Ana"),
        "faces-none": bad(
            "faces and blobs", "No face.", raw({**HEADER, "faces": [], "blobs": [len(CARRIERS[0])]}, CARRIERS[:1])),
        "faces-number": other("faces and blobs", "The faces are a number.", faces=2),
        "blobs-missing": other("lists no blobs", "There is no list of blobs.", blobs=None),
        "blobs-text": other("lists no blobs", "The list of blobs is a text.", blobs="32"),
        "blob-negative": other(lengths, "A blob of -1 bytes.", blobs=[-1, *HEADER["blobs"][1:]]),
        "blob-huge": other(lengths, "A blob of 2^31 bytes.", blobs=[1 << 31, *HEADER["blobs"][1:]]),
        "blob-float": other(lengths, "A length is a float.", blobs=[float(HEADER["blobs"][0]), *HEADER["blobs"][1:]]),
        "blob-bool": bad(
            lengths, "A length is true.", raw({**HEADER, "blobs": [True, *HEADER["blobs"][1:]]}, [b"x", *CARRIERS[1:]])),
        "blobs-fewer": bad(
            "faces and blobs", "Two faces, but one carrier.",
            raw({**HEADER, "blobs": HEADER["blobs"][:2]}, CARRIERS[:2])),
        "blobs-more": bad(
            "faces and blobs", "Two faces, but three carriers.",
            raw({**HEADER, "blobs": [*HEADER["blobs"], 0]}, CARRIERS)),
    }  # fmt: skip


# The private envelope


def private_vectors() -> dict[str, Vector]:
    """The plaintext of a private file."""
    good = BASE.private

    def ok(comment: str, file: PrivateFile) -> Vector:
        return Vector("ok", "private", comment, file.to_bytes())

    def bad(says: str, comment: str, blobs: Sequence[bytes] = SECRETS, **changes: Any) -> Vector:
        header = {**SECRET_HEADER, "blobs": [len(blob) for blob in blobs], **changes}
        kept = {name: value for name, value in header.items() if value is not None}
        return damaged("private", says, comment, raw(kept, blobs))

    def cut(at: int, by: int) -> list[bytes]:
        return [blob[: len(blob) - by] if n == at else blob for n, blob in enumerate(SECRETS)]

    numbers, parts = "face numbers are damaged", "parts do not match"
    return {
        "ok": ok("Two faces and metadata.", good),
        "ok-one-face": ok("Face 2 alone, without metadata.", good.granting([2], False)),
        "ok-metadata-only": ok("No face, only the metadata.", good.granting([], True)),
        "ok-portable": ok("The carrier travels here.", replace(good, portable=BASE.public.to_bytes())),
        "ok-feature": ok(
            "Face 1 has a private feature.", replace(good, grants=(replace(good.grants[0], feature=b"feature"),))),
        "face-zero": bad(numbers, "Face 0.", faces=[0, 2]),
        "face-unsorted": bad(numbers, "Face 2 before face 1.", faces=[2, 1]),
        "face-duplicate": bad(numbers, "Face 1 twice.", faces=[1, 1]),
        "face-huge": bad(numbers, "Face 4097.", faces=[1, 4097]),
        "face-bool": bad(numbers, "Face true.", faces=[True, 2]),
        "face-float": bad(numbers, "Face 2.0.", faces=[1, 2.0]),
        "faces-text": bad(numbers, "The faces are a text.", faces="12"),
        "flag-number": bad(numbers, "The flag for metadata is 1.", metadata=1),
        "flag-missing": bad("missing or unknown", "There is no flag for portable.", portable=None),
        "field-unknown": bad("missing or unknown", "A field that version 1 does not have.", note="x"),
        "kind-public": bad("not a private envelope", "The kind is public.", kind="public"),
        "id-short": bad("16 bytes", "The id has 15 bytes.", id=PHOTO_ID[:-1].hex()),
        "part-missing": bad(parts, "Two faces are listed, one secret is there.", [*SECRETS[:2], SECRETS[3]]),
        "part-extra": bad(parts, "A blob more than the header explains.", [*SECRETS, b""]),
        "metadata-unlisted": bad(parts, "A metadata key that the header denies.", metadata=False),
        "picture-hash-short": bad("wrong length", "The picture's hash has 31 bytes.", cut(0, 1)),
        "secret-short": bad("too short", "Face 1's key and check have 63 bytes together.", cut(1, 1)),
        "metadata-key-short": bad("wrong length", "The metadata's key has 31 bytes.", cut(3, 1)),
        "metadata-key-long": bad("wrong length", "The metadata's key has 33 bytes.", [*SECRETS[:3], KEYS[0] + b"x"]),
        "trailing-byte": damaged("private", "1 bytes too many", "A byte after the last blob.", good.to_bytes() + b"x"),
    }  # fmt: skip


# The feature file


def features_vectors() -> dict[str, Vector]:
    """What a client sends to a service."""
    scales = struct.pack("<4e", -1.5, -2.0, 0.015625, 0.03125)  # two maps: lowest values, then steps
    face = scales + bytes(range(12))
    good = FeatureFile("obfuscator", "5e" * 32, (2, 2, 3), (face,))
    header = {"kind": "features", "model": good.model, "sha256": good.sha256, "shape": list(good.shape)}

    def bad(says: str, comment: str, blobs: Sequence[bytes] = (face,), **changes: Any) -> Vector:
        full = {**header, "blobs": [len(blob) for blob in blobs], **changes}
        return damaged(
            "features", says, comment, raw({k: v for k, v in full.items() if v is not None}, blobs)
        )

    def scaled(*values: float) -> list[bytes]:
        return [struct.pack("<4e", *values) + bytes(12)]

    model, shape, scale = "no proper name", "three positive numbers", "scale is no number"
    return {
        "ok": Vector("ok", "features", "One face.", good.to_bytes()),
        "ok-two-faces": Vector("ok", "features", "Two faces.", replace(good, faces=(face, face)).to_bytes()),
        "model-empty": bad(model, "The model's name is empty.", model=""),
        "model-long": bad(model, "The model's name has 33 characters.", model="a" * 33),
        "model-uppercase": bad(model, "The model's name has a capital.", model="Obfuscator"),
        "model-number": bad(model, "The model's name is a number.", model=1),
        "hash-short": bad("32 bytes in hexadecimal", "The hash has 31 bytes.", sha256="5e" * 31),
        "hash-uppercase": bad("32 bytes in hexadecimal", "The hash has capitals.", sha256="5E" * 32),
        "hash-missing": bad("missing or unknown", "There is no hash.", sha256=None),
        "field-unknown": bad("missing or unknown", "A field that version 1 does not have.", name="photo.jpg"),
        "kind-private": bad("not a features envelope", "The kind is private.", kind="private"),
        "shape-two": bad(shape, "The shape has two numbers.", shape=[2, 6]),
        "shape-zero": bad(shape, "No maps.", shape=[0, 2, 3]),
        "shape-bool": bad(shape, "A row is true.", shape=[2, True, 3]),
        "shape-huge": bad(shape, "More values than a reader must hold.", shape=[4096, 4096, 2]),
        "shape-other": bad("not as long", "The shape says more than is there.", shape=[2, 3, 3]),
        "faces-none": bad("no face", "There is no face.", []),
        "face-short": bad("not as long", "A face lacks a byte.", [face[:-1]]),
        "face-second-short": bad("not as long", "The second face lacks a byte.", [face, face[:-1]]),
        "low-infinite": bad(scale, "A map's lowest value is infinite.", scaled(float("inf"), 0, 1, 1)),
        "low-not-a-number": bad(scale, "A map's lowest value is not a number.", scaled(float("nan"), 0, 1, 1)),
        "step-zero": bad(scale, "A map's step is zero.", scaled(0, 0, 0, 1)),
        "step-negative": bad(scale, "A map's step is negative.", scaled(0, 0, 1, -1)),
        "trailing-byte": damaged("features", "1 bytes too many", "A byte after the last blob.", good.to_bytes() + b"x"),
        "truncated": damaged("features", "more bytes than there are", "The last byte is gone.", good.to_bytes()[:-1]),
    }  # fmt: skip


# Carriers


def resealed(number: int, padded: bytes) -> bytes:
    """The public envelope with one carrier encrypted from these padded bytes."""
    lengths = [len(c) for c in CARRIERS]
    lengths[number] = len(padded) + 16
    header = BASE.public.header()
    blobs = [
        ChaCha20Poly1305(key).encrypt(bytes(12), padded if n == number else pad(content), aad)
        for n, (key, content) in enumerate(zip(KEYS, opened(), strict=False))
        for aad in [associated(header, lengths, n)]
    ]
    return raw({**header, "blobs": lengths}, blobs)


def opened() -> list[bytes]:
    """What the base scene's carriers hold."""
    lengths = [len(carrier) for carrier in CARRIERS]
    plain = [
        ChaCha20Poly1305(KEYS[n]).decrypt(
            bytes(12), CARRIERS[n], associated(BASE.public.header(), lengths, n)
        )
        for n in range(3)
    ]
    return [one[4 : 4 + int.from_bytes(one[:4], "big")] for one in plain]


def carrier_vectors() -> dict[str, Vector]:
    """What the tag and the padding protect; `number` and `key` open one carrier."""

    def ok(comment: str, number: int) -> Vector:
        content = {"number": number, "key": KEYS[number].hex(), "content": opened()[number].hex()}
        return Vector("ok", "carrier", comment, BASE.public.to_bytes(), content)

    def bad(
        comment: str, body: bytes, number: int = 1, key: bytes = KEYS[1], says: str = "was altered"
    ) -> Vector:
        return damaged("carrier", says, comment, body, number=number, key=key.hex())

    def header(comment: str, **changes: Any) -> Vector:
        return bad(comment, raw({**HEADER, **changes}, CARRIERS))

    flipped = [CARRIERS[0], CARRIERS[1][:-1] + bytes([CARRIERS[1][-1] ^ 1]), CARRIERS[2]]
    first = [CARRIERS[0], bytes([CARRIERS[1][0] ^ 0x80]) + CARRIERS[1][1:], CARRIERS[2]]
    short = [CARRIERS[0], CARRIERS[1][:-1], CARRIERS[2]]
    faces, frame = HEADER["faces"], pad(opened()[1])
    length = len(opened()[1])
    padding = "padding is damaged"
    return {
        "ok-metadata": ok("Number 0 is the metadata.", 0),
        "ok-face": ok("Number 2 is the second face.", 2),
        "tag": bad("The last bit of face 1's tag is flipped.", raw(HEADER, flipped)),
        "ciphertext": bad("The first bit of face 1's ciphertext is flipped.", raw(HEADER, first)),
        "wrong-key": bad("The key is another one.", BASE.public.to_bytes(), key=KEYS[3]),
        "neighbor-key": bad("The key of face 2 for face 1.", BASE.public.to_bytes(), key=KEYS[2]),
        "swapped": bad(
            "The carriers of face 1 and the metadata changed places; the key is the metadata's.",
            raw({**HEADER, "blobs": [len(CARRIERS[n]) for n in (1, 0, 2)]}, [CARRIERS[n] for n in (1, 0, 2)]),
            key=KEYS[0]),
        "other-photo": header("The photo id is another one.", id=OTHER_ID.hex()),
        "box-moved": header(
            "Face 1's box was moved by a column after sealing.", faces=[{**faces[0], "box": [3, 2, 8, 8]}, faces[1]]),
        "other-method": header(
            "Face 2's method was changed after sealing.", faces=[faces[0], {**faces[1], "method": "blur"}]),
        "other-size": header("The photo's height was changed after sealing.", size=[24, 17]),
        "cut": bad("Face 1's carrier lost its last byte.", raw({**HEADER, "blobs": list(map(len, short))}, short)),
        "empty": bad(
            "Face 1's carrier is empty.",
            raw({**HEADER, "blobs": [len(CARRIERS[0]), 0, len(CARRIERS[2])]}, [CARRIERS[0], CARRIERS[2]])),
        "number-beyond": bad("There is no face 3.", BASE.public.to_bytes(), number=3, says="no face 3"),
        "padding-not-zero": bad(
            "The last byte of the padding is 1.", resealed(1, frame[:-1] + b"\1"), says=padding),
        "padding-long": bad("A step of padding too much.", resealed(1, frame + bytes(32)), says=padding),
        "padding-missing": bad("No padding at all.", resealed(1, frame[: 4 + length]), says=padding),
        "frame-long": bad(
            "The framed length is beyond the end.", resealed(1, struct.pack(">I", 1 << 20) + frame[4:]), says=padding),
        "frame-cut": bad("Three bytes: the framed length is cut.", resealed(1, frame[:3]), says="too short"),
    }  # fmt: skip


# Pictures


def picture_vectors() -> dict[str, Vector]:
    """The whole way from a public picture and private envelopes to the restored photo."""
    base = BASE.png()

    def ok(comment: str, made: Scene, private: Sequence[PrivateFile] = (), **fields: Any) -> Vector:
        given = list(private) or [made.private]
        expected = {"opened": "1,2", "closed": "", "name": "photo.jpg", "exact": "yes",
                    "restored": fingerprint(made.original).hex(), **fields}  # fmt: skip
        body = made.png(chunks=[] if given[0].portable else None)
        return Vector("ok", "picture", comment, body, {"private": encoded(given), **expected})

    def bad(says: str, comment: str, body: bytes, private: Sequence[PrivateFile] = (BASE.private,)) -> Vector:
        return damaged("picture", says, comment, body, private=encoded(private))

    def inside(says: str, comment: str, **changes: Any) -> Vector:
        made = scene(**changes)
        return bad(says, comment, made.png(), [made.private])

    def face(blobs: Sequence[bytes], **header: Any) -> dict[int, bytes]:
        return {1: pack({"kind": "face", **header}, blobs)}

    def facts(text: bytes = b"{}", blobs: Sequence[bytes] = (b"", b""), **header: Any) -> bytes:
        return pack({"exact": "", "format": "", "kind": "metadata", "name": "", **header}, [*blobs, text])

    ours = (CHUNK, BASE.public.to_bytes())
    alpha = Photo(gradient(), alpha=gradient()[..., 0])
    overlap = [Box(2, 2, 12, 12), Box(8, 6, 10, 6)]
    one = scene(boxes=overlap, exact=False)
    shown = one.picture.pixels.copy()
    shown[6:12, 8:18] = one.original.pixels[6:12, 8:18]
    wide, deep = gradient()[2:10, 2:11], gradient(np.uint16)[2:10, 2:10]
    patch = b"P" + png_of(BASE.original.pixels[BOXES[0].window])
    wrong_key = replace(BASE.private, grants=(replace(BASE.private.grants[0], key=KEYS[3]),))
    beyond = replace(BASE.private, grants=(Grant(3, KEYS[3], bytes(32), b""),))
    altered = BASE.picture.pixels.copy()
    altered[0, 0, 0] ^= 1
    cut, hidden = stored(bytes(2 * 8 * 8 - 2)), stored(bytes(2 * 8 * 8))
    wider = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0)) for w, h in ((9, 8), (1 << 20, 1 << 20))
    ]
    fits, unknown = "does not fit", "missing or unknown fields"
    return {
        "ok": ok("Two faces and metadata.", BASE),
        "ok-webp": ok("Face 1 is a lossless WebP.", scene(webp=True)),
        "ok-grey": ok("A grey photo.", scene(Photo(gradient(grey=True), grey=True))),
        "ok-16-bit": ok("16 bits a channel.", scene(Photo(gradient(np.uint16)))),
        "ok-alpha": ok("A photo with alpha; the boxes are opaque in public.", scene(alpha)),
        "ok-overlap": ok("The boxes overlap; the smaller one owns what they share.", scene(boxes=overlap)),
        "ok-overlap-one": ok(
            "Only face 2 of two that overlap; face 1 stays covered.", one, [one.private.granting([2], False)],
            opened="2", closed="1", name="", exact="no", restored=fingerprint(Photo(shown)).hex()),
        "ok-two-files": ok(
            "Two private files add up.", BASE,
            [BASE.private.granting([1], False), BASE.private.granting([2], True)]),
        "ok-portable": ok("The carrier travels in the private file.", BASE,
                          [replace(BASE.private, portable=BASE.public.to_bytes())]),
        "two-chunks": bad("more than one", "Two pgRd chunks.", BASE.png(chunks=[ours, ours])),
        "chunk-crc": bad("chunk is damaged", "The pgRd chunk's CRC is wrong.", base.replace(
            chunk(*ours), chunk(*ours)[:-1] + bytes([chunk(*ours)[-1] ^ 1]))),
        "after-end": bad("after the end", "A byte after IEND.", base + b"\0"),
        "cut-short": bad("cut short", "The last byte is missing.", base[:-1]),
        "no-end": bad("cut short", "There is no IEND.", base[:-12]),
        "chunk-missing": bad("lost its photoguard data", "No pgRd chunk, and nothing portable.", BASE.png(chunks=[])),
        "chunk-empty": bad("not photoguard data", "A pgRd chunk of no bytes.", BASE.png(b""),
                           [replace(BASE.private, portable=BASE.public.to_bytes())]),
        "chunk-truncated": bad("more bytes", "The envelope lost its last byte.", BASE.png(ours[1][:-1])),
        "pixel-changed": bad("was changed", "The first pixel was changed.", png_of(altered, [ours])),
        "cropped": bad("has 23 x 16 pixels", "A column was cut off.", png_of(BASE.picture.pixels[:, 1:], [ours])),
        "other-photo": bad("another photo", "The private file is of another photo.", base,
                           [replace(BASE.private, photo_id=OTHER_ID)]),
        "face-beyond": bad("no face 3", "The private file grants face 3 of two.", base, [beyond]),
        "face-key": bad("face 1 was altered", "The private file's key of face 1 is wrong.", base, [wrong_key]),
        "metadata-key": bad("the metadata was altered", "The private file's key of the metadata is wrong.", base,
                            [replace(BASE.private, metadata_key=KEYS[3])]),
        "method-unknown": inside("no method", "A method that nobody knows.", method="unheardof"),
        "check-wrong": inside("not the one that was sealed", "Face 1's check is wrong.", checks={1: bytes(32)}),
        "codec-unknown": inside("cannot be decoded", "Face 1's method byte is X.",
                                contents=face([b"X" + patch[1:], b""])),
        "patch-empty": inside("cannot be decoded", "Face 1 holds no method byte.", contents=face([b"", b""])),
        "patch-cut": inside("cannot be decoded", "Face 1's PNG is cut short.", contents=face([patch[:60], b""])),
        "patch-size": inside("cannot be decoded", "Face 1's patch is a column wider than its box.",
                             contents=face([b"P" + png_of(wide), b""])),
        "patch-huge": inside("cannot be decoded", "Face 1's PNG says that it has 2^40 pixels.", contents=face(
            [b"P" + png_of(wide).replace(*wider), b""])),
        "patch-depth": inside(fits, "Face 1's patch has 16 bits a channel, the picture 8.",
                              contents=face([b"P" + png_of(deep), b""]), checks={1: methods.digest(deep)}),
        "face-kind": inside("not a face envelope", "Face 1 holds an envelope of kind metadata.",
                            contents=face([patch, b""], kind="metadata")),
        "face-field": inside(unknown, "Face 1's header has a field too many.", contents=face([patch, b""], x=1)),
        "face-blobs": inside(unknown, "Face 1 has a blob too many.", contents=face([patch, b"", b""])),
        "alpha-short": inside("wrong size", "Face 1's alpha is a pixel short.", contents=face([patch, cut])),
        "alpha-long": inside("wrong size", "Face 1's alpha has bytes behind it.",
                             contents=face([patch, hidden + b"x"])),
        "alpha-garbage": inside("alpha cannot be read", "Face 1's alpha is no zlib stream.",
                                contents=face([patch, b"alpha"])),
        "metadata-field": inside(unknown, "The metadata has a field too many.", metadata=facts(x="")),
        "metadata-blobs": inside(unknown, "The metadata lacks a blob.", metadata=facts(blobs=[b""])),
        "metadata-type": inside("wrong type", "The name is a number.", metadata=facts(name=7)),
        "metadata-text": inside("cannot be read", "The texts are no JSON.", metadata=facts(text=b"{")),
        "metadata-array": inside("texts cannot be read", "The texts are an array.", metadata=facts(text=b"[]")),
        "metadata-surrogate": inside("cannot be read", "A text holds half a surrogate pair.",
                                     metadata=facts(text=b'{"a":"\\ud800"}')),
        "exact-not-hex": inside("cannot be read", "The photo's fingerprint is no hexadecimal.",
                                metadata=facts(exact="xy")),
        "exact-wrong": inside("photo is not the one", "The photo's fingerprint is of another photo.",
                              metadata=facts(exact=bytes(32).hex())),
    }  # fmt: skip


def encoded(private: Sequence[PrivateFile]) -> list[str]:
    """Private envelopes as header lines."""
    return [b64encode(file.to_bytes()).decode() for file in private]


# Private files as age files


def age_vectors() -> dict[str, Vector]:
    """Private files; `identity` or `passphrase` is what the reader has."""
    plain = BASE.private.to_bytes()
    identity = identities._x25519(IDENTITY)
    to_us = Recipients((str(identity.to_public()),))
    good = kept("ok", plain, {"identity": IDENTITY}, to_us)
    other = kept("not-an-envelope", b"no envelope", {"identity": IDENTITY}, to_us)
    locked = kept("ok-passphrase", plain, {"passphrase": PASSPHRASE}, Recipients(passphrase=PASSPHRASE))
    end = good.index(b"\n---")
    body = textwrap.fill(b64encode(good).decode(), 64).encode()
    armored = b"-----BEGIN AGE ENCRYPTED FILE-----\n" + body + b"\n-----END AGE ENCRYPTED FILE-----\n"
    us = {"identity": IDENTITY}

    def letter(data: bytes, at: int) -> bytes:
        return data[:at] + (b"B" if data[at : at + 1] == b"A" else b"A") + data[at + 1 :]

    def bit(data: bytes, at: int) -> bytes:
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    def bad(says: str, comment: str, data: bytes) -> Vector:
        return damaged("age", says, comment, data, **us)

    def worked(factor: bytes) -> bytes:
        return re.sub(rb"(\n-> scrypt \S+ )\d+", rb"\g<1>" + factor, locked)

    return {
        "ok": Vector("ok", "age", "Sealed to an X25519 recipient.", good, us),
        "ok-armored": Vector("ok", "age", "The same in ASCII armor.", armored, us),
        "ok-passphrase": Vector("ok", "age", "Sealed to a passphrase.", locked, {"passphrase": PASSPHRASE}),
        "wrong-identity": Vector(
            "wrong-key", "age", "The identity is not a recipient.", good,
            {"identity": STRANGER, "says": "not among the recipients"}),
        "wrong-passphrase": Vector(
            "wrong-key", "age", "The passphrase is another one.", locked,
            {"passphrase": "five", "says": "does not open"}),
        "no-identity": Vector(
            "wrong-key", "age", "The reader has no identity.", good, {"says": "no identity to open it"}),
        "altered-stanza": Vector(
            "wrong-key", "age", "A letter of the recipient's share is another: age cannot tell that from a stranger.",
            letter(good, good.index(b"\n", 40) + 8), {**us, "says": "not among the recipients"}),
        "altered-mac": bad("is damaged", "A letter of the header's MAC is another.", letter(good, end + 10)),
        "altered-payload": bad("is damaged", "A bit of the payload is flipped.", bit(good, len(good) - 40)),
        "altered-passphrase-payload": damaged(
            "age", "is damaged", "A bit of the payload is flipped.", bit(locked, len(locked) - 40),
            passphrase=PASSPHRASE),
        "cut-payload": bad("is damaged", "The last byte is missing.", good[:-1]),
        "cut-before-payload": bad("is damaged", "Nothing follows the header.", good[: good.index(b"\n", end + 1) + 1]),
        "cut-header": bad("cut short", "The header is cut within a stanza.", good[:60]),
        "trailing-byte": bad("is damaged", "A byte after the end.", good + b"\0"),
        "version-2": bad("not an age file", "age-encryption.org/v2.", good.replace(b"/v1", b"/v2", 1)),
        "work-21": damaged("age", "work factor", "scrypt's work factor is 21.", worked(b"21"), passphrase=PASSPHRASE),
        "work-text": damaged("age", "work factor", "scrypt's work factor is 1x.", worked(b"1x"), passphrase=PASSPHRASE),
        "work-zero": damaged("age", "work factor", "scrypt's work factor is 018.", worked(b"018"), passphrase=PASSPHRASE),
        "no-recipient": bad("names no recipient", "A header without a stanza.", good[:21] + good[end:]),
        "empty": bad("not an age file", "No bytes.", b""),
        "not-an-envelope": bad("not photoguard data", "The plaintext is something else.", other),
    }  # fmt: skip


def kept(name: str, plain: bytes, secret: dict[str, str], recipients: Recipients) -> bytes:
    """The age file of the vector that is there, when it still holds this plaintext; otherwise a new one."""
    path = HERE / f"age-{name}.txt"
    try:
        data = b64decode(path.read_text().partition("\n\n")[2])
        mine = identities.parse_identities(secret["identity"].encode(), str) if "identity" in secret else []
        if identities.unseal(data, mine, lambda _: secret["passphrase"]) == plain:
            return data
    except (FileNotFoundError, ValueError, PhotoguardError):
        pass
    return identities.seal(plain, recipients)


# Chips of AVP

SIDE = 24


def chip_vectors() -> dict[str, Vector]:
    """Chips as PNG; `identity` opens sealed ones, `secret` is a learned key model's."""
    return first_chip_vectors() | {f"v2-{name}": vector for name, vector in tagged_chip_vectors().items()}


def tagged_chip_vectors() -> dict[str, Vector]:
    """Chips of version 2, whose tag vouches for the picture."""
    key, secret, nonce, us = KEYS[0], KEYS[1], bytes(range(16)), {"identity": IDENTITY}
    owner, size = {"secret": secret.hex()}, (SIDE, SIDE)
    locked = locked_chip_key(key)
    sealed_cargo = avp_payload._seal(FLAT_CHIP_WEBP, locked, key, *size)
    marked = avp_payload.mark(secret, nonce, *size)
    good, learned = tagged(sealed_cargo), tagged(marked)
    flat = np.full((*size, 3), (200, 60, 30), np.uint8)
    last = (SIDE - 1, SIDE - 1, 2)

    def bad(says: str, comment: str, pixels: np.ndarray[Any, Any], fields: dict[str, str] = us) -> Vector:
        return damaged("chip", says, comment, png_of(pixels), **fields)

    def altered(pixels: np.ndarray[Any, Any], bit: int, place: tuple[int, ...]) -> np.ndarray[Any, Any]:
        changed = pixels.copy()
        changed[place] ^= bit
        return changed

    def in_tag(cargo: avp_payload.Cargo, bit: int) -> np.ndarray[Any, Any]:
        place = np.unravel_index(cargo.slots.start, (*size, 3))
        return altered(tagged(cargo), bit, tuple(map(int, place)))

    payload = avp_payload.carried(good)
    body = nonce + avp_payload._nonce_tag(secret, nonce, 1)
    room = avp_payload.capacity(*size, version=1)
    full = avp_payload.carry(avp_payload.LEARNED, bytes(room), *size, version=1)
    retagged = replace(marked, low=avp_payload.carry(avp_payload.LEARNED, body, *size))
    older = avp_payload.carry(avp_payload.SEALED, payload.body, *size, version=1)
    return {
        "ok-sealed": Vector(
            "ok", "chip", "A face of one color.", png_of(good), {**us, "restored": methods.digest(flat).hex()}),
        "ok-learned": Vector(
            "ok", "chip", "Unshuffled: what the generator is given.", png_of(learned),
            owner | {"nonce": nonce.hex(), "restored": unshuffled(learned, secret, nonce)}),
        "wrong-identity": Vector(
            "wrong-key", "chip", "The identity is not a recipient.", png_of(good),
            {"identity": STRANGER, "says": "not among the recipients"}),
        "wrong-secret": Vector(
            "wrong-key", "chip", "Another key model.", png_of(learned),
            {"secret": KEYS[2].hex(), "says": "another key model"}),
        "high-bit": bad("picture was altered", "The highest bit of one sample.", altered(good, 128, (12, 3, 1))),
        "learned-high-bit": bad(
            "picture was altered", "The highest bit of one sample.", altered(learned, 128, (12, 3, 1)), owner),
        "learned-free-bit": bad(
            "picture was altered", "A low bit behind the tag.", altered(learned, 1, last), owner),
        "tag": bad("picture was altered", "One bit of the tag.", in_tag(sealed_cargo, 1)),
        "learned-tag": bad("picture was altered", "One bit of the tag.", in_tag(marked, 2), owner),
        "above-tag": bad("picture was altered", "A high bit of a sample of the tag.", in_tag(sealed_cargo, 4)),
        "no-tag": bad("picture was altered", "The tag is zero.", chip_pixels(sealed_cargo.low)),
        "tag-cut": bad("hidden data is gone", "No room is left for the tag.", chip_pixels(
            relabeled(full, avp_payload.LEARNED, bytes(room))), owner),
        "older": bad("face was altered", "Sealed as version 2, said to be of version 1.", chip_pixels(older)),
        "learned-older": Vector(
            "wrong-key", "chip", "The nonce's tag is that of version 1.", png_of(tagged(retagged)),
            owner | {"says": "another key model"}),
        "flipped": bad("hidden data is gone", "A low bit of the body.", altered(good, 1, (8, 3, 1))),
        "cropped": bad("hidden data is gone", "The last row is gone.", good[:-1]),
    }  # fmt: skip


def tagged(cargo: avp_payload.Cargo) -> np.ndarray[Any, Any]:
    """The gradient as a chip of version 2."""
    return cargo.tagged(chip_pixels(cargo.low))


def relabeled(low: np.ndarray[Any, Any], kind: bytes, body: bytes) -> np.ndarray[Any, Any]:
    """Low bits of version 1 that say that they are of version 2, with a check that holds."""
    data = avp_payload.MAGIC + struct.pack(">BcI", 2, kind, len(body)) + body
    data += sha256(avp_payload._label(SIDE, SIDE) + data).digest()[: avp_payload.CHECK]
    bits, changed = avp_payload._bits(data), low.copy().reshape(-1)
    changed[: bits.size] = bits
    return changed.reshape(low.shape)


def unshuffled(pixels: np.ndarray[Any, Any], secret: bytes, nonce: bytes) -> str:
    """The digest of a learned chip as its generator is given it."""
    how = avp_keys.shuffle(secret, nonce, SIDE, SIDE)
    back = avp_keys.unshuffled(torch.from_numpy(pixels).permute(2, 0, 1).float(), how)
    return methods.digest(back.permute(1, 2, 0).numpy().astype(np.uint8)).hex()


def first_chip_vectors() -> dict[str, Vector]:
    """Chips of version 1."""
    key, us = KEYS[0], {"identity": IDENTITY}
    locked = locked_chip_key(key)
    flat = np.full((SIDE, SIDE, 3), (200, 60, 30), np.uint8)
    expected = {**us, "restored": methods.digest(flat).hex()}
    head = struct.pack(">H", len(locked)) + locked
    room = avp_payload.capacity(SIDE, SIDE, version=1) - len(head) - avp_payload.TAG
    framed = struct.pack(">I", len(FLAT_CHIP_WEBP)) + FLAT_CHIP_WEBP

    def sealed_chip(plain: bytes, first: bytes = head, label: bytes | None = None) -> np.ndarray[Any, Any]:
        label = avp_payload._label(SIDE, SIDE, version=1) if label is None else label
        body = first + ChaCha20Poly1305(key).encrypt(bytes(12), plain, label + first)
        return avp_payload.carry(avp_payload.SEALED, body, SIDE, SIDE, version=1)

    def bad(says: str, comment: str, low: np.ndarray[Any, Any], **fields: Any) -> Vector:
        return damaged("chip", says, comment, chip_png(low), **(fields or us))

    secret, nonce = KEYS[1], bytes(range(16))
    body = nonce + avp_payload._nonce_tag(secret, nonce, 1)
    marked = avp_payload.carry(avp_payload.LEARNED, body, SIDE, SIDE, version=1)
    restored = unshuffled(chip_pixels(marked), secret, nonce)
    owner = {"secret": secret.hex(), "nonce": nonce.hex(), "restored": restored}
    good = sealed_chip(framed.ljust(room, b"\0"))
    flipped, version = good.copy(), good.copy().reshape(-1)
    flipped[12, 3, 1] ^= 1
    version[16:20] = (0, 0, 0, 3)  # the fifth byte, two bits a sample
    kind = chip_png(avp_payload.carry(b"X", b"body", SIDE, SIDE, version=1))
    locked31 = locked_chip_key(key[:31], "short-key")
    short = struct.pack(">H", len(locked31)) + locked31
    short_room = avp_payload.capacity(SIDE, SIDE, version=1) - len(short) - avp_payload.TAG
    return {
        "ok-sealed": Vector("ok", "chip", "A face of one color.", chip_png(good), expected),
        "ok-learned": Vector("ok", "chip", "Unshuffled: what the generator is given.", chip_png(marked), owner),
        "wrong-identity": Vector(
            "wrong-key", "chip", "The identity is not a recipient.", chip_png(good),
            {"identity": STRANGER, "says": "not among the recipients"}),
        "wrong-secret": Vector(
            "wrong-key", "chip", "Another key model.", chip_png(marked),
            {"secret": KEYS[2].hex(), "says": "another key model"}),
        "no-payload": bad("hidden data is gone", "All low bits are zero.", np.zeros_like(good)),
        "flipped": bad("hidden data is gone", "One low bit is another.", flipped),
        "version-3": bad("version 3", "A later version.", version.reshape(good.shape)),
        "kind": damaged("chip", "kind of key model", "A kind that is unknown.", kind, **us),
        "cropped": damaged(
            "chip", "hidden data is gone", "The last row is gone.", png_of(chip_pixels(good)[:-1]), **us),
        "other-label": bad("was altered", "Sealed for a chip of another size.", sealed_chip(
            framed.ljust(room, b"\0"), label=avp_payload._label(SIDE, SIDE + 1, version=1))),
        "padding": bad("is damaged", "Padding that is not zero.", sealed_chip(framed.ljust(room, b"\1"))),
        "length": bad("is damaged", "The picture is longer than the chip.", sealed_chip(
            (struct.pack(">I", room) + FLAT_CHIP_WEBP).ljust(room, b"\0"))),
        "not-a-picture": bad("cannot be decoded", "No WebP.", sealed_chip(
            (struct.pack(">I", 4) + b"WEBP").ljust(room, b"\0"))),
        "other-size": bad("cannot be decoded", "A WebP of 8 x 8.", sealed_chip(
            (struct.pack(">I", len(FLAT_WEBP)) + FLAT_WEBP).ljust(room, b"\0"))),
        "short-key": bad("wrong length", "The locked key has 31 bytes.", sealed_chip(
            framed.ljust(short_room, b"\0"), short)),
        "no-key": bad("cut short", "The key's length is beyond the body.", avp_payload.carry(
            avp_payload.SEALED, b"\xff\xff" + bytes(40), SIDE, SIDE, version=1)),
        "empty-body": bad("cut short", "A sealed chip without a body.", avp_payload.carry(
            avp_payload.SEALED, b"", SIDE, SIDE, version=1)),
        "nonce-long": damaged("chip", "nonce is damaged", "17 bytes of nonce.", chip_png(avp_payload.carry(
            avp_payload.LEARNED, bytes(33), SIDE, SIDE, version=1)), secret=secret.hex()),
    }  # fmt: skip


def chip_pixels(low: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A gradient whose low bits are `low`."""
    y, x = np.mgrid[:SIDE, :SIDE]
    pixels = np.stack([x * 10, y * 10, (x * 7 + y * 5) % 256], axis=-1).astype(np.uint8)
    return np.where(low == avp_payload.FREE, pixels, (pixels & 252) | (low & 3))


def chip_png(low: np.ndarray[Any, Any]) -> bytes:
    """The gradient with these low bits as a PNG."""
    return png_of(chip_pixels(low))


def locked_chip_key(key: bytes, name: str = "ok-sealed") -> bytes:
    """The age file in the vector that is there, when it still holds this key; otherwise a new one."""
    path = HERE / f"chip-{name}.txt"
    try:
        pixels = decode(b64decode(path.read_text().partition("\n\n")[2]), path.name).pixels
        locked = avp_payload.locked_key(avp_payload.carried(pixels))
        if identities.unseal(locked, identities.parse_identities(IDENTITY.encode(), str)) == key:
            return locked
    except (FileNotFoundError, ValueError, PhotoguardError):
        pass
    recipients = Recipients((str(identities._x25519(IDENTITY).to_public()),))
    while len(locked := identities.seal(key, recipients)) > 280:  # age greases its headers now and then
        pass
    return locked


GROUPS: dict[str, Callable[[], dict[str, Vector]]] = {
    "public": public_vectors,
    "private": private_vectors,
    "carrier": carrier_vectors,
    "picture": lambda: picture_vectors() | gap_vectors(),
    "age": age_vectors,
    "features": features_vectors,
    "chip": chip_vectors,
}


def vectors() -> dict[str, str]:
    """Every vector's file name and text."""
    groups = [(group, "", make) for group, make in GROUPS.items()]
    groups += [(group, "v2-", make) for group, make in version2.GROUPS.items()]
    return {
        f"{group}-{prefix}{name}.txt": vector.text()
        for group, prefix, make in groups
        for name, vector in make().items()
    }


if __name__ == "__main__":
    made = vectors()
    for path in HERE.glob("*.txt"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (HERE / name).write_text(text)
    print(f"{len(made)} vectors")

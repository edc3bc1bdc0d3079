"""Vectors of version 2: seals, looks, everything, alpha, color profiles."""

# ruff: noqa: E501  (one fault a line reads best as a table)
from __future__ import annotations

import json
import struct
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from gaps import feature, maps, near, positions, sketch_of, within
from stones import (
    BASE,
    BOXES,
    CHUNK,
    KEYS,
    OTHER_ID,
    PHOTO_ID,
    Photo,
    Vector,
    damaged,
    fingerprint,
    gradient,
    owned,
    pack,
    png_of,
    raw,
    sealed,
    stored,
)  # fmt: skip

from photoguard import methods
from photoguard.photos.geometry import Box

SEED, OTHER_SEED = bytes([0x51]) * 32, bytes([0x52]) * 32  # of signing keys
EVERYTHING = bytes([0xB0]) * 32  # the key
PROFILE, OTHER_PROFILE = b"a profile's bytes", b"another profile"
PART = {"kind": "APP1 Exif", "lost": True, "where": 4}


def commitment(number: int, blob: bytes) -> bytes:
    """What the seal says of a key or a face's blob."""
    return sha256(b"photoguard commitment" + struct.pack(">I", number) + blob).digest()


@dataclass(frozen=True)
class Made:
    """A photo, its public picture, and all that a private file can hold."""

    original: Photo
    picture: Photo
    header: dict[str, Any]
    carriers: tuple[bytes, ...]
    secrets: tuple[bytes, ...]  # the blobs of numbers 0 to N + 1
    seed: bytes = SEED

    @property
    def public(self) -> bytes:
        """The public envelope."""
        return pack(self.header, self.carriers, version=2)

    @property
    def fingerprint(self) -> bytes:
        """Of the public picture."""
        return fingerprint2(self.picture)

    def seal(
        self, photo: str | None = None, picture: bytes | None = None, label: bytes = b"photoguard seal\2",
        public: bytes | None = None, secrets: Sequence[bytes] | None = None,
    ) -> bytes:  # fmt: skip
        """The seal; what is given stands in for what should be signed."""
        key = Ed25519PrivateKey.from_private_bytes(self.seed)
        digest = sha256(public or self.public).digest()
        blobs = self.secrets if secrets is None else secrets
        commitments = b"".join(commitment(n, blob) for n, blob in enumerate(blobs))
        signed = label + bytes.fromhex(photo or self.header["id"]) + (picture or self.fingerprint)
        signature = key.sign(signed + digest + commitments)
        return key.public_key().public_bytes_raw() + signature + digest + commitments

    def private(
        self, faces: Sequence[int] | None = None, metadata: bool = True, everything: bool = True, *,
        portable: bytes = b"", seal: bytes | None = None, picture: bytes | None = None,
        secrets: dict[int, bytes] | None = None, version: int = 2, flags: dict[str, Any] | None = None, **header: Any,
    ) -> bytes:  # fmt: skip
        """A private envelope."""
        last = len(self.secrets) - 1
        numbers = list(range(1, last)) if faces is None else list(faces)
        given = dict(enumerate(self.secrets)) | (secrets or {})
        blobs = [picture or self.fingerprint, self.seal() if seal is None else seal]
        blobs += [given[number] for number in numbers]
        blobs += [given[0]] * metadata + [given[last]] * everything + [portable] * bool(portable)
        full = {"id": self.header["id"], "faces": numbers, "metadata": metadata, "everything": everything,
                "portable": bool(portable), "kind": "private", **header, **(flags or {})}  # fmt: skip
        return pack({name: value for name, value in full.items() if value is not None}, blobs, version)

    def png(self, body: bytes | None = None, icc: bytes | None = None, bare: bool = False) -> bytes:
        """The public picture."""
        profile = self.picture.icc if icc is None else icc
        chunks = [(b"iCCP", b"ICC profile\0\0" + stored(profile))] if profile else []
        chunks += [] if bare else [(CHUNK, self.public if body is None else body)]
        pixels = self.picture.pixels[..., :1] if self.picture.grey else self.picture.pixels
        if self.picture.alpha is not None:
            pixels = np.dstack([pixels, self.picture.alpha])
        return png_of(pixels, chunks)


def fingerprint2(photo: Photo) -> bytes:
    """Section 7."""
    return fingerprint(photo, f" icc={sha256(photo.icc).hexdigest() if photo.icc else 'none'}")


def face_content(patch: np.ndarray[Any, Any], alpha: np.ndarray[Any, Any] | None = None) -> bytes:
    """A face's content."""
    hidden = b"" if alpha is None else stored(alpha.astype(">u2").tobytes())
    return pack({"kind": "face"}, [b"P" + png_of(patch), hidden], version=2)


def facts(
    photo: Photo | None = None,
    texts: Any = (),
    blobs: Sequence[bytes] = (b"",),
    version: int = 2,
    **header: Any,
) -> bytes:
    """The metadata's content; with the photo it promises `exact`."""
    exact = "" if photo is None else fingerprint2(photo).hex()
    full = {
        "exact": exact,
        "format": "JPEG",
        "kind": "metadata",
        "mode": 0o640,
        "name": "photo.jpg",
        **header,
    }
    text = texts if isinstance(texts, bytes) else json.dumps(list(texts)).encode()
    return pack({name: value for name, value in full.items() if value is not None}, [*blobs, text], version)


def all_of_it(
    blobs: Sequence[bytes] = (b"Comment\0hi", b"Exif\0\0MM\0*"), version: int = 2, **header: Any
) -> bytes:
    """The content of the carrier of everything."""
    full = {"chunks": ["tEXt"], "format": "JPEG", "kind": "everything", "parts": [PART], **header}
    return pack({name: value for name, value in full.items() if value is not None}, blobs, version)


def made(
    photo: Photo | None = None, boxes: Sequence[Box] = BOXES, *, method: str = "solid", look: str = "plain", exact: bool = True,
    contents: dict[int, bytes] | None = None, secrets: dict[int, bytes] | None = None, version: int = 2, **header: Any,
) -> Made:  # fmt: skip
    """A photo with every box covered; `contents` stand in for carriers' contents, `secrets` for faces' blobs."""
    photo = photo or Photo(gradient())
    pixels, alpha = photo.pixels.copy(), None if photo.alpha is None else photo.alpha.copy()
    inside, blobs = [facts(photo if exact else None, [["Comment", "hi"]])], [KEYS[0]]
    for number, box in enumerate(boxes, start=1):
        mine, patch = owned(boxes, number - 1), photo.pixels[box.window].copy()
        patch[~mine] = 0
        hidden = (
            None
            if photo.alpha is None
            else np.where(mine, photo.alpha[box.window], np.iinfo(photo.alpha.dtype).max)
        )
        inside.append(face_content(patch, hidden))
        blobs.append(KEYS[number] + methods.digest(patch) + b"\0")
        pixels[box.window][mine] = np.iinfo(pixels.dtype).max // 2
        if alpha is not None:
            alpha[box.window] = np.iinfo(alpha.dtype).max
    inside, blobs = [*inside, all_of_it()], [*blobs, EVERYTHING]
    for number, content in (contents or {}).items():
        inside[number] = content
    for number, blob in (secrets or {}).items():
        blobs[number] = blob
    faces = [{"box": [b.x, b.y, b.width, b.height], "look": look, "method": method} for b in boxes]
    full = {
        "faces": faces,
        "id": PHOTO_ID.hex(),
        "kind": "public",
        "size": [photo.width, photo.height],
        **header,
    }
    carriers = sealed(full, [blob[:32] for blob in blobs], inside, version)
    return Made(photo, replace(photo, pixels=pixels, alpha=alpha), full, carriers, tuple(blobs))


GOOD = made()


def public_vectors() -> dict[str, Vector]:
    """Public envelopes."""
    full = {**GOOD.header, "blobs": [len(carrier) for carrier in GOOD.carriers]}

    def bad(
        says: str, comment: str, carriers: Sequence[bytes] = GOOD.carriers, version: int = 2, **changes: Any
    ) -> Vector:
        header = {**full, "blobs": [len(carrier) for carrier in carriers], **changes}
        return damaged("public", says, comment, raw(header, carriers, version=version))

    def face(says: str, comment: str, **changes: Any) -> Vector:
        first = {name: v for name, v in {**full["faces"][0], **changes}.items() if v is not None}
        return bad(says, comment, faces=[first, full["faces"][1]])

    def large(count: int) -> dict[str, Any]:
        one = {"box": [0, 0, 4000, 4000], "look": "plain", "method": "solid"}
        return {"size": [4000, 4000], "faces": [one] * count}

    old = BASE.public.header()
    return {
        "ok": Vector("ok", "public", "Two faces, metadata and everything.", GOOD.public),
        "ok-look-unknown": Vector("ok", "public", "A look that nobody knows.", made(look="zigzag").public),
        "ok-area": Vector("ok", "public", "Boxes of 32,000,000 pixels together.", pack(
            {**GOOD.header, **large(2)}, GOOD.carriers, version=2)),
        "area": bad("more pixels than", "Three boxes of 16,000,000 pixels.", [*GOOD.carriers, b""], **large(3)),
        "version-3": bad("version 3", "The version is 3.", version=3),
        "version-1": bad("faces and blobs", "Version 1 has no looks.", version=1),
        "as-version-1": damaged("public", "faces and blobs", "The members of version 1.", pack(old, BASE.public.carriers, version=2)),
        "look-missing": face("no proper box", "The first face has no look.", look=None),
        "look-empty": face("proper name", "The look has no letters.", look=""),
        "look-long": face("proper name", "The look has 17 letters.", look="a" * 17),
        "look-uppercase": face("proper name", "The look is Plain.", look="Plain"),
        "look-number": face("proper name", "The look is a number.", look=1),
        "face-field-unknown": face("no proper box", "A face with a name.", name="Ana"),
        "field-unknown": bad("unknown fields", "A member that version 2 does not have.", note="x"),
        "blobs-fewer": bad("faces and blobs", "No carrier of everything.", GOOD.carriers[:-1]),
        "blobs-more": bad("faces and blobs", "A carrier too many.", [*GOOD.carriers, b""]),
    }  # fmt: skip


def carrier_vectors() -> dict[str, Vector]:
    """Carriers."""
    header = {**GOOD.header, "blobs": [len(carrier) for carrier in GOOD.carriers]}
    look = [{**header["faces"][0], "look": "chip"}, header["faces"][1]]
    older = sealed(GOOD.header, [*KEYS[:3], EVERYTHING], [facts(), b"face", b"face", all_of_it()], 1)

    def bad(comment: str, body: bytes, number: int = 1, key: bytes = KEYS[1]) -> Vector:
        return damaged("carrier", "was altered", comment, body, number=number, key=key.hex())

    def ok(comment: str, number: int, key: bytes, content: bytes) -> Vector:
        fields = {"number": number, "key": key.hex(), "content": content.hex()}
        return Vector("ok", "carrier", comment, GOOD.public, fields)

    return {
        "ok-everything": ok("Number 3 of two faces is everything.", 3, EVERYTHING, all_of_it()),
        "ok-metadata": ok("Number 0 is the metadata.", 0, KEYS[0], facts(GOOD.original, [["Comment", "hi"]])),
        "look-changed": bad("The look was changed after sealing.", raw({**header, "faces": look}, GOOD.carriers, version=2)),
        "version": bad("The associated data has version 1.", pack(GOOD.header, older, version=2)),
        "everything-tag": bad(
            "The last bit of everything's tag is flipped.",
            pack(GOOD.header, [*GOOD.carriers[:-1], flipped(GOOD.carriers[-1], -1)], version=2), 3, EVERYTHING),
    }  # fmt: skip


def flipped(data: bytes, at: int) -> bytes:
    """One bit another."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def private_vectors() -> dict[str, Vector]:
    """Private envelopes and their seals."""
    first, seal = GOOD.secrets[1], GOOD.seal()
    chip = made(secrets={1: first[:64] + b"\1" + bytes(range(32)) + b"feature"})
    plain = made(secrets={1: first + b"feature"})
    flag, short = made(secrets={1: first[:64] + b"\2"}), made(secrets={1: first[:64] + b"\1" + bytes(31)})

    def ok(comment: str, body: bytes) -> Vector:
        return Vector("ok", "private", comment, body)

    def bad(says: str, comment: str, body: bytes) -> Vector:
        return damaged("private", says, comment, body)

    def altered(at: int, comment: str) -> Vector:
        return bad("signature", comment, GOOD.private(seal=flipped(seal, at)))

    other = replace(GOOD, seed=OTHER_SEED).seal()
    forged = first[:32] + bytes(32) + first[64:]
    commit, length = "something else than what was sealed", "seal has the wrong length"
    taken = replace(GOOD, secrets=(*GOOD.secrets[:3], first))
    foreign = made(contents={3: all_of_it([b"", b""])}).public
    return {
        "ok": ok("Two faces, metadata, everything.", GOOD.private()),
        "ok-one-face": ok("Face 2 alone; the seal stays whole.", GOOD.private([2], False, False)),
        "ok-nothing": ok("Nothing at all.", GOOD.private([], False, False)),
        "ok-metadata-only": ok("No face, only the metadata.", GOOD.private([], True, False)),
        "ok-portable": ok("With the public envelope.", GOOD.private(portable=GOOD.public)),
        "ok-chip": ok("Face 1 names its chip and has a private feature.", chip.private()),
        "ok-feature": ok("Face 1 has a private feature.", plain.private()),
        "signer": altered(0, "A bit of the signer's key."),
        "signature": altered(40, "A bit of the signature."),
        "signed-public": altered(100, "A bit of the public envelope's hash."),
        "signed-commitment": altered(-1, "A bit of the last commitment."),
        "signed-photo": bad("signature", "The photo's id is another one.", GOOD.private(id=OTHER_ID.hex())),
        "signed-picture": bad("signature", "The fingerprint is another one.", GOOD.private(picture=bytes(32))),
        "signed-label": bad("signature", "Signed as version 1.", GOOD.private(seal=GOOD.seal(label=b"photoguard seal\1"))),
        "signature-of-another": bad(
            "signature", "Somebody else's signature over the same.", GOOD.private(seal=seal[:32] + other[32:96] + seal[96:])),
        "commitment-face": bad(commit, "Face 1's check was forged.", GOOD.private(secrets={1: forged})),
        "commitment-face-key": bad(commit, "Face 1's key is another.", GOOD.private(secrets={1: KEYS[3] + first[32:]})),
        "commitment-feature": bad(commit, "A private feature was added.", GOOD.private(secrets={1: first + b"x"})),
        "commitment-swapped": bad(
            commit, "The faces have changed places.", GOOD.private(secrets={1: GOOD.secrets[2], 2: first})),
        "commitment-metadata": bad(commit, "The metadata's key is another.", GOOD.private(secrets={0: KEYS[3]})),
        "commitment-everything": bad(commit, "The key of everything is another.", GOOD.private(secrets={3: KEYS[3]})),
        "face-beyond": bad(
            commit, "Face 3 of two, which the seal does not know.", GOOD.private([1, 2, 3], everything=False, secrets={3: first})),
        "face-as-everything": bad(
            commit, "Face 3 of two: the seal has it in the place of everything.", taken.private([1, 2, 3], everything=False)),
        "portable-foreign": bad(
            "another photo's data", "The public envelope in it is not the one in the seal.", GOOD.private(portable=foreign)),
        "seal-cut": bad(length, "The seal lacks a byte.", GOOD.private(seal=seal[:-1])),
        "seal-empty": bad(length, "There is no seal.", GOOD.private(seal=b"")),
        "seal-no-face": bad(length, "A seal of no face.", GOOD.private([], seal=GOOD.seal(secrets=[KEYS[0], EVERYTHING]))),
        "flag-2": bad("neither there nor absent", "Face 1's flag is 2.", flag.private()),
        "flag-missing": bad("neither there nor absent", "Face 1 has 64 bytes.", made(secrets={1: first[:64]}).private()),
        "chip-short": bad("neither there nor absent", "Face 1's chip has 31 bytes of digest.", short.private()),
        "everything-number": bad("face numbers are damaged", "The flag for everything is 1.", GOOD.private(flags={"everything": 1})),
        "everything-missing": bad(
            "missing or unknown", "There is no flag for everything.", GOOD.private(flags={"everything": None})),
        "everything-key-short": bad("wrong length", "The key of everything has 31 bytes.", GOOD.private(secrets={3: EVERYTHING[:31]})),
        "field-unknown": bad("missing or unknown", "A member that version 2 does not have.", GOOD.private(note="x")),
        "version-1": bad("missing or unknown", "Said to be of version 1.", GOOD.private(version=1)),
        "version-3": bad("version 3", "The version is 3.", GOOD.private(version=3)),
        "as-version-1": bad("missing or unknown", "The members of version 1.", b"PGRD\2" + BASE.private.to_bytes()[5:]),
    }  # fmt: skip


def picture_vectors() -> dict[str, Vector]:
    """From picture and private files to photo."""
    return ok_pictures() | bad_pictures() | bad_contents()


def good(
    comment: str, one: Made, private: Sequence[bytes] = (), body: bytes | None = None, **fields: Any
) -> Vector:
    """A picture that is restored."""
    numbers = ",".join(str(n) for n in range(1, len(one.secrets) - 1))
    expected = {"opened": numbers, "closed": "", "name": "photo.jpg", "exact": "yes",
                "restored": fingerprint2(one.original).hex(), **fields}  # fmt: skip
    given = {"private": encoded(private or [one.private()])}
    kept = {name: value for name, value in {**given, **expected}.items() if value is not None}
    return Vector("ok", "picture", comment, one.png() if body is None else body, kept)


def bad(says: str, comment: str, body: bytes, private: Sequence[bytes]) -> Vector:
    """A picture with a fault."""
    return damaged("picture", says, comment, body, private=encoded(private))


def encoded(private: Sequence[bytes]) -> list[str]:
    """Header lines."""
    return [b64encode(data).decode() for data in private]


def ok_pictures() -> dict[str, Vector]:
    """Pictures that are restored."""
    overlap = [Box(2, 2, 12, 12), Box(8, 6, 10, 6)]
    alpha = made(Photo(gradient(), alpha=gradient()[..., 0]), overlap)
    part = alpha.picture
    pixels, shown = part.pixels.copy(), part.alpha.copy()  # type: ignore[union-attr]
    own = owned(overlap, 0)
    pixels[overlap[0].window][own] = alpha.original.pixels[overlap[0].window][own]
    shown[overlap[0].window][own] = alpha.original.alpha[overlap[0].window][own]  # type: ignore[index]
    second = GOOD.picture.pixels.copy()
    second[BOXES[1].window] = GOOD.original.pixels[BOXES[1].window]
    profiled = made(Photo(gradient(), icc=PROFILE))
    forged = replace(made(contents={1: face_content(np.zeros((8, 8, 3), np.uint8))},
                          secrets={1: KEYS[1] + methods.digest(np.zeros((8, 8, 3), np.uint8)) + b"\0"}), seed=OTHER_SEED)  # fmt: skip
    equal = [BOXES[0], BOXES[0]]
    nothing = made(boxes=equal, contents={2: b"nothing to see"})
    return {
        "ok": good("Two faces, metadata, everything.", GOOD),
        "ok-one-face": good(
            "Face 2 alone.", GOOD, [GOOD.private([2], False, False)], opened="2", closed="1", name="", exact="no",
            restored=fingerprint2(Photo(second)).hex()),
        "ok-two-files": good(
            "Two private files of one seal add up.", GOOD, [GOOD.private([1], False, False), GOOD.private([2], True, False)]),
        "ok-portable": good(
            "The envelope travels in the private file.", GOOD, [GOOD.private(portable=GOOD.public)], GOOD.png(bare=True)),
        "ok-grey": good("A gray photo.", made(Photo(gradient(grey=True), grey=True))),
        "ok-16-bit": good("16 bits a channel.", made(Photo(gradient(np.uint16)))),
        "ok-alpha": good("Alpha, and boxes that overlap.", alpha),
        "ok-alpha-shared": good(
            "Only face 1 of two that overlap: it holds no alpha of its neighbor.", alpha, [alpha.private([1], False, False)],
            opened="1", closed="2", name="", exact="no", restored=fingerprint2(Photo(pixels, shown)).hex()),
        "ok-profile": good("The picture has a color profile.", profiled),
        "ok-texts": good(
            "A keyword that stands there twice.", made(contents={0: facts(GOOD.original, [["a", "1"], ["a", "2"]])})),
        "ok-mode-unknown": good("The mode is not known.", made(contents={0: facts(GOOD.original, mode=-1)})),
        "ok-everything-empty": good(
            "Everything holds nothing.", made(contents={3: all_of_it([], chunks=[], parts=[], format="")})),
        "ok-owns-nothing": good(
            "Face 2 owns no pixel: what it holds is not looked at.", nothing, opened="1,2", name="photo.jpg"),
        "ok-another-seal": good(
            "A second private file, sealed by somebody else around another face, is passed over.", GOOD,
            [GOOD.private([2], True, False), forged.private()], opened="2", closed="1", exact="no",
            restored=fingerprint2(Photo(second)).hex()),
        "ok-ddm": ddm_picture(),
    }  # fmt: skip


def ddm_picture() -> Vector:
    """A face that the network restores, under a cover that is none of its."""
    box, photo = Box(3, 2, 10, 8), Photo(gradient())
    size = positions(box)
    method, private = b"M" + maps(*size), feature(*size)
    samples = near("v2-ok-ddm", photo, box, method, private)
    one = made(
        photo, [box], method="ddm", look="pattern", exact=False,
        contents={1: pack({"kind": "face"}, [method, b""], version=2)},
        secrets={1: KEYS[1] + sketch_of(samples, box) + b"\0" + private},
    )  # fmt: skip
    return good(
        "The network's maps and private feature.", one, exact="no", restored=None,
        near=b64encode(stored(samples.tobytes())).decode(), within=str(within(samples)))  # fmt: skip


def bad_pictures() -> dict[str, Vector]:
    """Pictures and private files that do not belong together."""
    changed = replace(GOOD, carriers=made(contents={3: all_of_it([b"", b""])}).carriers)
    elsewhere = made(id=OTHER_ID.hex())
    profiled = made(Photo(gradient(), icc=PROFILE))
    fewer = GOOD.private([1], True, False, seal=GOOD.seal(secrets=[*GOOD.secrets[:2], EVERYTHING]))
    forged = replace(changed, seed=OTHER_SEED)
    pixels = replace(GOOD, picture=GOOD.original)
    return {
        "foreign-envelope": bad("not what was sealed first", "The picture's envelope is not the one in the seal.", changed.png(), [GOOD.private()]),
        "foreign-photo": bad("another photo", "The private file is of another photo.", GOOD.png(), [elsewhere.private()]),
        "foreign-first": bad(
            "not what was sealed first", "The first file decides, and is of another envelope; the second, sealed by somebody else, would fit.",
            changed.png(), [GOOD.private(), forged.private()]),
        "foreign-portable": bad(
            "another photo's data", "The portable envelope is not the one in the seal.", GOOD.png(bare=True), [GOOD.private(portable=changed.public)]),
        "seal-of-fewer": bad("not what was sealed first", "The seal is of one face, the picture has two.", GOOD.png(), [fewer]),
        "pixel-changed": bad("was changed", "The covers are gone.", pixels.png(), [GOOD.private()]),
        "profile-changed": bad("was changed", "Another color profile.", profiled.png(icc=OTHER_PROFILE), [profiled.private()]),
        "profile-added": bad("was changed", "A color profile where there was none.", GOOD.png(icc=PROFILE), [GOOD.private()]),
        "profile-gone": bad("was changed", "The color profile is gone.", profiled.png(icc=b""), [profiled.private()]),
        "private-version-1": bad("not what was sealed first", "A private file of version 1.", GOOD.png(), [BASE.private.to_bytes()]),
        "picture-version-1": bad("not what was sealed first", "A picture of version 1.", BASE.png(), [GOOD.private()]),
    }  # fmt: skip


def bad_contents() -> dict[str, Vector]:
    """Carriers whose content is not what it should be."""

    def inside(says: str, comment: str, number: int, content: bytes) -> Vector:
        one = made(contents={number: content})
        return bad(says, comment, one.png(), [one.private()])

    def meta(comment: str, says: str = "the sealed metadata", **changes: Any) -> Vector:
        return inside(says, comment, 0, facts(**changes))

    def every(comment: str, says: str = "the sealed metadata", **changes: Any) -> Vector:
        return inside(says, comment, 3, all_of_it(**changes))

    def part(comment: str, says: str = "lists no proper parts", **changes: Any) -> Vector:
        kept = {name: value for name, value in {**PART, **changes}.items() if value is not None}
        return every(comment, says, parts=[kept])

    photo = Photo(gradient(), alpha=gradient()[..., 0])
    deep = made(
        photo, contents={1: face_content(photo.pixels[BOXES[0].window], np.full((8, 8), 300))}, exact=False
    )
    old = pack({"kind": "face"}, [b"P" + png_of(GOOD.original.pixels[BOXES[0].window]), b""])
    return {
        "alpha-300": bad("alpha is deeper", "A value of 300 in a photo of 8 bits.", deep.png(), [deep.private()]),
        "face-version-1": inside("version 1", "Face 1's content is of version 1.", 1, old),
        "exact-wrong": meta("The photo's fingerprint is of another photo.", "photo is not the one", exact=bytes(32).hex()),
        "exact-version-1": meta(
            "The photo's fingerprint is made as in version 1.", "photo is not the one", exact=fingerprint(GOOD.original).hex()),
        "metadata-version-1": inside("version 1", "The metadata is of version 1.", 0, pack(
            {"exact": "", "format": "", "kind": "metadata", "name": ""}, [b"", b"", b"{}"])),
        "metadata-mode-missing": meta("There is no mode.", mode=None),
        "metadata-mode-large": meta("The mode is 512.", mode=512),
        "metadata-mode-small": meta("The mode is -2.", mode=-2),
        "metadata-mode-bool": meta("The mode is true.", mode=True),
        "metadata-blobs": meta("A blob too many, as in version 1.", blobs=(b"", b"")),
        "metadata-object": meta("The texts are an object, as in version 1.", texts=b'{"a":"b"}'),
        "metadata-triple": meta("A text of three strings.", texts=[["a", "b", "c"]]),
        "metadata-number": meta("A text is a number.", texts=[["a", 1]]),
        "metadata-surrogate": meta("A text holds half a surrogate pair.", texts=b'[["a","\\ud800"]]'),
        "everything-kind": every("An envelope of kind metadata.", "not a everything envelope", kind="metadata"),
        "everything-version-1": inside("version 1", "There is no version 1 of it.", 3, all_of_it(version=1)),
        "everything-field": every("A member too many.", note="x"),
        "everything-missing": every("There are no parts.", parts=None, blobs=[b""]),
        "everything-format": every("The format has a blank.", format="JPEG 2000"),
        "everything-chunk-critical": every("A chunk that begins with a capital.", chunks=["IDAT"]),
        "everything-chunk-long": every("A chunk's type of five letters.", chunks=["tEXts"]),
        "everything-chunk-number": every("A chunk's type is a number.", chunks=[1]),
        "everything-chunks-many": every(
            "1025 chunks.", chunks=["tEXt"] * 1025, parts=[], blobs=[b""] * 1025),
        "everything-parts-many": every("2049 parts.", chunks=[], parts=[PART] * 2049, blobs=[b""] * 2049),
        "everything-blobs": every("A blob is missing.", blobs=[b""]),
        "part-kind-path": part("A part's kind with a slash.", kind="../x"),
        "part-kind-dot": part("A part's kind begins with a dot.", kind=".x"),
        "part-kind-long": part("A part's kind of 41 characters.", kind="a" * 41),
        "part-lost-number": part("A part's flag is 1.", lost=1),
        "part-where-negative": part("A part begins at -1.", where=-1),
        "part-where-huge": part("A part begins at 2^53.", where=1 << 53),
        "part-field": part("A part with a member too many.", note="x"),
        "part-field-missing": part("A part without a place.", where=None),
    }  # fmt: skip


GROUPS = {
    "public": public_vectors, "carrier": carrier_vectors, "private": private_vectors, "picture": picture_vectors,
}  # fmt: skip

"""Faults of every kind in every format: only our errors come out, and no photo.

Covers: reveal.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from photoguard import methods, reveal
from photoguard.errors import PhotoguardError, UnreadableError
from photoguard.formats import contents as sealed
from photoguard.formats import envelope, identities, signing
from photoguard.formats.envelope import PublicFace, PublicFile
from photoguard.formats.private import Grant, PrivateFile, seal_private
from photoguard.photos import images, png
from photoguard.photos.geometry import Box
from photoguard.photos.images import Photo
from photoguard.photos.metadata import Metadata
from photoguard.protect import Options, protect

MANY = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
SOME = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([-1, 0, 1, 2**31, 2**64, 10**40, 1.0, "solid", "public", "private", ""]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


def split(data: bytes) -> tuple[Any, bytes]:
    length = struct.unpack(">I", data[5:9])[0]
    return json.loads(data[9 : 9 + length]), data[9 + length :]


def joined(header: Any, blobs: bytes) -> bytes:
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return b"PGRD\x01" + struct.pack(">I", len(text)) + text + blobs


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside a JSON value."""
    inner = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    return [path, *(one for key, child in inner for one in places(child, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], change)
    return copy


@st.composite
def mutated(draw: st.DrawFn, good: bytes) -> bytes:
    """A good envelope with one to three faults in its header, its lengths or its bytes."""
    data = good
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["value", "delete", "add", "length", "flip", "cut", "insert"]))
        if kind in ("value", "delete", "add", "length"):
            try:
                header, blobs = split(data)
            except (ValueError, struct.error):
                continue
            if not isinstance(header, dict):
                continue
            if kind == "value":
                header = replaced(header, draw(st.sampled_from(places(header))), lambda _: draw(anything))
            elif kind == "delete" and header:
                header.pop(draw(st.sampled_from(sorted(header))))
            elif kind == "add":
                header[draw(st.text(max_size=8))] = draw(anything)
            elif kind == "length" and isinstance(header.get("blobs"), list) and header["blobs"]:
                at = draw(st.integers(0, len(header["blobs"]) - 1))
                header["blobs"][at] = draw(st.integers(-2, 1 << 33) | st.integers(0, 600))
            data = joined(header, blobs)
        elif kind == "flip" and data:
            at = draw(st.integers(0, len(data) - 1))
            data = data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :]
        elif kind == "cut":
            data = data[: draw(st.integers(0, len(data)))]
        elif kind == "insert":
            at = draw(st.integers(0, len(data)))
            data = data[:at] + draw(st.binary(max_size=20)) + data[at:]
    assume(data != good)
    return data


@cache
def protected() -> tuple[bytes, PrivateFile, bytes]:
    """A public picture, the plaintext of its private file, and its carrier."""
    pixels = np.random.default_rng(3).integers(0, 255, (32, 48, 4), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    options = Options(method="solid", faces="none", regions=(Box(3, 3, 12, 12), Box(10, 10, 20, 15)))
    made = protect(out.getvalue(), Path("photo.png"), options)
    carrier = made.public.to_bytes()
    return images.encode_public(made.picture, carrier), made.private, carrier


def bare_picture() -> bytes:
    """The public picture without its carrier."""
    return png.with_chunks(
        png.START, [(kind, body) for kind, body in png.list_chunks(protected()[0]) if kind != png.CHUNK]
    )


def sample_private() -> bytes:
    return replace(protected()[1], portable=protected()[2]).to_bytes()


def only_our_errors(work: Callable[[], object]) -> bool:
    """Whether the work was done; any exception that is not ours comes through and fails the test."""
    try:
        work()
    except PhotoguardError as error:
        assert error.exit_code != 70
        return False
    return True


@MANY
@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda b: b"PGRD\x02" + b))
def test_any_bytes_as_an_envelope(data: bytes) -> None:
    assert not only_our_errors(lambda: PublicFile.from_bytes(data))
    assert not only_our_errors(lambda: PrivateFile.from_bytes(data))


@MANY
@given(st.data())
def test_any_change_of_a_public_chunk_gives_only_our_errors(data: st.DataObject) -> None:
    _, private, carrier = protected()
    changed = data.draw(mutated(carrier))
    only_our_errors(lambda: PublicFile.from_bytes(changed))
    body = png.with_chunks(bare_picture(), [(png.CHUNK, changed)])
    assert not only_our_errors(lambda: reveal.reveal(body, [private])), "a changed chunk restores nothing"


@MANY
@given(st.data())
def test_any_change_of_a_private_envelope_gives_only_our_errors(data: st.DataObject) -> None:
    picture = protected()[0]
    changed = data.draw(mutated(sample_private()))
    if only_our_errors(lambda: PrivateFile.from_bytes(changed)):
        only_our_errors(lambda: reveal.reveal(picture, [PrivateFile.from_bytes(changed)]))
        only_our_errors(lambda: PrivateFile.from_bytes(changed).granting([1], True))


@SOME
@given(st.data())
def test_any_change_of_the_public_picture_gives_only_our_errors(data: st.DataObject) -> None:
    picture, private, _ = protected()
    at = data.draw(st.integers(0, len(picture) - 1))
    new = data.draw(st.binary(max_size=8))
    body = data.draw(
        st.sampled_from(
            [picture[:at], picture[:at] + new + picture[at:], picture[:at] + new + picture[at + len(new) :]]
        )
    )
    assume(body != picture)
    assert not only_our_errors(lambda: reveal.reveal(body, [private]))


@SOME
@given(st.data())
def test_whatever_a_sealer_put_inside_gives_only_our_errors(data: st.DataObject) -> None:
    """A stranger may seal to my recipient what no writer of ours would."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    patch = pixels[2:10, 2:10]
    good = sealed.pack_face(b"P" + images.encode_lossless(patch), patch[..., 0])
    facts = sealed.pack_metadata(Photo(pixels, metadata=Metadata("JPEG", b"MM", (("a", "b"),))), "n", True)
    content = data.draw(st.just(good) | mutated(good))
    everything = sealed.pack_everything(Metadata("JPEG"))
    everything = data.draw(st.just(everything) | mutated(everything))
    metadata = data.draw(st.just(facts) | mutated(facts) | anything.map(lambda v: texts(facts, v)))
    public, keys = envelope.seal(
        48, 32, [PublicFace(Box(2, 2, 8, 8), "solid", "plain")], [metadata, content, everything]
    )
    body = images.encode_public(Photo(pixels), public.to_bytes())
    fingerprint = sealed.fingerprint(Photo(pixels))
    grants = (Grant(1, keys[1], data.draw(st.sampled_from([methods.digest(patch), bytes(32)])), b""),)
    private = seal_private(public, fingerprint, keys, grants, signing.throwaway(), portable=False)

    def restore() -> None:
        images.encode_restored(reveal.reveal(body, [private]).photo)

    only_our_errors(restore)
    private = replace(private, grants=())  # the metadata alone
    only_our_errors(restore)


def texts(facts: bytes, value: Any) -> bytes:
    header, blobs = envelope.unpack(facts, "metadata", 2)
    text = json.dumps(value).encode()
    return envelope.pack({**header, "exact": "", "kind": "metadata"}, [blobs[0], text], 2)


@SOME
@given(st.data())
def test_any_change_of_an_age_file_gives_only_our_errors(data: st.DataObject) -> None:
    file, keys = age_file()
    at = data.draw(st.integers(0, len(file)))
    new = data.draw(st.binary(max_size=30))
    body = data.draw(
        st.sampled_from(
            [file[:at], file[:at] + new + file[at:], file[:at] + new + file[at + len(new) :], new]
        )
    )
    assume(body != file)
    only_our_errors(lambda: identities.stanzas(body))
    assert not only_our_errors(lambda: identities.unseal(body, keys))


@cache
def age_file() -> tuple[bytes, list[identities.Identity]]:
    text, recipient = identities.generate()
    to = identities.Recipients((identities.parse_recipient(recipient),))
    return identities.seal(sample_private(), to), identities.parse_identities(text.encode(), str)


# Photos


@cache
def photo_files() -> dict[str, bytes]:
    """A small photo in every format, with metadata where the format has it."""
    y, x = np.mgrid[:24, :40]
    pixels = np.stack([x * 6, y * 10, (x + y) * 4], axis=-1).astype(np.uint8)
    picture, made = Image.fromarray(pixels), {}
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    exif.get_ifd(0x8825)[1] = "N"
    for name, extra in (
        ("JPEG", {"exif": exif, "comment": b"hello", "xmp": b"<x/>"}), ("PNG", {"exif": exif}),
        ("WEBP", {"exif": exif}),
        ("TIFF", {"exif": exif, "compression": "tiff_lzw"}), ("GIF", {"comment": b"hello"}), ("BMP", {}),
        ("AVIF", {"exif": exif, "quality": 40}),
    ):  # fmt: skip
        out = io.BytesIO()
        picture.save(out, name, **extra)
        made[name] = out.getvalue()
    out = io.BytesIO()
    pillow_heif.from_pillow(picture).save(out, quality=40, exif=exif.tobytes())
    made["HEIC"] = out.getvalue()
    deep = io.BytesIO()
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(deep, "PNG")
    made["16-bit PNG"] = deep.getvalue()
    made["16-bit color PNG"] = images.encode_lossless(pixels.astype(np.uint16) * 257)
    return made


def only_unreadable(data: bytes) -> None:
    try:
        photo = images.decode(data, "photo", max_pixels=1 << 20)
    except UnreadableError:
        return
    assert photo.pixels.shape[2] == 3 and photo.pixels.size <= 3 << 20
    sealed.pack_metadata(photo, "photo", exact=True)


@pytest.mark.parametrize("name", list(photo_files()))
def test_a_photo_that_was_cut_anywhere_is_unreadable_or_a_photo(name: str) -> None:
    data = photo_files()[name]
    for at in range(0, len(data), max(1, len(data) // 60)):
        only_unreadable(data[:at])
    only_unreadable(data)


@FEW
@pytest.mark.parametrize("name", list(photo_files()))
@given(changes=st.data())
def test_any_change_of_a_photo_gives_a_photo_or_one_error(name: str, changes: st.DataObject) -> None:
    data = bytearray(photo_files()[name])
    ends = st.integers(0, min(len(data) - 1, 400)) | st.integers(0, len(data) - 1)  # headers are at the front
    for _ in range(changes.draw(st.integers(1, 4))):
        at = changes.draw(ends)
        new = changes.draw(
            st.sampled_from([b"\0", b"\xff", b"\xff" * 4, b"\0" * 4, b"\x7f\xff"]) | st.binary(max_size=6)
        )
        if changes.draw(st.booleans()):
            data[at : at + len(new)] = new
        else:
            data[at:at] = new
    only_unreadable(bytes(data))


@SOME
@given(st.binary(max_size=200))
@example(b"")
@example(b"\xff\xd8\xff")
@example(png.START)
def test_any_bytes_as_a_photo(data: bytes) -> None:
    only_unreadable(data)

"""The two file formats: what goes in comes out, and nothing but our errors comes out of anything else."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photoguard.errors import DamagedError, UsageError
from photoguard.formats import contents as sealed
from photoguard.formats import envelope
from photoguard.formats.envelope import PublicFace, PublicFile
from photoguard.formats.private import Grant
from photoguard.photos.geometry import Box, Owners

PHOTO_ID = bytes(range(16))


def public_file(*boxes: Box, contents: list[bytes] | None = None) -> tuple[PublicFile, list[bytes]]:
    boxes = boxes or (Box(2, 2, 8, 8),)
    faces = [PublicFace(box, "solid", "plain") for box in boxes]
    return envelope.seal(
        48, 32, faces, [b"metadata", *(contents or [b"content"] * len(faces)), b"everything"]
    )


def grant(number: int, feature: bytes = b"") -> Grant:
    return Grant(number, struct.pack(">I", number) * 8, bytes(32), feature)


# Envelopes


def test_an_envelope_is_laid_out_as_the_specification_says() -> None:
    made = envelope.pack({"kind": "face", "b": 1, "a": "\u00e9\x7f\n"}, [b"one", b"", b"two"])
    text = b'{"a":"\\u00e9\\u007f\\n","b":1,"blobs":[3,0,3],"kind":"face"}'
    assert made == b"PGRD\x02" + struct.pack(">I", len(text)) + text + b"onetwo"
    assert envelope.unpack(made, "face") == ({"a": "\u00e9\x7f\n", "b": 1}, [b"one", b"", b"two"])


@pytest.mark.parametrize(("version", "limit"), [(1, 1 << 18), (2, 1 << 19)])
def test_a_header_has_a_limit_on_both_ways(version: int, limit: int) -> None:
    room = limit - len(envelope._canonical({"blobs": [], "kind": "face", "x": ""}))
    full = envelope.pack({"kind": "face", "x": "a" * room}, [], version)
    assert envelope.unpack(full, "face", version)[0] == {"x": "a" * room}
    with pytest.raises(UsageError, match="too many covers"):
        envelope.pack({"kind": "face", "x": "a" * (room + 1)}, [], version)
    text = envelope._canonical({"blobs": [], "kind": "face", "x": "a" * (room + 1)})
    with pytest.raises(DamagedError, match="longer"):
        envelope.unpack(b"PGRD" + struct.pack(">BI", version, len(text)) + text, "face", version)


def test_an_envelope_of_another_version_than_expected_is_damage() -> None:
    with pytest.raises(DamagedError, match="version 1"):
        envelope.unpack(envelope.pack({"kind": "face"}, [], 1), "face")
    with pytest.raises(DamagedError, match="version 3"):
        envelope.version_of(envelope.pack({"kind": "face"}, [], 2).replace(b"\x02", b"\x03", 1))


@pytest.mark.parametrize("depth", [10, 1000, 100_000])
def test_deep_nesting_is_damage(depth: int) -> None:
    text = b"[" * depth + b"]" * depth
    with pytest.raises(DamagedError):
        envelope.unpack(b"PGRD\x01" + struct.pack(">I", len(text)) + text, "public")


@pytest.mark.parametrize("number", [b"1" * 5000, b"-1", b"1e999", b"NaN", b"Infinity"])
def test_numbers_that_are_none_are_damage(number: bytes) -> None:
    good = public_file()[0].to_bytes()
    text = good[9 : 9 + struct.unpack(">I", good[5:9])[0]].replace(b"[48,32]", b"[48," + number + b"]")
    with pytest.raises(DamagedError):
        PublicFile.from_bytes(b"PGRD\x02" + struct.pack(">I", len(text)) + text + good[9 + len(text) :])


def test_a_public_file_with_the_most_faces_there_may_be() -> None:
    file = PublicFile(PHOTO_ID, 9, 9, (PublicFace(Box(0, 0, 1, 1), "a", "b"),) * 4096, (b"",) * 4098)
    assert PublicFile.from_bytes(file.to_bytes()) == file
    with pytest.raises(DamagedError, match="faces"):
        PublicFile.from_bytes(
            replace(file, faces=file.faces + file.faces[:1], carriers=(b"",) * 4099).to_bytes()
        )


# Carriers


def test_every_face_has_a_key_of_its_own_and_every_photo_an_id_of_its_own() -> None:
    (one, keys), (other, other_keys) = (public_file(Box(0, 0, 4, 4), Box(8, 8, 4, 4)) for _ in range(2))
    assert len({*keys, *other_keys}) == 8 and all(len(key) == 32 for key in keys)
    assert one.photo_id != other.photo_id
    for number in range(4):
        for held in range(4):
            if number == held:
                continue
            with pytest.raises(DamagedError, match="altered"):
                envelope.open_carrier(one, number, keys[held])


@given(st.integers(0, 1 << 34))
def test_padding_follows_padme(length: int) -> None:
    padded = envelope.padded_length(length)
    assert padded >= max(length, 256)
    assert padded <= max(length * 1.12, 256)
    assert envelope.padded_length(padded) == padded
    if length >= 256:
        exponent = length.bit_length() - 1
        step = 1 << (exponent - exponent.bit_length())
        assert padded % step == 0 and padded - length < step


@given(st.binary(max_size=3000))
def test_what_is_sealed_opens_and_its_length_says_little(content: bytes) -> None:
    public, keys = public_file(contents=[content])
    assert envelope.open_carrier(public, 1, keys[1]) == content
    assert len(public.carriers[1]) == envelope.padded_length(4 + len(content)) + 16


@given(st.data())
def test_no_bit_of_header_or_carrier_can_be_changed(data: st.DataObject) -> None:
    public, keys = public_file(Box(2, 2, 8, 8), Box(20, 4, 9, 9))
    whole = bytearray(public.to_bytes())
    at = data.draw(st.integers(0, 8 * len(whole) - 1))
    whole[at // 8] ^= 1 << at % 8
    with pytest.raises(DamagedError):
        altered = PublicFile.from_bytes(bytes(whole))
        for number, key in enumerate(keys):
            envelope.open_carrier(altered, number, key)


def test_alpha_that_would_inflate_to_much_is_not_inflated() -> None:
    bomb = envelope.pack({"kind": "face"}, [b"", zlib.compress(bytes(1 << 27))])
    tracemalloc.start()
    try:
        with pytest.raises(DamagedError, match="wrong size"):
            sealed.unpack_face(bomb, 8, 8)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


# Boxes that overlap


@given(st.lists(st.builds(Box, *[st.integers(0, 12)] * 2, *[st.integers(1, 12)] * 2), min_size=1, max_size=6))
def test_every_covered_pixel_has_one_owner(boxes: list[Box]) -> None:
    owners = np.zeros((24, 24), int)
    for number, box in enumerate(boxes):
        owners[box.window] += Owners.of(boxes).mask(number)
    covered = np.zeros((24, 24), bool)
    for box in boxes:
        covered[box.window] = True
    assert (owners == covered).all()
    for number, box in enumerate(boxes):
        if all(other.area > box.area for other in boxes if other is not box):
            assert Owners.of(boxes).mask(number).all(), "the smallest box owns all of its pixels"

"""Packed public maps: small, exact, and strict about damage."""

import contextlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from photoguard.errors import DamagedError
from photoguard.methods.ddm.maps import Codes, pack_maps, unpack_maps


def codes(maps=3, rows=4, columns=5, seed=0):
    rng = np.random.default_rng(seed)
    return Codes(
        rng.integers(0, 256, (maps, rows, columns), dtype=np.uint8),
        rng.normal(size=maps).astype(np.float16).astype(np.float32),
        np.full(maps, 0.25, np.float32),
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 66), st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_what_was_packed_comes_back(maps, rows, columns, seed):
    before = codes(maps, rows, columns, seed)
    after = unpack_maps(pack_maps(before))
    assert (after.codes == before.codes).all() and after.codes.dtype == np.uint8
    assert (after.low == before.low).all() and (after.step == before.step).all()


def test_smooth_maps_become_small():
    rows, columns = np.mgrid[0:32, 0:32]
    smooth = np.broadcast_to((rows + 2 * columns).astype(np.uint8), (63, 32, 32))
    packed = pack_maps(Codes(smooth, np.zeros(63, np.float32), np.ones(63, np.float32)))
    assert len(packed) < smooth.size / 50


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
@example(b"")
@example(b"\xff" * 6)
@example(b"\x01\x00\x01\x00\x01\x00")
def test_any_bytes_give_maps_or_a_damaged_file(data):
    try:
        maps = unpack_maps(data)
    except DamagedError:
        return
    assert maps.codes.size


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255), st.booleans())
def test_altered_or_cut_bytes_give_maps_or_a_damaged_file(place, change, cut):
    data = bytearray(pack_maps(codes(7)))
    place %= len(data)
    if cut:
        with pytest.raises(DamagedError):
            unpack_maps(bytes(data[:place]))
        return
    data[place] ^= change
    with contextlib.suppress(DamagedError):
        unpack_maps(bytes(data))


@pytest.mark.parametrize("extra", [b"\x00", b"more"])
def test_trailing_bytes_are_damage(extra):
    with pytest.raises(DamagedError):
        unpack_maps(pack_maps(codes()) + extra)


@pytest.mark.parametrize("scale", [np.nan, np.inf, 0.0, -1.0])
def test_senseless_steps_are_damage(scale):
    before = codes()
    with pytest.raises(DamagedError, match="scale"):
        unpack_maps(pack_maps(Codes(before.codes, before.low, np.full(3, scale, np.float32))))


def test_a_huge_size_is_refused_before_anything_is_unpacked():
    with pytest.raises(DamagedError, match="size"):
        unpack_maps(b"\xff\xff\x00\x10\x00\x10" + b"\x00" * 40)

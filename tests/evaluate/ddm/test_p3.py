"""P3 and the JPEG coefficients under it: exact, decodable, and nothing public that should be secret."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from photoguard.errors import DamagedError, UnreadableError, UsageError
from photoguard.evaluate.ddm import jpeg, p3
from photoguard.recognizers.sample import sample_picture


def scene(height: int = 40, width: int = 56, seed: int = 0) -> np.ndarray:
    """Smooth shapes with some texture, of any size."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin(rows / rng.uniform(2, 9) + columns / rng.uniform(2, 9)) for _ in range(3)]
    return np.clip(128 + 90 * np.stack(waves, -1) + rng.normal(0, 9, (height, width, 3)), 0, 255).astype(
        np.uint8
    )


shapes = st.tuples(
    st.integers(1, 40), st.integers(1, 40), st.integers(0, 3), st.sampled_from([20, 75, 95, 100])
)


@given(shapes)
@settings(max_examples=25, deadline=None)
def test_reading_and_writing_coefficients_changes_no_pixel(shape):
    height, width, seed, quality = shape
    pixels = scene(height, width, seed)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0)
    again = jpeg.serialize(jpeg.parse(file.getvalue()))
    np.testing.assert_array_equal(jpeg.to_pixels(again), jpeg.to_pixels(file.getvalue()))
    assert len(again) < len(file.getvalue())  # codes of its own, shorter than the standard ones


def test_coefficients_are_those_of_the_transform():
    """A picture of one cosine wave has one AC coefficient, and it is where that wave belongs."""
    columns = np.arange(8)
    wave = 128 + 50 * np.cos((2 * columns + 1) * 3 * np.pi / 16)  # horizontal frequency 3
    pixels = np.tile(wave[None, :, None], (8, 1, 3)).round().astype(np.uint8)
    blocks = jpeg.from_pixels(pixels, 75).blocks[0, 0, 0]
    assert np.flatnonzero(blocks[1:]).tolist() == [5]  # zigzag: (0,1) (1,0) (2,0) (1,1) (0,2) (0,3)


def test_codes_longer_than_sixteen_bits_are_shortened():
    counts = jpeg.Counter({symbol: 2**symbol for symbol in range(24)})
    lengths, symbols = jpeg._best_code(counts)
    assert sum(lengths) == len(symbols) == 24
    assert (
        sum(count * 2.0 ** -(i + 1) for i, count in enumerate(lengths)) < 1
    )  # a prefix code; all ones is free
    assert symbols[0] == 23


@given(shapes, st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_joining_the_parts_gives_every_coefficient_back(shape, threshold):
    height, width, seed, quality = shape
    pixels = scene(height, width, seed)
    joined = p3.join(p3.split(pixels, threshold, quality))
    whole = jpeg.from_pixels(pixels, quality)
    np.testing.assert_array_equal(jpeg.parse(joined).blocks, whole.blocks)
    np.testing.assert_array_equal(jpeg.to_pixels(joined), jpeg.to_pixels(jpeg.serialize(whole)))


@pytest.mark.parametrize("threshold", [1, 10, 20])
def test_the_public_part_keeps_no_mean_no_sign_and_nothing_large(threshold):
    face = sample_picture(128)
    parts = p3.split(face, threshold)
    public, whole = jpeg.parse(parts.public_jpeg).blocks, jpeg.from_pixels(face, p3.QUALITY).blocks
    assert not public[..., 0].any()
    assert np.abs(public).max() == threshold
    large = np.abs(whole[..., 1:]) > threshold
    assert (whole[..., 1:][large] < 0).any()
    assert (public[..., 1:][large] == threshold).all()  # also where the coefficient was negative


def test_both_parts_are_pictures_and_less_is_public_at_a_lower_threshold():
    face = sample_picture(128)
    parts = {threshold: p3.split(face, threshold) for threshold in (1, 10, 20)}
    for part in parts.values():
        assert jpeg.to_pixels(part.public_jpeg).shape == jpeg.to_pixels(part.secret).shape == (128, 128, 3)
    assert parts[1].secret_share > 0.5 > parts[10].secret_share > parts[20].secret_share > 0.1


def test_a_threshold_that_is_none_and_parts_of_two_pictures_are_refused():
    with pytest.raises(UsageError, match="is out of range"):
        p3.split(scene(), 0)
    a, b = p3.split(scene(16, 16), 10), p3.split(scene(24, 16), 10)
    with pytest.raises(DamagedError):
        p3.join(replace(a, secret=b.secret))
    with pytest.raises(DamagedError):
        p3.join(replace(a, secret=a.public_jpeg))


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(1, 5000),
)
@settings(max_examples=100, deadline=None)
def test_a_damaged_jpeg_is_our_error_or_some_picture(changes, kept):
    data = bytearray(jpeg.serialize(jpeg.from_pixels(scene(24, 24), 80)))
    for where, value in changes:
        data[where % len(data)] = value
    with contextlib.suppress(UnreadableError):
        jpeg.parse(bytes(data[:kept]))


def test_a_jpeg_of_another_coding_is_refused():
    for options in ({"progressive": True}, {"subsampling": 2}):
        file = io.BytesIO()
        Image.fromarray(scene()).save(file, "JPEG", **options)
        with pytest.raises(UnreadableError):
            jpeg.parse(file.getvalue())

"""DDM's networks: shapes, shares, what travels, and the fake private map."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from photoguard.nets import ddm as nets

TINY = nets.DDMConfig(widths=(4, 6, 8), maps=64, blocks=1)


def tiny(**changes):
    torch.manual_seed(0)
    return nets.DDM(nets.DDMConfig(**({"widths": (4, 6, 8), "blocks": 1} | changes)))


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (128, 128), (32, 160)])
def test_any_multiple_of_16_works(size):
    network = tiny()
    public, private = network.encode(torch.rand(2, 3, *size))
    assert public.shape == (2, 63, size[0] // 16, size[1] // 16)
    assert private.shape == (2, 1, size[0] // 16, size[1] // 16)
    assert network.decode(public, private).shape == (2, 3, *size)


@pytest.mark.parametrize("size", [(1, 1), (17, 16), (100, 75)])
def test_other_sizes_are_padded_and_cropped(size):
    x = torch.rand(1, 3, *size)
    padded = nets.pad(x)
    assert padded.shape[2] % 16 == padded.shape[3] % 16 == 0
    assert padded.shape[2] - size[0] < 16 and padded.shape[3] - size[1] < 16
    assert torch.equal(padded[..., : size[0], : size[1]], x)
    assert (padded[..., size[0] :, 0] == x[..., -1:, 0]).all()  # edges repeated, not black


@pytest.mark.parametrize("one_in", [2, 4, 8, 16, 32, 64, 128, 1024, 2048])
def test_every_share_of_table_5_travels_and_comes_back(one_in):
    network = tiny(one_in=one_in)
    features = torch.randn(2, 64, 8, 16)
    public, private = nets.split(features, network.config)
    values = nets.private_values(private, network.config)
    assert values.shape[1] == features[0].numel() // one_in
    again = nets.private_from_values(values, network.config, 8, 16)
    assert torch.equal(nets.join(public, again, network.config), features)


def test_no_private_value_is_left_in_the_public_maps():
    config = tiny(one_in=2048).config
    features = torch.randn(1, 64, 8, 8)
    other = features.clone()
    other[:, -1:] += nets.private_mask(config, 8, 8, features)
    assert torch.equal(nets.split(features, config)[0], nets.split(other, config)[0])


@pytest.mark.parametrize(
    "wrong", [{"one_in": 3}, {"one_in": 4096}, {"one_in": 1}, {"maps": 48, "one_in": 32}]
)
def test_senseless_configurations_are_refused(wrong):
    with pytest.raises(ValueError, match=r"private share|no 32th part"):
        nets.DDMConfig(**wrong)


def test_private_feature_of_a_128_px_face_is_small():
    network = nets.DDM(nets.DDMConfig())
    _, private = network.encode(torch.rand(1, 3, 128, 128))
    assert nets.private_values(private, network.config).half().nbytes == 128


def test_blocks_and_convolutions_are_those_of_the_paper():
    network = nets.DDM(nets.DDMConfig())
    assert len(network.down) == len(network.up) == 4
    assert [len(blocks) for blocks in network.down_blocks] == [3, 3, 3]
    assert [len(blocks) for blocks in network.up_blocks] == [3, 3, 3]
    judge = nets.PaperDiscriminator()
    strides = [layer.stride for layer in judge.layers if isinstance(layer, torch.nn.Conv2d)]
    assert strides == [(2, 2)] * 4
    assert sum(isinstance(layer, torch.nn.Linear) for layer in judge.head) == 2


def test_discriminators_judge_pictures_and_positions():
    assert nets.PaperDiscriminator(4)(torch.rand(2, 3, 128, 96)).shape == (2, 1)
    assert nets.PositionDiscriminator(4)(torch.rand(2, 3, 128, 96)).shape == (2, 1, 16, 12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.floats(1e-6, 1e3), st.floats(-1e3, 1e3))
def test_quantised_maps_are_off_by_half_a_step_at_most(seed, size, shift):
    public = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(seed)) * size + shift
    codes, low, step = nets.quantise(public)
    assert codes.dtype == torch.uint8
    assert torch.equal(low, low.half().float()) and torch.equal(step, step.half().float())
    if size > max(0.1, abs(shift) / 10):  # a map that varies uses all codes
        assert (codes.amax((2, 3)) >= 250).all()
    error = (nets.dequantise(codes, low, step) - public).abs().amax((2, 3))
    rounding = 2**-10 * public.abs().amax((2, 3))  # of float16, in the lowest value
    assert (error <= 0.55 * step + 2 * rounding).all()


def test_a_constant_map_survives_quantisation():
    public = torch.full((1, 1, 2, 2), 0.5)
    assert torch.allclose(nets.dequantise(*nets.quantise(public)), public, atol=1e-3)


def test_training_sees_quantisation_and_gradients_pass():
    public, private = torch.randn(1, 3, 4, 4, requires_grad=True), torch.randn(1, 1, 4, 4, requires_grad=True)
    travelled, secret = nets.as_travelled(public, private)
    assert torch.equal(travelled, nets.dequantise(*nets.quantise(public)))
    assert torch.equal(secret, private.half().float())
    (travelled.sum() + secret.sum()).backward()
    assert (public.grad == 1).all() and (private.grad == 1).all()


@settings(max_examples=50, deadline=None)
@given(st.floats(-6, 6), st.binary(min_size=256, max_size=256))
def test_fake_private_stays_away_from_the_true_one(centre, random):
    config = nets.DDMConfig()
    private = torch.full((1, 1, 8, 8), centre)
    fake = nets.fake_private(private, random, config)
    assert ((fake - private).abs() >= config.fake_margin - 1e-5).all()
    assert (fake.abs() <= config.fake_range + 1e-5).all()


def test_fake_private_fills_its_whole_range_evenly():
    config = nets.DDMConfig()
    uniform = torch.linspace(0, 1, 100_001)[:-1].reshape(1, 1, 1, -1)
    fake = nets.fake_from_uniform(torch.full_like(uniform, 1.0), uniform, config)
    counts = torch.histc(fake, 12, -3, 3)  # half a unit each; the gap is 0.5 .. 1.5
    assert (counts[7:9] == 0).all()
    assert (counts[[0, 3, 6, 9, 11]] - 10_000).abs().max() < 5


def test_fake_private_comes_from_the_bytes_alone():
    config = nets.DDMConfig()
    private = torch.zeros(1, 1, 2, 2)
    one, two = bytes(range(16)), bytes(range(1, 17))
    assert torch.equal(nets.fake_private(private, one, config), nets.fake_private(private, one, config))
    assert not torch.equal(nets.fake_private(private, one, config), nets.fake_private(private, two, config))
    with pytest.raises(ValueError, match="16 random bytes"):
        nets.fake_private(private, b"short", config)


def test_same_weights_same_answer():
    x = torch.rand(1, 3, 64, 64)
    first, second = tiny(), tiny()
    for a, b in zip(first.encode(x), second.encode(x), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(first.decode(*first.encode(x)), second.decode(*second.encode(x)))


def test_toy_networks_have_the_papers_sizes():
    toy = nets.ToyDDM()
    public, private = toy.encode(torch.randn(7, 2))
    assert public.shape == (7, 126) and private.shape == (7, 2)
    assert toy.decode(public, private).shape == (7, 2)
    assert sum(isinstance(layer, torch.nn.Linear) for layer in toy.discriminator) == 5

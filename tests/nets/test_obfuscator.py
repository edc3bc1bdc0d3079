"""DeepObfuscator's networks and MS-SSIM: shapes of the paper, the bound, gradients.

Covers: nets.obfuscator_config.
"""

import dataclasses
import math

import cv2
import numpy as np
import pytest
import torch
from support.obfuscators import GENDER, PLAIN, RACE, TASK, TINY, players

from photoguard.evaluate.common import metrics
from photoguard.nets import obfuscator as nets
from photoguard.nets import similarity


def faces(count=3, config=TINY, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, config.height, config.width, generator=generator)


def layers(net):
    """The layers that Table 1 and 2 count."""
    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear, torch.nn.MaxPool2d)
    return [
        type(one).__name__ + ("" if isinstance(one, torch.nn.MaxPool2d) else f" {_outputs(one)}")
        for one in net.modules()
        if isinstance(one, kinds)
    ]


def _outputs(layer):
    return layer.out_features if isinstance(layer, torch.nn.Linear) else layer.out_channels


def test_the_paper_configuration_is_table_1():
    config = nets.paper_config((TASK,), (GENDER,))
    assert config.features == (128, 54, 44)
    with torch.device("meta"):
        obfuscator, classifier = nets.Obfuscator(config), nets.Classifier(config, (TASK,))
        mirror = nets.Mirror(config)
    assert layers(obfuscator) == [
        "Conv2d 64", "Conv2d 64", "MaxPool2d", "Conv2d 128", "Conv2d 128", "MaxPool2d",
    ]  # fmt: skip
    assert layers(classifier) == [
        *["Conv2d 256"] * 3, "MaxPool2d", *["Conv2d 512"] * 3, "MaxPool2d", *["Conv2d 512"] * 3, "MaxPool2d",
        "Linear 4096", "Linear 4096", "Linear 1",
    ]  # fmt: skip
    assert layers(mirror) == [
        "ConvTranspose2d 128",
        "ConvTranspose2d 64",
        "ConvTranspose2d 64",
        "ConvTranspose2d 3",
    ]
    with torch.device("meta"):
        features = obfuscator(torch.zeros(2, 3, 218, 178))
        assert features.shape == (2, 128, 54, 44)
        assert mirror(features).shape == (2, 3, 218, 178)


def test_the_attackers_are_table_2():
    config = nets.paper_config((TASK,), (GENDER,))
    with torch.device("meta"):
        first, second, residual = nets.URec(config, 3), nets.URec(config, 2), nets.ResRec(config)
    assert layers(first) == [
        *["Conv2d 64"] * 3, *["Conv2d 128"] * 3, *["Conv2d 256"] * 3, "Conv2d 3", "Conv2d 3",
    ]  # fmt: skip
    assert layers(second) == [
        *["Conv2d 64"] * 2,
        *["Conv2d 128"] * 2,
        *["Conv2d 256"] * 2,
        "Conv2d 3",
        "Conv2d 3",
    ]
    assert layers(residual) == ["ConvTranspose2d 64", *["Conv2d 64"] * 8, "Conv2d 3"]


@pytest.mark.parametrize("config", [TINY, PLAIN, dataclasses.replace(TINY, height=44, width=36)])
def test_everything_fits_together(config):
    one = players(config).eval()
    x = faces(config=config)
    features = one.obfuscator(x)
    assert features.shape == (3, *config.features)
    assert [tuple(a.shape) for a in one.classifier(features)] == [(3, 2)]
    assert [tuple(a.shape) for a in one.adversaries[0](features)] == [(3, 2), (3, 5)]
    for net in (one.mirror, nets.URec(config, 2, 4), nets.ResRec(config, 4)):
        restored = net(features)
        assert restored.shape == x.shape and restored.min() >= 0 and restored.max() <= 1


def test_bounded_features_never_leave_the_ball():
    one = players().train()
    for _ in range(3):
        assert one.obfuscator(faces(8)).flatten(1).norm(dim=1).max() <= TINY.reach + 1e-4
    one.eval()
    for wild in (faces(4) * 100, torch.zeros(2, 3, 32, 32), faces(4) * 0 + 1):
        assert one.obfuscator(wild).flatten(1).norm(dim=1).max() <= TINY.reach + 1e-4
    unbounded = players(PLAIN).eval().obfuscator(faces(4)).flatten(1).norm(dim=1).max()
    assert unbounded > TINY.reach


def test_the_bound_in_bits_is_the_divergence_of_two_gaussians():
    # KL(N(m, 1) | N(0, 1)) by sampling, for a mean of length `reach`
    mean = torch.zeros(64)
    mean[0] = TINY.reach
    x = mean + torch.randn(20000, 64, generator=torch.Generator().manual_seed(0))
    nats = (x.square().sum(1) / 2 - (x - mean).square().sum(1) / 2).mean().item()
    assert nats / math.log(2) == pytest.approx(TINY.bits, rel=0.03)
    assert PLAIN.bits == math.inf


def test_noise_is_added_only_where_features_are_bounded():
    features, noise = torch.zeros(1, 6, 8, 8), torch.ones(1, 6, 8, 8)
    assert (nets.released(features, noise, TINY) == 1).all()
    assert (nets.released(features, noise, PLAIN) == 0).all()


def test_what_anybody_sees_on_the_face_reaches_every_feature():
    one = players(dataclasses.replace(TINY, reach=0.0)).eval()
    x = faces(1).requires_grad_()
    one.obfuscator(x)[0, :, 0, 0].sum().backward()
    assert x.grad[0, :, -4:, -4:].abs().max() > 0


def test_coarse_sums_keep_the_noise_as_it_is():
    noise = torch.randn(400, 6, 8, 8, generator=torch.Generator().manual_seed(0))
    assert nets.coarse(noise).std().item() == pytest.approx(1, rel=0.03)


def test_two_classes_are_a_sigmoid_and_more_a_softmax():
    outputs = torch.tensor([[0.7, 1.0, 2.0, 3.0, 4.0, 5.0]])
    gender, race = nets.split_answers(outputs, (GENDER, RACE))
    assert gender.softmax(1)[0, 1] == torch.tensor(0.7).sigmoid()
    assert race.tolist() == [[1, 2, 3, 4, 5]]
    labels = torch.tensor([[1, 4]])
    wanted = -torch.tensor(0.7).sigmoid().log() - race.log_softmax(1)[0, 4]  # Eq. 1 and 3
    assert nets.cross_entropy([gender, race], labels).item() == pytest.approx(wanted.item(), rel=1e-6)


def test_ms_ssim_of_equal_different_and_noisy_pictures():
    x = torch.nn.functional.interpolate(faces(2), size=(96, 96), mode="bicubic").clamp(0, 1)
    assert similarity.ms_ssim(x, x).tolist() == pytest.approx([1, 1], abs=1e-5)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    little, much = (similarity.ms_ssim(x, (x + s * noise).clamp(0, 1)).mean() for s in (0.05, 0.5))
    assert 0.8 < little < 1 and much < little - 0.3


def test_one_scale_is_ssim():
    x, y = (torch.nn.functional.interpolate(faces(1, seed=s), size=(20, 20)) for s in (0, 1))
    assert similarity.scales(20, 20) == 1
    pixels = [(one[0].permute(1, 2, 0) * 255).round().numpy() for one in (x, x * 0.7 + 0.3 * y)]
    ours = metrics.ms_ssims(*(p[None].astype(np.uint8) for p in pixels))[0]
    assert ours == pytest.approx(metrics.ssim(*pixels), abs=0.01)


def test_two_scales_by_hand():
    def terms(x, y):
        def local(values):
            return cv2.GaussianBlur(values, (11, 11), 1.5)[5:-5, 5:-5]

        mx, my = local(x), local(y)
        vx, vy, both = local(x * x) - mx * mx, local(y * y) - my * my, local(x * y) - mx * my
        luminance = (2 * mx * my + 1e-4) / (mx * mx + my * my + 1e-4)
        return luminance, (2 * both + 9e-4) / (vx + vy + 9e-4)

    x, noise = (torch.rand(24, 24, generator=torch.Generator().manual_seed(s)).double() for s in (0, 1))
    y = 0.4 * x + 0.2 * noise  # darker too: luminance matters, and only at the last scale
    half = [torch.nn.functional.avg_pool2d(one[None], 2)[0].numpy() for one in (x, y)]
    (_, fine), (light, coarse) = terms(x.numpy(), y.numpy()), terms(*half)
    weights = np.array(similarity.SCALE_WEIGHTS[:2]) / sum(similarity.SCALE_WEIGHTS[:2])
    wanted = fine.mean() ** weights[0] * (light * coarse).mean() ** weights[1]
    found = similarity.ms_ssim(*(one.float().expand(1, 3, -1, -1) for one in (x, y)))
    assert found.item() == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    ("side", "count"), [(11, 1), (22, 2), (44, 3), (88, 4), (112, 4), (176, 5), (218, 5)]
)
def test_as_many_scales_as_hold_a_window(side, count):
    assert similarity.scales(side, side) == count


def test_ms_ssim_has_a_finite_gradient_everywhere():
    for start in (torch.zeros(1, 3, 48, 48), faces(1, dataclasses.replace(TINY, height=48, width=48))):
        x = start.clone().requires_grad_()
        similarity.ms_ssim(x, 1 - x.detach()).sum().backward()
        assert x.grad.isfinite().all()

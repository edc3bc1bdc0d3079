"""Recognizers: every published layout, the three routes, and what must not get in.

Covers: recognizers.alignment, recognizers.store, recognizers.table, evaluate.common.check, nets.compact,
nets.inception, nets.iresnet, nets.mobilefacenet, nets.sphereface, recognizers.entries.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from photoguard import recognizers, weights
from photoguard.errors import UsageError, WeightsError
from photoguard.nets import iresnet, sphereface
from photoguard.nets.compact import CompactConfig, CompactNet, fused
from photoguard.nets.iresnet import IResNet, IResNetConfig
from photoguard.nets.mobilefacenet import MobileFaceNet, MobileFaceNetConfig
from photoguard.nets.sphereface import SphereFace, SphereFaceConfig
from photoguard.recognizers import TABLE, TEMPLATES, architectures, chip_for
from photoguard.recognizers.loading import read_state, route
from photoguard.recognizers.recognizer import Recognizer
from photoguard.recognizers.sample import sample_chip

SMALL = {"height": 16, "width": 16, "embedding": 8}


@pytest.fixture(autouse=True)
def _numbers_as_they_are():
    """Recognizers let the processor flush the smallest numbers; other tests want them."""
    yield
    torch.set_flush_denormal(False)


def randomized(net: nn.Module, seed: int = 0) -> nn.Module:
    """Every weight and every norm's statistics away from their neutral start."""
    generator = torch.Generator().manual_seed(seed)
    for key, value in net.state_dict().items():
        if value.is_floating_point():
            low = 0.5 if key.endswith(("running_var", "weight")) and value.ndim == 1 else -0.1
            value.copy_(torch.rand(value.shape, generator=generator) * 0.2 + low)
    return net.eval()


# --- key layouts: the published networks, written down again as their authors arranged them ---


class PublishedIR(nn.Module):
    """AdaFace and face.evoLVe: `input_layer`, blocks numbered through in `body`, `output_layer`."""

    class Unit(nn.Module):
        def __init__(self, inputs, outputs, stride, middle):
            super().__init__()
            same = inputs == outputs
            self.shortcut_layer = (
                nn.MaxPool2d(1, stride)
                if same
                else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            )
            norm = [nn.BatchNorm2d(outputs)] if middle else []
            self.res_layer = nn.Sequential(
                nn.BatchNorm2d(inputs),
                nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
                *norm,
                nn.PReLU(outputs),
                nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )

        def forward(self, x):
            return self.shortcut_layer(x) + self.res_layer(x)

    def __init__(self, blocks, widths, side, embedding, middle, affine):
        super().__init__()
        first = widths[0]
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, first, 3, 1, 1, bias=False), nn.BatchNorm2d(first), nn.PReLU(first)
        )
        units, inputs = [], first
        for count, width in zip(blocks, widths, strict=True):
            for number in range(count):
                units.append(self.Unit(inputs, width, 2 if number == 0 else 1, middle))
                inputs = width
        self.body = nn.Sequential(*units)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Dropout(),
            nn.Flatten(),
            nn.Linear(inputs * (side // 16) ** 2, embedding),
            nn.BatchNorm1d(embedding, affine=affine),
        )

    def forward(self, x):
        return self.output_layer(self.body(self.input_layer(x)))


@pytest.mark.parametrize(("middle", "affine"), [(True, False), (False, True)], ids=["adaface", "evolve"])
def test_a_network_with_numbered_blocks_loads_and_answers_the_same(monkeypatch, middle, affine):
    widths, blocks = (4, 6, 8, 10), (2, 1, 3, 2)
    monkeypatch.setattr(iresnet, "WIDTHS", widths)
    config = IResNetConfig(blocks, embedding=5, side=32, plain_shortcut=True, middle_norm=middle)
    monkeypatch.setitem(architectures.IRESNETS, "tiny", config)
    published = randomized(PublishedIR(blocks, widths, 32, 5, middle, affine))
    state = {f"model.{key}": value for key, value in published.state_dict().items()}
    state["head.kernel"] = torch.zeros(3)  # the classifier that training leaves in the file
    spec = replace(TABLE["adaface-r18"], architecture="tiny")
    net = IResNet(config)
    architectures.fill(net, architectures.our_layout(spec, state), "test")
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(net.eval()(x), published(x))


class PublishedSphere(nn.Module):
    """SphereFace: `conv2_3`, `relu2_3`, ..., `fc5`, and the classifier `fc6`."""

    def __init__(self, blocks, widths, embedding):
        super().__init__()
        self.blocks, inputs = blocks, 3
        for stage, (count, width) in enumerate(zip(blocks, widths, strict=True), 1):
            for number in range(1, 2 * count + 2):
                stride = 2 if number == 1 else 1
                setattr(self, f"conv{stage}_{number}", nn.Conv2d(inputs, width, 3, stride, 1))
                setattr(self, f"relu{stage}_{number}", nn.PReLU(width))
                inputs = width
        self.fc5 = nn.Linear(inputs * 4, embedding)
        self.fc6 = nn.Linear(embedding, 3)

    def step(self, stage, number, x):
        return getattr(self, f"relu{stage}_{number}")(getattr(self, f"conv{stage}_{number}")(x))

    def forward(self, x):
        for stage, count in enumerate(self.blocks, 1):
            x = self.step(stage, 1, x)
            for number in range(2, 2 * count + 2, 2):
                x = x + self.step(stage, number + 1, self.step(stage, number, x))
        return self.fc5(x.flatten(1))


def test_sphereface_with_numbered_convolutions_loads_and_answers_the_same(monkeypatch):
    widths = (4, 6, 8, 10)
    monkeypatch.setattr(sphereface, "WIDTHS", widths)
    published = randomized(PublishedSphere((1, 2, 4, 1), widths, 5))
    net = SphereFace(SphereFaceConfig(height=32, width=32, embedding=5))
    architectures.fill(net, architectures.our_layout(TABLE["sphereface-20"], published.state_dict()), "test")
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(net.eval()(x), published(x))


def test_published_keys_of_insightface_and_cosface_are_ours():
    with torch.device("meta"):
        r18 = set(IResNet(architectures.IRESNETS["iresnet-r18"]).state_dict())
        cosface = set(SphereFace(architectures.SPHEREFACES["cosface-20"]).state_dict())
    assert {"conv1.weight", "layer1.0.downsample.1.running_var", "layer4.1.prelu.weight", "fc.bias"} <= r18
    assert {"layer1.0.bias", "layer1.1.weight", "layer3.5.conv2.weight", "fc.weight"} <= cosface
    assert "layer3.5.conv2.bias" not in cosface


@pytest.mark.parametrize(
    "name", [n for n, s in TABLE.items() if s.architecture not in architectures.WHOLE_FILES]
)
def test_every_row_of_the_table_can_be_built(name):
    spec = TABLE[name]
    with torch.device("meta"):
        net = architectures.build(spec).eval()
        x = torch.zeros(1, 3, spec.height, spec.width)
        assert net(x).shape == (1, spec.embedding)


def test_a_file_of_another_architecture_is_named(tmp_path):
    save_file(MobileFaceNet(MobileFaceNetConfig(112, 112)).state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"linear7\.conv\.weight"):
        recognizers.add("mobilefacenet-casia", tmp_path / "other.safetensors", folder=tmp_path / "cache")


# --- what a recognizer sees ---


class Recorder(nn.Module):
    def forward(self, x):
        self.seen = x
        return x.flatten(1)


def test_pixels_are_normalized_and_reordered():
    net = Recorder()
    spec = replace(TABLE["adaface-r18"], height=2, width=2)
    chips = torch.tensor([255.0, 127.5, 0.0])[None, :, None, None].expand(1, 3, 2, 2)
    embedding = Recognizer("x", spec, net).embed(chips)
    assert net.seen[0, :, 0, 0].tolist() == [-1, 0, 1]  # blue first
    assert float(embedding.norm()) == pytest.approx(1)
    Recognizer("x", replace(spec, channels="rgb", mean=0.0, scale=1.0), net).embed(chips)
    assert net.seen[0, :, 0, 0].tolist() == [255, 127.5, 0]


def test_a_chip_of_another_size_is_refused():
    with pytest.raises(UsageError, match="112, 96"):
        Recognizer("x", TABLE["sphereface-20"], Recorder()).embed(torch.zeros(1, 3, 112, 112))


def test_an_aligned_face_shows_each_landmark_at_its_place():
    template, landmarks = TEMPLATES["112x96"], np.array(TEMPLATES["112x96"]) * 3 + [40, 20]
    pixels = np.zeros((420, 400, 3), np.uint8)
    for x, y in landmarks.round().astype(int):
        pixels[y - 6 : y + 7, x - 6 : x + 7] = 255
    chip = chip_for(TABLE["sphereface-20"], pixels, landmarks)
    assert chip.shape == (112, 96, 3)
    assert all(chip[round(y), round(x)].min() > 200 for x, y in template)
    assert chip.mean() < 30


def test_the_sample_face_is_cut_for_every_row():
    for spec in TABLE.values():
        chip = sample_chip(spec)
        assert chip.shape == (1, 3, spec.height, spec.width)
        assert chip.std() > 30


# --- adding, loading, removing ---


@pytest.fixture
def mobile(tmp_path) -> Path:
    path = tmp_path / "mobile.safetensors"
    save_file(randomized(MobileFaceNet(MobileFaceNetConfig())).state_dict(), path)
    return path


def test_add_load_list_remove(tmp_path, mobile):
    cache = tmp_path / "cache"
    proof = recognizers.add("mine", mobile, arch="mobilefacenet-casia", folder=cache)
    assert proof.published is False
    assert abs(proof.mirror) < 1.001
    mobile.unlink()  # the cache has its own copy
    chip = sample_chip(TABLE["mobilefacenet-casia"]).requires_grad_()
    embedding = recognizers.load("mine", cache).embed(chip)
    embedding[0, 0].backward()
    assert embedding.shape == (1, 128)
    assert float(chip.grad.abs().max()) > 0
    assert list(recognizers.installed(cache)) == ["mine"]
    recognizers.remove("mine", cache)
    assert not list(cache.iterdir())
    with pytest.raises(UsageError):
        recognizers.remove("mine", cache)


def test_a_weights_file_altered_by_one_bit_is_refused_before_it_is_parsed(tmp_path, mobile, monkeypatch):
    recognizers.add("mine", mobile, arch="mobilefacenet-casia", folder=tmp_path)
    kept = tmp_path / "mine.safetensors"
    data = bytearray(kept.read_bytes())
    data[-1] ^= 1
    kept.write_bytes(data)
    monkeypatch.setattr("photoguard.recognizers.store.network", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(WeightsError, match="altered"):
        recognizers.load("mine", tmp_path)


def test_a_recognizer_that_is_not_there_says_where_to_get_it(tmp_path):
    with pytest.raises(WeightsError) as caught:
        recognizers.load("adaface-r50", tmp_path)
    assert "AdaFace" in caught.value.hint


def test_a_name_cannot_leave_the_cache_folder(tmp_path, mobile):
    with pytest.raises(UsageError):
        recognizers.add("../mine", mobile, arch="mobilefacenet-casia", folder=tmp_path)
    recognizers.add("mine", mobile, arch="mobilefacenet-casia", folder=tmp_path)
    card = tmp_path / "mine.json"
    card.write_text(card.read_text().replace("mine.safetensors", "../mine.safetensors"))
    with pytest.raises(WeightsError):
        recognizers.load("mine", tmp_path)


def test_weights_that_give_no_numbers_are_refused(tmp_path):
    state = MobileFaceNet(MobileFaceNetConfig()).state_dict()
    state["linear1.bn.weight"] = state["linear1.bn.weight"] * float("nan")
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(WeightsError, match="finite"):
        recognizers.add("mobilefacenet-casia", tmp_path / "nan.safetensors", folder=tmp_path / "cache")


# --- the one that ships ---

OURS = "photoguard-small"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """The shipped file in a folder where it may be altered."""
    entry = weights.SHIPPED[OURS]
    copy = tmp_path / entry.file
    copy.write_bytes(weights.located(entry, OURS).read_bytes())
    monkeypatch.setattr(weights, "FOLDERS", (tmp_path,))
    return copy


def test_the_shipped_recognizer_is_there_from_the_first_day_and_stays(tmp_path, mobile):
    assert recognizers.available(tmp_path) == [OURS]
    assert recognizers.load(OURS, tmp_path).spec == TABLE[OURS]
    with pytest.raises(UsageError, match="stays"):
        recognizers.remove(OURS, tmp_path)
    with pytest.raises(UsageError, match="ships"):
        recognizers.add(OURS, mobile, folder=tmp_path)
    recognizers.add("mine", mobile, arch="mobilefacenet-casia", folder=tmp_path)
    assert recognizers.available(tmp_path) == [OURS, "mine"]


def test_the_list_says_what_ships(photoguard):
    rows = [json.loads(line) for line in photoguard("recognizers", "list", "--json").stdout.splitlines()]
    assert {row["name"]: (row["shipped"], row["installed"]) for row in rows}[OURS] == (True, False)
    text = photoguard("recognizers", "list").stdout
    assert [line.split()[2] for line in text.splitlines() if line.startswith(OURS)] == ["shipped"]
    photoguard("recognizers", "remove", OURS, code=2)


@pytest.mark.parametrize("where", [0, 300, -1])
def test_one_altered_byte_of_the_shipped_file_is_refused_before_it_is_parsed(elsewhere, monkeypatch, where):
    data = bytearray(elsewhere.read_bytes())
    data[where] ^= 1
    elsewhere.write_bytes(bytes(data))
    monkeypatch.setattr(weights, "parsed", lambda *_: pytest.fail("parsed unchecked bytes"))
    with pytest.raises(WeightsError, match="not the file that was published") as caught:
        recognizers.load(OURS)
    assert caught.value.exit_code == 7


def test_the_shipped_file_is_small():
    entry = weights.SHIPPED[OURS]
    assert weights.located(entry, OURS).stat().st_size < 8e6


def test_the_shipped_recognizer_knows_a_face_again_and_tells_another_picture_apart():
    """NASA's portrait: its mirror image, a softer and a darker copy are near it; things and noise are not."""
    recognizer = recognizers.load(OURS)
    face = sample_chip(TABLE[OURS])
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(face.shape, generator=generator) * 255
    upside_down, soft = face.flip(2), nn.functional.avg_pool2d(face, 3, 1, 1)
    chips = torch.cat([face, face.flip(3), soft, face * 0.6, upside_down, noise])
    mirror, blurred, dark, turned, strange = (recognizer.embed(chips) @ recognizer.embed(face)[0])[
        1:
    ].tolist()
    assert min(mirror, blurred, dark) > 0.7
    assert max(turned, strange) < 0.5


def test_a_gradient_leads_one_picture_to_anothers_embedding():
    """What AVP does with it, in a few steps."""
    recognizer = recognizers.load(OURS)
    wanted = recognizer.embed(sample_chip(TABLE[OURS]))
    noise = torch.rand(1, 3, 112, 96, generator=torch.Generator().manual_seed(0)) * 255
    chip = noise.clone().requires_grad_()
    for _ in range(40):
        (gradient,) = torch.autograd.grad((recognizer.embed(chip) * wanted).sum(), chip)
        chip = (chip + 4 * gradient / gradient.abs().mean()).clamp(0, 255).detach().requires_grad_()
    assert (recognizer.embed(chip) * wanted).sum() > 0.9 > 0.5 > (recognizer.embed(noise) * wanted).sum()


def test_a_fused_network_answers_the_same():
    torch.manual_seed(0)
    net = randomized(CompactNet(CompactConfig()))
    x = torch.randn(2, 3, 112, 96)
    with torch.no_grad():
        before = net(x)
        together = fused(net)
        assert not [part for part in together.modules() if isinstance(part, nn.BatchNorm2d)]
        torch.testing.assert_close(together(x), before, rtol=1e-3, atol=1e-4)


# --- torch checkpoints ---


class Callback:
    """A training framework's own class, of the kind published checkpoints mention."""


def test_a_training_checkpoint_gives_its_tensors_and_none_of_its_objects(tmp_path):
    path = tmp_path / "epoch.ckpt"
    state = {"model.fc.weight": torch.ones(2, 2)}
    torch.save({"callbacks": {Callback: {"best": 1}}, "args": Callback(), "state_dict": state}, path)
    assert list(read_state(path)) == ["model.fc.weight"]


class Bomb:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("call", [eval, os.system, Path.touch])
def test_nothing_a_checkpoint_names_is_called(tmp_path, call):
    mark = tmp_path / "called"
    argument = {eval: f"open({str(mark)!r}, 'w')", os.system: f"touch {mark}", Path.touch: mark}[call]
    torch.save({"bomb": Bomb(call, argument), "weight": torch.ones(1)}, tmp_path / "bomb.pt")
    with contextlib.suppress(WeightsError):
        read_state(tmp_path / "bomb.pt")
    assert not mark.exists()


def test_a_file_that_is_no_checkpoint_is_our_error(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(WeightsError):
        read_state(tmp_path / "x.pt")
    torch.save({"a": 1}, tmp_path / "empty.pt")
    with pytest.raises(WeightsError, match="no tensors"):
        read_state(tmp_path / "empty.pt")


# --- TorchScript and ONNX ---


class Tiny(nn.Module):
    def __init__(self, cut: bool = False):
        super().__init__()
        self.fc, self.cut = nn.Linear(3 * 16 * 16, 8), cut

    def forward(self, x):
        y = self.fc(x.flatten(1))
        return y.detach() if self.cut else y


def traced(path: Path, cut: bool = False) -> Path:
    torch.jit.trace(Tiny(cut).eval(), torch.zeros(1, 3, 16, 16)).save(str(path))
    return path


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_torchscript_file_is_known_by_its_content(tmp_path):
    path = traced(tmp_path / "tiny.pt")
    assert route(path) == "torchscript"
    proof = recognizers.add("tiny", path, arch="edgeface-xs", changes=SMALL, folder=tmp_path / "cache")
    assert proof.entry.spec.embedding == 8
    assert recognizers.load("tiny", tmp_path / "cache").embed(torch.rand(3, 3, 16, 16) * 255).shape == (3, 8)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_model_without_gradient_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="gradient"):
        recognizers.add(
            "tiny", traced(tmp_path / "t.pt", cut=True), arch="edgeface-xs", changes=SMALL, folder=tmp_path
        )


def onnx_file(path: Path, operator: str = "Flatten", domain: str = "", batch: int | str = "n") -> Path:
    onnx = pytest.importorskip("onnx")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    matrix = np.random.default_rng(0).normal(size=(768, 8)).astype(np.float32)
    nodes = [
        helper.make_node(operator, ["x"], ["flat"], domain=domain),
        helper.make_node("MatMul", ["flat", "matrix"], ["y"]),
    ]
    if batch == 1:  # an export that wrote its batch size down
        shape = onnx.numpy_helper.from_array(np.array([1, 768]), "shape")
        nodes[0] = helper.make_node("Reshape", ["x", "shape"], ["flat"])
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", number, [batch, 3, 16, 16])],
        [helper.make_tensor_value_info("y", number, [batch, 8])],
        [onnx.numpy_helper.from_array(matrix, "matrix"), *([shape] if batch == 1 else [])],
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize("batch", ["n", 1])
def test_an_onnx_file_converts_and_embeds_batches(tmp_path, batch):
    path = onnx_file(tmp_path / "tiny.onnx", batch=batch)
    proof = recognizers.add("tiny", path, arch="mobilefacenet-112", changes=SMALL, folder=tmp_path / "cache")
    assert proof.entry.one_by_one == (batch == 1)
    chips = torch.rand(3, 3, 16, 16) * 255
    recognizer = recognizers.load("tiny", tmp_path / "cache")
    together = recognizer.embed(chips)
    torch.testing.assert_close(together[2:], recognizer.embed(chips[2:]))


@pytest.mark.parametrize(("operator", "domain"), [("Flatten", "com.example"), ("Det", "")])
def test_an_operator_that_does_not_convert_is_named(tmp_path, operator, domain):
    path = onnx_file(tmp_path / "odd.onnx", operator=operator, domain=domain)
    with pytest.raises(WeightsError, match=operator):
        recognizers.add("odd", path, arch="mobilefacenet-112", changes=SMALL, folder=tmp_path / "cache")


def test_a_broken_onnx_file_is_our_error(tmp_path):
    pytest.importorskip("onnx")
    (tmp_path / "broken.onnx").write_bytes(b"\x08\x07\x12broken")
    with pytest.raises(WeightsError):
        recognizers.add(
            "broken", tmp_path / "broken.onnx", arch="mobilefacenet-112", folder=tmp_path / "cache"
        )


# --- the real ones ---

REAL = {
    "mobilefacenet-casia": ("mobilefacenet_casia_112x96.safetensors", 0.985),
    "mobilefacenet-112": ("mobilefacenet_112_rgb255.onnx", 0.995),
    "edgeface-xs": ("edgeface_xs_112.torchscript.pt", 0.995),
}


@pytest.fixture(scope="session")
def lfw_landmarks(tmp_path_factory):
    """Finding landmarks takes longer than the networks that use them: once for all."""
    return tmp_path_factory.mktemp("landmarks")


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
def test_a_real_recognizer_recognizes(tmp_path, lfw_landmarks, name):
    """Two folds of LFW; docs/development/recognizers.md has all ten."""
    if "PHOTOGUARD_DATA" not in os.environ:
        pytest.skip("PHOTOGUARD_DATA does not name the folder with the real data")
    if name == "mobilefacenet-112":
        pytest.importorskip("onnx2torch")
    from photoguard.evaluate.common.check import check

    data = Path(os.environ["PHOTOGUARD_DATA"])
    file, figure = REAL[name]
    recognizers.add(name, data / "recognizers" / file, folder=tmp_path)
    found = check(name, data / "lfw.zip", folds=2, cache=lfw_landmarks, folder=tmp_path)
    assert found.accuracy.value > figure - 0.015  # a point, and what 1,200 pairs are uncertain by

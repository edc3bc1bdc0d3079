"""The recognizers photoguard knows: what each wants to see, and where its weights are to be had."""

from __future__ import annotations

from dataclasses import dataclass

from photoguard.photos.geometry import TEMPLATE_112X96, TEMPLATE_112X112

SHIPPED = "photoguard-small"  # comes with photoguard, and is taken where none is named


@dataclass(frozen=True)
class Spec:
    """One row: a recognizer's network, its input and its source.

    A pixel p of 0..255 reaches the network as (p - mean) / scale, in the order `channels`, on a chip of
    height x width whose face was warped to `template`. `scale` 1 and `mean` 0 leave pixels as they are.
    """

    name: str
    architecture: str
    height: int
    width: int
    mean: float
    scale: float
    channels: str  # "rgb" or "bgr"
    template: str  # a key of TEMPLATES
    embedding: int
    source: str
    licence: str
    sha256: str = ""  # of the file that photoguard was tried with, where there is one


# Where the landmarks (eyes, nose, corners of the mouth; x, y) come to lie, in pixels of the chip. The first
# two are the same face on chips of different width.
TEMPLATES: dict[str, tuple[tuple[float, float], ...]] = {
    "112x96": TEMPLATE_112X96,
    "112x112": TEMPLATE_112X112,
    # FaceNet was trained on detector boxes with a margin rather than on aligned faces: this is where the
    # landmarks of such a box lie on average.
    "160x160": ((55.0, 60.3), (104.7, 60.0), (80.0, 88.6), (59.6, 117.7), (100.7, 117.5)),
}

_INSIGHTFACE = "insightface model zoo, recognition/arcface_torch: backbone.pth of "
_INSIGHTFACE_LICENCE = "code MIT; weights for non-commercial research only"
_ADAFACE = "github.com/mk-minchul/AdaFace, table of pretrained models: "
_FACENET = "github.com/timesler/facenet-pytorch, release v2.2.9: "


def _arcface(name: str, depth: str, file: str) -> Spec:
    return Spec(
        name=name,
        architecture=f"iresnet-{depth}",
        height=112,
        width=112,
        mean=127.5,
        scale=127.5,
        channels="rgb",
        template="112x112",
        embedding=512,
        source=_INSIGHTFACE + file,
        licence=_INSIGHTFACE_LICENCE,
    )


def _adaface(depth: str, file: str) -> Spec:
    return Spec(
        name=f"adaface-{depth}",
        architecture=f"adaface-{depth}",
        height=112,
        width=112,
        mean=127.5,
        scale=127.5,
        channels="bgr",
        template="112x112",
        embedding=512,
        source=_ADAFACE + file,
        licence="MIT; trained on sets for non-commercial research",
    )


def _facenet(name: str, file: str) -> Spec:
    return Spec(
        name=name,
        architecture="inception-resnet-v1",
        height=160,
        width=160,
        mean=127.5,
        scale=128.0,
        channels="rgb",
        template="160x160",
        embedding=512,
        source=_FACENET + file,
        licence="MIT; trained on sets for non-commercial research",
    )


_SPECS = (
    _arcface("arcface-r18", "r18", "ms1mv3_arcface_r18_fp16"),
    _arcface("arcface-r50", "r50", "ms1mv3_arcface_r50_fp16"),
    _arcface("arcface-r100", "r100", "ms1mv3_arcface_r100_fp16"),
    _arcface("cosface-r18", "r18", "glint360k_cosface_r18_fp16_0.1"),
    _arcface("cosface-r50", "r50", "glint360k_cosface_r50_fp16_0.1"),
    _arcface("cosface-r100", "r100", "glint360k_cosface_r100_fp16_0.1"),
    _adaface("r18", "R18 (CASIA-WebFace, VGGFace2 or WebFace4M)"),
    _adaface("r50", "R50 (CASIA-WebFace, WebFace4M or MS1MV2)"),
    _adaface("r100", "R100 (MS1MV2, MS1MV3, WebFace4M or WebFace12M)"),
    Spec(
        name="arcface-ir50",
        architecture="ir-50",
        height=112,
        width=112,
        mean=127.5,
        scale=128.0,
        channels="rgb",
        template="112x112",
        embedding=512,
        source="github.com/ZhaoJ9014/face.evoLVe, model zoo: IR-50",
        licence="MIT; trained on sets for non-commercial research",
    ),
    Spec(
        name="sphereface-20",
        architecture="sphereface-20",
        height=112,
        width=96,
        mean=127.5,
        scale=128.0,
        channels="bgr",
        template="112x96",
        embedding=512,
        source="github.com/clcarwin/sphereface_pytorch: model/sphere20a_20171020.pth",
        licence="MIT; trained on CASIA-WebFace, non-commercial research",
    ),
    Spec(
        name="cosface-20",
        architecture="cosface-20",
        height=112,
        width=96,
        mean=127.5,
        scale=127.5,
        channels="rgb",
        template="112x96",
        embedding=512,
        source="github.com/MuggleWang/CosFace_pytorch: ACC99.28.pth",
        licence="MIT; trained on CASIA-WebFace, non-commercial research",
    ),
    Spec(
        name="mobilefacenet-casia",
        architecture="mobilefacenet",
        height=112,
        width=96,
        mean=127.5,
        scale=128.0,
        channels="rgb",
        template="112x96",
        embedding=128,
        source="github.com/Xiaoccer/MobileFaceNet_Pytorch: model/best/068.ckpt",
        licence="the repository states none; trained on CASIA-WebFace, non-commercial research",
        sha256="ecf6c1bd879de673cc20ba069551620e6f9ff6c59a2d4565ba360690a7bc5b75",
    ),
    Spec(
        name="mobilefacenet-112",
        architecture="onnx",
        height=112,
        width=112,
        mean=0.0,
        scale=1.0,
        channels="rgb",
        template="112x112",
        embedding=128,
        source="an ONNX export of a MobileFaceNet that takes RGB pixels of 0..255",
        licence="see where you got it",
        sha256="aec9261a73b84fbe2ea0d7311cf7f2bcd238a8011d26eb9ba28449189795b0e7",
    ),
    Spec(
        name="edgeface-xs",
        architecture="torchscript",
        height=112,
        width=112,
        mean=127.5,
        scale=127.5,
        channels="rgb",
        template="112x112",
        embedding=512,
        source="github.com/otroshi/edgeface: EdgeFace-XS, exported with torch.jit.trace",
        licence="BSD-3-Clause",
        sha256="34bb8f5d9a4ea309befb28076cfc2e780ce3f3ba27e021ea331446ca533855ce",
    ),
    Spec(
        name=SHIPPED,
        architecture="photoguard",
        height=112,
        width=96,
        mean=127.5,
        scale=128.0,
        channels="rgb",
        template="112x96",
        embedding=256,
        source="ships with photoguard: weights/README.md",
        licence="MIT; trained on sets for non-commercial research",
    ),
    _facenet("facenet-vggface2", "20180402-114759-vggface2.pt"),
    _facenet("facenet-casia", "20180408-102900-casia-webface.pt"),
)

TABLE: dict[str, Spec] = {spec.name: spec for spec in _SPECS}

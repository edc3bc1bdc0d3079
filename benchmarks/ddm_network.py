"""Measure the shipped DDM network against its targets, on people that it was not trained on.

    python benchmarks/ddm_network.py --data utkface.zip --hold-out 1000 --data FACE_CROPS --hold-out 10

Faces are those that `photoguard train ddm` holds out with the same --data and --hold-out. All is measured
on 8-bit pictures, from maps that went through their packed form.
"""

from __future__ import annotations

import argparse
import json
import secrets
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from photoguard.methods.ddm.maps import Codes, pack_maps, unpack_maps
from photoguard.nets import ddm as nets
from photoguard.train import loop
from photoguard.train.data import Reader, Source, faces_at, split_by_name
from photoguard.weights import load_ddm, load_trained_ddm


def saved(image: Tensor) -> Tensor:
    """The image as its 8-bit file holds it."""
    return (image.clamp(0, 1) * 255).round() / 255


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean SSIM over channels with the usual 11x11 Gaussian window: (B, 3, H, W) -> (B,)."""
    line = torch.exp(-((torch.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    line = line / line.sum()
    window = (line[:, None] * line).expand(3, 1, 11, 11)

    def mean(x: Tensor) -> Tensor:
        return F.conv2d(x, window, groups=3)

    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    score = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))
    return score.mean((1, 2, 3))


def through_bytes(public: Tensor) -> tuple[Tensor, list[int]]:
    """The public maps after packing and unpacking, and the packed sizes."""
    arrays = [part.numpy() for part in nets.quantise(public)]
    packed = [pack_maps(Codes(*(part[i] for part in arrays))) for i in range(len(public))]
    back = [unpack_maps(data) for data in packed]
    parts = [np.stack([getattr(codes, name) for codes in back]) for name in ("codes", "low", "step")]
    return nets.dequantise(*(torch.from_numpy(part) for part in parts)), [len(data) for data in packed]


@torch.inference_mode()
def quality(network: nets.DDM, x: Tensor) -> dict[str, float]:
    """What the owner and what a stranger gets, for faces of one size."""
    sums: dict[str, list[Tensor]] = {}
    covers = []
    sizes: list[int] = []
    for face in x.split(8):
        public, private = network.encode(face)
        public, packed = through_bytes(public)
        private = private.half().float()
        sizes += packed
        fresh = nets.fake_private(private, secrets.token_bytes(4 * private.numel()), network.config)
        wrong = {
            "cover": fresh,
            "zeros": torch.zeros_like(private),
            "mean": private.mean().expand_as(private),
            "other": private.roll(1, 0),
        }
        restored = network.decode(public, private)
        sums.setdefault("recovered_db", []).append(loop.psnr(restored, face))
        for name, fake in wrong.items():
            cover = saved(network.decode(public, fake))
            sums.setdefault(f"{name}_db", []).append(loop.psnr(cover, face))
            if name == "cover":
                covers.append(cover)
                sums.setdefault("cover_ssim", []).append(ssim(cover, face))
    cover = torch.cat(covers)
    result = {name: round(torch.cat(values).mean().item(), 4) for name, values in sums.items()}
    result["cover_db_worst"] = round(torch.cat(sums["cover_db"]).max().item(), 2)
    result["covers_differ_of_255"] = round(((cover - cover.roll(1, 0)).abs().mean() * 255).item(), 4)
    result["public_bytes"] = round(float(np.mean(sizes)))
    result["private_bytes"] = 2 * nets.private_values(private, network.config).shape[1]
    return result


@torch.inference_mode()
def milliseconds(network: nets.DDM, side: int, repeats: int = 15) -> float:
    """Median time of what encrypting one face asks of the network: encode, and decode the cover."""
    x = torch.rand(1, 3, side, side)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        public, private = network.encode(x)
        network.decode(public, private)
        times.append(1000 * (time.perf_counter() - start))
    return round(float(np.median(times)), 1)


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--hold-out", type=int, action="append", default=[])
    parser.add_argument("--sides", type=int, nargs="*", default=[64, 96, 128, 256, 512])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument(
        "--weights", type=Path, help="instead of the shipped ones; with weights.json beside it"
    )
    parser.add_argument("--native", action="store_true", help="leave out pictures smaller than the side")
    given = parser.parse_args()
    torch.set_flush_denormal(True)
    network = load_ddm()
    if given.weights:
        published = json.loads((given.weights.parent / "weights.json").read_text())
        network = load_trained_ddm(given.weights, published["sha256"])
    for path, hold_out in zip(given.data, given.hold_out, strict=True):
        reader = Reader(split_by_name((Source(path, hold_out),))[1])
        for side in given.sides:
            used = reader
            if given.native:
                big = [n for n in range(len(reader.pictures)) if min(reader.read(n).shape[:2]) >= side]
                used = Reader([reader.pictures[n] for n in big])
            if used.pictures:
                x = loop.as_tensor(faces_at(used, side, given.count), torch.device("cpu"))
                row = {"data": path.name, "side": side, "faces": len(x)} | quality(network, x)
                print(json.dumps(row), flush=True)
    print(json.dumps({f"ms_{side}": milliseconds(network, side) for side in (128, 512)}))


if __name__ == "__main__":
    main()

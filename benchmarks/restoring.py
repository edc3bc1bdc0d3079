"""Bytes and fidelity of what comes back: python -m benchmarks.restoring DATA > docs/results/restoring.md.

DATA holds lfw.zip (200 x 200 pixels a photo; no network of the tool learned from it) and photos/portraits.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from photoguard import protect
from photoguard.datasets.pictures import Pixels, Reader, Source, listed
from photoguard.evaluate.common.metrics import psnr
from photoguard.methods import Settings, method
from photoguard.photos import images

FACES = 50
LARGE = 512  # pixels on the longer side: larger faces go through the network at this size
WAYS = {
    "default": ("ddm", Settings()),
    "`--compact`": ("ddm", Settings(compact=True)),
    "`--quality 45`": ("ddm", Settings(quality=45)),
    "`--exact`": ("ddm", Settings(exact=True)),
    "`--method solid`": ("solid", Settings()),
}
PAGE = """# What restored faces are worth, and what they cost

Written by `python -m benchmarks.restoring DATA`, on one core. PSNR is over a face's pixels at their own
resolution; an equal face counts as 100 dB. Bytes are those of the public and of the private part before
encryption, the mean of all faces. *Private* is the share that lies in the private file. *Lossless* counts
faces for which WebP's residual did not reach the quality, so that the patch itself was sealed.

By default faces come back with at least 42 dB, large ones at their own size. `ddm` keeps the split of the
paper: maps, a private share of them, and a residual on top. A plain WebP of the same quality is about half
as large (last line): the maps are no better a code than WebP, and the residual has to repair them. The
public picture is a PNG of the whole photo, so that this is a small part of what is shared. Where it counts
(`--portable`, many faces), `--method solid --look pattern` shows the same cover and seals a WebP alone.
"""
HEAD = """
| | mean PSNR | lowest | bytes | private | lossless | seconds a face |
|---|--:|--:|--:|--:|--:|--:|"""


def crops(data: Path) -> list[Pixels]:
    """Photos of LFW, spread over all people."""
    found = listed(Source(data / "lfw.zip"))
    return [
        Reader(found[at :: len(found)]).read(0) for at in np.linspace(0, len(found) - 1, FACES, dtype=int)
    ]


def large(data: Path) -> list[Pixels]:
    """The covered patches of portraits, where they are large."""
    found: list[Pixels] = []
    for path in sorted((data / "photos" / "portraits").iterdir()):
        photo = images.decode(path.read_bytes(), path.name)
        for face in protect.find(photo, protect.Options()):
            box = face.box.grown(protect.MARGIN).clipped(photo.width, photo.height)
            if max(box.shape) > LARGE:
                found.append(photo.shallow()[box.window].copy())
    return found


def row(name: str, faces: Sequence[Pixels]) -> str:
    """One line of a table."""
    way, settings = WAYS[name]
    start = time.process_time()
    parts = [method(way).seal(way, [face], settings)[0] for face in faces]
    seconds = (time.process_time() - start) / len(faces)
    back = [method(way).reveal(way, [part])[0] for part in parts]
    each = [min(psnr(after, before), 100.0) for after, before in zip(back, faces, strict=True)]
    private = np.mean([len(part.private) for part in parts])
    total = np.mean([len(part.public) for part in parts]) + private
    lossless = sum(part.public[:1] == b"W" for part in parts) if way == "ddm" else 0
    shown = ["equal"] * 2 if settings.exact else [f"{np.mean(each):.1f}", f"{min(each):.1f}"]
    cells = [name, *shown, f"{total:,.0f}", f"{private:,.0f}", f"{lossless}", f"{seconds:.3f}"]
    return f"| {' | '.join(cells)} |"


def webp_alone(faces: Sequence[Pixels], least: float = 42) -> str:
    """The line of the smallest WebP of each face that reaches the default's quality, as a measure."""
    sizes, reached = [], []
    for face in faces:
        for quality in range(60, 101):
            data = cv2.imencode(".webp", face[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
            shown = psnr(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1], face)
            if shown >= least:
                break
        sizes.append(len(data))
        reached.append(shown)
    cells = [
        "WebP alone, at 42 dB",
        f"{np.mean(reached):.1f}",
        f"{min(reached):.1f}",
        f"{np.mean(sizes):,.0f}",
    ]
    return f"| {' | '.join([*cells, '', '', ''])} |"


def main() -> None:
    """Print docs/results/restoring.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    print(PAGE)
    for title, faces in (("held-out photos of LFW", crops(data)), ("large faces of portraits", large(data))):
        side = np.median([max(face.shape[:2]) for face in faces])
        print(f"## {len(faces)} {title}, {side:.0f} pixels\n{HEAD}")
        method("ddm").seal("ddm", [faces[0]], Settings())  # loads the network
        for name in WAYS:
            print(row(name, faces), flush=True)
        print(webp_alone(faces))
        print()


if __name__ == "__main__":
    main()

"""Face detection beside facenet-pytorch's and deface's: recall, false covers, time and memory, in one run.

    python -m benchmarks.detection --data FOLDER --markdown docs/results/detection.md

The data folder (or the environment variable PHOTOGUARD_DATA) holds lfw.zip, wild.zip,
things.zip, photos/ and, if there is one, the hard set in hard/.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.random import default_rng

from benchmarks import hard_run, photos
from benchmarks.detectors import (
    BASELINE,
    DEFACE,
    DEFAULT,
    THOROUGH,
    Detector,
    covers,
    detectors,
    overlap,
    scored,
)
from benchmarks.scenes import LFW_FACE, MIDDLE, Recipe, Scene, Source, make

SIZES_2MP = (20, 24, 28, 32, 40, 48, 64, 96, 140, 200, 280)
SIZES_12MP = (20, 24, 24, 28, 32, 40, 48, 64, 96, 140, 200, 300, 600)
CONDITIONS = {  # scenes of 1600 x 1200: angles, cover, brightness
    "upright": ((0,), "none", 1.0),
    "turned by 15": ((15, -15), "none", 1.0),
    "turned by 45": ((45, -45), "none", 1.0),
    "turned by 90": ((90,), "none", 1.0),
    "turned by 180": ((180,), "none", 1.0),
    "each turned its own way": ((0, 90, 180, 270), "none", 1.0),
    "bar over the eyes": ((0,), "bar", 1.0),
    "lower half masked": ((0,), "mask", 1.0),
    "dark (x 0.3)": ((0,), "none", 0.3),
    "bright (x 1.7)": ((0,), "none", 1.7),
}


@dataclass
class Tally:
    """Hits and tries by condition, by detector."""

    counts: dict[str, dict[str, list[bool]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )

    def add(self, condition: str, detector: str, hit: bool) -> None:
        """One labelled face."""
        self.counts[condition][detector].append(hit)

    def recall(self, conditions: list[str], detector: str) -> float:
        """Of all faces under these conditions."""
        hits = [hit for condition in conditions for hit in self.counts[condition][detector]]
        return float(np.mean(hits)) if hits else float("nan")

    def rows(self) -> list[list[str]]:
        """A table row a condition."""
        return [
            [condition, str(len(by[DEFAULT])), *(_share(by[name]) for name in (BASELINE, DEFAULT, THOROUGH))]
            for condition, by in self.counts.items()
        ]


def main() -> None:
    """Measure everything, print it, and write it into a document when asked to."""
    parser = argparse.ArgumentParser(description="Measure face detection beside facenet-pytorch's.")
    parser.add_argument("--data", type=Path, default=os.environ.get("PHOTOGUARD_DATA"), help="data folder")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the photos, a sixth of the hard set: rough figures"
    )
    parser.add_argument("--hard", action="store_true", help="the hard set alone")
    parser.add_argument("--seed", type=int, default=3, help="of the scene generator")
    parser.add_argument("--markdown", type=Path, help="document whose measured part is replaced")
    options = parser.parse_args()
    if options.data is None:
        parser.error("name the data folder with --data or PHOTOGUARD_DATA")
    picture = options.markdown.parent / "images" / "detection-curves.png" if options.markdown else None
    parts = {}
    if (options.data / "hard").is_dir():
        parts["hard"] = hard_section(options.data, 6 if options.quick else 1, picture)
    if not options.hard:
        parts["measured"] = measure(options.data, options.quick, options.seed)
    for part, text in parts.items():
        print(text)
        if options.markdown:
            _write(options.markdown, part, text)


def measure(data: Path, quick: bool, seed: int) -> str:
    """Scenes, easy photos, time and memory as Markdown, the targets first."""
    source, found = Source(data), detectors()
    threads, load = torch.get_num_threads(), os.getloadavg()[0]
    _say("time")
    deface = scored()[DEFACE]
    timing = time_12mp({**found, DEFACE: lambda pixels: deface.find(pixels)[0]}, source, seed)
    _say("memory")
    memory = memory_48mp(source, seed)
    torch.set_num_threads(1)  # beside other programs torch's own threads mostly wait for each other
    _say("scenes")
    large = scenes_12mp(found, source, 2 if quick else 6, seed)
    tally = scenes_2mp(found, source, 1 if quick else 8, seed)
    _say("real photos")
    lfw = real_faces(found, data, 20 if quick else 1)
    wild = wild_faces(found, data, 20 if quick else 1)
    _say("face-free photos")
    free = face_free(found, data, 10 if quick else 1)
    torch.set_num_threads(threads)
    parts = [
        f"Machine: {threads} cores, {platform.machine()}, torch {torch.__version__}; seed {seed}"
        + f"; load at the start {load:.1f} and at the end {os.getloadavg()[0]:.1f}"
        + (", quick run" if quick else ""),
        _targets(timing, memory, large, tally, lfw, free),
        "### Time for a scene of 12 megapixels\n\n" + _time_table(timing),
        "### Scenes of 12 megapixels, upright faces by height\n\n" + _recall_table(large),
        "### Scenes of 2 megapixels, faces of 20 to 280 pixels\n\n" + _recall_table(tally),
        "### Real photos\n\n" + _recall_table(lfw) + "\n\n" + _recall_table(wild),
        "### False covers on face-free photos\n\n" + _false_table(free),
        "### 48 megapixels\n\n" + _memory_table(memory),
    ]
    return "\n\n".join(parts)


def _say(section: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} measuring: {section}", file=sys.stderr, flush=True)


def time_12mp(found: dict[str, Detector], source: Source, seed: int) -> dict[str, tuple[float, float]]:
    """Best seconds of three rounds, the detectors by turns: with all cores, then with one thread each."""
    scene = make(Recipe(4000, 3000, SIZES_12MP), source, default_rng(seed))
    threads = torch.get_num_threads()
    best: dict[tuple[str, int], float] = {}
    for count in (threads, 1):
        torch.set_num_threads(count)
        for _ in range(3):
            for name, find in found.items():
                start = time.perf_counter()
                find(scene.pixels)
                spent = time.perf_counter() - start
                best[name, count] = min(best.get((name, count), spent), spent)
    torch.set_num_threads(threads)
    return {name: (best[name, threads], best[name, 1]) for name in found}


def memory_48mp(source: Source, seed: int) -> dict[str, dict[str, float]]:
    """Peak memory of whole processes, the library and the photo included."""
    scene = make(Recipe(8000, 6000, (48, 64, 100, 200, 600, 1200)), source, default_rng(seed))
    answers = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.npy"
        np.save(path, scene.pixels)
        for name, extra in ((DEFAULT, []), (THOROUGH, ["--thorough"])):
            command = [sys.executable, "-m", "benchmarks.peak", str(path), *extra]
            answers[name] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return answers


def scenes_12mp(found: dict[str, Detector], source: Source, count: int, seed: int) -> Tally:
    """Upright faces of 20 to 600 pixels."""
    tally, random = Tally(), default_rng(seed + 1)
    for _ in range(count):
        scene = make(Recipe(4000, 3000, SIZES_12MP), source, random)
        for name, find in found.items():
            boxes = find(scene.pixels)
            for face in scene.faces:
                tally.add(_size_class(face.size), name, covers(face.square, boxes))
    return tally


def scenes_2mp(found: dict[str, Detector], source: Source, count: int, seed: int) -> Tally:
    """Everything that can happen to a face."""
    tally, random = Tally(), default_rng(seed + 2)
    for condition, (angles, cover, brightness) in CONDITIONS.items():
        for _ in range(count):
            scene = make(Recipe(1600, 1200, SIZES_2MP, angles, cover, brightness), source, random)
            for name, find in found.items():
                _add_scene(tally, condition, name, scene, find)
    return tally


def _add_scene(tally: Tally, condition: str, name: str, scene: Scene, find: Detector) -> None:
    boxes = find(scene.pixels)
    for face in scene.faces:
        tally.add(condition, name, covers(face.square, boxes))


def real_faces(found: dict[str, Detector], data: Path, step: int) -> Tally:
    """LFW: photoguard on all, the baseline on every tenth, --thorough there and where the default missed."""
    tally, archive = Tally(), data / "lfw.zip"
    half = (LFW_FACE[3] - LFW_FACE[1]) / 2
    square = (MIDDLE[0] - half, MIDDLE[1] - half, MIDDLE[0] + half, MIDDLE[1] + half)
    for number, name in enumerate(photos.names(archive)[::step]):
        pixels = photos.read(archive, name)
        hit = _near(square, found[DEFAULT](pixels))
        tally.add("LFW, labelled face", DEFAULT, hit)
        if number % 10 == 0:
            tally.add("LFW, labelled face", BASELINE, _near(square, found[BASELINE](pixels)))
        if number % 10 == 0 or not hit:
            tally.add("LFW, labelled face", THOROUGH, _near(square, found[THOROUGH](pixels)))
        else:
            tally.add("LFW, labelled face", THOROUGH, True)
    return tally


def _near(square: tuple[float, float, float, float], boxes: np.ndarray) -> bool:
    """Faces of LFW lie and measure only roughly as their median does."""
    return bool((overlap(square, boxes) > 0.2).any())


def wild_faces(found: dict[str, Detector], data: Path, step: int) -> Tally:
    """CelebA photos as taken, each of somebody; where the face is nobody has written down."""
    tally, archive = Tally(), data / "wild.zip"
    for name in photos.names(archive)[:: 4 * step]:
        pixels = photos.read(archive, name)
        for detector, find in found.items():
            tally.add("in the wild, any face", detector, len(find(pixels)) > 0)
    return tally


def face_free(found: dict[str, Detector], data: Path, step: int) -> dict[str, tuple[int, int, int, int]]:
    """False covers and photos: on the half that nothing was tuned on, and on the tuning half."""
    counts = {name: [0, 0, 0, 0] for name in found}
    for number, (_, pixels) in enumerate(photos.face_free(data)):
        if number // 2 % step:
            continue
        for name, find in found.items():
            half = 2 * (number % 2)
            counts[name][half] += len(find(pixels))
            counts[name][half + 1] += 1
    return {name: (c[0], c[1], c[2], c[3]) for name, c in counts.items()}


def hard_section(data: Path, step: int, picture: Path | None) -> str:
    """The hard set: a table, the curves, and recall where all may cover equally much that is no face."""
    _say("hard photos")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    done = hard_run.run(scored(), data, step)
    torch.set_num_threads(threads)
    parts = [f"{len(done.faces)} labelled photos and crops, {done.free} photos without faces."]
    parts.append(_table(["", "faces", *done.results], hard_run.rows(done)))
    if picture:
        hard_run.draw(done, picture)
        parts.append(f"![Recall against false covers](images/{picture.name})")
    head = ["false covers a face-free photo, at most", *(f"recall, {name}" for name in done.results)]
    parts.append(_table(head, hard_run.recall_within(done, (0.02, 0.05, 0.1, 0.16, 0.2))))
    return "\n\n".join(parts)


def _size_class(size: int) -> str:
    """Below 24, 24 to 31, 32 to 63, 64 and more."""
    limits = ((24, "20 to 23"), (32, "24 to 31"), (64, "32 to 63"))
    return next((label for limit, label in limits if size < limit), "64 to 600")


def _targets(
    timing: dict[str, tuple[float, float]],
    memory: dict[str, dict[str, float]],
    large: Tally,
    tally: Tally,
    lfw: Tally,
    free: dict[str, tuple[int, int, int, int]],
) -> str:
    columns = (BASELINE, DEFAULT, THOROUGH)

    def recall(source: Tally, *conditions: str) -> list[str]:
        return [f"{source.recall(list(conditions), name):.4f}" for name in columns]

    base = timing[BASELINE][0]
    free_rates = [f"{free[name][0] / max(free[name][1], 1):.3f}" for name in columns]
    peaks = ["", *(f"{memory[name]['peak_gb']:.2f} GB" for name in columns[1:])]
    rows = [
        ["time at 12 MP", *(f"{timing[name][0] / base:.3f}" for name in columns), "1/4; 1/2"],
        [
            "recall, upright >= 24 px, 12 MP",
            *recall(large, "24 to 31", "32 to 63", "64 to 600"),
            ">= r; 0.99",
        ],
        ["recall at 90 and 180", *recall(tally, "turned by 90", "turned by 180"), "0.90; 0.97"],
        ["recall, lower half masked", *recall(tally, "lower half masked"), ">= r; 0.90"],
        ["LFW, labelled face", *recall(lfw, "LFW, labelled face"), "0.999; 0.9995"],
        ["false covers a photo", *free_rates, "<= f; reported"],
        ["peak memory at 48 MP", *peaks, "1.2 GB; 1.5 GB"],
    ]
    return _table(["", *columns, "target (default; thorough)"], rows)


def _time_table(timing: dict[str, tuple[float, float]]) -> str:
    base = timing[BASELINE]
    rows = [
        [
            name,
            f"{all_:.2f}",
            f"{all_ / base[0]:.3f}",
            f"{one:.2f}",
            f"{one / base[1]:.3f}",
            f"{all_ / 12:.3f}",
        ]
        for name, (all_, one) in timing.items()
    ]
    head = [
        "",
        "seconds, all cores",
        "ratio",
        "seconds, one thread",
        "ratio",
        "seconds per megapixel, all cores",
    ]
    return _table(head, rows)


def _memory_table(memory: dict[str, dict[str, float]]) -> str:
    rows = [[name, f"{m['seconds']:.1f}", f"{m['peak_gb']:.2f} GB"] for name, m in memory.items()]
    return _table(["", "seconds, networks' start included", "peak of the whole process"], rows)


def _recall_table(tally: Tally) -> str:
    return _table(["", "faces", BASELINE, DEFAULT, THOROUGH], tally.rows())


def _false_table(free: dict[str, tuple[int, int, int, int]]) -> str:
    rows = [[name, f"{a} on {b} photos", f"{c} on {d} photos"] for name, (a, b, c, d) in free.items()]
    return _table(["", "held-out half", "tuning half"], rows)


def _share(hits: list[bool]) -> str:
    return f"{np.mean(hits):.4f} ({len(hits) - sum(hits)} of {len(hits)} missed)" if hits else ""


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines)


def _write(path: Path, part: str, text: str) -> None:
    """Replace what stands between two marks of the document."""
    start, end = f"<!-- {part}: start -->", f"<!-- {part}: end -->"
    before, _, rest = path.read_text(encoding="utf-8").partition(start)
    _, _, after = rest.partition(end)
    path.write_text(f"{before}{start}\n\n{text}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

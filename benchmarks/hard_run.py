"""The hard set through four detectors: recall by size, border and pose, false covers, and curves."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import photos
from benchmarks.detectors import Boxes, Scored
from benchmarks.hard import Labelled, labelled, meets, unmatched

SIZES = ((20, 32), (32, 64), (64, 128), (128, 10**6))  # heights of labelled faces in pixels


@dataclass
class Results:
    """What one detector found on every photo."""

    default: float
    boxes: list[Boxes] = field(default_factory=list)
    scores: list[Boxes] = field(default_factory=list)
    seconds: float = 0.0  # of processor time
    pixels: int = 0

    def cut(self, number: int, score: float) -> Boxes:
        """The boxes on one photo from this score on."""
        return self.boxes[number][self.scores[number] >= score]


@dataclass(frozen=True)
class HardRun:
    """The photos (labelled ones first, then face-free ones) and all detectors' results on them."""

    faces: list[Labelled]
    free: int
    results: dict[str, Results]

    def recall(self, name: str, score: float, wanted: Callable[[Labelled, int], bool]) -> tuple[float, int]:
        """The share of wanted faces that are found, and how many there are."""
        hits: list[bool] = []
        for number, photo in enumerate(self.faces):
            met = meets(photo.faces, self.results[name].cut(number, score)).any(axis=1)
            hits += [bool(hit) for face, hit in enumerate(met) if wanted(photo, face)]
        return (float(np.mean(hits)) if hits else float("nan")), len(hits)

    def unmatched(self, name: str, score: float) -> float:
        """Boxes a labelled photo that meet no label; the crops have too few labels and are left out."""
        whole = [(n, photo) for n, photo in enumerate(self.faces) if photo.part != "cut"]
        counts = [unmatched(photo, self.results[name].cut(n, score)) for n, photo in whole]
        return float(np.mean(counts))

    def false_covers(self, name: str, score: float) -> float:
        """Boxes a face-free photo."""
        first = len(self.faces)
        return float(np.mean([len(self.results[name].cut(first + n, score)) for n in range(self.free)]))


def run(found: dict[str, Scored], data: Path, step: int) -> HardRun:
    """Every step-th photo, of the face-free ones those that nothing was tuned on, through all detectors."""
    faces = list(labelled(data / "hard"))[::step]
    free = [pixels for _, pixels in photos.face_free(data)][:: 2 * step]
    results = {name: Results(detector.default) for name, detector in found.items()}
    for pixels in [*(photo.pixels for photo in faces), *free]:
        for name, detector in found.items():
            start = time.process_time()
            boxes, scores = detector.find(pixels)
            results[name].seconds += time.process_time() - start
            results[name].pixels += pixels.shape[0] * pixels.shape[1]
            results[name].boxes.append(boxes)
            results[name].scores.append(scores)
    return HardRun(faces, len(free), results)


def height(photo: Labelled, face: int) -> float:
    """Of a labelled face, in pixels."""
    return float(photo.faces[face, 3] - photo.faces[face, 1])


def rows(done: HardRun) -> list[list[str]]:
    """A table row a measure, a column a detector at its default."""
    kinds: dict[str, Callable[[Labelled, int], bool]] = {
        "all, 20 px and more": lambda photo, face: photo.part != "cut"
    }
    for low, high in SIZES:
        name = f"{low} to {high - 1} px" if high < 10**6 else f"{low} px and more"
        kinds[name] = lambda p, f, low=low, high=high: p.part != "cut" and low <= height(p, f) < high  # type: ignore[misc]
    kinds["32 px and more"] = lambda photo, face: photo.part != "cut" and height(photo, face) >= 32
    kinds["atypical pose"] = lambda p, f: p.part == "wider" and p.attributes[f].get("pose") == 1
    kinds["masked"] = lambda p, f: p.part == "mask" and p.attributes[f].get("label") == "con_mascarilla"
    kinds["cut by the border"] = lambda photo, face: photo.part == "cut"
    table = []
    for kind, wanted in kinds.items():
        shares = [done.recall(name, result.default, wanted) for name, result in done.results.items()]
        table.append([kind, str(shares[0][1]), *(f"{share:.3f}" for share, _ in shares)])
    each = done.results.items()
    table.append(["unmatched boxes a photo", "", *(f"{done.unmatched(n, r.default):.2f}" for n, r in each)])
    table.append(
        ["false covers a face-free photo", "", *(f"{done.false_covers(n, r.default):.3f}" for n, r in each)]
    )
    table.append(["CPU seconds a megapixel", "", *(f"{r.seconds / r.pixels * 1e6:.2f}" for _, r in each)])
    return table


def curves(done: HardRun) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """False covers a face-free photo and recall of all faces, a detector, from strict to lenient."""
    lines = {}
    for name, result in done.results.items():
        scores = np.quantile(np.concatenate(result.scores), np.linspace(1, 0, 40))
        false = [done.false_covers(name, score) for score in scores]
        recall = [done.recall(name, score, lambda photo, face: photo.part != "cut")[0] for score in scores]
        lines[name] = (np.array(false), np.array(recall))
    return lines


def draw(done: HardRun, path: Path) -> None:
    """Both axes of the trade: a curve a detector, its default as a dot."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 4.2))
    for name, (false, recall) in curves(done).items():
        (line,) = axes.plot(false, recall, label=name)
        default = done.results[name].default
        dot = done.false_covers(name, default), done.recall(name, default, lambda p, f: p.part != "cut")[0]
        axes.plot(*dot, "o", color=line.get_color())
    axes.set(xlim=(0, 0.3), ylim=(0.5, 1), xlabel="false covers a face-free photo", ylabel="recall")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def recall_within(done: HardRun, limits: Sequence[float]) -> list[list[str]]:
    """A row a limit: each detector's best recall with no more false covers a face-free photo than that."""
    lines = curves(done).values()
    return [
        [f"{limit:.2f}", *(f"{recall[false <= limit].max(initial=0):.3f}" for false, recall in lines)]
        for limit in limits
    ]

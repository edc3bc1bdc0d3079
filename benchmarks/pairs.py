"""Whole commands of two checkouts in turns: `python -m benchmarks.pairs OLD`, OLD a checkout."""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.whole_way import ROOT, Figures, once, scene


def main() -> None:
    """Print the table of docs/results/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--megapixels", type=int, nargs="*", default=[1, 12, 48])
    options = parser.parse_args()
    trees = {"old": options.old.resolve(), "new": ROOT}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        homes = {which: folder / which for which in trees}
        commands = [["--help"]]
        for (
            which,
            tree,
        ) in trees.items():  # an older one does not know a newer format
            homes[which].mkdir()
            once(tree, homes[which], ["keygen"])
        for size in options.megapixels:
            for home in homes.values():
                scene(size, home)
            photo, public = f"{size}mp.jpg", f"{size}mp.pub.png"
            commands += [["encrypt", photo, "--force"], ["decrypt", public, "--force"], ["detect", photo]]
        print("| command | clock: old, new | processor: old, new | peak MB: old, new |\n|---|---|---|---|")
        for words in commands:
            runs: dict[str, list[Figures]] = {"old": [], "new": []}
            for number in range(options.runs + 1):
                for which, tree in trees.items():
                    figures = once(tree, homes[which], words)
                    if number:  # the first one warms the disk cache
                        runs[which].append(figures)
            middle = [[statistics.median(values) for values in zip(*r, strict=True)] for r in runs.values()]
            clock, processor, peak = zip(*middle, strict=True)
            cells = [f"{clock[0]:.2f}, {clock[1]:.2f}", f"{processor[0]:.2f}, {processor[1]:.2f}"]
            cells.append(f"{peak[0]:.0f}, {peak[1]:.0f}")
            what = " ".join([words[0], *(Path(word).stem.split(".")[0] for word in words[1:2])])
            print(f"| `{what}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

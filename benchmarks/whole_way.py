"""Wall time and peak memory of `encrypt` and `decrypt`: python -m benchmarks.whole_way."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parent.parent
SIZES = {1: (1152, 864), 12: (4000, 3000), 48: (8000, 6000)}


def scene(megapixels: int, folder: Path, seed: int = 1) -> Path:
    """A noisy photo with the sample portrait's face, about a fifth of the photo high."""
    width, height = SIZES[megapixels]
    rng = np.random.default_rng(seed)
    smooth = rng.integers(30, 220, (height // 200 + 2, width // 200 + 2, 3), dtype=np.uint8)
    background = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    background += rng.normal(0, 6, background.shape).astype(np.int16)  # sensor noise
    photo = np.clip(background, 0, 255).astype(np.uint8)
    portrait = cv2.imread(str(ROOT / "examples" / "portrait.jpg"))
    side = height // 2
    photo[height // 4 : height // 4 + side, width // 3 : width // 3 + side] = cv2.resize(
        portrait, (side, side)
    )
    path = folder / f"{megapixels}mp.jpg"
    cv2.imwrite(str(path), photo, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return path


Figures = tuple[float, float, float]  # seconds on the clock, seconds of the processor, peak MB
# A process's own peak: what `wait4` tells counts the memory of the one that started it, too.
PEAK = "peak of this process:"
PROGRAM = """
import atexit, sys
from pathlib import Path
peak = lambda: Path("/proc/self/status").read_text().partition("VmHWM:")[2]
atexit.register(lambda: sys.stderr.write("peak of this process:" + peak()))
from photoguard.cli.main import run
run()
"""


def once(tree: Path, home: Path, words: list[str]) -> Figures:
    """One command, as a process of its own."""
    env = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "PYTHONPATH": str(tree)}
    before, start = os.times(), time.perf_counter()
    program = [sys.executable, "-c", PROGRAM, *words]
    done = subprocess.run(program, capture_output=True, text=True, env=env, cwd=home, check=False)
    seconds, after = time.perf_counter() - start, os.times()
    if done.returncode:
        sys.exit(f"{words} failed: {done.stderr}")
    worked = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, worked, int(done.stderr.rpartition(PEAK)[2].split()[0]) / 1024


def timed(*args: str, home: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of one command."""
    seconds, _, peak = once(ROOT, home, list(args))
    return seconds, peak


def median(runs: int, *args: str, home: Path) -> tuple[float, float]:
    """The median of several runs after a first one that warms the disk cache."""
    timed(*args, home=home)
    times, peaks = zip(*(timed(*args, home=home) for _ in range(runs)), strict=True)
    return statistics.median(times), max(peaks)


def main() -> None:
    """Print the tables of docs/results/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--method", default="ddm")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = folder / "key"
        print("| command | seconds (median) |\n|---|---|")
        timed("keygen", home=folder)
        tiny = folder / "tiny.png"
        cv2.imwrite(str(tiny), np.zeros((64, 64, 3), np.uint8))
        by_hand = ("--method", "solid", "--faces", "none", "--region", "1,1,9,9", "--force")
        timed("encrypt", str(tiny), *by_hand, home=folder)
        for quick in (["--help"], ["--version"], ["inspect", str(folder / "tiny.pub.png")]):
            seconds, _ = median(options.runs, *quick, home=folder)
            print(f"| `photoguard {quick[0]}` | {seconds:.2f} |")
        times = [timed("keygen", "-o", f"{key}{n}", home=folder)[0] for n in range(options.runs)]
        print(f"| `photoguard keygen` | {statistics.median(times):.2f} |\n")
        portrait = folder / "small.jpg"
        small = cv2.imread(str(ROOT / "examples" / "portrait.jpg"))
        cv2.imwrite(str(portrait), cv2.resize(small, (200, 200)))
        start, _ = median(
            options.runs, "encrypt", str(portrait), "--method", options.method, "--force", home=folder
        )
        restart, _ = median(options.runs, "decrypt", str(folder / "small.pub.png"), "--force", home=folder)
        print("| | encrypt: seconds | less start-up | peak MB | decrypt: seconds | less start-up | peak MB |")
        print(
            f"|---|---|---|---|---|---|---|\n| start-up (200 x 200) | {start:.2f} | | | {restart:.2f} | | |"
        )
        for megapixels in SIZES:
            photo = scene(megapixels, folder)
            there = median(
                options.runs, "encrypt", str(photo), "--method", options.method, "--force", home=folder
            )
            public = photo.with_suffix(".pub.png")
            back = median(options.runs, "decrypt", str(public), "--force", home=folder)
            cells = [f"{there[0]:.2f}", f"{there[0] - start:.2f}", f"{there[1]:.0f}"]
            cells += [f"{back[0]:.2f}", f"{back[0] - restart:.2f}", f"{back[1]:.0f}"]
            print(f"| {megapixels} MP | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()

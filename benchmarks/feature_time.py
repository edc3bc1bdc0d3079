"""How long the features of one face take beside finding it, after start-up.

python -m benchmarks.feature_time [--photo examples/portrait.jpg] [--threads 2]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from photoguard.detection import detect
from photoguard.methods import obfuscator
from photoguard.photos import images


def milliseconds(work: Callable[[], object], times: int = 30) -> float:
    """The median of several runs."""
    work()
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", type=Path, default=Path("examples/portrait.jpg"))
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(given.threads)
    pixels = images.decode(given.photo.read_bytes(), given.photo.name).shallow()
    faces = [face for face in detect(pixels) if face.certain][:1]
    model = obfuscator.shipped()
    file = obfuscator.obfuscate(model, pixels, faces)
    print(f"features   {milliseconds(lambda: obfuscator.obfuscate(model, pixels, faces).to_bytes()):.1f} ms")
    print(f"classify   {milliseconds(lambda: obfuscator.classify(model, file)):.1f} ms")
    print(f"detection  {milliseconds(lambda: detect(pixels), 5):.1f} ms")
    print(f"file       {len(file.to_bytes())} bytes")


if __name__ == "__main__":
    main()

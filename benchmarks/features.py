"""What a feature file costs after start-up: python -m benchmarks.features [PHOTO...]; else the sample photo.

Milliseconds of finding the face, and of all that follows: cutting it out, the network, coding, the
file's bytes.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

from photoguard import files
from photoguard.detection import DetectionSettings, detect
from photoguard.methods.obfuscator import obfuscate, shipped
from photoguard.photos import images

RUNS = 21


def main() -> None:
    """Print the medians for each photo."""
    photos = [Path(name) for name in sys.argv[1:]] or [Path("examples/portrait.jpg")]
    model = shipped()
    for photo in photos:
        pixels = images.decode(files.read_file(photo), photo.name).shallow()
        seeking, sending = [], []
        for _ in range(RUNS + 1):  # the first warms up
            start = time.perf_counter()
            faces = detect(pixels, DetectionSettings())
            found = time.perf_counter()
            obfuscate(model, pixels, faces[:1]).to_bytes()
            seeking.append(found - start)
            sending.append(time.perf_counter() - found)
        print(
            f"{photo.name}: detection {1000 * statistics.median(seeking[1:]):.0f} ms, "
            f"features {1000 * statistics.median(sending[1:]):.1f} ms"
        )


if __name__ == "__main__":
    main()

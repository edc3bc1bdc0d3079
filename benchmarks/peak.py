"""Peak memory and time of one detection, in a process of its own: python -m benchmarks.peak PHOTO.npy."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from photoguard.detection import DetectionSettings, detect


def main() -> None:
    """Detect on the saved pixels and print a JSON line."""
    pixels = np.load(Path(sys.argv[1]))
    settings = DetectionSettings(thorough="--thorough" in sys.argv)
    start = time.perf_counter()
    faces = detect(pixels, settings)
    seconds = time.perf_counter() - start
    # Not getrusage: its peak includes what the parent held when it started this process.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1e6  # kB to GB
    print(json.dumps({"seconds": seconds, "peak_gb": peak, "faces": len(faces)}))


if __name__ == "__main__":
    main()

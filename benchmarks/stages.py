"""Where the time of one photo goes: python -m benchmarks.stages [PHOTO...]; scenes of whole_way otherwise."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.whole_way import SIZES, scene
from photoguard import batch, files, methods, protect
from photoguard.formats import identities
from photoguard.photos import images

spent: dict[str, float] = defaultdict(float)


def timed(stage: str, work: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with its time added to a stage; a stage inside another is its own."""

    def run(*args: Any, **options: Any) -> Any:
        before, start = dict(spent), time.perf_counter()
        try:
            return work(*args, **options)
        finally:
            inner = sum(spent.values()) - sum(before.values())
            spent[stage] += time.perf_counter() - start - inner

    return run


def main() -> None:
    """Protect each photo three times after a first one and print the mean of each stage in milliseconds."""
    ddm = methods.method("ddm")
    for owner, name, stage in (
        (files, "read_file", "read"), (images, "decode", "decode"), (protect, "detect", "detect"),
        (ddm, "seal", "network"), (images, "encode_public", "encode"), (identities, "seal", "seal"),
        (files.Stage, "add", "write"), (files.Stage, "publish", "write"), (protect, "check_written", "check"),
        (protect, "protect_file", "everything else"),
    ):  # fmt: skip
        setattr(owner, name, timed(stage, getattr(owner, name)))
    _, recipient = identities.generate()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = [Path(path) for path in sys.argv[1:]] or [scene(size, folder) for size in SIZES]
        table: dict[str, dict[str, float]] = {}
        for photo in photos:
            for number in range(4):
                if number == 1:
                    spent.clear()
                task = batch.Task(photo, folder / f"{photo.stem}-{number}.pub.png")
                recipients = identities.Recipients((recipient,))
                protect.protect_file(task.source, task.public, task.private, protect.Options(), recipients)
            table[photo.stem] = {stage: 1000 * seconds / 3 for stage, seconds in spent.items()}
    print("| ms | " + " | ".join(table) + " |\n|---|" + "---|" * len(table))
    for stage in next(iter(table.values())):
        print(f"| {stage} | " + " | ".join(f"{times[stage]:.0f}" for times in table.values()) + " |")
    print("| all | " + " | ".join(f"{sum(times.values()):.0f}" for times in table.values()) + " |")


if __name__ == "__main__":
    main()

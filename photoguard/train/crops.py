"""Cut the largest face out of every photo, to train on: whole photos are mostly no face.

    python -m photoguard.train.crops PHOTOS FOLDER

PHOTOS is a folder or zip; people in folders of their own stay so. About a quarter of a second a photo.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from photoguard.errors import UnreadableError
from photoguard.files import writing
from photoguard.photos.geometry import Box
from photoguard.train.data import Reader, Source, listed

MARGIN = 0.5  # of the face's side on every side: hair, neck and what stands behind
MIN_SIDE = 40  # pixels; a smaller face shows the network little but JPEG blocks


def cut(source: Path, out: Path, margin: float = MARGIN) -> tuple[int, list[str]]:
    """Write the crops; returns how many, and the names of photos without a face or unreadable."""
    from photoguard.detection import detect

    count, missed = 0, []
    for picture in tqdm(listed(Source(source)), unit="photo"):
        try:
            pixels = Reader([picture]).read(0)
        except UnreadableError:
            missed.append(picture.name)
            continue
        boxes = [face.box for face in detect(pixels) if face.certain]
        box = max(boxes, key=lambda box: box.area, default=Box(0, 0, 0, 0))
        if min(box.width, box.height) < MIN_SIDE:
            missed.append(picture.name)
            continue
        height, width = pixels.shape[:2]
        target = (out / picture.name).with_suffix(".png")
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[box.grown(margin).clipped(width, height).window]).save(target)
        count += 1
    return count, missed


def main() -> None:
    """The command line of `python -m photoguard.train.crops`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    count, missed = cut(given.photos, given.folder)
    sys.stderr.write(f"{count} faces; no face in {len(missed)} photos {' '.join(missed)}\n")


if __name__ == "__main__":
    main()

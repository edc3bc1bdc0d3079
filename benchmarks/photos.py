"""Real photos to measure on, read in place from the archives of the data folder."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

# Photos of things.zip in which a person, a painted or a carved face can be seen: looked through by eye.
WITH_PEOPLE = """
    101085 119082 122048 126039 128035 140006 145014 145053 145059 147062
    15011 151087 156065 156079 16004 161045 170054 181018 181079 187029
    187058 187083 188025 188063 189003 189006 189011 189013 189080 189096
    20069 220075 223004 225022 226043 229036 23080 23084 230063 230098
    239007 239096 24077 246053 259060 281017 285022 285036 302003 302008
    310007 344010 365025 365072 370036 376001 376020 376043 384089 388006
    48055 54005 55075 60079 61086 65019 65033 65074 80085 81066
    89072 90076 n02108422 n02111500 n02113712 n02514041 n02676566 n02777292 n02802426 n02807133
    n02817516 n02860847 n02883205 n03000247 n03089624 n03124170 n03146219 n03218198 n03347037 n03535780
    n03538406 n03630383 n03642806 n03692522 n03720891 n03793489 n03868242 n03877472 n03887697 n03888605
    n03947888 n03976467 n03982430 n04005630 n04141076 n04204347 n04235860 n04296562 n04350905 n04370456
    n04482393 n04485082 n04486054 n04487394 n04517823 n04540053 n04591157 n04606251 n09421951
"""
SCENES_WITHOUT_FACES = ("chelsea.png", "coffee.png", "rocket.jpg")


def names(archive: Path) -> list[str]:
    """The pictures in an archive, sorted."""
    with zipfile.ZipFile(archive) as opened:
        return sorted(n for n in opened.namelist() if n.lower().endswith((".jpg", ".jpeg", ".png")))


def read(archive: Path, name: str) -> Pixels:
    """One picture of an archive."""
    with zipfile.ZipFile(archive) as opened:
        return _decode(io.BytesIO(opened.read(name)))


def face_free(data: Path) -> list[tuple[str, Pixels]]:
    """Every photo without a face: name and pixels, 384 or 256 pixels wide and three larger ones."""
    things = data / "things.zip"
    people = set(WITH_PEOPLE.split())
    chosen = [n for n in names(things) if Path(n).stem.split("_")[0] not in people]
    small = [(name, read(things, name)) for name in chosen]
    return small + [(name, _decode(data / "photos" / "scenes" / name)) for name in SCENES_WITHOUT_FACES]


def _decode(source: io.BytesIO | Path) -> Pixels:
    with Image.open(source) as picture:
        return np.asarray(picture.convert("RGB"))

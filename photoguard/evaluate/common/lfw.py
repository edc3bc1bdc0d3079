"""Labeled Faces in the Wild, from its folder or its zip, read in place. For measuring, never for training."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from photoguard.errors import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Progress = Callable[[int, int], None]

# Where the landmarks lie on the usual deep-funneled picture of 250x250: the fallback where no face is found.
USUAL_LANDMARKS = ((103.2, 112.0), (145.6, 111.0), (124.7, 136.2), (106.8, 157.6), (143.9, 156.8))
CROP_200 = 15  # the 200x200 version of the pictures begins at this row and column of the large one
TYPICAL_FACE = 60  # LFW's faces are about 100 px wide; looking for smaller ones only costs time


@dataclass(frozen=True)
class Pair:
    """Two pictures by name, and whether they show one person."""

    first: str
    second: str
    same: bool


@dataclass(frozen=True)
class Lfw:
    """The pictures by name (`Name/Name_0001.jpg`) and the pairs of `pairs.txt` by fold."""

    path: Path
    names: tuple[str, ...]
    folds: tuple[tuple[Pair, ...], ...]
    fingerprint: str
    _archive: zipfile.ZipFile | None = field(default=None, repr=False, compare=False)

    def picture(self, name: str) -> NDArray[np.uint8]:
        """One picture, (H, W, 3) RGB."""
        data = self._archive.read(name) if self._archive else (self.path / name).read_bytes()
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def people(self, at_least: int = 1) -> dict[str, list[str]]:
        """The pictures of each person who has `at_least` so many, in name order."""
        people: dict[str, list[str]] = {}
        for name in self.names:
            people.setdefault(person_of(name), []).append(name)
        return {person: names for person, names in people.items() if len(names) >= at_least}


def open_lfw(path: Path) -> Lfw:
    """LFW from its folder, its zip, or a folder that holds `lfw.zip`; `pairs.txt` at the top."""
    if (path / "lfw.zip").is_file():
        path = path / "lfw.zip"
    archive = None
    if zipfile.is_zipfile(path):
        archive = zipfile.ZipFile(path)
        sizes = {info.filename: info.CRC for info in archive.infolist()}
    elif path.is_dir():
        sizes = {str(file.relative_to(path)): file.stat().st_size for file in path.glob("*/*.jpg")}
        sizes |= {"pairs.txt": 0} if (path / "pairs.txt").is_file() else {}
    else:
        raise UnreadableError(f"{path} is neither a folder nor a zip of LFW")
    if "pairs.txt" not in sizes:
        raise UnreadableError(f"there is no pairs.txt in {path}", "it comes with LFW's pictures")
    text = (archive.read("pairs.txt") if archive else (path / "pairs.txt").read_bytes()).decode()
    names = tuple(sorted(name for name in sizes if name.count("/") == 1 and name.endswith(".jpg")))
    fingerprint = hashlib.sha256("".join(f"{name} {sizes[name]}\n" for name in names).encode()).hexdigest()[
        :16
    ]
    return Lfw(path, names, _folds(text), fingerprint, archive)


def _folds(text: str) -> tuple[tuple[Pair, ...], ...]:
    """`pairs.txt`: how many folds and pairs; then in each fold the pairs of one person, then of two."""
    try:
        head, *lines = text.strip().splitlines()
        count, size = (int(number) for number in head.split())
        pairs = [_pair(line.split()) for line in lines]
        if len(pairs) != count * 2 * size:
            raise ValueError(f"{len(pairs)} pairs")
    except ValueError as error:
        raise UnreadableError(f"pairs.txt is not LFW's: {error}") from error
    return tuple(tuple(pairs[start : start + 2 * size]) for start in range(0, len(pairs), 2 * size))


def _pair(words: list[str]) -> Pair:
    if len(words) == 3:
        return Pair(_name(words[0], words[1]), _name(words[0], words[2]), True)
    if len(words) == 4:
        return Pair(_name(words[0], words[1]), _name(words[2], words[3]), False)
    raise ValueError(" ".join(words))


def _name(person: str, number: str) -> str:
    return f"{person}/{person}_{int(number):04d}.jpg"


def person_of(name: str) -> str:
    """Whose picture it is."""
    return name.partition("/")[0]


def landmarks(
    lfw: Lfw, names: Sequence[str], cache: Path | None = None, progress: Progress | None = None
) -> NDArray[np.float64]:
    """Five landmarks (x, y) for each name: (N, 5, 2). Found once, then read from the cache folder."""
    cache = cache or _cache_folder()
    file = cache / f"landmarks-{lfw.fingerprint}.npz"
    known = _known(file)
    unknown = sorted(set(names) - known.keys())
    for done, name in enumerate(unknown):
        picture = lfw.picture(name)
        known[name] = found_landmarks(picture, usual_landmarks(picture.shape[1]))
        if progress:
            progress(done + 1, len(unknown))
        if done % 1000 == 999 or done + 1 == len(unknown):
            _remember(file, known)
    return np.stack([known[name] for name in names])


def _cache_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_path("photoguard"))


def _known(file: Path) -> dict[str, NDArray[np.float64]]:
    if not file.is_file():
        return {}
    with np.load(file, allow_pickle=False) as archive:
        return dict(zip(archive["names"].tolist(), archive["points"], strict=True))


def _remember(file: Path, known: dict[str, NDArray[np.float64]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part.npz")
    np.savez_compressed(part, names=np.array(list(known)), points=np.stack(list(known.values())))
    part.replace(file)


def found_landmarks(pixels: NDArray[np.uint8], usual: NDArray[np.float64]) -> NDArray[np.float64]:
    """The landmarks of the face nearest to where it usually lies, (5, 2), or those where none is found."""
    from photoguard.detection import DetectionSettings, detect

    faces = detect(pixels, DetectionSettings(min_face=TYPICAL_FACE))
    points = [np.array(face.landmarks) for face in faces]
    if not points:
        return usual
    nearest = min(points, key=lambda found: float(np.abs(found - usual).sum()))
    return nearest if np.abs(nearest.mean(0) - usual.mean(0)).max() < pixels.shape[1] / 6 else usual


def usual_landmarks(width: int) -> NDArray[np.float64]:
    """Where the landmarks lie on most pictures of this width, (5, 2)."""
    if width == 200:
        return np.array(USUAL_LANDMARKS) - CROP_200
    return np.array(USUAL_LANDMARKS) * width / 250

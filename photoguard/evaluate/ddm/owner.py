"""What the owner gets back: photos through the tool's own files, beside the originals."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from photoguard.datasets.pictures import Reader, Source, split_by_name
from photoguard.detection import DetectionSettings
from photoguard.errors import NoFaceError
from photoguard.evaluate.common.metrics import cosines, ssim
from photoguard.formats import identities
from photoguard.methods import Settings, method
from photoguard.opening import open_private
from photoguard.photos.psnr import psnr
from photoguard.protect import Options, protect_file
from photoguard.recognizers import chip_for
from photoguard.reveal import reveal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from photoguard.evaluate.common.faces import Faces
    from photoguard.nets.planes import Pixels
    from photoguard.recognizers import Recognizer

    Recognizers = Mapping[str, Recognizer]

CODE = Settings(compact=True)  # what the network alone gives back
LARGE = 192  # longer side of a patch from which a face counts as large
WILD_HELD_OUT = 10  # people at the end of wild.zip whom no network of the tool was trained on


@dataclass(frozen=True)
class Pair:
    """One face before and after, as a patch and as what recognizers want to see."""

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    chips: dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]


@dataclass(frozen=True)
class Returned:
    """How near restored faces are to the originals."""

    faces: int
    side: float
    """Median of the patches' longer sides, in pixels"""
    psnr: float
    ssim: float
    identity: dict[str, float]
    """Mean cosine between the embeddings of restored and original face, by recognizer"""
    lowest: float
    """The cosine that one face in twenty falls below, with the recognizer that it is lowest for"""


def returned(pairs: Sequence[Pair], recognizers: Recognizers) -> Returned:
    """The figures of some faces."""
    near = {}
    for name, recognizer in recognizers.items():
        before, after = (np.stack([pair.chips[name][i] for pair in pairs]) for i in range(2))
        near[name] = cosines(recognizer.embed_pixels(before), recognizer.embed_pixels(after))
    return Returned(
        faces=len(pairs),
        side=float(np.median([max(pair.before.shape[:2]) for pair in pairs])),
        psnr=float(np.mean([min(psnr(pair.after, pair.before), 100.0) for pair in pairs])),
        ssim=float(np.mean([ssim(pair.after, pair.before) for pair in pairs])),
        identity={name: float(values.mean()) for name, values in near.items()},
        lowest=min(float(np.percentile(values, 5)) for values in near.values()),
    )


def cut_outs(faces: Faces, name: str, recognizers: Recognizers) -> list[Pair]:
    """Faces of 128 px through the bytes that a method seals."""
    patches: list[Pixels] = list(faces.pixels)
    after = np.stack(method(name).reveal(name, method(name).seal(name, patches, CODE)))
    chips = {r: (faces.chips(one.spec), faces.chips(one.spec, after)) for r, one in recognizers.items()}
    return [
        Pair(faces.pixels[i], after[i], {r: (a[i], b[i]) for r, (a, b) in chips.items()})
        for i in range(len(faces))
    ]


def wild_photos(data: Path, count: int) -> list[Pixels]:
    """Photos of the held-out people of `wild.zip`, spread over all; none where there is no such file."""
    path = data / "wild.zip"
    if not path.is_file():
        return []
    reader = Reader(split_by_name((Source(path, WILD_HELD_OUT),))[1])
    step = max(len(reader.pictures) // count, 1)
    return [reader.read(number) for number in range(0, len(reader.pictures), step)]


def photos(pictures: Iterable[Pixels], name: str, recognizers: Recognizers) -> list[Pair]:
    """The largest face of each photo, encrypted to files and decrypted from them at its own resolution."""
    text, recipient = identities.generate()
    keys = identities.parse_identities(text.encode(), lambda _: "")
    to = identities.Recipients((recipient,))
    options = Options(method=name, settings=CODE, detection=DetectionSettings(), faces="largest")
    found = []
    with TemporaryDirectory() as folder:
        source, public, private = (Path(folder) / n for n in ("photo.png", "photo.pub.png", "photo.priv"))
        for picture in pictures:
            out = io.BytesIO()
            Image.fromarray(picture).save(out, "PNG")
            source.write_bytes(out.getvalue())
            try:
                made = protect_file(source, public, private, options, to, force=True)
            except NoFaceError:
                continue
            opened = open_private({private.name: private.read_bytes()}, keys)
            restored = reveal(public.read_bytes(), opened.files).photo
            box, face = made.public.faces[0].box, made.found[made.covered[0] - 1]
            chips = {
                r: (
                    chip_for(one.spec, picture, face.landmarks),
                    chip_for(one.spec, restored.pixels, face.landmarks),
                )
                for r, one in recognizers.items()
            }
            found.append(Pair(picture[box.window], restored.pixels[box.window], chips))
    return found

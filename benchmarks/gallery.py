"""Draw docs/results/images/gallery.jpg, every method on the sample photo: python -m benchmarks.gallery."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from photoguard import protect, reveal
from photoguard.formats import envelope, identities
from photoguard.photos import images
from photoguard.photos.preview import draw

ROOT = Path(__file__).parent.parent
PORTRAIT = ROOT / "examples" / "portrait.jpg"
SHOWN = (70, 0, 350, 280)  # left, top, right, bottom of the portrait: head and shoulders
LABEL = 26


def there_and_back(method: str) -> tuple[protect.Protection, NDArray[np.uint8]]:
    """The sample photo protected, and what comes back from the written files."""
    protection = protect.protect(PORTRAIT.read_bytes(), PORTRAIT, protect.Options(method=method))
    secret, recipient = identities.generate()
    sealed = identities.seal(
        protection.private.to_bytes(), identities.Recipients((identities.parse_recipient(recipient),))
    )
    picture = images.encode_public(protection.picture, protection.public.to_bytes())
    keys = identities.parse_identities(secret.encode(), str)
    private = envelope.PrivateFile.from_bytes(identities.unseal(sealed, keys))
    return protection, reveal.reveal(picture, [private]).photo.pixels


def panels() -> list[tuple[str, NDArray[np.uint8]]]:
    """Label and picture, in the order of the page."""
    original = images.decode(PORTRAIT.read_bytes(), "portrait").pixels
    ddm, restored = there_and_back("ddm")
    covers = [face.box for face in ddm.public.faces]
    preview = draw(original, ddm.found, ddm.covered, covers)
    plain = [(name, there_and_back(name)[0].picture.pixels) for name in ("pixelate", "blur", "solid")]
    return [
        ("original", original),
        ("detect --preview", cv2.resize(preview, original.shape[1::-1], interpolation=cv2.INTER_AREA)),
        ("encrypt (ddm)", ddm.picture.pixels),
        ("decrypt", restored),
        *((f"--method {name}", pixels) for name, pixels in plain),
    ]


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "images" / "gallery.jpg")
    out = parser.parse_args().out
    side = SHOWN[2] - SHOWN[0]
    shown = panels()
    columns = 4
    rows = -(-len(shown) // columns)
    sheet = Image.new("RGB", (columns * (side + 8) - 8, rows * (side + LABEL + 8) - 8), "white")
    for number, (label, pixels) in enumerate(shown):
        left, top = (number % columns) * (side + 8), (number // columns) * (side + LABEL + 8)
        sheet.paste(Image.fromarray(pixels).crop(SHOWN), (left, top + LABEL))
        ImageDraw.Draw(sheet).text((left + 2, top + 4), label, "black", ImageFont.load_default(16))
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out, quality=90)


if __name__ == "__main__":
    main()

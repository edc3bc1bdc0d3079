"""A chip: noise that a recognizer takes for the face, and that only its owner turns back.

    python examples/chip.py [PHOTO]

It hides what a face looks like, not whose it is from the recognizer it was made for.
"""

import sys
from pathlib import Path

import photoguard
from photoguard import match, recognizers

photo = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("portrait.jpg")
me = photoguard.Identity.generate()

hidden = photoguard.protect_photo(photo, me, method="avp")
hidden.save("chips")

recognizer = recognizers.load("photoguard-small")  # the one that ships, to try it with
for number, chip in hidden.chips.items():
    cosine = max(pair.cosine for pair in match.compare(photo.read_bytes(), chip, recognizer))
    print(f"face {number}: cosine {cosine:.3f} between photo and chip")
    face = photoguard.restore_photo(chip, me)  # from the chip alone
    face.save(f"chips/face{number}.restored.png")

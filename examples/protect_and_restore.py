"""Protect a photo and restore it. Nothing touches the disk before `save`.

    python examples/protect_and_restore.py [PHOTO]

The outputs lie in the folder `shared` of the folder that this is run in.
"""

import sys
from pathlib import Path

import photoguard

photo = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("portrait.jpg")
me = photoguard.Identity.generate()  # Identity.load() takes the one that `photoguard keygen` made

for number, face in enumerate(photoguard.find_faces(photo), start=1):
    print(f"face {number}: {face.box.width} x {face.box.height} pixels, score {face.score:.3f}")

hidden = photoguard.protect_photo(photo, me, exact=True)
public = hidden.save("shared")  # and the private file beside it

restored = photoguard.restore_photo(public, me)
restored.save("shared/portrait.restored.png")
print(f"{public}: {len(restored.opened)} face open, exact {restored.exact}, made by {restored.made_by}")

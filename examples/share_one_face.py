"""Give somebody one of the covered faces, and only that one.

    python examples/share_one_face.py

The sample photo has one face, so its second cover is a region: the badge on the suit.
"""

from pathlib import Path

import photoguard

photo = Path(__file__).with_name("portrait.jpg")
me, ana = photoguard.Identity.generate(), photoguard.Identity.generate()

hidden = photoguard.protect_photo(photo, me, regions=[(300, 300, 96, 96)])
for_ana = photoguard.grant(hidden.private, me, to=ana.public, faces=[1])  # ana.public is what Ana sent me

seen = photoguard.restore_photo(hidden.public, ana, private=for_ana, known={"me": me.public})
print(f"Ana sees cover {seen.opened}, not {seen.closed}; made by {seen.made_by}")
seen.save("seen-by-ana.png")

try:
    photoguard.restore_photo(hidden.public, ana, private=hidden.private)
except photoguard.errors.WrongKeyError as error:
    print(f"With my own private file: {error}")

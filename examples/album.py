"""Protect all photos of a folder; one that fails is named, and the others go on.

    python examples/album.py [FOLDER]

The outputs lie in the folder `album` of the folder that this is run in. `photoguard encrypt FOLDER` does the
same on all cores, and continues where it was stopped.
"""

import sys
from pathlib import Path

import photoguard

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
me = photoguard.Identity.generate()
me.save("album/identity")  # without it nobody restores the photos

failed = 0
for photo in sorted(folder.glob("*.jpg")):
    try:
        hidden = photoguard.protect_photo(photo, me, method="solid")
        print(f"{hidden.save('album')}: {len(hidden.covered)} covered")
    except photoguard.errors.NoFaceError:
        print(f"{photo.name}: no face")  # and no copy either
    except photoguard.PhotoguardError as error:
        print(f"{photo.name}: {error} ({error.hint})")
        failed += 1
sys.exit(1 if failed else 0)

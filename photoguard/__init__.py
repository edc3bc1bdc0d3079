"""photoguard: hide faces in photos, and give them back to whoever holds the key.

    import photoguard

    me = photoguard.Identity.load()  # the one that `photoguard keygen` made
    for face in photoguard.find_faces("photo.jpg"):
        print(face.box, face.score)
    hidden = photoguard.protect_photo("photo.jpg", me, keep=[2])
    hidden.save("shared")  # photo.pub.png for everybody, photo.priv for you

    restored = photoguard.restore_photo("shared/photo.pub.png", me)
    restored.save("photo.restored.png")

Photos go in as files or as bytes and come out as bytes; nothing is written before `save`. Whatever fails
raises a `PhotoguardError`, of the kinds in `photoguard.errors`, whose `hint` says what to do.
"""

from __future__ import annotations

from photoguard import errors
from photoguard.errors import PhotoguardError

TYPE_CHECKING = False  # type checkers know better; importing `typing` would take longer than all the rest
if TYPE_CHECKING:
    from photoguard.api import (
        ProtectedPhoto,
        RestoredPhoto,
        find_faces,
        grant,
        make_features,
        protect_photo,
        read_features,
        restore_photo,
    )
    from photoguard.identity import Identity

__version__ = "0.1.0"
__all__ = [
    "Identity", "PhotoguardError", "ProtectedPhoto", "RestoredPhoto", "errors", "find_faces", "grant",
    "make_features", "protect_photo", "read_features", "restore_photo",
]  # fmt: skip

if not TYPE_CHECKING:  # type checkers know the names from above, and no others

    def __getattr__(name: str) -> object:
        """The library behind these names is loaded with the first of them that is used."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module = "photoguard.identity" if name == "Identity" else "photoguard.api"
        return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

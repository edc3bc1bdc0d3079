"""A second reader of our files, which follows docs/spec/format.md and takes nothing else from photoguard.

It needs no torch: only numpy, Pillow, cryptography, pyrage (age) and the standard
library. It shows what another implementation has to do, and the tests run it over every vector and over files
that photoguard has just made. A section number in a comment is one of docs/spec/format.md.

    private = private_files([data], ["AGE-SECRET-KEY-1..."])
    photo = restore(public_png, private).photo
"""

from reader.age import unlock
from reader.chips import is_chip, restored_chip
from reader.envelope import (
    DamagedError,
    ForeignError,
    UnreadableError,
    WrongKeyError,
    opened_carrier,
    private_file,
    public_file,
)
from reader.features import feature_file
from reader.pictures import Photo, digest, fingerprint, png_chunks
from reader.restore import Restored, owned, private_files, restore

__all__ = [
    "DamagedError", "ForeignError", "Photo", "Restored", "UnreadableError", "WrongKeyError", "digest",
    "feature_file", "fingerprint", "is_chip", "opened_carrier", "owned", "png_chunks", "private_file",
    "private_files", "public_file", "restore", "restored_chip", "unlock",
]  # fmt: skip

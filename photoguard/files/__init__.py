"""Reading inputs safely, and putting whole outputs in place: all of them or none."""

from photoguard.files.leftovers import Tidied, finish_killed_runs, unfinished
from photoguard.files.listing import stage_secret
from photoguard.files.names import (
    APART,
    CHIP_SUFFIX,
    PHOTO_SUFFIXES,
    PRIVATE_SUFFIX,
    PUBLIC_SUFFIX,
    RESTORED_SUFFIX,
    STAGING,
    chip_beside,
    is_folder,
    is_own_output,
    is_same,
    is_there,
    means_folder,
    private_beside,
    public_name,
    shown,
    stem_of,
)  # fmt: skip
from photoguard.files.reading import (
    others_in,
    photos_in,
    pictures_in,
    private_files,
    private_folders,
    read_file,
    readable_by_others,
    secrets_in,
)
from photoguard.files.staging import (
    Stage,
    publish_apart,
    refuse_existing,
    staged,
    write_secret,
    write_whole,
    writing,
)

__all__ = [
    "APART", "CHIP_SUFFIX", "PHOTO_SUFFIXES", "PRIVATE_SUFFIX", "PUBLIC_SUFFIX", "RESTORED_SUFFIX",
    "STAGING", "Stage", "Tidied", "chip_beside", "finish_killed_runs", "is_folder", "is_own_output",
    "is_same", "is_there", "means_folder", "others_in", "photos_in", "pictures_in", "private_beside",
    "private_files", "private_folders", "public_name", "publish_apart", "read_file", "readable_by_others",
    "refuse_existing", "secrets_in", "shown", "stage_secret", "staged", "stem_of", "unfinished",
    "write_secret", "write_whole", "writing",
]  # fmt: skip

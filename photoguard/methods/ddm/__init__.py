"""DDM: a patch as sealed maps and a private feature."""

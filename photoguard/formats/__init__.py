"""Every file that photoguard writes: bytes to values and back; docs/spec is the law."""

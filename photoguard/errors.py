"""Every way photoguard can fail: what happened, what to do about it, and the exit code."""


class PhotoguardError(Exception):
    """The root of the tree; `hint` says what the user can do."""

    exit_code = 70

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.about: dict[str, str] = {}  # which input, for scripts


class UsageError(PhotoguardError):
    """The request itself makes no sense."""

    exit_code = 2


class UnreadableError(PhotoguardError):
    """An input file cannot be read, or is not what it should be."""

    exit_code = 3


class UnwritableError(PhotoguardError):
    """An output cannot be written: disk full, read-only folder, no permission."""

    exit_code = 3


class NoFaceError(PhotoguardError):
    """Nothing to protect was found."""

    exit_code = 4


class DoubtError(NoFaceError):
    """A face is uncertain, and the user wants nothing written then."""


class WrongKeyError(PhotoguardError):
    """The key does not open this file, or there is no key."""

    exit_code = 5


class DamagedError(PhotoguardError):
    """A file of ours was altered, truncated or made by someone who did not follow the format."""

    exit_code = 6


class WeightsError(PhotoguardError):
    """Network weights are missing, altered or of another configuration."""

    exit_code = 7


class MissingError(WeightsError):
    """A library that an install for the everyday commands leaves out."""

    def __init__(self, module: str) -> None:
        super().__init__(
            f"this needs {module}, which is not installed",
            "pip install torch torchvision (for training, --method avp and added recognizers)",
        )


class OutputExistsError(PhotoguardError):
    """The output is already there, and --force was not given."""

    exit_code = 8


class QualityError(PhotoguardError):
    """The asked-for quality was not reached."""

    exit_code = 9


class BatchError(PhotoguardError):
    """Some photos of a batch failed."""

    exit_code = 10


def missing(error: BaseException) -> MissingError | None:
    """What to say of an import that failed because such a library is not there; None of any other error."""
    module = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return MissingError(module) if module in ("torch", "torchvision") else None

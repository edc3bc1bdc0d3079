"""How a face becomes sealed bytes and comes back: `METHODS` names a method's module, loaded when it is used.

What everybody sees in its place is the business of `looks`; neither package knows the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from photoguard.errors import DamagedError, UsageError

if TYPE_CHECKING:  # the command line takes names and defaults from here, and starts without numpy
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[Any]  # (H, W, 3) RGB, uint8 or uint16


class MethodName(StrEnum):
    """The covers to choose from."""

    ddm = "ddm"
    solid = "solid"
    blur = "blur"
    pixelate = "pixelate"
    avp = "avp"


# name -> the module here that implements it; AVP's chips are made beside what is sealed
METHODS = {name.value: "ddm.method" if name is MethodName.ddm else "patches" for name in MethodName}


@dataclass(frozen=True)
class Chips:
    """What AVP's chips are made for, and what undoes them."""

    recognizers: tuple[str, ...]  # names; one chip serves all of them
    least: float = 0.98  # cosine to the face's own embedding below which a chip is refused
    robust: tuple[str, ...] = ()  # what recognition is to survive: jpeg, resize
    key_model: bytes | None = field(default=None, repr=False)  # a learned one; None: the face is sealed in


@dataclass(frozen=True)
class Settings:
    """What the user may choose about a cover and what comes back."""

    strength: float = 1.0  # 1 is the safe default; larger hides more
    exact: bool = False  # restore every pixel
    quality: float | None = None  # minimum PSNR of what is restored, in dB (ddm); None: visually lossless
    compact: bool = False  # the network's code alone (ddm)
    chips: Chips | None = None  # of avp


@dataclass(frozen=True)
class Sealed:
    """A sealed patch: what `seal` makes and `reveal` takes."""

    shape: tuple[int, ...]  # of the patch, (H, W, 3), and its depth: those of its place on the photo
    dtype: np.dtype[Any]
    public: bytes  # the bulk; travels encrypted in the public picture
    private: bytes  # the small part; travels in the private file
    check: bytes  # 32 bytes that tell whether a restored patch is the right one


class Method(Protocol):
    """A method's module. Patches come together so that a network can take them in batches."""

    def seal(
        self,
        name: str,
        patches: Sequence[Pixels],
        settings: Settings,
        owned: Sequence[NDArray[np.bool_]] | None = None,
    ) -> list[Sealed]:
        """Seal every patch; only the pixels that it owns will be put back, so only they have to be right."""
        ...

    def reveal(self, name: str, parts: Sequence[Sealed]) -> list[Pixels]:
        """Restore every patch; DamagedError where the check does not hold."""
        ...


def method(name: str) -> Method:
    """The module that implements a method."""
    if name not in METHODS:
        known = ", ".join(sorted(METHODS))
        raise UsageError(f"there is no method {name!r}", f"the methods are {known}")
    return cast(Method, import_module(f"photoguard.methods.{METHODS[name]}"))


def digest(pixels: Pixels) -> bytes:
    """SHA-256 over shape, depth and pixels."""
    import numpy as np

    label = f"{pixels.dtype.name} {pixels.shape}".encode()
    return sha256(label + b"\0" + np.ascontiguousarray(pixels).data.cast("B")).digest()


def checked(pixels: Pixels, check: bytes) -> Pixels:
    """The pixels, when they are what was sealed."""
    if digest(pixels) != check:
        raise DamagedError(
            "a restored face is not the one that was sealed", "the file, or the program, has changed"
        )
    return pixels

"""AVP's chips: pictures that a chosen recognizer takes for a face and that only a key turns back into it.

A chip has the size of the recognizer's own input and is enrolled there as it is. `sealed` chips carry the
face, encrypted, in their low bits; `learned` ones are undone by the owner's key model.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from photoguard.errors import QualityError, UsageError
from photoguard.formats import chip_data as avp_payload
from photoguard.methods import Chips
from photoguard.methods.avp.distortions import distortions, re_encoded
from photoguard.methods.avp.keys import learned_key, opened
from photoguard.methods.avp.search import Fast, Found, Goal, Round, fast
from photoguard.methods.avp.target import Resemblance, chip_spec, resemblance
from photoguard.nets.planes import to_planes
from photoguard.nets.similarity import ssim
from photoguard.recognizers import Recognizer, Spec, load

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from photoguard.formats.identities import Recipients
    from photoguard.methods.avp.keys import KeyModel
    from photoguard.methods.avp.search import Progress
    from photoguard.methods.avp.target import Target

    Picture = NDArray[np.uint8]  # (H, W, 3)
    Pictures = NDArray[np.uint8]  # (N, H, W, 3)
    Aim = Callable[[torch.Tensor], Target]  # from the originals to what their pictures have to keep
    Distortions = Sequence[Callable[[torch.Tensor], torch.Tensor]]

TOGETHER = 8  # faces in one search: more need more memory and are no faster
SHOWS = 0.03  # SSIM with the face that no chip may exceed: what the paper's have
SEALED_SEARCH = Fast(goal=Goal(reached=0.998, ssim_e=0.01))
LEARNED_SEARCH = Fast(
    # It begins at the shuffled face, which restores best: small steps keep what is good about it.
    goal=Goal(reached=0.997, ssim_e=0.02, ssim_d=0.93), rate=6.0, rate_end=0.5,
    rounds=(Round(150, 100), Round(300, 200), Round(150, 150, fine=True)),
)  # fmt: skip


@dataclass(frozen=True)
class Chip:
    """An encrypted face and what it reached."""

    pixels: NDArray[np.uint8]
    restored: NDArray[np.uint8]
    """What the key gives back of it."""
    cosines: dict[str, float]
    """By recognizer."""
    ssim_e: float
    """With the face: lower hides more."""
    ssim_d: float
    """Restored with the face."""
    steps: int
    seconds: float
    survived: dict[str, float] = field(default_factory=dict)
    """With --robust: the worst recognizer's cosine after each real re-encoding."""


@cache
def recognizer(name: str) -> Recognizer:
    """An installed recognizer, loaded once."""
    return load(name)


def spec_for(names: Sequence[str]) -> Spec:
    """What faces must be cut out for."""
    return chip_spec([recognizer(name).spec for name in names])


def encrypt(
    faces: Pictures, chips: Chips, recipients: Recipients | None, progress: Progress | None = None
) -> list[Chip]:
    """A chip for each aligned face (N, H, W, 3)."""
    made: list[Chip] = []
    for start in range(0, len(faces), TOGETHER):
        some = faces[start : start + TOGETHER]
        found, restored = _searched(some, chips, recipients, progress)
        for number, (face, one, back) in enumerate(zip(some, found, restored, strict=True), start=start + 1):
            if not _good(one, chips):
                raise _missed(number, one, chips)
            if abs(one.ssim_e) > SHOWS:
                raise QualityError(
                    f"the chip of face {number} would still show it: SSIM {one.ssim_e:.3f}, not {SHOWS}",
                    "name fewer recognizers, or leave --robust out",
                )
            cosines = dict(zip(chips.recognizers, one.reached, strict=True))
            alike = float(ssim(*(to_planes(picture[None]).float() for picture in (face, back))))
            survived = _survived(one.pixels, face, chips)
            made.append(Chip(one.pixels, back, cosines, one.ssim_e, alike, one.steps, one.seconds, survived))
    return made


def sealed(
    faces: Pictures,
    aim: Aim,
    recipients: Recipients,
    settings: Fast = SEALED_SEARCH,
    distort: Distortions = (),
    progress: Progress | None = None,
) -> tuple[list[Found], list[Picture]]:
    """Chips that carry their face, for the recipients' eyes only, and the faces as they will come back."""
    cargo, restored = zip(*(avp_payload.seal(face, recipients) for face in faces), strict=True)
    originals = to_planes(faces).float()
    found = fast(
        originals, aim(originals), settings=settings, cargo=cargo, distortions=distort, progress=progress
    )
    return found, list(restored)


def learned(
    faces: Pictures,
    aim: Aim,
    model: KeyModel,
    settings: Fast = LEARNED_SEARCH,
    distort: Distortions = (),
    progress: Progress | None = None,
) -> tuple[list[Found], list[Picture]]:
    """Chips that the key model undoes, and what it gives back of them."""
    nonces = [secrets.token_bytes(avp_payload.NONCE) for _ in faces]
    height, width = faces.shape[1:3]
    key = learned_key(model, nonces, height, width)
    cargo = [avp_payload.mark(model.secret, nonce, height, width) for nonce in nonces]
    originals = to_planes(faces).float()
    found = fast(
        originals, aim(originals), key, settings,
        start=key.start(originals), cargo=cargo, distortions=distort, progress=progress,
    )  # fmt: skip
    return found, [one.restored for one in found if one.restored is not None]


def _searched(
    faces: Pictures, chips: Chips, recipients: Recipients | None, progress: Progress | None
) -> tuple[list[Found], list[Picture]]:
    """The way that the user chose, with a goal that is no lower than what he asks for."""
    aim, distort = partial(_target, chips), distortions(chips.robust)
    if chips.key_model is not None:
        model = opened(chips.key_model)
        return learned(faces, aim, model, _aiming(LEARNED_SEARCH, chips), distort, progress)
    if recipients is None:
        raise UsageError("nobody to seal the chips to")
    return sealed(faces, aim, recipients, _aiming(SEALED_SEARCH, chips), distort, progress)


def _survived(chip: Picture, face: Picture, chips: Chips) -> dict[str, float]:
    """The worst recognizer's cosine after each real re-encoding that recognition was to survive."""
    if not chips.robust:
        return {}
    made = re_encoded(chip, chips.robust)
    target = _target(chips, to_planes(face[None]).float())
    with torch.no_grad():
        rows = torch.zeros(len(made), dtype=torch.long)
        reached = target(to_planes(np.stack(list(made.values()))).float(), rows).reached.amin(1)
    return dict(zip(made, reached.tolist(), strict=True))


def _aiming(search: Fast, chips: Chips) -> Fast:
    return replace(search, goal=replace(search.goal, reached=max(search.goal.reached, chips.least)))


def _target(chips: Chips, originals: torch.Tensor) -> Resemblance:
    return resemblance([recognizer(name) for name in chips.recognizers], originals)


def _good(found: Found, chips: Chips) -> bool:
    return all(math.isfinite(value) and value >= chips.least for value in found.reached)


def _missed(number: int, found: Found, chips: Chips) -> QualityError:
    hint = "name fewer recognizers, leave --robust out, or accept less with --cosine"
    if not all(math.isfinite(value) for value in found.reached):
        return QualityError(
            f"the search for face {number} met a value that is not a finite number, twice", hint
        )
    at, worst = min(enumerate(found.reached), key=lambda pair: pair[1])
    name, least = chips.recognizers[at], chips.least
    return QualityError(
        f"face {number} reached cosine {worst:.3f} with {name}, not {least}, in {found.steps} steps",
        hint,
    )

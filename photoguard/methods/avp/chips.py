"""AVP's chips: pictures that a chosen recognizer takes for a face and that only a key turns back into it.

A chip has the size of the recognizer's own input and is enrolled there as it is. `sealed` chips carry the
face, encrypted, in their low bits; `learned` ones are undone by the owner's key model.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from photoguard.errors import QualityError, UsageError
from photoguard.formats import chip_data as avp_payload
from photoguard.methods import Chips
from photoguard.methods.avp.distortions import distortions, re_encoded
from photoguard.methods.avp.keys import LearnedKey, opened, shuffle
from photoguard.methods.avp.losses import ssim
from photoguard.methods.avp.search import Fast, Found, Goal, Round, fast
from photoguard.methods.avp.target import Resemblance, chip_spec, resemblance
from photoguard.recognizers import Recognizer, Spec, load

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from photoguard.formats.identities import Recipients
    from photoguard.methods.avp.search import Progress

    Picture = NDArray[np.uint8]  # (H, W, 3)
    Pictures = NDArray[np.uint8]  # (N, H, W, 3)

TOGETHER = 8  # faces in one search: more need more memory and are no faster
SHOWS = 0.03  # SSIM with the face that no chip may exceed: what the paper's have
SEALED_GOAL = Goal(reached=0.998, ssim_e=0.01)
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
        if chips.key_model is None:
            found, restored = _sealed(some, chips, recipients, progress)
        else:
            found, restored = _learned(some, chips, chips.key_model, progress)
        for number, (face, one, back) in enumerate(zip(some, found, restored, strict=True), start=start + 1):
            if not _good(one, chips):
                raise _missed(number, one, chips)
            if abs(one.ssim_e) > SHOWS:
                raise QualityError(
                    f"the chip of face {number} would still show it: SSIM {one.ssim_e:.3f}, not {SHOWS}",
                    "name fewer recognizers, or leave --robust out",
                )
            cosines = dict(zip(chips.recognizers, one.reached, strict=True))
            alike = _ssim(face, back)
            survived = _survived(one.pixels, face, chips)
            made.append(Chip(one.pixels, back, cosines, one.ssim_e, alike, one.steps, one.seconds, survived))
    return made


def _survived(chip: Picture, face: Picture, chips: Chips) -> dict[str, float]:
    """The worst recognizer's cosine after each real re-encoding that recognition was to survive."""
    if not chips.robust:
        return {}
    made = re_encoded(chip, chips.robust)
    target = _target(chips, _tensor(face[None]).float())
    with torch.no_grad():
        rows = torch.zeros(len(made), dtype=torch.long)
        reached = target(_tensor(np.stack(list(made.values()))).float(), rows).reached.amin(1)
    return dict(zip(made, reached.tolist(), strict=True))


def _sealed(
    faces: Pictures, chips: Chips, recipients: Recipients | None, progress: Progress | None
) -> tuple[list[Found], Sequence[Picture]]:
    if recipients is None:
        raise UsageError("nobody to seal the chips to")
    cargo, restored = zip(*(avp_payload.seal(face, recipients) for face in faces), strict=True)
    originals = _tensor(faces).float()
    target = _target(chips, originals)
    found = fast(
        originals, target, settings=_aiming(Fast(goal=SEALED_GOAL), chips), cargo=cargo,
        distortions=distortions(chips.robust), progress=progress,
    )  # fmt: skip
    return found, restored


def _learned(
    faces: Pictures, chips: Chips, key_model: bytes, progress: Progress | None
) -> tuple[list[Found], Sequence[Picture]]:
    model = opened(key_model)
    nonces = [secrets.token_bytes(avp_payload.NONCE) for _ in faces]
    height, width = faces.shape[1:3]
    key = LearnedKey(model.generator, [shuffle(model.secret, nonce, height, width) for nonce in nonces])
    cargo = [avp_payload.mark(model.secret, nonce, height, width) for nonce in nonces]
    originals = _tensor(faces).float()
    found = fast(
        originals, _target(chips, originals), key, _aiming(LEARNED_SEARCH, chips),
        start=key.start(originals), cargo=cargo, distortions=distortions(chips.robust),
        progress=progress,
    )  # fmt: skip
    return found, [one.restored for one in found if one.restored is not None]


def _aiming(search: Fast, chips: Chips) -> Fast:
    """The search, with a goal that is no lower than what the user asks for."""
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


def _tensor(pixels: Pictures) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def _ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(ssim(_tensor(a[None]).float(), _tensor(b[None]).float()))

"""The ways of encrypting that are measured: the tool's own two, and the paper's bare generator."""

from __future__ import annotations

import dataclasses
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from photoguard.evaluate.avp.setting import BATCH, pixels, tensor
from photoguard.formats import chip_data as avp_payload
from photoguard.formats import identities
from photoguard.methods.avp.chips import LEARNED_SEARCH, SEALED_GOAL
from photoguard.methods.avp.keys import LearnedKey, shuffle
from photoguard.methods.avp.search import Fast, Goal, fast
from photoguard.recognizers.sample import sample_chip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from photoguard.evaluate.ddm.covers import Pixels
    from photoguard.methods.avp.keys import KeyModel
    from photoguard.methods.avp.search import Found
    from photoguard.methods.avp.target import Target
    from photoguard.recognizers import Spec

    Aim = Callable[[Tensor], Target]
    Distortions = Sequence[Callable[[Tensor], Tensor]]

SEALED_SEARCH = Fast(goal=SEALED_GOAL)
# What Table 1 has of the bare generator. It begins at noise, so its steps are larger than the learned key's.
BARE_SEARCH = dataclasses.replace(LEARNED_SEARCH, goal=Goal(0.994, 0.03, 0.9), rate=12.0)


@dataclass(frozen=True)
class Sealed:
    """The face itself, encrypted, in the low bits."""

    identity: str
    """The owner's secret key, as age writes it"""
    search: Fast = SEALED_SEARCH
    distortions: Distortions = ()
    name: str = "sealed"

    def encrypt(self, faces: Pixels, aim: Aim) -> list[Found]:
        """As `photoguard encrypt --method avp --key-model sealed` does."""
        to = identities.Recipients(tuple(identities.recipients_of(self.identity)))
        cargo = [avp_payload.seal(face, to)[0] for face in faces]
        originals = tensor(faces)
        return fast(
            originals,
            aim(originals),
            settings=self.search,
            cargo=cargo,
            distortions=self.distortions,
        )

    def decrypt(self, chips: Pixels) -> Pixels:
        """What the low bits hold; an error for another identity."""
        owner = identities.parse_identities(self.identity.encode(), lambda _: "")
        return np.stack([avp_payload.unseal(avp_payload.carried(chip), owner) for chip in chips])


@dataclass(frozen=True)
class Bare:
    """The paper's setting: the generator alone undoes the chip."""

    model: KeyModel
    search: Fast = BARE_SEARCH
    name: str = "bare"

    @property
    def key(self) -> LearnedKey:
        """As the search wants it."""
        return LearnedKey(self.model.generator, None)

    def encrypt(self, faces: Pixels, aim: Aim) -> list[Found]:
        """The tool's search, from noise."""
        originals = tensor(faces)
        return fast(originals, aim(originals), self.key, self.search)

    def decrypt(self, chips: Pixels) -> Pixels:
        """What the generator gives back."""
        return _opened(self.key, chips)

    def forced(self, chips: Pixels) -> Pixels:
        """What a wrong key gives back: there is nothing that would refuse it."""
        return self.decrypt(chips)


@dataclass(frozen=True)
class Learned:
    """The generator behind the keyed transform, with a nonce for each chip in its low bits."""

    model: KeyModel
    search: Fast = LEARNED_SEARCH
    name: str = "learned"

    def encrypt(self, faces: Pixels, aim: Aim) -> list[Found]:
        """As `photoguard encrypt --method avp --key-model learned` does."""
        secret, (height, width) = self.model.secret, faces.shape[1:3]
        nonces = [secrets.token_bytes(avp_payload.NONCE) for _ in faces]
        cargo = [avp_payload.mark(secret, nonce, height, width) for nonce in nonces]
        key = self._key(nonces, height, width)
        originals = tensor(faces)
        return fast(
            originals,
            aim(originals),
            key,
            self.search,
            start=key.start(originals),
            cargo=cargo,
        )

    def decrypt(self, chips: Pixels) -> Pixels:
        """What the key model gives back; an error for another's."""
        nonces = [avp_payload.marked_nonce(avp_payload.carried(chip), self.model.secret) for chip in chips]
        return _opened(self._key(nonces, *chips.shape[1:3]), chips)

    def forced(self, chips: Pixels) -> Pixels:
        """The same without the check that would refuse a wrong key."""
        nonces = [avp_payload.carried(chip).body[: avp_payload.NONCE] for chip in chips]
        return _opened(self._key(nonces, *chips.shape[1:3]), chips)

    def _key(self, nonces: Sequence[bytes], height: int, width: int) -> LearnedKey:
        shuffles = [shuffle(self.model.secret, nonce, height, width) for nonce in nonces]
        return LearnedKey(self.model.generator, shuffles)


def _opened(key: LearnedKey, chips: Pixels) -> Pixels:
    with torch.no_grad():
        parts = [
            pixels(key(tensor(chips[rows]), torch.from_numpy(rows)))
            for rows in np.array_split(np.arange(len(chips)), -(-len(chips) // BATCH))
        ]
    return np.concatenate(parts)


def sample_faces(spec: Spec) -> Pixels:
    """NASA's portrait, (1, height, width, 3)."""
    return pixels(sample_chip(spec))

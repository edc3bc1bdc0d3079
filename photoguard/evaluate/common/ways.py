"""The ways of AVP to encrypt pictures: the tool's own two, called as the tool calls them, and the paper's."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from photoguard.formats import chip_data, identities
from photoguard.methods.avp import chips as avp_chips
from photoguard.methods.avp.chips import LEARNED_SEARCH, SEALED_SEARCH
from photoguard.methods.avp.keys import LearnedKey, learned_key, opened_with, restore_learned
from photoguard.methods.avp.search import Fast, Goal, fast
from photoguard.nets.planes import to_planes

if TYPE_CHECKING:
    from photoguard.methods.avp.chips import Aim, Distortions
    from photoguard.methods.avp.keys import KeyModel
    from photoguard.methods.avp.search import Found
    from photoguard.nets.planes import Pixels

BATCH = 8  # pictures in one call of a generator
# What Table 1 has of the bare generator. It begins at noise, so its steps are larger than the learned key's.
BARE_SEARCH = dataclasses.replace(LEARNED_SEARCH, goal=Goal(0.994, 0.03, 0.9), rate=12.0)


class Way(Protocol):
    """One way of encrypting pictures for a recognizer or classifier, and of undoing it."""

    @property
    def search(self) -> Fast:
        """How it searches."""
        ...

    def encrypt(self, faces: Pixels, aim: Aim) -> list[Found]:
        """Search for each face (N, H, W, 3) a picture that the target of `aim` takes for it."""
        ...

    def decrypt(self, chips: Pixels) -> Pixels:
        """What the owner's key gives back of saved chips."""
        ...


@dataclass(frozen=True)
class Sealed:
    """The face itself, encrypted, in the low bits: `photoguard encrypt --method avp --key-model sealed`."""

    identity: str
    """The owner's secret key, as age writes it"""
    search: Fast = SEALED_SEARCH
    distortions: Distortions = ()
    name: str = "sealed"

    def encrypt(self, faces: Pixels, aim: Aim) -> list[Found]:
        """By the tool's own function."""
        to = identities.Recipients(tuple(identities.recipients_of(self.identity)))
        return avp_chips.sealed(faces, aim, to, self.search, self.distortions)[0]

    def decrypt(self, chips: Pixels) -> Pixels:
        """What the low bits hold; an error for another identity."""
        owner = identities.parse_identities(self.identity.encode(), lambda _: "")
        return np.stack([chip_data.unseal(chip_data.carried(chip), owner) for chip in chips])


@dataclass(frozen=True)
class Bare:
    """The paper's setting, which the tool does not offer: the generator alone undoes the chip."""

    model: KeyModel
    search: Fast = BARE_SEARCH
    name: str = "bare"

    @property
    def key(self) -> LearnedKey:
        """As the search wants it."""
        return LearnedKey(self.model.generator, None)

    def encrypt(self, faces: Pixels, aim: Aim) -> list[Found]:
        """The tool's search, from noise."""
        originals = to_planes(faces).float()
        return fast(originals, aim(originals), self.key, self.search)

    def decrypt(self, chips: Pixels) -> Pixels:
        """What the generator gives back; with a wrong key too, as nothing would refuse it."""
        return np.concatenate([opened_with(self.key, some) for some in _batches(chips)])

    def forced(self, chips: Pixels) -> Pixels:
        """The same."""
        return self.decrypt(chips)


@dataclass(frozen=True)
class Learned:
    """The generator behind a keyed transform: `photoguard encrypt --method avp --key-model learned`."""

    model: KeyModel
    search: Fast = LEARNED_SEARCH
    name: str = "learned"

    def encrypt(self, faces: Pixels, aim: Aim) -> list[Found]:
        """By the tool's own function."""
        return avp_chips.learned(faces, aim, self.model, self.search)[0]

    def decrypt(self, chips: Pixels) -> Pixels:
        """What the key model gives back; an error for another's."""
        return np.stack([restore_learned(chip, chip_data.carried(chip), self.model) for chip in chips])

    def forced(self, chips: Pixels) -> Pixels:
        """The same without the check that would refuse a wrong key."""
        return np.concatenate([self._forced(some) for some in _batches(chips)])

    def _forced(self, chips: Pixels) -> Pixels:
        nonces = [chip_data.carried(chip).body[: chip_data.NONCE] for chip in chips]
        return opened_with(learned_key(self.model, nonces, *chips.shape[1:3]), chips)


def _batches(chips: Pixels) -> list[Pixels]:
    return np.array_split(chips, -(-len(chips) // BATCH))

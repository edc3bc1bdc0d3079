"""AVP is measured by the tool's own functions, with keys that are made once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from photoguard.errors import WrongKeyError
from photoguard.evaluate.common import ways
from photoguard.evaluate.common.keys import Keys
from photoguard.formats import identities
from photoguard.methods.avp import chips as avp_chips
from photoguard.methods.avp.keys import KeyModel
from photoguard.methods.avp.search import Fast
from photoguard.methods.avp.target import Judged
from photoguard.nets.generator import Generator, GeneratorConfig

FACES = np.random.default_rng(0).integers(0, 256, (3, 48, 40, 3), dtype=np.uint8)
IDENTITY = identities.generate()[0]
torch.manual_seed(1)
MODEL = KeyModel(bytes(32), Generator(GeneratorConfig(4, 1, 1, False)).requires_grad_(False).eval())


class Bright:
    """A target that wants a bright picture."""

    def __call__(self, chips: torch.Tensor, rows: torch.Tensor) -> Judged:
        bright = chips.mean((1, 2, 3)) / 255
        return Judged(1 - bright, bright[:, None])


def aim(originals: torch.Tensor) -> Bright:
    return Bright()


def brief(search: Fast) -> Fast:
    return replace(search, steps=2)


@pytest.mark.parametrize(
    "way",
    [ways.Sealed(IDENTITY, brief(ways.SEALED_SEARCH)), ways.Learned(MODEL, brief(ways.LEARNED_SEARCH))],
    ids=["sealed", "learned"],
)
def test_the_tool_itself_encrypts(way: ways.Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `encrypt --method avp` calls is what is measured, with the settings that are measured."""
    name = type(way).__name__.lower()
    real: Callable[..., tuple[Sequence[object], object]] = getattr(avp_chips, name)
    asked: list[Fast] = []

    def watched(faces: object, aim: object, key: object, settings: Fast, *more: object) -> object:
        asked.append(settings)
        return real(faces, aim, key, settings, *more)

    monkeypatch.setattr(avp_chips, name, watched)
    found = way.encrypt(FACES, aim)
    assert asked == [way.search] and all(one.steps == 2 for one in found)


def test_sealed_chips_come_back_to_their_owner_alone() -> None:
    way = ways.Sealed(IDENTITY, brief(ways.SEALED_SEARCH))
    chips = np.stack([one.pixels for one in way.encrypt(FACES, aim)])
    back = way.decrypt(chips)
    assert back.shape == FACES.shape
    with pytest.raises(WrongKeyError):
        ways.Sealed(identities.generate()[0]).decrypt(chips)


def test_learned_chips_come_back_as_the_search_saw_them_and_wrong_keys_are_forced_only() -> None:
    way = ways.Learned(MODEL, brief(ways.LEARNED_SEARCH))
    found = way.encrypt(FACES, aim)
    chips = np.stack([one.pixels for one in found])
    for back in (way.decrypt(chips), way.forced(chips)):
        for one, shown in zip(found, back, strict=True):
            assert one.restored is not None
            assert np.abs(one.restored.astype(int) - shown.astype(int)).max() <= 1
    other = ways.Learned(replace(MODEL, secret=b"x" * 32))
    with pytest.raises(WrongKeyError):
        other.decrypt(chips)
    assert (other.forced(chips) != way.forced(chips)).mean() > 0.5


def test_bare_chips_are_opened_a_batch_at_a_time() -> None:
    many = np.concatenate([FACES] * 4)
    opened = ways.Bare(MODEL).decrypt(many)
    assert opened.shape == many.shape and len(many) > ways.BATCH
    np.testing.assert_array_equal(opened[:3], ways.Bare(MODEL).forced(FACES))


def test_a_key_is_made_once_and_kept(tmp_path: Path) -> None:
    made: list[bool] = []

    def train(faces: bool) -> KeyModel:
        made.append(faces)
        return MODEL

    keys = partial(Keys, tmp_path, train, lambda _: None)
    first = keys()
    assert first.model(0) is first.model(0) and first.model(0, faces=False) is MODEL
    assert keys().model(0).secret == MODEL.secret and keys().identity == first.identity
    assert made == [True, False] and keys().seconds(0) >= 0

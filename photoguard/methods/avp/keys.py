"""AVP's learned keys: a generator that has learned the identity, behind a secret shuffle of the pixels.

The generator alone is no secret: two that have learned the identity well open each other's pictures. What an
attacker lacks is the shuffle, and one photo's shuffle tells nothing of the next one's.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from torch import Tensor

from photoguard import weights
from photoguard.errors import DamagedError, WeightsError
from photoguard.formats import chip_data as avp_payload
from photoguard.formats import envelope
from photoguard.nets.generator import Generator, GeneratorConfig
from photoguard.nets.planes import to_pixels, to_planes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

KIND = "keymodel"
SECRET = 32
VERSION = 1
# Of a generator. The paper's has 64 channels, 2 halvings and 9 blocks, which work on 256 channels.
CHANNELS, HALVINGS, BLOCKS, WIDEST = 64, 4, 16, 256
SIDE_LIMIT = 256  # pixels of a learned chip: a generator's work grows with them


@dataclass(frozen=True)
class KeyModel:
    """The plaintext of a key model's file: the owner's secret and the generator."""

    secret: bytes = field(repr=False)
    generator: Generator = field(repr=False)

    def to_bytes(self) -> bytes:
        """The envelope, to be encrypted with age."""
        config = {name: getattr(self.generator.config, name) for name in FIELDS}
        return envelope.pack(
            {"kind": KIND}, [self.secret, weights.packed(self.generator.state_dict(), config)], VERSION
        )

    @staticmethod
    def from_bytes(data: bytes) -> KeyModel:
        """Parse and check."""
        if len(data) > weights.KEY_MODEL_LIMIT:
            raise DamagedError("the key model is larger than any can be")
        header, blobs = envelope.unpack(data, KIND, VERSION)
        if header or len(blobs) != 2 or len(blobs[0]) != SECRET:
            raise DamagedError("the key model has missing or unknown parts")
        return KeyModel(blobs[0], _generator(blobs[1]))


FIELDS = ("channels", "halvings", "blocks", "norm")


def _generator(data: bytes) -> Generator:
    try:
        stated, config = weights.described(data, "the key model")
        generator = _outline(config)
        wanted = {name: ("F32", list(value.shape)) for name, value in generator.state_dict().items()}
        if stated != wanted:  # before anything of their size is allocated
            raise DamagedError("the key model's weights do not fit its configuration")
        tensors, _ = weights.parsed(data, "the key model")
        generator.load_state_dict(tensors, assign=True)
    except (WeightsError, RuntimeError) as error:  # a file of the user's, and no part of the installation
        raise DamagedError(str(error)) from None
    if not all(bool(value.isfinite().all()) for value in tensors.values()):
        raise DamagedError("the key model's weights are not all finite numbers")
    return generator.eval().requires_grad_(False)


def _outline(config: Mapping[str, Any]) -> Generator:
    """The network that a configuration describes, with shapes and no values."""
    kinds = {name: type(value) for name, value in config.items()}
    if kinds != {"channels": int, "halvings": int, "blocks": int, "norm": bool}:
        raise DamagedError("the key model's configuration is damaged")
    channels, halvings, blocks = (config[name] for name in FIELDS[:3])
    small = 0 < channels <= CHANNELS and 0 <= halvings <= HALVINGS and 0 <= blocks <= BLOCKS
    if not small or channels << halvings > WIDEST:
        raise DamagedError("the key model's configuration is out of range")
    with torch.device("meta"):
        return Generator(GeneratorConfig(**config))


@cache
def opened(data: bytes) -> KeyModel:
    """A key model from its file's plaintext, parsed once."""
    return KeyModel.from_bytes(data)


@dataclass(frozen=True)
class Shuffle:
    """Which sample goes where, and with which sign: between pictures of -1..1 and what hides them."""

    places: Tensor
    """(samples,): the shuffled picture's sample i is the picture's sample places[i]"""
    signs: Tensor
    """(samples,) of 1 and -1, of the shuffled picture"""

    @cached_property
    def back(self) -> Tensor:
        """The inverse of `places`."""
        return torch.argsort(self.places)


def shuffle(secret: bytes, nonce: bytes, height: int, width: int) -> Shuffle:
    """The shuffle of one photo: random words of a stream cipher, of which the order is taken, and bits."""
    count = 3 * height * width
    label = b"photoguard chip shuffle" + nonce + struct.pack(">II", height, width)
    key = avp_payload.derived(secret, label)
    stream = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(9 * count))
    words = np.frombuffer(stream[: 8 * count], "<u8")
    places = np.argsort(words, kind="stable")
    signs = 1.0 - 2.0 * (np.frombuffer(stream[8 * count :], np.uint8) & 1)
    return Shuffle(torch.from_numpy(places), torch.from_numpy(signs.astype(np.float32)))


def shuffled(picture: Tensor, how: Shuffle) -> Tensor:
    """(3, H, W) of 0..255 to the same, hidden."""
    flat = (picture.flatten() - 127.5)[how.places.to(picture.device)] * how.signs.to(picture.device)
    return (flat + 127.5).view_as(picture)


def unshuffled(picture: Tensor, how: Shuffle) -> Tensor:
    """And back, with gradient."""
    flat = (picture.flatten() - 127.5) * how.signs.to(picture.device)
    return (flat[how.back.to(picture.device)] + 127.5).view_as(picture)


@dataclass(frozen=True)
class LearnedKey:
    """What the owner would restore of chips, for the search. Without shuffles it is the paper's bare key."""

    generator: Generator
    shuffles: Sequence[Shuffle] | None

    def __call__(self, chips: Tensor, rows: Tensor) -> Tensor:
        """(B, 3, H, W) of 0..255 to the same."""
        if self.shuffles is not None:
            back = [
                unshuffled(chip, self.shuffles[row]) for chip, row in zip(chips, rows.tolist(), strict=True)
            ]
            chips = torch.stack(back)
        restored: Tensor = self.generator(chips / 127.5 - 1)
        return (restored + 1) * 127.5

    def start(self, originals: Tensor) -> Tensor | None:
        """Where the search begins: the shuffled originals; from noise where there is no shuffle."""
        if self.shuffles is None:
            return None
        return torch.stack([shuffled(one, how) for one, how in zip(originals, self.shuffles, strict=True)])


def learned_key(model: KeyModel, nonces: Sequence[bytes], height: int, width: int) -> LearnedKey:
    """The key of chips with these nonces."""
    return LearnedKey(model.generator, [shuffle(model.secret, nonce, height, width) for nonce in nonces])


def restore_learned(
    pixels: NDArray[np.uint8], payload: avp_payload.Payload, model: KeyModel
) -> NDArray[np.uint8]:
    """The face behind a learned chip."""
    nonce = avp_payload.marked_nonce(payload, model.secret)
    step, sides = 1 << model.generator.config.halvings, (payload.height, payload.width)
    if any(side % step or not max(4, 2 * step) <= side <= SIDE_LIMIT for side in sides):
        raise DamagedError("the chip's size does not fit its key model")
    key = learned_key(model, [nonce], payload.height, payload.width)
    face: NDArray[np.uint8] = opened_with(key, pixels[None])[0]
    return face


def opened_with(key: LearnedKey, chips: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What a key makes of chips (N, H, W, 3), whether it is theirs or not."""
    with torch.no_grad():
        return to_pixels(key(to_planes(chips).float(), torch.arange(len(chips))))

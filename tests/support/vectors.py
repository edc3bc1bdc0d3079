"""The test vectors of docs/spec/format.md as values, and what reads each kind of them."""

from __future__ import annotations

import zlib
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from support.places import ROOT

from photoguard import methods, opening, reveal
from photoguard.formats import chip_data as avp_payload
from photoguard.formats import contents as sealed
from photoguard.formats import envelope, identities
from photoguard.formats.envelope import PublicFile
from photoguard.formats.features import FeatureFile
from photoguard.formats.private import PrivateFile
from photoguard.methods.avp import keys as avp_keys
from photoguard.photos import images

FOLDER = ROOT / "tests" / "vectors"

TEXT, RECIPIENT = identities.generate()

OURS, US = identities.Identity(TEXT.splitlines()[-1].encode()), identities.Recipients((RECIPIENT,))


@dataclass(frozen=True)
class Vector:
    fields: dict[str, list[str]]
    body: bytes

    def __getitem__(self, name: str) -> str:
        return self.fields[name][0]


def read(path: Path) -> Vector:
    head, _, body = path.read_text().partition("\n\n")
    fields: dict[str, list[str]] = {}
    for line in head.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.strip())
    return Vector(fields, b64decode(body))


def as_public(vector: Vector) -> None:
    assert PublicFile.from_bytes(vector.body).to_bytes() == vector.body


def as_private(vector: Vector) -> None:
    assert PrivateFile.from_bytes(vector.body).to_bytes() == vector.body


def as_carrier(vector: Vector) -> None:
    public = PublicFile.from_bytes(vector.body)
    content = envelope.open_carrier(public, int(vector["number"]), bytes.fromhex(vector["key"]))
    assert content.hex() == vector["content"]


def as_picture(vector: Vector) -> None:
    """The whole way: private files are sealed first, so that choosing among them is tested too."""
    sealed_files = {
        f"{number}.priv": identities.seal(b64decode(text), US)
        for number, text in enumerate(vector.fields["private"])
    }
    private = opening.open_private(sealed_files, [OURS]).files
    restored = reveal.reveal(vector.body, private)
    assert [",".join(map(str, faces)) for faces in (restored.opened, restored.closed)] == [
        vector["opened"], vector["closed"],
    ]  # fmt: skip
    assert (restored.name or "") == vector["name"]
    assert restored.exact is (vector["exact"] == "yes")
    if "near" in vector.fields:  # networks round differently from machine to machine
        assert_near(restored.photo.pixels, vector)
    else:
        assert sealed.fingerprint(restored.photo, private[0].version).hex() == vector["restored"]


def assert_near(pixels: np.ndarray, vector: Vector) -> None:
    expected = np.frombuffer(zlib.decompress(b64decode(vector["near"])), pixels.dtype).reshape(pixels.shape)
    assert np.abs(pixels.astype(int) - expected).max() <= int(vector["within"])


def as_age(vector: Vector) -> None:
    keys = (
        identities.parse_identities(vector["identity"].encode(), str) if "identity" in vector.fields else []
    )
    PrivateFile.from_bytes(identities.unseal(vector.body, keys, lambda _: vector["passphrase"]))


def as_features(vector: Vector) -> None:
    assert FeatureFile.from_bytes(vector.body).to_bytes() == vector.body


def as_chip(vector: Vector) -> None:
    pixels = images.decode(vector.body, "the chip").pixels
    payload = avp_payload.carried(pixels)
    if "secret" in vector.fields:
        secret = bytes.fromhex(vector["secret"])
        nonce = avp_payload.marked_nonce(payload, secret)
        assert nonce.hex() == vector["nonce"]
        how = avp_keys.shuffle(secret, nonce, payload.height, payload.width)
        hidden = torch.from_numpy(pixels).permute(2, 0, 1).float()
        restored = avp_keys.unshuffled(hidden, how).permute(1, 2, 0).numpy().astype(np.uint8)
    else:
        restored = avp_payload.unseal(payload, identities.parse_identities(vector["identity"].encode(), str))
    assert methods.digest(restored).hex() == vector["restored"]


READERS = {
    "public": as_public, "private": as_private, "carrier": as_carrier, "picture": as_picture, "age": as_age,
    "features": as_features, "chip": as_chip,
}  # fmt: skip

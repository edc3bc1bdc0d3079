"""The second reader, written from docs/format.md alone, reads what photoguard writes."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import pytest
import reader
from test_vectors import FOLDER, Vector, assert_near, read

ERRORS = {"damaged": reader.DamagedError, "wrong-key": reader.WrongKeyError}


def as_public(vector: Vector) -> None:
    reader.public_file(vector.body)


def as_private(vector: Vector) -> None:
    reader.private_file(vector.body)


def as_carrier(vector: Vector) -> None:
    public = reader.public_file(vector.body)
    content = reader.opened_carrier(public, int(vector["number"]), bytes.fromhex(vector["key"]))
    assert content.hex() == vector["content"]


def as_picture(vector: Vector) -> None:
    private = [reader.private_file(b64decode(text)) for text in vector.fields["private"]]
    restored = reader.restore(vector.body, private)
    assert [",".join(map(str, faces)) for faces in (restored.opened, restored.closed)] == [
        vector["opened"], vector["closed"],
    ]  # fmt: skip
    assert (restored.facts.name if restored.facts else "") == vector["name"]
    assert restored.exact is (vector["exact"] == "yes")
    if "near" in vector.fields:
        assert_near(restored.photo.pixels, vector)
    else:
        assert reader.fingerprint(restored.photo, private[0].version).hex() == vector["restored"]


def as_age(vector: Vector) -> None:
    keys = vector.fields.get("identity", [])
    phrase = vector["passphrase"] if "passphrase" in vector.fields else None
    reader.private_file(reader.unlock(vector.body, keys, phrase))


def as_features(vector: Vector) -> None:
    reader.feature_file(vector.body)


def as_chip(vector: Vector) -> None:
    secret = bytes.fromhex(vector["secret"]) if "secret" in vector.fields else b""
    restored = reader.restored_chip(vector.body, vector.fields.get("identity", []), secret)
    assert reader.digest(restored).hex() == vector["restored"]


READERS = {
    "public": as_public, "private": as_private, "carrier": as_carrier, "picture": as_picture, "age": as_age,
    "features": as_features, "chip": as_chip,
}  # fmt: skip


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = read(path)
    read_it = READERS[vector["reads"]]
    if vector["expect"] == "ok":
        read_it(vector)
    else:
        with pytest.raises(ERRORS[vector["expect"]]):
            read_it(vector)

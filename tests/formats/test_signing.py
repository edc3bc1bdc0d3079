"""Who made a file: signing keys that follow from identities, and what they sign."""

from __future__ import annotations

import hmac
import pickle
from collections.abc import Callable

import pytest

from photoguard.errors import DamagedError, UsageError
from photoguard.formats import identities, public_keys, signing

IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"


def hkdf(key: bytes, info: bytes) -> bytes:
    """RFC 5869 by hand: no salt, one block."""
    return hmac.digest(hmac.digest(bytes(32), key, "sha256"), info + b"\x01", "sha256")


def test_the_signing_key_follows_from_the_first_age_key() -> None:
    signer = signing.signer_of(f"# created: today\n  {IDENTITY}  \n{identities.generate()[0]}")
    assert signer is not None
    assert signer.seed == hkdf(IDENTITY.encode(), b"photoguard signing key 1")
    assert signer.seed.hex() == "f76f5835befbe8e95c322e7107a7c2211bc6b61ee4b02c80062415f953d05975"
    assert signer.public.hex() == "d533d0be4af5876793774ca5e82c518fcf48e23be4b0a9fa1d5dfae8286526b6"
    assert signer.sign(b"hello").hex() == (
        "b08dd3403a105f0edd4fe8d9c92a7467ede063fa1aedbb81a9612c198cb4452f"
        "74a13a04c7da45dd84e21b1191f5e135130410285e3df23529c52a7458dc960f"
    )
    assert signing.signer_of("-----BEGIN OPENSSH PRIVATE KEY-----\n") is None


def test_ed25519_as_rfc_8032_has_it() -> None:
    signer = signing.Signer(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    assert signer.public.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert signer.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


def test_a_signature_holds_for_its_key_and_message_only() -> None:
    mine, other = signing.throwaway(), signing.throwaway()
    assert mine.seed != other.seed
    signature = mine.sign(b"message")
    signing.verify(mine.public, signature, b"message")
    altered = signature[:-1] + bytes([signature[-1] ^ 1])
    for public, made, message in (
        (other.public, signature, b"message"), (mine.public, signature, b"massage"),
        (mine.public, altered, b"message"), (mine.public, b"", b"message"), (b"short", signature, b"message"),
        (bytes(32), signature, b"message"), (b"\xff" * 32, signature, b"message"),
    ):  # fmt: skip
        with pytest.raises(DamagedError, match="signature does not hold"):
            signing.verify(public, made, message)


def test_a_signer_goes_to_another_process_and_shows_no_secret() -> None:
    signer = signing.throwaway()
    assert pickle.loads(pickle.dumps(signer)) == signer
    assert signer.seed.hex() not in repr(signer) and repr(signer.seed)[2:-1] not in f"{signer}"


def shared() -> str:
    return public_keys.of_identity(identities.generate()[0]).to_text()


def test_what_is_shared_follows_from_the_identity_and_is_an_age_recipients_file() -> None:
    (text, own), (_, spare) = identities.generate(), identities.generate()
    keys = public_keys.of_identity(f"# recovery: {spare}\n{text}")
    assert keys.recipients == (own, spare)
    assert public_keys.parse(keys.to_text()) == keys
    assert identities.parse_recipients(keys.to_text()) == [own, spare]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(text.split()[0], identities.generate()[1]),  # another recipient
        lambda text: identities.generate()[1] + "\n" + text,  # one more
        lambda text: text.replace("signs as: ", "signs as: 00"),
        lambda text: text.rpartition("# signed")[0],  # the signature is gone
        lambda text: "".join(line + "\n" for line in text.splitlines() if "signs as" not in line),
        lambda text: text + text.splitlines()[-1] + "\n",  # twice
        lambda text: text.replace("# signs as: ", "# signs as: " + signing.throwaway().public.hex() + "\n# "),
    ],
)
def test_a_shared_file_that_others_altered_is_damaged(change: Callable[[str], str]) -> None:
    text = shared()
    assert change(text) != text
    with pytest.raises(DamagedError):
        public_keys.parse(change(text))


def test_a_secret_is_not_taken_for_what_is_shared() -> None:
    with pytest.raises(UsageError, match="secret identity"):
        public_keys.parse(identities.generate()[0])

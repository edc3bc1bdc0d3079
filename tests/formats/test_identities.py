"""Identities and recipients as texts and bytes."""

from __future__ import annotations

import base64
import pickle
import textwrap

import pytest
from support.people import nobody_asks, ssh_key

from photoguard.errors import DamagedError, UnreadableError, UsageError, WrongKeyError
from photoguard.formats import identities
from photoguard.formats.identities import Identity, Recipients, parse_recipient


def someone() -> tuple[str, str, list[Identity]]:
    text, recipient = identities.generate()
    return text, recipient, identities.parse_identities(text.encode(), nobody_asks)


def to(*recipients: str) -> Recipients:
    return Recipients(tuple(map(parse_recipient, recipients)))


def test_an_identity_is_new_each_time_and_says_who_it_is() -> None:
    (one, recipient, _), (other, *_) = someone(), someone()
    assert one != other
    assert f"# public key: {recipient}\n" in one and "# created: 20" in one
    assert identities.recipients_of(one) == [recipient]
    assert str(identities.parse_recipients(one)[0]) == recipient, "an identity file names its own recipient"


def test_every_recipient_opens_and_nobody_else() -> None:
    (_, ana, her), (_, ben, his), (_, _, theirs) = someone(), someone(), someone()
    sealed = identities.seal(b"hello", to(ana, ben))
    assert identities.unseal(sealed, her) == identities.unseal(sealed, his) == b"hello"
    assert identities.unseal(sealed, [*theirs, *his]) == b"hello", "one of several identities is enough"
    with pytest.raises(WrongKeyError, match="not among"):
        identities.unseal(sealed, theirs)
    with pytest.raises(WrongKeyError, match="no identity"):
        identities.unseal(sealed, [])
    assert identities.stanzas(sealed) == ["X25519", "X25519"]


def test_keys_can_go_to_another_process() -> None:
    _, recipient, mine = someone()
    sealed = identities.seal(b"x", pickle.loads(pickle.dumps(to(recipient))))
    assert identities.unseal(sealed, pickle.loads(pickle.dumps(mine))) == b"x"
    assert pickle.loads(pickle.dumps(Identity(ssh_key()))).secret is not None


def test_who_is_among_the_recipients() -> None:
    (_, ana, her), (_, ben, _), (_, _, theirs) = someone(), someone(), someone()
    assert identities.is_among(her[0], to(ben, ana))
    assert not identities.is_among(theirs[0], to(ben, ana))
    assert not identities.is_among(her[0], Recipients(passphrase="x"))
    assert not identities.is_among(Identity(ssh_key()), to(ana)), "an SSH key names no recipient of its own"


def test_an_identity_file_may_hold_several_keys_and_remarks() -> None:
    (one, ana, _), (two, _, _) = someone(), someone()
    both = identities.parse_identities(f"# Schl\u00fcssel\r\n\r\n{two}{one}".encode(), nobody_asks)
    assert len(both) == 2
    assert identities.unseal(identities.seal(b"x", to(ana)), both) == b"x"


@pytest.mark.parametrize(
    ("data", "says"),
    [(b"", "holds no key"), (b"# only a remark\n", "holds no key"), (b"\xff\xfe\x00", "not an identity file"),
     (b"AGE-SECRET-KEY-1QQQQ", "damaged key"), (b"age1qqqq\n", "holds no key"),
     (b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", "SSH private key"),
     (b"-----BEGIN RSA PRIVATE KEY-----\n", "SSH private key")],
)  # fmt: skip
def test_what_is_no_identity_is_unreadable(data: bytes, says: str) -> None:
    with pytest.raises(UnreadableError, match=says):
        identities.parse_identities(data, nobody_asks)


@pytest.mark.parametrize(
    "text", ["", "# nobody\n", "bob", "age1", "age1" + "q" * 58, "AGE1ABC", "ssh-ed25519", "ssh-rsa AAAA me",
             "ssh-ed25519 AAAA me", "ssh-dss AAAAB3NzaC1kc3MAAACBA", "https://example.org"],
)  # fmt: skip
def test_what_is_no_recipient_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        identities.parse_recipients(text)


def test_a_passphrase_excludes_recipients_and_nobody_is_nobody() -> None:
    with pytest.raises(UsageError, match="nobody"):
        identities.seal(b"x", Recipients())
    with pytest.raises(UsageError, match="passphrase"):
        identities.seal(b"x", Recipients(to(someone()[1]).keys, "words"))


def test_armor_comes_off() -> None:
    _, ana, her = someone()
    sealed = identities.seal(b"hello" * 100, to(ana))
    body = "\n".join(textwrap.wrap(base64.b64encode(sealed).decode(), 64))
    head, foot = (f"-----{word} AGE ENCRYPTED FILE-----" for word in ("BEGIN", "END"))
    for end in ("\n", "\r\n"):
        armored = f"{head}\n{body}\n{foot}\n".replace("\n", end).encode()
        assert identities.dearmored(armored) == sealed
        assert identities.unseal(armored, her) == b"hello" * 100
    for broken in (
        f"{head}\n{body[:-8]}\n{foot}\n",
        f"{head}\n{body[:9]}!{body[9:]}\n{foot}\n",
        f"{head}\n{foot}\n",
        head,
    ):
        with pytest.raises(DamagedError):
            identities.unseal(broken.encode(), her)


def test_stanzas_name_kinds_and_leave_out_grease() -> None:
    head = b"age-encryption.org/v1\n-> X25519 abc\nbody\n-> ssh-ed25519 TAG1 xyz\nbody\n"
    head += b"-> q-grease 12 ab\n\n--- mac\n"
    assert identities.stanzas(head) == ["X25519", "ssh-ed25519 TAG1"]
    bare = b"age-encryption.org/v1\n-> ssh-rsa\n--- mac\n"
    assert identities.stanzas(bare) == ["ssh-rsa"], "a stanza may lack what it should have"
    for broken in (
        b"",
        b"age-encryption.org/v1\n",
        b"age-encryption.org/v1\n-> X25519 abc\nbody\n",
        head[1:],
    ):
        with pytest.raises(DamagedError):
            identities.stanzas(broken)
    long = b"age-encryption.org/v1\n" + b"-> X25519 abc\nbody\n" * 4000 + b"--- mac\n"
    with pytest.raises(DamagedError, match="cut short"):
        identities.stanzas(long)


def test_secrets_have_no_face() -> None:
    text, recipient, mine = someone()
    secret = text.splitlines()[-1]
    shown = repr(mine) + str(mine[0]) + repr(Recipients(passphrase="open sesame")) + repr(to(recipient))
    assert secret not in shown and "sesame" not in shown


@pytest.mark.parametrize("text", ["age1\udcff", "ssh-ed25519 \udcff"])
def test_a_recipient_that_is_not_text_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="not a valid recipient"):
        parse_recipient(text)

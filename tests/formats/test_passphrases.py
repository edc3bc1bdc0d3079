"""age files locked with a passphrase: as age has them, and no more work than is ours to ask for."""

from __future__ import annotations

import base64
import contextlib

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.people import asking_for, locked, nobody_asks

from photoguard.errors import DamagedError, WrongKeyError
from photoguard.formats import identities, passphrases

SALT = "A" * 22
OPENERS = {
    "private file": lambda data: identities.unseal(data, [], nobody_asks),
    "identity": lambda data: identities.parse_identities(data, nobody_asks),
}


def armored(data: bytes) -> bytes:
    head, foot = (f"-----{word} AGE ENCRYPTED FILE-----\n".encode() for word in ("BEGIN", "END"))
    return head + base64.encodebytes(data) + foot


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131072, 131073])
def test_another_program_opens_what_we_lock(size: int) -> None:
    plain = bytes(size)
    assert pyrage.passphrase.decrypt(passphrases.lock(plain, "pässword"), "pässword") == plain


def test_a_file_with_everything_given() -> None:
    """A vector: all that is random stands still."""
    made = passphrases._lock(b"hello", "four random words", b"k" * 16, b"s" * 16, b"n" * 16)
    assert base64.b64encode(made).decode() == (
        "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBjM056YzNOemMzTnpjM056YzNOemN3IDE4ClM2c3JsOG8w"
        "cHNHSzBTRzdxdjJERFBOV1cwRlpyL3VGYnM3eHo3ak5RS3MKLS0tIExqdE8vUklwb2FYSldGbGs0YWhZNSsvRDVH"
        "bm5TNU5PMlphWkpTNmY3QVkKbm5ubm5ubm5ubm5ubm5ubj0fjoFFnJe2lMuMCjLf18PD0oHVvQ=="
    )
    assert pyrage.passphrase.decrypt(made, "four random words") == b"hello"
    assert passphrases.lock(b"hello", "four random words") != passphrases.lock(b"hello", "four random words")


def test_what_pyrage_locked_with_more_work_opens() -> None:
    """A file as earlier versions wrote it, with work factor 19."""
    file = base64.b64decode(
        "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCBOL2I4RTJRNmFrbzVoeVprcVAzQmV3IDE5CnJ4N0YrUXUz"
        "N2ZjYmFaY0xiTk5TOWgxUGJtOE4rUW9nZ01LaFlpbmNVeG8KLS0tIEFSeWdxRUlmUlNhYVpYZCtESmR1d3EzRmtR"
        "OVZyYmwyM0Fsczc2OFNwTVEKi1axZ4aBWF0QPKIQ4AuTYnqJeT59Wa67F12LWhDKaFgS"
    )
    assert b" 19\n" in file
    assert identities.unseal(file, [], lambda _: "words") == b"x"
    with pytest.raises(WrongKeyError, match="passphrase does not open"):
        identities.unseal(locked(), [], lambda _: "five")


@pytest.mark.parametrize("kind", OPENERS)
@pytest.mark.parametrize("work", [21, 22, 23, 63, 255, "+22", "022", "0", "-1", "", "22 ", "2２"])
def test_too_much_work_is_refused_before_the_passphrase_is_asked_for(kind: str, work: object) -> None:
    for data in (asking_for(work), armored(asking_for(work)), armored(armored(asking_for(work)))):
        with pytest.raises(DamagedError):
            OPENERS[kind](data)


def test_the_bound_itself_is_still_open() -> None:
    assert passphrases.MOST_WORK == passphrases.WORK + 2
    with pytest.raises(AssertionError, match="nothing asks"):
        OPENERS["identity"](asking_for(passphrases.MOST_WORK))
    with pytest.raises(DamagedError, match="work factor 21") as caught:
        OPENERS["identity"](asking_for(21))
    assert "age --decrypt" in caught.value.hint


def test_a_stanza_behind_the_header_limit_is_not_looked_for() -> None:
    filler = b"-> X25519 abc\nbody\n" * 4000
    with pytest.raises(DamagedError, match="cut short"):
        OPENERS["identity"](asking_for(22).replace(b"-> scrypt", filler + b"-> scrypt"))


def accepted(header: bytes) -> bool:
    try:
        passphrases.refuse_excessive(header)
    except DamagedError:
        return False
    return True


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.integers(0, 300).map(str) | st.text("0123456789+- _x", max_size=5), min_size=1, max_size=3),
    st.sampled_from(["", "-> X25519 abc\nbody\n", "-> a-grease 1 2\n\n"]),
)
def test_whatever_passes_asks_for_little(factors: list[str], before: str) -> None:
    """int() reads even more spellings of a number than the library does."""
    header = before + "\n".join(f"-> scrypt {SALT} {factor}\nbody" for factor in factors)
    if accepted(header.encode()):
        assert all(1 <= int(factor) <= passphrases.MOST_WORK for factor in factors)
    else:
        assert not all(factor in set(map(str, range(1, passphrases.MOST_WORK + 1))) for factor in factors)


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_a_changed_header_gives_only_our_errors(data: st.DataObject) -> None:
    file = asking_for(data.draw(st.integers(0, 99)))[:120]
    at, new = data.draw(st.integers(21, len(file))), data.draw(st.binary(max_size=20))
    body = file[:at] + new + file[at + data.draw(st.integers(0, 20)) :]
    for read in (identities.stanzas, passphrases.refuse_excessive):
        with contextlib.suppress(DamagedError):
            read(body)

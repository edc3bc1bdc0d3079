"""Private files: what they open, what binds them to each other, and who made them.

Covers: opening.
"""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photoguard import opening
from photoguard.errors import DamagedError, PhotoguardError, UsageError, WrongKeyError
from photoguard.formats import envelope, identities, signing
from photoguard.formats.envelope import PublicFace, PublicFile
from photoguard.formats.identities import Recipients
from photoguard.formats.private import Grant, PrivateFile, Seal, commitment, seal_private
from photoguard.photos.geometry import Box

ME, ANA = signing.Signer(bytes(32)), signing.Signer(bytes([1]) * 32)
SECRET, RECIPIENT = identities.generate()
KEYS = identities.parse_identities(SECRET.encode(), str)
MAKERS = {ME.public: opening.YOU, ANA.public: "ana"}


def sealed(
    faces: int = 3, signer: signing.Signer = ME, portable: bool = False
) -> tuple[PublicFile, PrivateFile]:
    found = [PublicFace(Box(9 * n, 0, 8, 8), "solid", "plain") for n in range(faces)]
    public, keys = envelope.seal(99, 32, found, [b"metadata", *[b"content"] * faces, b"everything"])
    grants = [Grant(n, keys[n], bytes(32), b"feature" * (n - 1)) for n in range(1, faces + 1)]
    return public, seal_private(public, bytes(32), keys, grants, signer, portable)


def locked(file: PrivateFile, to: str = RECIPIENT) -> bytes:
    return identities.seal(file.to_bytes(), Recipients((to,)))


@pytest.mark.parametrize("portable", [False, True])
def test_a_private_file_comes_back_as_it_was(portable: bool) -> None:
    _, file = sealed(portable=portable)
    chipped = replace(file.grants[0], chip=bytes(range(32)))
    assert PrivateFile.from_bytes(file.to_bytes()) == file
    assert chipped.secret(2).startswith(chipped.key + chipped.check + b"\1" + chipped.chip)
    for numbers in ([1], [3], [1, 3], None):
        some = file.granting(numbers, None)
        assert PrivateFile.from_bytes(some.to_bytes()) == some and some.seal == file.seal


def test_as_many_faces_as_there_may_be_fit_into_a_portable_file() -> None:
    found = [PublicFace(Box(n, 0, 1, 1), "pixelate", "pixelate") for n in range(envelope.FACE_LIMIT)]
    public, keys = envelope.seal(1 << 20, 1, found, [b""] * (len(found) + 2))
    grants = [Grant(n, key, bytes(32), b"") for n, key in enumerate(keys[1:-1], start=1)]
    file = seal_private(public, bytes(32), keys, grants, ME, portable=True)
    assert PrivateFile.from_bytes(file.to_bytes()) == file
    assert PublicFile.from_bytes(public.to_bytes()) == public


def test_a_grant_holds_what_it_was_asked_for_and_nothing_else() -> None:
    _, whole = sealed()
    assert whole.granting(None, None) == whole
    some = whole.granting([3, 2, 2], None)
    assert [g.number for g in some.grants] == [2, 3] and some.metadata_key is None
    for held in (whole.grants[0].key, whole.metadata_key, whole.everything_key):
        assert held and held not in some.to_bytes()
    assert whole.granting([1], True).metadata_key == whole.metadata_key
    assert whole.granting(None, False).metadata_key is None
    with pytest.raises(UsageError, match="face 4"):
        whole.granting([4], None)
    with pytest.raises(UsageError, match="metadata"):
        some.granting([2], True)


def test_everything_goes_with_all_faces_of_the_photo_or_not_at_all() -> None:
    """The original's metadata holds a thumbnail of all faces."""
    _, whole = sealed()
    assert whole.granting(None, None).everything_key == whole.everything_key
    assert whole.granting([1, 2, 3], True).everything_key == whole.everything_key
    assert whole.granting([1, 2, 3], False).everything_key is None
    assert whole.granting([1, 2], True).everything_key is None
    part = whole.granting([1, 2], True)
    assert part.granting(None, None).everything_key is None  # all that are held are not all of the photo


def test_the_metadata_of_version_1_goes_with_all_faces_or_not_at_all() -> None:
    old = PrivateFile(bytes(16), bytes(32), bytes([9]) * 32, (Grant(1, bytes(32), bytes(32), b""),) * 1)
    two = replace(old, grants=(*old.grants, replace(old.grants[0], number=2)))
    assert PrivateFile.from_bytes(two.to_bytes()) == two
    assert two.granting(None, None).metadata_key
    with pytest.raises(UsageError, match="thumbnail"):
        two.granting([1], True)


def test_no_bit_can_be_changed() -> None:
    _, file = sealed(portable=True)
    good = file.to_bytes()
    for at in range(8 * len(good)):
        bad = bytearray(good)
        bad[at // 8] ^= 1 << at % 8
        with pytest.raises(DamagedError):
            PrivateFile.from_bytes(bytes(bad))


def test_a_grant_holder_cannot_forge_another_face() -> None:
    """Who was given face 2 knows its key and the seal, and could write what he likes beside them."""
    _, whole = sealed()
    held = whole.granting([2], None)
    forged = Grant(1, bytes(32), bytes(32), b"")
    with pytest.raises(DamagedError, match="something else"):
        PrivateFile.from_bytes(replace(held, grants=(forged, *held.grants)).to_bytes())
    assert held.seal
    theirs = [*held.seal.commitments]
    theirs[1] = commitment(1, forged.secret(2))
    with pytest.raises(DamagedError, match="signature"):
        seal = replace(held.seal, commitments=tuple(theirs))
        PrivateFile.from_bytes(replace(held, grants=(forged, *held.grants), seal=seal).to_bytes())


@given(st.binary(max_size=400))
def test_any_bytes_as_a_seal(data: bytes) -> None:
    try:
        assert Seal.from_bytes(data).to_bytes() == data
    except PhotoguardError as error:
        assert error.exit_code == 6


# Several private files beside one picture


def test_the_one_that_you_made_decides_and_foreign_ones_are_named() -> None:
    _, mine = sealed()
    _, theirs = sealed(signer=signing.throwaway())
    found = opening.open_private({"p.priv": locked(theirs), "p.x.priv": locked(mine)}, KEYS, None, MAKERS)
    assert found.files == (mine,) and found.made_by == "you"
    assert found.notices == (
        "p.priv was passed over: somebody unknown made it for another sealing than p.x.priv",
    )


def test_somebody_known_counts_before_somebody_unknown_and_the_photos_own_file_before_others() -> None:
    (_, anas), (_, one), (_, two) = (
        sealed(signer=ANA),
        sealed(signer=signing.throwaway()),
        sealed(signer=signing.throwaway()),
    )
    data = {"p.priv": locked(one), "p.a.priv": locked(two), "p.b.priv": locked(anas)}
    found = opening.open_private(data, KEYS, None, MAKERS)
    assert found.files == (anas,) and found.made_by == "ana" and len(found.notices) == 2
    del data["p.b.priv"]
    found = opening.open_private(data, KEYS, None, MAKERS)
    assert found.files == (one,) and found.made_by is None and "p.a.priv" in found.notices[0]


def test_another_photos_file_does_not_stand_in_a_friends_way() -> None:
    """A friend has only p.friend.priv of it; whoever sees the folder can put another file of his there."""
    public, whole = sealed(signer=ANA)
    _, another = sealed(signer=ANA)
    data = {"p.0.priv": locked(another), "p.friend.priv": locked(whole.granting([1], None))}
    found = opening.open_private(data, KEYS, None, MAKERS, "p.priv", public.to_bytes())
    assert [g.number for file in found.files for g in file.grants] == [1]
    assert found.notices[0].startswith("p.0.priv was passed over: ana made it for another sealing")


def test_planted_files_that_take_long_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locked with a passphrase, or for hundreds: each takes seconds, and there may be any number of them."""
    _, whole = sealed()
    phrase = identities.seal(whole.to_bytes(), Recipients(passphrase="theirs"))
    hundred = identities.seal(b"", Recipients(tuple(identities.generate()[1] for _ in range(100))))
    assert identities.work(phrase) == identities.PASSPHRASE_WORK
    assert 50 < identities.work(hundred) < 100
    assert identities.work(locked(whole)) == 1 and identities.work(b"garbage") == 0
    asked: list[str] = []

    def ask(prompt: str) -> str:
        asked.append(prompt)
        return "mine"

    monkeypatch.setattr(opening, "WORK", identities.PASSPHRASE_WORK + 1000)
    data = {f"p.{n}.priv": phrase for n in range(3)} | {f"p.{n}.priv": hundred for n in range(3, 15)}
    found = opening.open_private({**data, "p.x.priv": locked(whole)}, KEYS, ask)
    assert found.files == (whole,) and len(asked) == 1
    assert [notice.split()[0] for notice in found.notices] == ["p.1.priv", "p.2.priv"]
    assert all("too many private files" in notice for notice in found.notices)


def test_the_photos_own_file_decides_and_one_that_decides_wrongly_is_named() -> None:
    public, whole = sealed()
    _, another = sealed()
    data = {"p.a.priv": locked(whole), "p.priv": locked(another)}
    with pytest.raises(DamagedError, match=r"^p\.priv belongs to another photo"):
        opening.open_private(data, KEYS, None, MAKERS, "p.priv", public.to_bytes())
    data = {"p.0.priv": locked(another), "p.priv": locked(sealed(signer=signing.throwaway())[1])}
    with pytest.raises(DamagedError, match=r"^p\.0\.priv belongs to another photo"):
        opening.open_private(data, KEYS, None, MAKERS, "p.priv", public.to_bytes())


def test_grants_of_one_sealing_add_up() -> None:
    _, whole = sealed()
    data = {"p.priv": locked(whole.granting([1], None)), "p.ana.priv": locked(whole.granting([2], None))}
    found = opening.open_private(data, KEYS, None, MAKERS)
    assert [g.number for file in found.files for g in file.grants] == [1, 2] and not found.notices


def test_garbage_and_other_peoples_files_do_not_stand_in_the_way() -> None:
    _, whole = sealed()
    other = identities.generate()[1]
    data = {"p.priv": b"garbage", "p.a.priv": locked(whole, other), "p.b.priv": locked(whole)}
    found = opening.open_private(data, KEYS, None, MAKERS)
    assert found.files == (whole,)
    assert [notice.split()[0] for notice in found.notices] == ["p.priv"]
    with pytest.raises(DamagedError):
        opening.open_private({"p.priv": b"garbage", "p.a.priv": locked(whole, other)}, KEYS)
    with pytest.raises(WrongKeyError):
        opening.open_private({"p.a.priv": locked(whole, other)}, KEYS)


def test_a_signature_is_over_what_the_specification_says() -> None:
    _, file = sealed(faces=1)
    seal = file.seal
    assert seal
    message = (
        b"photoguard seal\x02" + file.photo_id + file.picture + seal.envelope + b"".join(seal.commitments)
    )
    signing.verify(ME.public, seal.signature, message)
    assert seal.commitments[2] == commitment(2, file.everything_key or b"")
    grant = file.grants[0]
    assert seal.commitments[1] == commitment(1, grant.key + grant.check + b"\0" + grant.feature)
    assert struct.pack(">I", 1) == b"\0\0\0\1"

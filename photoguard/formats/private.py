"""The plaintext of `NAME.priv`: what opens faces, and the seal that binds all private files of one photo."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from photoguard.errors import DamagedError, UsageError
from photoguard.formats import signing
from photoguard.formats.envelope import (
    FACE_LIMIT,
    KEY,
    METADATA,
    VERSION,
    PublicFile,
    exactly,
    is_number,
    pack,
    photo_id,
    unpack,
    version_of,
)
from photoguard.formats.signing import Signer

CHECK = DIGEST = 32


@dataclass(frozen=True)
class Grant:
    """What opens one face: its carrier's key, a check on the restored patch, the private feature."""

    number: int
    key: bytes
    check: bytes
    feature: bytes
    chip: bytes = b""  # digest of the face's chip, where it has one

    def secret(self, version: int) -> bytes:
        """As it stands in the private file."""
        chip = b"" if version == 1 else bytes([bool(self.chip)]) + self.chip
        return self.key + self.check + chip + self.feature


def _grant(number: int, secret: bytes, version: int) -> Grant:
    key, check, rest = secret[:KEY], secret[KEY : KEY + CHECK], secret[KEY + CHECK :]
    if len(check) < CHECK:
        raise DamagedError("a face's secret is too short")
    if version == 1:
        return Grant(number, key, check, rest)
    chip = DIGEST if rest[:1] == b"\1" else 0
    if rest[:1] not in (b"\0", b"\1") or len(rest) < 1 + chip:
        raise DamagedError("a face's chip is neither there nor absent")
    return Grant(number, key, check, rest[1 + chip :], rest[1 : 1 + chip])


@dataclass(frozen=True)
class Seal:
    """What the first sealing fixed for good, signed: the picture, its carriers, and what opens them."""

    signer: bytes
    signature: bytes
    envelope: bytes  # SHA-256 of the public envelope
    commitments: tuple[bytes, ...]  # by number: metadata, faces, everything

    @property
    def faces(self) -> int:
        """How many faces the photo has."""
        return len(self.commitments) - 2

    def to_bytes(self) -> bytes:
        """The blob."""
        return b"".join([self.signer, self.signature, self.envelope, *self.commitments])

    @staticmethod
    def from_bytes(data: bytes) -> Seal:
        """Parse; nothing is verified yet."""
        start = signing.PUBLIC + signing.SIGNATURE
        count, rest = divmod(len(data) - start, DIGEST)
        if rest or not 4 <= count <= FACE_LIMIT + 3:  # the envelope's digest and three commitments at least
            raise DamagedError("the private file's seal has the wrong length")
        digests = [data[at : at + DIGEST] for at in range(start, len(data), DIGEST)]
        signer, signature = data[: signing.PUBLIC], data[signing.PUBLIC : start]
        return Seal(signer, signature, digests[0], tuple(digests[1:]))


def _statement(photo: bytes, picture: bytes, envelope: bytes, commitments: Sequence[bytes]) -> bytes:
    """What the signature is over."""
    return b"".join([b"photoguard seal", bytes([VERSION]), photo, picture, envelope, *commitments])


def commitment(number: int, secret: bytes) -> bytes:
    """Binds a number's secret without telling it: there are 32 random bytes in each."""
    return sha256(b"photoguard commitment" + struct.pack(">I", number) + secret).digest()


@dataclass(frozen=True)
class PrivateFile:
    """The plaintext of `NAME.priv`."""

    photo_id: bytes
    picture: bytes  # fingerprint of the public picture
    metadata_key: bytes | None
    grants: tuple[Grant, ...]
    portable: bytes | None = None  # the public envelope, when it does not travel in the picture
    everything_key: bytes | None = None
    seal: Seal | None = None  # version 1 has none

    @property
    def version(self) -> int:
        """Of the format."""
        return 1 if self.seal is None else VERSION

    def fits(self, envelope: bytes, faces: int) -> bool:
        """Whether a public envelope with this SHA-256 and so many faces is the one that was sealed."""
        return self.seal is None or (self.seal.envelope, self.seal.faces) == (envelope, faces)

    def to_bytes(self) -> bytes:
        """The envelope, to be encrypted with age."""
        flags = {"metadata": self.metadata_key is not None, "portable": self.portable is not None}
        if self.seal is not None:
            flags["everything"] = self.everything_key is not None
        header = {"faces": [g.number for g in self.grants], "id": self.photo_id.hex(), "kind": "private"}
        blobs = [self.picture, *([] if self.seal is None else [self.seal.to_bytes()])]
        blobs += [grant.secret(self.version) for grant in self.grants]
        optional = (self.metadata_key, self.everything_key, self.portable)
        return pack(
            {**header, **flags}, [*blobs, *(blob for blob in optional if blob is not None)], self.version
        )

    @staticmethod
    def from_bytes(data: bytes) -> PrivateFile:
        """Parse and check everything that needs no picture."""
        version = version_of(data)
        header, blobs = unpack(data, "private", version)
        names = ("metadata", "portable") if version == 1 else ("metadata", "everything", "portable")
        exactly(header, "faces", "id", *names)
        numbers = header["faces"]
        if not isinstance(numbers, list) or not all(is_number(n, 1, FACE_LIMIT) for n in numbers):
            raise DamagedError("the private file's face numbers are damaged")
        if numbers != sorted(set(numbers)) or not all(isinstance(header[name], bool) for name in names):
            raise DamagedError("the private file's face numbers are damaged")
        held = [name for name in names if header[name]]
        if len(blobs) != version + len(numbers) + len(held):
            raise DamagedError("the private file's parts do not match its header")
        seal = None if version == 1 else Seal.from_bytes(blobs[1])
        grants = tuple(
            _grant(number, blob, version) for number, blob in zip(numbers, blobs[version:], strict=False)
        )
        optional = dict(zip(held, blobs[version + len(numbers) :], strict=True))
        keys = [optional.get(name) for name in ("metadata", "everything")]
        if len(blobs[0]) != DIGEST or any(key is not None and len(key) != KEY for key in keys):
            raise DamagedError("a key or hash has the wrong length")
        file = PrivateFile(
            photo_id(header), blobs[0], keys[0], grants, optional.get("portable"), keys[1], seal
        )
        return file if seal is None else _verified(file, seal)

    def granting(self, numbers: Sequence[int] | None, metadata: bool | None) -> PrivateFile:
        """The same for fewer faces; metadata goes along with all of them unless told otherwise.

        Everything, in which there are pictures of the faces, goes with all faces of the photo or not at all.
        """
        held = [grant.number for grant in self.grants]
        wanted = held if numbers is None else sorted(set(numbers))
        missing = [number for number in wanted if number not in held]
        if missing:
            raise UsageError(
                f"the private file does not open face {missing[0]}", f"it opens {', '.join(map(str, held))}"
            )
        all_faces = wanted == (held if self.seal is None else list(range(1, self.seal.faces + 1)))
        with_metadata = all_faces if metadata is None else metadata
        if with_metadata and metadata and self.metadata_key is None:
            raise UsageError("the private file does not open the metadata", "leave --metadata out")
        if with_metadata and not all_faces and self.seal is None:
            raise UsageError(
                "the metadata of this file may hold a thumbnail of all faces",
                "an earlier photoguard made it: protect the photo again, or leave --metadata out",
            )
        grants = tuple(grant for grant in self.grants if grant.number in wanted)
        return replace(
            self,
            grants=grants,
            metadata_key=self.metadata_key if with_metadata else None,
            everything_key=self.everything_key if with_metadata and all_faces else None,
        )


def _verified(file: PrivateFile, seal: Seal) -> PrivateFile:
    """A private file of which every part is what was sealed first."""
    statement = _statement(file.photo_id, file.picture, seal.envelope, seal.commitments)
    signing.verify(seal.signer, seal.signature, statement)
    held = [(grant.number, grant.secret(VERSION)) for grant in file.grants]
    held += [(METADATA, file.metadata_key)] if file.metadata_key else []
    held += [(seal.faces + 1, file.everything_key)] if file.everything_key else []
    beyond = any(grant.number > seal.faces for grant in file.grants)
    if beyond or any(seal.commitments[number] != commitment(number, secret) for number, secret in held):
        raise DamagedError("the private file opens something else than what was sealed")
    if file.portable is not None and sha256(file.portable).digest() != seal.envelope:
        raise DamagedError("the private file carries another photo's data")
    return file


def seal_private(
    public: PublicFile, picture: bytes, keys: Sequence[bytes], grants: Sequence[Grant], signer: Signer,
    portable: bool,
) -> PrivateFile:  # fmt: skip
    """The private file that opens everything; `keys` are those of the carriers, in their order."""
    secrets = [keys[METADATA], *(grant.secret(VERSION) for grant in grants), keys[-1]]
    commitments = tuple(commitment(number, secret) for number, secret in enumerate(secrets))
    data = public.to_bytes()
    envelope = sha256(data).digest()
    statement = _statement(public.photo_id, picture, envelope, commitments)
    seal = Seal(signer.public, signer.sign(statement), envelope, commitments)
    carried = data if portable else None
    return PrivateFile(public.photo_id, picture, keys[METADATA], tuple(grants), carried, keys[-1], seal)

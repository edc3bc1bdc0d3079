"""The second reader, which follows docs/spec/format.md alone, reads what photoguard writes."""

from __future__ import annotations

import ast
import random
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import reader
from support.places import PORTRAIT
from support.vectors import FOLDER, Vector, assert_near, read
from support.vectors import READERS as PHOTOGUARD

from photoguard import opening, protect, reveal
from photoguard.detection import detect
from photoguard.errors import PhotoguardError
from photoguard.formats import chip_data as avp_payload
from photoguard.formats import identities
from photoguard.formats.private import PrivateFile
from photoguard.methods import Settings, obfuscator
from photoguard.photos import images
from photoguard.photos.geometry import Box

TEXT, RECIPIENT = identities.generate()
KEY = TEXT.splitlines()[-1]
STRANGER = identities.generate()[0].splitlines()[-1]
US = identities.Recipients((RECIPIENT,))
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
    private = reader.private_files(
        [identities.seal(b64decode(text), US) for text in vector.fields["private"]], [KEY]
    )
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


# Altered files


def altered(data: bytes, draw: random.Random) -> bytes:
    """A bit flipped, the end cut off, a byte put in, or a character of the header exchanged."""
    changed, kind, at = bytearray(data), draw.randrange(4), draw.randrange(len(data))
    if kind == 0:
        changed[at] ^= 1 << draw.randrange(8)
    elif kind == 1:
        del changed[at:]
    elif kind == 2:
        changed.insert(at, draw.randrange(256))
    else:
        changed[at % 200 % len(data)] = draw.choice(b'0123456789"{}[],:-aT')
    return bytes(changed)


def outcome(read_it: Callable[[Vector], None], vector: Vector) -> str:
    """How reading ends, in the words of section 11."""
    try:
        read_it(vector)
    except AssertionError:
        return "other"  # it reads as something else than the vector says
    except (PhotoguardError, reader.DamagedError, reader.UnreadableError, reader.WrongKeyError) as error:
        return type(error).__name__.replace("Foreign", "Damaged")
    return "ok"


@pytest.mark.parametrize("group", sorted(READERS))
def test_both_readers_end_alike_on_altered_files(group: str) -> None:
    draw = random.Random(group)
    vectors = [vector for vector in map(read, sorted(FOLDER.glob("*.txt"))) if vector["expect"] == "ok"]
    vectors = [vector for vector in vectors if vector["reads"] == group and "passphrase" not in vector.fields]
    for _ in range(150):
        vector = draw.choice(vectors)
        fields, body = dict(vector.fields), vector.body
        if "private" in fields and draw.random() < 0.5:
            fields["private"] = [b64encode(altered(b64decode(t), draw)).decode() for t in fields["private"]]
        else:
            body = altered(body, draw)
        changed = Vector(fields, body)
        assert outcome(READERS[group], changed) == outcome(PHOTOGUARD[group], changed), vector["comment"]


# Files that photoguard has just made

BOXES = (Box(8, 8, 72, 64), Box(56, 40, 48, 80), Box(120, 16, 64, 64))  # the first two overlap


def photo(kind: str) -> bytes:
    """160 rows of 208 pixels with something to see, as a PNG."""
    y, x = np.mgrid[:160, :208]
    waves = [128 + 100 * np.sin(x / a + y / b) for a, b in ((9, 14), (17, 6), (25, 31))]
    pixels = np.stack(waves, axis=-1).astype(np.uint8)
    alpha = ((x + y) % 256).astype(np.uint8)
    deep = pixels.astype(np.uint16) * 256 + pixels[..., ::-1]
    channels = {
        "color": cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), "gray": pixels[..., 0], "gray16": deep[..., 0],
        "alpha": np.dstack([pixels, alpha]), "deep": deep,
        "alpha16": np.dstack([deep, alpha.astype(np.uint16) * 257]),
    }  # fmt: skip
    done, png = cv2.imencode(".png", channels[kind])
    assert done
    return png.tobytes()


class Files:
    """A photo that photoguard protected: the bytes on disk, and what photoguard itself restores."""

    def __init__(self, folder: Path, data: bytes, **options: Any) -> None:
        source, public, private = folder / "a.png", folder / "a.pub.png", folder / "a.priv"
        source.write_bytes(data)
        chosen = {"faces": "none", "regions": BOXES, **options}
        protect.protect_file(source, public, private, protect.Options(**chosen), US)
        self.original = images.decode(data, "the photo")
        self.public, self.private = public.read_bytes(), private.read_bytes()

    def grant(self, numbers: list[int]) -> bytes:
        """A private file for some faces."""
        file = PrivateFile.from_bytes(identities.unseal(self.private, [identities.Identity(KEY.encode())]))
        return identities.seal(file.granting(numbers, None).to_bytes(), US)

    def restored(self, private: bytes | None = None) -> images.Photo:
        """By photoguard."""
        given = {"a.priv": private or self.private}
        opened = opening.open_private(given, [identities.Identity(KEY.encode())])
        return reveal.reveal(self.public, opened.files).photo


def by_reader(files: Files, *private: bytes) -> reader.Restored:
    """By the second reader."""
    return reader.restore(files.public, reader.private_files(list(private or (files.private,)), [KEY]))


def off(one: images.Photo, other: reader.Photo) -> int:
    """The largest difference."""
    assert one.pixels.dtype == other.pixels.dtype
    assert (one.alpha is None) == (other.alpha is None)
    if one.alpha is not None:
        assert np.array_equal(one.alpha, other.alpha)
    return int(np.abs(one.pixels.astype(int) - other.pixels).max())


@pytest.mark.parametrize("kind", ["color", "gray", "gray16", "alpha", "deep", "alpha16"])
@pytest.mark.parametrize("method", ["ddm", "solid"])
def test_exact(tmp_path: Path, method: str, kind: str) -> None:
    files = Files(tmp_path, photo(kind), method=method, settings=Settings(exact=True))
    restored = by_reader(files)
    assert restored.exact
    assert (restored.opened, restored.closed) == ([1, 2, 3], [])
    assert off(files.original, restored.photo) == 0


@pytest.mark.parametrize("kind", ["color", "gray", "alpha"])
@pytest.mark.parametrize("method", ["ddm", "solid", "blur", "pixelate", "avp"])
def test_every_method(tmp_path: Path, method: str, kind: str) -> None:
    files = Files(tmp_path, photo(kind), method=method)
    restored = by_reader(files)
    assert not restored.exact
    assert restored.facts is not None
    assert restored.facts.name == "a.png"
    assert off(files.restored(), restored.photo) <= (1 if method == "ddm" else 0)


def test_quality(tmp_path: Path) -> None:
    files = Files(tmp_path, photo("color"), settings=Settings(quality=38))
    assert off(files.restored(), by_reader(files).photo) <= 1


@pytest.mark.parametrize("size", [(16, 16), (24, 160), (200, 8), (3, 5)])
def test_faces_of_all_shapes(tmp_path: Path, size: tuple[int, int]) -> None:
    files = Files(tmp_path, photo("color"), regions=(Box(1, 0, *size),))
    assert off(files.restored(), by_reader(files).photo) <= 1


def test_portable(tmp_path: Path) -> None:
    files = Files(tmp_path, photo("color"), portable=True, settings=Settings(exact=True))
    assert b"pgRd" not in [kind for kind, _ in reader.png_chunks(files.public)]
    assert off(files.original, by_reader(files).photo) == 0


@pytest.mark.parametrize("numbers", [[1], [2], [1, 3]])
def test_a_grant_opens_its_faces_and_no_others(tmp_path: Path, numbers: list[int]) -> None:
    files = Files(tmp_path, photo("alpha"), settings=Settings(exact=True))
    private = files.grant(numbers)
    restored = by_reader(files, private)
    assert restored.opened == numbers
    assert restored.closed == [n for n in (1, 2, 3) if n not in numbers]
    assert restored.facts is None
    assert restored.everything is None
    assert off(files.restored(private), restored.photo) == 0


def test_grants_add_up(tmp_path: Path) -> None:
    files = Files(tmp_path, photo("alpha"), settings=Settings(exact=True))
    restored = by_reader(files, files.grant([2]), files.grant([1, 3]))
    assert off(files.original, restored.photo) == 0


def test_the_portrait(tmp_path: Path) -> None:
    files = Files(tmp_path, PORTRAIT.read_bytes(), faces="all", regions=())
    restored = by_reader(files)
    assert restored.opened == [1]
    assert off(files.restored(), restored.photo) <= 1


@pytest.mark.parametrize("kind", ["color", "gray", "deep"])
@pytest.mark.parametrize("method", ["ddm", "solid"])
def test_covers_are_what_the_specification_says(tmp_path: Path, method: str, kind: str) -> None:
    files = Files(tmp_path, photo(kind), method=method)
    shown = images.decode(files.public, "the picture").pixels
    public = reader.public_file(
        next(body for name, body in reader.png_chunks(files.public) if name == b"pgRd")
    )
    full = np.iinfo(shown.dtype).max
    for number, (x, y, width, height) in enumerate(public.boxes, start=1):
        rows, columns = np.mgrid[:height, :width] // 4
        pattern = np.where((rows + columns) % 2 == 0, full, 0)
        cover = pattern if method == "ddm" else np.full((height, width), full // 2)
        mine = reader.owned(public, number)
        assert public.looks[number - 1] == {"ddm": "pattern", "solid": "plain"}[method]
        assert mine.any()
        assert (shown[y : y + height, x : x + width][mine] == cover[mine][:, None]).all()


def test_a_passphrase(tmp_path: Path) -> None:
    files = Files(tmp_path, photo("color"))
    plain = reader.unlock(files.private, [KEY])
    locked = identities.seal(plain, identities.Recipients(passphrase="four random words here"))
    assert reader.unlock(locked, passphrase="four random words here") == plain
    with pytest.raises(reader.WrongKeyError):
        reader.unlock(locked, passphrase="other words")


def test_a_stranger_has_the_wrong_key(tmp_path: Path) -> None:
    files = Files(tmp_path, photo("color"))
    with pytest.raises(reader.WrongKeyError):
        reader.unlock(files.private, [STRANGER])


def test_damage(tmp_path: Path) -> None:
    files = Files(tmp_path, photo("color"))
    private = reader.private_file(reader.unlock(files.private, [KEY]))
    with pytest.raises(reader.DamagedError):
        reader.unlock(files.private[:-1], [KEY])
    with pytest.raises(reader.DamagedError):
        reader.restore(files.public[:-1], [private])
    with pytest.raises(reader.DamagedError):
        reader.restore(files.public.replace(b"pgRd", b"pgRe"), [private])


def chip() -> tuple[bytes, np.ndarray]:
    """A sealed chip as a PNG, and the face in it."""
    face = images.decode(photo("color"), "the photo").pixels[:112, :96]
    cargo, restored = avp_payload.seal(face, US)
    y, x, c = np.mgrid[:112, :96, :3]
    noise = ((x * 7 + y * 11 + c * 50) % 64 * 4).astype(np.uint8)
    carrying = np.where(cargo.low == avp_payload.FREE, noise, noise | (cargo.low & 3))
    return images.encode_lossless(cargo.tagged(carrying)), restored


def test_a_chip() -> None:
    data, face = chip()
    assert np.array_equal(reader.restored_chip(data, [KEY]), face)
    with pytest.raises(reader.WrongKeyError):
        reader.restored_chip(data, [STRANGER])


def test_private_files_decide_what_is_a_chip(tmp_path: Path) -> None:
    files, (data, _) = Files(tmp_path, photo("color"), method="solid"), chip()
    (private,) = reader.private_files([files.private], [KEY])
    pixels = images.decode(data, "the chip").pixels
    grants = {1: replace(private.grants[1], chip=reader.digest(pixels))}
    naming, portable = replace(private, grants=grants), replace(private, portable=b"an envelope")
    assert reader.is_chip(data, [])
    assert reader.is_chip(data, [private, naming])
    assert not reader.is_chip(data, [portable])
    assert not reader.is_chip(files.public, [naming])
    with pytest.raises(reader.DamagedError, match="another photo"):
        reader.is_chip(data, [private])


def test_features(tmp_path: Path) -> None:
    pixels = images.decode(PORTRAIT.read_bytes(), "the photo").shallow()
    file = obfuscator.obfuscate(obfuscator.shipped(), pixels, detect(pixels))
    (features,) = reader.feature_file(file.to_bytes())
    assert np.array_equal(features, obfuscator.decoded(file)[0])


def test_it_imports_nothing_of_photoguard() -> None:
    allowed = {"PIL", "cryptography", "numpy", "pyrage", "reader"} | sys.stdlib_module_names
    for path in Path(reader.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {name.split(".")[0] for name in names} <= allowed, path.name

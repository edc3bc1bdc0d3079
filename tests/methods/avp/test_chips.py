"""AVP at the command line: chips, the photo around them, keys of both kinds, and what goes wrong.

Covers: cli.shared.key_models, formats.chip_data, match, train.key_model.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support.chips import OWNER, TO_OWNER, carrying, face, learned_model
from support.nursery import Done, Nursery
from torch import nn

from photoguard import chips, covering, methods, protect, reveal
from photoguard.cli.shared.key_models import settings
from photoguard.errors import DamagedError, QualityError, UsageError, WrongKeyError
from photoguard.evaluate.common.metrics import ssim
from photoguard.formats import chip_data as avp_payload
from photoguard.formats import envelope, identities
from photoguard.formats.private import Grant, PrivateFile
from photoguard.methods import Chips, Settings
from photoguard.methods.avp import chips as avp_chips
from photoguard.methods.avp import keys as avp_keys
from photoguard.methods.avp import method as avp
from photoguard.methods.avp.keys import KeyModel, LearnedKey, shuffle
from photoguard.nets.generator import GeneratorConfig
from photoguard.photos import images, png
from photoguard.protect import Options
from photoguard.train import key_model

Run = Callable[..., Done]
NO_CLUSTER = "import photoguard.batch.cluster; photoguard.batch.cluster.CONNECT_SECONDS = 0.1"


def tiny(folder: Path) -> Path:
    """A recognizer of one convolution as a TorchScript file, as that of edgeface-xs is."""
    torch.manual_seed(1)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        nn.Linear(128, 512, bias=False),
    )  # fmt: skip
    path = folder / "tiny.pt"
    torch.jit.trace(net.eval(), torch.zeros(1, 3, 112, 112)).save(str(path))
    return path


@pytest.fixture(scope="module")
def ready(networks: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Done]:
    """A command line with an identity and the recognizer `tiny`."""
    folder = tmp_path_factory.mktemp("owner")
    made = networks.of(folder)
    made.run("keygen", "-q")
    made.run("recognizers", "add", "tiny", "--arch", "edgeface-xs", "--weights", tiny(folder))
    return made.run


def unproven(kind: bytes, body: bytes) -> np.ndarray:
    """A chip of version 1."""
    low = avp_payload.carry(kind, body, 112, 112, version=1)
    return np.where(low == avp_payload.FREE, face(3), face(3) & 252 | low & 3)


def opened(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


# The payload


def test_a_sealed_face_comes_back_to_its_owner_and_to_nobody_else() -> None:
    cargo, restored = avp_payload.seal(face(), TO_OWNER)
    payload = avp_payload.carried(carrying(cargo, face(3)))
    assert np.array_equal(avp_payload.unseal(payload, OWNER), restored)
    assert ssim(restored, face()) > 0.97
    stranger = identities.parse_identities(identities.generate()[0].encode(), str)
    with pytest.raises(WrongKeyError):
        avp_payload.unseal(payload, stranger)


def test_two_chips_of_one_face_share_no_bits() -> None:
    one, other = (avp_payload.seal(face(), TO_OWNER)[0].low for _ in range(2))
    sealed = slice(2000, None)  # behind the age header
    assert np.mean(one.ravel()[sealed] == other.ravel()[sealed]) == pytest.approx(0.25, abs=0.02)
    assert not (one == avp_payload.FREE).all() and (one.ravel()[: -avp_payload.CHECK * 4] < 4).all()


def test_a_payload_does_not_survive_jpeg_and_says_so() -> None:
    chip = carrying(avp_payload.seal(face(), TO_OWNER)[0], face(3))
    for changed in (chip ^ 1, chip[:-1], np.roll(chip, 1, 0), face()):
        with pytest.raises(DamagedError, match="gone"):
            avp_payload.carried(np.ascontiguousarray(changed))


def test_too_many_recipients_for_a_chip_are_an_error() -> None:
    small = face()[:24, :24]
    many = identities.Recipients(tuple(identities.generate()[1] for _ in range(5)))
    with pytest.raises((QualityError, UsageError)):
        avp_payload.seal(small, many)


SECRET, NONCE = b"s" * 32, b"n" * 16


def chip_and_opener(kind: str) -> tuple[np.ndarray, Callable[[np.ndarray], object]]:
    """A chip, and what its owner opens it with."""
    if kind == "sealed":
        cargo = avp_payload.seal(face(), TO_OWNER)[0]
        return carrying(cargo, face(3)), lambda chip: avp_payload.unseal(avp_payload.carried(chip), OWNER)
    cargo = avp_payload.mark(SECRET, NONCE, 112, 112)
    return carrying(cargo, face(3)), lambda chip: avp_payload.marked_nonce(avp_payload.carried(chip), SECRET)


@pytest.mark.parametrize("kind", ["sealed", "learned"])
def test_a_chip_with_any_other_bit_is_damaged(kind: str) -> None:
    chip, open_chip = chip_and_opener(kind)
    open_chip(chip)
    rng = np.random.default_rng(5)
    tag = 4 * (avp_payload.START + len(avp_payload.carried(chip).body) + avp_payload.CHECK)
    places = [*rng.integers(0, chip.size, 40), tag - 1, tag, tag + 63, min(tag + 64, chip.size - 1)]
    for place in places:
        for bit in range(8):
            changed = chip.copy()
            changed.reshape(-1)[place] ^= 1 << bit
            with pytest.raises(DamagedError, match="altered" if bit > 1 else "altered|gone"):
                open_chip(changed)


@pytest.mark.parametrize(("kind", "error"), [("sealed", DamagedError), ("learned", WrongKeyError)])
def test_a_chip_does_not_become_one_of_version_1(kind: str, error: type[Exception]) -> None:
    chip, open_chip = chip_and_opener(kind)
    payload = avp_payload.carried(chip)
    low = avp_payload.carry(payload.kind, payload.body, 112, 112, version=1)
    with pytest.raises(error):
        open_chip(np.where(low == avp_payload.FREE, chip, chip & 252 | low & 3))


def test_a_chip_of_version_1_opens_and_says_that_nothing_proves_it() -> None:
    body = NONCE + avp_payload._nonce_tag(learned_model().secret, NONCE, 1)
    chip = unproven(avp_payload.LEARNED, body)
    altered = chip ^ 64  # which is why there is a tag since
    key = identities.seal(learned_model().to_bytes(), TO_OWNER)
    for one in (chip, altered):
        restored = reveal.reveal_chip(one, OWNER, None, key)
        assert restored.notices == (chips.UNPROVEN,)
    new = carrying(avp_payload.mark(learned_model().secret, NONCE, 112, 112), face(3))
    assert not reveal.reveal_chip(new, OWNER, None, key).photo.notices


# Private files decide


def private_file(chip: np.ndarray | None, portable: bytes | None = None) -> PrivateFile:
    """A private file that names a chip."""
    named = b"" if chip is None else methods.digest(chip)
    grant = Grant(1, bytes(32), bytes(32), b"", named)
    return PrivateFile(bytes(16), bytes(32), None, (grant,), portable)


def test_the_private_file_decides_whether_a_picture_is_a_chip() -> None:
    chip, other = (chip_and_opener("sealed")[0] for _ in range(2))
    photo = images.Photo(chip)
    found = [chips.chip_in(photo, private) for private in ([], [private_file(chip)])]
    assert all(one is not None and np.array_equal(one, chip) for one in found)
    mixed = [private_file(None), private_file(chip)]
    assert chips.chip_in(photo, mixed) is not None
    for private in (private_file(other), private_file(None)):
        with pytest.raises(DamagedError, match="does not name"):
            chips.chip_in(photo, [private])
    # A portable photo whose first cover looks like a chip is a photo all the same.
    assert chips.chip_in(photo, [private_file(None, b"public")]) is None
    small = images.Photo(face())
    assert chips.chip_in(small, []) is not None and chips.chip_in(small, [private_file(None)]) is None


# Covers


@pytest.mark.parametrize("size", [(112, 112), (113, 140), (300, 112), (777, 501)])
def test_a_cover_shows_its_chip_pixel_for_pixel(size: tuple[int, int]) -> None:
    chip = np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8)
    cover = avp.on_photo(chip, *size, np.dtype(np.uint8))
    assert cover.shape[:2] == size and np.array_equal(avp.from_photo(cover, 112, 112), chip)
    deep = avp.on_photo(chip, *size, np.dtype(np.uint16))
    assert np.array_equal(deep >> 8, cover)


def test_a_region_that_is_no_face_is_covered_by_noise() -> None:
    for dtype in (np.uint8, np.uint16):
        cover = covering.cover("avp", np.full((40, 60, 3), 9, dtype))
        assert cover.look == "noise" and cover.pixels.std() > np.iinfo(dtype).max / 5


# Learned keys


def test_a_shuffle_is_undone_by_its_secret_and_nonce_alone() -> None:
    picture = torch.from_numpy(face()).permute(2, 0, 1).float()
    how = shuffle(b"s" * 32, b"n" * 16, 112, 112)
    hidden = avp_keys.shuffled(picture, how)
    assert torch.equal(avp_keys.unshuffled(hidden, how), picture)
    for other in (shuffle(b"S" * 32, b"n" * 16, 112, 112), shuffle(b"s" * 32, b"N" * 16, 112, 112)):
        wrong = avp_keys.unshuffled(hidden, other).permute(1, 2, 0).numpy()
        assert abs(ssim(wrong, face())) < 0.05
    assert abs(ssim(hidden.permute(1, 2, 0).numpy(), face())) < 0.05


def test_a_key_model_is_read_as_it_was_written() -> None:
    model = learned_model()
    again = KeyModel.from_bytes(model.to_bytes())
    assert again.secret == model.secret and again.generator.config == model.generator.config
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(again.generator(x), model.generator(x))
    assert "s" * 8 not in repr(again)


def test_the_learned_way_searches_from_the_shuffled_face() -> None:
    originals = torch.from_numpy(np.stack([face(), face(1)])).permute(0, 3, 1, 2).float()
    key = LearnedKey(nn.Identity(), [shuffle(b"s" * 32, bytes([n]) * 16, 112, 112) for n in range(2)])  # type: ignore[arg-type]
    start = key.start(originals)
    assert start is not None
    assert torch.allclose(key(start, torch.arange(2)), originals, atol=1e-3)
    assert torch.allclose(key(start[1:], torch.tensor([1])), originals[1:], atol=1e-3)


# Training a key model


def test_a_key_model_learns_and_every_run_starts_elsewhere() -> None:
    config = replace(key_model.SMALL, network=GeneratorConfig(8, 1, 1, norm=False), side=32, steps=60)
    one, other = (
        key_model.train(config, device="cpu"),
        key_model.train(replace(config, steps=1), device="cpu"),
    )
    assert one.steps == 60 and one.ssim > other.ssim + 0.1
    first = [key_model.started(config.network).state_dict()["layers.1.weight"] for _ in range(2)]
    assert not torch.equal(*first)
    assert key_model.drawn(one.sheet).shape == (256, 128 * key_model.SHOWN, 3)


def test_a_key_model_learns_on_pictures_and_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    for n in range(3):
        Image.fromarray(face(n)).save(tmp_path / f"{n}.png")
    config = replace(key_model.SMALL, network=GeneratorConfig(4, 1, 1, norm=False), side=32, steps=3)
    folder = tmp_path / "run"
    done = key_model.train(config, (tmp_path,), "cpu", folder)
    again = key_model.train(config, (tmp_path,), "cpu", folder)
    assert done.steps == again.steps == 3
    kept = done.generator.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in again.generator.state_dict().items())


@pytest.mark.parametrize(("folders", "count"), [(1, 1), (1, 2), (2, 6), (3, 9)])
def test_pictures_are_kept_for_measuring_however_they_lie_in_folders(
    tmp_path: Path, folders: int, count: int
) -> None:
    for n in range(count):
        (tmp_path / str(n % folders)).mkdir(exist_ok=True)
        Image.fromarray(face(n)).save(tmp_path / str(n % folders) / f"{n}.png")
    pictures = key_model._Pictures((tmp_path,), key_model.SMALL)
    learned = {picture.name for picture in pictures.reader.pictures}
    held = {picture.name for picture in pictures.held.pictures} if pictures.held else set()
    assert learned and not learned & held and len(learned | held) == count
    assert bool(held) == (count > 1)


def test_made_up_pictures_look_like_none_twice_and_use_all_values() -> None:
    rng = np.random.default_rng(0)
    made = [key_model.procedural(48, rng) for _ in range(12)]
    assert not np.array_equal(made[0], made[1])
    assert np.concatenate(made).std() > 40 and all(one.std() > 3 for one in made)


def test_time_or_steps_bound_a_run() -> None:
    from photoguard.cli.shared.key_models import Preset

    assert settings(Preset.small, None, None).steps == 2500
    assert settings(Preset.small, 2.0, None).seconds == 120
    assert settings(Preset.paper, None, None).steps is None  # four epochs of whatever there is


# Sessions


def test_a_sealed_session(ready: Run, portrait: Path) -> None:
    printed = ready("encrypt", portrait, "-m", "avp", "--recognizer", "tiny", "--json").stdout
    record = json.loads(printed)
    chip, public = portrait.with_name("portrait.face1.avp.png"), portrait.with_name("portrait.pub.png")
    assert record["chips"][0]["file"] == str(chip) and record["chips"][0]["cosine"]["tiny"] >= 0.98
    assert opened(chip).shape == (112, 112, 3)
    assert {kind for kind, _ in png.list_chunks(chip.read_bytes())} == {b"IHDR", b"IDAT", b"IEND"}
    # The whole cover is the chip: nothing of the box around the face is left.
    box = envelope.PublicFile.from_bytes(png.public_chunk(public.read_bytes()) or b"").faces[0].box
    assert np.array_equal(avp.from_photo(opened(public)[box.window], 112, 112), opened(chip))
    ready("decrypt", public)
    assert ssim(opened(portrait.with_name("portrait.restored.png")), opened(portrait)) > 0.97
    portrait.with_name("portrait.priv").unlink()
    ready("decrypt", chip)
    assert opened(portrait.with_name("portrait.face1.avp.restored.png")).shape == (112, 112, 3)
    matched = json.loads(
        ready("match", portrait, public, "--recognizer", "tiny", "--threshold", 0.9, "--json").stdout
    )
    assert matched["match"] and matched["cosine"] >= 0.97 and matched["second_is"] == "chip"
    picture = opened(chip)
    Image.fromarray(picture ^ np.uint8([[[0, 128, 0]]]) * (np.arange(112) == 60)[:, None]).save(chip)
    for command in ("verify", "decrypt"):
        assert "altered" in ready(command, chip, "--force" if command == "decrypt" else "-q", code=6).stderr
    Image.fromarray(picture).save(chip)
    shown = json.loads(ready("inspect", chip, "--json").stdout)
    assert shown["key_model"] == "sealed" and shown["opens_with"] == ["X25519"]
    assert json.loads(ready("inspect", public, "--json").stdout)["faces"][0]["method"] == "avp"


def test_a_lone_chip_in_wrong_hands_or_out_of_shape(ready: Run, portrait: Path, tmp_path: Path) -> None:
    ready("encrypt", portrait, "-m", "avp", "--recognizer", "tiny", "-q")
    chip = portrait.with_name("portrait.face1.avp.png")
    ready("keygen", "-o", tmp_path / "other", "-q")
    ready("decrypt", chip, "--key", tmp_path / "other", "-o", tmp_path / "x.png", code=5)
    Image.open(chip).save(tmp_path / "chip.jpg", quality=95)
    failed = ready("decrypt", tmp_path / "chip.jpg", "-o", tmp_path / "x.png", code=6).stderr
    assert "hidden data is gone" in failed and "JPEG" in failed
    assert not (tmp_path / "x.png").exists()


def test_a_chip_in_the_place_of_the_public_picture_is_refused(ready: Run, portrait: Path) -> None:
    ready("encrypt", portrait, "-m", "avp", "--recognizer", "tiny", "-q")
    chip, public = portrait.with_name("portrait.face1.avp.png"), portrait.with_name("portrait.pub.png")
    ready("verify", public)
    other = portrait.with_name("other.pub.png")  # anybody can seal one to a public key
    ready("encrypt", portrait, "-m", "avp", "--recognizer", "tiny", "-q", "-o", other)
    public.write_bytes(portrait.with_name("other.face1.avp.png").read_bytes())
    for command in ("verify", "decrypt"):
        failed = ready(command, public, code=6).stderr
        assert "a chip that the private file does not name" in failed
    assert not portrait.with_name("portrait.restored.png").exists()
    public.write_bytes(chip.read_bytes())
    ready("verify", public)  # its own chip is named
    portrait.with_name("portrait.priv").unlink()
    ready("verify", public)  # alone, it is what it is


def test_what_cannot_be_matched_is_named(ready: Run, portrait: Path) -> None:
    ready("encrypt", portrait, "-m", "avp", "--recognizer", "tiny", "-q")
    public, typed = portrait.with_name("portrait.pub.png"), ("match", portrait)
    Image.fromarray(np.zeros((300, 300, 3), np.uint8)).save(portrait.with_name("black.png"))
    failed = ready(*typed, portrait.with_name("black.png"), "--recognizer", "tiny", code=4).stderr
    assert f"no face was found in {portrait.with_name('black.png')}" in failed
    carrier = [(kind, body) for kind, body in png.list_chunks(public.read_bytes()) if kind == png.CHUNK]
    public.write_bytes(png.with_chunks(portrait.with_name("black.png").read_bytes(), carrier))
    failed = ready(*typed, public, "--recognizer", "tiny", code=6).stderr
    assert f"{public} was resized or cropped" in failed


def test_a_learned_session(ready: Run, portrait: Path, tmp_path: Path) -> None:
    ready("encrypt", portrait, "-m", "avp", "--recognizer", "tiny", "--key-model", "learned", code=5)
    made = json.loads(ready("keygen", "--model", "--steps", 100, "--json").stdout)
    path = Path(made["key_model"])
    assert path.stat().st_mode & 0o777 == 0o600 and path.read_bytes().startswith(identities.AGE_MAGIC)
    assert Path(made["sheet"]).exists() and 0 < made["ssim"] < 1
    ready("keygen", "--model", "--steps", 1, code=8)
    ready("keygen", "--model", "--steps", 1, "-o", tmp_path / "model.png", code=2)
    record = json.loads(
        ready(
            "encrypt", portrait, "-m", "avp", "--recognizer", "tiny", "--key-model", "learned", "--json"
        ).stdout
    )
    chip = Path(record["chips"][0]["file"])
    ready("decrypt", chip)
    back = opened(portrait.with_name("portrait.face1.avp.restored.png"))
    forged = opened(chip).copy()
    forged[20:40, 20:40] ^= 192
    Image.fromarray(forged).save(tmp_path / "forged.png")
    for typed in (("verify",), ("decrypt", "-o", tmp_path / "x.png")):
        assert "altered" in ready(*typed, tmp_path / "forged.png", code=6).stderr
    assert abs(record["chips"][0]["ssim_e"]) < 0.05
    found = json.loads(
        ready("match", portrait, chip, "--recognizer", "tiny", "--threshold", 0.9, "--json").stdout
    )
    assert found["match"]
    assert back.shape == (112, 112, 3) and record["chips"][0]["ssim_d"] > 0.3
    # Another key model of the same owner, and the key model in another's hands.
    other = tmp_path / "other.age"
    ready("keygen", "--model", "--steps", 1, "-o", other, "-q")
    failed = ready("decrypt", chip, "--key-model", other, "-o", tmp_path / "x.png", code=5).stderr
    assert "another key model" in failed
    ready("keygen", "-o", tmp_path / "stranger", "-q")
    ready("decrypt", chip, "--key", tmp_path / "stranger", "-o", tmp_path / "x.png", code=5)


def test_what_is_missing_is_said(ready: Run, portrait: Path) -> None:
    before = sorted(path.name for path in portrait.parent.iterdir())
    failed = ready("encrypt", portrait, "-m", "avp", "--recognizer", "arcface-r50", code=7).stderr
    assert "recognizers add arcface-r50" in failed
    ready("encrypt", portrait.parent, "-m", "avp", "--recognizer", "arcface-r50", "-j", 1, code=7)
    ready("encrypt", portrait, "--cosine", 0.99, code=2)
    for typed in (("encrypt", portrait, "-m", "avp", "--recognizer", "tiny"), ("decrypt", portrait)):
        failed = ready(*typed, "--key-model", portrait, code=3).stderr
        assert f"{portrait} is not a key model" in failed
    ready("encrypt", portrait, "--recognizer", "tiny", code=2)
    ready("encrypt", portrait, "-m", "avp", "--recognizer", "tiny", "--robust", "fire", code=2)
    failed = ready("encrypt", portrait, "-m", "avp", "--recognizer", "tiny", "--cosine", 1.0, code=9).stderr
    assert "reached cosine" in failed and "hint" in failed
    ready("keygen", "--minutes", 1, code=2)
    assert sorted(path.name for path in portrait.parent.iterdir()) == before


def test_a_folder_is_done_and_its_chips_are_not_taken_for_photos(ready: Run, portrait: Path) -> None:
    folder = portrait.parent
    ready("encrypt", folder, "-m", "avp", "--recognizer", "tiny", "-q")
    ready("encrypt", folder, "-m", "avp", "--recognizer", "tiny", "-q")  # nothing is left to do
    assert (folder / "portrait.face1.avp.png").exists()
    assert not list(folder.glob("portrait.face1.avp.pub.png"))
    ready("verify", folder, "-q")


def test_another_key_model_is_noticed_and_a_cluster_is_warned_of(ready: Run, portrait: Path) -> None:
    folder, model = portrait.parent, portrait.parent.parent / "model.age"
    typed = ("encrypt", folder, "-m", "avp", "--recognizer", "tiny")
    ready(*typed, "-q")
    ready("keygen", "--model", "--steps", 1, "-o", model, "-q")
    done = ready(*typed, "--key-model", model, code=10)
    assert "done with other options" in done.stderr
    done = ready(*typed, "--key-model", model, "--cluster", "127.0.0.1:9", before=NO_CLUSTER, code=2)
    assert "your key model goes to the cluster's workers in the clear" in done.stderr


def test_an_existing_chip_is_not_overwritten(ready: Run, portrait: Path) -> None:
    chip = portrait.with_name("portrait.face1.avp.png")
    chip.write_bytes(b"mine")
    ready("encrypt", portrait, "-m", "avp", "--recognizer", "tiny", code=8)
    assert chip.read_bytes() == b"mine" and not portrait.with_name("portrait.pub.png").exists()


def test_robust_chips_say_what_survived(ready: Run, portrait: Path) -> None:
    record = json.loads(
        ready(
            "encrypt", portrait, "-m", "avp", "--recognizer", "tiny", "--robust", "jpeg,resize", "--json"
        ).stdout
    )
    assert set(record["chips"][0]["survived"]) == {"JPEG 75", "resizing to 0.5"}
    assert min(record["chips"][0]["survived"].values()) > 0.9


# In one process


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, portrait: Path):
    """`protect` on the portrait with the tiny recognizer in place of an installed one."""
    from support.chips import tiny_recognizer as reader

    monkeypatch.setattr(avp_chips, "recognizer", lambda name: reader())

    def run(**changes: object) -> protect.Protection:
        chips = replace(Chips(("tiny",)), **changes)  # type: ignore[arg-type]
        options = Options(method="avp", settings=Settings(chips=chips))
        return protect.protect(portrait.read_bytes(), portrait, options, TO_OWNER)

    return run


def test_a_small_face_is_enlarged_and_that_is_said(shown, portrait: Path) -> None:
    picture = Image.open(portrait)
    picture.resize((picture.width // 3, picture.height // 3), Image.Resampling.LANCZOS).save(portrait)
    made = shown()
    assert any("enlarged" in notice for notice in made.notices)
    assert any("not whole" in notice for notice in made.notices)
    assert made.chips[1].pixels.shape == (112, 96, 3)


def test_a_gray_photo_cannot_show_its_chip_and_that_is_said(shown, portrait: Path) -> None:
    assert not shown().notices
    Image.open(portrait).convert("L").save(portrait)
    assert any("no colors" in notice for notice in shown().notices)


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ({"reached": (float("nan"),)}, "not a finite number"),
        ({"ssim_e": 0.04}, "show"),
        ({"ssim_e": -0.04}, "show"),
    ],
)
def test_a_search_that_goes_astray_is_an_error_with_a_hint(
    shown, monkeypatch: pytest.MonkeyPatch, result: dict[str, object], says: str
) -> None:
    real = avp_chips.fast

    def astray(*args: object, **kwargs: object) -> list:
        return [replace(one, **result) for one in real(*args, **kwargs)]  # type: ignore[arg-type]

    monkeypatch.setattr(avp_chips, "fast", astray)
    with pytest.raises(QualityError, match=says) as caught:
        shown()
    assert caught.value.hint


def test_a_chip_that_was_written_wrong_is_noticed(shown) -> None:
    chip = shown().chips[1]
    good = images.encode_lossless(chip.pixels)
    chips.check_written(good, chip, "the chip", OWNER)
    with pytest.raises(DamagedError, match="survive"):
        chips.check_written(images.encode_lossless(chip.pixels ^ 4), chip, "the chip", OWNER)
    with pytest.raises(DamagedError, match="more than it should"):
        chips.check_written(png.with_chunks(good, [(b"tEXt", b"a\0b")]), chip, "the chip", OWNER)
    with pytest.raises(DamagedError, match="open with your key"):
        chips.check_written(good, replace(chip, restored=chip.restored ^ 1), "the chip", OWNER)

"""What strangers see: the saved covers are drawn without the face, and the network's own stay an attack."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.places import PORTRAIT

from photoguard import covering, looks, protect, weights
from photoguard.errors import DamagedError, UsageError
from photoguard.evaluate.ddm import adversarial, covers
from photoguard.formats import contents as sealed
from photoguard.formats import envelope, identities
from photoguard.methods import METHODS, Settings
from photoguard.photos import images
from photoguard.photos.geometry import Box

RECIPIENTS = identities.Recipients((identities.generate()[1],))
FACES = adversarial.portrait()
CONTENTS = {name: (messages[0], carrier) for name, messages, carrier in adversarial.contents(FACES)}
# Correlation with the message that the network's own cover shows after a blur, at the worst period and tilt.
LEAKS = {
    "halftone": (8, 0, 0.9),
    "checkers": (8, 0, 0.8),
    "stripes": (6, 45, 0.5),
    "text on checkers": (8, 0, 0.7),
}


def attacked(content: str) -> tuple[np.ndarray, np.ndarray]:
    """A message and its texture, (256, 256) and (256, 256, 3)."""
    message, carrier = CONTENTS[content]
    period, tilt, _ = LEAKS[content]
    return message, adversarial.texture(message, carrier, period, tilt)


@pytest.mark.parametrize("content", LEAKS)
def test_the_networks_own_cover_shows_the_message(content: str) -> None:
    """The positive control: without it, the next test would prove nothing."""
    message, texture = attacked(content)
    cover = covers.network(weights.load_ddm())(texture[None])[0]
    assert adversarial.seen(cover, message)[0] > LEAKS[content][2]


@pytest.mark.parametrize("method", ["ddm", "solid"])
@pytest.mark.parametrize("content", LEAKS)
def test_the_saved_cover_shows_nothing_of_it(content: str, method: str, tmp_path: Path) -> None:
    message, texture = attacked(content)
    photo = np.full((320, 336, 3), 90, np.uint8)
    photo[32:288, 48:304] = texture
    Image.fromarray(photo).save(tmp_path / "photo.jpg", quality=88)
    options = protect.Options(method, faces="none", regions=(Box(48, 32, 256, 256),))
    public, private = tmp_path / "photo.pub.png", tmp_path / "photo.priv"
    protect.protect_file(tmp_path / "photo.jpg", public, private, options, RECIPIENTS)
    saved = np.asarray(Image.open(public).convert("RGB"))
    shown = saved[32:288, 48:304]
    assert np.array_equal(shown, looks.draw(covering.LOOKS[method], 256, 256, np.uint8))
    assert adversarial.seen(shown, message)[0] < 0.1
    assert np.abs(saved[:32].astype(int) - 90).max() < 3  # the rest is as it was


@pytest.mark.parametrize("method", ["ddm", "solid"])
def test_two_faces_have_the_same_cover(method: str) -> None:
    one, other = (covering.cover(method, patch) for patch in (FACES[0], 255 - FACES[0][::-1]))
    assert np.array_equal(one.pixels, other.pixels)


def test_every_method_has_a_look() -> None:
    assert covering.LOOKS.keys() == METHODS.keys()


# Chosen looks

LOGO = np.zeros((10, 30, 3), np.uint8) + np.array([250, 20, 60], np.uint8)


LOGO_LOOK = covering.chosen_look("ddm", (images.encode_restored(images.Photo(LOGO)), "logo"))
SOFT = covering.Look("soft")


@pytest.mark.parametrize("method", ["ddm", "solid"])
@pytest.mark.parametrize("look", ["plain", "pattern", "soft", "image"])
def test_a_chosen_look_says_nothing_of_what_it_hides(look: str, method: str) -> None:
    """Two photos that differ only under overlapping covers have one public picture."""
    pixels = np.asarray(Image.open(PORTRAIT).convert("RGB").resize((96, 96)))
    other = pixels.copy()
    for box in (Box(16, 16, 32, 32), Box(32, 32, 48, 16)):
        other[box.window] = 255 - other[box.window]
    chosen = LOGO_LOOK if look == "image" else covering.chosen_look(method, look)
    one, two = (protected(method, p, look=chosen) for p in (pixels, other))
    assert np.array_equal(one.picture.pixels, two.picture.pixels)
    assert {face.look for face in one.public.faces} == {look}
    check(one)


@pytest.mark.parametrize("method", ["avp", "blur", "pixelate"])
def test_a_method_with_a_look_of_its_own_takes_no_other(method: str) -> None:
    with pytest.raises(UsageError, match=f"--look does not go with --method {method}"):
        covering.chosen_look(method, "soft")


def test_soft_takes_the_tone_of_its_open_surroundings() -> None:
    pixels = np.full((96, 96, 3), 40, np.uint8)
    pixels[:, :16] = 200
    box, other = Box(16, 16, 32, 32), Box(48, 16, 16, 16)
    pixels[box.window] = pixels[other.window] = 255
    colors = covering.beside(pixels, box, [box, other])
    assert (colors == [[200] * 3, [40] * 3, [40] * 3, [40] * 3]).all()
    (cover, _) = covering.chosen(images.Photo(pixels), [box, other], covering.Look("soft"))
    assert cover.pixels[16, 0, 0] > cover.pixels[16, 31, 0] and cover.pixels.max() <= 200
    alone = Box(0, 0, 96, 96)
    assert (covering.beside(pixels, alone, [alone]) == 127).all()


def test_soft_is_drawn_again_from_the_public_picture() -> None:
    made = protected("ddm", np.asarray(Image.open(PORTRAIT).convert("RGB").resize((96, 96))), look=SOFT)
    wrong = tuple(covering.Cover(c.look, c.pixels // 2) for c in made.covers)
    picture = covering.picture(made.picture, [face.box for face in made.public.faces], wrong)
    with pytest.raises(DamagedError, match="cover of face 1"):
        check(replace(with_picture(made, picture), covers=wrong))


# Proof


def protected(
    method: str,
    pixels: np.ndarray,
    alpha: np.ndarray | None = None,
    look: covering.Look | None = None,
) -> protect.Protection:
    data = images.encode_restored(images.Photo(pixels, alpha, bool((pixels == pixels[..., :1]).all())))
    regions = (Box(16, 16, 32, 32), Box(32, 32, 48, 16))
    options = protect.Options(method, Settings(exact=True), faces="none", regions=regions, look=look)
    return protect.protect(data, Path("photo.png"), options)


def check(made: protect.Protection) -> None:
    """The proof that `encrypt` makes, on bytes as they would be written."""
    secret = identities.seal(made.private.to_bytes(), RECIPIENTS)
    protect.check_written(images.encode_public(made.picture, made.public.to_bytes()), secret, made, proof=[])


def with_picture(made: protect.Protection, picture: images.Photo) -> protect.Protection:
    """As a fault in the program would have it: another picture, with the fingerprint that belongs to it."""
    return replace(made, picture=picture, private=replace(made.private, picture=sealed.fingerprint(picture)))


@pytest.mark.parametrize("deep, grey", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize(
    "method, look", [*((name, None) for name in METHODS), ("ddm", SOFT), ("solid", LOGO_LOOK)]
)
def test_a_pixel_of_the_face_in_the_written_cover_is_found(
    method: str, look: covering.Look | None, deep: bool, grey: bool
) -> None:
    pixels = np.asarray(Image.open(PORTRAIT).convert("L" if grey else "RGB").resize((96, 96)).convert("RGB"))
    made = protected(method, pixels.astype(np.uint16) * 257 if deep else pixels, look=look)
    assert made.picture.pixels.dtype == (np.uint16 if deep else np.uint8) and made.picture.grey is grey
    check(made)
    for y, x in ((16, 16), (47, 31), (47, 79)):
        leaky = made.picture.pixels.copy()
        leaky[y, x] ^= 1
        with pytest.raises(DamagedError, match="cover of face"):
            check(with_picture(made, replace(made.picture, pixels=leaky)))


def test_a_cover_that_was_drawn_wrongly_is_found() -> None:
    pixels = np.asarray(Image.open(PORTRAIT).convert("RGB").resize((96, 96)))
    made = protected("ddm", pixels)
    wrong = tuple(covering.Cover(c.look, c.pixels // 2) for c in made.covers)
    boxes = [face.box for face in made.public.faces]
    picture = covering.picture(made.picture, boxes, wrong)
    with pytest.raises(DamagedError, match="cover of face 1"):
        check(replace(with_picture(made, picture), covers=wrong))


def test_an_outline_in_the_alpha_is_found() -> None:
    pixels = np.asarray(Image.open(PORTRAIT).convert("RGB").resize((96, 96)))
    made = protected("ddm", pixels, np.full((96, 96), 77, np.uint8))
    check(made)
    assert made.picture.alpha is not None
    leaky = made.picture.alpha.copy()
    assert leaky[20, 20] == 255 and leaky[0, 0] == 77
    leaky[20, 20] = 254
    with pytest.raises(DamagedError, match="outline"):
        check(with_picture(made, replace(made.picture, alpha=leaky)))


def test_a_face_is_sealed_with_its_own_alpha_only() -> None:
    pixels = np.asarray(Image.open(PORTRAIT).convert("RGB").resize((96, 96)))
    made = protected("solid", pixels, np.full((96, 96), 77, np.uint8))
    own = []
    for grant, face in zip(made.private.grants, made.public.faces, strict=True):
        content = envelope.open_carrier(made.public, grant.number, grant.key)
        alpha = sealed.unpack_face(content, face.box.height, face.box.width, made.public.version)[1]
        assert alpha is not None
        own.append(alpha)
    large, small = own  # they share 16 x 16 pixels, which belong to the smaller box
    assert (small == 77).all()
    assert (large[16:, 16:] == 255).all() and (large == 77).sum() == 32 * 32 - 16 * 16

"""What a chip hides and keeps, for every recognizer: Tables 1 to 3, other recognizers, re-encoding."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from photoguard.evaluate.avp.people import Named, identified
from photoguard.evaluate.avp.setting import AvpSetting, Made, Table1, made, seen_by
from photoguard.evaluate.avp.statistics import RE_ENCODED
from photoguard.evaluate.common.metrics import cosines, equal_error, mean_ssim
from photoguard.evaluate.common.report import INLINE, OPTIONAL
from photoguard.evaluate.common.ways import BARE_SEARCH, Bare, Learned, Sealed
from photoguard.methods.avp.chips import LEARNED_SEARCH, SEALED_SEARCH

if TYPE_CHECKING:
    from photoguard.evaluate.common.ways import Way
    from photoguard.methods.avp.keys import KeyModel
    from photoguard.recognizers import Recognizer

WAYS = ("sealed", "learned", "bare")


@dataclass(frozen=True)
class Table2:
    """How often people are named by open photos and by chips."""

    original: Named
    one: Named
    original_small: Named
    """Among the open photos of the people whose chips are the gallery of `all`"""
    all: Named
    gallery: int
    gallery_small: int


@dataclass(frozen=True)
class SeenByOther:
    """What a recognizer that the chips were not made for sees in them."""

    cosine: float
    recognized: float
    strangers: float
    """Share of other people's faces that it takes for the chip's person"""
    equal_error: float


@dataclass(frozen=True)
class Kept:
    """What re-encoding leaves for the chip's own recognizer."""

    cosine: float
    recognized: float


@dataclass(frozen=True)
class Quality:
    """One way to encrypt, for one recognizer."""

    table1: Table1 = field(metadata=INLINE)
    table2: Table2 | None = field(metadata=INLINE)
    others: dict[str, SeenByOther]
    survival: dict[str, Kept]


@dataclass(frozen=True)
class OtherKey:
    """Table 3: one key model, one way."""

    identity: float
    """SSIM of pictures that the model gives back as they are"""
    table1: Table1 = field(metadata=INLINE)
    one: Named | None = field(default=None, metadata=OPTIONAL)


# --- Tables 1 and 2 ---


def quality(setting: AvpSetting, name: str) -> dict[str, Quality]:
    """Tables 1 and 2 for one recognizer, who else recognizes its chips, and what re-encoding leaves."""
    return {way: quality_of(setting, name, way) for way in WAYS}


def quality_of(setting: AvpSetting, name: str, way: str) -> Quality:
    """The same for one way."""
    recognizer, people = setting.recognizers[name], setting.people
    mine = enrolled(setting, name, way)
    complete = len(mine.chips) == len(people.enrolled)
    found = Quality(
        table1=mine.figures(),
        table2=_table2(setting, name, way, mine) if complete else None,
        others={
            other: _seen_by_other(setting, mine, recognizer, other)
            for other in setting.recognizers
            if other != name
        },
        survival=survival(mine, recognizer, setting.thresholds[name]),
    )
    setting.say(f"{name}, {way}: SSIM_e {found.table1.ssim_e:.3f}, cosine {found.table1.cosine:.4f}")
    return found


def enrolled(setting: AvpSetting, name: str, way: str) -> Made:
    """The twelve people's enrolled photos, encrypted for one recognizer."""
    recognizer, people = setting.recognizers[name], setting.people
    count = setting.size.bare if way == "bare" else None
    faces = people.probes.at(people.enrolled[:count]).chips(recognizer.spec)
    return made(setting, f"{name}-{way}", way_of(setting, way), faces, recognizer)


def way_of(setting: AvpSetting, way: str) -> Way:
    """A way by its name, with the owner's keys."""
    steps = setting.size.steps
    if way == "sealed":
        return sealed(setting, steps)
    model = setting.keys.model(0)
    return learned(model, steps) if way == "learned" else bare(model, steps)


def sealed(setting: AvpSetting, steps: dict[str, int]) -> Sealed:
    """The owner's identity, with a search of that many steps at most."""
    return Sealed(setting.keys.identity, dataclasses.replace(SEALED_SEARCH, steps=steps.get("sealed")))


def learned(model: KeyModel, steps: dict[str, int]) -> Learned:
    """A key model behind its transform."""
    return Learned(model, dataclasses.replace(LEARNED_SEARCH, steps=steps.get("learned")))


def bare(model: KeyModel, steps: dict[str, int]) -> Bare:
    """The same without the transform."""
    return Bare(model, dataclasses.replace(BARE_SEARCH, steps=steps.get("bare")))


def _table2(setting: AvpSetting, name: str, way: str, mine: Made) -> Table2:
    """Sec. 4.1. The gallery is open for AVP-ONE; for AVP-ALL it is the part that is encrypted too."""
    recognizer, people = setting.recognizers[name], setting.people
    probes = recognizer.embed_pixels(people.probes.chips(recognizer.spec))
    gallery_faces = people.others.chips(recognizer.spec)
    gallery, small = recognizer.embed_pixels(gallery_faces), gallery_faces[people.encrypted]
    hidden = made(setting, f"{name}-{way}-gallery", way_of(setting, way), small, recognizer)
    enrolled_open, enrolled_hidden = probes[people.enrolled], recognizer.embed_pixels(mine.chips)
    few, few_hidden = gallery[people.encrypted], recognizer.embed_pixels(hidden.chips)
    return Table2(
        original=identified(people, probes, enrolled_open, gallery),
        one=identified(people, probes, enrolled_hidden, gallery),
        original_small=identified(people, probes, enrolled_open, few),
        all=identified(people, probes, enrolled_hidden, few_hidden),
        gallery=len(gallery),
        gallery_small=len(few),
    )


def _seen_by_other(setting: AvpSetting, mine: Made, recognizer: Recognizer, other: str) -> SeenByOther:
    """What a recognizer that the chip was not made for sees in it."""
    theirs = setting.recognizers[other]
    chips, faces = (seen_by(part, recognizer.spec, theirs.spec) for part in (mine.chips, mine.faces))
    shown, open_ = theirs.embed_pixels(chips), theirs.embed_pixels(faces)
    same = cosines(shown, open_)
    strange = np.concatenate([cosines(shown, np.roll(open_, turn, 0)) for turn in range(1, len(open_))])
    truth = np.arange(len(same) + len(strange)) < len(same)
    return SeenByOther(
        cosine=float(same.mean()),
        recognized=float((same >= setting.thresholds[other]).mean()),
        strangers=float((strange >= setting.thresholds[other]).mean()),
        equal_error=equal_error(np.concatenate([same, strange]), truth),
    )


def survival(mine: Made, recognizer: Recognizer, threshold: float) -> dict[str, Kept]:
    """What re-encoding leaves of the chip for its own recognizer."""
    wanted = recognizer.embed_pixels(mine.faces)
    found = {}
    for how, change in RE_ENCODED.items():
        alike = cosines(recognizer.embed_pixels(change(mine.chips)), wanted)
        found[how] = Kept(float(alike.mean()), float((alike >= threshold).mean()))
    return found


# --- Table 3 ---


def other_key(setting: AvpSetting) -> dict[str, OtherKey]:
    """Table 3: the key model learned from pictures that are not faces."""
    recognizer, people, steps = setting.main, setting.people, setting.size.steps
    faces = people.probes.at(people.enrolled).chips(recognizer.spec)
    others = recognizer.embed_pixels(people.others.chips(recognizer.spec))
    probes = recognizer.embed_pixels(people.probes.chips(recognizer.spec))
    found = {}
    for name, model in (("faces", setting.keys.model(0)), ("no faces", setting.keys.model(0, faces=False))):
        for way in (learned(model, steps), bare(model, steps)):
            count = setting.size.bare if isinstance(way, Bare) else None
            label = f"{recognizer.name}-{way.name}-{name.replace(' ', '-')}"
            mine = made(setting, label, way, faces[:count], recognizer)
            complete = count is None or count >= len(faces)
            embeddings = recognizer.embed_pixels(mine.chips)
            found[f"{name}, {way.name}"] = OtherKey(
                identity=mean_ssim(Bare(model).decrypt(mine.faces), mine.faces),
                table1=mine.figures(),
                one=identified(people, probes, embeddings, others) if complete else None,
            )
    return found

"""The parts of AVP's evaluation, in the order in which they are measured."""

from __future__ import annotations

import dataclasses
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from photoguard.errors import PhotoguardError, WrongKeyError
from photoguard.evaluate.avp import pictures as avp_pictures
from photoguard.evaluate.avp.attacks import blindly, inverted, paired_data, recognized
from photoguard.evaluate.avp.people import identified
from photoguard.evaluate.avp.setting import Made, Setting, made, measured, seen_by, tensor
from photoguard.evaluate.avp.statistics import RE_ENCODED, correlation, histogram
from photoguard.evaluate.avp.ways import BARE_SEARCH, SEALED_SEARCH, Bare, Learned, Sealed, sample_faces
from photoguard.evaluate.common.metrics import cosines, equal_error, mean_ssim
from photoguard.formats import identities
from photoguard.methods.avp.chips import LEARNED_SEARCH
from photoguard.methods.avp.distortions import distortions
from photoguard.methods.avp.search import Published, published
from photoguard.methods.avp.target import resemblance

if TYPE_CHECKING:
    from collections.abc import Callable

    from photoguard.evaluate.avp.setting import Way
    from photoguard.evaluate.ddm.covers import Pixels
    from photoguard.methods.avp.keys import KeyModel
    from photoguard.methods.avp.search import Found
    from photoguard.recognizers import Recognizer

    Figures = dict[str, Any]

REACHED = 0.99  # the cosine up to which searches are timed


# --- Tables 1 and 2, other recognizers, re-encoding ---


def quality(setting: Setting, name: str) -> Figures:
    """Tables 1 and 2 for one recognizer, who else recognizes its chips, and what re-encoding leaves."""
    return {way: _row(setting, name, way) for way in ("sealed", "learned", "bare")}


def enrolled(setting: Setting, name: str, way: str) -> Made:
    """The twelve people's enrolled photos, encrypted for one recognizer."""
    reader, people = setting.read[name], setting.people
    count = setting.size.bare if way == "bare" else None
    faces = people.probes.at(people.enrolled[:count]).chips(reader.spec)
    return made(setting, f"{name}-{way}", way_of(setting, way), faces, reader)


def way_of(setting: Setting, way: str) -> Way:
    """A way by its name, with the owner's keys."""
    steps = setting.size.steps
    if way == "sealed":
        return sealed(setting, steps)
    model = setting.keys.model(0)
    return learned(model, steps) if way == "learned" else bare(model, steps)


def sealed(setting: Setting, steps: dict[str, int]) -> Sealed:
    """The owner's identity, with a search of that many steps at most."""
    return Sealed(setting.keys.identity, dataclasses.replace(SEALED_SEARCH, steps=steps.get("sealed")))


def learned(model: KeyModel, steps: dict[str, int]) -> Learned:
    """A key model behind its transform."""
    return Learned(model, dataclasses.replace(LEARNED_SEARCH, steps=steps.get("learned")))


def bare(model: KeyModel, steps: dict[str, int]) -> Bare:
    """The same without the transform."""
    return Bare(model, dataclasses.replace(BARE_SEARCH, steps=steps.get("bare")))


def _row(setting: Setting, name: str, way: str) -> Figures:
    reader, people = setting.read[name], setting.people
    mine = enrolled(setting, name, way)
    figures: Figures = dict(mine.figures())
    if len(mine.chips) == len(people.enrolled):
        figures |= _table2(setting, name, way, mine)
    figures["others"] = {
        other: _seen_by_other(setting, mine, reader, other) for other in setting.read if other != name
    }
    figures["survival"] = survival(mine, reader, setting.thresholds[name])
    setting.say(f"{name}, {way}: SSIM_e {figures['ssim_e']:.3f}, cosine {figures['cosine']:.4f}")
    return figures


def _table2(setting: Setting, name: str, way: str, mine: Made) -> Figures:
    """Sec. 4.1. The gallery is open for AVP-ONE; for AVP-ALL it is the part that is encrypted too."""
    reader, people = setting.read[name], setting.people
    probes = reader.embed_pixels(people.probes.chips(reader.spec))
    gallery_faces = people.strangers.chips(reader.spec)
    gallery, small = reader.embed_pixels(gallery_faces), gallery_faces[people.encrypted]
    hidden = made(setting, f"{name}-{way}-gallery", way_of(setting, way), small, reader)
    enrolled_open, enrolled_hidden = probes[people.enrolled], reader.embed_pixels(mine.chips)
    few, few_hidden = gallery[people.encrypted], reader.embed_pixels(hidden.chips)
    return {
        "original": identified(people, probes, enrolled_open, gallery),
        "one": identified(people, probes, enrolled_hidden, gallery),
        "original_small": identified(people, probes, enrolled_open, few),
        "all": identified(people, probes, enrolled_hidden, few_hidden),
        "gallery": len(gallery),
        "gallery_small": len(few),
    }


def _seen_by_other(setting: Setting, mine: Made, reader: Recognizer, other: str) -> Figures:
    """What a recognizer that the chip was not made for sees in it."""
    theirs = setting.read[other]
    chips, faces = (seen_by(part, reader.spec, theirs.spec) for part in (mine.chips, mine.faces))
    shown, open_ = theirs.embed_pixels(chips), theirs.embed_pixels(faces)
    same = cosines(shown, open_)
    strange = np.concatenate([cosines(shown, np.roll(open_, turn, 0)) for turn in range(1, len(open_))])
    truth = np.arange(len(same) + len(strange)) < len(same)
    return {
        "cosine": float(same.mean()),
        "recognized": float((same >= setting.thresholds[other]).mean()),
        "strangers": float((strange >= setting.thresholds[other]).mean()),
        "equal_error": equal_error(np.concatenate([same, strange]), truth),
    }


def survival(mine: Made, reader: Recognizer, threshold: float) -> Figures:
    """What re-encoding leaves of the chip for its own recognizer."""
    wanted = reader.embed_pixels(mine.faces)
    found = {}
    for how, change in RE_ENCODED.items():
        alike = cosines(reader.embed_pixels(change(mine.chips)), wanted)
        found[how] = {"cosine": float(alike.mean()), "recognized": float((alike >= threshold).mean())}
    return found


# --- Table 3 ---


def other_key(setting: Setting) -> Figures:
    """Table 3: the key model learned from pictures that are not faces."""
    reader = setting.main
    people = setting.people
    faces = people.probes.at(people.enrolled).chips(reader.spec)
    strangers = reader.embed_pixels(people.strangers.chips(reader.spec))
    probes = reader.embed_pixels(people.probes.chips(reader.spec))
    found: Figures = {}
    steps = setting.size.steps
    for name, model in (("faces", setting.keys.model(0)), ("no faces", setting.keys.model(0, faces=False))):
        for way in (learned(model, steps), bare(model, steps)):
            count = setting.size.bare if isinstance(way, Bare) else None
            label = f"{reader.name}-{way.name}-{name.replace(' ', '-')}"
            mine = made(setting, label, way, faces[:count], reader)
            untouched = Bare(model).decrypt(mine.faces)
            row: Figures = {"identity": mean_ssim(untouched, mine.faces), **mine.figures()}
            if count is None or count >= len(faces):
                row["one"] = identified(people, probes, reader.embed_pixels(mine.chips), strangers)
            found[f"{name}, {way.name}"] = row
    return found


# --- Keys ---


def wrong_keys(setting: Setting) -> Figures:
    """Fig. 5: chips of every key opened with every key, as numbers and as a picture of NASA's portrait."""
    reader = setting.main
    people, size = setting.people, setting.size
    faces = people.probes.at(people.enrolled[: size.shown]).chips(reader.spec)
    faces = np.concatenate([sample_faces(reader.spec), faces])
    models = [setting.keys.model(number) for number in range(size.keys)]
    gray = mean_ssim(np.full_like(faces, 128), faces)
    found: Figures = {"keys": size.keys, "faces": len(faces), "gray": gray}
    for kind in (bare, learned):
        ways = [kind(model, size.steps) for model in models]
        chips = [
            made(setting, f"matrix-{ways[0].name}-{number}", way, faces, reader).chips
            for number, way in enumerate(ways)
        ]
        opened = [[other.forced(chips[own]) for other in ways] for own in range(len(ways))]
        matrix = [[mean_ssim(back, faces) for back in row] for row in opened]
        wrong = [opened[i][j] for i in range(len(ways)) for j in range(len(ways)) if i != j]
        found[ways[0].name] = {
            "matrix": matrix,
            "right": float(np.mean([matrix[i][i] for i in range(len(ways))])),
            "wrong": float(np.mean([mean_ssim(back, faces) for back in wrong])),
            "wrong_worst": max(matrix[i][j] for i in range(len(ways)) for j in range(len(ways)) if i != j),
            "recognized": float(
                np.mean([recognized(back, faces, reader, setting.thresholds[reader.name]) for back in wrong])
            ),
            "recognized_by_other": float(
                np.mean([recognized(back, faces, *setting.watching) for back in wrong])
            ),
        }
        avp_pictures.matrix(
            setting.out / f"avp-keys-{ways[0].name}.png",
            faces[0],
            [part[0] for part in chips],
            [[back[0] for back in row] for row in opened],
            [[mean_ssim(back[:1], faces[:1]) for back in row] for row in opened],
        )
    found["sealed"] = _sealed_with_wrong_keys(setting, faces[:1], reader)
    return found


def _sealed_with_wrong_keys(setting: Setting, faces: Pixels, reader: Recognizer) -> Figures:
    """Somebody else's identity is an error; nothing half-restored comes out."""
    chips = made(setting, "matrix-sealed", sealed(setting, setting.size.steps), faces, reader).chips
    codes = []
    for _ in range(setting.size.keys):
        try:
            Sealed(identities.generate()[0]).decrypt(chips)
            codes.append(0)
        except PhotoguardError as error:
            codes.append(error.exit_code)
    return {"tried": len(codes), "errors": sum(code == WrongKeyError.exit_code for code in codes)}


# --- Paired data ---


def paired(setting: Setting) -> Figures:
    """Fig. 6: a network trained on known pairs restores chips that it has no original of."""
    reader, size = setting.main, setting.size
    people = setting.people
    known = people.strangers.at(np.arange(min(max(size.known), len(people.strangers)))).chips(reader.spec)
    unseen = people.probes.at(np.arange(len(people.probes))[:: max(len(people.probes) // size.unseen, 1)])
    truth = unseen.at(np.arange(min(size.unseen, len(unseen)))).chips(reader.spec)
    steps = size.pair_steps
    own, other = bare(setting.keys.model(0), steps), bare(setting.keys.model(1), steps)
    shuffled, hidden = learned(setting.keys.model(0), steps), sealed(setting, steps)
    ways: dict[str, tuple[Way, Way]] = {
        "bare, key reused": (own, own),
        "bare, another key": (own, other),
        "learned, key reused": (shuffled, shuffled),
        "sealed": (hidden, hidden),
    }
    found: Figures = {
        "blind": blindly(known, truth, setting.watching), "unseen": len(truth), "restorer": size.width
    }  # fmt: skip
    for name, (theirs, mine) in ways.items():
        label = name.replace(",", "").replace(" ", "-")
        source = "bare-key-reused" if name == "bare, another key" else label
        pairs = made(setting, f"pairs-{source}", theirs, known, reader)
        target = made(setting, f"pairs-unseen-{label}", mine, truth, reader)
        found[name] = {
            "owner": float(target.ssim_d.mean()),
            "cosine": float(target.cosine.mean()),
            "known": {
                str(count): paired_data(
                    pairs.chips[:count], known[:count], target.chips, truth, setting.watching, size.attack,
                    size.width,
                )
                for count in size.known
                if count <= len(known)
            },
        }  # fmt: skip
    return found


# --- Ablation, statistics, robustness, speed, template ---


def ablation(setting: Setting) -> Figures:
    """Fig. 7: Algorithm 1 with L_d and with L_v."""
    reader, size = setting.main, setting.size
    model, another = setting.keys.model(0), setting.keys.model(1)
    faces = np.concatenate([sample_faces(reader.spec), _some(setting, reader, size.paper_faces - 1)])
    found: Figures = {"faces": len(faces), "steps": size.paper_steps}
    shown = {"original": faces[0]}
    for hiding, weight in (("variance", 1e-3), ("distance", 1.0)):
        settings = Published(steps=size.paper_steps, hiding=hiding, hiding_weight=weight, seed=0)  # type: ignore[arg-type]
        began = time.process_time()
        results = _published(faces, reader, Bare(model), settings)
        chips = np.stack([one.pixels for one in results])
        note = [{"steps": float(one.steps), "seconds": time.process_time() - began} for one in results]
        mine = measured(faces, chips, Bare(model).decrypt(chips), reader, note)
        wrong = Bare(another).decrypt(chips)
        found[hiding] = dict(mine.figures()) | {"weight": weight, "wrong_key": mean_ssim(wrong, faces)}
        name = {"variance": "L_v", "distance": "L_d"}[hiding]
        shown |= {name: chips[0], f"{name}, right key": mine.restored[0], f"{name}, wrong key": wrong[0]}
    avp_pictures.strip(setting.out / "avp-ablation.png", shown)
    return found


def _published(
    faces: Pixels, reader: Recognizer, way: Bare, settings: Published, until: float = math.inf
) -> list[Found]:
    originals = tensor(faces)
    return published(originals, resemblance([reader], originals), way.key, settings, until=until)


def _some(setting: Setting, reader: Recognizer, count: int) -> Pixels:
    people = setting.people
    return people.probes.at(people.enrolled[:count]).chips(reader.spec)


def statistics(setting: Setting) -> Figures:
    """A.1.2: neighbors and histograms."""
    reader = setting.main
    stacks = {"original": enrolled(setting, reader.name, "sealed").faces}
    portrait = {"original": sample_faces(reader.spec)}
    for way in ("bare", "learned", "sealed"):
        stacks[way] = enrolled(setting, reader.name, way).chips
        portrait[way] = made(
            setting, f"portrait-{way}", way_of(setting, way), portrait["original"], reader
        ).chips
    avp_pictures.statistics(setting.out / "avp-statistics.png", {k: v[0] for k, v in portrait.items()})
    return {
        name: {"correlation": correlation(stack), "histogram": histogram(stack), "faces": len(stack)}
        for name, stack in stacks.items()
    }


def robustness(setting: Setting) -> Figures:
    """Chips made with and without --robust, as re-encoded files."""
    reader, usual = setting.main, sealed(setting, setting.size.steps)
    faces = _some(setting, reader, 2 * setting.size.shown)
    names = ("jpeg", "resize")
    ways = {
        "as usual": usual,
        "`--robust jpeg`": dataclasses.replace(usual, distortions=distortions(names[:1])),
        "`--robust jpeg,resize`": dataclasses.replace(usual, distortions=distortions(names)),
    }
    found: Figures = {"faces": len(faces)}
    for number, (name, way) in enumerate(ways.items()):
        mine = made(setting, f"robust-{number}", way, faces, reader)
        kept = survival(mine, reader, setting.thresholds[reader.name])
        found[name] = dict(mine.figures()) | {"survival": kept}
    return found


def speed(setting: Setting) -> Figures:
    """Steps and processor time to cosine 0.99, one search of the same faces each."""
    reader, size = setting.main, setting.size
    faces = _some(setting, reader, size.paper_faces)
    found: Figures = {
        "faces": len(faces),
        "cosine": REACHED,
        "keygen": {"learned": setting.keys.seconds(0), "sealed": _sealed_keygen()},
    }
    model, aim = setting.keys.model(0), partial(resemblance, [reader])
    ways: dict[str, Callable[[], list[Found]]] = {
        "published": lambda: _published(faces, reader, Bare(model), Published(seed=0), REACHED),
        "bare": lambda: bare(model, size.steps).encrypt(faces, aim),
        "learned": lambda: learned(model, size.steps).encrypt(faces, aim),
        "sealed": lambda: sealed(setting, size.steps).encrypt(faces, aim),
    }
    for name, search in ways.items():
        began = time.process_time()
        results = search()
        found[name] = _until(results, time.process_time() - began)
    first = found["published"]["seconds"]
    found["at_least"] = first is None  # it never got there: all its steps were not enough
    for name in ways:
        mine = found[name]["seconds"]
        found[name]["times"] = (first or found["published"]["whole_seconds"]) / mine if mine else None
    return found


def _sealed_keygen() -> float:
    began = time.process_time()
    identities.generate()
    return time.process_time() - began


def _until(results: list[Found], spent: float) -> Figures:
    """When each face was there, in steps and in its share of the processor time."""
    each = spent / sum(one.steps for one in results)
    steps = [
        next((at + 1 for at, step in enumerate(one.trace) if step.reached >= REACHED), None)
        for one in results
    ]
    there = [step for step in steps if step is not None]
    return {
        "reached": len(there),
        "steps": float(np.mean(there)) if len(there) == len(steps) else None,
        "seconds": float(np.mean(there)) * each if len(there) == len(steps) else None,
        "seconds_a_step": each,
        "whole_steps": float(np.mean([one.steps for one in results])),
        "whole_seconds": spent / len(results),
    }


def template(setting: Setting) -> Figures:
    """The chip is the recognizer's template: a face drawn from it by a network that saw other people."""
    reader = setting.main
    people = setting.people
    faces = people.strangers.chips(reader.spec)
    mine = enrolled(setting, reader.name, "sealed")
    known = reader.embed_pixels(faces)
    found = {
        name: inverted(
            known, faces, reader.embed_pixels(shown), mine.faces, setting.watching, setting.size.invert
        )
        for name, shown in (("original", mine.faces), ("chip", mine.chips))
    }
    return {"learned_from": len(faces), **found}


PARTS: dict[str, Callable[[Setting], Figures]] = {
    "other_key": other_key,
    "wrong_keys": wrong_keys,
    "ablation": ablation,
    "statistics": statistics,
    "robustness": robustness,
    "speed": speed,
    "paired": paired,
    "template": template,
}


@dataclasses.dataclass(frozen=True)
class Part:
    """Something to measure, and which recognizers take part."""

    measure: Callable[[], Figures]
    seen_by: list[str]


def parts(setting: Setting) -> dict[str, Part]:
    """Quality for each recognizer, then what is measured with the first alone."""
    first = {
        f"quality {name}": Part(partial(quality, setting, name), list(setting.read)) for name in setting.read
    }
    watched = [setting.main.name, setting.judge]
    return first | {name: Part(partial(measure, setting), watched) for name, measure in PARTS.items()}

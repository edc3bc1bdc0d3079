"""`photoguard evaluate avp`: every claim about AVP measured on LFW, as JSON, Markdown and pictures.

The evaluation is a row of parts; each writes its figures as soon as it has them, and a later run of the same
size keeps them. What is encrypted is saved as PNG and read again before anything is measured on it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from photoguard.errors import UsageError, WeightsError
from photoguard.evaluate.avp import parts as avp_parts
from photoguard.evaluate.avp.people import Crowd, people_of
from photoguard.evaluate.avp.setting import AvpSetting, AvpSize
from photoguard.evaluate.avp.tables import page as tables_page
from photoguard.evaluate.common import report
from photoguard.evaluate.common.keys import Keys
from photoguard.evaluate.common.lfw import open_lfw
from photoguard.evaluate.common.networks import Training
from photoguard.evaluate.common.recognition import verified
from photoguard.evaluate.common.recognizers import available
from photoguard.recognizers import load, shipped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from photoguard.methods.avp.keys import KeyModel

    Say = Callable[[str], None]
    TrainKey = Callable[[bool], KeyModel]
    """Makes a key model, from faces (True) or from pictures without any"""

NAME = "avp"
MAIN = "mobilefacenet-casia"

FULL = AvpSize(
    crowd=Crowd(per_person=None, enrolled=None, pairs=6000, gallery=None),
    bare=None,
    steps={},
    keys=6,
    shown=8,
    paper_steps=800,
    paper_faces=8,
    known=(10, 100, 1000),
    unseen=100,
    pair_steps={},
    attack=Training(40, 2e-3, batch=16),
    width=32,
    invert=Training(60, 2e-3),
)
QUICK = AvpSize(
    crowd=Crowd(per_person=13, enrolled=1, pairs=240, gallery=6),
    bare=3,
    steps={"bare": 150},
    keys=3,
    shown=1,
    paper_steps=800,
    paper_faces=2,
    known=(10, 100),
    unseen=8,
    pair_steps={"bare": 40, "learned": 15},
    attack=Training(15, 3e-3, batch=8),
    width=16,
    invert=Training(15, 3e-3),
)


@dataclass(frozen=True)
class AvpOptions:
    """What to measure, on what, and where it goes."""

    out: Path
    """Gets `avp.json`, `avp.md` and pictures. Parts that are there are kept; quick ones are measured again
    when the full size is asked for"""
    data: Path
    """LFW's folder or zip, or a folder that holds `lfw.zip` and perhaps `recognizers/`, `utkface.zip` and
    `things.zip`"""
    train_key: TrainKey
    quick: bool = False
    recognizers: Sequence[str] = ()
    """Those to encrypt for, the first of them in every part; default: all that are there"""
    only: Sequence[str] = ()
    """Parts to measure; default: all"""
    page: Path | None = None
    """A second place for the tables and the pictures, which show no face but NASA's portrait"""


def evaluate_avp(asked: AvpOptions, say: Say = lambda _: None) -> dict[str, Any]:
    """Measure the parts that are missing."""
    out, quick = asked.out, asked.quick
    out.mkdir(parents=True, exist_ok=True)
    names = ("quality", *avp_parts.PARTS)
    if unknown := set(asked.only) - set(names):
        raise UsageError(f"there is no part {sorted(unknown)[0]!r}", f"the parts are {', '.join(names)}")
    setting = prepare(asked, say)
    results = report.resumed(out, {"main": setting.main.name, "data": setting.fingerprint}, NAME)
    for name, part in avp_parts.parts(setting).items():
        wanted = {"size": "quick" if quick else "full", "recognizers": part.seen_by}
        earlier = {key: results["rows"].get(name, {}).get(key) for key in wanted}
        chosen = not asked.only or name.partition(" ")[0] in asked.only
        if earlier in (wanted, wanted | {"size": "full"}) or not chosen:
            continue
        began = time.process_time()
        figures = report.plain(part.measure())
        spent = round(time.process_time() - began)
        results["rows"][name] = wanted | {"processor_seconds": spent} | figures
        report.write(out, results, NAME, tables_page)
        say(f"{name}: {spent} s of processor time")
    report.write(out, results, NAME, tables_page)
    if asked.page:
        report.publish(asked.page, tables_page(results), sorted(out.glob("avp-*.png")))
    return results


def prepare(asked: AvpOptions, say: Say) -> AvpSetting:
    """Read LFW, find its landmarks, look for the recognizers and their thresholds."""
    torch.set_flush_denormal(True)
    size, out, chosen = QUICK if asked.quick else FULL, asked.out, asked.recognizers
    lfw = open_lfw(asked.data)
    known = {name: partial(load, name) for name in shipped()} | available(asked.data, out / "cache")
    for name in chosen:
        if name not in known:
            raise WeightsError(
                f"recognizer {name} is not installed", f"photoguard recognizers add {name} --weights FILE"
            )
    names = list(chosen) or sorted(known, key=lambda name: (name != MAIN, name))

    def progress(done: int, count: int) -> None:
        if done % 200 == 0:
            say(f"landmarks: {done} of {count}")

    people = people_of(lfw, size.crowd, progress=progress)
    recognizers = {name: known[name]() for name in names}
    thresholds, accuracy = {}, {}
    for name, one in recognizers.items():
        pairs = verified(one.embed_pixels(people.others.chips(one.spec)), people.pairs)
        thresholds[name], accuracy[name] = pairs.threshold, pairs.accuracy.value
        say(f"{name}: {100 * pairs.accuracy.value:.1f} % of {pairs.pairs} pairs right")
    return AvpSetting(
        out=out,
        size=size,
        people=people,
        recognizers=recognizers,
        thresholds=thresholds,
        judge=max(names[1:] or names, key=lambda name: accuracy[name]),
        fingerprint=lfw.fingerprint,
        keys=Keys(out / "keys", asked.train_key, say),
        say=say,
    )

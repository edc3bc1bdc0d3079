"""`photoguard evaluate avp`: every claim about AVP measured on LFW, as JSON, Markdown and pictures.

The evaluation is a row of parts; each writes its figures as soon as it has them, and a later run of the same
size keeps them. What is encrypted is saved as PNG and read again before anything is measured on it.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from photoguard.errors import UsageError, WeightsError
from photoguard.evaluate.avp import parts as avp_parts
from photoguard.evaluate.avp.keys import Keys
from photoguard.evaluate.avp.people import Crowd, people_of
from photoguard.evaluate.avp.setting import Setting, Size
from photoguard.evaluate.avp.tables import page as tables_page
from photoguard.evaluate.common import report
from photoguard.evaluate.common.lfw import open_lfw
from photoguard.evaluate.common.networks import Training
from photoguard.evaluate.common.recognition import verified
from photoguard.evaluate.ddm.run import available
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

FULL = Size(
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
QUICK = Size(
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


def evaluate_avp(
    out: Path,
    data: Path,
    train_key: TrainKey,
    quick: bool = False,
    recognizers: Sequence[str] = (),
    only: Sequence[str] = (),
    say: Say = lambda _: None,
    page: Path | None = None,
) -> dict[str, Any]:
    """Measure all parts, or those in `only`, and write `avp.json`, `avp.md` and the pictures into `out`.

    `data` is LFW's folder or zip, or a folder that holds `lfw.zip` (and may hold `recognizers/`,
    `utkface.zip` and `things.zip`). `recognizers` are those to encrypt for, the first of them in every part;
    default: all that are there. `train_key` makes a key model. A part that an earlier run measured in the
    full size is kept when `quick` is asked for, but not the other way round. `page` is a second place for the
    tables and the pictures, such as docs/avp-evaluation.md: they show no face but NASA's portrait.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = ("quality", *avp_parts.PARTS)
    if unknown := set(only) - set(names):
        raise UsageError(f"there is no part {sorted(unknown)[0]!r}", f"the parts are {', '.join(names)}")
    setting = prepare(out, data, train_key, quick, recognizers, say)
    results = report.resumed(out, {"main": setting.main.name, "data": setting.fingerprint}, NAME)
    for name, part in avp_parts.parts(setting).items():
        asked = {"size": "quick" if quick else "full", "recognizers": part.seen_by}
        earlier = {key: results["rows"].get(name, {}).get(key) for key in asked}
        if earlier in (asked, asked | {"size": "full"}) or (only and name.partition(" ")[0] not in only):
            continue
        began = time.process_time()
        figures = report.plain(part.measure())
        spent = round(time.process_time() - began)
        results["rows"][name] = asked | {"processor_seconds": spent} | figures
        report.write(out, results, NAME, tables_page)
        say(f"{name}: {spent} s of processor time")
    report.write(out, results, NAME, tables_page)
    if page:
        report.publish(page, tables_page(results), sorted(out.glob("avp-*.png")))
    return results


def prepare(
    out: Path, data: Path, train_key: TrainKey, quick: bool, chosen: Sequence[str], say: Say
) -> Setting:
    """Read LFW, find its landmarks, look for the recognizers and their thresholds."""
    torch.set_flush_denormal(True)
    size = QUICK if quick else FULL
    lfw = open_lfw(data)
    readers = {name: partial(load, name) for name in shipped()} | available(data, out / "cache")
    for name in chosen:
        if name not in readers:
            raise WeightsError(
                f"recognizer {name} is not installed", f"photoguard recognizers add {name} --weights FILE"
            )
    names = list(chosen) or sorted(readers, key=lambda name: (name != MAIN, name))

    def progress(done: int, count: int) -> None:
        if done % 200 == 0:
            say(f"landmarks: {done} of {count}")

    people = people_of(lfw, size.crowd, progress=progress)
    read = {name: readers[name]() for name in names}
    thresholds, accuracy = {}, {}
    for name, one in read.items():
        pairs = verified(one.embed_pixels(people.strangers.chips(one.spec)), people.pairs)
        thresholds[name], accuracy[name] = pairs.threshold, pairs.accuracy.value
        say(f"{name}: {100 * pairs.accuracy.value:.1f} % of {pairs.pairs} pairs right")
    return Setting(
        out=out,
        size=size,
        people=people,
        read=read,
        thresholds=thresholds,
        judge=max(names[1:] or names, key=lambda name: accuracy[name]),
        fingerprint=lfw.fingerprint,
        keys=Keys(out / "keys", train_key, say),
        say=say,
    )

"""Rows as they are written now are rows as they were published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from photoguard.evaluate.avp import parts
from photoguard.evaluate.avp.attacks import Stolen
from photoguard.evaluate.avp.people import Named
from photoguard.evaluate.avp.quality import Kept, OtherKey, Quality, SeenByOther, Table2
from photoguard.evaluate.avp.setting import Table1
from photoguard.evaluate.common.metrics import Interval
from photoguard.evaluate.common.report import plain

DOCS = Path(__file__).parents[3] / "docs"
(PAGE,) = DOCS.rglob("avp.json")
ROWS = json.loads(PAGE.read_text())["rows"]
TABLE1 = Table1(3, 0.1, 0.9, 0.99, 0.9, 10.0, 1.0)
NAMED = Named(Interval(0.5, 0.4, 0.6), 1, 2)
TABLE2 = Table2(NAMED, NAMED, NAMED, NAMED, 20, 5)
STOLEN = Stolen(0.1, 0.1, 0.0, np.zeros((1, 4, 4, 3), np.uint8))


def shape(value: Any) -> Any:
    """The keys, as they stand."""
    return {key: shape(one) for key, one in value.items()} if isinstance(value, dict) else None


def test_quality_rows_are_those_that_were_published() -> None:
    for name, row in ROWS.items():
        if not name.startswith("quality "):
            continue
        for way in ("sealed", "learned", "bare"):
            published = row[way]
            others = {other: SeenByOther(0.1, 0.0, 0.0, 0.5) for other in published["others"]}
            survival = {how: Kept(0.9, 1.0) for how in published["survival"]}
            table2 = TABLE2 if "all" in published else None
            made = plain(Quality(TABLE1, table2, others, survival))
            assert shape(made) == shape(published) and list(made) == list(published), (name, way)


def test_the_other_rows_are_too() -> None:
    kept = {how: Kept(0.9, 1.0) for how in ROWS["robustness"]["as usual"]["survival"]}
    assert shape(plain(parts.Searched(TABLE1, kept))) == shape(ROWS["robustness"]["as usual"])
    made = {
        name: plain(OtherKey(0.9, TABLE1, NAMED if "one" in row else None))
        for name, row in ROWS["other_key"].items()
        if isinstance(row, dict)
    }
    assert shape(made) == shape({name: ROWS["other_key"][name] for name in made})
    pairs = ROWS["paired"]["sealed"]
    assert shape(plain(parts.KnownPairs(0.9, 0.9, dict.fromkeys(pairs["known"], STOLEN)))) == shape(pairs)
    matrix = ROWS["wrong_keys"]
    key = parts.KeyMatrix([[1.0]], 0.9, 0.1, 0.1, 0.0, 0.0)
    made = plain(parts.WrongKeys(3, 2, 0.1, {"bare": key, "learned": key}, parts.Refused(3, 3)))
    assert shape(made) == {name: one for name, one in shape(matrix).items() if name in made}
    assert set(matrix) - set(made) == {"size", "recognizers", "processor_seconds"}
    timing = parts.Templates(10, STOLEN, STOLEN)
    assert set(ROWS["template"]) - set(plain(timing)) == {"size", "recognizers", "processor_seconds"}

"""Rows are dataclasses, and one function makes JSON of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from photoguard.evaluate.common import metrics
from photoguard.evaluate.common.markdown import interval, number, percent, table
from photoguard.evaluate.common.recognition import Recognition
from photoguard.evaluate.common.report import INLINE, OPTIONAL, plain


@dataclass(frozen=True)
class Inner:
    value: float
    sample: np.ndarray


@dataclass(frozen=True)
class Row:
    inner: Inner = field(metadata=INLINE)
    missing: Inner | None = field(metadata=INLINE)
    by_name: dict[str, Inner] = field(metadata=INLINE)
    nothing: float | None
    optional: float | None = field(default=None, metadata=OPTIONAL)


def test_a_row_is_written_as_flat_as_its_fields_say_and_without_pictures() -> None:
    one = Inner(1 / 3, np.zeros(3))
    row = Row(one, None, {"a": one}, None)
    assert plain(row) == {"value": 0.333333, "a": {"value": 0.333333}, "nothing": None}
    assert plain(Row(one, one, {}, float("nan"), 2.0))["optional"] == 2
    assert list(plain(Row(one, None, {"a": one}, 1.0, 2.0))) == ["value", "a", "nothing", "optional"]


def test_what_follows_from_a_row_is_written_beside_it_wherever_it_stands() -> None:
    named = Recognition(metrics.proportion(3, 6), (0.5,), 4, 0.2)
    for found in (plain(named), plain({"row": named})["row"], plain([named])[0]):
        assert found["times_chance"] == 2 and found["above_chance"] is False


def test_figures_as_cells() -> None:
    assert table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | --: |\n| x | 1 |\n"
    assert (percent(0.125), percent(None)) == ("12.5 %", "")
    assert (number(0.1234, 3), number(None), number(None, 3, "-")) == ("0.123", "", "-")
    assert interval({"value": 0.5, "low": -0.1, "high": 1.2}) == "50.0 % (0.0-100.0)"

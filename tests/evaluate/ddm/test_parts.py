"""Rows as they are written now are rows as they were published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from photoguard.evaluate.common.metrics import Interval, Verification
from photoguard.evaluate.common.recognition import Recognition, RestoredFaces
from photoguard.evaluate.common.report import plain
from photoguard.evaluate.ddm.maps import Opened, ReadableMaps
from photoguard.evaluate.ddm.parts import CoverRow, NetworkSplit, P3Split, PerturbedRow, Sizes

(PAGE,) = (Path(__file__).parents[3] / "docs").rglob("ddm.json")
RESULTS = json.loads(PAGE.read_text())
HALF = Interval(0.5, 0.4, 0.6)
NAMED = Recognition(HALF, (0.5,), 4, 0.2)
VERIFIED = Verification(HALF, (0.5,), 0.1, 0.5, 100)
BOOK = {"weights", "seconds"}  # what the book of an evaluation adds to each row


def shape(value: Any) -> Any:
    """The keys, but for those of the book."""
    if not isinstance(value, dict):
        return None
    return {key: shape(one) for key, one in value.items() if key not in BOOK}


def test_rows_are_those_that_were_published() -> None:
    names = RESULTS["heading"]["recognizers"]
    restored = RestoredFaces(14.0, 0.2, None, 0.1, 0.1, np.zeros((1, 4, 4, 3), np.uint8))
    named = dict.fromkeys(names, NAMED)
    cover = CoverRow(
        8.0, 0.1, 0.5, 1.0, NAMED, NAMED, VERIFIED, dict.fromkeys(names, VERIFIED), named, restored
    )
    for name, row in RESULTS["rows"].items():
        assert shape(plain(cover)) == shape(row), name
    assert shape(plain(PerturbedRow(30.0, named))) == shape(RESULTS["perturbed"]["UAP"])
    assert shape(plain(P3Split(0.1, 10.0, 10.0, 30.0, 12.0))) == shape(RESULTS["splits"]["P3(10)"])
    assert shape(plain(NetworkSplit(0.1, 30.0, 0.9, 0.9, 8.0))) == shape(RESULTS["splits"]["DDM"])
    assert shape(plain(Sizes(128.0, 400, 5000.0))) == shape(RESULTS["sizes"]["ddm"])
    opened = Opened(20.0, 0.5, 0.3)
    maps = ReadableMaps(opened, opened, opened, opened, 0.9, opened, 1.0)
    assert shape(plain(maps)) == shape(RESULTS["maps"]["DDM"])

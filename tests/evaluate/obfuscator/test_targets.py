"""Targets of the obfuscator are judged by the worst attacker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from photoguard.evaluate.obfuscator.targets import targets

(PAGE,) = (Path(__file__).parents[3] / "docs").rglob("obfuscator.json")


def published() -> Any:
    return json.loads(PAGE.read_text())


def met(results: Any) -> dict[str, bool]:
    return {one.what: one.met for one in targets(results)}


def test_one_attacker_who_restores_too_much_misses_the_target() -> None:
    results = published()
    ours = results["rows"]["photoguard"]
    for one in ours["restored"].values():
        one["ms_ssim"]["value"] = 0.2
    what = "MS-SSIM of the restored face, best of the paper's attackers"
    assert met(results)[what]
    ours["restored"]["ResRec"]["ms_ssim"]["value"] = 0.31
    assert not met(results)[what]


def test_one_attacker_who_guesses_too_well_misses_the_target() -> None:
    results = published()
    ours = results["rows"]["photoguard"]
    (name, one), *_ = ours["fresh"].items()
    for kind in ("along", "fresh", "strong"):
        ours[kind][name]["balanced"]["value"] = 1 / one["classes"] + 0.059
    what = f"{name}, best attacker, points above chance"
    assert met(results)[what]
    ours["strong"][name]["balanced"]["value"] += 0.002
    assert not met(results)[what]


def test_an_identity_is_safe_where_every_interval_reaches_zero() -> None:
    results = published()
    seen = [one["identity"] for one in results["rows"]["photoguard"]["restored"].values()]
    judge = next(iter(seen[0]))
    for one in seen:
        one[judge]["beyond"]["low"] = -0.001
    what = f"identity cosine, own face less somebody else's, {judge}"
    assert met(results)[what]
    seen[-1][judge]["beyond"]["low"] = 0.001
    assert not met(results)[what]

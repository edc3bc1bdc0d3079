"""What AVP was built to reach, and whether the figures say that it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Rows = dict[str, Any]
TOLD = {"learned": "learned, with transform", "sealed": "sealed"}


@dataclass(frozen=True)
class Target:
    """One cell of the table of targets."""

    what: str
    wanted: str
    found: str
    met: bool | None
    """None where it was not measured"""


# way -> the bound on SSIM_e, SSIM_d, mean and worst cosine
QUALITY = {"learned": (0.02, 0.92, 0.995, 0.98), "sealed": (0.01, 0.975, 0.997, 0.99)}
LOST = 0.3  # points of accuracy
TIMES = {"learned": 5, "sealed": 20}
KEYGEN = {"learned": 300.0, "sealed": 1.0}  # seconds
EACH = {"learned": 15.0, "sealed": 4.0}  # seconds a face
SHIPPED = "photoguard-small"  # the recognizer that the latter is for
PAIRED, WRONG = 0.10, 0.05


def targets(rows: Rows) -> list[Target]:
    """All targets, in the order of the ways."""
    found = []
    for way in ("learned", "sealed"):
        found += [*_quality(rows, way), _lost(rows, way), _wrong(rows, way), _paired(rows, way)]
        found += [_keygen(rows, way), _each(rows, way), _times(rows, way)]
    return found


def _quality(rows: Rows, way: str) -> list[Target]:
    e, d, mean, worst = QUALITY[way]
    ways = [(name, one[way]) for name, one in rows.get("quality", {}).items()]
    return [
        _all(ways, way, "SSIM_e", "ssim_e", e, False),
        _all(ways, way, "SSIM_d", "ssim_d", d, True),
        _all(ways, way, "mean cosine", "cosine", mean, True),
        _all(ways, way, "worst cosine", "worst", worst, True),
    ]


def _all(ways: list[tuple[str, Rows]], way: str, what: str, key: str, bound: float, least: bool) -> Target:
    """A bound that holds for the recognizer that is worst off."""
    wanted = f"{'>=' if least else '<='} {bound:g}"
    if not ways:
        return Target(f"{TOLD[way]}: {what}", wanted, "", None)
    name, worst = (min if least else max)(((n, one[key]) for n, one in ways), key=lambda pair: pair[1])
    met = worst >= bound if least else worst <= bound
    return Target(f"{TOLD[way]}: {what}", wanted, f"{worst:.4g} ({name})", met)


def _lost(rows: Rows, way: str) -> Target:
    what, wanted = f"{TOLD[way]}: accuracy lost, AVP-ALL against Original", f"<= {LOST} points"
    lost = {
        name: 100 * (one[way]["original_small"]["accuracy"]["value"] - one[way]["all"]["accuracy"]["value"])
        for name, one in rows.get("quality", {}).items()
        if "all" in one[way]
    }
    if not lost:
        return Target(what, wanted, "", None)
    name = max(lost, key=lambda name: lost[name])
    return Target(what, wanted, f"{lost[name]:.1f} points ({name})", lost[name] <= LOST)


def _wrong(rows: Rows, way: str) -> Target:
    what = f"{TOLD[way]}: SSIM with a wrong key"
    row = rows.get("wrong_keys")
    if way == "sealed":
        if row is None:
            return Target(what, "error, exit 5", "", None)
        errors, tried = row["sealed"]["errors"], row["sealed"]["tried"]
        return Target(what, "error, exit 5", f"{errors} errors in {tried}", errors == tried)
    if row is None:
        return Target(what, f"<= {WRONG}", "", None)
    worst = row["learned"]["wrong_worst"]
    found = f"{worst:.3f} (worst pair of keys), a plain gray picture {row['gray']:.3f}"
    return Target(what, f"<= {WRONG}", found, worst <= WRONG)


def _paired(rows: Rows, way: str) -> Target:
    what = f"{TOLD[way]}: paired-data attack, 1000 pairs, same key"
    name = {"learned": "learned, key reused", "sealed": "sealed"}[way]
    known = rows.get("paired", {}).get(name, {}).get("known", {})
    wanted = f"SSIM <= {PAIRED}" if way == "learned" else "nothing to learn from"
    if not known:
        return Target(what, wanted, "", None)
    count = max(known, key=int)
    stolen = known[count]
    gain = stolen["ssim"] - stolen["blind"]
    found = f"SSIM {stolen['ssim']:.3f}, the mean face alone {stolen['blind']:.3f}, with {count} pairs"
    met: bool | None = stolen["ssim"] <= PAIRED if way == "learned" else gain <= 0.01
    return Target(what, wanted, found, met)


def _keygen(rows: Rows, way: str) -> Target:
    what, wanted = f"{TOLD[way]}: keygen, two cores", f"<= {KEYGEN[way]:.0f} s"
    spent = rows.get("speed", {}).get("keygen", {}).get(way)
    if spent is None:
        return Target(what, wanted, "", None)
    return Target(what, wanted, f"{spent:.3g} s on one core", spent <= KEYGEN[way])


def _each(rows: Rows, way: str) -> Target:
    what, wanted = f"{TOLD[way]}: one face for {SHIPPED}, two cores", f"<= {EACH[way]:.0f} s"
    ways = rows.get("quality", {}).get(SHIPPED)
    if ways is None:
        return Target(what, wanted, "", None)
    spent = ways[way]["seconds"]
    return Target(what, wanted, f"{spent:.1f} s on one core", spent <= EACH[way])


def _times(rows: Rows, way: str) -> Target:
    what, wanted = f"{TOLD[way]}: speed-up over Algorithm 1, to cosine 0.99", f">= {TIMES[way]}x"
    speed = rows.get("speed", {})
    times = speed.get(way, {}).get("times")
    if times is None:
        return Target(what, wanted, "", None)
    least = "more than " if speed["at_least"] else ""
    return Target(what, wanted, f"{least}{times:.1f}x", times >= TIMES[way])

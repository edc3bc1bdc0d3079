"""What the obfuscator was built to reach, and whether the figures say that it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Rows = dict[str, Any]

# Table 3: MS-SSIM by each attacker.
PAPER_ATTACKERS = {"AR": 0.3175, "URec#1": 0.3123, "URec#2": 0.3095, "ResRec": 0.3169}
OURS, OPEN = "photoguard", "undefended"
MS_SSIM, OPEN_MS_SSIM, POINTS, LOSS = 0.30, 0.85, 6.0, 2.0


@dataclass(frozen=True)
class ObfuscatorTarget:
    """One line of the table of targets."""

    what: str
    paper: str
    wanted: str
    found: str
    met: bool


def targets(results: dict[str, Any]) -> list[ObfuscatorTarget]:
    """All targets that these results can judge."""
    rows, blind = results["rows"], results["blind"]
    return [*_restored(rows, blind), *_private(rows), *_task(rows), *_identity(rows)]


def best(row: Rows, attribute: str) -> dict[str, Any]:
    """An attribute's figures: the service's for a task, the best attacker's for a private one."""
    if attribute in row["task"]:
        return dict(row["task"][attribute])
    found = [row[kind][attribute] for kind in ("along", "fresh", "strong") if row[kind]]
    return dict(max(found, key=lambda one: one["balanced"]["value"]))


def judges(row: Rows) -> list[str]:
    """The recognizers that looked at restored faces."""
    return list(next(iter(row["restored"].values()))["identity"])


def signed(one: dict[str, float]) -> str:
    """A difference with its interval."""
    return f"{one['value']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})"


def _restored(rows: Rows, blind: Rows) -> Iterator[ObfuscatorTarget]:
    ours = rows[OURS]
    for who, attackers in (("the paper's attackers", list(PAPER_ATTACKERS)), ("all", list(ours["restored"]))):
        top = _top(ours, attackers)
        nothing = f"; without a look at the features {blind['ms_ssim']['value']:.3f}"
        what = f"MS-SSIM of the restored face, best of {who}"
        found = f"{top:.3f}{nothing if top > MS_SSIM else ''}"
        yield ObfuscatorTarget(what, "0.3175", f"<= {MS_SSIM:.2f}", found, top <= MS_SSIM)
    if OPEN in rows:
        seen, what = _top(rows[OPEN], list(PAPER_ATTACKERS)), "the same of the paper's, undefended"
        yield ObfuscatorTarget(what, "0.9458", f">= {OPEN_MS_SSIM:.2f}", f"{seen:.3f}", seen >= OPEN_MS_SSIM)


def _private(rows: Rows) -> Iterator[ObfuscatorTarget]:
    for name in rows[OURS]["fresh"]:
        found = best(rows[OURS], name)
        points, what = 100 * (found["balanced"]["value"] - 1 / found["classes"]), f"{name}, best attacker"
        yield ObfuscatorTarget(
            f"{what}, points above chance", "8.85 (gender)", f"<= {POINTS:.0f}", f"{points:.1f}",
            points <= POINTS,
        )  # fmt: skip


def _task(rows: Rows) -> Iterator[ObfuscatorTarget]:
    ours = rows[OURS]["task"]
    for name in ours if OPEN in rows else []:
        lost = 100 * (rows[OPEN]["task"][name]["accuracy"] - ours[name]["accuracy"])
        what = f"{name}, accuracy lost, points"
        yield ObfuscatorTarget(what, "1.15 to 2", f"<= {LOSS:.0f}", f"{lost:.1f}", lost <= LOSS)


def _identity(rows: Rows) -> Iterator[ObfuscatorTarget]:
    for name in judges(rows[OURS]):
        seen = [one["identity"][name] for one in rows[OURS]["restored"].values()]
        for key, what in (
            ("beyond", f"identity cosine, own face less somebody else's, {name}"),
            ("alike", f"the same, others of the same answer, {name}"),
        ):
            worst = max((one[key] for one in seen), key=lambda interval: interval["low"])
            yield ObfuscatorTarget(what, "-", "interval reaches 0", signed(worst), worst["low"] <= 0)


def _top(row: Rows, attackers: list[str]) -> float:
    return float(max(one["ms_ssim"]["value"] for name, one in row["restored"].items() if name in attackers))

"""Figures as cells of Markdown tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column to the left."""
    rule = ["---", *["--:" for _ in head[1:]]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)) + "\n"


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return "" if value is None else f"{100 * value:.1f} %"


def interval(value: dict[str, float]) -> str:
    """An accuracy with the ends of its confidence interval."""
    low, high = max(value["low"], 0.0), min(value["high"], 1.0)  # Student's interval knows no bounds
    return f"{percent(value['value'])} ({100 * low:.1f}-{100 * high:.1f})"


def number(value: float | None, digits: int = 2, missing: str = "") -> str:
    """A figure, or what stands for one that is missing."""
    return missing if value is None else f"{value:.{digits}f}"

"""Fig. 6 and 7 of the DeepObfuscator paper, from our figures; nothing without matplotlib."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from photoguard.evaluate.obfuscator.targets import best

if TYPE_CHECKING:
    from pathlib import Path

LOSSES = {"classifier": "L(C)", "adversary": "L(AC)", "reconstructor": "L(AR)"}


def losses(path: Path, run: Path) -> None:
    """Fig. 6: the losses of a training, from its log."""
    figure = _figure(7, 2.6)
    log = run / "log.jsonl"
    if figure is None or not log.is_file():
        return
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for axis, (key, label) in zip(figure.subplots(1, 3), LOSSES.items(), strict=True):
        points = [(line["step"], line[key]) for line in lines if key in line]
        axis.plot([x for x, _ in points], [y for _, y in points], linewidth=0.8)
        axis.set(xlabel="step", title=label)
    figure.savefig(path, dpi=110)


def accuracies(path: Path, results: dict[str, Any]) -> None:
    """Fig. 7: balanced accuracy of every attribute in every row; of private ones, the best attacker's."""
    figure = _figure(7.5, 3.4)
    if figure is None:
        return
    axis, rows = figure.subplots(), results["rows"]
    attributes = [*next(iter(rows.values()))["task"], *next(iter(rows.values()))["fresh"]]
    width = 0.8 / len(rows)
    for number, (name, row) in enumerate(rows.items()):
        heights = [100 * best(row, attribute)["balanced"]["value"] for attribute in attributes]
        axis.bar(np.arange(len(attributes)) + number * width, heights, width * 0.9, label=name)
    for at, attribute in enumerate(attributes):
        chance = 100 / best(next(iter(rows.values())), attribute)["classes"]
        axis.hlines(chance, at - 0.1, at + 0.8, colors="black", linestyles="dotted")
    axis.set_xticks(np.arange(len(attributes)) + 0.4 - width / 2, attributes)
    axis.set(ylabel="balanced accuracy, %", ylim=(0, 100))
    axis.legend(fontsize=7, ncols=2)
    figure.savefig(path, dpi=110)


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    return Figure(figsize=(width, height), layout="constrained")

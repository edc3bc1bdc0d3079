"""`photoguard evaluate obfuscator`: feature files under attack, on people nobody trained on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from photoguard import weights
from photoguard.errors import UsageError
from photoguard.evaluate.common import report
from photoguard.evaluate.obfuscator import parts, plots, tables
from photoguard.evaluate.obfuscator.parts import NOISE, SHIPPED
from photoguard.evaluate.obfuscator.setting import ObfuscatorOptions, ObfuscatorSetting, prepare

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from photoguard.evaluate.obfuscator.attacks import Victim

    Say = Callable[[str], None]

NAME = "obfuscator"


def evaluate_obfuscator(asked: ObfuscatorOptions, say: Say = lambda _: None) -> dict[str, Any]:
    """Attack the shipped model and `models`."""
    out = asked.out
    out.mkdir(parents=True, exist_ok=True)
    networks = {SHIPPED: weights.obfuscator_networks(*weights.shipped(NAME), NAME)}
    networks |= {name: weights.load_trained_obfuscator(path)[0] for name, path in asked.models.items()}
    config = networks[SHIPPED].config
    for name, network in networks.items():
        if (network.config.tasks, network.config.private) != (config.tasks, config.private):
            raise UsageError(f"{name} has other tasks or private attributes than the shipped model")
    setting, heading = prepare(asked, config, say)
    results = report.resumed(out, heading, NAME)
    if "blind" not in results:
        results["blind"] = report.plain(parts.blind(setting))
    for name, network in networks.items():
        if name not in results["rows"]:
            add_row(setting, results, out, parts.victim(setting, name, network), say)
    if NOISE not in results["rows"]:
        best = max(one["ms_ssim"]["value"] for one in results["rows"][SHIPPED]["restored"].values())
        results["sigma"] = parts.visibility(setting, best)
        add_row(setting, results, out, parts.noisy(setting, results["sigma"]), say)
    report.write(out, results, NAME, tables.page)
    draw(out, out, results, asked.log)
    if asked.page:
        asked.page.parent.mkdir(parents=True, exist_ok=True)
        asked.page.write_text(tables.page(results))
        draw(asked.page.parent / "images", out, results, asked.log)
    return results


def add_row(setting: ObfuscatorSetting, results: dict[str, Any], out: Path, victim: Victim, say: Say) -> None:
    """Attack one victim and keep what was found."""
    began = time.monotonic()
    found = parts.victim_row(setting, victim)
    results["rows"][victim.name] = report.plain(found) | {"seconds": round(time.monotonic() - began)}
    report.write(out, results, NAME, tables.page)
    truth = setting.faces[setting.halves[1][:12]]
    name = report.file_name(victim.name)
    report.sheet(out / f"restored-{name}.png", [truth, *(one.faces for one in found.restored.values())])
    shown = [one.extra for one in found.restored.values() if one.extra is not None]
    np.savez_compressed(out / f"portrait-{name}.npz", shown=np.concatenate(shown), names=list(found.restored))
    say(f"{victim.name}: {results['rows'][victim.name]['seconds']} s")


def draw(folder: Path, out: Path, results: dict[str, Any], log: Path | None) -> None:
    """The plots, and the sheet of the portrait as each attacker restored it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in results["rows"]:
        path = out / f"portrait-{report.file_name(name)}.npz"
        with np.load(path, allow_pickle=False) as found:
            rows.append(found["shown"])
    report.sheet(folder / f"{NAME}-portrait.png", rows)
    plots.accuracies(folder / f"{NAME}-accuracy.png", results)
    if log is not None:
        plots.losses(folder / f"{NAME}-losses.png", log)

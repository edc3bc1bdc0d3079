"""What a run leaves in its folder: checkpoint, log, sample sheets, plot, and the weights' sha256."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from photoguard.errors import UnreadableError, UsageError
from photoguard.files import write_whole

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> Path:
    """Write the checkpoint whole or not at all: when the disk is full the previous one stays."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(folder / CHECKPOINT, buffer.getvalue())
    return folder / CHECKPOINT


def load_checkpoint(folder: Path, config: dict[str, Any], device: torch.device) -> dict[str, Any] | None:
    """The checkpoint of this folder, or None for a fresh run; one of another configuration is refused."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise UnreadableError(
            f"{path} is not a checkpoint: {error}", "remove it to start afresh, or choose another --out"
        ) from None
    changed = sorted(key for key in config if state["config"].get(key) != config[key])
    if changed:
        raise UsageError(
            f"{path} belongs to a run with other settings of {', '.join(changed)}",
            "repeat that run's settings, or choose another --out",
        )
    return state


class Log:
    """One JSON object a line, each with its step; a resumed run drops the lines it is about to repeat."""

    def __init__(self, folder: Path, from_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.path = folder, folder / LOG
        kept = [line for line in read_log(folder) if line["step"] <= from_step] if from_step else []
        self.path.write_text("".join(json.dumps(line) + "\n" for line in kept))

    def write(self, step: int, **values: float | str | list[str]) -> None:
        """Add a line."""
        rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **rounded}) + "\n")


def read_log(folder: Path) -> list[dict[str, Any]]:
    """All lines of a run's log."""
    path = folder / LOG
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def save_sheet(path: Path, rows: list[Tensor]) -> None:
    """A PNG with one row for each batch of images, to look at with one's own eyes."""
    lines = [torch.cat(list(row.detach().float().cpu().clamp(0, 1)), 2) for row in rows]
    pixels = (torch.cat(lines, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    Image.fromarray(pixels).save(part, "PNG")
    part.replace(path)


def save_plot(folder: Path, series: dict[str, str]) -> Path | None:
    """Draw the named columns of the log into plot.png; None without matplotlib, when the log must do."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    lines = read_log(folder)
    figure = Figure(figsize=(7, 2.2 * len(series)), layout="constrained")
    for axis, (key, label) in zip(
        figure.subplots(len(series), squeeze=False)[:, 0], series.items(), strict=True
    ):
        points = [(line["step"], line[key]) for line in lines if key in line]
        axis.plot([x for x, _ in points], [y for _, y in points])
        axis.set(xlabel="step", ylabel=label)
    figure.savefig(folder / "plot.png", dpi=120)
    return folder / "plot.png"


def publish(weights: Path, sha256: str, curves: dict[str, str]) -> Path:
    """Note beside new weights the sha256 to load them with, and draw the log; returns the weights' path."""
    note = {"file": weights.name, "sha256": sha256}
    weights.with_name("weights.json").write_text(json.dumps(note) + "\n")
    save_plot(weights.parent, curves)
    return weights

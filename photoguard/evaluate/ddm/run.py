"""`photoguard evaluate ddm`: every cover under every attack, on LFW, as JSON, Markdown and pictures."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from photoguard import weights
from photoguard.errors import UnreadableError, UsageError
from photoguard.evaluate.common import report
from photoguard.evaluate.ddm import adversarial, covers, parts, tables
from photoguard.evaluate.ddm.setting import FULL, QUICK, DdmSetting, heading, prepare
from photoguard.files import read_file
from photoguard.methods import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from photoguard.evaluate.ddm.covers import Cover
    from photoguard.nets.ddm import DDM
    from photoguard.nets.planes import Pixels

    Say = Callable[[str], None]


@dataclass(frozen=True)
class DdmOptions:
    """What to measure, on what, and where it goes."""

    out: Path
    """Gets `ddm.json`, `ddm.md` and the sheets; rows of the same size and weights in it are kept"""
    data: Path
    """LFW's folder or zip, or a folder that holds `lfw.zip` and perhaps `recognizers/`, `perceptual/` and
    `wild.zip`"""
    quick: bool = False
    seeds: int = 3
    networks: Mapping[str, Path] = field(default_factory=dict)
    """Further DDM weights by the name of their row, such as MSEDNet"""
    only: Sequence[str] = ()
    """Covers to measure; default: all"""
    strong: str = "mobilefacenet-casia"
    page: Path | None = None
    """A second place for the tables and the sheet of covers, which show no face but NASA's portrait"""
    toy: Path | None = None
    """Folder of a run of the toy experiment, to be shown on the page"""


def evaluate_ddm(asked: DdmOptions, say: Say = lambda _: None) -> dict[str, Any]:
    """Measure covers and everything else on the page."""
    asked.out.mkdir(parents=True, exist_ok=True)
    size = QUICK if asked.quick else FULL
    setting = prepare(asked.out, asked.data, size, asked.seeds, asked.strong, say)
    trained = {name: network(path, setting.device) for name, path in asked.networks.items()}
    trained = {"DDM": weights.load_ddm().to(setting.device)} | trained
    chosen = covers.baselines() | {name: covers.network(net) for name, net in trained.items()}
    if unknown := set(asked.only) - chosen.keys():
        raise UsageError(f"there is no cover {sorted(unknown)[0]!r}", f"the covers are {', '.join(chosen)}")
    known = {name: hashlib.sha256(read_file(path)).hexdigest()[:16] for name, path in asked.networks.items()}
    known["DDM"] = weights.SHIPPED["ddm"].sha256[:16]
    results = report.resumed(asked.out, heading(setting, asked.quick), adversarial.NAME)
    book = report.Book(asked.out, adversarial.NAME, tables.page, results, known, say)
    for name in asked.only or chosen:
        sheet = asked.out / f"restored-{report.file_name(name)}.png"
        book.add("rows", name, partial(parts.cover_row, setting, chosen[name], sheet))
    if not asked.only:
        other_parts(book, setting, trained)
    book.sort(("rows", "splits", "maps"), [*chosen])
    book.results |= {"sheet": [*chosen], "networks": [*asked.networks]} | (
        {"toy": toy_log(asked.toy)} if asked.toy else {}
    )
    book.write()
    publish(asked, book.results, chosen)
    return book.results


def other_parts(book: report.Book, setting: DdmSetting, nets: Mapping[str, DDM]) -> None:
    """Everything that is not a cover under all attacks."""
    for name in parts.PERTURBED:
        book.add("perturbed", name, partial(parts.perturbed, setting, name))
    for threshold in (20, 10, 1):
        book.add("splits", f"P3({threshold})", partial(parts.p3_split, setting, threshold))
    for name, net in nets.items():
        book.add("splits", name, partial(parts.network_split, setting, net))
        book.add("maps", name, partial(parts.readable, setting, net))
    for name in (name for name in METHODS if name != "avp"):  # whose bytes are those of `solid`
        book.add("sizes", name, partial(parts.sizes, setting, name))
    book.add("returned", "DDM", partial(parts.returned, setting))
    adversarial.add_rows(book, adversarial.faces_of(setting.lfw))


def publish(asked: DdmOptions, results: dict[str, Any], chosen: Mapping[str, Cover]) -> None:
    """The tables with their pictures, in `out` and at the second place."""
    shown = np.concatenate([cover(portrait()) for cover in chosen.values()])
    half = -(-len(shown) // 2)
    for place in [asked.out / "ddm.md", *([asked.page] if asked.page else [])]:
        place.write_text(tables.page(results))
        report.sheet(place.parent / "images" / "covers.png", [shown[:half], shown[half:]])
        if asked.toy:
            report.small_figure(asked.toy / "toy.png", place.parent / "images" / "ddm-toy.png")


def network(path: Path, device: str) -> DDM:
    """A DDM or MSEDNet that the user trained."""
    tensors, config = weights.parsed(read_file(path), path.name)
    return weights.ddm_network(tensors, config, path.name).to(device)


def toy_log(folder: Path) -> list[dict[str, float]]:
    """What a run of the toy experiment wrote down."""
    try:
        log: list[dict[str, float]] = json.loads(read_file(folder / "toy.json"))
    except ValueError as error:
        raise UnreadableError(f"{folder} holds no toy experiment: {error}") from None
    return log


def portrait() -> Pixels:
    """The one face that may be shown in docs: NASA's portrait, (1, 128, 128, 3)."""
    from photoguard.recognizers.sample import sample_picture

    return sample_picture(128)[None]

"""`photoguard evaluate obfuscator`: feature files under attack, on people nobody trained on."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from photoguard import weights
from photoguard.datasets.labels import Labeled, labeled, parted, told_by
from photoguard.datasets.pictures import Reader, Source, listed
from photoguard.errors import UsageError
from photoguard.evaluate.common import report
from photoguard.evaluate.common.metrics import ms_ssims
from photoguard.evaluate.common.networks import Training, train
from photoguard.evaluate.ddm.run import available
from photoguard.evaluate.obfuscator import attacks, plots, tables
from photoguard.nets import obfuscator as nets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from photoguard.recognizers import Recognizer

    Pixels = NDArray[np.uint8]
    Say = Callable[[str], None]

NAME = "obfuscator"
SHIPPED, NOISE, OPEN = "photoguard", "noise on the picture", "undefended"
SMALLEST_HALF = 8  # faces
EYE = "mobilefacenet-casia"  # whom people are told apart by; another recognizer where it is missing
SAME_PERSON = 0.75  # cosine from which a held-out face is taken for somebody in the training set; of two
# faces drawn by lot, one pair in 10,000 has more than 0.73 (mobilefacenet-casia)


@dataclass(frozen=True)
class Setting:
    """Everything that the attacks on one model share."""

    faces: Pixels
    """(N, H, W, 3): held-out faces at the network's size"""
    labels: NDArray[np.int64]
    """(N, attributes): tasks first"""
    config: nets.ObfuscatorConfig
    halves: tuple[NDArray[np.int64], NDArray[np.int64]]
    trained_on: Labeled
    portrait: Pixels
    """(1, H, W, 3): the one face that docs may show"""
    judges: dict[str, attacks.Judge]
    effort: attacks.Effort
    device: str

    @property
    def tasks(self) -> NDArray[np.int64]:
        """The labels of the tasks."""
        return self.labels[:, : len(self.config.tasks)]

    @property
    def private(self) -> NDArray[np.int64]:
        """The labels of the private attributes."""
        return self.labels[:, len(self.config.tasks) :]


def evaluate_obfuscator(
    out: Path,
    data: Path,
    labels: str = "utkface",
    hold_out: int = 2000,
    quick: bool = False,
    models: Mapping[str, Path] | None = None,
    skip: bool = False,
    log: Path | None = None,
    say: Say = lambda _: None,
    page: Path | None = None,
) -> dict[str, Any]:
    """Attack the shipped model and `models`; write `obfuscator.json`, `obfuscator.md` and pictures to `out`.

    `data` is a folder or zip of faces, or a folder with utkface.zip (and perhaps `recognizers/`). The model
    named "undefended" is what the others' task accuracy is compared with. `log` is a training's folder, whose
    losses are drawn. `page` is a second place for the tables and the pictures, which show NASA's portrait.
    Rows that an earlier run of the same size left in `out` are kept.
    """
    out.mkdir(parents=True, exist_ok=True)
    networks = {SHIPPED: weights.obfuscator_networks(*weights.shipped(NAME), NAME)}
    networks |= {name: weights.load_trained_obfuscator(path)[0] for name, path in (models or {}).items()}
    config = networks[SHIPPED].config
    for name, network in networks.items():
        if (network.config.tasks, network.config.private) != (config.tasks, config.private):
            raise UsageError(f"{name} has other tasks or private attributes than the shipped model")
    setting, heading = prepare(out, data, labels, hold_out, quick, config, skip, say)
    results = report.resumed(out, heading, NAME)
    if "blind" not in results:
        results["blind"] = report.plain(blind(setting))
    for name, network in networks.items():
        if name not in results["rows"]:
            add_row(setting, results, out, victim(setting, name, network), say)
    if NOISE not in results["rows"]:
        best = max(one["ms_ssim"]["value"] for one in results["rows"][SHIPPED]["restored"].values())
        results["sigma"] = visibility(setting, best)
        add_row(setting, results, out, noisy(setting, results["sigma"]), say)
    report.write(out, results, NAME, tables.page)
    draw(out, out, results, log)
    if page:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(tables.page(results))
        draw(page.parent / "images", out, results, log)
    return results


def prepare(
    out: Path,
    data: Path,
    labels: str,
    hold_out: int,
    quick: bool,
    config: nets.ObfuscatorConfig,
    skip: bool,
    say: Say,
) -> tuple[Setting, dict[str, Any]]:
    """Read the faces, leave out whoever looks like somebody in the training set, and look for recognizers."""
    torch.set_flush_denormal(True)
    effort = attacks.QUICK if quick else attacks.FULL
    folder = data if (data / "utkface.zip").is_file() else data.parent
    source = folder / "utkface.zip" if folder == data else data
    names = [one.name for one in (*config.tasks, *config.private)]
    training, held = parted(labeled(listed(Source(source)), labels, names, skip), hold_out)
    if held.attributes != (*config.tasks, *config.private):
        raise UsageError("the labels have other classes than the model", "use the labels it was trained with")
    recognizers = {name: reader() for name, reader in available(folder, out / "cache").items()}
    known, pixels = 0, read(held, config)
    if recognizers:
        say("looking for held-out people who are in the training set")
        stranger = remembered(
            out / "cache" / "strangers.json",
            [picture.name for picture in held.pictures],
            lambda: strangers(pixels, read(training, config), eye(recognizers), config),
        )
        known = int((~stranger).sum())
        held, pixels = held.at(np.flatnonzero(stranger)), pixels[stranger]
    if len(held) < 2 * SMALLEST_HALF:
        raise UsageError(
            f"only {len(held)} faces of people not trained on are left",
            "more pictures, or a larger --hold-out",
        )
    if effort.pictures is not None:
        held, pixels = held.at(np.arange(min(effort.pictures, len(held)))), pixels[: effort.pictures]
    order = np.random.default_rng(0).permutation(len(held))
    halves = (np.sort(order[::2]), np.sort(order[1::2]))
    truth = pixels[halves[1][: effort.judged]]
    setting = Setting(
        faces=pixels,
        labels=held.labels,
        config=config,
        halves=halves,
        trained_on=training if effort.pictures is None else training.at(np.arange(min(800, len(training)))),
        portrait=portrait(config),
        judges={name: attacks.judge(one, truth, config) for name, one in recognizers.items()},
        effort=effort,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )
    return setting, heading(setting, quick, known)


def read(data: Labeled, config: nets.ObfuscatorConfig) -> Pixels:
    """All pictures at the network's size, (N, H, W, 3)."""
    reader, size = Reader(data.pictures), (config.width, config.height)
    faces = [
        Image.fromarray(reader.read(number)).resize(size, Image.Resampling.BILINEAR)
        for number in range(len(data))
    ]
    return np.stack([np.asarray(face) for face in faces])


def eye(recognizers: dict[str, Recognizer]) -> Recognizer:
    """Whom people are told apart by."""
    return recognizers.get(EYE) or recognizers[max(recognizers)]


def remembered(path: Path, names: list[str], find: Callable[[], NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Which of `names` are strangers: what an earlier run wrote for the same names, or found now."""
    if path.is_file():
        known: dict[str, bool] = json.loads(path.read_text())
        if list(known) == names:
            return np.array(list(known.values()))
    found = find()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(zip(names, found.tolist(), strict=True))))
    return found


def strangers(
    held: Pixels, trained_on: Pixels, judge: Recognizer, config: nets.ObfuscatorConfig
) -> NDArray[np.bool_]:
    """Which held-out faces a recognizer takes for nobody in the training set."""
    known = judge.embed_pixels(attacks.chips(trained_on, judge, config))
    asked = judge.embed_pixels(attacks.chips(held, judge, config))
    return np.asarray((asked @ known.T).max(1) < SAME_PERSON)


def portrait(config: nets.ObfuscatorConfig) -> Pixels:
    """The one face that may be shown in docs: NASA's portrait, laid as the training pictures are."""
    from photoguard.methods.obfuscator import chip
    from photoguard.recognizers.sample import sample_landmarks, sample_picture

    return chip(config, sample_picture(), np.array(sample_landmarks()))[None]


def heading(setting: Setting, quick: bool, known: int) -> dict[str, Any]:
    """What a reader must know to judge the figures."""
    attributes = (*setting.config.tasks, *setting.config.private)
    count = len(setting.config.tasks)
    shares = {
        one.name: {
            name: float(np.mean(setting.labels[:, at] == number)) for number, name in enumerate(one.classes)
        }
        for at, one in enumerate(attributes)
    }
    return {
        "size": "quick" if quick else "full",
        "faces": len(setting.faces),
        "taken_for_known": known,
        "side": [setting.config.height, setting.config.width],
        "shares": shares,
        "told_by_answer": {
            one.name: told_by(_joined(setting.tasks), setting.private[:, at])
            for at, one in enumerate(attributes[count:])
        },
        "bits": setting.config.bits,
        "reach": setting.config.reach,
        "features": list(setting.config.features),
    }


def _joined(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """All columns as one class."""
    _, joined = np.unique(labels, axis=0, return_inverse=True)
    return np.asarray(joined.ravel(), np.int64)


def victim(setting: Setting, name: str, network: nets.Players) -> attacks.Victim:
    """A model's features of all held-out faces."""
    network.to(setting.device)
    return attacks.Victim(
        name=name,
        config=network.config,
        sent=features(network, setting.faces, setting.device),
        mirrored=features(network, setting.faces[:, :, ::-1], setting.device),
        spread=1.0 if network.config.reach else 0.0,
        networks=network,
        extra=features(network, setting.portrait, setting.device),
    )


@torch.no_grad()
def features(network: nets.Players, faces: Pixels, device: str) -> NDArray[np.float16]:
    """Features without noise, (N, C, h, w)."""
    parts = []
    for start in range(0, len(faces), 64):
        x = torch.from_numpy(np.ascontiguousarray(faces[start : start + 64])).to(device)
        parts.append(network.obfuscator(x.permute(0, 3, 1, 2).float() / 255).half().cpu().numpy())
    return np.concatenate(parts)


def noisy(setting: Setting, sigma: float) -> attacks.Victim:
    """The first baseline: the picture itself with Gaussian noise."""

    def sent(faces: Pixels) -> NDArray[np.float16]:
        return np.asarray(attacks.as_floats(faces) / np.float16(255), np.float16)

    return attacks.Victim(
        name=NOISE,
        config=setting.config,
        sent=sent(setting.faces),
        mirrored=sent(setting.faces[:, :, ::-1]),
        spread=sigma,
        raw=True,
        extra=sent(setting.portrait),
    )


def visibility(setting: Setting, wanted: float) -> float:
    """The noise under which pictures are as like the true ones as the best restored ones are."""
    some = setting.faces[:64].astype(np.float32) / 255
    noise = np.random.default_rng(0).standard_normal(some.shape).astype(np.float32)
    low, high = 0.0, 2.0
    for _ in range(12):
        sigma = (low + high) / 2
        shown = ((some + sigma * noise).clip(0, 1) * 255).round().astype(np.uint8)
        if ms_ssims(shown, setting.faces[:64]).mean() > wanted:
            low = sigma
        else:
            high = sigma
    return round((low + high) / 2, 4)


def add_row(setting: Setting, results: dict[str, Any], out: Path, one: attacks.Victim, say: Say) -> None:
    """Attack one victim and keep what was found."""
    began = time.monotonic()
    figures, restored = row(setting, one)
    results["rows"][one.name] = report.plain(figures) | {"seconds": round(time.monotonic() - began)}
    report.write(out, results, NAME, tables.page)
    truth = setting.faces[setting.halves[1][:12]]
    name = report.file_name(one.name)
    report.sheet(out / f"restored-{name}.png", [truth, *(found.faces for found in restored.values())])
    shown = [found.extra for found in restored.values() if found.extra is not None]
    np.savez_compressed(out / f"portrait-{name}.npz", shown=np.concatenate(shown), names=list(restored))
    say(f"{one.name}: {results['rows'][one.name]['seconds']} s")


def row(setting: Setting, one: attacks.Victim) -> tuple[dict[str, Any], dict[str, attacks.Restored]]:
    """One victim under all attacks."""
    config, effort, device = one.config, setting.effort, setting.device
    private = config.private
    if one.networks is None:
        service = trained_service(setting, one)
        along = None
    else:
        service = attacks.Received(one, one.networks.classifier).eval()
        along = attacks.Received(one, one.networks.adversaries[0]).eval()
    figures: dict[str, Any] = {
        "bits": config.bits if config.reach and not one.raw else None,
        "task": told(service, one, config.tasks, setting.tasks, setting),
        "along": along and told(along, one, private, setting.private, setting),
    }
    for name, make in (
        ("fresh", lambda: nets.Classifier(config, private)),
        ("strong", lambda: attacks.Sleuth(config, private)),
    ):
        figures[name] = attacks.guessed(one, make, private, setting.private, setting.halves, effort, device)
    kinds = attacks.reconstructors(config, effort)
    if one.name not in (SHIPPED, OPEN):  # the paper compares the others by the mirrored one alone
        kinds = {name: kinds[name] for name in ("AR", "ResRec")}
    restored = {
        name: attacks.restored(
            one,
            make,
            setting.faces,
            _joined(setting.tasks),
            setting.halves,
            effort,
            setting.judges,
            device,
        )
        for name, make in kinds.items()
    }
    figures["restored"] = {
        name: dataclasses.replace(found, faces=np.zeros(0, np.uint8), extra=None)
        for name, found in restored.items()
    }
    return figures, restored


def told(
    net: nn.Module,
    one: attacks.Victim,
    attributes: tuple[nets.Attribute, ...],
    labels: NDArray[np.int64],
    setting: Setting,
) -> dict[str, attacks.Guess]:
    """What a network that is there already says to each held-out face."""
    torch.manual_seed(0)
    sizes = [len(attribute.classes) for attribute in attributes]
    found = attacks.drawn(net.to(setting.device), one.sent, sizes, setting.effort.draws, setting.device)
    return {
        attribute.name: attacks.judged(labels[:, at], found[at], sizes[at])
        for at, attribute in enumerate(attributes)
    }


def trained_service(setting: Setting, one: attacks.Victim) -> nn.Module:
    """The service of the noise baseline: it learns its task on noisy pictures of the training set."""
    config = one.config
    faces = read(setting.trained_on, config)
    labels = setting.trained_on.of(config.tasks)
    torch.manual_seed(0)
    plain = dataclasses.replace(config, reach=0.0, context=0)
    net = attacks.Received(one, nets.Classifier(plain, config.tasks))
    inputs = np.asarray(attacks.as_floats(faces) / np.float16(255), np.float16)
    how = Training(max(setting.effort.guess.epochs // 2, 2), 1e-3, flip=True)
    sizes = [len(task.classes) for task in config.tasks]
    train(net, inputs, labels, attacks.balanced_loss(labels, sizes), how, 0, setting.device)
    return net


def blind(setting: Setting) -> attacks.Restored:
    """What restoring is worth without a look at the features."""
    nothing = np.zeros((len(setting.faces), 1, 4, 4), np.float16)
    one = attacks.Victim("blind", setting.config, nothing, nothing, 0.0, extra=nothing[:1])
    effort = dataclasses.replace(setting.effort, restore=Training(setting.effort.restore.epochs, 0.05, 16))
    found = attacks.restored(
        one,
        lambda: attacks.Blind(setting.config),
        setting.faces,
        _joined(setting.tasks),
        setting.halves,
        effort,
        setting.judges,
        setting.device,
    )
    return dataclasses.replace(found, faces=np.zeros(0, np.uint8), extra=None)


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

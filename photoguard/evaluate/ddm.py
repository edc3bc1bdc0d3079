"""`photoguard evaluate ddm`: every cover under every attack, on LFW, as JSON, Markdown and pictures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from photoguard import identities, jpeg, recognizers, weights
from photoguard.envelope import Grant, PrivateFile
from photoguard.errors import UsageError, WeightsError
from photoguard.evaluate import attacks, covers, maps, perturbations, report, tables
from photoguard.evaluate.faces import Faces, attackers_own, closed_set, named, tenth
from photoguard.evaluate.lfw import open_lfw
from photoguard.evaluate.metrics import cosines, mean_psnr, mean_ssim
from photoguard.evaluate.perceptual import distance
from photoguard.files import read_file
from photoguard.methods import METHODS, Settings, method, p3
from photoguard.recognizers import TABLE, Recognizer, load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from photoguard.evaluate.covers import Cover, Pixels
    from photoguard.evaluate.lfw import Lfw
    from photoguard.nets.ddm import DDM

    Say = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """How much of LFW takes part."""

    people: int | None
    per_person: int | None
    pairs: int
    effort: attacks.Effort
    maps: Any


FULL = Size(None, None, 3000, attacks.FULL, maps.FULL)
QUICK = Size(30, 18, 200, attacks.QUICK, maps.QUICK)


@dataclass(frozen=True)
class Setting:
    """Everything that the attacks on one cover share."""

    size: Size
    faces: Faces
    strangers: Faces
    pairs: tuple[tuple[int, int, bool], ...]
    read: dict[str, Recognizer]
    """The recognizers, as they are"""
    centers: dict[str, Any]
    """What each of them knows of the closed set's people: open photos of nine tenths"""
    strong: str
    fresh: Callable[[], Recognizer]
    """Another copy of the strong one, to train"""
    distance: attacks.Distance | None
    seeds: int
    device: str


def evaluate_ddm(
    out: Path,
    data: Path,
    quick: bool = False,
    seeds: int = 3,
    networks: Mapping[str, Path] | None = None,
    only: Sequence[str] = (),
    strong: str = "mobilefacenet-casia",
    say: Say = lambda _: None,
    page: Path | None = None,
) -> dict[str, Any]:
    """Measure all covers, or those in `only`, and write `ddm.json`, `ddm.md` and the sheets into `out`.

    `data` is LFW's folder or zip, or a folder that holds `lfw.zip` (and may hold `recognizers/` and
    `perceptual/`). `networks` are further DDM weights by the name of their row, such as MSEDNet. Rows that an
    earlier run of the same size left in `out` are kept. `page` is a second place for the tables and the sheet
    of covers, such as docs/evaluation.md: they show no face but NASA's portrait.
    """
    out.mkdir(parents=True, exist_ok=True)
    setting = prepare(out, data, quick, seeds, strong, say)
    trained = {name: network(path, setting.device) for name, path in (networks or {}).items()}
    chosen = covers.baselines() | {name: covers.network(net) for name, net in trained.items()}
    if "ddm" in METHODS:
        chosen |= {"DDM": covers.tool("ddm")}
    if unknown := set(only) - chosen.keys():
        raise UsageError(f"there is no cover {sorted(unknown)[0]!r}", f"the covers are {', '.join(chosen)}")
    results = report.resumed(out, heading(setting, quick))
    for name, cover in chosen.items():
        if name in results["rows"] or (only and name not in only):
            continue
        began = time.monotonic()
        results["rows"][name], sample = row(setting, cover)
        results["rows"][name]["seconds"] = round(time.monotonic() - began)
        report.write(out, results)
        report.sheet(out / f"restored-{report.file_name(name)}.png", sample)
        say(f"{name}: {results['rows'][name]['seconds']} s")
    if not only:
        results["perturbed"] = perturbed(setting)
        results["splits"] = splits(setting, trained)
        results["sizes"] = sizes(setting)
        results["maps"] = {
            name: report.plain(readable(setting, net)) for name, net in opened(trained).items()
        }
    results["sheet"] = list(chosen)
    shown = np.concatenate([cover(portrait()) for cover in chosen.values()])
    report.write(out, results)
    for place in [out / "ddm.md", *([page] if page else [])]:
        place.write_text(tables.page(results))
        report.sheet(place.with_name("covers.png"), [shown])
    return results


def prepare(out: Path, data: Path, quick: bool, seeds: int, strong: str, say: Say) -> Setting:
    """Read LFW, find its landmarks, and look for the recognizers."""
    torch.set_flush_denormal(True)
    size = QUICK if quick else FULL
    lfw = open_lfw(data)
    cache = out / "cache"
    readers = available(data, cache)
    if strong not in readers:
        raise WeightsError(
            f"recognizer {strong} is not installed", f"photoguard recognizers add {strong} --weights FILE"
        )

    def progress(done: int, count: int) -> None:
        if done % 500 == 0:
            say(f"landmarks: {done} of {count}")

    faces = closed_set(lfw, size.people, size.per_person, progress=progress)
    strangers, pairs = strange_pairs(lfw, size.pairs)
    read = {name: reader() for name, reader in readers.items()}
    seen = faces.at(tenth(faces.labels, 0)[0])
    squeezenet = next((data / "perceptual").glob("squeezenet1_0*.safetensors"), None)
    return Setting(
        size=size,
        faces=faces,
        strangers=strangers,
        pairs=pairs,
        read=read,
        centers={name: attacks.person_centers(seen, one) for name, one in read.items()},
        strong=strong,
        fresh=readers[strong],
        distance=distance(squeezenet) if squeezenet else None,
        seeds=seeds,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )


def available(data: Path, cache: Path) -> dict[str, Callable[[], Recognizer]]:
    """The user's recognizers, and those files of `data/recognizers` whose hash the table has."""
    found: dict[str, Callable[[], Recognizer]] = {n: partial(load, n) for n in recognizers.installed()}
    known = {spec.sha256: spec.name for spec in TABLE.values() if spec.sha256}
    for path in sorted((data / "recognizers").glob("*")) if data.is_dir() else []:
        name = known.get(recognizers.file_hash(path))
        if name and name not in found:
            if name not in recognizers.installed(cache):
                recognizers.add(name, path, folder=cache)
            found[name] = partial(load, name, cache)
    return found


def strange_pairs(lfw: Lfw, count: int) -> tuple[Faces, tuple[tuple[int, int, bool], ...]]:
    """LFW's pairs of people who are not in the closed set, as faces and pairs of their numbers."""
    known = set(lfw.people(at_least=10))
    pairs = [
        pair for fold in lfw.folds for pair in fold if not {_person(pair.first), _person(pair.second)} & known
    ]
    half = [[pair for pair in pairs if pair.same == same] for same in (True, False)]
    step = max(min(map(len, half)) * 2 // count, 1)
    chosen = [pair for group in half for pair in group[::step][: count // 2]]
    names = sorted({name for pair in chosen for name in (pair.first, pair.second)})
    number = {name: at for at, name in enumerate(names)}
    people = {person: at for at, person in enumerate(sorted({_person(name) for name in names}))}
    faces = named(lfw, names, [people[_person(name)] for name in names])
    return faces, tuple((number[pair.first], number[pair.second], pair.same) for pair in chosen)


def _person(name: str) -> str:
    return name.partition("/")[0]


def network(path: Path, device: str) -> DDM:
    """A DDM or MSEDNet that the user trained."""
    tensors, config = weights.parsed(read_file(path), path.name)
    return weights.ddm_network(tensors, config, path.name).to(device)


def opened(trained: Mapping[str, DDM]) -> dict[str, DDM]:
    """The networks whose maps are attacked: the shipped one and those the user named."""
    shipped = {"DDM": weights.load_ddm()} if "ddm" in METHODS else {}
    return shipped | dict(trained)


def heading(setting: Setting, quick: bool) -> dict[str, Any]:
    """What a reader must know to judge the figures."""
    return {
        "size": "quick" if quick else "full",
        "people": setting.faces.people,
        "photos": len(setting.faces),
        "tested": len(tenth(setting.faces.labels, 0)[1]) * setting.seeds,
        "pairs": len(setting.pairs),
        "seeds": setting.seeds,
        "strong": setting.strong,
        "recognizers": sorted(setting.read),
    }


def row(setting: Setting, cover: Cover) -> tuple[dict[str, Any], list[Pixels]]:
    """One cover under all attacks: figures, and a few restored faces beside cover and truth."""
    faces, size = setting.faces, setting.size
    shown, strange = cover(faces.pixels), cover(setting.strangers.pixels)
    half = len(shown) // 2
    read, judge = setting.read, setting.read[setting.strong]
    strong = attacks.strong_recognizer(
        shown,
        faces,
        setting.fresh,
        size.effort,
        setting.seeds,
        setting.device,
        (strange, setting.strangers, setting.pairs),
    )
    restored = attacks.restoring_decoder(shown, faces, judge, size.effort, setting.device, setting.distance)
    strange_chips = {name: setting.strangers.chips(one.spec, strange) for name, one in read.items()}
    figures = {
        "psnr": mean_psnr(shown, faces.pixels),
        "ssim": mean_ssim(shown, faces.pixels),
        "difference": float(np.abs(shown[:half].astype(float) - shown[-half:].astype(float)).mean()),
        "plain": attacks.plain_cnn(shown, faces.labels, size.effort, setting.seeds, setting.device),
        "strong": strong.closed,
        "verified_retrained": strong.open_set,
        "verified": {
            name: attacks.verified(one.embed_pixels(strange_chips[name]), setting.pairs)
            for name, one in read.items()
        },
        "unretrained": _named(setting, shown),
        "restored": restored,
    }
    test = np.flatnonzero(~attackers_own(faces))[: len(restored.sample)]
    return report.plain(figures), [faces.pixels[test], shown[test], restored.sample]


def perturbed(setting: Setting) -> dict[str, Any]:
    """Table 3's neighbors: pictures perturbed against one recognizer, shown to it and to the others."""
    faces = setting.faces
    seen, _ = tenth(faces.labels, 0)
    target, known = setting.read[setting.strong], setting.centers[setting.strong]
    made = {
        "FGSM": perturbations.fgsm(faces, target, known),
        "UAP": perturbations.universal(faces.at(seen), faces, target, known),
    }
    return {
        name: {"psnr": mean_psnr(shown, faces.pixels), "unretrained": report.plain(_named(setting, shown))}
        for name, shown in made.items()
    }


def _named(setting: Setting, shown: Pixels) -> dict[str, attacks.Recognition]:
    """How often each recognizer, as it is, names the person behind a cover."""
    return {
        name: attacks.unretrained(shown, setting.faces, one, setting.centers[name])
        for name, one in setting.read.items()
    }


def splits(setting: Setting, trained: Mapping[str, DDM]) -> dict[str, Any]:
    """Table 5: what each split keeps private, how well it comes back, and how far the public part is off."""
    some = setting.faces.pixels[:: max(len(setting.faces) // 100, 1)]
    found: dict[str, Any] = {}
    for threshold in (20, 10, 1):
        parts = [p3.split(face, threshold) for face in some]
        shown = np.stack([jpeg.to_pixels(part.public_jpeg) for part in parts])
        back = np.stack([jpeg.to_pixels(p3.join(part)) for part in parts])
        found[f"P3({threshold})"] = {
            "share": float(np.mean([part.secret_share for part in parts])),
            "secret_bytes": float(np.mean([len(part.secret) for part in parts])),
            "public_bytes": float(np.mean([len(part.public_jpeg) for part in parts])),
            "recovered": mean_psnr(back, some),
            "encrypted": mean_psnr(shown, some),
        }
    judge = setting.read[setting.strong]
    index = np.arange(0, len(setting.faces), max(len(setting.faces) // 100, 1))
    for name, net in opened(trained).items():
        public, private = covers.maps(net, some)
        back = covers.picture(net, public, private, some.shape[1:3])
        embeddings = [
            judge.embed_pixels(setting.faces.at(index).chips(judge.spec, one)) for one in (back, some)
        ]
        found[name] = {
            "share": 1 / net.config.one_in,
            "recovered": mean_psnr(back, some),
            "recovered_ssim": mean_ssim(back, some),
            "identity": float(cosines(*embeddings).mean()),
            "encrypted": mean_psnr(covers.network(net)(some), some),
        }
    return found


def sizes(setting: Setting) -> dict[str, Any]:
    """Bytes of one 128-px face: private feature, whole private file, carrier; with the default settings."""
    found = {}
    some = list(setting.faces.pixels[:: max(len(setting.faces) // 20, 1)])
    for name in (name for name in METHODS if name != "avp"):  # whose bytes are those of `solid`
        made = method(name).protect(name, some, Settings())
        grant = Grant(1, bytes(32), made[0].check, made[0].private)
        plaintext = PrivateFile(bytes(16), bytes(32), bytes(32), (grant,)).to_bytes()
        _, recipient = identities.generate()
        keys = tuple(identities.parse_recipients(recipient))
        found[name] = {
            "private_feature": float(np.mean([len(one.private) for one in made])),
            "private_file": len(identities.seal(plaintext, identities.Recipients(keys))),
            "carrier": float(np.mean([len(one.public) for one in made])),
        }
    return found


def readable(setting: Setting, net: DDM) -> maps.ReadableMaps:
    """The attacks on readable maps."""
    judge = setting.read[setting.strong]
    return maps.readable_maps(net.to(setting.device), setting.faces, judge, setting.size.maps, setting.device)


def portrait() -> Pixels:
    """The one face that may be shown in docs: NASA's portrait, (1, 128, 128, 3)."""
    from photoguard.recognizers.sample import sample_picture

    return sample_picture(128)[None]

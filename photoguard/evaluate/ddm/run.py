"""`photoguard evaluate ddm`: every cover under every attack, on LFW, as JSON, Markdown and pictures."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from photoguard import recognizers, weights
from photoguard.errors import UnreadableError, UsageError, WeightsError
from photoguard.evaluate.common import recognition as attacks
from photoguard.evaluate.common import report
from photoguard.evaluate.common.faces import Faces, as_seen, attackers_own, closed_set, named, tenth
from photoguard.evaluate.common.lfw import open_lfw
from photoguard.evaluate.common.metrics import cosines, mean_psnr, mean_ssim
from photoguard.evaluate.common.perceptual import distance
from photoguard.evaluate.ddm import adversarial, covers, jpeg, maps, owner, p3, perturbations, tables, targets
from photoguard.files import read_file
from photoguard.formats import identities
from photoguard.formats.private import Grant, PrivateFile
from photoguard.methods import METHODS, Settings, method
from photoguard.recognizers import TABLE, Recognizer, load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from photoguard.evaluate.common.lfw import Lfw
    from photoguard.evaluate.ddm.covers import Cover, Pixels
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
    returned: int = 100
    """Photos of each kind whose restored faces are measured"""


FULL = Size(None, None, 3000, attacks.FULL, maps.FULL, 500)
QUICK = Size(30, 18, 200, attacks.QUICK, maps.QUICK)
PROTOCOL = 2  # raised when figures of earlier versions no longer compare


@dataclass(frozen=True)
class Setting:
    """Everything that the attacks on one cover share."""

    size: Size
    data: Path
    lfw: Lfw
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
    toy: Path | None = None,
) -> dict[str, Any]:
    """Measure all covers, or those in `only`, and write `ddm.json`, `ddm.md` and the sheets into `out`.

    `data` is LFW's folder or zip, or a folder that holds `lfw.zip` (and may hold `recognizers/`,
    `perceptual/` and `wild.zip`). `networks` are further DDM weights by the name of their row, such as
    MSEDNet. What an earlier run of the same size left in `out` is kept, unless it was of other weights.
    `page` is a second place for the tables and the sheet of covers, such as docs/evaluation.md: they show no
    face but NASA's portrait. `toy` is the folder of a run of the toy experiment, to be shown on the page.
    """
    out.mkdir(parents=True, exist_ok=True)
    setting = prepare(out, data, quick, seeds, strong, say)
    trained = {name: network(path, setting.device) for name, path in (networks or {}).items()}
    trained = {"DDM": weights.load_ddm().to(setting.device)} | trained
    chosen = covers.baselines() | {name: covers.network(net) for name, net in trained.items()}
    if unknown := set(only) - chosen.keys():
        raise UsageError(f"there is no cover {sorted(unknown)[0]!r}", f"the covers are {', '.join(chosen)}")
    known = {
        name: hashlib.sha256(read_file(path)).hexdigest()[:16] for name, path in (networks or {}).items()
    }
    known["DDM"] = weights.SHIPPED["ddm"].sha256[:16]
    book = report.Book(out, report.resumed(out, heading(setting, quick)), known, say)
    for name in only or chosen:
        sheet = out / f"restored-{report.file_name(name)}.png"
        book.add("rows", name, partial(row, setting, chosen[name], sheet))
    if not only:
        other_parts(book, setting, trained)
    book.sort(("rows", "splits", "maps"), [*chosen])
    book.results |= {"sheet": [*chosen], "networks": [*(networks or {})]} | (
        {"toy": toy_log(toy)} if toy else {}
    )
    report.write(out, book.results)
    shown = np.concatenate([cover(portrait()) for cover in chosen.values()])
    for place in [out / "ddm.md", *([page] if page else [])]:
        place.write_text(tables.page(book.results))
        half = -(-len(shown) // 2)
        report.sheet(place.parent / "images" / "covers.png", [shown[:half], shown[half:]])
        if toy:
            report.small_figure(toy / "toy.png", place.parent / "images" / "ddm-toy.png")
    return book.results


def other_parts(book: report.Book, setting: Setting, nets: Mapping[str, DDM]) -> None:
    """Everything that is not a cover under all attacks."""
    for name in PERTURBED:
        book.add("perturbed", name, partial(perturbed, setting, name))
    for threshold in (20, 10, 1):
        book.add("splits", f"P3({threshold})", partial(p3_split, setting, threshold))
    for name, net in nets.items():
        book.add("splits", name, partial(network_split, setting, net))
        book.add("maps", name, partial(readable, setting, net))
    for name in (name for name in METHODS if name != "avp"):  # whose bytes are those of `solid`
        book.add("sizes", name, partial(sizes, setting, name))
    book.add("returned", "DDM", partial(returned, setting))
    adversarial.add_rows(book, adversarial.faces_of(setting.lfw))


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
        data=data,
        lfw=lfw,
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
        "protocol": PROTOCOL,
    }


def row(setting: Setting, cover: Cover, sheet: Path) -> dict[str, Any]:
    """One cover under all attacks; the sheet shows a few faces, their covers, and what was restored."""
    faces, size = setting.faces, setting.size
    shown, strange = cover(faces.pixels), cover(setting.strangers.pixels)
    seen, met = as_seen(faces, shown), as_seen(setting.strangers, strange)
    half = len(shown) // 2
    read, judge = setting.read, setting.read[setting.strong]
    strong = attacks.strong_recognizer(
        shown, seen, setting.fresh, size.effort, setting.seeds, setting.device, (strange, met, setting.pairs)
    )
    restored = attacks.restoring_decoder(shown, faces, judge, size.effort, setting.device, setting.distance)
    test = np.flatnonzero(~attackers_own(faces))[: len(restored.sample)]
    report.sheet(sheet, [faces.pixels[test], shown[test], restored.sample])
    return {
        "psnr": mean_psnr(shown, faces.pixels),
        "ssim": mean_ssim(shown, faces.pixels),
        "difference": float(np.abs(shown[:half].astype(float) - shown[-half:].astype(float)).mean()),
        "alike": alike(np.concatenate([shown, strange])),
        "plain": attacks.plain_cnn(shown, faces.labels, size.effort, setting.seeds, setting.device),
        "strong": strong.closed,
        "verified_retrained": strong.open_set,
        "verified": {
            name: attacks.verified(one.embed_pixels(met.chips(one.spec, strange)), setting.pairs)
            for name, one in read.items()
        },
        "unretrained": _named(setting, shown, seen),
        "restored": restored,
    }


def alike(shown: Pixels) -> float:
    """The share of covers that are the most frequent one, bit for bit."""
    return Counter(cover.tobytes() for cover in shown).most_common(1)[0][1] / len(shown)


PERTURBED = ("FGSM", "UAP")


def perturbed(setting: Setting, name: str) -> dict[str, Any]:
    """Table 3's neighbors: pictures perturbed against one recognizer, shown to it and to the others."""
    faces = setting.faces
    seen, _ = tenth(faces.labels, 0)
    target, known = setting.read[setting.strong], setting.centers[setting.strong]
    if name == "FGSM":
        shown = perturbations.fgsm(faces, target, known)
    else:
        shown = perturbations.universal(faces.at(seen), faces, target, known)
    return {"psnr": mean_psnr(shown, faces.pixels), "unretrained": _named(setting, shown, faces)}


def _named(setting: Setting, shown: Pixels, seen: Faces) -> dict[str, attacks.Recognition]:
    """How often each recognizer, as it is, names the person behind a cover."""
    return {
        name: attacks.unretrained(shown, seen, one, setting.centers[name])
        for name, one in setting.read.items()
    }


def some_faces(setting: Setting) -> Faces:
    """About a hundred faces, spread over all people."""
    return setting.faces.at(np.arange(0, len(setting.faces), max(len(setting.faces) // 100, 1)))


def p3_split(setting: Setting, threshold: int) -> dict[str, Any]:
    """Table 5: what P3 keeps secret, how well it comes back, and how far the public part is off."""
    some = some_faces(setting).pixels
    parts = [p3.split(face, threshold) for face in some]
    back = np.stack([jpeg.to_pixels(p3.join(part)) for part in parts])
    return {
        "share": float(np.mean([part.secret_share for part in parts])),
        "secret_bytes": float(np.mean([len(part.secret) for part in parts])),
        "public_bytes": float(np.mean([len(part.public_jpeg) for part in parts])),
        "recovered": mean_psnr(back, some),
        "encrypted": mean_psnr(np.stack([jpeg.to_pixels(part.public_jpeg) for part in parts]), some),
    }


def network_split(setting: Setting, net: DDM) -> dict[str, Any]:
    """The same for a network, from the maps as they travel."""
    judge, faces = setting.read[setting.strong], some_faces(setting)
    public, private = covers.maps(net, faces.pixels)
    back = covers.picture(net, public, private, faces.pixels.shape[1:3])
    embeddings = [judge.embed_pixels(faces.chips(judge.spec, one)) for one in (back, faces.pixels)]
    return {
        "share": 1 / net.config.one_in,
        "recovered": mean_psnr(back, faces.pixels),
        "recovered_ssim": mean_ssim(back, faces.pixels),
        "identity": float(cosines(*embeddings).mean()),
        "encrypted": mean_psnr(covers.network(net)(faces.pixels), faces.pixels),
    }


def sizes(setting: Setting, name: str) -> dict[str, Any]:
    """Bytes of one 128-px face: private feature, whole private file, carrier; the network's code alone."""
    some = list(setting.faces.pixels[:: max(len(setting.faces) // 20, 1)])
    made = method(name).seal(name, some, Settings(compact=True))
    grant = Grant(1, bytes(32), made[0].check, made[0].private)
    plaintext = PrivateFile(bytes(16), bytes(32), bytes(32), (grant,)).to_bytes()
    _, recipient = identities.generate()
    keys = tuple(identities.parse_recipients(recipient))
    return {
        "private_feature": float(np.mean([len(one.private) for one in made])),
        "private_file": len(identities.seal(plaintext, identities.Recipients(keys))),
        "carrier": float(np.mean([len(one.public) for one in made])),
    }


def returned(setting: Setting) -> dict[str, Any]:
    """What the owner of the tool's files gets back, at 128 px and at the size that faces have on photos."""
    count, read = setting.size.returned, setting.read
    people = list(setting.lfw.people(at_least=10).values())[: setting.size.people]
    names = [name for photos in people for name in photos[: setting.size.per_person]]
    wild = owner.photos(owner.wild_photos(setting.data, count), "ddm", read)
    kinds = {
        targets.CUT: owner.cut_outs(some_faces(setting), "ddm", read),
        targets.LFW: owner.photos(
            [setting.lfw.picture(name) for name in names[:: max(len(names) // count, 1)]], "ddm", read
        ),
        targets.WILD: wild,
        targets.LARGE: [pair for pair in wild if max(pair.before.shape) >= owner.LARGE],
    }
    return {name: owner.returned(pairs, read) for name, pairs in kinds.items() if pairs}


def readable(setting: Setting, net: DDM) -> dict[str, Any]:
    """The attacks on readable maps."""
    judge = setting.read[setting.strong]
    return asdict(maps.readable_maps(net, setting.faces, judge, setting.size.maps, setting.device))


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

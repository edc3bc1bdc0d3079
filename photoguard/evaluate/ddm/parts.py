"""What DDM's evaluation measures, a function and its row each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from photoguard.evaluate.common import recognition as attacks
from photoguard.evaluate.common import report
from photoguard.evaluate.common.faces import Faces, as_seen, attackers_own, test_tenth
from photoguard.evaluate.common.metrics import Verification, cosines, mean_psnr, mean_ssim
from photoguard.evaluate.ddm import covers, jpeg, maps, owner, p3, perturbations, targets
from photoguard.evaluate.ddm.setting import DdmSetting, some_faces
from photoguard.formats import identities
from photoguard.formats.private import Grant, PrivateFile
from photoguard.methods import Settings, method

if TYPE_CHECKING:
    from pathlib import Path

    from photoguard.evaluate.ddm.covers import Cover
    from photoguard.nets.ddm import DDM
    from photoguard.nets.planes import Pixels


@dataclass(frozen=True)
class CoverRow:
    """One cover under all attacks."""

    psnr: float
    ssim: float
    difference: float
    """Gray levels by which the covers of two photos differ"""
    alike: float
    plain: attacks.Recognition
    strong: attacks.Recognition
    verified_retrained: Verification | None
    verified: dict[str, Verification]
    """By recognizer, as it is"""
    unretrained: dict[str, attacks.Recognition]
    restored: attacks.RestoredFaces


def cover_row(setting: DdmSetting, cover: Cover, sheet: Path) -> CoverRow:
    """One cover under all attacks; the sheet shows a few faces, their covers, and what was restored."""
    faces, size = setting.faces, setting.size
    shown, theirs = cover(faces.pixels), cover(setting.others.pixels)
    seen, met = as_seen(faces, shown), as_seen(setting.others, theirs)
    half = len(shown) // 2
    judge = setting.recognizers[setting.strong]
    strong = attacks.strong_recognizer(
        shown, seen, setting.fresh, size.effort, setting.seeds, setting.device, (theirs, met, setting.pairs)
    )
    restored = attacks.restoring_decoder(shown, faces, judge, size.effort, setting.device, setting.distance)
    test = np.flatnonzero(~attackers_own(faces))[: len(restored.sample)]
    report.sheet(sheet, [faces.pixels[test], shown[test], restored.sample])
    return CoverRow(
        psnr=mean_psnr(shown, faces.pixels),
        ssim=mean_ssim(shown, faces.pixels),
        difference=float(np.abs(shown[:half].astype(float) - shown[-half:].astype(float)).mean()),
        alike=alike(np.concatenate([shown, theirs])),
        plain=attacks.plain_cnn(shown, faces.labels, size.effort, setting.seeds, setting.device),
        strong=strong.closed,
        verified_retrained=strong.open_set,
        verified={
            name: attacks.verified(one.embed_pixels(met.chips(one.spec, theirs)), setting.pairs)
            for name, one in setting.recognizers.items()
        },
        unretrained=_named(setting, shown, seen),
        restored=restored,
    )


def alike(shown: Pixels) -> float:
    """The share of covers that are the most frequent one, bit for bit."""
    return Counter(cover.tobytes() for cover in shown).most_common(1)[0][1] / len(shown)


PERTURBED = ("FGSM", "UAP")


@dataclass(frozen=True)
class PerturbedRow:
    """Perturbed pictures, and how often recognizers still name the person."""

    psnr: float
    unretrained: dict[str, attacks.Recognition]


def perturbed(setting: DdmSetting, name: str) -> PerturbedRow:
    """Table 3's neighbors: pictures perturbed against one recognizer, shown to it and to the others."""
    faces = setting.faces
    seen, _ = test_tenth(faces.labels, 0)
    target, known = setting.recognizers[setting.strong], setting.centers[setting.strong]
    if name == "FGSM":
        shown = perturbations.fgsm(faces, target, known)
    else:
        shown = perturbations.universal(faces.at(seen), faces, target, known)
    return PerturbedRow(mean_psnr(shown, faces.pixels), _named(setting, shown, faces))


def _named(setting: DdmSetting, shown: Pixels, seen: Faces) -> dict[str, attacks.Recognition]:
    """How often each recognizer, as it is, names the person behind a cover."""
    return {
        name: attacks.unretrained(shown, seen, one, setting.centers[name])
        for name, one in setting.recognizers.items()
    }


@dataclass(frozen=True)
class P3Split:
    """Table 5 for P3."""

    share: float
    secret_bytes: float
    public_bytes: float
    recovered: float
    encrypted: float


def p3_split(setting: DdmSetting, threshold: int) -> P3Split:
    """Table 5: what P3 keeps secret, how well it comes back, and how far the public part is off."""
    some = some_faces(setting).pixels
    parts = [p3.split(face, threshold) for face in some]
    back = np.stack([jpeg.to_pixels(p3.join(part)) for part in parts])
    return P3Split(
        share=float(np.mean([part.secret_share for part in parts])),
        secret_bytes=float(np.mean([len(part.secret) for part in parts])),
        public_bytes=float(np.mean([len(part.public_jpeg) for part in parts])),
        recovered=mean_psnr(back, some),
        encrypted=mean_psnr(np.stack([jpeg.to_pixels(part.public_jpeg) for part in parts]), some),
    )


@dataclass(frozen=True)
class NetworkSplit:
    """Table 5 for a network."""

    share: float
    recovered: float
    recovered_ssim: float
    identity: float
    """Mean cosine between the embeddings of recovered and original face"""
    encrypted: float


def network_split(setting: DdmSetting, net: DDM) -> NetworkSplit:
    """The same for a network, from the maps as they travel."""
    judge, faces = setting.recognizers[setting.strong], some_faces(setting)
    public, private = covers.maps(net, faces.pixels)
    back = covers.picture(net, public, private, faces.pixels.shape[1:3])
    embeddings = [judge.embed_pixels(faces.chips(judge.spec, one)) for one in (back, faces.pixels)]
    return NetworkSplit(
        share=1 / net.config.one_in,
        recovered=mean_psnr(back, faces.pixels),
        recovered_ssim=mean_ssim(back, faces.pixels),
        identity=float(cosines(*embeddings).mean()),
        encrypted=mean_psnr(covers.network(net)(faces.pixels), faces.pixels),
    )


@dataclass(frozen=True)
class Sizes:
    """Bytes of one face."""

    private_feature: float
    private_file: int
    carrier: float


def sizes(setting: DdmSetting, name: str) -> Sizes:
    """Bytes of one 128-px face: private feature, whole private file, carrier; with the default settings."""
    some = list(setting.faces.pixels[:: max(len(setting.faces) // 20, 1)])
    made = method(name).seal(name, some, Settings(compact=True))
    grant = Grant(1, bytes(32), made[0].check, made[0].private)
    plaintext = PrivateFile(bytes(16), bytes(32), bytes(32), (grant,)).to_bytes()
    _, recipient = identities.generate()
    keys = tuple(identities.parse_recipients(recipient))
    return Sizes(
        private_feature=float(np.mean([len(one.private) for one in made])),
        private_file=len(identities.seal(plaintext, identities.Recipients(keys))),
        carrier=float(np.mean([len(one.public) for one in made])),
    )


def returned(setting: DdmSetting) -> dict[str, owner.Returned]:
    """What the owner of the tool's files gets back, at 128 px and at the size that faces have on photos."""
    count, recognizers = setting.size.returned, setting.recognizers
    people = list(setting.lfw.people(at_least=10).values())[: setting.size.people]
    names = [name for photos in people for name in photos[: setting.size.per_person]]
    wild = owner.photos(owner.wild_photos(setting.data, count), "ddm", recognizers)
    kinds = {
        targets.CUT: owner.cut_outs(some_faces(setting), "ddm", recognizers),
        targets.LFW: owner.photos(
            [setting.lfw.picture(name) for name in names[:: max(len(names) // count, 1)]], "ddm", recognizers
        ),
        targets.WILD: wild,
        targets.LARGE: [pair for pair in wild if max(pair.before.shape) >= owner.LARGE],
    }
    return {name: owner.returned(pairs, recognizers) for name, pairs in kinds.items() if pairs}


def readable(setting: DdmSetting, net: DDM) -> maps.ReadableMaps:
    """The attacks on readable maps."""
    judge = setting.recognizers[setting.strong]
    return maps.readable_maps(net, setting.faces, judge, setting.size.maps, setting.device)

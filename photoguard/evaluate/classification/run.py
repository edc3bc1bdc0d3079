"""`photoguard evaluate avp --task classification`: the paper's Tables 4 and 5 on pictures of ten classes."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from photoguard import weights
from photoguard.evaluate.classification.pictures import cifar10, drawn
from photoguard.evaluate.classification.rivals import scrambler, transformation, transformed
from photoguard.evaluate.classification.tables import SHOWN, picture
from photoguard.evaluate.classification.tables import page as tables_page
from photoguard.evaluate.common import report
from photoguard.evaluate.common.keys import Keys
from photoguard.evaluate.common.metrics import Interval, mean_ssim, proportion
from photoguard.evaluate.common.networks import Training, as_inputs, cross_entropy, predict, train
from photoguard.evaluate.common.report import OPTIONAL
from photoguard.evaluate.common.ways import BARE_SEARCH, Bare, Learned, Sealed
from photoguard.files import read_file
from photoguard.methods.avp.chips import LEARNED_SEARCH, SEALED_SEARCH
from photoguard.methods.avp.losses import class_doubt, class_loss
from photoguard.methods.avp.search import Goal
from photoguard.methods.avp.target import classification
from photoguard.nets.classifier import Adapted, Classifier, ClassifierConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from photoguard.evaluate.classification.pictures import Labeled, Pictures
    from photoguard.evaluate.common.ways import Way
    from photoguard.methods.avp.keys import KeyModel
    from photoguard.methods.avp.search import Found
    from photoguard.nets.planes import Pixels

    Say = Callable[[str], None]
    TrainKey = Callable[[bool], KeyModel]

NAME = "classification"
REACHED = 0.9  # the probability of its class at which a picture is done
BATCH = 20  # pictures in one search
FAMILIES = ("vgg", "resnet")


@dataclass(frozen=True)
class ClassificationSize:
    """How much is learned and encrypted."""

    train: int
    test: int
    encrypted: int
    """Test pictures that AVP encrypts; the accuracy beside theirs is of the same pictures"""
    widths: tuple[int, int, int]
    blocks: int
    learn: Training
    adapt: Training
    transform: Training
    steps: int


FULL = ClassificationSize(
    train=50_000,
    test=10_000,
    encrypted=1000,
    widths=(32, 64, 128),
    blocks=3,
    learn=Training(30, 3e-3, batch=64, shift=3, flip=True),
    adapt=Training(40, 3e-3, batch=64),
    transform=Training(15, 2e-3, batch=64, flip=True),
    steps=600,  # as in A.2.1
)
QUICK = ClassificationSize(
    train=4000,
    test=1000,
    encrypted=100,
    widths=(16, 32, 64),
    blocks=1,
    learn=Training(12, 3e-3, shift=2, flip=True),
    adapt=Training(12, 3e-3),
    transform=Training(3, 3e-3, flip=True),
    steps=300,
)


@dataclass(frozen=True)
class WayRow:
    """One way to hide pictures from people, and what a classifier still makes of them."""

    original: Interval
    encrypted: Interval
    ssim_e: float
    ssim_d: float | None
    """None where nothing gives the picture back"""
    steps: float | None = field(default=None, metadata=OPTIONAL)


def evaluate_classification(
    out: Path,
    train_key: TrainKey,
    cifar: Path | None = None,
    quick: bool = False,
    say: Say = lambda _: None,
    page: Path | None = None,
) -> dict[str, Any]:
    """Train classifiers and the two rivals, encrypt, and write `classification.json`, `.md` and `.png`.

    `cifar` is the user's folder of CIFAR-10; without it the pictures are drawn. `train_key` makes a key model
    for pictures of 32x32. Networks and rows that an earlier run of the same size left in `out` are kept.
    """
    torch.set_flush_denormal(True)
    out.mkdir(parents=True, exist_ok=True)
    size = QUICK if quick else FULL
    pictures = cifar10(cifar) if cifar else drawn(size.train, size.test)
    pictures = dataclasses.replace(
        pictures, train=pictures.train.first(size.train), test=pictures.test.first(size.test)
    )
    heading = {
        "size": "quick" if quick else "full", "pictures": pictures.name, "train": len(pictures.train),
        "test": len(pictures.test), "encrypted": min(size.encrypted, len(pictures.test)),
        "widths": size.widths, "blocks": size.blocks, "steps": size.steps,
    }  # fmt: skip
    results = report.resumed(out, heading, NAME)
    owner = Keys(out / "keys", train_key, say)
    for family in FAMILIES:
        classifier = _classifier(out, family, size, pictures)
        for name, row in _rows(out, family, size, pictures, classifier, owner).items():
            if name in results["rows"]:
                continue
            began = time.process_time()
            figures, sample = row()
            results["rows"][name] = report.plain(figures) | {"seconds": round(time.process_time() - began)}
            report.write(out, results, NAME, tables_page)
            if sample:
                report.sheet(out / picture(name), sample, side=64)
            say(f"{name}: {results['rows'][name]['seconds']} s of processor time")
    report.write(out, results, NAME, tables_page)
    if page:
        shown = [out / picture(name) for name in results["rows"] if name.endswith(SHOWN)]
        report.publish(page, tables_page(results), shown)
    return results


def _rows(
    out: Path, family: str, size: ClassificationSize, pictures: Pictures, classifier: Classifier, owner: Keys
) -> dict[str, Callable[[], tuple[WayRow, list[Pixels]]]]:
    """What is to be done for one family of classifiers, by the row's name."""
    some = pictures.test.first(size.encrypted)
    goal = partial(Goal, reached=REACHED)
    bare = partial(Bare, search=replace(BARE_SEARCH, goal=goal(ssim_e=0.2, ssim_d=0.9), steps=size.steps))
    learned = partial(
        Learned, search=replace(LEARNED_SEARCH, goal=goal(ssim_e=0.02, ssim_d=0.9), steps=size.steps)
    )
    sealed = partial(Sealed, search=replace(SEALED_SEARCH, goal=goal(ssim_e=0.01), steps=size.steps))
    return {
        f"LE {family}": lambda: _scrambled(out, family, size, pictures),
        f"transformation {family}": lambda: _transformed(classifier, size, pictures),
        f"AVP bare {family}": lambda: _encrypted(
            classifier, some, bare(owner.model(0, faces=False)), class_loss
        ),
        f"AVP learned {family}": lambda: _encrypted(classifier, some, learned(owner.model(0, faces=False))),
        f"AVP sealed {family}": lambda: _encrypted(classifier, some, sealed(owner.identity)),
    }


def accuracy(net: nn.Module, pixels: Pixels, labels: NDArray[np.int64]) -> Interval:
    """Share of pictures put into the right class."""
    guesses = predict(net.eval(), as_inputs(pixels), "cpu").argmax(1)
    return proportion(int((guesses == labels).sum()), len(labels))


def _classifier(out: Path, family: str, size: ClassificationSize, pictures: Pictures) -> Classifier:
    torch.manual_seed(0)
    net = Classifier(ClassifierConfig(family, size.widths, size.blocks))
    seen = pictures.train
    _kept(out, f"classifier-{family}", net, pictures.name, size.learn, lambda how: _train(net, seen, how))
    return net


def _train(net: nn.Module, seen: Labeled, how: Training) -> None:
    train(net, as_inputs(seen.pixels), seen.labels, cross_entropy, how, 0, "cpu")


def _kept(
    out: Path, name: str, net: nn.Module, pictures: str, how: Training, learn: Callable[[Training], None]
) -> None:
    """Fill the network with the weights of an earlier run, or train it and keep them."""
    path = out / "cache" / f"{name}.safetensors"
    config = json.loads(json.dumps(dataclasses.asdict(how) | {"pictures": pictures}))
    if path.is_file():
        tensors, earlier = weights.parsed(read_file(path), path.name)
        if earlier == config:
            net.load_state_dict(tensors)
            net.eval()
            return
    learn(how)
    net.eval()
    weights.save(path, net.state_dict(), config)


def _scrambled(
    out: Path, family: str, size: ClassificationSize, pictures: Pictures
) -> tuple[WayRow, list[Pixels]]:
    """Learnable image encryption: the classifier itself has to be trained on scrambled pictures."""
    key, test = scrambler(0), pictures.test
    torch.manual_seed(0)
    net = Adapted(Classifier(ClassifierConfig(family, size.widths, size.blocks)))
    seen = dataclasses.replace(pictures.train, pixels=key.encrypt(pictures.train.pixels))
    _kept(out, f"adapted-{family}", net, pictures.name, size.adapt, lambda how: _train(net, seen, how))
    shown = key.encrypt(test.pixels)
    return WayRow(
        original=accuracy(net, test.pixels, test.labels),
        encrypted=accuracy(net, shown, test.labels),
        ssim_e=mean_ssim(shown, test.pixels),
        ssim_d=mean_ssim(key.decrypt(shown), test.pixels),
    ), [test.pixels[:10], shown[:10], key.decrypt(shown)[:10]]


def _transformed(
    classifier: Classifier, size: ClassificationSize, pictures: Pictures
) -> tuple[WayRow, list[Pixels]]:
    """The transformation network: nothing gives the picture back."""
    test = pictures.test
    net = transformation(classifier, pictures.train.pixels, pictures.train.labels, size.transform, "cpu")
    shown = transformed(net, test.pixels, "cpu")
    return WayRow(
        original=accuracy(classifier, test.pixels, test.labels),
        encrypted=accuracy(classifier, shown, test.labels),
        ssim_e=mean_ssim(shown, test.pixels),
        ssim_d=None,
    ), [test.pixels[:10], shown[:10]]


def _encrypted(
    classifier: Classifier, some: Labeled, way: Way, loss: Callable[[Tensor, Tensor], Tensor] = class_doubt
) -> tuple[WayRow, list[Pixels]]:
    """AVP, a batch at a time; what it gives back is decrypted from the saved pixels."""
    classifier.requires_grad_(False)
    aim = partial(classification, lambda chips: classifier(chips / 255), loss=loss)
    found: list[Found] = []
    for start in range(0, len(some), BATCH):
        found += way.encrypt(some.pixels[start : start + BATCH], aim)
    shown = np.stack([one.pixels for one in found])
    restored = way.decrypt(shown)
    return WayRow(
        original=accuracy(classifier, some.pixels, some.labels),
        encrypted=accuracy(classifier, shown, some.labels),
        ssim_e=mean_ssim(shown, some.pixels),
        ssim_d=mean_ssim(restored, some.pixels),
        steps=float(np.mean([one.steps for one in found])),
    ), [some.pixels[:10], shown[:10], restored[:10]]

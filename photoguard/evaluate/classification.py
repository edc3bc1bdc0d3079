"""`photoguard evaluate avp --task classification`: the paper's Tables 4 and 5 on pictures of ten classes."""

from __future__ import annotations

import dataclasses
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from photoguard import identities, weights
from photoguard.evaluate import report
from photoguard.evaluate.attackers import Training, answers, cross_entropy, train
from photoguard.evaluate.classification_pictures import cifar10, drawn
from photoguard.evaluate.classification_rivals import as_inputs, scrambler, transformation, transformed
from photoguard.evaluate.classification_tables import page as tables_page
from photoguard.evaluate.metrics import mean_interval, mean_ssim, proportion
from photoguard.files import read_file
from photoguard.methods import avp_payload
from photoguard.methods.avp_search import Fast, Goal, fast
from photoguard.methods.avp_target import classification
from photoguard.nets.classifier import Adapted, Classifier, ClassifierConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from photoguard.evaluate.classification_pictures import Labeled, Pictures
    from photoguard.evaluate.covers import Pixels
    from photoguard.methods.avp_search import Found, Key

    Say = Callable[[str], None]
    KeyMaker = Callable[[Pixels, int], Key]
    """From pictures to learn from and a seed to a key with its own secret"""

NAME = "classification"
FAMILIES = ("vgg", "resnet")


@dataclass(frozen=True)
class Size:
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


FULL = Size(
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
QUICK = Size(
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


def evaluate_classification(
    out: Path,
    make_key: KeyMaker,
    cifar: Path | None = None,
    quick: bool = False,
    say: Say = lambda _: None,
    page: Path | None = None,
) -> dict[str, Any]:
    """Train classifiers and the two rivals, encrypt, and write `classification.json`, `.md` and `.png`.

    `cifar` is the user's folder of CIFAR-10; without it the pictures are drawn. Networks and rows that an
    earlier run of the same size left in `out` are kept.
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
    for family in FAMILIES:
        classifier = _classifier(out, family, size, pictures)
        for name, row in _rows(out, family, size, pictures, classifier, make_key).items():
            if name in results["rows"]:
                continue
            began = time.process_time()
            figures, sample = row()
            results["rows"][name] = figures | {"seconds": round(time.process_time() - began)}
            report.write(out, results, NAME, tables_page)
            if sample:
                report.sheet(out / f"classification-{report.file_name(name)}.png", sample, side=64)
            say(f"{name}: {results['rows'][name]['seconds']} s of processor time")
    for place in [out / f"{NAME}.md", *([page] if page else [])]:
        place.write_text(tables_page(results))
    return results


def _rows(
    out: Path, family: str, size: Size, pictures: Pictures, classifier: Classifier, make_key: KeyMaker
) -> dict[str, Any]:
    """What is to be done for one family of classifiers, by the row's name."""
    some = pictures.test.first(size.encrypted)
    return {
        f"LE {family}": lambda: _scrambled(out, family, size, pictures),
        f"transformation {family}": lambda: _transformed(classifier, size, pictures),
        f"AVP learned {family}": lambda: _learned(classifier, size, pictures, some, make_key),
        f"AVP sealed {family}": lambda: _sealed(classifier, size, some),
    }


def accuracy(net: nn.Module, pixels: Pixels, labels: NDArray[np.int64]) -> dict[str, Any]:
    """Share of pictures put into the right class."""
    guesses = answers(net.eval(), as_inputs(pixels), "cpu").argmax(1)
    found: dict[str, Any] = report.plain(proportion(int((guesses == labels).sum()), len(labels)))
    return found


def _classifier(out: Path, family: str, size: Size, pictures: Pictures) -> Classifier:
    torch.manual_seed(0)
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


def _scrambled(out: Path, family: str, size: Size, pictures: Pictures) -> tuple[dict[str, Any], list[Pixels]]:
    """Learnable image encryption: the classifier itself has to be trained on scrambled pictures."""
    key, test = scrambler(0), pictures.test
    torch.manual_seed(0)
    torch.manual_seed(0)
    net = Adapted(Classifier(ClassifierConfig(family, size.widths, size.blocks)))
    seen = dataclasses.replace(pictures.train, pixels=key.encrypt(pictures.train.pixels))
    _kept(out, f"adapted-{family}", net, pictures.name, size.adapt, lambda how: _train(net, seen, how))
    shown = key.encrypt(test.pixels)
    return {
        "original": accuracy(net, test.pixels, test.labels),
        "encrypted": accuracy(net, shown, test.labels),
        "ssim_e": mean_ssim(shown, test.pixels),
        "ssim_d": mean_ssim(key.decrypt(shown), test.pixels),
    }, [test.pixels[:10], shown[:10], key.decrypt(shown)[:10]]


def _transformed(
    classifier: Classifier, size: Size, pictures: Pictures
) -> tuple[dict[str, Any], list[Pixels]]:
    """The transformation network: nothing gives the picture back."""
    test = pictures.test
    net = transformation(classifier, pictures.train.pixels, pictures.train.labels, size.transform, "cpu")
    shown = transformed(net, test.pixels, "cpu")
    return {
        "original": accuracy(classifier, test.pixels, test.labels),
        "encrypted": accuracy(classifier, shown, test.labels),
        "ssim_e": mean_ssim(shown, test.pixels),
        "ssim_d": None,
    }, [test.pixels[:10], shown[:10]]


def _learned(
    classifier: Classifier, size: Size, pictures: Pictures, some: Labeled, make_key: KeyMaker
) -> tuple[dict[str, Any], list[Pixels]]:
    """AVP with a key model trained on the classifier's own training pictures (Eq. 17)."""
    key = make_key(pictures.train.pixels, 0)
    goal = Goal(reached=0.9, ssim_e=0.1, ssim_d=0.9)
    found = _searched(classifier, some.pixels, Fast(goal, steps=size.steps, seed=0), key=key)
    restored = np.stack([one.restored for one in found if one.restored is not None])
    return _figures(classifier, some, found, restored)


def _sealed(classifier: Classifier, size: Size, some: Labeled) -> tuple[dict[str, Any], list[Pixels]]:
    """AVP with the picture itself sealed in the low bits."""
    secret, public = identities.generate()
    recipients = identities.Recipients(tuple(identities.parse_recipients(public)))
    low = np.stack([avp_payload.seal(one, recipients)[0] for one in some.pixels])
    goal = Goal(reached=0.9, ssim_e=0.1)
    found = _searched(
        classifier, some.pixels, Fast(goal, steps=size.steps, seed=0), carried=_tensor(low).to(torch.uint8)
    )
    owner = identities.parse_identities(secret.encode(), lambda _: "")
    restored = [avp_payload.unseal(avp_payload.carried(one.pixels), owner) for one in found]
    return _figures(classifier, some, found, np.stack(restored))


def _searched(
    classifier: Classifier,
    pixels: Pixels,
    settings: Fast,
    key: Key | None = None,
    carried: Tensor | None = None,
    batch: int = 20,
) -> list[Found]:
    """A batch at a time, as the search keeps everything of a batch in memory."""
    classifier.requires_grad_(False)
    found: list[Found] = []
    for start in range(0, len(pixels), batch):
        part = slice(start, start + batch)
        originals = _tensor(pixels[part])
        target = classification(lambda chips: classifier(chips / 255), originals)
        low = None if carried is None else carried[part]
        found += fast(originals, target, key, settings, carried=low)
    return found


def _tensor(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32))


def _figures(
    classifier: Classifier, some: Labeled, found: list[Found], restored: Pixels
) -> tuple[dict[str, Any], list[Pixels]]:
    shown = np.stack([one.pixels for one in found])
    return {
        "original": accuracy(classifier, some.pixels, some.labels),
        "encrypted": accuracy(classifier, shown, some.labels),
        "ssim_e": mean_ssim(shown, some.pixels),
        "ssim_d": mean_ssim(restored, some.pixels),
        "steps": float(np.mean([one.steps for one in found])),
        "seconds_each": report.plain(mean_interval([one.seconds for one in found]))["value"],
    }, [some.pixels[:10], shown[:10], restored[:10]]

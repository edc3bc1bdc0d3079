"""The paper's Tables 4 and 5 beside ours, as Markdown."""

from __future__ import annotations

from typing import Any

from photoguard.evaluate.common.markdown import number, percent, table
from photoguard.evaluate.common.report import file_name

# Tables 4 and 5: accuracy in % on originals and on encrypted pictures, SSIM_e and SSIM_d.
PAPER: dict[str, tuple[float, float, float, float | None]] = {
    "LE vgg": (10.59, 87.78, 0.178, 1.000),
    "LE resnet": (11.00, 91.53, 0.178, 1.000),
    "transformation vgg": (93.95, 90.70, 0.068, None),
    "transformation resnet": (95.53, 90.16, 0.073, None),
    "AVP bare vgg": (93.95, 93.95, 0.171, 0.900),
    "AVP bare resnet": (95.53, 95.28, 0.198, 0.923),
}
WAYS = {
    "LE": "learnable image encryption (4x4 blocks), classifier trained on it",
    "transformation": "transformation network, classifier as it is",
    "AVP bare": "AVP, bare generator, classifier as it is",
    "AVP learned": "AVP, learned key, classifier as it is",
    "AVP sealed": "AVP, sealed, classifier as it is",
}
FAMILIES = {"vgg": ("VGG", "VGG19"), "resnet": ("ResNet", "ResNet50")}
SHOWN = "vgg"  # the family whose pictures are on the page
COMMAND = "photoguard evaluate avp --task classification"


def page(results: dict[str, Any]) -> str:
    """The whole page."""
    head = results["heading"]
    flag = " --quick" if head["size"] == "quick" else ""
    folder = " --cifar10 FOLDER" if head["pictures"] == "CIFAR-10" else ""
    lines = [_line(name, row) for name, row in results["rows"].items()]
    return f"""# Hiding pictures from people, not from a classifier

Written by `{COMMAND}{flag}{folder}`. Pictures: {head["pictures"]}, 32x32 pixels, ten classes (chance is
10 %), {head["train"]} to learn from and {head["test"]} to test with. The classifiers are a small VGG and a
small ResNet of {head["blocks"]} block(s) a stage with {", ".join(map(str, head["widths"]))} channels; the
paper has VGG19 and ResNet50 on CIFAR-10 beside them, so that columns compare ways to hide pictures, not
numbers. AVP encrypts the first {head["encrypted"]} test pictures; both its accuracies are of these. All
is measured on saved 8-bit pictures. SSIM_e: encrypted with original (lower hides more); SSIM_d: given back
with original.

{table(COLUMNS, lines)}
"Original" is what the network says to open pictures: the one that was trained on scrambled ones no longer
knows them. Learnable image encryption uses one key for all pictures and gives them back exactly. The
transformation network gives nothing back. Its authors push the feature maps of a VGG16 trained on ImageNet
away from the original's; here they are the first maps of the classifier itself. AVP searches each picture for
the class that the classifier saw in the original, so it keeps the classifier's mistakes as well. The bare
generator's loss is the paper's, the logit of that class (Eq. 17). It can rise while another logit rises
faster; the other two rows lower the cross-entropy instead, as photoguard does. The two low
bits of 32x32 pixels hold 768 bytes, key and all, so that sealed pictures come back coarser than faces do.

Below for the {FAMILIES[SHOWN][0]}, ten pictures each: as they were, encrypted, and what comes back.
{"".join(_picture(name) for name in results["rows"] if name.endswith(SHOWN))}"""


def _picture(name: str) -> str:
    said = WAYS[name.rsplit(" ", 1)[0]]
    return f"\n{said[0].upper()}{said[1:]}:\n\n![{said}](images/{picture(name)})\n"


def picture(name: str) -> str:
    """The file with a row's pictures."""
    return f"classification-{file_name(name)}.png"


COLUMNS = (
    "way", "network", "original", "paper, %", "encrypted", "paper, %", "SSIM_e", "paper", "SSIM_d", "paper",
    "steps",
)  # fmt: skip


def _line(name: str, row: dict[str, Any]) -> list[str]:
    way, family = name.rsplit(" ", 1)
    paper = PAPER.get(name, (None, None, None, None))
    ours, theirs = FAMILIES[family]
    return [
        WAYS[way],
        f"{ours} ({theirs})",
        percent(row["original"]["value"]),
        number(paper[0], 2, "-"),
        f"{percent(row['encrypted']['value'])} "
        f"({100 * row['encrypted']['low']:.1f}-{100 * row['encrypted']['high']:.1f})",
        number(paper[1], 2, "-"),
        number(row["ssim_e"], 3, "-"),
        number(paper[2], 3, "-"),
        number(row["ssim_d"], 3, "-"),
        number(paper[3], 3, "-"),
        number(row.get("steps"), 0, "-"),
    ]

"""The figures of an evaluation as Markdown tables, the paper's beside ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from photoguard.evaluate.ddm.targets import targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from photoguard.evaluate.ddm.targets import Target

# Table 1 of the paper (FaceScrub, %), then Table 3 (LFW, %).
PAPER_PLAIN = {
    "Original": 84.6,
    "random": 0.19,
    "Pixelation(20)": 44.4,
    "Blurring(16)": 41.2,
    "P3(1)": 23.4,
    "MSEDNet": 36.1,
    "DDM": 3.43,
}
PAPER_UNRETRAINED = {"Original": 98.9, "UAP": 63.0, "FGSM": 19.8, "DDM": 0.01}
# Tables 5 and 4: share in %, recovered and encrypted in dB, accuracy of FaceNet retrained on CASIA-WebFace.
PAPER_SPLITS = {
    "P3(20)": (19.68, 37.86, 12.10, 67.2),
    "P3(10)": (23.5, 35.03, 12.00, 62.3),
    "P3(1)": (55.62, 30.83, 11.85, 35.2),
    "DDM": (1.56, 34.00, 4.41, 0.01),
    "plain": (1.56, 33.65, 17.06, 79.6),
    "1/1024": (0.1, 30.42, 5.19, 0.052),
    "1/16": (6.25, 33.96, 4.82, 0.01),
}
COMMAND = "photoguard evaluate ddm --data FOLDER"


def page(results: dict[str, Any]) -> str:
    """The whole page."""
    head, rows = results.get("heading"), results["rows"]
    parts = [_introduction(results)] if head else []
    if "DDM" in rows and "returned" in results and "sizes" in results:
        parts.append(_targets(targets(results)))
    if rows and head:
        parts += [_retrained(rows, head), _verification(rows, head), _restored(rows)]
        parts.append(_unretrained(rows, results.get("perturbed", {}), head))
    if results.get("adversarial"):
        parts.append(_adversarial(results["adversarial"]))
    if results.get("returned") and head:
        parts.append(_returned(results["returned"]["DDM"], head))
    if results.get("splits"):
        parts.append(_splits(results["splits"], rows))
    if results.get("sizes"):
        parts.append(_sizes(results["sizes"]))
    if results.get("maps"):
        parts.append(_maps(results["maps"]))
    if results.get("toy"):
        parts.append(_toy(results["toy"]))
    if "sheet" in results:
        parts.append(_sheet(results["sheet"]))
    return "\n".join(parts)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, first column to the left."""
    rule = ["---", *["--:" for _ in head[1:]]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)) + "\n"


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return "" if value is None else f"{100 * value:.1f} %"


def interval(value: dict[str, float]) -> str:
    """An accuracy with the ends of its confidence interval."""
    low, high = max(value["low"], 0.0), min(value["high"], 1.0)  # Student's interval knows no bounds
    return f"{percent(value['value'])} ({100 * low:.1f}-{100 * high:.1f})"


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _introduction(results: dict[str, Any]) -> str:
    head, named = results["heading"], results.get("networks", [])
    flags = [
        *["--quick"] * (head["size"] == "quick"),
        *[f"--seeds {head['seeds']}"] * (head["seeds"] != 3),
        *[f"--weights {name}=FILE" for name in named],
        *["--toy FOLDER"] * ("toy" in results),
    ]
    further = f"""
{", ".join(named)}: smaller networks, each trained for minutes;
[training-ddm.md](../development/training-ddm.md#brief-networks) has the commands and what they cost.
They show what an objective or a share does, not how good it can get.
"""
    return f"""# What covers still tell

Written by

```sh
{" ".join([COMMAND, *flags])}
```

All figures on this page are of the **{head["size"]}** size: {head["people"]} people of Labeled Faces in the
Wild with {head["photos"]} photos, {head["tested"]} faces named in {head["seeds"]} run(s), {head["pairs"]}
verification pairs of other people. No network of the tool was trained on any of these faces. Attackers see
the saved 8-bit covers and may train on as many pairs of face and cover as they like. They align a cover by
the landmarks that they find on it, or by the usual ones where they find none.

DDM and the networks like it stand here in the paper's setting: a cover is what the network makes of this
face with a wrong private map. **`encrypt` writes something else**: the pattern that the shipped network draws
for a neutral patch, a function of the box's size alone. On these faces the two are the same picture; on
[other content](#content-that-the-network-was-not-trained-on) the network's own cover shows what is behind it.
{further if named else ""}"""


def _targets(found: Sequence[Target]) -> str:
    lines = [
        [one.what, one.paper, one.wanted, one.measured, "yes" if one.reached else "**no**"] for one in found
    ]
    text = """
## What DDM was to reach

With the shipped weights: covers as the network draws them, restored faces from the saved files. Time is in
[weights/README.md](../../weights/README.md), with the faces of the training's own validation people.

"""
    return text + table(["target", "paper", "wanted", "measured", "reached"], lines)


def _retrained(rows: dict[str, Any], head: dict[str, Any]) -> str:
    lines = []
    for name, row in rows.items():
        plain, strong = row["plain"], row["strong"]
        lines.append(
            [
                name,
                interval(plain["accuracy"]),
                f"{plain['times_chance']:.1f}",
                _number(PAPER_PLAIN.get(name)),
                interval(strong["accuracy"]),
                f"{strong['times_chance']:.1f}",
                _number(PAPER_SPLITS[name][3]) if name in PAPER_SPLITS else "",
                "yes" if plain["above_chance"] or strong["above_chance"] else "no",
            ]
        )
    first = next(iter(rows.values()))["plain"]
    text = f"""
## Recognizers trained on the covers

Nine tenths of each person's covers to train on, the rest to name (the paper's Tables 1 and 2). Chance is
{percent(1 / first["people"])}; always naming the person with most photos gives {percent(first["blind"])}.
Brackets: 95 % confidence interval. The strong recognizer is {head["strong"]}, fine-tuned. The paper's plain
network was trained on FaceScrub with 530 people, where chance is 0.19 %, its strong one, FaceNet, on
CASIA-WebFace with 10,575, where it is 0.01 %.

"""
    columns = ["cover", "plain CNN", "x chance", "paper, %", "strong", "x chance", "paper, %", "above chance"]
    return text + table(columns, lines)


def _verification(rows: dict[str, Any], head: dict[str, Any]) -> str:
    names = head["recognizers"]
    lines = [
        [
            name,
            *[interval(row["verified"][reader]["accuracy"]) for reader in names],
            interval(row["verified_retrained"]["accuracy"]) if row["verified_retrained"] else "",
        ]
        for name, row in rows.items()
    ]
    text = """
## Same person or not

Two covers, of people whom the attacker has never met: LFW's pairs, ten folds, 50 % is guessing. First
recognizers as they are, then the strong one after its training on the covers of the closed set. Where all
covers are the same picture, every pair gets the same answer, and half of the answers are right.

"""
    return text + table(["cover", *names, f"{head['strong']}, retrained"], lines)


def _restored(rows: dict[str, Any]) -> str:
    lines = [
        [
            name,
            _number(row["psnr"]),
            _number(row["ssim"], 3),
            _number(row["difference"], 1),
            f"{100 * row['alike']:.2f} %",
            _number(row["restored"]["psnr"]),
            _number(row["restored"]["ssim"], 3),
            _number(row["restored"]["perceptual"]),
            _number(row["restored"]["cosine"]),
            _number(row["restored"]["stranger"]),
        ]
        for name, row in rows.items()
    ]
    text = """
## Covers beside faces, and faces restored from covers

PSNR (dB) and SSIM between cover and face, by how many of 256 levels the covers of two photos differ on
average, and how many covers are one and the same picture, bit for bit. Then a decoder trained on pairs of
cover and face restores people it has not seen: PSNR, SSIM, perceptual distance (lower is nearer), cosine
between the recognizer's embeddings of restored and true face, and the same cosine to a stranger's face. A
decoder that learned nothing draws everybody's mean face; the row Original says how much of a face this one
has learned to draw when nothing is hidden.

"""
    columns = [
        "cover",
        "PSNR",
        "SSIM",
        "differ by",
        "the same",
        "restored PSNR",
        "SSIM",
        "perceptual",
        "cosine",
        "stranger",
    ]
    return text + table(columns, lines)


def _unretrained(rows: dict[str, Any], perturbed: dict[str, Any], head: dict[str, Any]) -> str:
    names = head["recognizers"]
    lines = [
        [
            name,
            *[percent(row["unretrained"][reader]["accuracy"]["value"]) for reader in names],
            _number(PAPER_UNRETRAINED.get(name)),
        ]
        for name, row in (rows | perturbed).items()
    ]
    text = f"""
## Recognizers that were not retrained

The closed set again, named by recognizers that know the same people's open photos (the paper's Table 3).
FGSM and UAP change each pixel by at most 10 levels, against {head["strong"]}. This table alone says little:
whoever attacks covers will train on them.

"""
    return text + table(["cover", *names, "paper, %"], lines)


def _adversarial(rows: dict[str, Any]) -> str:
    lines = []
    for name, own in rows.items():
        cover, _, whose = name.partition(", ")
        written = rows.get(f"encrypt, {whose}", {}) if cover == "DDM" else {}
        for content in (key for key in own if key in written and isinstance(own[key], dict)):
            worst, flat = own[content], written[content]
            where = f"{worst['period']:g} px, {worst['tilt']:g} degrees"
            figures = [_number(worst["correlation"]), _number(worst["ssim"], 2), where]
            lines.append(
                [f"{content}, {whose}", *figures, _number(flat["correlation"]), _number(flat["ssim"], 2)]
            )
    text = """
## Content that the network was not trained on

```sh
photoguard evaluate ddm --only adversarial --data FOLDER
```

A message, which is a face or a text, in a texture: the dots of a newspaper, checkers, or the stripes of a
screen, with periods of 4 to 24 pixels, tilted by 0, 2 or 45 degrees, as a JPEG of quality 85. The cover is
blurred by 5 pixels and compared with the message blurred alike: correlation (a negative counts as well) and
SSIM at equal contrast, for the texture that shows most. The network's own cover shows the message. The one
that `encrypt` writes is the same whatever the message is; its figures are those of any fixed picture.

"""
    columns = ["content", "network's own: correlation", "SSIM", "at", "`encrypt`: correlation", "SSIM"]
    return text + table(columns, lines)


def _returned(returned: dict[str, Any], head: dict[str, Any]) -> str:
    lines = [
        [
            name,
            str(found["faces"]),
            _number(found["side"], 0),
            _number(found["psnr"]),
            _number(found["ssim"], 3),
            *[_number(found["identity"][reader], 3) for reader in head["recognizers"]],
            _number(found["lowest"], 3),
        ]
        for name, found in returned.items()
        if isinstance(found, dict)
    ]
    text = """
## What the owner gets back

Faces restored with the private file, through the tool's own files: public maps of 8 bits, private feature in
float16, `--compact`. Photos are encrypted and decrypted whole, the largest face at its own resolution;
those of CelebA are of ten people who were held out. Median side of the patch, PSNR, SSIM, and the mean cosine
between the embeddings of restored and original face, by recognizer; one face in twenty is below the last
figure.

"""
    columns = ["faces", "number", "px", "PSNR", "SSIM", *head["recognizers"], "1 in 20 below"]
    return text + table(columns, lines)


def _splits(splits: dict[str, Any], rows: dict[str, Any]) -> str:
    lines = []
    for name, split in splits.items():
        strong = rows[name]["strong"] if name in rows else None
        lines.append(
            [
                name,
                f"{100 * split['share']:.2f} %",
                _number(split["recovered"]),
                _number(split["encrypted"]),
                percent(strong["accuracy"]["value"]) if strong else "",
                _number(split.get("identity"), 3),
                _number(split.get("secret_bytes"), 0),
                _number(split.get("public_bytes"), 0),
                " / ".join(f"{value:g}" for value in PAPER_SPLITS.get(name, ())),
            ]
        )
    text = """
## Shares, and training without the collaborative loss

What each split keeps private (of the bytes for P3, of the features for networks), PSNR in dB of the
recovered and of the encrypted face, accuracy of the strong recognizer retrained on the covers, cosine of the
recovered face's embedding, and bytes of P3's two JPEG files at quality 90. In the last column the paper's
Tables 4 and 5: share in %, recovered, encrypted, accuracy. P3 gives back exactly the JPEG that it split,
whatever the threshold.

"""
    columns = [
        "split",
        "private",
        "recovered",
        "encrypted",
        "strong",
        "identity",
        "secret",
        "public",
        "paper",
    ]
    return text + table(columns, lines)


def _sizes(sizes: dict[str, Any]) -> str:
    lines = [
        [name, *[_number(size[key], 0) for key in ("private_feature", "private_file", "carrier")]]
        for name, size in sizes.items()
    ]
    text = """
## Sizes

Bytes for one face of 128 x 128 pixels: private feature, whole private file for one X25519 recipient, sealed
public bytes before padding.

"""
    return text + table(["method", "private feature", "private file", "carrier"], lines)


def _maps(maps: dict[str, Any]) -> str:
    lines = []
    for name, found in maps.items():
        for key in ("owner", "zeros", "mean", "regressed", "fresh"):
            one = found[key]
            r2 = _number(found["r2"], 3) if key == "regressed" else ""
            lines.append(
                [name, _MAPS[key], _number(one["psnr"]), _number(one["ssim"], 3), _number(one["cosine"]), r2]
            )
    text = """
## If the public maps were readable

The paper's own setting. photoguard seals the public maps, and this table is why: people that the attackers
had not seen, restored from the public maps with something else in the private one's place.

"""
    return text + table(["network", "private map", "PSNR", "SSIM", "cosine", "R2"], lines)


def _toy(log: list[dict[str, float]]) -> str:
    keys = ("recovered_rmse", "recovered_groups", "encrypted_rmse", "encrypted_groups")
    lines = [[f"{line['step']:.0f}", *[_number(line[key]) for key in keys]] for line in log]
    text = """
## The toy experiment

The paper's Fig. 3, drawn by `photoguard train ddm-toy`: ten groups of points in the plane, and the same
training. Root of the mean squared distance to the original points, and how well the ten groups can be told
apart (variance between their centers over variance within them).

![Original, encrypted and recovered points over the steps of training](images/ddm-toy.png)

"""
    columns = ["step", "recovered: distance", "groups", "encrypted: distance", "groups"]
    return text + table(columns, lines)


def _sheet(names: Sequence[str]) -> str:
    return f"""
## What the covers look like

![NASA's portrait of Eileen Collins under each cover](images/covers.png)

Row by row, from left to right: {", ".join(names)}.
"""


_MAPS = {
    "owner": "the true one",
    "zeros": "zeros",
    "mean": "the mean of others",
    "regressed": "predicted from the public maps",
    "fresh": "none: a decoder of the attacker's own",
}

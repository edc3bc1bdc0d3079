"""AVP's figures as a Markdown page, the paper's beside ours, and the targets met or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from photoguard.evaluate.avp.targets import targets
from photoguard.evaluate.common.markdown import interval, number, percent, table

if TYPE_CHECKING:
    from collections.abc import Callable

# Tables 1 to 3 of the paper: its four recognizers on LFW.
PAPER_QUALITY = {
    "AdaFace": (0.028, 0.893, 0.997),
    "ArcFace": (0.030, 0.903, 0.994),
    "CosFace": (0.028, 0.899, 0.998),
    "SphereFace": (0.029, 0.906, 0.996),
}
PAPER_ACCURACY = {
    "AdaFace": (98.6, 98.6, 98.6),
    "ArcFace": (96.5, 96.5, 96.5),
    "CosFace": (89.4, 89.2, 89.3),
    "SphereFace": (80.3, 80.0, 80.6),
}
PAPER_OTHER_KEY = {
    "AdaFace": (98.6, 0.026, 0.891),
    "ArcFace": (96.5, 0.027, 0.909),
    "CosFace": (89.2, 0.031, 0.882),
    "SphereFace": (79.9, 0.031, 0.890),
}
WAYS = {
    "published": "Algorithm 1 as published, bare generator",
    "bare": "bare generator (paper's setting)",
    "learned": "learned, with keyed transform",
    "sealed": "sealed",
}
COMMAND = "photoguard evaluate avp --data FOLDER"


def page(results: dict[str, Any]) -> str:
    """The whole page; parts that were not measured are not on it."""
    rows = by_part(results["rows"])
    parts = [_introduction(results)]
    parts += [write(rows[name]) for name, write in SECTIONS.items() if name in rows]
    return "\n".join([parts[0], _targets(rows), *parts[1:]])


def by_part(rows: dict[str, Any]) -> dict[str, Any]:
    """The rows, with those of quality under one name, by recognizer."""
    quality = {
        name.partition(" ")[2]: {way: row[way] for way in ("sealed", "learned", "bare")}
        for name, row in rows.items()
        if name.startswith("quality ")
    }
    rest = {name: row for name, row in rows.items() if not name.startswith("quality ")}
    return {"quality": quality} | rest if quality else rest


def _figure(value: float | None, digits: int = 3) -> str:
    return number(value, digits, "-")


def _introduction(results: dict[str, Any]) -> str:
    sizes = {name: row["size"] for name, row in results["rows"].items()}
    quick = [name.replace("_", " ") for name, size in sizes.items() if size == "quick"]
    full = [name.replace("_", " ") for name, size in sizes.items() if size == "full"]
    sizes_said = f"Of the quick size: {', '.join(quick)}; the other parts are of the full one."
    if not (quick and full):
        sizes_said = f"All parts are of the {'quick' if quick else 'full'} size."
    used = sorted({name for row in results["rows"].values() for name in row["recognizers"]})
    spent = sum(row["processor_seconds"] for row in results["rows"].values())
    return f"""# AVP, measured

Written by `{COMMAND}{" --quick" if quick else ""}`, {spent / 60:.0f} minutes of processor time on one
thread. {sizes_said} Faces are of Labeled Faces in the Wild, on which nothing of the
tool was trained. Each chip was saved as PNG and read again before it was measured, decrypted or attacked.
Recognizers: {", ".join(used)}; parts that are not by recognizer are measured with
{results["heading"]["main"]}. Seconds are processor time of one thread.

Three ways to encrypt: the paper's *bare* generator (`--key-transform none`), *learned* (a generator behind a
keyed transform of the pixels), and *sealed* (the face itself encrypted in the low bits). The last two are
what the tool writes. SSIM_e: chip with face, lower hides more. SSIM_d: what the key gives back with face.
"""


def _targets(rows: dict[str, Any]) -> str:
    lines = [
        [one.what, one.wanted, one.found, {True: "met", False: "**not met**", None: "not measured"}[one.met]]
        for one in targets(rows)
    ]
    return "\n## Targets\n\n" + table(["what", "wanted", "found", ""], lines)


def _quality(row: dict[str, Any]) -> str:
    lines = [
        [f"{name} (paper)", "Algorithm 1", "", _figure(e), _figure(d), _figure(c), "-", "", ""]
        for name, (e, d, c) in PAPER_QUALITY.items()
    ]
    for name, ways in row.items():
        for way, one in ways.items():
            lines.append(
                [
                    name, WAYS[way], str(one["faces"]), _figure(one["ssim_e"]), _figure(one["ssim_d"]),
                    _figure(one["cosine"], 4), _figure(one["worst"], 4), _figure(one["steps"], 0),
                    _figure(one["seconds"], 1),
                ]
            )  # fmt: skip
    columns = [
        "recognizer", "way", "faces", "SSIM_e", "SSIM_d", "cosine", "worst", "steps", "s a face",
    ]  # fmt: skip
    text = """
## Quality (Table 1)

"""
    return text + table(columns, lines) + _accuracy(row) + _others(row) + _survival(row)


def _accuracy(row: dict[str, Any]) -> str:
    lines = [
        [f"{name} (paper)", "Algorithm 1", f"{a:.1f} %", f"{b:.1f} %", f"{a:.1f} %", f"{c:.1f} %", ""]
        for name, (a, b, c) in PAPER_ACCURACY.items()
    ]
    example: dict[str, Any] = {}
    for name, ways in row.items():
        for way, one in ways.items():
            if "all" not in one:
                continue
            example = one
            cells = [percent(one[key]["accuracy"]["value"]) for key in ("original", "one", "original_small")]
            lines.append(
                [name, WAYS[way], *cells, interval(one["all"]["accuracy"]), str(one["all"]["tests"])]
            )
    if not example:
        return ""
    text = f"""
## Recognition (Table 2)

Twelve people with more than twelve photos each. One photo of a person joins the gallery and the person's
other photos look for it: the nearest face in the gallery must be that one. AVP-ONE: the enrolled photo is
a chip among {example["gallery"]} open photos of others. AVP-ALL: the gallery is
{example["gallery_small"]} photos of others, all of them chips; its "Original" is the
same gallery, open. Brackets: 95 % confidence interval.

"""
    columns = ["recognizer", "way", "Original", "AVP-ONE", "Original, small", "AVP-ALL", "tests"]
    return text + table(columns, lines)


def _others(row: dict[str, Any]) -> str:
    lines = [
        [
            name, WAYS[way], other, _figure(one["cosine"]), percent(one["recognized"]),
            percent(one["strangers"]), percent(one["equal_error"]),
        ]
        for name, ways in row.items()
        for way, found in ways.items()
        for other, one in found["others"].items()
    ]  # fmt: skip
    if not lines:
        return ""
    text = """
## Other recognizers

Does a recognizer that the chip was not made for know whose it is? Cosine to the original's embedding, share
above that recognizer's own threshold on LFW's pairs, the same share for somebody else's original, and the
equal error rate of telling the two apart (50 %: the chip tells it nothing).

"""
    columns = ["made for", "way", "seen by", "cosine", "recognized", "strangers", "equal error"]
    return text + table(columns, lines)


def _survival(row: dict[str, Any]) -> str:
    lines = []
    for name, ways in row.items():
        for way, one in ways.items():
            lines.append([name, WAYS[way], *_kept(one["survival"])])
    text = """
## Re-encoding

What the chip's own recognizer sees after the file was re-encoded: mean cosine, and the share above its
threshold. A sealed or learned chip's hidden data does not survive any of these: `decrypt` says so (exit 6).
See below for chips made with `--robust`.

"""
    return text + table(["recognizer", "way", *RE_ENCODINGS], lines)


RE_ENCODINGS = ("as saved", "JPEG 95", "JPEG 75", "JPEG 50", "half size")


def _kept(survival: dict[str, Any]) -> list[str]:
    return [
        f"{_figure(survival[how]['cosine'], 2)} ({percent(survival[how]['recognized'])})"
        for how in RE_ENCODINGS
    ]


def _other_key(row: dict[str, Any]) -> str:
    lines = [
        [f"{name} (paper)", "", "", _figure(e), _figure(d), f"{a:.1f} %"]
        for name, (a, e, d) in PAPER_OTHER_KEY.items()
    ]
    for name, one in row.items():
        if isinstance(one, dict):
            accuracy = percent(one["one"]["accuracy"]["value"]) if "one" in one else "-"
            lines.append(
                [
                    name, str(one["faces"]), _figure(one["identity"]), _figure(one["ssim_e"]),
                    _figure(one["ssim_d"]), accuracy,
                ]
            )  # fmt: skip
    text = """
## Keys that never saw a face (Table 3)

The key model learned from pictures without faces; the paper's from COCO. "Identity" is the SSIM with which
the model gives back pictures as they are, before any search.

"""
    return text + table(["key learned from", "faces", "identity", "SSIM_e", "SSIM_d", "AVP-ONE"], lines)


def _wrong_keys(row: dict[str, Any]) -> str:
    text = f"""
## Wrong keys (Fig. 5)

{row["keys"]} key models that differ in their start alone, {row["faces"]} faces. SSIM with the original when
opened with the right key and with each of the others, and how often the restored picture is recognized: by
the recognizer that the chip was made for, and by another. A real wrong key is an error (exit 5) for *learned*
and *sealed* chips; for this table the learned chip's check was skipped. A plain gray picture has SSIM
{_figure(row["gray"])} with these faces: what is blurred has some with anything.

"""
    lines = [
        [
            WAYS[way], _figure(row[way]["right"]), _figure(row[way]["wrong"]),
            _figure(row[way]["wrong_worst"]),
            percent(row[way]["recognized"]), percent(row[way]["recognized_by_other"]),
        ]
        for way in ("bare", "learned")
    ]  # fmt: skip
    sealed = row["sealed"]
    lines.append([WAYS["sealed"], "", f"{sealed['errors']} of {sealed['tried']} are an error", "", "", ""])
    columns = ["way", "right key", "wrong key", "worst pair", "recognized", "by another"]
    text += table(columns, lines)
    for way in ("bare", "learned"):
        cells = [
            [f"made by key {i + 1}", *(_figure(value) for value in line)]
            for i, line in enumerate(row[way]["matrix"])
        ]
        text += f"\n{WAYS[way].capitalize()}, mean SSIM:\n\n"
        text += table(["", *(f"opened by {i + 1}" for i in range(row["keys"]))], cells)
        text += f"\n![{WAYS[way]}](images/avp-keys-{way}.png)\n"
    return text


def _paired(row: dict[str, Any]) -> str:
    blind = row["blind"]
    lines = []
    for name, one in row.items():
        if not isinstance(one, dict) or "known" not in one:
            continue
        for count, stolen in one["known"].items():
            gain = stolen["ssim"] - stolen["blind"]
            lines.append(
                [
                    name, count, _figure(one["owner"]), _figure(stolen["ssim"]), _figure(stolen["blind"]),
                    f"{gain:+.3f}", percent(stolen["recognized"]),
                ]
            )  # fmt: skip
    text = f"""
## Known pairs (Fig. 6)

An attacker who has so many chips with their originals trains a network on them and restores chips of
{row["unseen"]} other photos. The floor is what he has without looking at the chip: the mean face. With no
pair at all, that of strangers' open faces gives SSIM {_figure(blind["ssim"])} (recognized:
{percent(blind["recognized"])}); "mean face" is that of the originals in his pairs, and the gain is what the
chip told him beyond it. Recognized: by a recognizer that the chips were not made for.

"""
    columns = ["way", "pairs", "owner's SSIM_d", "attacker's SSIM", "mean face", "gain", "recognized"]
    return text + table(columns, lines)


def _ablation(row: dict[str, Any]) -> str:
    lines = [
        [
            {"variance": "L_v (Eq. 13)", "distance": "L_d (Eq. 5)"}[name], f"{row[name]['weight']:g}",
            _figure(row[name]["ssim_e"]), _figure(row[name]["ssim_d"]), _figure(row[name]["cosine"], 4),
            _figure(row[name]["wrong_key"]),
        ]
        for name in ("variance", "distance")
    ]  # fmt: skip
    text = f"""
## What hides the face (Fig. 7)

Algorithm 1 with either loss, {row["faces"]} faces, {row["steps"]} steps, bare generator.

"""
    text += table(["loss", "weight", "SSIM_e", "SSIM_d", "cosine", "wrong key"], lines)
    return text + "\n![L_v and L_d](images/avp-ablation.png)\n"


def _statistics(row: dict[str, Any]) -> str:
    lines = [
        [
            name if name == "original" else WAYS[name],
            *(_figure(one["correlation"][way], 2) for way in ("horizontal", "vertical", "diagonal")),
            _figure(one["histogram"]["mean"], 1), _figure(one["histogram"]["deviation"], 1),
            _figure(one["histogram"]["entropy"], 2), _figure(one["histogram"]["excess"], 2),
        ]
        for name, one in row.items()
        if isinstance(one, dict)
    ]  # fmt: skip
    text = """
## Neighbors and histograms (A.1.2)

Correlation of 3000 pairs of adjacent samples a picture, and the values of all samples: mean, standard
deviation, entropy in bits, excess kurtosis (0 for a normal distribution, -1.2 for a flat one).

"""
    columns = [
        "picture", "horizontal", "vertical", "diagonal", "mean", "deviation", "entropy", "kurtosis",
    ]  # fmt: skip
    return text + table(columns, lines) + "\n![Neighbors and histograms](images/avp-statistics.png)\n"


def _robustness(row: dict[str, Any]) -> str:
    lines = [
        [
            name, _figure(one["ssim_e"]), _figure(one["cosine"], 4), _figure(one["seconds"], 1),
            *_kept(one["survival"]),
        ]
        for name, one in row.items()
        if isinstance(one, dict)
    ]  # fmt: skip
    text = f"""
## Chips made to be re-encoded

{row["faces"]} sealed chips for the first recognizer, searched with and without `--robust`. SSIM_e, cosine,
seconds a face, then as above.

"""
    return text + table(["search", "SSIM_e", "cosine", "s a face", *RE_ENCODINGS], lines)


def _speed(row: dict[str, Any]) -> str:
    lines, least = [], "> " if row["at_least"] else ""
    for way, said in WAYS.items():
        one = row[way]
        times = least + _figure(one["times"], 1) if one["times"] else "-"
        lines.append(
            [
                said, f"{one['reached']} of {row['faces']}", _figure(one["steps"], 0),
                _figure(one["seconds"], 1), _figure(one["seconds_a_step"], 3), times,
                _figure(one["whole_steps"], 0), _figure(one["whole_seconds"], 1),
            ]
        )  # fmt: skip
    text = f"""
## Time

Steps and processor seconds a face until the rounded picture reaches cosine {row["cosine"]} for the first
time, by the same recognizer, generator and machine, and how many times sooner than Algorithm 1 as published
(">": it was not there after all its steps). Then the whole search, which goes on until everything it promises
is reached.

"""
    columns = ["search", "reached", "steps", "s", "s a step", "times", "whole: steps", "s"]
    keygen = row["keygen"]
    said = f"""
Making the keys took {keygen["learned"]:.0f} s (learned: the key model of this evaluation) and
{keygen["sealed"]:.3f} s (sealed: an identity).
"""
    return text + table(columns, lines) + said


def _template(row: dict[str, Any]) -> str:
    lines = [
        [name, _figure(row[name]["ssim"]), _figure(row[name]["blind"]), percent(row[name]["recognized"])]
        for name in ("original", "chip")
    ]
    text = f"""
## The chip is the template

AVP hides what a face looks like, not who it is from the recognizer it was made for: the chip's embedding *is*
the person's, so whatever can be done with a stolen template can be done with a chip, by anybody who has the
recognizer. One such thing is drawing a face from it. Here a small network learned that from
{row["learned_from"]} open faces of other people, and no pair of the owner's. What it draws from the chip is
what it draws from the original's template. This is a lower bound: published inversions train on hundreds of
thousands of faces and give pictures that pass as the person. SSIM is with the original; recognized: by a
recognizer that the network was not trained on.

"""
    return text + table(["template of", "SSIM", "mean face", "recognized"], lines)


SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "quality": _quality,
    "other_key": _other_key,
    "wrong_keys": _wrong_keys,
    "paired": _paired,
    "template": _template,
    "ablation": _ablation,
    "robustness": _robustness,
    "speed": _speed,
    "statistics": _statistics,
}

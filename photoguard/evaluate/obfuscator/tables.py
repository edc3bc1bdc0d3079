"""The figures of `evaluate obfuscator` as a page, the paper's beside ours."""

from __future__ import annotations

from typing import Any

from photoguard.evaluate.obfuscator.plots import best

COMMAND = "photoguard evaluate obfuscator --data FOLDER"
# Table 3: MS-SSIM by each attacker. Table 4: MS-SSIM and PSNR. Fig. 7(a): accuracy of gender, %.
PAPER_ATTACKERS = {"AR": 0.3175, "URec#1": 0.3123, "URec#2": 0.3095, "ResRec": 0.3169}
PAPER_ROWS = {
    "photoguard": (0.3175, 6.32, 58.85),
    "undefended": (0.9458, 27.81, 97.36),
    "noise on the picture": (0.7263, 16.97, 90.15),
}
OURS, OPEN, NOISE = "photoguard", "undefended", "noise on the picture"
TARGET_MS_SSIM, TARGET_OPEN, TARGET_POINTS, TARGET_LOSS = 0.30, 0.85, 6.0, 2.0


def page(results: dict[str, Any]) -> str:
    """The whole page; the tables of rows that are there."""
    rows = results["rows"]
    parts = [_introduction(results["heading"], [name for name in rows if name not in (OURS, NOISE)])]
    if OURS in rows:
        parts.append(_targets(results))
    if rows:
        parts += [_private(rows, results["heading"]), _tasks(rows), _restored(rows, results["blind"])]
        parts += [_attackers(rows), _identity(rows, results["blind"]), _pictures(rows)]
    return "\n".join(parts)


def _introduction(head: dict[str, Any], others: list[str]) -> str:
    shares = "\n".join(
        f"| {name} | {', '.join(f'{one} {100 * share:.1f} %' for one, share in classes.items())} |"
        for name, classes in head["shares"].items()
    )
    told = ", ".join(f"{name} {100 * value:.1f} %" for name, value in head["told_by_answer"].items())
    quick = " --quick" if head["size"] == "quick" else ""
    given = "".join(f' --weights "{name}=FILE"' for name in others)
    channels, height, width = head["features"]
    return f"""# DeepObfuscator under attack

Written by

```sh
{COMMAND}{quick}{given}
```

*photoguard* is the shipped model; [obfuscator.md](../methods/obfuscator.md#rivals) has the commands that
trained the others.

{head["faces"]} faces held out of training, {head["side"][1]}x{head["side"][0]} px;
{head["taken_for_known"]} more were left out because a recognizer took them for somebody in the training
set. Features are {channels} maps of {width}x{height}. All attackers but the one that was trained along start
from scratch after the obfuscator was frozen, learn from one half of these people, and are asked about the
other half. They get the files' 8-bit values, and know the obfuscator: they make as many releases of their own
faces as they like.

| attribute | shares |
|---|---|
{shares}

The task's true answer alone gives away (balanced accuracy): {told}. No file that carries the answer can tell
less. Balanced accuracy is the mean over the classes of the share guessed right; intervals are 95 %.
"""


def _targets(results: dict[str, Any]) -> str:
    rows, blind = results["rows"], results["blind"]
    ours, lines = rows[OURS], []

    def line(what: str, paper: str, wanted: str, found: str, met: bool | None) -> None:
        lines.append(f"| {what} | {paper} | {wanted} | {found} | {_met(met)} |")

    for who, attackers in (("the paper's attackers", list(PAPER_ATTACKERS)), ("all", list(ours["restored"]))):
        top = _top(ours, attackers)
        nothing = f"; without a look at the features {blind['ms_ssim']['value']:.3f}"
        line(f"MS-SSIM of the restored face, best of {who}", "0.3175", f"<= {TARGET_MS_SSIM:.2f}",
             f"{top:.3f}{nothing if top > TARGET_MS_SSIM else ''}", top <= TARGET_MS_SSIM)  # fmt: skip
    if OPEN in rows:
        seen = _top(rows[OPEN], list(PAPER_ATTACKERS))
        line("the same of the paper's, undefended", "0.9458", f">= {TARGET_OPEN:.2f}", f"{seen:.3f}",
             seen >= TARGET_OPEN)  # fmt: skip
    for name in ours["fresh"]:
        found = best(ours, name)
        points = 100 * (found["balanced"]["value"] - 1 / found["classes"])
        line(f"{name}, best attacker, points above chance", "8.85 (gender)", f"<= {TARGET_POINTS:.0f}",
             f"{points:.1f}", points <= TARGET_POINTS)  # fmt: skip
    for name in ours["task"] if OPEN in rows else []:
        lost = 100 * (rows[OPEN]["task"][name]["accuracy"] - ours["task"][name]["accuracy"])
        line(f"{name}, accuracy lost, points", "1.15 to 2", f"<= {TARGET_LOSS:.0f}", f"{lost:.1f}",
             lost <= TARGET_LOSS)  # fmt: skip
    for name in _judges(ours):
        worst = max(
            (one["identity"][name] for one in ours["restored"].values()), key=lambda i: i["beyond"]["low"]
        )
        beyond = worst["beyond"]
        line(f"identity cosine beyond strangers, {name}", "-", "interval reaches 0", _signed(beyond),
             beyond["low"] <= 0)  # fmt: skip
        alike = max(
            (one["identity"][name]["alike"] for one in ours["restored"].values()), key=lambda i: i["low"]
        )
        line(f"the same, strangers of the same answer, {name}", "-", "interval reaches 0", _signed(alike),
             alike["low"] <= 0)  # fmt: skip
    return "## Targets\n\n| | paper | wanted | found | |\n|---|---|---|---|---|\n" + "\n".join(lines) + "\n"


def _private(rows: dict[str, Any], head: dict[str, Any]) -> str:
    names = list(next(iter(rows.values()))["fresh"])
    titles = "".join(f" {name} | trained along | fresh | stronger |" for name in names)
    lines = []
    for row, found in rows.items():
        cells = ""
        for name in names:
            one = found["fresh"][name]
            cells += f" {100 * one['majority']:.1f} / {100 / one['classes']:.1f} |"
            cells += "".join(f" {_guess(found[kind], name)} |" for kind in ("along", "fresh", "strong"))
        paper = PAPER_ROWS.get(row)
        lines.append(f"| {row} |{cells} {f'{paper[2]:.2f}' if paper else '-'} |")
    return f"""## Private attributes

Balanced accuracy in %; in front of it the majority class's share and chance. *Fresh* has the architecture of
the adversary that was trained along, *stronger* is a residual network that weighs all features at once as
well. The paper's column is plain accuracy of gender on CelebA (Fig. 7a).

| |{titles} paper |
|---|{"---|" * (4 * len(names) + 1)}
{chr(10).join(lines)}
"""


def _tasks(rows: dict[str, Any]) -> str:
    names = list(next(iter(rows.values()))["task"])
    titles = "".join(f" {name}: accuracy | balanced | majority |" for name in names)
    lines = []
    for row, found in rows.items():
        cells = ""
        for name in names:
            one = found["task"][name]
            cells += (
                f" {100 * one['accuracy']:.1f} | {_percent(one['balanced'])} | {100 * one['majority']:.1f} |"
            )
        bits = "-" if found["bits"] is None else f"{found['bits']:.1f}"
        lines.append(f"| {row} | {bits} |{cells}")
    return f"""## The task

In %. *Bits* bounds what one file can tell anybody about a photo, whatever attacker comes; there is no such
bound without noise on the features.

| | bits |{titles}
|---|---|{"---|" * (3 * len(names))}
{chr(10).join(lines)}
"""


def _restored(rows: dict[str, Any], blind: dict[str, Any]) -> str:
    lines = [f"| no features at all | {_number(blind['ms_ssim'])} | {blind['psnr']:.2f} | - | - |"]
    for row, found in rows.items():
        name = max(found["restored"], key=lambda one: found["restored"][one]["ms_ssim"]["value"])
        one, paper = found["restored"][name], PAPER_ROWS.get(row)
        cells = f"{paper[0]:.4f} | {paper[1]:.2f}" if paper else "- | -"
        lines.append(f"| {row} ({name}) | {_number(one['ms_ssim'])} | {one['psnr']:.2f} | {cells} |")
    return f"""## Restored faces

The best reconstructor of each row. The first row's attacker always shows the same picture, the best one for
these faces: aligned faces are that much alike, and no defense can push an attacker below what costs him
nothing.

| | MS-SSIM | PSNR, dB | paper: MS-SSIM | PSNR |
|---|---|---|---|---|
{chr(10).join(lines)}
"""


def _attackers(rows: dict[str, Any]) -> str:
    names = list(dict.fromkeys(name for found in rows.values() for name in found["restored"]))
    lines = []
    for row, found in rows.items():
        cells = "".join(
            f" {found['restored'][name]['ms_ssim']['value']:.3f} |" if name in found["restored"] else " - |"
            for name in names
        )
        lines.append(f"| {row} |{cells}")
    paper = "".join(f" {PAPER_ATTACKERS.get(name, '-')} |" for name in names)
    return f"""MS-SSIM by attacker (Table 3). *Whole* is ours: it weighs all features for every pixel.

| |{"".join(f" {name} |" for name in names)}
|---|{"---|" * len(names)}
{chr(10).join(lines)}
| paper |{paper}
"""


def _identity(rows: dict[str, Any], blind: dict[str, Any]) -> str:
    names = _judges(next(iter(rows.values())))
    if not names:
        return ""
    lines = []
    for row, found in {**rows, "no features at all": {"restored": {"-": blind}}}.items():
        for name in names:
            attacker, one = max(
                ((a, r["identity"][name]) for a, r in found["restored"].items()),
                key=lambda pair: pair[1]["beyond"]["value"],
            )
            cells = f"{one['same']['value']:.3f} | {one['stranger']['value']:.3f} | {_signed(one['beyond'])}"
            lines.append(f"| {row} ({attacker}) | {name} | {cells} | {_signed(one['alike'])} |")
    return f"""## Identity

Cosine of a recognizer's embeddings of restored and true face, and of restored and somebody else's true face;
the attacker with the largest difference. In the last column the others have the same answer to the task as
the face: what the answer itself tells of it is no news to the service.

| | recognizer | same | stranger | difference | to strangers of the same answer |
|---|---|---|---|---|---|
{chr(10).join(lines)}
"""


def _pictures(rows: dict[str, Any]) -> str:
    return f"""## Pictures

![Accuracy](images/obfuscator-accuracy.png)

Balanced accuracy of the task and of the best attacker on private attributes; dotted: chance (Fig. 7).

![Losses](images/obfuscator-losses.png)

Losses while the shipped model was trained (Fig. 6): L(C), L(AC), L(AR).

![NASA's portrait, restored](images/obfuscator-portrait.png)

NASA's portrait as the attackers restored it (Fig. 4). Rows: {", ".join(rows)}; columns in the order of the
table above.
"""


def _top(row: dict[str, Any], attackers: list[str]) -> float:
    return float(max(one["ms_ssim"]["value"] for name, one in row["restored"].items() if name in attackers))


def _judges(row: dict[str, Any]) -> list[str]:
    return list(next(iter(row["restored"].values()))["identity"])


def _met(met: bool | None) -> str:
    return "met" if met else "missed"


def _guess(found: dict[str, Any] | None, name: str) -> str:
    return _percent(found[name]["balanced"]) if found else "-"


def _percent(one: dict[str, float]) -> str:
    return f"{100 * one['value']:.1f} ({100 * one['low']:.1f} to {100 * one['high']:.1f})"


def _number(one: dict[str, float]) -> str:
    return f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})"


def _signed(one: dict[str, float]) -> str:
    return f"{one['value']:+.3f} ({one['low']:+.3f} to {one['high']:+.3f})"

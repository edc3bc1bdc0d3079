"""What DDM is meant to reach, beside what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Kinds of faces whose restored copies are measured
CUT, LFW, WILD, LARGE = "LFW, cut out at 128 px", "LFW, photos", "CelebA, photos", "CelebA, large faces"
RECOVERED = {CUT: ("34.0 dB", 33.0), LARGE: ("", 34.0)}  # the paper's, and what a CPU's training must reach
IDENTITY = 0.95


@dataclass(frozen=True)
class Target:
    """One target, and whether it was reached."""

    what: str
    paper: str
    wanted: str
    measured: str
    reached: bool


def targets(results: dict[str, Any]) -> list[Target]:
    """All targets that these results can judge."""
    row, returned, size = results["rows"]["DDM"], results["returned"]["DDM"], results["sizes"]["ddm"]
    found = []
    for name, (paper, wanted) in RECOVERED.items():
        if name in returned:
            shown = returned[name]["psnr"]
            found.append(
                Target(f"recovered: {name}", paper, f">= {wanted:g} dB", f"{shown:.2f} dB", shown >= wanted)
            )
    for name in (CUT, LFW, WILD):
        if name in returned:
            cosine = min(returned[name]["identity"].values())
            what = f"identity of the recovered face, cosine: {name}"
            found.append(Target(what, "", f">= {IDENTITY}", f"{cosine:.3f}", cosine >= IDENTITY))
    return [
        *found,
        _at_most("cover, PSNR", "4.41 dB", 8, row["psnr"], " dB"),
        _at_most("cover, SSIM", "", 0.05, row["ssim"]),
        _at_most("covers of two photos differ, gray levels", "", 1, row["difference"]),
        _chance("plain CNN retrained on covers", "3.43 %, 18 x chance", row["plain"]),
        _chance("strong recognizer retrained on covers", "0.01 %", row["strong"]),
        _at_most("private feature, 128 px", "", 200, size["private_feature"], " bytes"),
        _at_most("private file of one face", "", 1024, size["private_file"], " bytes"),
    ]


def _at_most(what: str, paper: str, wanted: float, measured: float, unit: str = "") -> Target:
    return Target(what, paper, f"<= {wanted:g}{unit}", f"{measured:.4g}{unit}", measured <= wanted)


def _chance(what: str, paper: str, hit: dict[str, Any]) -> Target:
    accuracy = hit["accuracy"]
    shown = f"{100 * accuracy['value']:.1f} % ({100 * accuracy['low']:.1f}-{100 * accuracy['high']:.1f})"
    chance = max(1 / hit["people"], hit["blind"])
    return Target(what, paper, f"chance: {100 * chance:.1f} %", shown, not hit["above_chance"])

"""Whether a recognizer errs more often on women than on men: LFW's pairs at one threshold for all.

    python -m benchmarks.recognizer_groups photoguard-small --lfw LFW

LFW is the folder or zip with pairs.txt, and with gender/male.txt and gender/female.txt, names of pictures
in each.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from pathlib import Path

import numpy as np

from photoguard import recognizers
from photoguard.evaluate.common.check import embedded
from photoguard.evaluate.common.lfw import open_lfw
from photoguard.evaluate.common.metrics import best_threshold, cosines


def listed(lfw: Path, name: str) -> set[str]:
    """The people of whom there is a picture in one of the two lists."""
    data = zipfile.Path(lfw, name) if zipfile.is_zipfile(lfw) else lfw / name
    return {line.rsplit("_", 1)[0] for line in data.read_text().split()}


def measured(name: str, path: Path) -> dict[str, float | int | str]:
    """Errors among all pairs, pairs of men and pairs of women, in percent."""
    lfw = open_lfw(path)
    pairs = [pair for fold in lfw.folds for pair in fold]
    names = sorted({name for pair in pairs for name in (pair.first, pair.second)})
    vectors = dict(zip(names, embedded(recognizers.load(name), lfw, names), strict=True))
    first, second = (np.stack([vectors[getattr(pair, end)] for pair in pairs]) for end in ("first", "second"))
    scores, same = cosines(first, second), np.array([pair.same for pair in pairs])
    said_same = scores >= best_threshold(scores, same)
    found: dict[str, float | int | str] = {"recognizer": name}
    for group, people in (
        ("men", listed(path, "gender/male.txt")),
        ("women", listed(path, "gender/female.txt")),
    ):
        mine = np.array([{p.first.split("/")[0], p.second.split("/")[0]} <= people for p in pairs])
        found |= {
            f"pairs of {group}": int(mine.sum()),
            f"{group}: one person taken for two, %": round(100 * float((~said_same)[mine & same].mean()), 2),
            f"{group}: two people taken for one, %": round(100 * float(said_same[mine & ~same].mean()), 2),
        }
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="+", help="recognizer")
    parser.add_argument("--lfw", type=Path, required=True)
    given = parser.parse_args()
    for name in given.name:
        print(json.dumps(measured(name, given.lfw)))


if __name__ == "__main__":
    main()

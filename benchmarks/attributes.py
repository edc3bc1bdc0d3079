"""How much each possible task gives away about gender and race, before any network: UTKFace's labels alone.

python -m benchmarks.attributes --data utkface.zip
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from photoguard.datasets.labels import labeled, leakage
from photoguard.datasets.pictures import Source, listed

TASKS = ("age>=10", "age>=18", "age>=25", "age>=30", "age>=40", "age>=60", "gender")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    pictures = listed(Source(parser.parse_args().data))
    data = labeled(pictures, "utkface", [*TASKS, "race"])
    gender, race = data.labels[:, -2], data.labels[:, -1]
    print("| task | share | tells gender (chance 50 %) | tells race (chance 20 %) |\n|---|---|---|---|")
    for at, task in enumerate(TASKS):
        column = data.labels[:, at]
        of_gender = "-" if task == "gender" else f"{100 * leakage(column, gender):.1f} %"
        share = 100 * float(np.mean(column == 1))
        print(f"| {task} | {share:.1f} % | {of_gender} | {100 * leakage(column, race):.1f} % |")


if __name__ == "__main__":
    main()

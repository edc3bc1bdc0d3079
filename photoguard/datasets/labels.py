"""What is true of the faces of a set of pictures: CelebA's attribute file, UTKFace's file names, or a CSV."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photoguard.datasets.pictures import Picture
from photoguard.errors import UnreadableError, UsageError
from photoguard.files import read_file, shown
from photoguard.nets.obfuscator_config import Attribute

UTKFACE = "utkface"  # in place of a file: the names of the pictures are the labels
GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "other")
MOST_CLASSES = 64
NAMED_AT_MOST = 5  # pictures in an error message

Table = dict[str, dict[str, str]]  # picture -> attribute -> value


@dataclass(frozen=True)
class Labeled:
    """Pictures, and the class of each for every attribute."""

    pictures: list[Picture]
    attributes: tuple[Attribute, ...]
    labels: NDArray[np.int64]
    """(N, attributes)"""

    def __len__(self) -> int:
        return len(self.pictures)

    def at(self, index: NDArray[np.int64]) -> Labeled:
        """Some of them."""
        return Labeled([self.pictures[i] for i in index], self.attributes, self.labels[index])

    def of(self, attributes: Sequence[Attribute]) -> NDArray[np.int64]:
        """The labels of some of the attributes, (N, len(attributes))."""
        return self.labels[:, [self.attributes.index(attribute) for attribute in attributes]]


def labeled(pictures: Sequence[Picture], labels: str, names: Sequence[str], skip: bool = False) -> Labeled:
    """The pictures with their classes of the attributes `names`, such as gender or age>=18.

    `labels` is a file, or "utkface". Pictures without labels and labels without pictures are an error that
    names them, or are left out with `skip`.
    """
    table = from_names(pictures) if labels == UTKFACE else read(Path(labels))
    found = _matched(pictures, table, skip)
    kept = [picture for picture in pictures if picture in found]
    if not kept:
        raise UnreadableError(f"{labels} labels none of the pictures", "its first column names the files")
    columns = [_column([found[picture] for picture in kept], name) for name in names]
    return Labeled(kept, tuple(a for a, _ in columns), np.stack([values for _, values in columns], 1))


def from_names(pictures: Sequence[Picture]) -> Table:
    """UTKFace: `age_gender_race_stamp.jpg`; names of another form have no labels."""
    table: Table = {}
    for picture in pictures:
        match = re.fullmatch(r"(\d{1,3})_([01])_([0-4])_\d+(\.\w+)+", Path(picture.name).name)
        if match:
            age, gender, race = (int(part) for part in match.groups()[:3])
            table[picture.name] = {"age": str(age), "gender": GENDERS[gender], "race": RACES[race]}
    return table


def read(path: Path) -> Table:
    """A CSV `file,attribute,...`, or CelebA's list_attr_celeba.txt."""
    try:
        lines = read_file(path).decode().splitlines()
    except UnicodeDecodeError:
        raise UnreadableError(f"{shown(path)} is not text", "labels are a CSV or CelebA's list") from None
    if lines[0].strip().isdecimal():
        return _celeba(lines, path)
    rows = list(csv.reader(lines))
    head = [name.strip() for name in rows[0]]
    if len(head) < 2 or len(set(head)) != len(head):
        raise UnreadableError(
            f"the first line of {shown(path)} names no attributes", "like this: file,smile,gender"
        )
    table: Table = {}
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        if len(row) != len(head) or row[0] in table:
            raise UnreadableError(
                f"line {number} of {shown(path)} has {len(row)} values, not {len(head)}"
                if len(row) != len(head)
                else f"line {number} of {shown(path)} labels {row[0]} a second time"
            )
        table[row[0].strip()] = dict(zip(head[1:], (value.strip() for value in row[1:]), strict=True))
    return table


def _celeba(lines: list[str], path: Path) -> Table:
    """A count, the names of the attributes, then a picture a line with 1 or -1 for each."""
    names = lines[1].split() if len(lines) > 1 else []
    table: Table = {}
    for number, line in enumerate(lines[2:], 3):
        file, *values = line.split() or [""]
        if not file:
            continue
        if len(values) != len(names) or not set(values) <= {"1", "-1"}:
            raise UnreadableError(
                f"line {number} of {shown(path)} has not 1 or -1 for {len(names)} attributes"
            )
        table[file] = {name: "yes" if v == "1" else "no" for name, v in zip(names, values, strict=True)}
    return table


def _matched(pictures: Sequence[Picture], table: Table, skip: bool) -> dict[Picture, dict[str, str]]:
    """Labels by whole name, else by the name without folders where that is unique."""
    short = Counter(Path(picture.name).name for picture in pictures)
    found, used = {}, set()
    for picture in pictures:
        name = Path(picture.name).name
        key = picture.name if picture.name in table else name if short[name] == 1 else ""
        if key in table:
            found[picture] = table[key]
            used.add(key)
    bare = [picture.name for picture in pictures if picture not in found]
    lost = sorted(table.keys() - used)
    if (bare or lost) and not skip:
        parts = [f"{len(bare)} pictures have no label ({_some(bare)})"] if bare else []
        parts += [f"{len(lost)} labels have no picture ({_some(lost)})"] if lost else []
        raise UnreadableError("; ".join(parts), "--skip-unlabeled goes on without them")
    return found


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
    return shown(", ".join(names[:NAMED_AT_MOST]) + more)


def _column(rows: list[dict[str, str]], name: str) -> tuple[Attribute, NDArray[np.int64]]:
    """An attribute and everybody's class: a column as it is, or a number from a bound on (age>=18)."""
    column, bounded, bound = name.partition(">=")
    real = next((key for key in rows[0] if key.lower() == column.strip().lower()), None)
    if real is None:
        raise UsageError(f"there is no attribute {column!r}", f"the labels have {', '.join(rows[0])}")
    values = [row[real] for row in rows]
    classes: tuple[str, ...] = ("no", "yes")
    if bounded:
        try:
            values = [classes[float(value) >= float(bound)] for value in values]
        except ValueError:
            raise UsageError(
                f"{name} compares values that are not numbers", "a bound needs a column of numbers"
            ) from None
        name = f"{real}>={bound.strip()}"
    else:
        name, classes = real, _classes(set(values), real)
    if len(set(values)) < 2:
        raise UsageError(
            f"every face has the same {name} ({values[0]}): there is nothing to learn and nothing to hide",
            "choose another attribute, or pictures that differ in it",
        )
    number = {value: at for at, value in enumerate(classes)}
    return Attribute(name, classes), np.array([number[value] for value in values], np.int64)


def _classes(values: set[str], name: str) -> tuple[str, ...]:
    if len(values) > MOST_CLASSES:
        raise UsageError(f"{name} has {len(values)} different values", f"choose a bound, like {name}>=18")
    for known in (GENDERS, RACES, ("no", "yes")):
        if values <= set(known):
            return known
    return tuple(sorted(values))


def split_by_hash(data: Labeled, hold_out: int) -> tuple[Labeled, Labeled]:
    """(training, held out): `hold_out` people or pictures by the hash of their name, the same every time.

    Not the last ones in name order as where there are no labels: names may begin with the age.
    """
    groups = {picture.group for picture in data.pictures}
    single = len(groups) < 3  # one folder is not one person
    of = [picture.name if single else picture.group for picture in data.pictures]
    order = sorted(set(of), key=lambda group: sha256(group.encode(errors="surrogateescape")).digest())
    if not 0 <= hold_out < len(order):
        raise UsageError(f"{hold_out} of {len(order)} people or pictures cannot be held out")
    held = set(order[:hold_out])
    out = np.array([group in held for group in of])
    return data.at(np.flatnonzero(~out)), data.at(np.flatnonzero(out))


def leakage(known: NDArray[np.int64], asked: NDArray[np.int64]) -> float:
    """Balanced accuracy of guessing `asked` from the class of `known` alone: what the answer itself tells."""
    classes = np.unique(asked)
    best = 0.0
    for value in np.unique(known):
        best += max(float(np.mean(known[asked == one] == value)) for one in classes)
    return best / len(classes)

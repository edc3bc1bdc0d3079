"""Labels: three sources, what does not match, how people are parted."""

import numpy as np
import pytest
from support.obfuscators import write_faces

from photoguard.datasets import labels
from photoguard.datasets.pictures import Source, listed
from photoguard.errors import UnreadableError, UsageError


@pytest.fixture
def pictures(tmp_path):
    return listed(Source(write_faces(tmp_path / "faces", 12)))


def table(tmp_path, text):
    (tmp_path / "labels.csv").write_text(text)
    return str(tmp_path / "labels.csv")


def csv_of(pictures, skip=0):
    rows = [f"{p.name},{i % 2},{'happy' if i % 3 else 'sad'},{10 + i}" for i, p in enumerate(pictures)]
    return "file,smile,mood,age\n" + "\n".join(rows[skip:]) + "\n"


def test_utkface_names(pictures):
    data = labels.labeled(pictures, "utkface", ["age>=18", "gender", "race"])
    assert [a.name for a in data.attributes] == ["age>=18", "gender", "race"]
    assert data.attributes[2].classes == labels.RACES
    for picture, row in zip(data.pictures, data.labels.tolist(), strict=True):
        age, gender, race = (int(part) for part in picture.name.split("_")[:3])
        assert row == [age >= 18, gender, race]


def test_a_csv_with_words_numbers_and_bounds(pictures, tmp_path):
    data = labels.labeled(pictures, table(tmp_path, csv_of(pictures)), ["smile", "Mood", "age>=15"])
    assert [a.classes for a in data.attributes] == [("0", "1"), ("happy", "sad"), ("no", "yes")]
    assert data.labels[:4].tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 0]]
    assert data.labels[5].tolist() == [1, 0, 1]


def test_celebas_list(pictures, tmp_path):
    lines = [f"{p.name}  {'1' if i % 2 else '-1'} -1" for i, p in enumerate(pictures)]
    text = f"{len(lines)}\nSmiling Male\n" + "\n".join([*lines[:-1], lines[-1][:-2] + "1"]) + "\n"
    data = labels.labeled(pictures, table(tmp_path, text), ["smiling", "male"])
    assert data.labels[:3].tolist() == [[0, 0], [1, 0], [0, 0]] and data.labels[-1].tolist() == [1, 1]
    with pytest.raises(UnreadableError, match="line 3"):
        labels.labeled(pictures, table(tmp_path, text.replace(" -1 -1", " -1 2", 1)), ["smiling"])


def test_labels_by_the_name_without_folders(tmp_path):
    write_faces(tmp_path / "all" / "inner", 6)
    pictures = listed(Source(tmp_path / "all"))
    text = "file,smile\n" + "".join(f"{p.name.rsplit('/')[-1]},{i % 2}\n" for i, p in enumerate(pictures))
    assert len(labels.labeled(pictures, table(tmp_path, text), ["smile"])) == 6


def test_what_does_not_match_is_counted_named_and_skipped_on_request(pictures, tmp_path):
    text = table(tmp_path, csv_of(pictures, skip=2) + "gone.png,1,sad,3\n")
    with pytest.raises(UnreadableError) as caught:
        labels.labeled(pictures, text, ["smile"])
    for part in ("2 pictures have no label", pictures[0].name, "1 labels have no picture", "gone.png"):
        assert part in str(caught.value)
    assert "--skip-unlabeled" in caught.value.hint
    assert len(labels.labeled(pictures, text, ["smile"], skip=True)) == 10


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("file\n", "names no attributes"),
        ("file,a,a\n", "names no attributes"),
        ("file,a\nx.png\n", "line 2"),
        ("file,a\nx.png,1\nx.png,1\n", "second time"),
    ],
)
def test_tables_that_are_none(pictures, tmp_path, text, says):
    with pytest.raises(UnreadableError, match=says):
        labels.labeled(pictures, table(tmp_path, text), ["a"])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hair", "no attribute 'hair'"),
        ("age>=200", r"same age>=200 \(no\)"),
        ("gender>=1", "not numbers"),
        ("age>=old", "not numbers"),
    ],
)
def test_attributes_that_cannot_be_learned(pictures, name, says):
    with pytest.raises(UsageError, match=says):
        labels.labeled(pictures, "utkface", [name])


def test_too_many_values_ask_for_a_bound(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(labels, "MOST_CLASSES", 4)
    with pytest.raises(UsageError, match="12 different values"):
        labels.labeled(pictures, table(tmp_path, csv_of(pictures)), ["age"])


def test_people_are_held_out_by_lot_and_the_same_every_time(tmp_path):
    pictures = listed(Source(write_faces(tmp_path / "faces", 40)))
    data = labels.labeled(pictures, "utkface", ["age>=18"])
    training, held = labels.split_by_hash(data, 15)
    again = labels.split_by_hash(data, 15)[1]
    assert held.pictures == again.pictures and len(held) == 15 and len(training) == 25
    assert not set(held.pictures) & set(training.pictures)
    assert 0.2 < held.labels.mean() < 0.8  # the last in name order would all be children
    assert set(labels.split_by_hash(data, 5)[1].pictures) < set(held.pictures)
    with pytest.raises(UsageError, match="held out"):
        labels.split_by_hash(data, 40)


def test_nobody_is_in_both_parts(tmp_path):
    for person in "abcdef":
        write_faces(tmp_path / "faces" / person, 4)
    data = labels.labeled(listed(Source(tmp_path / "faces")), "utkface", ["age>=18"])
    training, held = labels.split_by_hash(data, 2)
    assert len(held) == 8
    assert not {p.group for p in held.pictures} & {p.group for p in training.pictures}


def test_what_an_answer_alone_tells():
    known = np.array([0, 0, 1, 1])
    assert labels.leakage(known, known) == 1
    assert labels.leakage(known, np.array([0, 1, 0, 1])) == 0.5
    assert labels.leakage(known, np.array([0, 1, 1, 1])) == pytest.approx((1 + 2 / 3) / 2)

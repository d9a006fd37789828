"""One label space for several data sets, and the labels of mirrored clips."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tf_data.labels import flip_targets, label_map, shared_names

LABELS = Path(__file__).parents[2] / "configs" / "labels"
ONE = "passing American football (not in game)"
OTHER = "passing american football (not in game)"  # as K600 writes it


def _names(data_set: str) -> tuple[str, ...]:
    return tuple((LABELS / f"{data_set}.txt").read_text().splitlines())


@pytest.fixture(scope="module")
def kinetics() -> dict[str, tuple[str, ...]]:
    return {name: _names(name) for name in ("k400", "k600", "k700")}


def test_without_a_wish_the_space_is_the_data_set_s_own() -> None:
    assert shared_names({"one": ["b", "a"]}, None) == ("b", "a")
    assert shared_names({"one": ["b", "a"], "two": ("b", "a")}, None) == ("b", "a")


def test_different_lists_are_an_error_that_names_both_and_a_way_out(kinetics: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(
        ValueError,
        match=r"k400 and k600 have different labels: 400 and 600 names, and label 1 is 'air drumming' in the first, "
        r"'acting in play' in the other\. .*label_names='union'",
    ):
        shared_names({name: kinetics[name] for name in ("k400", "k600")}, None)


def test_a_list_that_goes_on_is_a_different_one() -> None:
    with pytest.raises(ValueError, match="label 1 is None in the first, 'b' in the other"):
        shared_names({"one": ["a"], "two": ["a", "b"]}, None)


def test_a_union_has_every_name_once_in_code_point_order(kinetics: dict[str, tuple[str, ...]]) -> None:
    union = shared_names(kinetics, "union")
    assert list(union) == sorted(union)
    assert set(union) == {name for names in kinetics.values() for name in names} - {OTHER}
    assert len({name.casefold() for name in union}) == len(union)


def test_a_union_does_not_depend_on_the_order_of_the_data_sets(kinetics: dict[str, tuple[str, ...]]) -> None:
    assert shared_names(dict(reversed(kinetics.items())), "union") == shared_names(kinetics, "union")


@pytest.mark.parametrize("data_set", ["k400", "k600", "k700"])
def test_every_label_of_a_union_s_data_sets_is_found_in_it(kinetics: dict[str, tuple[str, ...]], data_set: str) -> None:
    union = shared_names(kinetics, "union")
    mapped = label_map(kinetics[data_set], union)
    assert mapped.dtype == np.int64
    assert [union[label].casefold() for label in mapped] == [name.casefold() for name in kinetics[data_set]]


@pytest.mark.parametrize(
    ("own", "shared", "common"), [("k400", "k600", 369), ("k400", "k700", 378), ("k600", "k700", 597)]
)
def test_labels_are_found_by_name(kinetics: dict[str, tuple[str, ...]], own: str, shared: str, common: int) -> None:
    mapped = label_map(kinetics[own], kinetics[shared])
    found = mapped >= 0
    assert found.sum() == common
    assert len(set(mapped[found])) == common
    assert [kinetics[shared][label].casefold() for label in mapped[found]] == [
        name.casefold() for name, is_found in zip(kinetics[own], found, strict=True) if is_found
    ]


def test_k600_s_small_letter_is_the_others_capital(kinetics: dict[str, tuple[str, ...]]) -> None:
    for other in ("k400", "k700"):
        assert label_map([OTHER], kinetics[other]).tolist() == [kinetics[other].index(ONE)]
    assert label_map([ONE], kinetics["k600"]).tolist() == [kinetics["k600"].index(OTHER)]


@pytest.mark.parametrize("renamed", ["dying hair", "making bed", "tying tie", "garbage collecting", "hugging"])
def test_a_renamed_class_is_not_found(kinetics: dict[str, tuple[str, ...]], renamed: str) -> None:
    assert label_map([renamed], kinetics["k400"]).min() >= 0
    assert label_map([renamed], kinetics["k600"]).tolist() == [-1]


@pytest.mark.parametrize(
    "spelling",
    ["massaging_person's_head", "Massaging person’s head", '"massaging person\'s head"', " massaging  person's head"],
)
def test_case_and_typography_make_no_difference(spelling: str) -> None:
    assert label_map([spelling], ["abseiling", "massaging person's head"]).tolist() == [1]


def test_a_spelling_that_fits_two_names_is_neither_of_them() -> None:
    assert label_map(["Left", "LEFT", "left"], ["Left", "left"]).tolist() == [0, -1, 1]


def test_names_come_in_the_order_that_is_asked_for() -> None:
    assert shared_names({"one": ["a", "b", "c"]}, ["c", "a"]) == ("c", "a")
    assert label_map(["a", "b", "c"], ["c", "a"]).tolist() == [1, -1, 0]


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_names_come_from_a_file(tmp_path: Path, ends: str) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes(f"\ufeffzumba{ends}abseiling{ends}".encode())
    assert shared_names({"one": ["a"]}, path) == ("zumba", "abseiling")
    assert shared_names({"one": ["a"]}, str(path)) == ("zumba", "abseiling")


def test_a_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"label_names: '/nowhere/names.txt' can't be read .* None, 'union'"):
        shared_names({"one": ["a"]}, "/nowhere/names.txt")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([], "names no class"),
        (["a", "A"], "name 2, 'A', is 'a' once more"),
        (["a", ""], "name 2 is '', expected the name of a class"),
        (["a", 3], "name 2 is 3, expected the name of a class"),
    ],
)
def test_a_list_that_is_no_label_space_is_an_error(wanted: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shared_names({"one": ["a"]}, wanted)


def test_data_without_label_names_can_t_share_a_space() -> None:
    with pytest.raises(ValueError, match=r"two has no list of label names.* put its labels.txt beside its shards"):
        shared_names({"one": ["a"], "two": ()}, "union")


def test_two_classes_of_one_data_set_are_not_joined_for_their_spelling() -> None:
    with pytest.raises(ValueError, match="'union': one: name 2, 'left', is 'Left' once more"):
        shared_names({"one": ["Left", "left"], "two": ["a"]}, "union")


def test_the_names_in_k600_s_annotations_are_found_in_k700(
    test_data: Path, kinetics: dict[str, tuple[str, ...]]
) -> None:
    with (test_data / "annotations" / "activitynet_kinetics-600_val.csv").open(newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    mapped = label_map(labels, kinetics["k700"])
    missing = {label for label, index in zip(labels, mapped, strict=True) if index < 0}
    assert missing == {"bull fighting", "chopping vegetables", "picking fruit"}


# -- Mirrored clips -------------------------------------------------------------------------------------------------

TURNS = ["turning left", "turning right", "waving", "writing"]


def test_a_class_that_is_not_named_keeps_its_label() -> None:
    targets = flip_targets(TURNS, {})
    assert targets.tolist() == [0, 1, 2, 3]
    assert targets.dtype == np.int64


@pytest.mark.parametrize(
    "flip_labels",
    [
        {"turning left": "turning right"},
        {"turning right": "turning left"},
        {"turning left": "turning right", "turning right": "turning left"},
        {"Turning_Left": "turning right"},
    ],
)
def test_a_pair_counts_both_ways(flip_labels: dict[str, str | None]) -> None:
    assert flip_targets(TURNS, flip_labels).tolist() == [1, 0, 2, 3]


def test_a_class_can_be_spared() -> None:
    assert flip_targets(TURNS, {"writing": None, "turning left": "turning right"}).tolist() == [1, 0, 2, -1]


def test_a_class_may_be_its_own_mirror_image() -> None:
    assert flip_targets(TURNS, {"waving": "waving"}).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("flip_labels", "message"),
    [
        ({"turning left": "turning right", "turning right": "waving"}, "'turning right' would become both"),
        ({"turning left": "turning right", "turning right": None}, "both 'turning left' and None"),
        ({"turning lift": None}, r"'turning lift' is none of the 4 label names \(did you mean 'turning left'"),
        ({"turning left": "turning rigth"}, r"'turning rigth' is none of .*did you mean 'turning right'"),
        ({"turning left": 1}, "1 is none of the 4 label names"),
    ],
)
def test_a_mapping_that_contradicts_itself_or_names_no_class_is_an_error(
    flip_labels: dict[str, str | None], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        flip_targets(TURNS, flip_labels)

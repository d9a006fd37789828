"""Which rows are asked for, what a first scan counts, and that the two agree."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from beam_pipeline.annotations import AnnotationError, Selection, merge, read_rows, scan, selected_rows
from beam_pipeline.labels import shipped_labels
from tf_data import contract

LABELS = ("abseiling", "air drumming", "answering questions", "yoga")
ALL = Selection("val", LABELS)
LIST = """label,youtube_id,time_start,time_end,split
abseiling,aaaaaaaaaaa,1,11,val
air drumming,bbbbbbbbbbb,1,11,validate
abseiling,aaaaaaaaaaa,1,11,val
yoga,aaaaaaaaaaa,1,11,val
yoga,ccccccccccc,1,11,train
Air_Drumming,ddddddddddd,1,11,val
yoga,eeeeeeeeeee,abc,11,val
yoga,fffffffffff,5,15,
"abseiling,ggggggggggg,1,11,val
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "val.csv"
    file.write_text(LIST)
    return str(file)


def real_list(test_data: Path, name: str) -> str:
    file = test_data / "annotations" / name
    if not file.is_file():
        pytest.skip(f"{test_data} has no annotations/{name}")
    return str(file)


# -- Selection ----------------------------------------------------------------------------------------------------


def test_an_index_is_the_position_in_the_label_list() -> None:
    assert [ALL.label_index(name) for name in LABELS] == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["", "juggling"])
def test_what_is_not_in_the_list_has_no_index(name: str) -> None:
    assert ALL.label_index(name) == contract.UNLABELLED


def test_kept_classes_keep_their_indices() -> None:
    kept = replace(ALL, classes=frozenset({"yoga", "air drumming"}))
    assert (kept.label_index("yoga"), kept.label_list) == (3, LABELS)


def test_relabelled_classes_are_numbered_in_the_order_of_the_list() -> None:
    kept = replace(ALL, classes=frozenset({"yoga", "air drumming"}), relabel=True)
    assert kept.label_list == ("air drumming", "yoga")
    assert [kept.label_index(name) for name in ("air drumming", "yoga", "abseiling")] == [0, 1, contract.UNLABELLED]


def test_a_used_selection_is_pickled_as_small_as_a_new_one() -> None:
    used = Selection("val", LABELS)
    used.label_index("yoga")
    assert pickle.dumps(used) == pickle.dumps(Selection("val", LABELS))
    assert pickle.loads(pickle.dumps(used)).label_index("yoga") == 3


# -- Selected rows ------------------------------------------------------------------------------------------------


def test_rows_of_another_split_are_left_out_and_rows_without_one_are_not(path: str) -> None:
    assert [row.line for row in selected_rows(path, ALL)] == [2, 3, 4, 5, 7, 8, 9, 10]
    assert [row.line for row in selected_rows(path, replace(ALL, split="train"))] == [6, 9, 10]


def test_a_label_outside_the_list_is_a_bad_row_that_suggests_the_nearest(path: str) -> None:
    (row,) = (row for row in selected_rows(path, ALL) if row.video_id == "ddddddddddd")
    assert row.error == ("val.csv line 7: label 'Air_Drumming' is not in the label list (did you mean 'air drumming'?)")
    assert row.key == "val.csv:7"


def test_a_subset_leaves_out_other_classes_but_not_rows_whose_class_is_unknown(path: str) -> None:
    kept = replace(ALL, classes=frozenset({"abseiling"}))
    rows = list(selected_rows(path, kept))
    assert [row.line for row in rows if not row.error] == [2, 4]
    assert [row.line for row in rows if row.error] == [10]


def test_the_order_of_the_list_goes_into_its_rows(path: str) -> None:
    assert {row.order for row in selected_rows(path, ALL, 3)} == {3}


def test_no_row_of_a_real_list_is_lost_to_the_shipped_labels(test_data: Path) -> None:
    for name, labels in (
        ("activitynet_kinetics-400_val.csv", "k400"),
        ("cvdf_k600_val.txt.gz", "k600"),
        ("cvdf_k700_2020_val.csv", "k700_2020"),
    ):
        found = scan([real_list(test_data, name)], "val", shipped_labels(labels), None, None)
        assert (found.asked, found.bad) == (found.rows, 0)


def test_a_capital_is_a_difference(test_data: Path) -> None:
    labels = shipped_labels("k400")
    assert labels is not None
    rows = selected_rows(real_list(test_data, "activitynet_kinetics-600_val.csv"), Selection("val", labels))
    bad = {row.error.split("label ", 1)[1] for row in rows if "american football (not" in row.label and row.error}
    assert bad == {
        "'passing american football (not in game)' is not in the label list (did you mean "
        "'passing American football (not in game)' or 'passing American football (in game)'?)"
    }


# -- Scan ---------------------------------------------------------------------------------------------------------


def test_a_scan_counts_each_row_once(path: str) -> None:
    found = scan([path], "val", LABELS, None, None)
    assert (found.rows, found.other_split, found.other_class, found.duplicates) == (9, 1, 0, 1)
    assert (found.asked, found.bad, found.beyond_limit) == (7, 4, 0)


def test_a_scan_of_a_subset_counts_what_is_left_out(path: str) -> None:
    found = scan([path], "val", LABELS, frozenset({"abseiling"}), None)
    assert (found.asked, found.bad, found.other_class, found.duplicates) == (2, 1, 5, 1)


def test_names_are_those_of_good_rows_of_the_split_whatever_is_kept(path: str) -> None:
    found = scan([path], "val", None, frozenset({"yoga"}), None)
    assert found.label_names == ("Air_Drumming", "abseiling", "air drumming", "yoga")


def test_a_bad_row_names_no_label(tmp_path: Path) -> None:
    file = tmp_path / "val.csv"
    file.write_text("label,youtube_id,time_start,time_end\nx,aaaaaaaaaaa,1,11\nval,bbbbbbbbbbb,11,1\n")
    assert scan([str(file)], "val", None, None, None).label_names == ("x",)


@pytest.mark.parametrize(
    ("name", "split", "asked", "duplicates"),
    [
        ("activitynet_kinetics-400_val.csv", "val", 19906, 0),
        ("activitynet_kinetics-600_val.csv", "val", 30000, 0),
        ("activitynet_kinetics-600_val.csv", "train", 0, 0),
        ("countix_val.csv", "val", 1271, 163),
        ("countix_test.csv", "test", 2411, 236),
    ],
)
def test_clips_of_real_lists_are_counted(test_data: Path, name: str, split: str, asked: int, duplicates: int) -> None:
    found = scan([real_list(test_data, name)], split, None, None, None)
    assert (found.asked, found.duplicates, found.bad) == (asked, duplicates, 0)


def test_two_copies_of_a_list_are_duplicates(test_data: Path) -> None:
    path = real_list(test_data, "tiny-kinetics-400_tiny_train.csv")
    found = scan([path, path], "train", None, None, None)
    assert (found.rows, found.asked, found.duplicates) == (800, 400, 400)


@pytest.mark.parametrize("limit", [1, 100, 19905])
def test_a_limit_takes_the_clips_with_the_smallest_keys(test_data: Path, limit: int) -> None:
    path = real_list(test_data, "activitynet_kinetics-400_val.csv")
    found = scan([path], "val", None, None, limit)
    assert found.limited
    assert (found.asked, found.beyond_limit) == (limit, 19906 - limit)
    taken = list(selected_rows(path, Selection("val", found.label_names, limit_key=found.limit_key)))
    by_key = sorted(read_rows(path), key=lambda row: contract.clip_key(row.key))
    assert {row.key for row in taken} == {row.key for row in by_key[:limit]}


@pytest.mark.parametrize("limit", range(1, 12))
def test_bad_rows_count_towards_a_limit(tmp_path: Path, limit: int) -> None:
    file = tmp_path / "val.csv"
    lines = [f"x,{'abcdefghijkl'[i] * 11},{i},{10 if i % 2 else 'z'}" for i in range(12)]
    file.write_text("\n".join(["label,youtube_id,time_start,time_end", *lines]))
    found = scan([str(file)], "val", None, None, limit)
    assert (found.asked, found.beyond_limit) == (limit, 12 - limit)


@pytest.mark.parametrize("limit", [400, 401, None])
def test_a_limit_that_leaves_nothing_out_is_none(test_data: Path, limit: int | None) -> None:
    found = scan([real_list(test_data, "tiny-kinetics-400_tiny_train.csv")], "train", None, None, limit)
    assert (found.asked, found.limited, found.limit_key, found.beyond_limit) == (400, False, None, 0)


def test_a_limit_below_one_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="at least 1 clip, got 0"):
        scan([path], "val", None, None, 0)


@pytest.mark.parametrize("limit", [None, 2, 4])
@pytest.mark.parametrize("classes", [None, frozenset({"abseiling"}), frozenset({"yoga", "air drumming"})])
def test_a_scan_foretells_what_the_ledger_will_hold(
    path: str, classes: frozenset[str] | None, limit: int | None
) -> None:
    found = scan([path, path], "val", LABELS, classes, limit)
    selection = Selection("val", LABELS, classes, limit_key=found.limit_key)
    merged = merge(row for order in (0, 1) for row in selected_rows(path, selection, order))
    assert (found.asked, found.bad) == (len(merged), sum(bool(row.error) for row in merged))
    assert found.rows == found.asked + found.duplicates + found.other_split + found.other_class + found.beyond_limit


def test_a_scan_stops_at_a_file_that_is_no_list(path: str, tmp_path: Path) -> None:
    other = tmp_path / "error.csv"
    other.write_text("<html>404</html>")
    with pytest.raises(AnnotationError, match="web page"):
        scan([path, str(other)], "val", LABELS, None, None)

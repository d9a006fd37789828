"""Split expressions."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tf_data.splits import parse_split


def _rows(expression: str, num_records: int) -> list[int]:
    return [row for part in parse_split(expression) for row in range(num_records)[part.rows(num_records)]]


@pytest.mark.parametrize("spelling", ["val", "valid", "validate", "validation", " Val "])
def test_validation_has_one_name_and_many_spellings(spelling: str) -> None:
    assert [part.split for part in parse_split(spelling)] == ["val"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("train", range(10)),
        ("train[:3]", range(3)),
        ("train[3:]", range(3, 10)),
        ("train[2:4]", range(2, 4)),
        ("train[-2:]", range(8, 10)),
        ("train[:-2]", range(8)),
        ("train[:50%]", range(5)),
        ("train[-20%:]", range(8, 10)),
        ("train[ 10% : 3 ]", range(1, 3)),
        ("train[:]", range(10)),
    ],
)
def test_a_slice_means_what_it_means_in_python(expression: str, expected: range) -> None:
    assert _rows(expression, 10) == list(expected)


@pytest.mark.parametrize("num_records", [100, 101, 237, 19_904])
@pytest.mark.parametrize("percent", [1, 7, 10, 33, 50])
def test_percentages_cover_a_split_without_overlap(num_records: int, percent: int) -> None:
    bounds = [*range(0, 100, percent), 100]
    pieces = [f"train[{a}%:{b}%]" for a, b in pairwise(bounds)]
    assert _rows("+".join(pieces), num_records) == list(range(num_records))


def test_a_sum_has_its_parts_in_order() -> None:
    assert [str(part) for part in parse_split("train[:10%] + valid+test[5:9]")] == ["train[:10%]", "val", "test[5:9]"]


@pytest.mark.parametrize(
    "expression", ["", "train[", "train[5]", "train[a:b]", "train+", "train[:10%", "tr ain", "train[:1.5]"]
)
def test_anything_else_is_an_error_that_shows_what_is_right(expression: str) -> None:
    with pytest.raises(ValueError, match=r"'train\[:10%\]', 'train\[100:200\]'"):
        parse_split(expression)


def test_a_percentage_beyond_100_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"-100 to 100, got 110%"):
        parse_split("train[:110%]")


def test_a_number_beyond_the_records_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"split train\[5:200\]: 200 is beyond the 100 records of train"):
        _rows("train[5:200]", 100)


def test_an_empty_slice_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"split train\[:1%\]: there is nothing in it: train has 10 records"):
        _rows("train[:1%]", 10)


def test_a_split_that_is_no_text_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"must be a string .* got None"):
        parse_split(None)  # type: ignore[arg-type]

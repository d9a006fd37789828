"""Label lists keep their order and say what is wrong with them."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import beam_pipeline
from beam_pipeline.labels import check_classes, read_class_list, read_label_list, shipped_labels


def write(folder: Path, content: str | bytes) -> str:
    path = folder / "names.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


@pytest.mark.parametrize(("name", "count"), [("k400", 400), ("k600", 600), ("k700", 700), ("k700_2020", 700)])
def test_kinetics_lists_are_shipped_in_code_point_order(name: str, count: int) -> None:
    labels = shipped_labels(name)
    assert labels is not None
    assert len(set(labels)) == count
    assert list(labels) == sorted(labels)


@pytest.mark.parametrize("name", ["k400", "k600", "k700"])
def test_shipped_lists_are_the_published_maps(test_data: Path, name: str) -> None:
    published = test_data / "annotations" / f"label_map_{name}.txt"
    if not published.is_file():
        pytest.skip(f"{published} is not there")
    assert shipped_labels(name) == read_label_list(str(published))


@pytest.mark.parametrize(
    ("name", "permuted"), [("k400", [308, 309]), ("k600", [122, 123, 220, 221]), ("k700", [137, 138, 139, 252, 253])]
)
def test_names_are_ordered_as_they_are_and_not_as_file_names(name: str, permuted: list[int]) -> None:
    labels = shipped_labels(name)
    assert labels is not None
    by_file_name = sorted(labels, key=lambda label: re.sub(r"\W+", "_", label))
    assert [index for index, label in enumerate(labels) if label != by_file_name[index]] == permuted


@pytest.mark.parametrize("name", ["demo", "K400", "../k400", "labels/k400", "", "k400.txt"])
def test_other_data_sets_have_no_shipped_list(name: str) -> None:
    assert shipped_labels(name) is None


def test_shipped_lists_are_found_where_the_project_is_installed(tmp_path: Path) -> None:
    here = Path(beam_pipeline.__file__).parent
    shutil.copytree(here, tmp_path / "beam_pipeline")
    shutil.copytree(here.parent / "configs", tmp_path / "beam_pipeline" / "configs")
    shutil.copytree(here.parent / "tf_data", tmp_path / "tf_data")
    code = (
        "import json; from beam_pipeline.labels import shipped_labels; print(json.dumps(shipped_labels('k700_2020')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    labels = shipped_labels("k700")
    assert labels is not None
    assert json.loads(ran.stdout.splitlines()[-1]) == list(labels)


@pytest.mark.parametrize("content", ["b\na b\nC's (d)\n", "b\r\na b\r\nC's (d)\r\n", "\ufeffb\n a b \nC's (d)"])
def test_a_list_is_read_in_its_own_order(tmp_path: Path, content: str) -> None:
    assert read_label_list(write(tmp_path, content)) == ("b", "a b", "C's (d)")


def test_a_zipped_list_is_read(tmp_path: Path) -> None:
    assert read_label_list(write(tmp_path, gzip.compress(b"b\na\n"))) == ("b", "a")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("a\n\nb\n", "names.txt line 2 is empty"),
        ("a\nb\n\n", "names.txt line 3 is empty"),
        ("a\nb\na\n", "names.txt line 3 repeats 'a' of line 1"),
        ("", "names no classes"),
        (b"a\nd\xe9j\xe0\n", "line 2 holds a control character or bytes that are not UTF-8"),
        (b"a\0b\n", "line 1 holds a control character"),
    ],
)
def test_what_is_wrong_with_a_list_is_named_by_line(tmp_path: Path, content: str | bytes, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        read_label_list(write(tmp_path, content))


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.txt: there is no such file"):
        read_label_list(str(tmp_path / "none.txt"))


def test_classes_are_a_list_or_a_file(tmp_path: Path) -> None:
    assert read_class_list(["yoga", " abseiling "]) == ("yoga", "abseiling")
    assert read_class_list(write(tmp_path, "yoga\nabseiling\n")) == ("yoga", "abseiling")


@pytest.mark.parametrize(
    ("classes", "error"),
    [
        (["yoga", True], "classes item 2 is True, expected a class name: put it in quotes"),
        (["yoga", ""], "classes item 2 is empty"),
        (["yoga", "x", "yoga"], "classes item 3 repeats 'yoga' of item 1"),
        ([], "classes names no classes"),
    ],
)
def test_what_is_wrong_with_classes_is_named_by_item(classes: list, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        read_class_list(classes)


def test_known_classes_pass() -> None:
    check_classes(["yoga", "abseiling"], shipped_labels("k400") or ())


def test_each_unknown_class_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="not in the list of 400 labels") as raised:
        check_classes(["yoga", "Air_Drumming", "zzz", "tying knot"], shipped_labels("k400") or ())
    message = str(raised.value)
    assert "'yoga'" not in message
    assert "'Air_Drumming' (did you mean 'air drumming'" in message
    assert "'zzz';" in message
    assert "'tying knot' (did you mean" in message


@pytest.mark.parametrize(("unknown", "near"), [("YOGA", "yoga"), ("a_b_c_d", "a b c d"), ("yoag", "yoga")])
def test_case_and_underscores_are_no_distance(unknown: str, near: str) -> None:
    with pytest.raises(ValueError, match=rf"'{unknown}' \(did you mean '{near}'\?\)"):
        check_classes([unknown], ("yoga", "a b c d", "parkour"))

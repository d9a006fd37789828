"""What a row is, in each format: what is taken, what makes it bad, and that no line is lost."""

from __future__ import annotations

import json
import pickle
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beam_pipeline.annotations import AnnotationError, Row, merge, read_rows
from beam_pipeline.annotations.rows import time_us
from beam_pipeline.clips import Clip

KINETICS = "label,youtube_id,time_start,time_end,split\n"


def read(folder: Path, content: str | bytes, name: str = "list.csv", order: int = 0) -> list[Row]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_rows(str(path), order))


def only(folder: Path, content: str | bytes, name: str = "list.csv") -> Row:
    (row,) = read(folder, content, name)
    return row


def essence(row: Row) -> tuple[str, int, int, str, str]:
    return row.video_id, row.start_us, row.end_us, row.label, row.split


GOOD = ("-bcdefghijk", 12_000_000, 22_000_000, "air drumming", "val")


# -- Tables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "label,youtube_id,time_start,time_end,split\nair drumming,-bcdefghijk,12,22,val\n",
        "label,youtube_id,time_start,time_end,split\r\nair drumming,-bcdefghijk,12,22,validate\r\n",
        "label,youtube_id,time_start,time_end,split\nair drumming,-bcdefghijk,12,22,val",
        'label,youtube_id,time_start,time_end,split,is_cc\n"air drumming",-bcdefghijk,12,22,val,0\n',
        "\ufefflabel,youtube_id,time_start,time_end,split\nair drumming,-bcdefghijk,12,22,val\n",
        "split,time_end,time_start,youtube_id,label\nval,22,12,-bcdefghijk,air drumming\n",
        "Label, YouTube_ID , TIME_START,time_end,Split\nair drumming, -bcdefghijk, 12, 22, val\n",
        '"label","youtube_id","time_start","time_end","split"\n"air drumming","-bcdefghijk","12","22","val"\n',
        "class\tvideo_id\tstart\tend\tsplit\nair drumming\t-bcdefghijk\t12.0\t22.000000\tvalidation\n",
        "label;video_id;start;end;split\nair drumming;-bcdefghijk;12;22;Val\n",
        "n,label,title,youtube_id,time_start,time_end,split\n"
        '0,air drumming,"one, two ""three""",-bcdefghijk,12,22,val\n',
        "label,video_id,kinetics_start,kinetics_end,repetition_start,repetition_end,count,split\n"
        "air drumming,-bcdefghijk,12,22,12.5,19.25,7,val\n",
        'label, youtube_id, time_start, time_end, split\n"air drumming", "-bcdefghijk", "12", "22", "val"\n',
        "\n\nlabel,youtube_id,time_start,time_end,split\n\n,,,,\nair drumming,-bcdefghijk,12,22,val\n \n",
        "label,youtube_id,time_start,time_end,split\nair drumming,-bcdefghijk,12,22,val,,\n",
        "youtube_id,label,time_start,time_end,split,is_cc\n-bcdefghijk,air drumming,12,22,val\n",
    ],
)
def test_a_table_is_read_whatever_its_dialect(tmp_path: Path, content: str) -> None:
    row = only(tmp_path, content)
    assert row.error == ""
    assert essence(row) == GOOD


def test_the_name_of_a_file_decides_nothing(tmp_path: Path) -> None:
    row = only(tmp_path, KINETICS + "air drumming,-bcdefghijk,12,22,val\n", name="list.json.gz")
    assert essence(row) == GOOD


def test_kinetics_own_column_wins_over_an_alias(tmp_path: Path) -> None:
    row = only(tmp_path, "video_id,youtube_id,time_start,start,time_end\nmine,-bcdefghijk,12,0,22\n")
    assert (row.video_id, row.start_us) == ("-bcdefghijk", 12_000_000)


def test_a_label_keeps_case_parentheses_apostrophes_and_quoted_commas(tmp_path: Path) -> None:
    labels = ["passing American football (in game)", "massaging person's head", "déjà vu", "a, b", 'say "hi"']
    lines = [
        f'"{label.replace(chr(34), chr(34) * 2)}",abcdefghijk,{i},{i + 10},val\n' for i, label in enumerate(labels)
    ]
    assert [row.label for row in read(tmp_path, KINETICS + "".join(lines))] == labels


def test_ids_that_look_like_options_or_formulas_are_ids(tmp_path: Path) -> None:
    rows = read(tmp_path, KINETICS + "".join(f"x,{each},1,11,val\n" for each in ("---QUuC4vJs", "-abc", "_b", "own.1")))
    assert [row.error for row in rows] == [""] * 4


def test_a_header_that_comes_again_is_no_row(tmp_path: Path) -> None:
    part = KINETICS + "air drumming,-bcdefghijk,12,22,val\n"
    assert [row.line for row in read(tmp_path, part + part)] == [2, 4]


def test_an_unlabelled_list_has_empty_labels_and_splits(tmp_path: Path) -> None:
    row = only(tmp_path, "youtube_id,time_start,time_end\nabcdefghijk,1,11\n")
    assert (row.label, row.split, row.error) == ("", "", "")


@pytest.mark.parametrize(("split", "canonical"), [("training", "train"), ("Testing", "test"), ("validate", "val")])
def test_splits_have_one_name(tmp_path: Path, split: str, canonical: str) -> None:
    assert only(tmp_path, KINETICS + f"x,abcdefghijk,1,11,{split}\n").split == canonical


# -- Bad rows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("x,abcdefghijk,abc,11,val", "time_start 'abc' is not a number of seconds"),
        ("x,abcdefghijk,1,,val", "time_end '' is not a number of seconds"),
        ("x,abcdefghijk,1,nan,val", "time_end 'nan' is not a number of seconds"),
        ("x,abcdefghijk,1,inf,val", "time_end 'inf' is not a number of seconds"),
        ("x,abcdefghijk,1_0,20,val", "time_start '1_0' is not a number of seconds"),
        ("x,abcdefghijk,00:01,11,val", "time_start '00:01' is not a number of seconds"),
        ("x,abcdefghijk,-1,11,val", "time_start '-1' is negative"),
        ("x,abcdefghijk,1,1e999,val", "time_end '1e999' is beyond 999999 seconds"),
        ("x,abcdefghijk,11,11,val", "time_end '11' is not after time_start '11'"),
        ("x,abcdefghijk,11,1.5,val", "time_end '1.5' is not after time_start '11'"),
        ("x,abc/../etc,1,11,val", "youtube_id 'abc/../etc' is not a video id"),
        ("x,,1,11,val", "youtube_id '' is not a video id"),
        (f"x,{'a' * 129},1,11,val", "is not a video id, which is 1–128 characters"),
        ("x,abcdefghijk,1,11", "has 4 columns where the header has 5"),
        ("a, b,abcdefghijk,1,11,val", "has 6 columns where the header has 5"),
        ('"x,abcdefghijk,1,11,val', "its quotes are broken (unexpected end of data)"),
        ('"x"y,abcdefghijk,1,11,val', "its quotes are broken"),
        ("x\0y,abcdefghijk,1,11,val", "label 'x\\x00y' holds a control character"),
        (f"{'x' * 600},abcdefghijk,1,11,val", "has 600 characters, at most 512 are taken"),
    ],
)
def test_a_bad_row_names_file_line_and_value(tmp_path: Path, line: str, error: str) -> None:
    before, row, after = read(
        tmp_path, f"{KINETICS}x,abcdefghijk,1,11,val\n{line}\nx,abcdefghijk,2,12,val\n", name="train.csv"
    )
    assert row.error.startswith("train.csv line 3: ")
    assert error in row.error
    assert row.key == "train.csv:3"
    assert (before.error, after.error) == ("", "")


def test_bytes_that_are_not_utf8_cost_one_row(tmp_path: Path) -> None:
    latin = "dégustation,abcdefghijk,1,11,val\n".encode("latin-1")
    bad, good = read(tmp_path, KINETICS.encode() + latin + b"x,abcdefghijk,2,12,val\n")
    assert "label 'd\\xe9gustation' holds a control character or bytes that are not UTF-8" in bad.error
    assert bad.label == "d\\xe9gustation"
    assert good.error == ""


def test_a_column_that_is_not_used_may_hold_anything(tmp_path: Path) -> None:
    row = only(tmp_path, b"youtube_id,time_start,time_end,title\nabcdefghijk,1,11,d\xe9j\xe0 \0 vu\n")
    assert row.error == ""


def test_a_bad_row_can_be_written_anywhere(tmp_path: Path) -> None:
    row = only(tmp_path, KINETICS.encode() + b"\xff\xfe,\xff" + b"z" * 500 + b",1,11,\xff\n")
    assert row.video_id == "\\xff" + "z" * 124
    for text in (row.video_id, row.label, row.split, row.error, row.key):
        text.encode()


# -- Times --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("0", 0),
        ("417", 417_000_000),
        ("12.5", 12_500_000),
        ("12.500000", 12_500_000),
        ("0.1", 100_000),
        ("105.770437", 105_770_437),
        ("1e2", 100_000_000),
        (" 7 ", 7_000_000),
        (".25", 250_000),
        ("3.", 3_000_000),
        ("+4", 4_000_000),
        ("-0.0", 0),
        ("12.333333333333334", 12_333_333),
        ("0.0000005", 0),
        ("0.0000015", 2),
        ("999999", 999_999_000_000),
    ],
)
def test_times_are_exact(text: str, microseconds: int) -> None:
    assert time_us(text) == microseconds


@given(st.decimals(0, 999_999, places=6))
def test_every_microsecond_survives(seconds: Decimal) -> None:
    assert time_us(str(seconds)) == int(seconds * 1_000_000)


@pytest.mark.parametrize(
    "text", ["١٢", "１２", "0x10", "1,5", "1 2", "--1", "1e", "e5", "Infinity", "9" * 99, "1e6", "999999.1"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number of seconds|beyond"):
        time_us(text)


# -- Listings -----------------------------------------------------------------------------------------------------

LISTING = """val:
abseiling
air drumming

val/air drumming:
-bcdefghijk_000012_000022.mp4

val/abseiling:
abcdefghijk_000001_000011.mp4
"""


def test_a_listing_has_its_labels_from_folders(tmp_path: Path) -> None:
    drumming, abseiling = read(tmp_path, LISTING, "val.txt")
    assert essence(drumming) == GOOD
    assert essence(abseiling) == ("abcdefghijk", 1_000_000, 11_000_000, "abseiling", "val")
    assert (drumming.line, abseiling.line) == (6, 9)


@pytest.mark.parametrize(
    "content",
    [
        LISTING.replace("\n", "\r\n"),
        "\ufeff" + LISTING,
        LISTING.replace("val/", "./k600/val/").replace("val:", "./k600/val:", 1),
        LISTING + " \n\n",
        LISTING.replace(".mp4", ".mkv"),
        LISTING.replace(".mp4", ""),
        "\ufeffval/air drumming/-bcdefghijk_000012_000022.mp4\nval/abseiling/abcdefghijk_000001_000011.mp4\n",
    ],
)
def test_listings_vary(tmp_path: Path, content: str) -> None:
    assert [essence(row) for row in read(tmp_path, content)] == [
        GOOD,
        ("abcdefghijk", 1_000_000, 11_000_000, "abseiling", "val"),
    ]


@pytest.mark.parametrize(("folder", "split"), [("test", "test"), ("./k600/validate", "val"), (".", ""), ("clips", "")])
def test_a_listing_without_classes_is_unlabelled(tmp_path: Path, folder: str, split: str) -> None:
    row = only(tmp_path, f"{folder}:\nabcdefghijk_000001_000011.mp4\n")
    assert essence(row) == ("abcdefghijk", 1_000_000, 11_000_000, "", split)


def test_a_file_that_is_no_clip_is_a_bad_row_with_its_folder(tmp_path: Path) -> None:
    rows = read(tmp_path, "val/x:\nabcdefghijk_000001_000011.mp4\nabcdefghijk.mp4\nabcdefghijk_000011_000001.mp4\n")
    assert [bool(row.error) for row in rows] == [False, True, True]
    assert "list.csv line 3: 'abcdefghijk.mp4' names no clip" in rows[1].error
    assert (rows[1].label, rows[1].split) == ("x", "val")
    assert "end '000001' is not after start '000011'" in rows[2].error


def test_what_macos_leaves_behind_is_no_clip(tmp_path: Path) -> None:
    rows = read(tmp_path, "val/x:\n.DS_Store\n._abcdefghijk_000001_000011.mp4\nabcdefghijk_000001_000011.mp4\n")
    assert [row.video_id for row in rows] == ["abcdefghijk"]


# -- JSON ---------------------------------------------------------------------------------------------------------

ENTRY = {"label": "air drumming", "segment": [12.0, 22.0]}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    "document",
    [
        {"-bcdefghijk": {"annotations": ENTRY, "duration": 10.0, "subset": "validate", "url": "https://x"}},
        {"-bcdefghijk": {"subset": "validation", "annotations": [ENTRY]}},
        {"version": "1", "database": {"-bcdefghijk": {"annotations": [ENTRY], "subset": "val"}}, "taxonomy": [{}]},
        {"-bcdefghijk": {"annotations": {"label": "air drumming", "segment": ["12", 22]}, "subset": "val"}},
        {"-bcdefghijk_000012_000022": {"annotations": {"label": "air drumming"}, "subset": "val"}},
        {"labels": ["x"], "database": {"-bcdefghijk": {"annotations": ENTRY, "subset": "val"}}},
    ],
)
def test_json_is_read_in_each_of_its_shapes(tmp_path: Path, document: dict, indent: int | None) -> None:
    row = only(tmp_path, json.dumps(document, indent=indent))
    assert row.error == ""
    assert essence(row) == GOOD
    assert row.where == "list.csv annotation 1"


def test_json_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    row = only(tmp_path, "\ufeff" + json.dumps({"-bcdefghijk": {"annotations": ENTRY, "subset": "val"}}))
    assert essence(row) == GOOD


def test_a_number_longer_than_a_block_is_one_number(tmp_path: Path) -> None:
    database = json.dumps({"-bcdefghijk": {"annotations": ENTRY, "subset": "val"}})
    row = only(tmp_path, f'{{"version": {"1" * 300_000}, "database": {database}}}')
    assert essence(row) == GOOD


def test_an_entry_may_hold_several_annotations(tmp_path: Path) -> None:
    document = {"a": {"annotations": [ENTRY, {"label": "x", "segment": [30.25, 41]}]}, "b": {"annotations": ENTRY}}
    rows = read(tmp_path, json.dumps(document))
    assert [(row.video_id, row.start_us, row.line) for row in rows] == [
        ("a", 12_000_000, 1),
        ("a", 30_250_000, 2),
        ("b", 12_000_000, 3),
    ]


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ({"annotations": {"label": "x", "segment": [5, 1]}}, "segment end '1' is not after segment start '5'"),
        ({"annotations": {"label": "x", "segment": [1]}}, "is not [start, end]"),
        ({"annotations": {"label": "x", "segment": [True, 2]}}, "is not [start, end]"),
        ({"annotations": {"label": "x"}}, "segment of 'bad' is missing"),
        ({"annotations": {"label": 3, "segment": [1, 2]}}, "label 3 of 'bad' is not a string"),
        ({"annotations": {"label": "x", "segment": [float("nan"), 2]}}, "segment start 'NaN' is not a number"),
        ({"annotations": []}, "'bad' has no annotation"),
        ({"annotations": ["x"]}, "'bad' has no object for an annotation"),
        ({"subset": "val"}, "'bad' has no annotations"),
        ("x", "'bad' has no annotations"),
        ({"annotations": {"label": "\ud800", "segment": [1, 2]}}, "bytes that are not UTF-8"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_bad_entry_is_a_bad_row(tmp_path: Path, entry: object, error: str, first: bool) -> None:
    good = {"good": {"annotations": ENTRY}}
    rows = read(tmp_path, json.dumps({"bad": entry, **good} if first else {**good, "bad": entry}), "val.json")
    row = rows[0 if first else 1]
    assert row.error.startswith(f"val.json annotation {1 if first else 2}: ")
    assert error in row.error
    assert row.video_id == "bad"
    assert rows[1 if first else 0].error == ""


def test_a_key_that_comes_twice_loses_no_entry(tmp_path: Path) -> None:
    entries = (f'"a": {{"annotations": {{"label": "{label}", "segment": [1, 2]}}}}' for label in "xy")
    assert [row.label for row in read(tmp_path, "{" + ",".join(entries) + "}")] == ["x", "y"]


def test_json_longer_than_a_block_is_read_whole(tmp_path: Path) -> None:
    document = {f"vidéo{i:05d}": {"annotations": {"label": f"élan {i}", "segment": [i, i + 10.5]}} for i in range(9000)}
    rows = read(tmp_path, json.dumps(document, ensure_ascii=False))
    assert [row.label for row in rows] == [f"élan {i}" for i in range(9000)]
    assert [row.end_us for row in rows] == [i * 1_000_000 + 10_500_000 for i in range(9000)]


# -- No line is lost ----------------------------------------------------------------------------------------------

_noise = st.text(st.sampled_from(list("ab1.,\"'\t -_é\0")), max_size=30)
_good = st.tuples(st.integers(0, 500), st.integers(1, 500)).map(lambda t: f"label,abcdefghijk,{t[0]},{t[0] + t[1]},val")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(_noise, _good), max_size=12))
def test_every_line_that_holds_anything_is_a_row(tmp_path: Path, lines: list[str]) -> None:
    rows = read(tmp_path, KINETICS + "\n".join(lines))
    held = [number for number, line in enumerate(lines, start=2) if line.strip(", \t")]
    assert [row.line for row in rows] == held


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(
        [
            KINETICS + 'x,abcdefghijk,1,11,val\n"y z",bbbbbbbbbbb,1.5,11,val\n',
            LISTING,
            json.dumps({"a": {"annotations": ENTRY}}),
        ]
    ),
    st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=4)), max_size=5),
)
def test_mangled_files_raise_nothing_unexpected(tmp_path: Path, content: str, edits: list[tuple[int, bytes]]) -> None:
    mangled = bytearray(content.encode())
    for position, insert in edits:
        mangled[position : position + 1] = insert
    try:
        rows = read(tmp_path, bytes(mangled))
    except AnnotationError as error:
        assert str(error).encode().find(b"list.csv") >= 0
    else:
        for row in rows:
            assert row.error.startswith("list.csv ") or row.clip.clip_id
            (row.video_id + row.label + row.split + row.error).encode()


# -- Rows and their merging ---------------------------------------------------------------------------------------


def row(line: int, label: str = "x", start: int = 1, order: int = 0, **other: str) -> Row:
    return Row(
        "abcdefghijk",
        start * 1_000_000,
        (start + 10) * 1_000_000,
        label,
        "val",
        f"{order}.csv",
        line,
        order=order,
        **other,
    )


def test_a_row_survives_pickling() -> None:
    assert pickle.loads(pickle.dumps(row(3))) == row(3)


def test_a_good_row_is_keyed_by_its_clip_and_knows_it() -> None:
    assert row(3).key == "abcdefghijk_000001_000011"
    assert row(3).clip == Clip("abcdefghijk", 1_000_000, 11_000_000, "x")


def test_exact_duplicates_are_merged_into_the_first() -> None:
    assert merge([row(9, order=1), row(7), row(5, order=1), row(8)]) == [row(7)]


def test_a_second_label_for_a_clip_is_a_bad_row() -> None:
    first, second = row(5, "x"), row(2, "y", order=1)
    good, bad = sorted(merge([second, first]), key=lambda each: each.error)
    assert good == first
    assert bad.key == "1.csv:2"
    assert bad.error == "1.csv line 2: label 'y' for abcdefghijk_000001_000011, which has 'x' in 0.csv line 5"


def test_other_clips_of_a_video_are_left_alone() -> None:
    rows = [row(2, "x", start=30), row(3, "y", start=1)]
    assert merge(rows) == [rows[1], rows[0]]


def test_bad_rows_are_never_merged() -> None:
    rows = [row(2, error="e"), row(3, error="e")]
    assert merge(rows) == rows


@given(
    st.permutations(
        [row(i, label, start) for i, (label, start) in enumerate([("x", 1), ("y", 1), ("x", 1), ("y", 1), ("x", 9)])]
    )
)
def test_merging_does_not_depend_on_the_order_of_arrival(rows: list[Row]) -> None:
    merged = merge(rows)
    assert merged == merge(sorted(rows, key=lambda each: each.line))
    assert [each.line for each in merged] == [1, 0, 4]

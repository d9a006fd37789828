"""Every published annotation list is read whole, and whatever is no list is named."""

from __future__ import annotations

import gzip
import re
import tarfile
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from beam_pipeline.annotations import AnnotationError, Row, read_rows

KINETICS = "label,youtube_id,time_start,time_end,split\n"


@pytest.fixture
def lists(test_data: Path) -> Path:
    folder = test_data / "annotations"
    if not folder.is_dir():
        pytest.skip(f"{test_data} has no folder annotations/")
    return folder


def write(folder: Path, content: str | bytes, name: str = "list.csv") -> str:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def read(folder: Path, content: str | bytes, name: str = "list.csv") -> list[Row]:
    return list(read_rows(write(folder, content, name)))


# -- The real lists -----------------------------------------------------------------------------------------------

REAL_LISTS = [  # file, rows, names, split, first row
    ("activitynet_kinetics-400_val.csv", 19906, 400, "val", ("0wR5jVB-WPk", 417, 427, "abseiling")),
    ("activitynet_kinetics-400_test.csv.gz", 38685, 0, "test", ("--6bJUbfpnQ", 17, 27, "")),
    ("activitynet_kinetics-600_val.csv", 30000, 600, "val", ("yq_M1PMw2hY", 38, 48, "abseiling")),
    ("cvdf_k600_val.txt.gz", 29791, 600, "val", ("OALI_5D8pV0", 174, 184, "tying knot (not on a tie)")),
    ("kinetics-700_val.csv.gz", 35000, 700, "val", ("ixq5OGYjjmA", 154, 164, "abseiling")),
    ("cvdf_k700_2020_val.csv", 33966, 700, "val", ("hY_WBLs6ShA", 16, 26, "abseiling")),
    ("tiny-kinetics-400_tiny_train.csv", 400, 400, "train", ("_4YTwq0-73Y", 44, 54, "abseiling")),
    ("countix_val.csv", 1434, None, "", ("ADtYZmfgeSM", 102, 112, "battle rope training")),
    ("countix_test.csv", 2647, 0, "", ("0CnQ-_e5Sl8", 17, 27, "")),
    ("mini_kinetics_val.json", 2, 2, "val", ("--07WQ2iBlw", 1, 11, "javelin throw")),
    ("mini_kinetics_test.json", 2, 0, "test", ("--6bJUbfpnQ", 17, 27, "")),
]


@pytest.mark.parametrize(("name", "rows", "names", "split", "first"), REAL_LISTS, ids=[each[0] for each in REAL_LISTS])
def test_every_row_of_a_published_list_is_read(
    lists: Path, name: str, rows: int, names: int | None, split: str, first: tuple
) -> None:
    found = list(read_rows(str(lists / name)))
    assert len(found) == rows
    assert [row.error for row in found if row.error] == []
    assert {row.split for row in found} == {split}
    labels = {row.label for row in found} - {""}
    assert names is None or len(labels) == names
    row = found[0]
    assert (row.video_id, row.start_us / 1e6, row.end_us / 1e6, row.label) == first
    assert row.source == name


@pytest.mark.parametrize(
    ("name", "label_map"),
    [
        ("activitynet_kinetics-400_val.csv", "label_map_k400.txt"),
        ("cvdf_k600_val.txt.gz", "label_map_k600.txt"),
        ("activitynet_kinetics-600_val.csv", "label_map_k600.txt"),
        ("kinetics-700_val.csv.gz", "label_map_k700.txt"),
        ("cvdf_k700_2020_val.csv", "label_map_k700.txt"),
    ],
)
def test_labels_are_the_published_names(lists: Path, name: str, label_map: str) -> None:
    published = (lists / label_map).read_text().splitlines()
    assert sorted({row.label for row in read_rows(str(lists / name))}) == published


def test_the_two_clips_with_videos_have_their_rows(lists: Path) -> None:
    rows = {row.video_id: row for row in read_rows(str(lists / "activitynet_kinetics-400_val.csv"))}
    assert rows["WUzgd7C1pWA"].clip.clip_id == "WUzgd7C1pWA_000101_000111"
    assert "R6llTwEh07w" in rows


@pytest.mark.parametrize(
    ("name", "repeated_ids"), [("activitynet_kinetics-600_val.csv", 6), ("kinetics-700_val.csv.gz", 54)]
)
def test_clips_of_one_video_keep_their_own_keys(lists: Path, name: str, repeated_ids: int) -> None:
    rows = list(read_rows(str(lists / name)))
    assert sum(count > 1 for count in Counter(row.video_id for row in rows).values()) == repeated_ids
    assert len({row.key for row in rows}) == len(rows)


def test_a_listing_and_a_table_of_the_same_clips_agree(lists: Path) -> None:
    table = {row.key: row.label for row in read_rows(str(lists / "activitynet_kinetics-600_val.csv"))}
    listing = {row.key: row.label for row in read_rows(str(lists / "cvdf_k600_val.txt.gz"))}
    shared = table.keys() & listing.keys()
    assert len(shared) == 14285
    assert all(table[key] == listing[key] for key in shared)


def test_line_numbers_are_those_of_the_file(lists: Path) -> None:
    path = lists / "cvdf_k700_2020_val.csv"
    lines = path.read_text().splitlines()
    rows = list(read_rows(str(path)))
    assert all(row.video_id in lines[row.line - 1] for row in rows)


@pytest.mark.parametrize(
    "name",
    ["activitynet_kinetics-400_val.csv", "cvdf_k700_2020_val.csv", "mini_kinetics_val.json", "countix_val.csv"],
)
def test_zipping_changes_no_row(lists: Path, tmp_path: Path, name: str) -> None:
    zipped = tmp_path / "without_suffix" / name
    zipped.parent.mkdir()
    zipped.write_bytes(gzip.compress((lists / name).read_bytes()))
    assert list(read_rows(str(zipped))) == list(read_rows(str(lists / name)))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ava_kinetics_val_v1.0.csv.gz", "AVA-Kinetics"),
        ("mini-kinetics-200_val_ytid_list.txt", "video ids without times"),
        ("label_map_k400.txt", "names or plain text"),
        ("label_map_k600.txt", "names or plain text"),
        ("label_map_k700.txt", "names or plain text"),
        ("cvdf_link_path/k400_val_path.txt", "list of URLs"),
        ("cvdf_link_path/k600_val_path.txt", "list of URLs"),
        ("cvdf_README.md", "plain text"),
        ("cvdf_K400_readme.md", "plain text"),
        ("activitynet_crawler_README.md", "plain text"),
        ("SOURCES.csv", "no header line that names the columns"),
        ("quirks.md", "plain text"),
    ],
)
def test_what_is_no_annotation_list_is_named(lists: Path, name: str, says: str) -> None:
    with pytest.raises(AnnotationError, match=says) as raised:
        list(read_rows(str(lists / name)))
    assert str(lists / name) in str(raised.value)
    assert "expected an annotation list" in str(raised.value)


def test_a_video_is_no_annotation_list(test_data: Path) -> None:
    video = next(path for path in sorted((test_data / "videos").iterdir()) if path.suffix == ".mp4")
    with pytest.raises(AnnotationError, match="is a binary file"):
        list(read_rows(str(video)))


# -- Files that are none ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n  \n", "is empty"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", "web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        (b"\0\x01\x02\x03" * 100, "binary"),
        (b"PK\x03\x04rest", "zip archive or a spreadsheet"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        ("label,youtube_id,time_start,time_end\n".encode("utf-16"), "UTF-16"),
        (b"label,youtube_id,time_start,time_end\rabseiling,abcdefghijk,1,11\r", "classic Mac"),
        (gzip.compress(gzip.compress(KINETICS.encode(), mtime=0), mtime=0), "gzip inside gzip"),
        (b"abseiling,0wR5jVB-WPk,417,427,val\n", "has no header line"),
        (b"clips/abseiling/a.mp4 0\n", "files or names with numbers"),
        (
            b"abseiling/a_000001_000011 300 0\n",
            "mmaction2's list of folders, which docs/flow.md makes a table of",
        ),
        (b'[{"youtube_id": "0wR5jVB-WPk"}]', "begins with '\\['"),
        (b"youtube_id,time_start,label\na,1,b\n", "none for the end \\(time_end or kinetics_end or end\\)"),
        (b"youtube_id\n0wR5jVB-WPk\n", "none for the start .* and for the end"),
        (b"label,youtube_id,time_start,time_end,label\n", "two columns label"),
        (b'{"name": "x", "version": 3}', "no member of it has annotations: its members are 'name', 'version'"),
        (b"{}", "its members are none"),
        (b'{"a": {"annotations": {}}', "not valid JSON"),
        (b'{"a": {"annotations": {}}}\n{"b": {"annotations": {}}}', "JSON lines"),
        (b'{"a": {"annotations": {}},}', "comma before a closing brace"),
        (b'{"a": {"annotations": {"label": "x", "segment": [1, 2}}}', "not valid JSON: Expecting ',' delimiter"),
        (b'{"a": ' + b"[" * 100_000, "nested too deep|not valid JSON"),
    ],
)
def test_another_kind_of_file_is_an_error_that_says_what_it_is(tmp_path: Path, content: bytes, says: str) -> None:
    with pytest.raises(AnnotationError, match=says) as raised:
        read(tmp_path, content)
    assert str(raised.value).startswith(str(tmp_path / "list.csv"))


def test_a_tar_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "kinetics600.tar.gz"
    (tmp_path / "train.csv").write_text(KINETICS)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "train.csv")
    with pytest.raises(AnnotationError, match="is a tar archive"):
        list(read_rows(str(path)))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"no_such\.csv: there is no such file"):
        list(read_rows(str(tmp_path / "no_such.csv")))


def test_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="is a folder; name a file"):
        list(read_rows(str(tmp_path)))


def test_an_unknown_file_system_is_named() -> None:
    with pytest.raises(AnnotationError, match=r"nowhere://x/train\.csv can't be read"):
        list(read_rows("nowhere://x/train.csv"))


def test_a_cut_off_download_is_an_error_and_not_a_shorter_list(lists: Path, tmp_path: Path) -> None:
    zipped = (lists / "kinetics-700_val.csv.gz").read_bytes()
    with pytest.raises(AnnotationError, match="can't be read to its end: EOFError"):
        read(tmp_path, zipped[: len(zipped) // 2])


def test_a_damaged_zip_is_an_error(lists: Path, tmp_path: Path) -> None:
    zipped = bytearray((lists / "kinetics-700_val.csv.gz").read_bytes())
    zipped[len(zipped) // 2] ^= 0xFF
    with pytest.raises(AnnotationError, match="can't be read to its end"):
        read(tmp_path, bytes(zipped))


def test_an_endless_line_is_an_error_and_is_not_held_in_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(KINETICS.encode() + b"a" * (64 << 20))
    with pytest.raises(AnnotationError, match="line 2 has 1048576 bytes or more"):
        read(tmp_path, bomb)


def test_json_with_an_endless_member_is_an_error(tmp_path: Path) -> None:
    entry = b'": {"annotations": {"label": "x", "segment": [1, 2]}}}'
    bomb = gzip.compress(b'{"' + b"a" * (64 << 20) + entry, compresslevel=1)
    with pytest.raises(AnnotationError, match="not valid JSON: Unterminated string"):
        read(tmp_path, bomb)


# -- The documentation --------------------------------------------------------------------------------------------


def test_every_sample_in_the_documentation_is_a_list(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "annotations.md"
    formats = page.read_text(encoding="utf-8").split("## Formats")[1].split("\n## ")[0]
    samples = re.findall(r"(?:^    .+\n)+", formats, re.MULTILINE)
    assert len(samples) == 7
    for sample in samples:
        (row,) = read(tmp_path, textwrap.dedent(sample))
        assert (row.error, row.end_us > row.start_us) == ("", True)

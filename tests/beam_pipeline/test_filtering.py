"""`filter` keeps the rows of some classes, each as it was."""

from __future__ import annotations

import errno
import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beam_pipeline import files
from beam_pipeline.annotations import AnnotationError, read_rows
from beam_pipeline.filtering import Filtered, filter_annotations

CLASSES = ["air drumming", "tying knot (not on a tie)", "yoga"]


def filtered(folder: Path, content: str | bytes, classes: list[str], name_out: str = "out.csv") -> bytes:
    source = folder / "in.csv"
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    filter_annotations(classes, str(source), str(folder / name_out))
    return (folder / name_out).read_bytes()


def plain(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


# -- The real lists -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("activitynet_kinetics-400_val.csv", ["yoga", "air drumming"]),
        ("activitynet_kinetics-600_val.csv", ["yoga", "passing american football (not in game)"]),
        ("kinetics-700_val.csv.gz", ["yoga", "massaging person's head"]),
        ("cvdf_k700_2020_val.csv", ["yoga", "punching person (boxing)"]),
        ("tiny-kinetics-400_tiny_train.csv", ["yoga", "air drumming"]),
        ("countix_val.csv", ["battle rope training"]),
    ],
)
def test_a_filtered_table_is_its_header_and_the_lines_of_its_rows(
    test_data: Path, tmp_path: Path, name: str, classes: list[str]
) -> None:
    source, target = test_data / "annotations" / name, tmp_path / "out.csv"
    if not source.is_file():
        pytest.skip(f"{source} is not there")
    counts = filter_annotations(classes, str(source), str(target))
    lines = plain(source).splitlines(keepends=True)
    wanted = [row.line for row in read_rows(str(source)) if row.label in classes]
    assert target.read_bytes() == b"".join([lines[0]] + [lines[number - 1] for number in wanted])
    assert (counts.rows, counts.kept, counts.bad, counts.unreadable) == (len(lines) - 1, len(wanted), 0, 0)
    assert sum(counts.kept_by_class.values()) == counts.kept
    assert set(counts.kept_by_class) == set(classes)


def test_a_filtered_listing_is_a_listing(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "annotations" / "cvdf_k600_val.txt.gz"
    if not source.is_file():
        pytest.skip(f"{source} is not there")
    target = tmp_path / "out.txt"
    filter_annotations(["yoga", "tying knot (not on a tie)"], str(source), str(target))
    head, *folders = target.read_text().split("\n\n")
    assert head.splitlines() == ["val:", "tying knot (not on a tie)", "yoga"]
    assert [folder.splitlines()[0] for folder in folders if folder.strip()] == [
        "val/tying knot (not on a tie):",
        "val/yoga:",
    ]
    essence = [
        [(row.clip, row.split) for row in read_rows(str(path)) if row.label in ("yoga", "tying knot (not on a tie)")]
        for path in (source, target)
    ]
    assert essence[0] == essence[1]


def test_a_filtered_json_is_json_with_its_entries_as_they_were(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "annotations" / "mini_kinetics_val.json"
    if not source.is_file():
        pytest.skip(f"{source} is not there")
    target = tmp_path / "out.json"
    filter_annotations(["flipping pancake"], str(source), str(target))
    text = source.read_text()
    entries = json.loads(text)
    first, second = text.index('\n    "--07WQ2iBlw"'), text.index('\n    "--33Lscn6sk"')
    assert target.read_text() == text[:first] + text[second:]
    assert json.loads(target.read_text()) == {"--33Lscn6sk": entries["--33Lscn6sk"]}


# -- Formats and traps --------------------------------------------------------------------------------------------


def test_everything_about_a_kept_line_stays(tmp_path: Path) -> None:
    content = (
        "\ufeffTitle;Label ;video_id;start;end\r\n"
        'été;"yoga";abcdefghijk;1.50;11\r\n'
        "x;other;abcdefghijk;1;11\r\n"
        " y ; yoga;abcdefghijk;2;12;\r\n"
        "\r\n"
        "z;yoga;abcdefghijk;3;13"
    )
    lines = content.splitlines(keepends=True)
    assert filtered(tmp_path, content, ["yoga"]).decode() == lines[0] + lines[1] + lines[3] + lines[5]


def test_bytes_of_unused_columns_stay(tmp_path: Path) -> None:
    content = b"label,youtube_id,time_start,time_end,title\nyoga,abcdefghijk,1,11,\xff\xe9\n"
    assert filtered(tmp_path, content, ["yoga"]) == content


def test_bytes_of_json_stay(tmp_path: Path) -> None:
    entry = b'{"annotations": {"label": "yoga", "segment": [1, 2]}, "title": "d\xe9j\xe0 \xc3\xa9"}'
    content = b'\xef\xbb\xbf{"abc": ' + entry + b"}\r\n"
    assert filtered(tmp_path, content, ["yoga"]) == content


def test_bad_rows_stay_where_their_class_can_be_read(tmp_path: Path) -> None:
    header = "label,youtube_id,time_start,time_end\n"
    bad, unreadable = "yoga,abcdefghijk,abc,11\n", '"yoga,abcdefghijk,1,11\n'
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(header + "yoga,abcdefghijk,1,11\n" + bad + unreadable + "x,abcdefghijk,1,11\n")
    counts = filter_annotations(["yoga"], str(source), str(target))
    assert counts == Filtered(rows=4, kept=2, bad=1, unreadable=1, kept_by_class={"yoga": 2})
    assert target.read_text() == header + "yoga,abcdefghijk,1,11\n" + bad


@pytest.mark.parametrize("zipped_in", [True, False])
@pytest.mark.parametrize("zipped_out", [True, False])
def test_the_output_is_zipped_when_its_name_says_so(tmp_path: Path, zipped_in: bool, zipped_out: bool) -> None:
    content = b"label,youtube_id,time_start,time_end\nyoga,abcdefghijk,1,11\n"
    written = filtered(
        tmp_path, gzip.compress(content) if zipped_in else content, ["yoga"], "out.csv.gz" if zipped_out else "out.csv"
    )
    assert written.startswith(b"\x1f\x8b") == zipped_out
    assert plain(tmp_path / ("out.csv.gz" if zipped_out else "out.csv")) == content


def test_the_same_rows_are_the_same_zip(tmp_path: Path) -> None:
    content = "label,youtube_id,time_start,time_end\nyoga,abcdefghijk,1,11\n"
    written = filtered(tmp_path, content, ["yoga"], "a.csv.gz")
    assert written == filtered(tmp_path, content, ["yoga"], "b.csv.gz")
    assert written[4:8] == bytes(4), "gzip's header holds no time"


def test_a_listing_of_paths_keeps_its_paths(tmp_path: Path) -> None:
    kept, other = "val/yoga/abcdefghijk_000001_000011.mp4\n", "val/x/abcdefghijk_000002_000012.mp4\n"
    assert filtered(tmp_path, other + kept + other, ["yoga"]).decode() == kept


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_an_entry_with_several_annotations_keeps_those_of_the_classes(tmp_path: Path, indent: int | None) -> None:
    def annotation(label: str, start: float) -> dict:
        return {"segment": [start, start + 10], "label": label}

    document = {
        "version": "1.3",
        "database": {
            "a": {"url": "u", "annotations": [annotation("x", 1), annotation("yoga", 2.50), annotation("yoga", 3)]},
            "b": {"annotations": [annotation("x", 1)], "subset": "val"},
            "c": {"annotations": [annotation("yoga", 1), annotation("x", 9)], "subset": "val"},
            "d": {"annotations": [annotation("yoga", 1)], "subset": "val"},
        },
        "taxonomy": [{"nodeName": "yoga"}, {"nodeName": "x"}],
    }
    expected = json.loads(json.dumps(document))
    del expected["database"]["b"]
    for entry in expected["database"].values():
        entry["annotations"] = [each for each in entry["annotations"] if each["label"] == "yoga"]
    written = filtered(tmp_path, json.dumps(document, indent=indent), ["yoga"]).decode()
    assert written == json.dumps(expected, indent=indent)


_labels = st.lists(st.sampled_from(["yoga", "x", "yoga, hot", 'the "z"']), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_labels, st.sampled_from([None, 0, 2]), st.sampled_from([(",", ":"), (" , ", " : ")]))
def test_json_of_any_layout_is_left_as_it_was_where_all_is_kept(
    tmp_path: Path, labels: list[str], indent: int | None, separators: tuple[str, str]
) -> None:
    document = {f"id{i}": {"annotations": {"label": label, "segment": [i, i + 1.50]}} for i, label in enumerate(labels)}
    text = json.dumps(document, indent=indent, separators=separators)
    assert filtered(tmp_path, text, sorted(set(labels))).decode() == text


# -- What is refused ----------------------------------------------------------------------------------------------

SMALL = "label,youtube_id,time_start,time_end\nair drumming,abcdefghijk,1,11\nyoga,abcdefghijk,1,11\n"


def test_an_unknown_class_writes_nothing_and_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"in\.csv has no row of 'Air_Druming' \(did you mean 'air drumming'\?\)"):
        filtered(tmp_path, SMALL, ["yoga", "Air_Druming"])
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_an_unlabelled_list_can_not_be_filtered(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="names no classes in any row"):
        filtered(tmp_path, "youtube_id,time_start,time_end\nabcdefghijk,1,11\n", ["yoga"])


def test_a_file_that_is_no_list_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="web page"):
        filtered(tmp_path, "<html>", ["yoga"])
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize("link", [False, True])
def test_the_input_is_never_overwritten(tmp_path: Path, link: bool) -> None:
    source = target = tmp_path / "in.csv"
    source.write_text(SMALL)
    if link:
        target = tmp_path / "link.csv"
        target.symlink_to(source)
    with pytest.raises(ValueError, match="the output is the input"):
        filter_annotations(["yoga"], str(source), str(target))
    assert source.read_text() == SMALL


def test_a_folder_is_not_written_to(tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(SMALL)
    target.mkdir()
    with pytest.raises(ValueError, match=r"out\.csv: is a folder"):
        filter_annotations(["yoga"], str(source), str(target))


def test_a_failed_write_leaves_the_earlier_output_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish(temporary: str, path: str) -> None:
        assert Path(temporary).read_text() == "label,youtube_id,time_start,time_end\nyoga,abcdefghijk,1,11\n"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), temporary)

    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(SMALL)
    target.write_text("earlier")
    monkeypatch.setattr(files, "publish", publish)
    with pytest.raises(OSError, match="can't be written: No space left on device") as failed:
        filter_annotations(["yoga"], str(source), str(target))
    assert failed.value.filename == str(target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]
    assert target.read_text() == "earlier"


def test_an_earlier_output_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("old")
    assert filtered(tmp_path, SMALL, ["yoga"]).decode() == "".join(
        SMALL.splitlines(keepends=True)[index] for index in (0, 2)
    )


def test_classes_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_bytes(b"yoga\r\n")
    (tmp_path / "in.csv").write_text(SMALL)
    counts = filter_annotations(str(tmp_path / "classes.txt"), str(tmp_path / "in.csv"), str(tmp_path / "out.csv"))
    assert counts.kept_by_class == {"yoga": 1}

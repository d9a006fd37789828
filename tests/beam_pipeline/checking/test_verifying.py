"""What is found in a data set that is not as a run left it, and what the next run makes of that."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simplejpeg

from beam_pipeline import cli
from beam_pipeline.checking import verify_graph
from beam_pipeline.checking.image_check import Frames
from beam_pipeline.checking.marking import mark
from beam_pipeline.checking.opened_split import describe
from beam_pipeline.checking.record_check import Described, wrong_with
from beam_pipeline.checking.shard_check import Problem, verify_shard
from beam_pipeline.checking.verify_graph import read_report
from beam_pipeline.checking.verifying import Verified, pool_reader, verify
from beam_pipeline.config import load_config
from beam_pipeline.errors import RunError
from beam_pipeline.ledger import LedgerRow, ShardState, read_state, state_path, write_state
from beam_pipeline.locks import not_written, written_by_one
from beam_pipeline.pool import Task
from beam_pipeline.records import SequenceExample
from beam_pipeline.run import run
from beam_pipeline.tfrecord import ShardWriter, read_records
from tests.beam_pipeline.clips_on_disk import write_clip, write_list

CLIPS = [f"clip{n:07d}_{n:06d}_{n + 1:06d}" for n in range(6)]
MISSING = CLIPS[2]
NUM_SHARDS = 2
SETTINGS = ("name=tiny", f"splits.train.shards={NUM_SHARDS}", "workers=1", "encode.shorter_side=64")
STREAMS = ("flow.method=dis", "audio.sample_rate=8000")


class DataSet:
    """A store, a list, and what a run made of them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.store = folder / "store"
        self.out = folder / "out" / "tiny" / "1.0.0"

    def run(self) -> None:
        settings = (*SETTINGS, *STREAMS, f"splits.train.annotations={self.folder / 'train.csv'}")
        run(load_config(None, [*settings, f"source.store={self.store}"], str(self.folder / "out")))

    def shard(self, shard: int) -> Path:
        return self.out / f"tiny-train.tfrecord-{shard:05d}-of-{NUM_SHARDS:05d}"

    def state(self, shard: int) -> ShardState:
        state = read_state(self.state_path(shard))
        assert state
        return state

    def state_path(self, shard: int) -> str:
        return state_path(str(self.out), "train", shard, NUM_SHARDS)

    def files(self) -> dict[str, bytes]:
        """All that has to be the same after mending, byte for byte."""
        return {
            path.name: path.read_bytes() for path in self.out.iterdir() if path.is_file() and path.suffix != ".parquet"
        }

    def fates(self) -> dict[str, str]:
        rows = pq.read_table(self.out / "clips-train.parquet").to_pylist()
        return {row["clip_id"]: row["reason"] for row in rows}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    made = DataSet(tmp_path_factory.mktemp("made") / "a")
    for n, clip in enumerate(CLIPS):
        if clip != MISSING:
            write_clip(made.store / f"{clip}.mp4", hue=n * 40)
    write_list(made.folder / "train.csv", CLIPS)
    made.run()
    return made


@pytest.fixture
def there(made: DataSet) -> Iterator[DataSet]:
    """The data set, where it was made: its rows hold the paths of its clips."""
    kept = made.folder.with_name("kept")
    shutil.copytree(made.folder, kept, copy_function=shutil.copy2)
    yield made
    shutil.rmtree(made.folder)
    kept.rename(made.folder)


class HerePool:
    """Runs tasks in this process."""

    def map(self, tasks: Iterable[tuple[Any, Task | None]]) -> Iterator[tuple[Any, Any]]:
        for key, task in tasks:
            assert task
            yield key, task.function(task.argument)


def found(there: DataSet) -> Verified:
    return verify(str(there.out), [], pool_reader(HerePool()), frames="all")


def told(verified: Verified) -> list[tuple[str, str, str]]:
    """Returns file, clip and what is wrong of each problem."""
    return [(problem.file, problem.clip_id, problem.what) for problem in verified.problems]


def test_what_a_run_left_is_right(there: DataSet, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", str(there.out)]) == 0
    size = sum(there.shard(shard).stat().st_size for shard in range(NUM_SHARDS))
    assert capsys.readouterr().out == (
        f"tiny in {there.out} (train): 2 shards, 5 records, {size / 1000:.1f} kB read, "
        "an image of each clip decoded; all is right\n"
    )


def test_data_sets_are_found_below_a_folder_and_by_their_configuration(
    there: DataSet, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(there.folder)]) == 0
    of_folder = capsys.readouterr().out
    settings = (*SETTINGS, f"splits.train.annotations={there.folder / 'train.csv'}", f"source.store={there.store}")
    words = [word for setting in settings for word in ("--set", setting)]
    assert cli.main(["verify", "--data_dir", str(there.folder / "out"), *words]) == 0
    assert capsys.readouterr().out == of_folder


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Name folders of data sets, or a configuration. Give --config FILE"),
        (["{folder}/store"], "there is no data set"),
        (["{folder}/nowhere"], "there is no data set"),
        (["{folder}", "--split", "test"], "there is no split test, only train"),
    ],
)
def test_what_can_not_be_verified_is_told(
    there: DataSet, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert cli.main(["verify", *(word.format(folder=there.folder) for word in words)]) == 2
    assert message in capsys.readouterr().err


def test_a_data_set_at_which_a_run_is_at_work_is_left_alone(there: DataSet, capsys: pytest.CaptureFixture[str]) -> None:
    with written_by_one(str(there.out / "state"), "data_dir"):
        assert cli.main(["verify", str(there.out)]) == 1
    assert "a run is at work there" in capsys.readouterr().err


def test_a_run_that_finds_a_verify_at_work_says_so(there: DataSet) -> None:
    with (
        not_written(str(there.out / "state")),
        pytest.raises(RunError, match="verify is reading what is there"),
        written_by_one(str(there.out / "state"), "data_dir"),
    ):
        pass


def test_the_workers_of_a_runner_find_what_is_found_here(there: DataSet, capsys: pytest.CaptureFixture[str]) -> None:
    flip(there.shard(1), 100)
    report = there.folder / "report.jsonl"
    words = ["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner", f"--report={report}"]
    assert cli.main(["verify", "--json", str(there.out), *words]) == 1
    by_workers = capsys.readouterr().out
    assert cli.main(["verify", "--json", str(there.out)]) == 1
    assert capsys.readouterr().out == by_workers
    assert [json.loads(line)["shard"] for line in report.read_text().splitlines()] == [0, 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--runner=PrismRunner"], "needs --report FILE"),
        (["--runner=DataflowRunner", "--report=gs://bucket/report"], "Dataflow's workers can't reach it"),
        (["--report=report"], "--report is for the workers of a --runner"),
    ],
)
def test_what_workers_could_not_do_is_told(
    there: DataSet, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert cli.main(["verify", str(there.out), *words]) == 2
    assert message in capsys.readouterr().err


def test_a_runner_that_is_not_there_costs_no_earlier_report(there: DataSet, capsys: pytest.CaptureFixture[str]) -> None:
    report = there.folder / "report.jsonl"
    report.touch()
    assert cli.main(["verify", str(there.out), "--runner=Nonsense", f"--report={report}"]) == 2
    assert "--runner=Nonsense: Unexpected pipeline runner" in capsys.readouterr().err
    assert report.exists()


@pytest.mark.parametrize("content", [b"a thesis", b"1\n", b'{"a": 1}\n', b"\xff"])
def test_a_report_takes_the_place_of_nothing_but_a_report(
    there: DataSet, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    other = there.folder / "other"
    other.write_bytes(content)
    assert cli.main(["verify", str(there.out), "--runner=PrismRunner", f"--report={other}"]) == 2
    assert f"would take the place of {other}: is no report of verify" in capsys.readouterr().err
    assert other.read_bytes() == content


def test_a_problem_is_one_line_whatever_is_in_a_name() -> None:
    name = "a\nall is right\x1b[2J\u202e"
    assert str(Problem("file", "is gone", name)) == r"file: a\nall is right\x1b[2J\u202e: is gone"


def test_a_copy_without_state_is_verified_by_its_ledger(there: DataSet) -> None:
    shutil.rmtree(there.out / "state")
    assert told(found(there)) == []
    flip(there.shard(1), 100)
    ((file, _, what),) = told(found(there))
    assert file == there.shard(1).name
    assert "checksum" in what


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def rewrite(path: Path, records: list[bytes]) -> None:
    with path.open("wb") as file:
        writer = ShardWriter(file)
        for record in records:
            writer.write(record)


def flip_every_record(there: DataSet) -> None:
    for row in there.state(0).rows:
        if row.offset >= 0:
            flip(there.shard(0), row.offset + 100)


def flip_a_length(there: DataSet) -> None:
    flip(there.shard(0), 1)


def cut(there: DataSet) -> None:
    there.shard(0).write_bytes(there.shard(0).read_bytes()[:-30])


def lose(there: DataSet) -> None:
    there.shard(0).unlink()


def add_to_the_end(there: DataSet) -> None:
    there.shard(0).write_bytes(there.shard(0).read_bytes() + b"more")


def swap_records(there: DataSet) -> None:
    rewrite(there.shard(0), list(read_records(str(there.shard(0))))[::-1])


def swap_shards(there: DataSet) -> None:
    content = there.shard(0).read_bytes()
    there.shard(0).write_bytes(there.shard(1).read_bytes())
    there.shard(1).write_bytes(content)


def relabel_soundly(there: DataSet) -> None:
    records = list(read_records(str(there.shard(0))))
    example = SequenceExample.FromString(records[0])
    example.context.feature["clip/label/index"].int64_list.value[0] = 77
    rewrite(there.shard(0), [example.SerializeToString(deterministic=True), *records[1:]])


def damage_the_index(there: DataSet) -> None:
    flip(there.out / "index-train.npz", 400)


def change_the_index(there: DataSet) -> None:
    with np.load(there.out / "index-train.npz") as arrays:
        columns = dict(arrays)
    columns["label"] = columns["label"] + 1
    buffer = io.BytesIO()
    np.savez(buffer, **columns)
    (there.out / "index-train.npz").write_bytes(buffer.getvalue())


def lose_the_index(there: DataSet) -> None:
    (there.out / "index-train.npz").unlink()


def cut_the_ledger(there: DataSet) -> None:
    path = there.out / "clips-train.parquet"
    path.write_bytes(path.read_bytes()[:-50])


def drop_a_row_of_the_ledger(there: DataSet) -> None:
    path = there.out / "clips-train.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(1), path)


def change_the_ledger(there: DataSet) -> None:
    path = there.out / "clips-train.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("num_frames")
    pq.write_table(
        table.set_column(place, table.schema[place], pa.array([9] * len(table), table.schema[place].type)), path
    )


def miscount(there: DataSet) -> None:
    path = there.out / "info-train.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"num_clips": 7}))


def damage_info(there: DataSet) -> None:
    (there.out / "info-train.json").write_text("{")


def reorder_labels(there: DataSet) -> None:
    path = there.out / "labels.txt"
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines()[::-1]) + "one more\n")


SHARD, SHARDS = "tiny-train.tfrecord-00000-of-00002", {f"tiny-train.tfrecord-0000{n}-of-00002" for n in range(2)}


def test_a_worker_that_outlives_a_job_reads_all_anew_for_the_next(there: DataSet, tmp_path: Path) -> None:
    def told_by_workers(report: Path) -> list[str]:
        pipeline = beam.Pipeline(runner="DirectRunner")  # whose workers are this process
        verify_graph.build(pipeline, str(there.out), [("train", 0), ("train", 1)], "none", str(report))
        pipeline.run().wait_until_finish()
        return [problem.what for found in read_report(str(report)).values() for problem in found.problems]

    assert told_by_workers(tmp_path / "before") == []
    change_the_ledger(there)
    assert "has num_frames 9, expected 25: run again, which writes it anew" in told_by_workers(tmp_path / "after")


@pytest.mark.parametrize(
    ("damage", "files", "what"),
    [
        (flip_every_record, {SHARD}, "it fails its checksum"),
        (flip_a_length, {SHARD}, "its length fails its checksum"),
        (cut, {SHARD}, "bytes, expected"),
        (lose, {SHARD}, "is not there"),
        (add_to_the_end, {SHARD}, "bytes, expected"),
        (swap_records, {SHARD}, "bytes, expected"),
        (swap_shards, SHARDS, "bytes, expected"),
        (relabel_soundly, {SHARD}, "has the label [77], expected [0]"),
        (damage_the_index, {"index-train.npz"}, "is damaged"),
        (change_the_index, {"index-train.npz"}, "has label 1, expected 0"),
        (lose_the_index, {"index-train.npz"}, "is not there"),
        (cut_the_ledger, {"clips-train.parquet"}, "is damaged"),
        (drop_a_row_of_the_ledger, {"clips-train.parquet"}, "is missing"),
        (change_the_ledger, {"clips-train.parquet"}, "has num_frames 9, expected"),
        (miscount, {"info-train.json"}, "has num_clips 7, expected 5"),
        (damage_info, {"info-train.json"}, "is not there or damaged"),
        (reorder_labels, {"labels.txt"}, "names, expected"),
    ],
)
def test_damage_is_found_and_the_next_run_mends_it(
    there: DataSet,
    damage: Callable[[DataSet], None],
    files: set[str],
    what: str,
) -> None:
    before, fates = there.files(), there.fates()
    damage(there)
    problems = told(mark(found(there)))
    assert {file for file, _, _ in problems} - {"labels.txt"} == files - {"labels.txt"}
    assert any(what in each for file, _, each in problems if file in files)
    there.run()
    assert told(found(there)) == []
    assert there.files() == before
    assert there.fates() == fates


def test_each_broken_record_is_named_and_no_other(there: DataSet) -> None:
    flip_every_record(there)
    names = {row.row.clip_id for row in there.state(0).rows if row.row.status == "ok"}
    assert len(names) > 1
    assert {clip for _, clip, _ in told(found(there))} == names


def test_records_that_are_right_outlive_a_broken_neighbour_without_their_clips(there: DataSet) -> None:
    row, *others = [row for row in there.state(0).rows if row.row.status == "ok"]
    kept = list(read_records(str(there.shard(0))))[1:]
    flip(there.shard(0), row.offset + 100)
    shutil.rmtree(there.store)
    there.store.mkdir()
    assert mark(found(there)).marked == 1
    there.run()
    assert told(found(there)) == []
    assert list(read_records(str(there.shard(0)))) == kept
    assert {clip for clip, reason in there.fates().items() if reason} == {MISSING, row.row.clip_id}
    assert others


def test_without_marking_nothing_is_changed(there: DataSet, capsys: pytest.CaptureFixture[str]) -> None:
    flip_every_record(there)
    before = {path: path.read_bytes() for path in there.out.rglob("*") if path.is_file()}
    assert cli.main(["verify", "--json", str(there.out)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["problems"]
    assert {path: path.read_bytes() for path in there.out.rglob("*") if path.is_file()} == before


def test_a_state_that_is_gone_is_made_anew_from_the_ledger_and_keeps_records_without_their_clips(
    there: DataSet,
) -> None:
    before, fates, rows = there.files(), there.fates(), there.state(0).rows
    Path(there.state_path(0)).write_text("{")
    ((file, _, what),) = told(mark(found(there)))
    assert (file, "its state is gone or damaged" in what) == (SHARD, True)
    made_from = [(row.row.clip_id, row.source_bytes, row.source_crc32c, row.trimmed) for row in there.state(0).rows]
    assert made_from == [(row.row.clip_id, row.source_bytes, row.source_crc32c, row.trimmed) for row in rows]
    shutil.rmtree(there.store)
    there.store.mkdir()
    there.run()
    assert there.files() == before
    assert there.fates() == fates


def test_a_state_that_is_gone_with_the_ledger_is_told_with_what_to_do(there: DataSet) -> None:
    before = there.files()
    Path(there.state_path(0)).unlink()
    (there.out / "clips-train.parquet").unlink()
    problems = {file: what for file, _, what in told(mark(found(there)))}
    assert "delete the shard to have it made anew" in problems[SHARD]
    there.shard(0).unlink()
    there.run()
    assert there.files() == before


def test_a_shard_of_another_count_would_be_read_too(there: DataSet) -> None:
    shutil.copy(there.shard(0), there.out / "tiny-train.tfrecord-00000-of-00004")
    assert told(found(there)) == [
        ("tiny-train.tfrecord-00000-of-00004", "", "is none of the 2 shards of train: delete it")
    ]


def test_a_run_that_is_not_finished_is_told(there: DataSet) -> None:
    write_state(there.state_path(0), replace(there.state(0), sealed=False))
    assert (SHARD, "", "is not finished: run again") in told(found(there))


FLOW = "FORWARD_FLOW/image"
Change = Callable[[SequenceExample], None]  # type: ignore[valid-type]


@pytest.mark.parametrize(
    ("key", "change", "what"),
    [
        ("example/id", lambda f: f.bytes_list.value.__setitem__(0, b"else"), "is the record of 'else'"),
        ("clip/label/text", lambda f: f.bytes_list.value.__setitem__(0, b"else"), "has clip/label/text 'else'"),
        ("clip/media_id", lambda f: f.Clear(), "has clip/media_id ''"),
        ("clip/end/timestamp", lambda f: f.int64_list.value.append(3), "values in a step of clip/end/timestamp"),
        ("image/frame_rate", lambda f: f.int64_list.value.append(25), "has no float32 in image/frame_rate"),
        ("image/height", lambda f: f.int64_list.value.__setitem__(0, 9), "has image/height [9], expected [64]"),
        (
            "image/frame_rate",
            lambda f: f.float_list.value.__setitem__(0, 30),
            "image/frame_rate [30.0], expected [25.0]",
        ),
        (f"{FLOW}/saturation", lambda f: f.float_list.value.__setitem__(0, 30), "saturation [30.0], expected [20.0]"),
        (f"{FLOW}/method", lambda f: f.bytes_list.value.__setitem__(0, b"tvl1"), "method ['tvl1'], expected ['dis']"),
        (f"{FLOW}/rounding", lambda f: f.bytes_list.value.__setitem__(0, b"truncate"), "expected ['nearest']"),
        (f"{FLOW}/format", lambda f: f.bytes_list.value.__setitem__(0, b"PNG"), "'PNG'"),
        ("WAVEFORM/feature/sample_rate", lambda f: f.float_list.value.__setitem__(0, 4000), "4000"),
        ("quality/short", lambda f: f.int64_list.value.__setitem__(0, 1), "has quality/short [1], expected [0]"),
        ("source/uri", None, "has no source/uri"),
        (
            "image/format",
            lambda f: f.bytes_list.value.__setitem__(0, b"GIF"),
            "has image/format ['GIF'], expected ['JPEG']",
        ),
        ("WAVEFORM/feature/num_samples", lambda f: f.int64_list.value.__setitem__(0, 9), "samples of sound, and says"),
    ],
)
def test_a_context_that_is_not_as_described_is_told(
    made: DataSet, key: str, change: Callable | None, what: str
) -> None:
    def damage(example: SequenceExample) -> None:  # type: ignore[valid-type]
        if change:
            change(example.context.feature[key])
        else:
            del example.context.feature[key]

    assert what in told_of(made, damage)


@pytest.mark.parametrize(
    ("key", "change", "what"),
    [
        ("image/encoded", lambda steps: steps.pop(), "has 24 frames, expected 25"),
        ("image/timestamp", lambda steps: steps.pop(), "has 24 steps of image/timestamp, expected 25"),
        (
            "image/timestamp",
            lambda steps: steps[3].int64_list.value.__setitem__(0, 0),
            "has step 3 of image/timestamp at 0 µs, expected 120000",
        ),
        (
            "FORWARD_FLOW/image/timestamp",
            lambda steps: steps[0].int64_list.value.__setitem__(0, 40_000),
            "has step 0 of FORWARD_FLOW/image/timestamp at 40000 µs, expected 0",
        ),
        ("FORWARD_FLOW/image/encoded", lambda steps: steps.pop(), "has 23 steps of FORWARD_FLOW/image/encoded"),
        ("WAVEFORM/feature/floats", lambda steps: steps.add(), "has 2 steps of WAVEFORM/feature/floats, expected 1"),
        ("image/encoded", lambda steps: steps[2].bytes_list.value.append(b""), "has 2 values in a step"),
        (
            "image/encoded",
            lambda steps: steps[2].bytes_list.value.__setitem__(0, b"\x89PNG"),
            "has no JPEG image in step 2",
        ),
    ],
)
def test_lists_that_are_not_as_described_are_told(made: DataSet, key: str, change: Callable, what: str) -> None:
    assert what in told_of(made, lambda example: change(example.feature_lists.feature_list[key].feature))


def truncate(image: bytes) -> bytes:
    return image[: len(image) // 2]


def replace_by_another_size(_: bytes) -> bytes:
    return simplejpeg.encode_jpeg(np.zeros((32, 48, 3), np.uint8))


@pytest.mark.parametrize("key", ["image/encoded", "FORWARD_FLOW/image/encoded"])
@pytest.mark.parametrize(
    ("change", "what"),
    [(truncate, "that does not decode: "), (replace_by_another_size, "that is 48×32 pixels, expected 80×64")],
)
@pytest.mark.parametrize("layout", ["ours", "another"])
def test_an_image_that_does_not_decode_to_its_size_is_told(
    made: DataSet, key: str, change: Callable[[bytes], bytes], what: str, layout: str
) -> None:
    def damage(example: SequenceExample) -> None:  # type: ignore[valid-type]
        values = example.feature_lists.feature_list[key].feature[20].bytes_list.value
        values[0] = change(values[0])
        if layout == "another":
            example.feature_lists.feature_list["region/timestamp"].feature.add().int64_list.value.append(0)

    assert what in told_of(made, damage, frames="all")
    assert told_of(made, damage, frames="none") == ""


def test_sound_that_is_not_as_long_as_the_footage_is_told(made: DataSet) -> None:
    def damage(example: SequenceExample) -> None:  # type: ignore[valid-type]
        samples = example.feature_lists.feature_list["WAVEFORM/feature/floats"].feature[0].float_list.value
        del samples[4000:]
        example.context.feature["WAVEFORM/feature/num_samples"].int64_list.value[0] = 4000

    assert told_of(made, damage) == "has 4000 samples of sound at 8000 a second, for 1 s of footage"


def told_of(made: DataSet, damage: Change, frames: Frames = "none") -> str:
    row: LedgerRow = next(row.row for row in made.state(0).rows if row.row.status == "ok")
    record = next(read_records(str(made.shard(0))))
    described = describe(str(made.out), "tiny", "train")
    assert wrong_with(record, row, described, "all") == ""
    example = SequenceExample.FromString(record)
    damage(example)
    return wrong_with(example.SerializeToString(deterministic=True), row, described, frames)


def test_bytes_that_are_no_record_are_told(made: DataSet) -> None:
    row = made.state(0).rows[0].row
    assert wrong_with(b"\xff" * 20, row, Described("tiny", "train")) == "is no SequenceExample"


def test_a_state_that_misplaces_a_record_is_told(made: DataSet) -> None:
    state = made.state(0)
    rows = [replace(row, offset=row.offset + 1) if row.offset > 0 else row for row in state.rows]
    found = verify_shard(str(made.out), replace(state, rows=tuple(rows)), describe(str(made.out), "tiny", "train"))
    assert found
    assert {problem.what.split(" of ")[0] for problem in found} == {
        f"its state has it at offset {row.offset}" for row in rows if row.offset > 0
    }

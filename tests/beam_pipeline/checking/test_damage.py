"""Whatever happens to a data set's files is found, and named by file, record, offset and clip: properties.

On what a run left, with several labels and shards, once with and once without its `state/`.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from beam_pipeline.checking.verifying import pool_reader, verify
from beam_pipeline.config import load_config
from beam_pipeline.pool import Task
from beam_pipeline.run import run
from beam_pipeline.tfrecord import FRAMING_BYTES, ShardWriter, read_records
from tests.beam_pipeline.clips_on_disk import write_clip

NUM_CLIPS, NUM_SHARDS, LABELS = 12, 3, ["abseiling", "air drumming", "archery", "yoga"]
property_ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Problem = tuple[str, str, int, int]  # file, clip, position, offset


class DataSet:
    def __init__(self, folder: Path):
        self.folder = folder
        self.shards = [folder / f"tiny-train.tfrecord-{n:05d}-of-{NUM_SHARDS:05d}" for n in range(NUM_SHARDS)]
        self.records = [list(read_records(str(shard))) for shard in self.shards]

    def told(self) -> set[Problem]:
        found = verify(str(self.folder), [], pool_reader(HerePool()), frames="none").problems
        return {(problem.file, problem.clip_id, problem.position, problem.offset) for problem in found}

    def place(self, shard: int, position: int) -> Problem:
        """How a record is to be named."""
        offset = sum(len(record) + FRAMING_BYTES for record in self.records[shard][:position])
        record = self.records[shard][position]
        begin = record.index(b"clip0")
        clip_id = record[begin : record.index(b"_", record.index(b"_", begin) + 1) + 7].decode()
        return self.shards[shard].name, clip_id, position, offset

    @contextlib.contextmanager
    def changed(self, path: Path, content: bytes | None) -> Iterator[None]:
        """Gives a file another content, or none, for a while."""
        before = path.read_bytes() if path.exists() else None
        try:
            _put(path, content)
            yield
        finally:
            _put(path, before)


def _put(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(content)


class HerePool:
    """Runs tasks in this process."""

    def map(self, tasks: Iterable[tuple[Any, Task | None]]) -> Iterator[tuple[Any, Any]]:
        for key, task in tasks:
            assert task
            yield key, task.function(task.argument)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage")
    rows = ["label,youtube_id,time_start,time_end,split"]
    for n in range(NUM_CLIPS):
        write_clip(folder / "store" / f"clip{n:07d}_{n:06d}_{n + 1:06d}.mp4", hue=n * 20)
        rows.append(f"{LABELS[n % len(LABELS)]},clip{n:07d},{n},{n + 1},train")
    (folder / "train.csv").write_text("\n".join(rows) + "\n")
    of_run = ("name=tiny", f"splits.train.shards={NUM_SHARDS}", f"splits.train.annotations={folder / 'train.csv'}")
    of_clips = (
        f"source.store={folder / 'store'}",
        "encode.shorter_side=32",
        "flow.method=dis",
        "audio.sample_rate=1000",
        "workers=1",
    )
    run(load_config(None, [*of_run, *of_clips], str(folder / "out")))
    return folder / "out" / "tiny" / "1.0.0"


@pytest.fixture(scope="module", params=["with state", "without state"])
def made(finished: Path, request: pytest.FixtureRequest) -> Iterator[DataSet]:
    state, away = finished / "state", finished.parent / "state"
    if request.param == "without state":
        state.rename(away)
    made = DataSet(finished)
    assert all(made.records)
    assert made.told() == set()
    yield made
    if away.exists():
        away.rename(state)


@given(data=st.data())
@property_
def test_a_flipped_bit_anywhere_in_a_shard(made: DataSet, data: st.DataObject) -> None:
    shard = data.draw(st.integers(0, NUM_SHARDS - 1))
    position = data.draw(st.integers(0, len(made.records[shard]) - 1))
    place = made.place(shard, position)
    within = data.draw(st.integers(0, len(made.records[shard][position]) + FRAMING_BYTES - 1))
    content = bytearray(made.shards[shard].read_bytes())
    content[place[3] + within] ^= 1 << data.draw(st.integers(0, 7))
    with made.changed(made.shards[shard], bytes(content)):
        assert made.told() == {place}


@given(data=st.data())
@property_
def test_a_truncated_shard(made: DataSet, data: st.DataObject) -> None:
    shard = data.draw(st.integers(0, NUM_SHARDS - 1))
    content = made.shards[shard].read_bytes()
    length = data.draw(st.integers(0, len(content) - 1))
    places = [made.place(shard, position) for position in range(len(made.records[shard]))]
    ends = [offset for *_, offset in places[1:]] + [len(content)]
    broken = {place for place, end in zip(places, ends, strict=True) if end > length}
    with made.changed(made.shards[shard], content[:length]):
        assert made.told() == {(made.shards[shard].name, "", -1, -1), *broken}


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations(range(NUM_SHARDS), 2)))
def test_swapped_shards(made: DataSet, one: int, other: int) -> None:
    first, second = (made.shards[shard].read_bytes() for shard in (one, other))
    with made.changed(made.shards[one], second), made.changed(made.shards[other], first):
        told = made.told()
    assert {file for file, *_ in told} == {made.shards[one].name, made.shards[other].name}
    assert {made.place(one, 0), made.place(other, 0)} <= told


@pytest.mark.parametrize("shard", range(NUM_SHARDS))
def test_a_missing_shard(made: DataSet, shard: int) -> None:
    with made.changed(made.shards[shard], None):
        assert made.told() == {(made.shards[shard].name, "", -1, -1)}


@given(
    name=st.one_of(
        st.builds("tiny-train.tfrecord-{:05d}-of-{:05d}".format, st.integers(0, 99999), st.integers(1, 99999)),
        st.builds("tiny-train.tfrecord-00000-of-00003{}".format, st.sampled_from([".bak", "~", " (copy)", ".1"])),
        st.builds("{}.tfrecord-00000-of-00003".format, st.sampled_from(["tiny-val", "other-train", "tiny-train2"])),
    )
)
@property_
def test_an_extra_shard(made: DataSet, name: str) -> None:
    path = made.folder / name
    assume(not path.exists())
    with made.changed(path, made.shards[0].read_bytes()):
        assert made.told() == {(name, "", -1, -1)}


@given(data=st.data())
@property_
def test_two_records_exchanged(made: DataSet, data: st.DataObject) -> None:
    places = [(shard, position) for shard in range(NUM_SHARDS) for position in range(len(made.records[shard]))]
    one, other = data.draw(st.lists(st.sampled_from(places), min_size=2, max_size=2, unique=True))
    records = [list(of_shard) for of_shard in made.records]
    records[one[0]][one[1]], records[other[0]][other[1]] = records[other[0]][other[1]], records[one[0]][one[1]]
    with contextlib.ExitStack() as stack:
        for shard in {one[0], other[0]}:
            stack.enter_context(made.changed(made.shards[shard], framed(records[shard], made.folder / "framed")))
        told = made.told()
    assert {made.place(*one), made.place(*other)} <= told
    assert {file for file, *_ in told} == {made.shards[shard].name for shard in {one[0], other[0]}}


def framed(records: list[bytes], path: Path) -> bytes:
    with path.open("wb") as file:
        writer = ShardWriter(file)
        for record in records:
            writer.write(record)
    content = path.read_bytes()
    path.unlink()
    return content


# What a record says too, to the last bit.
OF_RECORDS = ["clip_id", "label", "label_index", "num_frames", "width", "height", "bytes", "short", "damaged"]


def ledger_of(content: bytes, of_records: bool) -> Any:
    return pq.read_table(pa.BufferReader(content), columns=OF_RECORDS if of_records else None).to_pylist()


def index_of(content: bytes, _of_records: bool) -> Any:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {name: arrays[name].tolist() for name in arrays.files}


@pytest.mark.parametrize(("file", "read"), [("clips-train.parquet", ledger_of), ("index-train.npz", index_of)])
@given(data=st.data())
@property_
def test_a_flipped_bit_anywhere_in_the_ledger_or_the_index(
    made: DataSet, data: st.DataObject, file: str, read: Callable[[bytes, bool], Any]
) -> None:
    path = made.folder / file
    before = path.read_bytes()
    content = bytearray(before)
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with made.changed(path, bytes(content)):
        if not made.told():  # where nothing is read, such as a time of the archive, or what only the ledger says
            of_records = not (made.folder / "state").exists()
            assert read(bytes(content), of_records) == read(before, of_records)


def values_in(info: dict[str, Any], *keys: str) -> list[tuple[str, ...]]:
    """Where the values are that are in a JSON object, and the objects in it."""
    places = []
    for key, value in info.items():
        places.append((*keys, key))
        if isinstance(value, dict):
            places += values_in(value, *keys, key)
    return places


NOT_READ = {"tools", "unfinished", "complete", "configuration"}  # by no reader, or told by no shard
_ANY = st.none() | st.integers(-2, 300) | st.floats(0, 100) | st.text(max_size=5) | st.just([]) | st.just({})


@given(data=st.data())
@settings(property_, max_examples=100)
def test_another_value_anywhere_in_what_metadata_says_to_readers(made: DataSet, data: st.DataObject) -> None:
    path = made.folder / "info-train.json"
    info = json.loads(path.read_text())
    places = values_in({key: value for key, value in info.items() if key not in NOT_READ})
    if (made.folder / "state").exists():  # else what frames were made with is written nowhere but here
        places += values_in(info["configuration"]["encode"], "configuration", "encode")
    *outer, key = data.draw(st.sampled_from(places))
    within = functools.reduce(dict.__getitem__, outer, info)
    value = data.draw(_ANY)
    assume(value != within[key])
    within[key] = value
    with made.changed(path, json.dumps(info).encode()):
        told = made.told()
    # Without state/ nobody knows which of the two has the right number of labels.
    files = {"info-train.json", "labels.txt"} if (*outer, key) == ("labels",) else {"info-train.json"}
    assert files & {file for file, *_ in told}


@pytest.mark.parametrize("key", ["configuration", "features", "flow", "audio", "name", "version", "complete", "labels"])
def test_metadata_that_lacks_something(made: DataSet, key: str) -> None:
    path = made.folder / "info-train.json"
    info = json.loads(path.read_text())
    del info[key]
    with made.changed(path, json.dumps(info).encode()):
        assert ("info-train.json", "", -1, -1) in made.told()


@given(data=st.data())
@property_
def test_a_flipped_bit_anywhere_in_the_label_list(made: DataSet, data: st.DataObject) -> None:
    path = made.folder / "labels.txt"
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with made.changed(path, bytes(content)):
        assert made.told() == {("labels.txt", "", -1, -1)}


@pytest.mark.parametrize("end", ["", "\r\n", "\v", "\x1e", "\x85", "\u2028"])
def test_a_label_list_with_another_end_of_line(made: DataSet, end: str) -> None:
    with made.changed(
        made.folder / "labels.txt", "".join(f"{label}\n" for label in LABELS[:-1]).encode() + b"yoga" + end.encode()
    ):
        assert made.told() == {("labels.txt", "", -1, -1)}


def unequal(labels: list[str]) -> bool:
    return labels != LABELS


@given(labels=st.permutations(LABELS).filter(unequal))
@property_
def test_a_label_list_of_another_order(made: DataSet, labels: list[str]) -> None:
    with made.changed(made.folder / "labels.txt", "".join(f"{label}\n" for label in labels).encode()):
        assert made.told() == {("labels.txt", "", -1, -1)}


@given(change=st.sampled_from([lambda names: names[:-1], lambda names: [*names, "zumba"], lambda names: []]))
@property_
def test_a_label_list_of_another_length(made: DataSet, change: Callable[[list[str]], list[str]]) -> None:
    with made.changed(made.folder / "labels.txt", "".join(f"{label}\n" for label in change(LABELS)).encode()):
        assert made.told() == {("labels.txt", "", -1, -1)}

"""The whole job as its users run it: started, stopped, killed, run again, and every clip accounted for."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from beam_pipeline.records import parse_sequence_example
from beam_pipeline.tfrecord import read_records
from tests.beam_pipeline import command_line
from tests.beam_pipeline.clips_on_disk import write_clip, write_list

ROOT = Path(__file__).parents[2]
CLIPS = [f"clip{n:07d}_{n:06d}_{n + 1:06d}" for n in range(10)]
MISSING, CORRUPT = CLIPS[3], CLIPS[6]
NUM_SHARDS = 3


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    for n, clip in enumerate(CLIPS):
        if clip != MISSING:
            write_clip(folder / f"{clip}.mp4", hue=n * 20)
    (folder / f"{CORRUPT}.mp4").write_bytes(b"not a video at all" * 40)
    write_list(folder / "train.csv", [*CLIPS, CLIPS[0]])
    return folder


def words(store: Path, data_dir: Path, *extra: str) -> list[str]:
    return [
        *("run", "--json", "--data_dir", str(data_dir)),
        *("--set", "name=tiny", "--set", f"splits.train.annotations={store / 'train.csv'}"),
        *("--set", f"splits.train.shards={NUM_SHARDS}", "--set", f"source.store={store}", "--set", "workers=2"),
        *("--set", "encode.shorter_side=64", *extra),
    ]


def command(store: Path, data_dir: Path, *extra: str) -> list[str]:
    """The same for a process of its own."""
    return [sys.executable, "-m", "beam_pipeline", *words(store, data_dir, *extra)]


def run(store: Path, data_dir: Path, *extra: str, status: int = 0, env: dict[str, str] | None = None) -> dict:
    if env is None:
        done = command_line.call(words(store, data_dir, *extra))
    else:
        done = subprocess.run(
            command(store, data_dir, *extra), cwd=ROOT, capture_output=True, text=True, env=os.environ | env
        )
    assert done.returncode == status, done.stderr
    if status in (1, 2) and not done.stdout:
        return {"error": done.stderr}
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def folder(data_dir: Path) -> Path:
    return data_dir / "tiny" / "1.0.0"


def hashes(data_dir: Path) -> dict[str, str]:
    """What has to be the same byte for byte: shards, labels and index."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder(data_dir).iterdir())
        if "tfrecord" in path.name or path.name in ("labels.txt", "index-train.npz")
    }


def ledger(data_dir: Path, *but: str) -> list[dict]:
    rows = pq.read_table(folder(data_dir) / "clips-train.parquet").to_pylist()
    return [{key: value for key, value in row.items() if key not in but} for row in rows]


def lasting(data_dir: Path) -> list[dict]:
    return ledger(data_dir, "attempts", "attempted_at")


def no_leftovers(data_dir: Path) -> bool:
    return not [path for path in folder(data_dir).rglob("*") if "partial" in path.name or path.suffix == ".tmp"]


@pytest.fixture(scope="module")
def undisturbed(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("undisturbed")
    run(store, data_dir)
    return data_dir


def test_every_clip_is_accounted_for(store: Path, undisturbed: Path) -> None:
    rows = {row["clip_id"]: row for row in ledger(undisturbed)}
    assert sorted(rows) == CLIPS
    reasons = {clip: row["reason"] for clip, row in rows.items() if row["status"] != "ok"}
    assert reasons == {MISSING: "not_found", CORRUPT: "unreadable"}
    info = json.loads((folder(undisturbed) / "info-train.json").read_text())
    assert (info["complete"], info["num_asked"], info["num_clips"]) == (True, 10, 8)
    assert info["num_failed"] == {"not_found": 1, "unreadable": 1}
    assert no_leftovers(undisturbed)


def test_ledger_and_index_say_where_each_record_is(undisturbed: Path) -> None:
    rows = [row for row in ledger(undisturbed) if row["status"] == "ok"]
    index = np.load(folder(undisturbed) / "index-train.npz")
    for shard in range(NUM_SHARDS):
        name = folder(undisturbed) / f"tiny-train.tfrecord-{shard:05d}-of-{NUM_SHARDS:05d}"
        records = list(read_records(str(name)))
        ids = [parse_sequence_example(record)[0]["example/id"][0].decode() for record in records]
        assert ids == sorted(ids)
        assert [(row["clip_id"], row["position"]) for row in rows if row["shard"] == shard] == [
            (clip, position) for position, clip in enumerate(ids)
        ]
        of_shard = index["shard"] == shard
        assert index["length"][of_shard].tolist() == [len(record) for record in records]
        content = name.read_bytes()
        for offset, record in zip(index["offset"][of_shard], records, strict=True):
            assert content[offset + 12 : offset + 12 + len(record)] == record


def test_a_second_run_changes_nothing(store: Path, undisturbed: Path) -> None:
    before, rows = hashes(undisturbed), lasting(undisturbed)
    stamps = {path: path.stat().st_mtime_ns for path in folder(undisturbed).glob("*tfrecord*")}
    run(store, undisturbed)
    assert hashes(undisturbed) == before
    assert lasting(undisturbed) == rows
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    attempts = {row["clip_id"]: row["attempts"] for row in ledger(undisturbed)}
    assert attempts[CLIPS[0]] == attempts[CORRUPT] == 1
    assert attempts[MISSING] == 2


@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_workers_makes_no_difference(
    store: Path, undisturbed: Path, tmp_path: Path, workers: int
) -> None:
    run(store, tmp_path, "--set", f"workers={workers}")
    assert hashes(tmp_path) == hashes(undisturbed)
    assert lasting(tmp_path) == lasting(undisturbed)


def test_a_clip_that_comes_later_is_encoded_alone(store: Path, undisturbed: Path, tmp_path: Path) -> None:
    grown = tmp_path / "store"
    grown.mkdir()
    for path in store.iterdir():
        (grown / path.name).write_bytes(path.read_bytes())
    run(grown, tmp_path)
    write_clip(grown / f"{MISSING}.mp4", hue=60)
    run(grown, tmp_path)
    attempts = {row["clip_id"]: row["attempts"] for row in ledger(tmp_path)}
    assert attempts == {clip: 2 if clip == MISSING else 1 for clip in CLIPS}
    run(grown, tmp_path / "at_once")
    assert hashes(tmp_path) == hashes(tmp_path / "at_once")


def test_a_changed_file_is_encoded_again_and_a_lost_one_keeps_its_record(store: Path, tmp_path: Path) -> None:
    changing = tmp_path / "store"
    changing.mkdir()
    for path in store.iterdir():
        (changing / path.name).write_bytes(path.read_bytes())
    run(changing, tmp_path)
    before = _records(tmp_path)
    write_clip(changing / f"{CLIPS[1]}.mp4", hue=255)
    (changing / f"{CLIPS[2]}.mp4").unlink()
    (changing / f"{CLIPS[4]}.mp4").write_bytes(b"broken since")
    run(changing, tmp_path)
    after = _records(tmp_path)
    assert after.keys() == before.keys()
    assert [clip for clip in after if after[clip] != before[clip]] == [CLIPS[1]]


def _records(data_dir: Path) -> dict[str, bytes]:
    records = [record for path in sorted(folder(data_dir).glob("*tfrecord*")) for record in read_records(str(path))]
    return {parse_sequence_example(record)[0]["example/id"][0].decode(): record for record in records}


def test_damaged_shards_are_made_whole(store: Path, undisturbed: Path, tmp_path: Path) -> None:
    run(store, tmp_path)
    shards = sorted(folder(tmp_path).glob("*tfrecord*"))
    shards[0].write_bytes(shards[0].read_bytes()[:-100])
    shards[1].unlink()
    run(store, tmp_path)
    assert hashes(tmp_path) == hashes(undisturbed)


def test_other_settings_are_refused_with_the_difference(store: Path, undisturbed: Path) -> None:
    before = hashes(undisturbed)
    error = run(store, undisturbed, "--set", "encode.jpeg_quality=80", status=2)["error"]
    assert "encode.jpeg_quality was 95, is 80" in error
    assert "--overwrite" in error
    assert hashes(undisturbed) == before


def test_overwrite_makes_everything_anew(store: Path, undisturbed: Path, tmp_path: Path) -> None:
    run(store, tmp_path, "--set", "encode.jpeg_quality=80")
    run(store, tmp_path, "--overwrite")
    assert hashes(tmp_path) == hashes(undisturbed)


def test_a_limit_takes_a_part_and_never_takes_away(store: Path, undisturbed: Path, tmp_path: Path) -> None:
    summary = run(store, tmp_path, "--limit", "4", status=3)
    assert (summary["splits"][0]["asked"], summary["limited"]) == (4, True)
    assert not json.loads((folder(tmp_path) / "info-train.json").read_text())["complete"]
    run(store, tmp_path)
    assert hashes(tmp_path) == hashes(undisturbed)
    assert not run(store, tmp_path, "--limit", "2")["limited"]
    assert hashes(tmp_path) == hashes(undisturbed)
    assert json.loads((folder(tmp_path) / "info-train.json").read_text())["complete"]


def test_records_that_nobody_asks_for_any_more_are_not_dropped(store: Path, tmp_path: Path) -> None:
    run(store, tmp_path)
    before = hashes(tmp_path)
    write_list(tmp_path / "fewer.csv", CLIPS[:5])
    error = run(store, tmp_path, "--set", f"splits.train.annotations={tmp_path / 'fewer.csv'}", status=1)["error"]
    assert "in no annotation file any more" in error
    assert hashes(tmp_path) == before


def test_an_interrupted_run_ends_in_order_and_goes_on(store: Path, undisturbed: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(command(store, tmp_path), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    while not list((folder(tmp_path) / "state").glob("*.partial")):
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert json.loads(output)["stopped"]
    assert {row["reason"] for row in ledger(tmp_path)} <= {"", "not_attempted", "not_found", "unreadable"}
    assert len(ledger(tmp_path)) == len(CLIPS)
    run(store, tmp_path)
    assert hashes(tmp_path) == hashes(undisturbed)
    assert lasting(tmp_path) == lasting(undisturbed)


def test_two_runs_do_not_share_an_output(store: Path, tmp_path: Path) -> None:
    with subprocess.Popen(command(store, tmp_path), cwd=ROOT, stdout=subprocess.DEVNULL) as first:
        while not (folder(tmp_path) / "state" / "settings-train.json").exists():
            time.sleep(0.01)
            assert first.poll() is None
        first.send_signal(signal.SIGSTOP)
        try:
            assert "another run is at work" in run(store, tmp_path, status=1)["error"]
        finally:
            first.send_signal(signal.SIGCONT)
    assert first.returncode == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["source.store=/nowhere/at/all"], "source.store: there is no folder /nowhere/at/all"),
        (["splits.train.annotations=/nowhere.csv"], "/nowhere.csv"),
        (["classes=[juggling bals]"], "juggling balls"),
    ],
)
def test_what_is_not_there_is_told_before_anything_starts(
    store: Path, tmp_path: Path, settings: list[str], message: str
) -> None:
    error = run(store, tmp_path, *(word for s in settings for word in ("--set", s)), status=2)["error"]
    assert message in error
    assert not folder(tmp_path).exists()


def test_nothing_written_is_a_failure(store: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run(store, tmp_path, "--set", f"source.store={tmp_path / 'empty'}", status=1)
    assert {row["reason"] for row in ledger(tmp_path)} == {"not_found"}


def test_an_unwritable_output_stops_the_run(store: Path, tmp_path: Path) -> None:
    folder(tmp_path).parent.mkdir(parents=True)
    folder(tmp_path).write_text("a file where the folder should be")
    assert "can't be written" in run(store, tmp_path, status=1)["error"]


@pytest.mark.parametrize("largest_file_bytes", [200, 20_000])  # of the settings, of a shard
def test_a_disk_that_takes_no_more_stops_the_run(
    store: Path, undisturbed: Path, tmp_path: Path, largest_file_bytes: int
) -> None:
    done = subprocess.run(
        command(store, tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file_bytes, largest_file_bytes)),
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {folder(tmp_path)}: can't be written: ")
    assert done.stderr.count("\n") == 1
    run(store, tmp_path)
    assert hashes(tmp_path) == hashes(undisturbed)


def test_store_and_output_in_an_object_store(store: Path, undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import tests.beam_pipeline.object_files\n")
    objects = tmp_path / "objects"
    shutil.copytree(store, objects / "clips")
    env = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "OBJECTS": str(objects)}
    remote = ("--set", "source.store=objects://clips", "--data_dir", "objects://out", "--set", "workers=1")
    run(store, tmp_path, *remote, env=env)
    first = hashes(objects / "out")
    assert first == hashes(undisturbed)
    (folder(objects / "out") / "tiny-train.tfrecord-00000-of-00003").unlink()
    run(store, tmp_path, *remote, env=env)
    assert hashes(objects / "out") == first
    assert no_leftovers(objects / "out")


BAD_CLIPS = """
import os, sys
try:
    import av
except ImportError:
    pass
else:
    _open = av.open
    def open_(file, *args, **kwargs):
        name = str(file)
        if "clip0000001" in name:
            while True:
                pass
        if "clip0000002" in name:
            os.kill(os.getpid(), 11)
        if "clip0000004" in name:
            bytearray(2**40)
        return _open(file, *args, **kwargs)
    av.open = open_
"""


def test_hanging_crashing_and_devouring_clips_cost_a_row_each(store: Path, tmp_path: Path) -> None:
    # libav itself is what misbehaves: it is replaced in every process before our code is loaded.
    (tmp_path / "sitecustomize.py").write_text(BAD_CLIPS)
    run(store, tmp_path, "--set", "limits.wall_s=4", env={"PYTHONPATH": str(tmp_path)})
    reasons = {row["clip_id"]: row["reason"] for row in ledger(tmp_path) if row["reason"]}
    assert reasons == {
        CLIPS[1]: "timeout",
        CLIPS[2]: "crashed",
        CLIPS[4]: "out_of_memory",
        MISSING: "not_found",
        CORRUPT: "unreadable",
    }
    run(store, tmp_path)  # nobody's files have changed, but the machine may do better, or the limits be higher
    attempts = {row["clip_id"]: row["attempts"] for row in ledger(tmp_path) if row["reason"] != "not_found"}
    assert {clip for clip, count in attempts.items() if count == 2} == {CLIPS[1], CLIPS[2], CLIPS[4]}


def test_no_process_that_decodes_or_writes_has_tensorflow(store: Path, tmp_path: Path) -> None:
    # At its end every process of the run says what it had loaded.
    (tmp_path / "sitecustomize.py").write_text(
        "import atexit, multiprocessing.util, os, sys\n"
        "def tell(folder=os.environ['MODULES_FOLDER']):\n"
        "    open(f'{folder}/{os.getpid()}', 'w').write('\\n'.join(sys.modules))\n"
        "atexit.register(tell)\n"
        "multiprocessing.util.Finalize(None, tell, exitpriority=1)\n"
        "import signal\n"
    )
    loaded = tmp_path / "loaded"
    loaded.mkdir()
    run(store, tmp_path, env={"PYTHONPATH": str(tmp_path), "MODULES_FOLDER": str(loaded)})
    modules = [set(path.read_text().splitlines()) for path in loaded.iterdir()]
    decoding = [names for names in modules if "beam_pipeline.media.video" in names]
    writing = [names for names in modules if "beam_pipeline.shards" in names]
    assert decoding
    assert writing
    assert not [names for names in modules if "tensorflow" in names]
    assert not [names for names in decoding if "apache_beam" in names]

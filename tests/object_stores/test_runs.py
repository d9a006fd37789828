"""The whole job with everything in an object store: annotations, clips, archives and output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.beam_pipeline.clips_on_disk import write_list
from tests.object_store import ObjectStore
from tests.object_stores.clouds import Cloud
from tests.object_stores.conftest import CLIPS, CORRUPT, MISSING, ROOT, VERSION, Outcome, Place, lasting
from tests.object_stores.faulty_proxy import Call, Faults

# Kinetics clips under their official names, and other containers: rotated, with sound, cut off, corrupt.
REAL = (
    *("R6llTwEh07w.mp4", "WUzgd7C1pWA.mp4", "decord_flipping_a_pancake.mkv", "filetype_fixture2.mkv", "mei_sample.3gp"),
    *("filetype_fixture_corrupt.mkv", "gradio_video_sample.webm", "mei_with_gps.mov", "torchcodec_av1_video.mkv"),
    *("TrumanShow_wave_f_nm_np1_fr_med_26.avi", "gradio_playable_but_bad_container.mkv"),
)


@pytest.mark.essential
def test_a_second_run_changes_nothing(remote: Place, cloud: Cloud, outcome: Outcome, tiny: Path) -> None:
    remote.run()
    assert outcome.made() == lasting(tiny / VERSION)
    cloud.proxy.reset()
    remote.run()
    assert not [call.path for call in cloud.proxy.calls if call.is_upload and "tfrecord" in call.path]
    assert outcome.made() == lasting(tiny / VERSION)
    assert not outcome.leftovers()


@pytest.mark.essential
def test_real_clips_with_flow_and_sound(cloud: Cloud, outcome: Outcome, test_data: Path, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name in REAL:
        (tmp_path / "clips" / name).symlink_to(test_data / "videos" / name)
        cloud.put(f"clips/{name}", (test_data / "videos" / name).read_bytes())
    write_list(tmp_path / "train.csv", [f"{name.partition('.')[0]}_0_2" for name in REAL])
    cloud.put("train.csv", (tmp_path / "train.csv").read_bytes())
    settings = {"flow.method": "farneback", "audio.sample_rate": 16000}
    Place(str(tmp_path), settings=settings).run()
    Place(cloud.url, cloud.environment, settings).run()
    assert outcome.made() == lasting(tmp_path / VERSION)


@pytest.mark.essential
def test_stopped_it_goes_on(remote: Place, cloud: Cloud, outcome: Outcome, tiny: Path) -> None:
    run = remote.start("run")
    while not cloud.names("out/tiny/1.0.0/state/train-"):
        assert run.poll() is None, run.communicate()
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=600)
    assert run.returncode == 3
    remote.run()
    assert outcome.made() == lasting(tiny / VERSION)
    assert not outcome.leftovers()


@pytest.mark.essential
def test_status_and_prune(remote: Place, cloud: Cloud, tiny: Path) -> None:
    remote.run()
    assert f"records {cloud.url}/{VERSION}" in remote.run("status").output
    assert "8 ok" in remote.run("status").output or "8 written" in remote.run("status").output
    bracketed = "clips/[a]/other.mp4"  # no pattern that would take a file of another name
    cloud.put(bracketed, b"not a clip of ours")
    assert remote.run("prune").output.startswith("8 files deleted")
    assert cloud.names("clips/") == [bracketed, f"clips/{CORRUPT}.mp4"]
    remote.run()
    assert remote.run("prune").output.startswith("0 files deleted")


def test_plan(remote: Place, cloud: Cloud, tiny: Path) -> None:
    there = cloud.names()
    plan = json.loads(remote.run("plan", "--json").output)
    assert cloud.names() == there
    here = json.loads(Place(str(tiny)).run("plan", "--json").output)
    for key in ("record_bytes", "store_bytes", "sample"):
        if key == "sample":
            plan[key].pop("seconds"), here[key].pop("seconds")
        assert plan[key] == here[key], key
    (missing,) = (warning for warning in plan["warnings"] if "without a file" in warning)
    assert missing == "train: 1 clip of 10 (10.0%) without a file in the store will be not_found"
    assert not [warning for warning in plan["warnings"] if "data_dir" in warning]
    remote.run()
    assert json.loads(remote.run("plan", "--json", "--sample", "1").output)["is_finished"]


def test_plan_of_a_store_that_is_refused_is_told(remote: Place, cloud: Cloud) -> None:
    cloud.proxy.reset(Faults(statuses=(403,), refuse=lambda call: "prefix" in call.query))
    errors = remote.run("plan", status=(1, 2)).errors
    assert errors.startswith("error: ") and "403" in errors and errors.count("\n") == 1


def test_what_the_configuration_says_of_access_is_for_every_command(remote: Place, cloud: Cloud) -> None:
    if cloud.scheme != "s3":
        pytest.skip("Beam has such options of s3:// alone")
    given = {
        "s3_endpoint_url": cloud.environment["AWS_ENDPOINT_URL"],
        "s3_access_key_id": cloud.environment["AWS_ACCESS_KEY_ID"],
        "s3_secret_access_key": cloud.environment["AWS_SECRET_ACCESS_KEY"],
        "s3_region_name": "us-east-1",
    }
    place = Place(cloud.url, {"AWS_EC2_METADATA_DISABLED": "true"}, {f"beam.{key}": given[key] for key in given})
    place.run()
    assert "8 written" in place.run("status").output
    assert place.run("prune").output.startswith("8 files deleted")


def test_names_are_no_patterns(cloud: Cloud, tiny: Path) -> None:
    """A store whose folders' names have brackets and stars is listed, read and pruned by these names alone."""
    here, other = f"clips/[ab]*/{CLIPS[0]}.mp4", f"clips/b/{CLIPS[1]}.mp4"
    content = (tiny / "clips" / f"{CLIPS[0]}.mp4").read_bytes()
    cloud.put(here, content)
    cloud.put(other, content)
    write_list_to(cloud, CLIPS[:1])
    place = Place(cloud.url, cloud.environment, {"source.store": f"{cloud.url}/clips/[ab]*"})
    assert place.run().summary["splits"][0]["written"] == 1
    place.run("prune")
    assert cloud.names("clips/") == [other]


def write_list_to(cloud: Cloud, clips: list[str]) -> None:
    rows = (clip.rsplit("_", 2) for clip in clips)
    lines = [f"yoga,{video_id},{int(start)},{int(end)},train" for video_id, start, end in rows]
    cloud.put("train.csv", "\n".join(["label,youtube_id,time_start,time_end,split", *lines, ""]).encode())


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(Faults(), marks=pytest.mark.essential),
        Faults(failing=0.1, seed=3),
        Faults(break_uploads=2, break_downloads=2),
    ],
)
def test_archives_are_read_from_one_store_into_another(
    cloud: Cloud, outcome: Outcome, tiny: Path, tmp_path: Path, faults: Faults
) -> None:
    with tarfile.open(tmp_path / "part_0.tar.gz", "w:gz") as archive:
        for path in sorted((tiny / "clips").iterdir()):
            archive.add(path, f"train/{path.name}")
    cloud.put("cvdf/part_0.tar.gz", (tmp_path / "part_0.tar.gz").read_bytes())
    cloud.put("cvdf/paths.txt", f"{cloud.url}/cvdf/part_0.tar.gz\n".encode())
    cloud.put("train.csv", (tiny / "train.csv").read_bytes())
    cloud.proxy.reset(faults)
    archives = {"source.kind": "archive", "source.archives.train": f"{cloud.url}/cvdf/paths.txt"}
    place = Place(cloud.url, cloud.environment, archives)
    place.run("fetch")
    stored = {name.rpartition("/")[2] for name in cloud.names("clips/train/part_0/")}
    assert stored == {path.name for path in (tiny / "clips").iterdir()}
    place.run()
    made, expected = outcome.made(), lasting(tiny / VERSION)
    assert {name: made[name] for name in made if "tfrecord" in name} != {}
    assert [row["reason"] for row in made["ledger"]] == [row["reason"] for row in expected["ledger"]]  # type: ignore[attr-defined]
    assert {row["clip_id"]: row["reason"] for row in made["ledger"] if row["reason"]} == {  # type: ignore[attr-defined]
        MISSING: "not_found",
        CORRUPT: "unreadable",
    }


_LOAD = """
import sys, zlib, tf_data
ds = tf_data.load("tiny", split="train", data_dir=sys.argv[1], training=False, crop_size=32, extras=["clip_id"])
for element in ds.as_numpy_iterator():
    print(element["clip_id"].decode(), element["rgb"].shape, zlib.crc32(element["rgb"].tobytes()))
"""


@pytest.mark.essential
def test_the_reader_reads_what_a_run_left_on_gs(remote: Place, cloud: Cloud, tiny: Path, tmp_path: Path) -> None:
    if cloud.scheme != "gs":
        pytest.skip("TensorFlow has a client of gs:// alone")
    remote.run()
    with ObjectStore(tmp_path) as server:  # which TensorFlow's own client can be led to
        cloud.get_folder("out", tmp_path / "bucket" / "out")
        there, here = (
            subprocess.run(
                [sys.executable, "-c", _LOAD, data_dir],
                cwd=ROOT,
                env=os.environ | server.environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for data_dir in ("gs://bucket/out", str(tiny / "out"))
        )
    assert there == here
    assert there.count("\n") == 8


def test_the_ledger_names_clips_by_their_urls(remote: Place, cloud: Cloud, tmp_path: Path) -> None:
    remote.run()
    (tmp_path / "clips.parquet").write_bytes(cloud.get(f"{VERSION}/clips-train.parquet"))
    rows = {row["clip_id"]: row["source_uri"] for row in pq.read_table(tmp_path / "clips.parquet").to_pylist()}
    assert rows[CLIPS[0]] == f"{cloud.url}/clips/{CLIPS[0]}.mp4"


def test_each_clip_is_asked_for_once(remote: Place, cloud: Cloud) -> None:
    remote.run()

    def is_of_clip(call: Call) -> bool:
        return call.is_download and CLIPS[0] in call.path

    assert sum(map(is_of_clip, cloud.proxy.calls)) == 1

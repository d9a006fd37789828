"""A run on Dataflow: from the command line to what is posted, and from a job's end to an exit status and advice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from beam_pipeline.clips import utc_now
from beam_pipeline.ledger import ShardState, Work, write_state
from tests.beam_pipeline.clips_on_disk import write_list
from tests.dataflow.conftest import IMAGE, ROOT, Start
from tests.dataflow.fake_dataflow import JOB_ID, FakeDataflow
from tests.object_stores.clouds import Cloud

CANCEL = f"gcloud dataflow jobs cancel {JOB_ID} --region=us-central1 --project=of-a-test"
CONSOLE = f"https://console.cloud.google.com/dataflow/jobs/us-central1/{JOB_ID}?project=of-a-test"


@pytest.fixture(scope="module")
def tiny(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of a data set in the cloud, whose only clip is not in the store."""
    path = tmp_path_factory.mktemp("tiny") / "list.csv"
    write_list(path, ["aaaaaaaaaaa_000000_000001"])
    cloud.put("tiny.csv", path.read_bytes())
    cloud.put("clips/other_000000_000001.mp4", b"no video")
    return [
        *("--set", "name=tiny", "--set", f"splits.train={{annotations: {cloud.url}/tiny.csv, shards: 1}}"),
        *("--set", f"source.store={cloud.url}/clips", "--data_dir", f"{cloud.url}/data"),
    ]


def end(process: subprocess.Popen) -> tuple[int, str, str]:
    output, error = process.communicate(timeout=180)
    return process.returncode, output, error


def test_what_is_posted(submit: Start, tiny: list[str]) -> None:
    with FakeDataflow() as service:
        status, output, error = end(submit(service, *tiny, "--no_wait_until_finish"))
    assert (status, output) == (0, "")
    assert CONSOLE in error
    jobs = "/v1b3/projects/of-a-test/locations/us-central1/jobs"
    assert service.requests == [("GET", jobs), ("POST", jobs)]
    (job,) = service.posted
    environment = job["environment"]
    (pool,) = environment["workerPools"]
    (image,) = pool["sdkHarnessContainerImages"]
    options = environment["sdkPipelineOptions"]["options"]
    assert job["name"].startswith("kinetics-make-tiny-")
    assert (pool["workerHarnessContainerImage"], image["containerImage"]) == (IMAGE, IMAGE)
    assert image["useSingleCorePerContainer"]  # a process, and so a decoder, for each vCPU
    assert (pool["machineType"], pool["diskSizeGb"], pool["numThreadsPerWorker"]) == ("n2-standard-4", 50, 1)
    assert (pool["numWorkers"], pool["autoscalingSettings"]) == (4, {"maxNumWorkers": 64})
    assert environment["version"] == {"major": "8", "job_type": "FNAPI_BATCH"}
    assert "use_runner_v2" in environment["experiments"]
    assert (options["save_main_session"], options["sdk_location"]) == (False, "container")
    # Nothing is to be installed on workers: this is a list of what is installed here, for people.
    assert [package["name"] for package in pool["packages"]] == ["submission_environment_dependencies.txt"]


def test_the_command_line_wins_over_the_overlay(submit: Start, tiny: list[str]) -> None:
    more = ["--machine_type=c3-standard-8", "--max_num_workers=7", "--region=europe-west4", "--no_use_public_ips"]
    with FakeDataflow() as service:
        assert end(submit(service, *tiny, "--no_wait_until_finish", *more))[0] == 0
    jobs = "/v1b3/projects/of-a-test/locations/europe-west4/jobs"
    assert service.requests == [("GET", jobs), ("POST", jobs)]
    (pool,) = service.posted[0]["environment"]["workerPools"]
    assert (pool["machineType"], pool["autoscalingSettings"]) == ("c3-standard-8", {"maxNumWorkers": 7})
    assert pool["ipConfiguration"] == 2  # WORKER_IP_PRIVATE


def test_two_runs_of_one_data_set_have_one_name(submit: Start, tiny: list[str]) -> None:
    with FakeDataflow() as service:
        starts = [submit(service, *tiny, "--no_wait_until_finish") for _ in range(2)]
        other = submit(service, *tiny, "--set", "version=2.0.0", "--no_wait_until_finish")
        assert [end(start)[0] for start in (*starts, other)] == [0, 0, 0]
    names = [job["name"] for job in service.posted]
    assert sorted(names.count(name) for name in set(names)) == [1, 2]


def test_a_job_that_is_at_work_keeps_a_second_one_out(submit: Start, tiny: list[str]) -> None:
    with FakeDataflow(active="2026-active") as service:
        status, _, error = end(submit(service, *tiny))
    assert status == 1
    assert "another run is at work there" in error
    assert "gcloud dataflow jobs cancel 2026-active --region=us-central1" in error


def test_a_job_that_is_at_work_loses_nothing_to_a_second_run(submit: Start, tiny: list[str], cloud: Cloud) -> None:
    with FakeDataflow() as service:
        assert end(submit(service, *tiny, "--no_wait_until_finish"))[0] == 0
    name, shard = service.posted[0]["name"], "data/tiny/1.0.0/tiny-train.tfrecord-00000-of-00001"
    cloud.put(shard, b"of the job at work")
    there = {path: cloud.get(path) for path in cloud.names("data/tiny/1.0.0/")}
    with FakeDataflow(active="2026-active", listed=name) as service:
        status, _, error = end(submit(service, *tiny, "--overwrite"))
    assert status == 1
    assert "another run is at work there" in error
    assert "gcloud dataflow jobs cancel 2026-active --region=us-central1" in error
    assert {path: cloud.get(path) for path in cloud.names("data/tiny/1.0.0/")} == there
    cloud.delete(shard)


def test_fetching_into_a_store_keeps_out_a_run_that_would_fill_it(submit: Start, tiny: list[str], cloud: Cloud) -> None:
    cloud.put("clips.tar", b"")
    archive = ["--set", "source.kind=archive", "--set", f"source.archives.train={cloud.url}/clips.tar"]
    with FakeDataflow() as service:
        assert end(submit(service, *tiny, *archive, "--no_wait_until_finish", command="fetch"))[0] == 0
    fetch = service.posted[0]["name"]
    with FakeDataflow(active="2026-active", listed=fetch) as service:
        status, _, error = end(submit(service, *tiny, *archive))
        assert status == 1
        assert f"another run is at work there, the Dataflow job {fetch}: 2026-active\n" in error
    with FakeDataflow(listed=fetch) as service:  # one that only reads the store
        assert end(submit(service, *tiny, "--no_wait_until_finish"))[0] == 0


def test_a_failed_job_says_why(submit: Start, tiny: list[str]) -> None:
    states = ["JOB_STATE_RUNNING", "JOB_STATE_FAILED"]
    message = (
        "Traceback (most recent call last):\n  File ...\nbeam_pipeline.job.RunError: gs://b/x: can't be written: no"
        " room. Mend it and run again [while running 'Make shards']\n"
    )
    with FakeDataflow(states=states, error=message) as service:
        status, output, error = end(submit(service, *tiny))
    assert (status, output) == (1, "")
    assert error.endswith("error: gs://b/x: can't be written: no room. Mend it and run again\n")


def test_a_failure_of_dataflows_own_is_told_with_the_job(submit: Start, tiny: list[str]) -> None:
    with FakeDataflow(states=["JOB_STATE_RUNNING", "JOB_STATE_FAILED"], error="Workflow failed: no quota") as service:
        status, _, error = end(submit(service, *tiny))
    assert status == 1
    assert f"error: the Dataflow job failed: Workflow failed: no quota\n{JOB_ID}\n" in error
    assert "Traceback" not in error


def test_a_cancelled_job_is_a_stop(submit: Start, tiny: list[str]) -> None:
    with FakeDataflow(states=["JOB_STATE_RUNNING", "JOB_STATE_CANCELLED"]) as service:
        status, _, error = end(submit(service, *tiny))
    assert status == 3
    assert error.endswith(
        "the Dataflow job was cancelled. What was made is kept: run the same command again to go on\n"
    )


def test_ctrl_c_leaves_the_job_and_says_how_to_follow_it(submit: Start, tiny: list[str]) -> None:
    with FakeDataflow(states=["JOB_STATE_RUNNING"]) as service:
        process = submit(service, *tiny)
        assert process.stderr
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        status, output, error = end(process)
    assert first == f"Dataflow job {JOB_ID}\n"
    assert (status, output) == (3, "")
    assert "the job goes on at Dataflow" in error
    assert CANCEL in error
    assert "PUT" not in {method for method, _ in service.requests}  # nobody asked to cancel it


def test_no_word_from_dataflow_is_not_taken_for_an_end(submit: Start, tiny: list[str]) -> None:
    with FakeDataflow(refusals={"GET": 403}) as service:
        status, _, error = end(submit(service, *tiny))
    assert status == 1
    assert "error: no word from Dataflow any more" in error
    assert CANCEL in error
    assert "Traceback" not in error


def test_a_refused_job_says_what_to_look_at(submit: Start, tiny: list[str]) -> None:
    with FakeDataflow(refusals={"POST": 403}) as service:
        status, _, error = end(submit(service, *tiny))
    assert status == 1
    assert "error: Dataflow did not take the job: 403" in error
    assert "refused by the test" in error
    assert "Is the API enabled" in error


def test_paths_of_this_machine_are_refused_before_anything_is_submitted(
    submit: Start, tiny: list[str], tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "list.csv").write_text("label,youtube_id,time_start,time_end,split\n")
    local = [
        *("--set", f"source.store={tmp_path}/clips", "--data_dir", str(tmp_path)),
        *("--set", f"splits.train.annotations={tmp_path}/list.csv"),
    ]
    with FakeDataflow() as service:
        status, _, error = end(submit(service, *tiny, *local))
    assert (status, service.requests) == (2, [])
    for key in ("data_dir", "source.store", "splits.train.annotations"):
        assert f"{key} is on this machine, where Dataflow's workers can't reach it: put it on gs://" in error


def test_a_dry_run_submits_nothing(submit: Start, tiny: list[str]) -> None:
    with FakeDataflow() as service:
        status, _, error = end(submit(service, *tiny, "--dry_run=True"))
    assert (status, service.requests) == (0, [])
    assert error == "dry run: nothing was submitted\n"


def test_a_misspelt_option_is_refused(submit: Start, tiny: list[str]) -> None:
    with FakeDataflow() as service:
        status, _, error = end(submit(service, *tiny, "--machine_typ=n2-standard-8"))
    assert (status, service.requests) == (2, [])
    assert "unknown option --machine_typ=n2-standard-8" in error


def launch(cloud: Cloud, name: str) -> subprocess.CompletedProcess[str]:
    """Does what Google's launcher does with a template of this job."""
    parameters = {
        "config": "configs/dataflow.yaml",
        "settings": f"name={name} splits.train.annotations={cloud.url}/tiny.csv 'splits.train.shards=1' "
        f"source.store={cloud.url}/clips",
        "data_dir": f"{cloud.url}/data",
        "limit": "5",
        "split": "train",
        "sdk_container_image": IMAGE,
        # Google's launcher adds these, and may add what Beam doesn't know.
        "runner": "DataflowRunner",
        "project": "of-a-test",
        "region": "us-central1",
        "job_name": "mine",
        "temp_location": f"{cloud.url}/tmp",
        "template_location": f"{cloud.url}/templates/job",
        "an_option_of_tomorrow": "x",
    }
    command = [sys.executable, "docker/flex_template/launch.py", *(f"--{k}={v}" for k, v in parameters.items())]
    environment = os.environ | cloud.environment | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180)


@pytest.mark.usefixtures("tiny")
def test_a_flex_template_describes_the_job_and_ends(cloud: Cloud) -> None:
    done = launch(cloud, "flex")
    assert done.returncode == 0, done.stderr
    job = json.loads(cloud.get("templates/job"))
    assert job["name"] == "mine"
    assert job["environment"]["workerPools"][0]["workerHarnessContainerImage"] == IMAGE
    assert json.loads(cloud.get("data/flex/1.0.0/state/plan.json"))["splits"]["train"]["asked"] == 1


@pytest.mark.usefixtures("tiny")
def test_a_flex_template_keeps_off_what_another_run_is_at(cloud: Cloud, tmp_path: Path) -> None:
    plan = {"run_id": "another", "started_at": utc_now(), "splits": {"train": {"asked": 1, "shards": 1}}}
    state = ShardState("train", 0, 1, False, 0, 1, (), work=Work("another", "worker-7", utc_now(), utc_now()))
    cloud.put("data/busy/1.0.0/state/plan.json", json.dumps(plan).encode())
    write_state(str(tmp_path / "state.json"), state)
    cloud.put("data/busy/1.0.0/state/train-00000-of-00001.json", (tmp_path / "state.json").read_bytes())
    there = {name: cloud.get(name) for name in cloud.names("data/busy/")}
    done = launch(cloud, "busy")
    assert done.returncode == 1
    assert f"error: {cloud.url}/data/busy/1.0.0: another run is at work there" in done.stderr
    assert {name: cloud.get(name) for name in cloud.names("data/busy/")} == there

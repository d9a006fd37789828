"""Strategies and the tf.data service, with real processes: each record once an epoch, and the same steps everywhere."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from tests.tf_data.conftest import make_clips, write_split
from tests.tf_data.distributed_process import load

PATIENCE_S = 240
ROOT = Path(__file__).parents[2]
CLIPS = make_clips(11, num_frames=4)
IDS = sorted(clip.clip_id for clip in CLIPS)
Service = tf.data.experimental.service


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("distribute")
    write_split(root / "fake" / "1.0.0", CLIPS, num_shards=2)
    return root


def _start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.tf_data.distributed_process", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"} | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _results(processes: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    try:
        outputs = [process.communicate(timeout=PATIENCE_S)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * len(processes)
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _two_workers(data_dir: Path, way: str) -> list[dict[str, Any]]:
    cluster = {"worker": [f"127.0.0.1:{port}" for port in _free_ports(2)]}
    configs = [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}}) for index in range(2)]
    return _results([_start("multi_worker", data_dir, way, TF_CONFIG=config) for config in configs])


def _clips(result: dict[str, Any]) -> list[str]:
    return sorted(clip for step in result["clips"] for replica in step for clip in replica)


@pytest.mark.parametrize("way", ["function", "data set"])
def test_mirrored_replicas_read_each_record_once(data_dir: Path, way: str) -> None:
    [result] = _results([_start("mirrored", data_dir, way)])
    assert _clips(result) == IDS
    assert len(result["losses"]) == 3  # 11 clips in batches of 4
    assert all(len(step) == 2 for step in result["clips"])


def test_workers_with_an_input_context_read_each_record_once_in_step(data_dir: Path) -> None:
    first, second = _two_workers(data_dir, "function")
    assert sorted(_clips(first) + _clips(second)) == IDS
    assert len(first["losses"]) == 3  # 6 clips each in batches of 2
    assert first["losses"] == second["losses"] and first["sum"] == second["sum"]


def test_workers_that_distribute_one_data_set_each_read_all_of_it(data_dir: Path) -> None:
    first, second = _two_workers(data_dir, "data set")
    assert _clips(first) == _clips(second) == IDS  # so that an epoch is one for each worker: give an input context
    assert first["losses"] == second["losses"] and first["sum"] == second["sum"]


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """A dispatcher of the tf.data service and two workers, each a process: the dispatcher's target."""
    processes = []

    def started(*arguments: str) -> str:
        processes.append(_start(*arguments))
        return json.loads(processes[-1].stdout.readline())  # type: ignore[union-attr]

    try:
        target = started("dispatcher")
        assert [started("service_worker", target) for _ in range(2)] == ["ready"] * 2
        yield target
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _views(ds: tf.data.Dataset) -> Counter[tuple[bytes, bytes]]:
    return Counter((element["clip_id"], element["rgb"].tobytes()) for element in ds.as_numpy_iterator())


@pytest.mark.parametrize("num_epochs", [1, 3])
def test_the_service_shares_out_an_epoch_dynamically(data_dir: Path, service: str, num_epochs: int) -> None:
    ds = load(data_dir, num_epochs=num_epochs)
    through = ds.apply(Service.distribute(Service.ShardingPolicy.DYNAMIC, service))
    assert _views(through) == _views(load(data_dir, num_epochs=num_epochs))  # all of them, in whatever order


def test_consumers_of_one_job_share_its_elements(data_dir: Path, service: str) -> None:
    def consumer() -> Iterator[dict[str, Any]]:
        distribute = Service.distribute(Service.ShardingPolicy.DYNAMIC, service, job_name="shared")
        return load(data_dir, num_epochs=2).apply(distribute).as_numpy_iterator()

    first, second = consumer(), consumer()
    read = [next(first) for _ in range(5)] + list(second) + list(first)
    assert Counter(element["clip_id"].decode() for element in read) == dict.fromkeys(IDS, 2)


def test_without_sharding_each_worker_of_the_service_reads_everything(data_dir: Path, service: str) -> None:
    through = load(data_dir).apply(Service.distribute(Service.ShardingPolicy.OFF, service))
    once = _views(load(data_dir))
    assert _views(through) == once + once

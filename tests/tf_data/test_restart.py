"""A reading process that is killed anywhere goes on where it was: the same clips, windows and pixels, once each."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import random
import signal
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tf_data
from tests.tf_data.conftest import make_clips, write_split

KILLS = 10  # for each way of reading
SAVE_EVERY = 3  # steps
PATIENCE_S = 120

WAYS = {
    "clips, shuffled, over epochs": {"num_epochs": 20},
    "batches over the ends of epochs": {"num_epochs": 40, "batch_size": 4, "streams": ["rgb", "flow"]},
    "in runs of neighbours": {"num_epochs": 20, "read_config": tf_data.ReadConfig(run_length=3)},
    "leaving out what is damaged": {"num_epochs": 20, "split": "damaged", "training": True, "on_error": "skip"},
    "without end, one of three hosts": {
        "num_epochs": None,
        "batch_size": 2,
        "input_context": tf.distribute.InputContext(3, 1),
    },
}


def _load(data_dir: Path, way: Mapping[str, Any]) -> tf.data.Dataset:
    values = {"split": "train", "data_dir": data_dir, "seed": 0, "num_frames": 4, "crop_size": 16}
    return tf_data.load("fake", extras=["clip_id"], **(values | dict(way)))


def _digest(element: Mapping[str, np.ndarray]) -> str:
    """Of everything in an element: ids, labels and pixels."""
    parts = (key.encode() + np.asarray(element[key]).tobytes() for key in sorted(element) if key != "clip_id")
    ids = repr(np.asarray(element["clip_id"]).tolist()).encode()
    return hashlib.sha256(b"".join(parts) + ids).hexdigest()


def _read(data_dir: Path, way: Mapping[str, Any], folder: Path, link: Connection) -> None:
    """Reads an element whenever it is told to, and tells its number and digest; saves its place as it goes."""
    iterator = iter(_load(data_dir, way))
    step = tf.Variable(0, dtype=tf.int64)
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(step=step, iterator=iterator), str(folder), max_to_keep=2)
    manager.restore_or_initialize()
    while link.recv():
        element = next(iterator, None)
        if element is None:
            link.send(None)
            return
        link.send((int(step), _digest({key: value.numpy() for key, value in element.items()})))
        step.assign_add(1)
        if int(step) % SAVE_EVERY == 0:
            manager.save()


def _sent(link: Connection) -> dict[int, str]:
    """What a process that is dead had sent before."""
    sent = {}
    with contextlib.suppress(EOFError, OSError):
        while True:
            step, digest = link.recv()
            sent[step] = digest
    return sent


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("restart")
    folder = root / "fake" / "1.0.0"
    for split in ("train", "damaged"):
        write_split(folder, make_clips(7, num_frames=12), split=split, num_shards=2)
    shard = next(folder.glob("fake-damaged.tfrecord-00001-*"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard.write_bytes(data)
    return root


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_process_goes_on_where_it_was(data_dir: Path, tmp_path: Path, way: str) -> None:
    keywords = WAYS[way]
    draw = random.Random(way)
    context = multiprocessing.get_context("forkserver")  # a child begins with TensorFlow loaded, but not yet started
    context.set_forkserver_preload(["tests.tf_data.test_restart", "tf_data.loading"])
    read: dict[int, str] = {}
    ended = False
    for life in range(KILLS + 1):
        link, childs = context.Pipe()
        child = context.Process(target=_read, args=(data_dir, keywords, tmp_path, childs))
        child.start()
        childs.close()
        last = life == KILLS
        try:
            for _ in range(20 if last else draw.randint(1, 2 * SAVE_EVERY)):
                link.send(True)
                assert link.poll(PATIENCE_S), "the reading process hangs"
                step, digest = link.recv()
                assert read.setdefault(step, digest) == digest
            if last:
                link.send(False)
                child.join(PATIENCE_S)
                ended = child.exitcode == 0
            else:
                for _ in range(draw.randint(0, SAVE_EVERY)):
                    link.send(True)
                time.sleep(draw.uniform(0, 0.02))  # killed while it reads, saves or waits
                os.kill(child.pid or 0, signal.SIGKILL)
                child.join(PATIENCE_S)
                assert child.exitcode == -signal.SIGKILL
                read |= _sent(link)
        finally:
            child.kill()
    assert ended
    undisturbed = _load(data_dir, keywords).take(max(read) + 1)
    expected = [_digest(element) for element in undisturbed.as_numpy_iterator()]
    assert sorted(read) == list(range(max(read) + 1)) and max(read) > KILLS
    assert [read[step] for step in sorted(read)] == expected
    newest = tf.train.latest_checkpoint(tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.glob(f"{Path(newest).name}.*")) <= 64 * 1024

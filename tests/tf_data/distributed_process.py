"""What one process of a distributed job does, for `test_distribute`: prints what it read as a line of JSON.

python -m tests.tf_data.distributed_process ROLE FOLDER [ARGUMENT]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import tensorflow as tf

import tf_data

GLOBAL_BATCH = 4
CLASSES = 4


def load(data_dir: str, **keywords: Any) -> tf.data.Dataset:
    """As every process loads: training clips of 2 frames of 16×16, with their ids."""
    values = {"split": "train", "num_frames": 2, "crop_size": 16, "seed": 0, "extras": ["clip_id"]}
    return tf_data.load("fake", data_dir=data_dir, **(values | keywords))


def train(strategy: tf.distribute.Strategy, data: Any) -> dict[str, Any]:
    """Trains a convolution on one epoch; returns each replica's clips step by step, the losses and the weights' sum."""
    with strategy.scope():
        kernel = tf.Variable(tf.random.stateless_normal([1, 3, 3, 3, CLASSES], [1, 2]) / 5)

    def step_of_replica(batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        real = tf.cast(batch["mask"], tf.float32) if "mask" in batch else tf.ones_like(batch["label"], tf.float32)
        with tf.GradientTape() as tape:
            logits = tf.reduce_mean(tf.nn.conv3d(batch["rgb"], kernel, [1] * 5, "SAME"), axis=[1, 2, 3])
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label"], logits) * real
            loss = tf.reduce_sum(losses) / GLOBAL_BATCH
        context = tf.distribute.get_replica_context()
        gradient = context.all_reduce(tf.distribute.ReduceOp.SUM, tape.gradient(loss, kernel))
        kernel.assign_sub(0.1 * gradient)
        return context.all_reduce(tf.distribute.ReduceOp.SUM, loss), batch["clip_id"], real

    @tf.function
    def step(batch: Any) -> Any:
        return strategy.run(step_of_replica, [batch])

    local = strategy.experimental_local_results
    clips, losses = [], []
    for batch in data:
        loss, ids, real = step(batch)
        losses.append(float(local(loss)[0]))
        clips.append(
            [
                [i.decode() for i, own in zip(of_one.numpy(), mask.numpy(), strict=True) if own]
                for of_one, mask in zip(local(ids), local(real), strict=True)
            ]
        )
    return {"clips": clips, "losses": losses, "sum": float(tf.reduce_sum(local(kernel)[0]))}


def by_function(strategy: tf.distribute.Strategy, data_dir: str) -> Any:
    """Distributes by `input_context`."""

    def make(context: tf.distribute.InputContext) -> tf.data.Dataset:
        batch_size = context.get_per_replica_batch_size(GLOBAL_BATCH)
        return load(data_dir, batch_size=batch_size, input_context=context)

    return strategy.distribute_datasets_from_function(make)


def by_data_set(strategy: tf.distribute.Strategy, data_dir: str) -> Any:
    """Distributes one data set of global batches."""
    return strategy.experimental_distribute_dataset(load(data_dir, batch_size=GLOBAL_BATCH))


def mirrored(data_dir: str, way: str) -> dict[str, Any]:
    """One process with two devices."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    return train(strategy, WAYS[way](strategy, data_dir))


def multi_worker(data_dir: str, way: str) -> dict[str, Any]:
    """One worker of those that TF_CONFIG names."""
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    return train(strategy, WAYS[way](strategy, data_dir))


def dispatcher(*_: str) -> None:
    """The tf.data service's dispatcher; says its address, and ends with its standard input."""
    server = tf.data.experimental.service.DispatchServer(tf.data.experimental.service.DispatcherConfig(port=0))
    print(json.dumps(server.target), flush=True)
    sys.stdin.read()


def service_worker(target: str) -> None:
    """A worker of the tf.data service; ends with its standard input."""
    server = tf.data.experimental.service.WorkerServer(
        tf.data.experimental.service.WorkerConfig(dispatcher_address=target.split("://")[1], heartbeat_interval_ms=100)
    )
    server.start()
    print(json.dumps("ready"), flush=True)
    sys.stdin.read()


WAYS: dict[str, Callable[[tf.distribute.Strategy, str], Any]] = {"function": by_function, "data set": by_data_set}
ROLES: dict[str, Callable[..., Any]] = {
    "mirrored": mirrored,
    "multi_worker": multi_worker,
    "dispatcher": dispatcher,
    "service_worker": service_worker,
}

if __name__ == "__main__":
    result = ROLES[sys.argv[1]](*sys.argv[2:])
    if result is not None:
        print(json.dumps(result), flush=True)

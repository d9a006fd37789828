"""Devices that train together: a model on each of them, and steps in which they agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sonnet as snt
import tensorflow as tf

import tf_data
from examples.i3d.settings import Settings


def devices() -> list[str]:
    """The GPUs, or where there are none the CPU."""
    return [device.name for device in tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")]


def choose_precision(asked: str) -> str:
    """`auto` is bfloat16 where all GPUs have units for it: compute capability 8.0, Ampere, or later."""
    if asked != "auto":
        return asked
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    capabilities = [one.get("compute_capability", (0, 0)) for one in details]
    return "bfloat16" if capabilities and min(capabilities) >= (8, 0) else "float32"


def step_function(
    strategy: tf.distribute.Strategy, model: snt.Module, optimizer: snt.Optimizer, settings: Settings
) -> Callable[[Any, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Returns a function that takes a step of training.

    Args:
      strategy: whose scope the variables were made in.
      model: of `build_i3d`.
      optimizer: of its trainable variables.
      settings: of the run.

    Returns:
      A function from a batch of levels, shared out, and the number of the step, int64, to the mean of the loss, without
      the weights' decay, and the share of right predictions, float32 scalars.
    """
    parameters = model.trainable_variables
    decayed = [parameter for parameter in parameters if parameter.name.endswith("/w:0")]

    def replica_step(batch: dict[str, tf.Tensor], step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        replica = tf.distribute.get_replica_context()
        which = settings.seed * settings.num_replicas + replica.replica_id_in_sync_group
        seed = tf.stack([step, tf.cast(which, tf.int64)])
        frames = tf_data.to_model_input(batch, "i3d", dtype=settings.precision)[settings.stream]
        with tf.GradientTape() as tape:
            logits = model(frames, is_training=True, dropout=settings.dropout, dropout_seed=seed)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label"], logits))
            decay = settings.weight_decay * tf.add_n([tf.nn.l2_loss(weights) for weights in decayed])
            total = loss + decay
        gradients = replica.all_reduce("mean", tape.gradient(total, parameters))
        optimizer.apply(gradients, parameters)
        right = tf.cast(tf.argmax(logits, axis=-1) == batch["label"], tf.float32)
        loss, accuracy = replica.all_reduce("mean", [loss, tf.reduce_mean(right)])
        return loss, accuracy

    @tf.function
    def take_step(batch: Any, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # The reduced values are the same on each replica.
        return tuple(strategy.experimental_local_results(one)[0] for one in strategy.run(replica_step, (batch, step)))

    return take_step


def share_out(batch: dict[str, tf.Tensor], strategy: tf.distribute.Strategy) -> Any:
    """Shares out a batch among the replicas.

    Not by a distributed iterator, which no checkpoint can hold.
    """
    parts = {key: tf.split(values, strategy.num_replicas_in_sync) for key, values in batch.items()}
    return strategy.experimental_distribute_values_from_function(
        lambda context: {key: part[context.replica_id_in_sync_group] for key, part in parts.items()}
    )

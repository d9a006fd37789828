"""Elements to batches: filled up, mixed, and in the form that `model.fit` takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tf_data.randomness import MIX, MIX_KEY

Element = dict[str, tf.Tensor]
Mixing = Callable[[Element, int, tf.Tensor], Element]


def pad_batches(ds: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
    """Fills a last batch up to `batch_size` by repeating its last element, with `mask` False for what was added."""

    @tf.autograph.experimental.do_not_convert
    def pad(batch: Element) -> Element:
        batch = dict(batch)
        real = batch.setdefault("mask", tf.ones([tf.shape(batch["label"])[0]], tf.bool))
        missing = batch_size - tf.size(real)

        def filled(key: str, values: tf.Tensor) -> tf.Tensor:
            more = tf.zeros([missing], tf.bool) if key == "mask" else tf.repeat(values[-1:], missing, axis=0)
            return tf.concat([values, more], axis=0)

        batch = tf.cond(missing > 0, lambda: {key: filled(key, values) for key, values in batch.items()}, lambda: batch)
        return {key: tf.ensure_shape(values, [batch_size, *values.shape[1:]]) for key, values in batch.items()}

    return ds.map(pad)


def mix_batches(ds: tf.data.Dataset, mix: Mixing, num_classes: int) -> tf.data.Dataset:
    """Mixes each batch with itself, by a key that its first element brings; labels become float32 [B, num_classes]."""

    @tf.autograph.experimental.do_not_convert
    def mixed(batch: Element) -> Element:
        batch = dict(batch)
        key = tf.random.fold_in(batch.pop(MIX_KEY)[0], tf.constant(MIX, tf.int64), alg="philox")
        return mix(batch, num_classes, key)

    return ds.map(mixed, num_parallel_calls=tf.data.AUTOTUNE)


def supervised(streams: Sequence[str]) -> Callable[[Element], tuple[Any, ...]]:
    """Returns a function from an element, or a batch of them, to (input, label) or (input, label, weight).

    The input is a tensor where there is one stream and nothing else that a model needs, or a dictionary.
    """

    @tf.autograph.experimental.do_not_convert
    def split(element: Element) -> tuple[Any, ...]:
        inputs: Any = {key: element[key] for key in (*streams, "flip", "frame_mask") if key in element}
        if len(inputs) == 1:
            (inputs,) = inputs.values()
        if "mask" in element:
            return inputs, element["label"], tf.cast(element["mask"], tf.float32)
        return inputs, element["label"]

    return split

"""What models make of clips: logits over several views and streams, and how often they are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sonnet as snt
import tensorflow as tf

import tf_data


@dataclass(frozen=True, slots=True)
class Scores:
    """How often predictions were right.

    Attributes:
      confusion: int64 (classes, classes): clips by their label, a row each, and by the class predicted.
      num_in_top5: how many clips had their label among the five largest logits.
    """

    confusion: np.ndarray
    num_in_top5: int

    @property
    def num_clips(self) -> int:
        """How many clips there were."""
        return int(self.confusion.sum())

    @property
    def top1(self) -> float:
        """The share of the clips whose label had the largest logit."""
        return float(np.trace(self.confusion) / max(1, self.num_clips))

    @property
    def top5(self) -> float:
        """The share of the clips whose label was among the five largest logits."""
        return self.num_in_top5 / max(1, self.num_clips)


def logits_function(models: Mapping[str, snt.Module], dtype: str = "float32") -> Callable[[Any], tf.Tensor]:
    """Returns a function from a batch of `tf_data.load(…, dtype='uint8')` to logits, float32 [B, classes].

    Over the views of a clip logits are averaged; those of the streams are added, as the authors do.

    Args:
      models: of each stream.
      dtype: to compute in.
    """

    def of_view(view: dict[str, tf.Tensor]) -> tf.Tensor:
        frames = tf_data.to_model_input(view, "i3d", dtype=dtype)
        return tf.add_n([model(frames[stream], is_training=False) for stream, model in models.items()])

    @tf.function(reduce_retracing=True)
    def logits(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        views = {stream: batch[stream] for stream in models}
        if next(iter(views.values())).shape.rank == 5:
            return of_view(views)
        # One view after the other: thirty of a batch together may not fit into memory.
        views = {stream: tf.transpose(clips, [1, 0, 2, 3, 4, 5]) for stream, clips in views.items()}
        return tf.reduce_mean(tf.map_fn(of_view, views, fn_output_signature=tf.float32), axis=0)

    return logits


def predictions(
    logits: Callable[[Any], tf.Tensor], batches: tf.data.Dataset
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields labels, int64 [B], and logits, float32 [B, classes], a batch each; clips without a label are left out."""
    for batch in batches:
        labels = batch["label"].numpy()
        yield labels[labels >= 0], logits(batch).numpy()[labels >= 0]


def score(predicted: Iterator[tuple[np.ndarray, np.ndarray]], num_classes: int) -> Scores:
    """Counts how often the labels are predicted.

    Raises:
      ValueError: a label is of no class that there are logits for.
    """
    confusion = np.zeros((num_classes, num_classes), np.int64)
    num_in_top5 = 0
    for labels, logits in predicted:
        if labels.size and labels.max() >= num_classes:
            raise ValueError(f"a clip has the label {labels.max()}, and the model {num_classes} classes")
        order = np.argsort(-logits, axis=-1, kind="stable")
        np.add.at(confusion, (labels, order[:, 0]), 1)
        num_in_top5 += int((order[:, :5] == labels[:, np.newaxis]).any(axis=1).sum())
    return Scores(confusion, num_in_top5)

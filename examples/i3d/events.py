"""Curves from the event files that TensorBoard shows."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import tensorflow as tf


def read_curves(folder: Path) -> dict[str, dict[int, float]]:
    """Returns each scalar's value by step, by the scalar's name; where a step was told twice, what was told last.

    Raises:
      tf.errors.DataLossError: a file is damaged.
    """
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                curves[value.tag][event.step] = float(tf.make_ndarray(value.tensor))
    return dict(curves)

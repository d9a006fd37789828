"""Batches for loops of other frameworks: NumPy arrays, or what they take by DLPack."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow as tf


def as_numpy(ds: tf.data.Dataset, *, dlpack: bool = False) -> NumpyBatches:
    """Iterates over a data set in NumPy arrays, for JAX, PyTorch and loops of your own.

        for batch in tf_data.as_numpy(tf_data.load('k400', split='train', batch_size=8)):
            step(jax.device_put(batch['rgb']), batch['label'])

    Args:
      ds: what `load` gave.
      dlpack: gives numbers as objects that other frameworks take over without a copy, `torch.from_dlpack(batch['rgb'])`
        or `jax.dlpack.from_dlpack(batch['rgb'])`; strings are NumPy arrays all the same. Without it all are NumPy
        arrays, read-only where they are the reader's own memory, so copy what is to be written into.

    Returns:
      An iterator over elements of the data set's structure; when it has come to its end, iterating it once more gives
      the next epoch. Its `save(path)` and `restore(path)` keep its place: what it gives after `restore` is what would
      have come after `save`, also in a new process, and after the same `load`.
    """
    return NumpyBatches(ds, dlpack)


class NumpyBatches:
    """The iterator of `as_numpy`."""

    def __init__(self, ds: tf.data.Dataset, dlpack: bool) -> None:
        self._ds = ds
        self._iterator = iter(ds)
        self._is_at_end = False
        self._dlpack = dlpack

    def __iter__(self) -> NumpyBatches:
        if self._is_at_end:
            self._iterator = iter(self._ds)
            self._is_at_end = False
        return self

    def __next__(self) -> Any:
        try:
            return tf.nest.map_structure(self._converted, next(self._iterator))
        except StopIteration:
            self._is_at_end = True
            raise

    def __len__(self) -> int:
        """How many elements an epoch has, where that is known."""
        return len(self._ds)

    def save(self, path: str | os.PathLike[str]) -> str:
        """Writes the place in the data set to files that begin with `path`, and returns what `restore` takes."""
        return tf.train.Checkpoint(iterator=self._iterator).write(os.fspath(path))

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Goes on where an iterator was that saved its place.

        Raises:
          tf.errors.NotFoundError: there is no such place.
        """
        tf.train.Checkpoint(iterator=self._iterator).read(os.fspath(path)).assert_consumed()
        self._is_at_end = False

    def _converted(self, tensor: tf.Tensor) -> Any:
        if tensor.dtype in (tf.string, tf.bfloat16):  # DLPack has no strings, and NumPy no bfloat16 by DLPack
            return tensor if self._dlpack and tensor.dtype == tf.bfloat16 else tensor.numpy()
        return tensor if self._dlpack else np.from_dlpack(tensor)

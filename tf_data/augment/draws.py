"""What is drawn from a seed: numbers that depend on the seed and on what they are for, on nothing else."""

from __future__ import annotations

import zlib

import tensorflow as tf

_ALGORITHM = "philox"  # named, so that the numbers are the same on every device


def seed_for(seed: tf.Tensor, use: str) -> tf.Tensor:
    """Returns the seed of one use, int64 [2]: draws for two uses of a seed are independent.

    Args:
      seed: int32 or int64 [2].
      use: what is drawn, in words; other words, other numbers.
    """
    return tf.random.fold_in(tf.cast(seed, tf.int64), tf.constant(zlib.crc32(use.encode()), tf.int64), alg=_ALGORITHM)


def uniforms(seed: tf.Tensor, use: str, count: int) -> list[tf.Tensor]:
    """Returns `count` independent numbers from [0, 1), float32 scalars."""
    return tf.unstack(tf.random.stateless_uniform([count], seed_for(seed, use), alg=_ALGORITHM))


def normals(seed: tf.Tensor, use: str, shape: tf.Tensor | list[int]) -> tf.Tensor:
    """Returns independent numbers of mean 0 and standard deviation 1, float32 of `shape`."""
    return tf.random.stateless_normal(shape, seed_for(seed, use), alg=_ALGORITHM)


def beta(seed: tf.Tensor, use: str, alpha: float) -> tf.Tensor:
    """Returns a number from Beta(alpha, alpha), a float32 scalar in [0, 1].

    With X and Y from Gamma(alpha) it is X / (X + Y). Both underflow for small alpha, so this works with their
    logarithms, by G(alpha) = G(alpha + 1) · U^(1 / alpha) (Marsaglia and Tsang, https://doi.org/10.1145/358407.358414).
    """
    # In float64: one in 2^24 of float32's uniforms is 0, whose logarithm is no number to go on with.
    uniform = tf.random.stateless_uniform([2], seed_for(seed, f"{use}, uniform"), dtype=tf.float64, alg=_ALGORITHM)
    gamma = tf.random.stateless_gamma([2], seed_for(seed, f"{use}, gamma"), alpha=alpha + 1, dtype=tf.float64)
    logarithm = tf.math.log(gamma) + tf.math.log(uniform + 2.0**-54) / alpha
    return tf.cast(tf.sigmoid(logarithm[0] - logarithm[1]), tf.float32)


def between(low: float | tf.Tensor, high: float | tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Returns the number at `uniform` of the way from `low` to `high`."""
    return low + (high - low) * uniform


def below(count: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
    """Returns one of 0 … count - 1, an int32 scalar, all equally likely for a `uniform` in [0, 1)."""
    drawn = tf.cast(uniform * tf.cast(count, tf.float32), tf.int32)
    return tf.minimum(drawn, count - 1)  # float32 may round the product up to count

"""What is random about a clip."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tf_data import randomness


def _int64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int64)


def _numbers(drawn: randomness.Draw) -> list[float]:
    return [float(number) for number in drawn[1:]]


def test_a_draw_depends_on_seed_epoch_and_clip_and_on_nothing_else() -> None:
    def drawn(seed: int, epoch: int, clip: int) -> list[float]:
        return _numbers(randomness.draw(seed, _int64(epoch), _int64(clip)))

    first = drawn(1, 2, 3)
    tf.random.set_seed(99)
    assert drawn(1, 2, 3) == first
    others = [drawn(0, 2, 3), drawn(1, 3, 3), drawn(1, 2, 4), drawn(2, 1, 3), drawn(3, 2, 1), drawn(1, 2, -3)]
    assert len({tuple(numbers) for numbers in [first, *others]}) == 7
    assert len(set(first)) == len(first)


def test_draws_are_uniform_and_independent() -> None:
    @tf.function
    def drawn_for(keys: tf.Tensor) -> tf.Tensor:
        def drawn(key: tf.Tensor) -> tf.Tensor:
            return tf.stack(randomness.draw(0, _int64(5), key)[1:])

        return tf.map_fn(drawn, keys, fn_output_signature=tf.float32)

    drawn = drawn_for(tf.range(2000, dtype=tf.int64)).numpy()
    count = drawn.shape[1]
    assert 0 <= drawn.min() <= drawn.max() < 1
    quantiles = np.quantile(drawn, [0.1, 0.5, 0.9], axis=0)
    np.testing.assert_allclose(quantiles, np.repeat([[0.1], [0.5], [0.9]], count, axis=1), atol=0.04)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.eye(count), atol=0.1)


def test_each_purpose_has_numbers_of_its_own() -> None:
    drawn = randomness.draw(0, _int64(1), _int64(2))
    purposes = [randomness.RESIZED_CROP, randomness.SEGMENTS, randomness.MIX, *range(randomness.AUGMENT, 9)]
    numbers = [tuple(randomness.more_uniforms(drawn, purpose, [3]).numpy()) for purpose in purposes]
    assert len(set(purposes)) == len(set(numbers)) == len(purposes)
    keys = {tuple(randomness.subkey(drawn, purpose).numpy()) for purpose in purposes}
    assert len(keys | {tuple(drawn.key.numpy())}) == len(purposes) + 1

"""What every augmentation of a clip keeps to."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.tf_data.augment.drawing import draw_many
from tf_data import augment
from tf_data.augment import Augmentation, ColourJitter, Greyscale, RandAugment, RandomErasing

AUGMENTATIONS: list[Augmentation] = [
    ColourJitter(0.8, 0.8, 0.8, 0.2),
    ColourJitter(contrast=3.0, probability=0.5),
    Greyscale(0.5),
    RandAugment(num_ops=4, magnitude=7, magnitude_std=0.5),
    RandAugment(num_ops=1, magnitude=10, probability=1.0),
    RandAugment(num_ops=2, magnitude=9, geometric=False),
    RandomErasing(0.7),
    RandomErasing(1.0, fill="grey"),
]
of_every_augmentation = pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=str)
seeds = st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 2).map(lambda pair: tf.constant(pair, tf.int64))


@of_every_augmentation
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), seed=seeds)
def test_shape_dtype_and_range_stay(augmentation: Augmentation, data: st.DataObject, seed: tf.Tensor) -> None:
    shape = (*(data.draw(st.integers(low, 9)) for low in (1, 3, 3)), 3)
    levels = st.floats(0, 255, width=32) | st.sampled_from([0.0, 255.0])
    frames = data.draw(arrays(np.float32, shape, elements=levels))
    result = augmentation(tf.constant(frames), seed)
    assert result.dtype == tf.float32
    assert result.shape == shape
    assert result.numpy().min() >= 0 and result.numpy().max() <= 255


@of_every_augmentation
def test_draws_differ_from_seed_to_seed_and_not_for_the_same(augmentation: Augmentation, clip: np.ndarray) -> None:
    first = draw_many(lambda seed: augmentation(tf.constant(clip), seed), 20)
    tf.random.set_seed(5)
    np.testing.assert_array_equal(draw_many(lambda seed: augmentation(tf.constant(clip), seed), 20), first)
    assert len(np.unique(first, axis=0)) > (1 if isinstance(augmentation, Greyscale) else 5)


@pytest.mark.parametrize("augmentation", [a for a in AUGMENTATIONS if getattr(a, "fill", "") != "noise"], ids=str)
def test_all_frames_get_the_same(augmentation: Augmentation, clip: np.ndarray) -> None:
    still = tf.constant(np.repeat(clip[:1], 3, axis=0))
    results = draw_many(lambda seed: augmentation(still, seed), 30)
    np.testing.assert_array_equal(results, np.repeat(results[:, :1], 3, axis=1))
    assert (results != still.numpy()).any(axis=(1, 2, 3, 4)).mean() > 0.2


@of_every_augmentation
def test_static_shapes_stay_known_in_a_map(augmentation: Augmentation, clip: np.ndarray) -> None:
    ds = tf.data.Dataset.from_tensors(clip).map(lambda frames: augmentation(frames, tf.constant([1, 2])))
    assert ds.element_spec == tf.TensorSpec(clip.shape, tf.float32)


@of_every_augmentation
def test_frames_of_unknown_size_are_augmented_alike(augmentation: Augmentation, clip: np.ndarray) -> None:
    unknown = tf.TensorSpec([None, None, None, 3], tf.float32)
    traced = tf.function(augmentation, input_signature=[unknown, tf.TensorSpec([2], tf.int32)])
    for number in range(5):
        seed = tf.constant([number, 0])
        np.testing.assert_array_equal(traced(clip, seed), augmentation(tf.constant(clip), seed))


@of_every_augmentation
def test_threads_change_nothing(augmentation: Augmentation, clip: np.ndarray) -> None:
    def pixels(parallel_calls: int, threads: int) -> np.ndarray:
        options = tf.data.Options()
        options.threading.private_threadpool_size = threads
        ds = tf.data.Dataset.range(16).with_options(options)
        ds = ds.map(lambda k: augmentation(tf.constant(clip), tf.stack([k, k])), num_parallel_calls=parallel_calls)
        return np.stack(list(ds.as_numpy_iterator()))

    np.testing.assert_array_equal(pixels(1, 1), pixels(8, 4))


def test_augmentations_follow_each_other_in_order(clip: np.ndarray) -> None:
    def halve(frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return frames / 2

    def add_one(frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return frames + 1

    np.testing.assert_array_equal(augment.apply([halve, add_one], tf.constant(clip), tf.constant([1, 2])), clip / 2 + 1)
    np.testing.assert_array_equal(augment.apply([], tf.constant(clip), tf.constant([1, 2])), clip)


def test_two_of_a_kind_draw_by_themselves() -> None:
    drawn: list[tf.Tensor] = []

    def keep_seed(frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        drawn.append(seed)
        return frames

    black = tf.zeros([1, 4, 4, 3])
    augment.apply([keep_seed, keep_seed], black, tf.constant([1, 2]))
    augment.apply([keep_seed], black, tf.constant([1, 2], tf.int64))
    first, second, again = (tuple(seed.numpy()) for seed in drawn)
    assert first != second
    assert first == again


def test_an_augmentation_that_changes_the_shape_or_dtype_is_named(clip: np.ndarray) -> None:
    def smaller(frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return frames[:, ::2]

    with pytest.raises(ValueError, match=r"augmentation 1, .*smaller.* float32 \(3, 40, 56, 3\).* \(3, 20, 56, 3\)"):
        augment.apply([Greyscale(1.0), smaller], tf.constant(clip), tf.constant([1, 2]))
    with pytest.raises(ValueError, match=r"augmentation 0, .* returned uint8"):
        augment.apply([lambda frames, seed: tf.cast(frames, tf.uint8)], tf.constant(clip), tf.constant([1, 2]))

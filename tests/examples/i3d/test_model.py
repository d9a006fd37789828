"""The network: that of the paper, variable for variable, for clips of any length."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from examples.i3d.model import BatchNorm, average_pairs, build_i3d
from tests.examples.i3d import published


@pytest.fixture(scope="module")
def slim() -> snt.Module:
    tf.random.set_seed(0)
    return build_i3d("rgb", 5, width=0.1)


def frames(num_frames: int, batch: int = 2, channels: int = 3) -> tf.Tensor:
    return tf.random.stateless_uniform([batch, num_frames, 32, 32, channels], [1, 2], -1.0, 1.0)


@pytest.mark.parametrize(("stream", "num_trainable"), [("rgb", 12_689_984), ("flow", 12_668_032)])
def test_variables_are_those_of_the_published_checkpoints(stream: str, num_trainable: int) -> None:
    model = build_i3d(stream, 400)
    ours = {variable.name.removesuffix(":0"): tuple(variable.shape) for variable in model.variables}
    assert ours == published.shapes(stream)
    assert len(ours) == 230
    assert sum(variable.shape.num_elements() for variable in model.trainable_variables) == num_trainable


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("rgb_scratch", published.shapes("rgb")),
        ("rgb_imagenet", published.shapes("rgb")),
        ("flow_scratch", published.shapes("flow")),
        ("flow_imagenet", published.shapes("flow")),
        ("rgb_scratch_kin600", published.k600_shapes()),
    ],
)
def test_published_checkpoints_have_these_variables(
    file: str, expected: dict[str, tuple[int, ...]], test_data: Path
) -> None:
    found = tf.train.load_checkpoint(str(test_data / "i3d_checkpoints" / f"{file}.ckpt")).get_variable_to_shape_map()
    assert {name: tuple(shape) for name, shape in found.items() if name != "global_step"} == expected


@pytest.mark.parametrize("num_frames", [1, 8, 17])
def test_logits_of_clips_of_any_length(num_frames: int, slim: snt.Module) -> None:
    logits = slim(frames(num_frames), is_training=False)
    assert logits.shape == (2, 5)
    assert logits.dtype == tf.float32
    assert np.isfinite(logits.numpy()).all()


def test_in_evaluation_a_clip_does_not_depend_on_its_batch(slim: snt.Module) -> None:
    both = frames(8)
    np.testing.assert_allclose(slim(both, is_training=False)[:1], slim(both[:1], is_training=False), atol=1e-5)


def test_features_are_averaged_as_by_the_published_network() -> None:
    features = tf.random.stateless_uniform([2, 8, 7, 7, 6], [3, 4])  # 64 frames of 224×224
    theirs = tf.nn.avg_pool3d(features, [1, 2, 7, 7, 1], [1, 1, 1, 1, 1], "VALID")
    np.testing.assert_allclose(average_pairs(features), theirs, rtol=1e-6)


def test_batch_normalisation_is_by_the_batch_in_training_and_remembers_it() -> None:
    layer = BatchNorm(3, decay=0.75)
    values = tf.random.stateless_normal([4, 5, 6, 7, 3], [5, 6], mean=2.0, stddev=3.0)
    normalised = layer(values, is_training=True)
    mean, variance = tf.nn.moments(values, [0, 1, 2, 3])
    np.testing.assert_allclose(normalised, (values - mean) / tf.sqrt(variance + 1e-3), atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.25 * mean, rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, 0.75 + 0.25 * variance, rtol=1e-2)  # sums are by n or n - 1


def test_batch_normalisation_is_by_what_it_remembers_in_evaluation() -> None:
    layer = BatchNorm(2, decay=0.9)
    layer.moving_mean.assign([1.0, 2.0])
    layer.moving_variance.assign([4.0, 9.0])
    layer.beta.assign([0.0, 10.0])
    values = tf.constant([5.0, 8.0], shape=[1, 1, 1, 1, 2])
    np.testing.assert_allclose(layer(values, is_training=False).numpy().ravel(), [2.0, 12.0], rtol=1e-3)
    np.testing.assert_array_equal(layer.moving_mean, [1.0, 2.0])


def test_dropout_is_that_of_its_seed(slim: snt.Module) -> None:
    clips = frames(8, batch=1)

    def logits(seed: int) -> np.ndarray:
        return slim(clips, is_training=False, dropout=0.5, dropout_seed=tf.constant([seed, 0])).numpy()

    np.testing.assert_array_equal(logits(1), logits(1))
    assert not np.array_equal(logits(1), logits(2))


def test_bfloat16_computes_with_the_same_weights(slim: snt.Module) -> None:
    clips = frames(8)
    exact, rough = slim(clips, is_training=False), slim(tf.cast(clips, tf.bfloat16), is_training=False)
    assert rough.dtype == tf.float32
    np.testing.assert_allclose(rough, exact, atol=0.03)
    assert {variable.dtype for variable in slim.variables} == {tf.float32}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stream": "audio"}, "stream must be one of rgb, flow, got 'audio'"),
        ({"num_classes": 0}, "num_classes must be at least 1, got 0"),
        ({"width": 0.0}, "width must be above 0 and at most 4, got 0.0"),
        ({"batch_norm_decay": 1.0}, "batch_norm_decay must be at least 0 and below 1, got 1.0"),
    ],
)
def test_a_network_that_there_is_not_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_i3d(**{"stream": "rgb"} | arguments)

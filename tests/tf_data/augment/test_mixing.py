"""Mixup and CutMix: who with whom, by which share, in all streams and the label alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tf_data.augment.drawing import draw_many
from tf_data.augment import Mix

FRAMES, HEIGHT, WIDTH, SAMPLES = 2, 12, 16, 20
MIXUP, CUTMIX = Mix(mixup_alpha=1.0, cutmix_alpha=0.0), Mix(mixup_alpha=0.0, cutmix_alpha=1.0)


def _batch(size: int = 4, dtype: str = "float32", **others: Any) -> dict[str, Any]:
    """A batch in which clip i has label i, and streams of its own numbers."""
    generator = np.random.default_rng(0)

    def levels(channels: int) -> np.ndarray:
        return generator.integers(0, 256, (size, FRAMES, HEIGHT, WIDTH, channels))

    pictures = {"rgb": tf.cast(levels(3), dtype), "flow": tf.cast(levels(2), dtype)}
    audio = tf.constant(generator.normal(size=(size, SAMPLES)), tf.float32)
    return {**pictures, "audio": audio, "label": tf.range(size, dtype=tf.int64), **others}


def _seed(number: int) -> tf.Tensor:
    return tf.constant([number, 9])


def _blended(stream: tf.Tensor, share: float) -> np.ndarray:
    return share * np.asarray(stream, np.float32) + (1 - share) * np.asarray(stream, np.float32)[::-1]


@pytest.mark.parametrize("number", range(5))
def test_mixup_adds_the_reversed_batch_in_all_streams_and_labels(number: int) -> None:
    batch = _batch()
    mixed = MIXUP(batch, 4, _seed(number))
    share = float(mixed["label"][0, 0])
    np.testing.assert_allclose(mixed["label"], _blended(np.eye(4), share), atol=1e-6)
    for stream in ("rgb", "flow", "audio"):
        np.testing.assert_allclose(mixed[stream], _blended(batch[stream], share), atol=1e-3)


@pytest.mark.parametrize("number", range(5))
def test_cutmix_pastes_the_partners_box_and_the_label_tells_its_area(number: int) -> None:
    batch = _batch()
    mixed = CUTMIX(batch, 4, _seed(number))
    from_partner = (mixed["rgb"].numpy() != batch["rgb"].numpy()).any(axis=(0, 1, 4))
    rows, columns = from_partner.any(axis=1), from_partner.any(axis=0)
    assert from_partner.sum() == rows.sum() * columns.sum()
    for stream in ("rgb", "flow"):
        own, partner = batch[stream].numpy(), batch[stream].numpy()[::-1]
        box = from_partner[:, :, np.newaxis]
        np.testing.assert_array_equal(mixed[stream], np.where(box, partner, own))
    share = 1 - from_partner.mean()
    np.testing.assert_allclose(mixed["label"], _blended(np.eye(4), share), atol=1e-6)
    np.testing.assert_allclose(mixed["audio"], _blended(batch["audio"], share), atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 7), st.sampled_from(["uint8", "float32", "bfloat16"]), st.integers(0, 10**6), st.floats(0.05, 5))
def test_shapes_dtypes_ranges_and_the_sum_of_labels_stay(size: int, dtype: str, number: int, alpha: float) -> None:
    batch = _batch(size, dtype)
    mixed = Mix(alpha, alpha, label_smoothing=0.1)(batch, 9, _seed(number))
    for stream in ("rgb", "flow", "audio"):
        assert mixed[stream].dtype == batch[stream].dtype
        assert mixed[stream].shape == batch[stream].shape
    assert tf.cast(mixed["rgb"], tf.float32).numpy().max() <= 256  # of bfloat16, the nearest to 255
    assert mixed["label"].dtype == tf.float32
    np.testing.assert_allclose(mixed["label"].numpy().sum(axis=1), 1, rtol=1e-5)


def test_levels_are_rounded_to_the_nearest() -> None:
    batch = _batch(dtype="uint8")
    exact = MIXUP(_batch(), 4, _seed(3))
    np.testing.assert_array_equal(MIXUP(batch, 4, _seed(3))["rgb"], np.round(exact["rgb"]))


def test_the_same_seed_mixes_alike_and_another_differently() -> None:
    shares = [float(MIXUP(_batch(), 4, _seed(number))["label"][0, 0]) for number in (0, 0, 1, 2)]
    assert shares[0] == shares[1]
    assert len(set(shares)) == 3


def _share(mix: Mix, seed: tf.Tensor, frames: tf.Tensor | None = None) -> tf.Tensor:
    rgb = tf.zeros([2, 1, 40, 40, 3]) if frames is None else frames
    return mix({"rgb": rgb, "label": tf.constant([0, 1])}, 2, seed)["label"][0, 0]


@pytest.mark.parametrize("alpha", [0.2, 0.8, 1.0])
def test_shares_of_mixup_are_of_the_beta_distribution(alpha: float) -> None:
    shares = draw_many(lambda seed: _share(Mix(alpha, 0), seed), 2000)
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(shares.mean() - 0.5) < 4 * np.sqrt(variance / 2000)
    assert abs(shares.var() / variance - 1) < 0.12


def test_boxes_of_cutmix_are_as_large_as_timms() -> None:
    # Its rule in NumPy: a square of 1 - lambda of the area about a centre anywhere, clipped by the frame.
    generator = np.random.default_rng(0)
    sides = (40 * np.sqrt(1 - generator.beta(1, 1, 10**5))).astype(int)[:, np.newaxis]
    centres = generator.integers(0, 40, (10**5, 2))
    inside = np.minimum(centres + sides // 2, 40) - np.maximum(centres - sides // 2, 0)
    expected = 1 - inside.prod(axis=1) / 1600
    shares = draw_many(lambda seed: _share(CUTMIX, seed), 2000)
    assert abs(shares.mean() - expected.mean()) < 4 * expected.std() / np.sqrt(2000)
    np.testing.assert_allclose(np.quantile(shares, [0.1, 0.5, 0.9]), np.quantile(expected, [0.1, 0.5, 0.9]), atol=0.04)


def test_boxes_of_cutmix_reach_every_pixel_alike_from_side_to_side() -> None:
    ones = tf.stack([tf.zeros([1, 20, 40, 3]), tf.ones([1, 20, 40, 3])])
    batch = {"rgb": ones, "label": tf.constant([0, 1])}
    cover = draw_many(lambda seed: CUTMIX(batch, 2, seed)["rgb"][0, 0, :, :, 0], 2000).mean(axis=0)
    assert cover.min() > 0
    np.testing.assert_allclose(cover, cover[::-1, ::-1], atol=0.07)


def test_batches_are_mixed_and_cut_as_often_as_asked_for() -> None:
    frames = tf.stack([tf.zeros([1, 8, 8, 3]), tf.fill([1, 8, 8, 3], 255.0)])
    mix = Mix(1.0, 1.0, switch_probability=0.3, probability=0.6)

    def kind(seed: tf.Tensor) -> tf.Tensor:
        mixed = mix({"rgb": frames, "label": tf.constant([0, 1])}, 2, seed)
        blended = tf.reduce_any((mixed["rgb"] > 0) & (mixed["rgb"] < 255))
        cut = tf.reduce_any(mixed["rgb"][0] == 255)
        return tf.where(blended, 1, tf.where(cut, 2, 0))

    shares = np.bincount(draw_many(kind, 2000), minlength=3) / 2000
    # A box of less than a pixel, which is drawn in 1 of 10 here, looks like none.
    np.testing.assert_allclose(shares, [0.4, 0.42, 0.18], atol=0.06)
    assert abs(shares[1] - 0.42) < 0.045


def test_a_batch_that_is_not_mixed_stays_as_it_is() -> None:
    batch = _batch(dtype="uint8")
    mixed = Mix(1.0, 1.0, probability=0.0)(batch, 4, _seed(0))
    for stream in ("rgb", "flow", "audio"):
        np.testing.assert_array_equal(mixed[stream], batch[stream])
    np.testing.assert_array_equal(mixed["label"], np.eye(4))


@pytest.mark.parametrize("mix", [MIXUP, CUTMIX])
def test_fillers_are_mixed_into_no_real_example(mix: Mix) -> None:
    mask = np.array([True, True, False, True, False])
    batch = _batch(5, mask=tf.constant(mask))
    garbage = tf.where(tf.constant(mask)[:, None, None, None, None], batch["rgb"], -1e9)
    mixed = mix(batch | {"rgb": garbage}, 5, _seed(4))
    full = _batch(5)
    alone = mix({key: tf.boolean_mask(value, mask) for key, value in full.items()}, 5, _seed(4))
    for key in ("rgb", "flow", "audio", "label"):
        np.testing.assert_array_equal(tf.boolean_mask(mixed[key], mask), alone[key])
        if key != "rgb":
            np.testing.assert_allclose(mixed[key][2], full[key][2] if key != "label" else np.eye(5)[2], rtol=1e-6)
    np.testing.assert_array_equal(mixed["mask"], mask)


def test_a_batch_of_fillers_alone_is_no_error() -> None:
    batch = _batch(2, mask=tf.constant([False, False]))
    np.testing.assert_allclose(MIXUP(batch, 2, _seed(0))["rgb"], batch["rgb"], rtol=1e-6)


def test_a_clip_without_a_label_adds_nothing_to_a_row() -> None:
    batch = _batch(label=tf.constant([-1, 1, -1, 2], tf.int64))
    as_it_is = Mix(1.0, 0.0, probability=0.0, label_smoothing=0.1)(batch, 3, _seed(0))["label"].numpy()
    assert (as_it_is[[0, 2]] == 0).all()
    mixed = MIXUP(batch, 3, _seed(0))["label"].numpy()
    share = mixed[3, 2]
    np.testing.assert_allclose(mixed, [[0, 0, 1 - share], [0, share, 0], [0, 1 - share, 0], [0, 0, share]], atol=1e-6)


def test_smoothing_gives_a_part_of_a_label_to_all_classes() -> None:
    labels = Mix(1.0, 0.0, probability=0.0, label_smoothing=0.1)(_batch(), 4, _seed(0))["label"]
    np.testing.assert_allclose(labels, np.full((4, 4), 0.025) + 0.9 * np.eye(4), rtol=1e-6)


def test_labels_may_be_distributions_already() -> None:
    distributions = np.array([[0.5, 0.5, 0], [0, 0, 1], [1, 0, 0], [0, 0.25, 0.75]], np.float32)
    by_index = MIXUP(_batch(), 4, _seed(1))["label"].numpy()
    mixed = MIXUP(_batch(label=tf.constant(distributions)), 3, _seed(1))["label"]
    np.testing.assert_allclose(mixed, _blended(distributions, by_index[0, 0]), atol=1e-6)


def test_other_features_stay() -> None:
    batch = _batch(clip_id=tf.constant(["a", "b", "c", "d"]))
    assert MIXUP(batch, 4, _seed(0))["clip_id"].numpy().tolist() == [b"a", b"b", b"c", b"d"]


def test_sound_alone_is_mixed() -> None:
    batch = {key: value for key, value in _batch().items() if key in ("audio", "label")}
    mixed = MIXUP(batch, 4, _seed(0))
    np.testing.assert_allclose(mixed["audio"], _blended(batch["audio"], mixed["label"][0, 0].numpy()), atol=1e-5)


def test_in_a_map_static_shapes_stay_and_the_last_batch_may_be_smaller() -> None:
    examples = tf.data.Dataset.from_tensor_slices(_batch(5, "uint8"))
    counted = tf.data.Dataset.zip((tf.data.Dataset.range(3), examples.batch(2)))
    ds = counted.map(lambda number, batch: Mix(0.8, 1.0)(batch, 6, tf.stack([number, number])))
    assert ds.element_spec["rgb"] == tf.TensorSpec([None, FRAMES, HEIGHT, WIDTH, 3], tf.uint8)
    assert ds.element_spec["flow"] == tf.TensorSpec([None, FRAMES, HEIGHT, WIDTH, 2], tf.uint8)
    assert ds.element_spec["label"] == tf.TensorSpec([None, 6], tf.float32)
    assert [batch["label"].shape for batch in ds] == [(2, 6), (2, 6), (1, 6)]


@pytest.mark.parametrize(
    ("change", "num_classes", "message"),
    [
        ({"rgb": None, "flow": None}, 4, "CutMix cuts rgb or flow, and the batch has neither; set cutmix_alpha=0"),
        ({"rgb": None, "flow": None, "audio": None}, 4, "the batch has none of rgb, flow, audio"),
        ({"flow": tf.zeros([4, 2, 8, 8, 2])}, 4, r"frames of one size, got rgb \(4, 2, 12, 16, 3\) and flow \(4, 2, 8"),
        ({"label": tf.zeros([4, 3])}, 4, r"float labels must be \[B, num_classes=4\], got \(4, 3\)"),
        ({"label": tf.zeros([4, 3], tf.int64)}, 4, r"integer labels must be one a clip, \[B\], got \(4, 3\)"),
        ({}, 0, "num_classes must be an integer of 1 or more, got 0"),
    ],
)
def test_a_batch_that_cannot_be_mixed_is_an_error(change: dict[str, Any], num_classes: int, message: str) -> None:
    batch = {key: value for key, value in (_batch() | change).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        CUTMIX(batch, num_classes, _seed(0))


@pytest.mark.parametrize("label", [4, -2])
def test_a_label_that_is_no_class_is_an_error(label: int) -> None:
    ds = tf.data.Dataset.from_tensors(_batch(label=tf.constant([0, 1, label, 3], tf.int64)))
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"from -1 \(none\) to num_classes - 1 = 3.*{label}"):
        list(ds.map(lambda batch: MIXUP(batch, 4, _seed(0))))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mixup_alpha": -1}, "Mix: mixup_alpha must be a number of at least 0, got -1"),
        ({"cutmix_alpha": float("inf")}, "Mix: cutmix_alpha must be a number of at least 0, got inf"),
        ({"mixup_alpha": 0, "cutmix_alpha": 0}, "Mix: mixup_alpha and cutmix_alpha are both 0"),
        ({"switch_probability": 2}, "Mix: switch_probability must be a number from 0 to 1, got 2"),
        ({"label_smoothing": "0.1"}, "Mix: label_smoothing must be a number from 0 to 1, got '0.1'"),
    ],
)
def test_a_wrong_value_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Mix(**({"mixup_alpha": 0.8, "cutmix_alpha": 1.0} | values))

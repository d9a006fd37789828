"""Flip and normalisation on the device give what the host gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.tf_data.elements import BOUND_PX, clip_record, element
from tf_data import geometry
from tf_data.model_input import normalise, to_model_input
from tf_data.presets import PRESETS, Preset, find_preset
from tf_data.views import Views

LEVELS = np.arange(256, dtype=np.uint8)
RGB = np.random.default_rng(0).integers(0, 256, (2, 3, 6, 8, 3)).astype(np.uint8)
FLOW = np.random.default_rng(1).integers(0, 256, (2, 3, 6, 8, 2)).astype(np.uint8)
FLIP = np.array([False, True])
FRAME_MASK = np.array([[True, True, False], [True, False, False]])

presets = pytest.mark.parametrize("preset", list(PRESETS))


def _on_host(stream: str, preset: str, bound_px: float | None = None) -> np.ndarray:
    """What the host makes of the levels, flipped and masked."""
    levels, mirror = {"rgb": (RGB, geometry.flip_rgb), "flow": (FLOW, geometry.flip_flow)}[stream]
    flipped = np.stack(
        [mirror(tf.constant(one)).numpy() if flip else one for one, flip in zip(levels, FLIP, strict=True)]
    )
    values = normalise(tf.constant(flipped), stream, find_preset(preset).training, bound_px).numpy()
    return values * FRAME_MASK[..., np.newaxis, np.newaxis, np.newaxis]


def _assert_but_for_rounding(mine: np.ndarray, theirs: np.ndarray) -> None:
    span = max(float(np.ptp(theirs)), 1.0)  # rounding is that of the range: near zero a float32 is much finer
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=2 * np.finfo(np.float32).eps * span)


# -- Normalisation ------------------------------------------------------------------------------------------------


def _rgb(level: int) -> tf.Tensor:
    return tf.fill([1, 1, 1, 3], tf.constant(level, tf.uint8))


def test_levels_become_minus_one_to_one_exactly() -> None:
    numbers = normalise(tf.constant(LEVELS), "rgb", Views()).numpy()
    assert (numbers[0], numbers[255]) == (-1.0, 1.0)
    np.testing.assert_allclose(numbers, (LEVELS - 127.5) / 127.5, atol=1e-7)


def test_levels_become_zero_to_one_exactly() -> None:
    numbers = normalise(tf.constant(LEVELS), "rgb", find_preset("movinet").training).numpy()
    assert (numbers[0], numbers[255]) == (0.0, 1.0)
    np.testing.assert_allclose(numbers, LEVELS / 255, atol=1e-7)


@presets
def test_each_channel_has_its_mean_and_deviation(preset: str) -> None:
    views = find_preset(preset).training
    numbers = normalise(tf.constant(np.stack([LEVELS] * 3, axis=1)), "rgb", views).numpy()
    exact = (np.stack([LEVELS] * 3, axis=1) / 255 - views.mean) / views.std
    np.testing.assert_allclose(numbers, exact, rtol=1e-6, atol=1e-6)


@presets
def test_flow_does_not_depend_on_the_preset(preset: str) -> None:
    numbers = normalise(tf.constant(LEVELS), "flow", find_preset(preset).training).numpy()
    np.testing.assert_array_equal(numbers, normalise(tf.constant(LEVELS), "rgb", Views()).numpy())


def test_flow_in_pixels_reaches_its_bound() -> None:
    numbers = normalise(tf.constant(LEVELS), "flow", Views(), BOUND_PX).numpy()
    assert (numbers[0], numbers[255]) == (-BOUND_PX, BOUND_PX)
    np.testing.assert_allclose(numbers, (LEVELS / 127.5 - 1) * BOUND_PX, atol=1e-5)


def test_opposite_levels_are_opposite_flow() -> None:
    for bound_px in (None, BOUND_PX, 7.3):
        numbers = normalise(tf.constant(LEVELS), "flow", Views(), bound_px).numpy()
        _assert_but_for_rounding(numbers, -numbers[::-1])


# -- On the device ------------------------------------------------------------------------------------------------


@presets
@pytest.mark.parametrize("jit_compile", [False, True])
def test_batches_of_levels_become_what_the_host_gives(preset: str, jit_compile: bool) -> None:
    @tf.function(jit_compile=jit_compile)
    def on_device(rgb: tf.Tensor, flow: tf.Tensor, flip: tf.Tensor, mask: tf.Tensor) -> Any:
        return to_model_input({"rgb": rgb, "flow": flow, "flip": flip, "frame_mask": mask}, preset)

    made = on_device(*(tf.constant(values) for values in (RGB, FLOW, FLIP, FRAME_MASK)))
    for stream in ("rgb", "flow"):
        assert made[stream].dtype == tf.float32
        _assert_but_for_rounding(made[stream].numpy(), _on_host(stream, preset))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_flow_comes_in_pixels_where_its_bound_is_given(jit_compile: bool) -> None:
    @tf.function(jit_compile=jit_compile)
    def on_device(flow: tf.Tensor, flip: tf.Tensor, mask: tf.Tensor) -> Any:
        return to_model_input({"flow": flow, "flip": flip, "frame_mask": mask}, "i3d", bound_px=BOUND_PX)["flow"]

    made = on_device(*(tf.constant(values) for values in (FLOW, FLIP, FRAME_MASK))).numpy()
    _assert_but_for_rounding(made, _on_host("flow", "i3d", BOUND_PX))


@pytest.mark.parametrize("jit_compile", [False, True])
@presets
def test_bfloat16_is_float32_rounded_once(preset: str, jit_compile: bool) -> None:
    @tf.function(jit_compile=jit_compile)
    def on_device(rgb: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        return to_model_input(rgb, preset, dtype=dtype)

    levels = tf.constant(np.stack([LEVELS] * 3, axis=1)[np.newaxis, np.newaxis])
    half, whole = on_device(levels, tf.bfloat16), on_device(levels, tf.float32)
    assert half.dtype == tf.bfloat16
    np.testing.assert_array_equal(tf.cast(half, tf.float32), tf.cast(tf.cast(whole, tf.bfloat16), tf.float32))


@presets
def test_nothing_that_only_cpus_can_do_is_left_to_the_device(preset: str) -> None:
    def on_device(batch: Any) -> Any:
        return to_model_input(batch, preset)

    batch = {"rgb": tf.constant(RGB), "flow": tf.constant(FLOW), "flip": tf.constant(FLIP)}
    graph = tf.function(on_device).get_concrete_function(batch).graph
    assert "Dequantize" not in {operation.type for operation in graph.get_operations()}


@pytest.mark.parametrize("dtype", ["bfloat16", tf.bfloat16])
def test_dtypes_are_taken_by_name_and_as_tensorflows(dtype: Any) -> None:
    assert to_model_input(tf.constant(RGB), "i3d", dtype=dtype).dtype == tf.bfloat16


def test_a_tensor_alone_is_taken_for_rgb_or_flow_by_its_channels() -> None:
    for levels, stream in ((RGB, "rgb"), (FLOW, "flow")):
        expected = normalise(tf.constant(levels), stream, find_preset("slowfast").training)
        _assert_but_for_rounding(to_model_input(tf.constant(levels), "slowfast").numpy(), expected.numpy())


def test_an_element_without_a_batch_and_views_of_several_are_taken_as_well() -> None:
    element = {"rgb": tf.constant(RGB[1]), "flip": tf.constant(True), "frame_mask": tf.constant(FRAME_MASK[1])}
    _assert_but_for_rounding(to_model_input(element, "i3d")["rgb"].numpy(), _on_host("rgb", "i3d")[1])
    views = {"rgb": tf.constant(RGB[:, np.newaxis]), "flip": FLIP, "frame_mask": FRAME_MASK[:, np.newaxis]}
    _assert_but_for_rounding(to_model_input(views, "i3d")["rgb"].numpy(), _on_host("rgb", "i3d")[:, np.newaxis])


def test_numpy_arrays_are_taken_as_well() -> None:
    made = to_model_input({"rgb": RGB, "flip": FLIP, "frame_mask": FRAME_MASK}, "i3d")
    _assert_but_for_rounding(made["rgb"].numpy(), _on_host("rgb", "i3d"))


def test_the_rest_is_passed_through_and_the_flip_is_done() -> None:
    batch = {
        "rgb": RGB,
        "flip": FLIP,
        "frame_mask": FRAME_MASK,
        "label": np.array([1, 2]),
        "clip_id": np.array([b"a", b"b"]),
    }
    made = to_model_input(batch, "i3d")
    assert set(made) == {"rgb", "frame_mask", "label", "clip_id"}
    assert all(made[key] is batch[key] for key in ("frame_mask", "label", "clip_id"))
    assert set(batch) == {"rgb", "flip", "frame_mask", "label", "clip_id"}


def test_a_preset_of_ones_own_gives_its_numbers() -> None:
    views = Views(num_frames=3, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    made = to_model_input(tf.constant(RGB), Preset(views, views)).numpy()
    np.testing.assert_allclose(made, (RGB / 255 - views.mean) / views.std, atol=1e-6)


def test_shapes_stay_known() -> None:
    batch = {"rgb": tf.TensorSpec([None, 3, 6, 8, 3], tf.uint8), "flip": tf.TensorSpec([None], tf.bool)}
    traced = tf.function(lambda levels: to_model_input(levels, "i3d")).get_concrete_function(batch)
    assert traced.structured_outputs["rgb"].shape.as_list() == [None, 3, 6, 8, 3]


def test_a_batch_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="batch must have 'rgb' or 'flow', got 'label'"):
        to_model_input({"label": np.array([1])}, "i3d")


def test_what_has_been_normalised_is_refused() -> None:
    with pytest.raises(ValueError, match=r"batch\['rgb'\] must be uint8, got float32: load with dtype='uint8'"):
        to_model_input({"rgb": RGB.astype(np.float32)}, "i3d")


# -- From the record on -------------------------------------------------------------------------------------------

_SMALL: dict[str, Any] = {"num_frames": 6, "crop_size": 20, "streams": ("rgb", "flow"), "augment": ()}


@pytest.mark.parametrize("short", ["loop", "hold", "pad"])
@pytest.mark.parametrize("reverse", [0.0, 1.0])
@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_levels_through_the_device_are_the_hosts_float32(short: str, reverse: float, flip: float) -> None:
    asked = _SMALL | {"short": short, "reverse_probability": reverse, "flip_probability": flip}
    host = element(clip_record(4), "i3d", **asked)
    device = to_model_input(element(clip_record(4), "i3d", **asked, dtype="uint8"), "i3d")
    assert set(device) == set(host)
    for stream in ("rgb", "flow"):
        _assert_but_for_rounding(np.asarray(device[stream]), host[stream])


@presets
def test_resized_levels_are_the_hosts_float32_but_for_rounding_them(preset: str) -> None:
    asked = _SMALL | {"crop_size": 20 if PRESETS[preset].training.area_range or preset == "i3d" else 24}
    if PRESETS[preset].training.shorter_side:
        asked["shorter_side"] = 28
    views = PRESETS[preset].training
    for epoch in range(4):  # flipped and not
        host = element(clip_record(20), preset, **asked, epoch=epoch)
        device = to_model_input(element(clip_record(20), preset, **asked, epoch=epoch, dtype="uint8"), preset)
        half_a_level = 0.5001 / 255
        assert (np.abs(device["rgb"] - host["rgb"]) <= half_a_level / np.array(views.std)).all()
        within = np.clip(host["flow"], -1, 1)  # as levels, flow that resizing makes larger than the bound stays at it
        assert np.abs(device["flow"] - within).max() <= 2 * half_a_level


@presets
@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_of_the_host_is_its_float32_rounded_once(preset: str, training: bool) -> None:
    asked = _SMALL | ({"shorter_side": 28} if preset in ("slowfast", "vivit") or not training else {})
    host = element(clip_record(20), preset, training=training, **asked)
    half = element(clip_record(20), preset, training=training, **asked, dtype="bfloat16")
    for stream in ("rgb", "flow"):
        np.testing.assert_array_equal(half[stream], host[stream].astype(half[stream].dtype))


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_flow_in_pixels_from_the_device_is_the_hosts(flip: float) -> None:
    asked = _SMALL | {"flip_probability": flip}
    host = element(clip_record(20), "i3d", **asked, flow_units="pixels")
    device = to_model_input(element(clip_record(20), "i3d", **asked, dtype="uint8"), "i3d", bound_px=BOUND_PX)
    _assert_but_for_rounding(np.asarray(device["flow"]), host["flow"])
    np.testing.assert_allclose(host["flow"], element(clip_record(20), "i3d", **asked)["flow"] * BOUND_PX, rtol=1e-5)

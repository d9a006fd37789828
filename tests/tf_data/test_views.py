"""What may be asked for together, and what a preset's row becomes by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tf_data.presets import PRESETS, RAW, find_preset
from tf_data.views import Views, choose_views


def _train(preset: str | None = "i3d", *, streams: Any = "rgb", **asked: Any) -> Views:
    return choose_views(find_preset(preset).training, random=True, streams=streams, **asked)


def _evaluate(preset: str | None = "i3d", *, streams: Any = "rgb", **asked: Any) -> Views:
    return choose_views(find_preset(preset).evaluation, random=False, streams=streams, **asked)


# -- What takes the place of what ---------------------------------------------------------------------------------


def test_what_is_not_asked_for_is_the_rows() -> None:
    row = find_preset("slowfast").evaluation
    assert choose_views(row, random=False, streams=("rgb",)) == row
    assert choose_views(row, random=False, streams="rgb", num_frames=None, crop_size=None) == row


def test_whether_views_are_random_is_not_the_rows_to_say() -> None:
    for preset in PRESETS.values():
        assert choose_views(preset.training, random=True, streams="rgb").random
    assert not choose_views(Views(random=True, num_frames=8), random=False, streams="rgb").random


def test_asking_for_a_rate_drops_the_rows_stride() -> None:
    views = _train("vivit", fps=12.5)
    assert (views.fps, views.stride) == (12.5, (1, 1))


def test_asking_for_a_stride_drops_the_rows_rate() -> None:
    views = _train("movinet", stride=2)
    assert (views.fps, views.stride) == (None, (2, 2))


def test_asking_for_a_shorter_side_drops_the_rows_drawn_crop() -> None:
    views = _train("videomae", shorter_side=256)
    assert (views.shorter_side, views.area_range, views.aspect_range) == ((256, 256), None, (1.0, 1.0))


def test_asking_for_a_drawn_crop_drops_the_rows_shorter_side_and_jitter() -> None:
    views = _train("vivit", area_range=(0.5, 1))
    assert (views.area_range, views.shorter_side, views.scale_jitter) == ((0.5, 1.0), None, None)


def test_asking_for_segments_drops_the_rows_stride_and_rate() -> None:
    for preset in ("movinet", "vivit"):
        views = _train(preset, sampling="segments", num_frames=8)
        assert (views.stride, views.fps, views.num_frames) == ((1, 1), None, 8)


def test_asking_for_all_frames_drops_the_rows_number() -> None:
    assert _evaluate(sampling="all").num_frames is None


def test_asking_for_a_number_of_frames_of_whole_clips_takes_windows() -> None:
    views = _evaluate(None, num_frames=8)
    assert (views.sampling, views.num_frames) == ("window", 8)


def test_random_augmentations_can_be_left_out() -> None:
    assert _train("vivit", augment=()).augment == ()


# -- In what forms values may come --------------------------------------------------------------------------------


def test_single_values_stand_for_pairs() -> None:
    views = _train(crop_size=112, stride=3, shorter_side=128)
    assert (views.crop_size, views.stride, views.shorter_side) == ((112, 112), (3, 3), (128, 128))
    assert _train(crop_size=[112, 160]).crop_size == (112, 160)


def test_a_row_of_ones_own_may_have_single_values_where_it_has_pairs() -> None:
    row = Views(random=True, num_frames=8, crop_size=112, stride=2, area_range=(1, 1), aspect_range=(1, 2))  # type: ignore[arg-type]
    views = choose_views(row, random=True, streams="rgb")
    assert (views.crop_size, views.stride, views.aspect_range) == ((112, 112), (2, 2), (1.0, 2.0))


def test_a_row_of_ones_own_is_checked() -> None:
    with pytest.raises(ValueError, match="num_frames must be an integer of 1 or more, got 0"):
        choose_views(Views(num_frames=0), random=False, streams="rgb")


@pytest.mark.parametrize("dtype", ["bfloat16", tf.bfloat16, np.dtype("float32"), np.float32, "uint8", np.uint8])
def test_dtypes_are_taken_by_name_and_as_numpys_and_tensorflows(dtype: Any) -> None:
    assert _train(dtype=dtype).dtype in str(dtype)


def test_streams_may_be_one_or_several() -> None:
    assert _train(streams="flow").streams == ("flow",)
    assert _train(streams=["audio", "rgb"]).streams == ("audio", "rgb")


def test_one_augmentation_or_several() -> None:
    def dim(frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return frames / 2

    assert _train(augment=dim).augment == (dim,)
    assert _train(augment=[dim, dim]).augment == (dim, dim)


# -- Values that are not allowed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"sampling": "centre"}, "sampling must be one of window, dense, segments, all, got 'centre'"),
        ({"num_frames": 0}, "num_frames must be an integer of 1 or more, got 0"),
        ({"num_frames": 8.0}, "num_frames must be an integer of 1 or more, got 8.0"),
        ({"num_frames": True}, "num_frames must be an integer of 1 or more, got True"),
        ({"stride": 0}, "stride must be an integer of 1 or more, got 0"),
        ({"stride": (4, 2)}, r"stride must be a range in ascending order, got \(4, 2\)"),
        ({"stride": (1, 2, 3)}, r"stride must be one stride or \(low, high\), got \(1, 2, 3\)"),
        ({"fps": 0}, "fps must be above 0, got 0"),
        ({"fps": float("nan")}, "fps must be a number, got nan"),
        ({"fps": "25"}, "fps must be a number, got '25'"),
        ({"num_clips": -1}, "num_clips must be an integer of 1 or more, got -1"),
        ({"short": "repeat"}, "short must be one of loop, hold, pad, got 'repeat'"),
        ({"reverse_probability": 1.5}, "reverse_probability must be a number from 0 to 1, got 1.5"),
        ({"flip_probability": -0.1}, "flip_probability must be a number from 0 to 1, got -0.1"),
        ({"shorter_side": (320, 256)}, r"shorter_side must be a range in ascending order, got \(320, 256\)"),
        ({"scale_jitter": (0, 1)}, r"scale_jitter must be \(least, most\), two numbers above 0, got \(0, 1\)"),
        ({"area_range": (0.0, 1.0)}, r"area_range must be \(least, most\), .* at most 1, got \(0.0, 1.0\)"),
        ({"area_range": (0.5, 1.5)}, r"area_range must be \(least, most\), .* at most 1, got \(0.5, 1.5\)"),
        ({"aspect_range": (2, 0.5)}, r"aspect_range must be \(least, most\), two numbers above 0, got \(2, 0.5\)"),
        ({"crop_size": 0}, "crop_size must be an integer of 1 or more, got 0"),
        ({"crop_size": (224,)}, r"crop_size must be one side in pixels or \(height, width\), got \(224,\)"),
        ({"num_crops": 5}, "num_crops must be one of 1, 3, 10, got 5"),
        ({"num_crops": 3.0}, "num_crops must be one of 1, 3, 10, got 3.0"),
        ({"num_crops": True}, "num_crops must be one of 1, 3, 10, got True"),
        ({"augment": "randaugment"}, r"augment must be functions of \(frames, seed\) such as .*, got 'randaugment'"),
        ({"augment": int}, r"augment must be functions of \(frames, seed\)"),
        ({"dtype": "float64"}, "dtype must be one of float32, bfloat16, uint8, got 'float64'"),
        ({"dtype": tf.float16}, "dtype must be one of float32, bfloat16, uint8, got 'float16'"),
        ({"flow_units": "px"}, "flow_units must be one of bound, pixels, got 'px'"),
        ({"streams": "depth"}, "streams: 'depth' is none of rgb, flow, audio"),
        ({"streams": ("rgb", "flwo")}, r"'flwo' is none of rgb, flow, audio \(did you mean 'flow'\?\)"),
        ({"streams": ()}, "streams must name one or more of rgb, flow, audio"),
        ({"streams": ("rgb", "rgb")}, "streams must name one or more of rgb, flow, audio, each once"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _train(**asked)


# -- What can't go together ---------------------------------------------------------------------------------------


class _Moving:
    """An augmentation that moves what is in the picture."""

    geometric = True

    def __call__(self, frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return frames

    def __repr__(self) -> str:
        return "Moving()"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"num_clips": 3}, "num_clips=3: several views of a clip are for evaluation.*training=False"),
        ({"num_crops": 3}, "num_crops=3: several views of a clip are for evaluation.*training=False"),
        ({"sampling": "dense"}, "sampling='dense': several views of a clip are for evaluation.*training=False"),
        ({"fps": 10, "stride": 2}, r"fps=10.0 and stride=\(2, 2\) are two ways of saying the same; drop one"),
        ({"sampling": "segments", "stride": 2}, r"sampling='segments' .*stride=\(2, 2\)"),
        ({"sampling": "segments", "fps": 5}, "sampling='segments' .*fps=5.0"),
        ({"sampling": "all", "num_frames": 8}, "num_frames=8: sampling='all' takes every frame; drop one"),
        ({"area_range": (0.5, 1), "shorter_side": 256}, r"area_range=\(0.5, 1.0\) .*shorter_side.*drop one"),
        ({"area_range": (0.5, 1), "scale_jitter": (1, 2)}, r"area_range=\(0.5, 1.0\) .*scale_jitter.*drop one"),
        ({"crop_size": 224, "shorter_side": 200}, r"crop_size=\(224, 224\) doesn't fit .*shorter side is 200"),
        (
            {"crop_size": 224, "shorter_side": 240, "scale_jitter": (0.9, 1.1)},
            r"crop_size=\(224, 224\) doesn't fit .*shorter side is 216",
        ),
        ({"streams": "audio", "sampling": "segments"}, "sound has no segments.*sampling='window'"),
        ({"streams": ("rgb", "audio"), "stride": (1, 2)}, r"stride=\(1, 2\): a drawn stride gives sound no fixed"),
        ({"streams": ("rgb", "flow"), "augment": _Moving()}, r"augment: Moving\(\) moves .* pass geometric=False"),
    ],
)
def test_what_cannot_go_together_in_training_is_refused(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _train(**asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"reverse_probability": 0.5}, "reverse_probability=0.5 is random, for training; pass training=True"),
        ({"flip_probability": 0.5}, "flip_probability=0.5 is random, for training"),
        ({"scale_jitter": (0.9, 1.1)}, r"scale_jitter=\(0.9, 1.1\) is random, for training"),
        ({"area_range": (0.5, 1)}, r"area_range=\(0.5, 1.0\) is random, for training"),
        ({"augment": [_Moving()]}, r"augment=\(Moving\(\),\) is random, for training"),
        ({"stride": (1, 2)}, r"stride=\(1, 2\): a range is drawn from in training; pass one value"),
        ({"shorter_side": (256, 320)}, r"shorter_side=\(256, 320\): a range is drawn from in training; pass one value"),
        ({"sampling": "dense", "num_clips": 2}, "num_clips=2: sampling='dense' takes the whole clip; drop one"),
        ({"sampling": "all", "num_clips": 2}, "num_clips=2: sampling='all' takes the whole clip; drop one"),
    ],
)
def test_what_is_random_is_refused_in_evaluation(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _evaluate(**asked)


@pytest.mark.parametrize(
    "asked", [{"num_crops": 3}, {"area_range": (0.5, 1), "training": True}, {"scale_jitter": (1, 2), "training": True}]
)
def test_crops_that_are_taken_or_drawn_need_a_size(asked: dict[str, Any]) -> None:
    training = asked.pop("training", False)
    row = RAW.training if training else RAW.evaluation
    with pytest.raises(ValueError, match="crop_size must be given where crops are taken or drawn, got None"):
        choose_views(row, random=training, streams="rgb", **asked)


# -- What follows from them ---------------------------------------------------------------------------------------


def test_one_view_of_a_clip_has_no_axis_of_views() -> None:
    assert _train().is_single
    assert _evaluate(sampling="all").is_single
    assert not _evaluate(num_clips=2).is_single
    assert not _evaluate(num_crops=3).is_single
    assert not _evaluate(sampling="dense").is_single


def test_clips_of_which_as_much_is_taken_as_there_is_vary_in_shape() -> None:
    assert [_evaluate(sampling=sampling).varies_in_shape for sampling in ("window", "segments", "dense", "all")] == [
        False,
        False,
        True,
        True,
    ]

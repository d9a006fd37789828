"""Each preset's numbers, written down once more from its source, and the elements that it makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.tf_data.conftest import FPS
from tests.tf_data.elements import clip_record, element, epochs
from tf_data.presets import PRESETS, RAW, Preset, find_preset
from tf_data.sampling import stored_steps
from tf_data.views import Views

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # torchvision's reference training, transforms.Normalize

# What each source says, under the name that it has there. `step` is from one sampled frame to the next in seconds.
_SOURCES: dict[str, dict[str, Any]] = {
    # https://arxiv.org/abs/1705.07750, table 1 (64 frames of 2.56 s in training, 250 of 10 s in testing), section 2.5.
    "i3d": {
        "num_frames": (64, 250),
        "step": 2.56 / 64,
        "crop": (224, 224),
        "flip": 0.5,
        "scale": ((0.5,) * 3, (0.5,) * 3),
        "short": "loop",  # "for shorter videos, we looped the video as many times as necessary"
    },
    # https://github.com/tensorflow/models/blob/master/official/projects/movinet/configs/yaml/movinet_a2_k600_8x8.yaml:
    # feature_shape 50×224×224, temporal_stride 5 (of 25 a second), min_image_size 256, aug_min_area_ratio 0.08,
    # aug_max_area_ratio 1.0, aug_min_aspect_ratio 0.5, aug_max_aspect_ratio 2.0, num_test_clips 1, num_test_crops 1.
    "movinet": {
        "num_frames": (50, 50),
        "step": 5 / 25,
        "shorter_side": (None, (256, 256)),
        "area": (0.08, 1.0),
        "aspect": (0.5, 2.0),
        "crop": (224, 224),
        "flip": 0.5,
        "scale": ((0.0,) * 3, (1.0,) * 3),
        "test_views": (1, 1),
        "short": "loop",
    },
    # https://github.com/facebookresearch/SlowFast/blob/main/configs/Kinetics/SLOWFAST_8x8_R50.yaml: NUM_FRAMES 32,
    # SAMPLING_RATE 2, TRAIN_JITTER_SCALES [256, 320], TRAIN_CROP_SIZE 224, TEST_CROP_SIZE 256; slowfast/config/
    # defaults.py: TARGET_FPS 30, MEAN 0.45, STD 0.225, RANDOM_FLIP, NUM_ENSEMBLE_VIEWS 10, NUM_SPATIAL_CROPS 3.
    "slowfast": {
        "num_frames": (32, 32),
        "step": 2 / 30,
        "shorter_side": ((256, 320), (256, 256)),
        "crop": (224, 256),
        "flip": 0.5,
        "scale": ((0.45,) * 3, (0.225,) * 3),
        "test_views": (10, 3),
        "short": "loop",
    },
    # https://github.com/google-research/scenic/blob/main/scenic/projects/vivit/configs/kinetics400/vivit_base_k400.py:
    # num_frames 32, stride 2, min_resize 256, crop_size 224, zero_centering, scale_min_factor 0.9, scale_max_factor
    # 1.33, prob_color_augment 0.8, prob_color_drop 0.1, num_test_clips 4, do_three_spatial_crops; 25 frames a second.
    "vivit": {
        "num_frames": (32, 32),
        "step": 2 / 25,
        "shorter_side": ((256, 256), (256, 256)),
        "jitter": (0.9, 1.33),
        "crop": (224, 224),
        "flip": 0.5,
        "augment": {"ColourJitter": {"probability": 0.8}, "Greyscale": {"probability": 0.1}},
        "scale": ((0.5,) * 3, (0.5,) * 3),
        "test_views": (4, 3),
        "short": "loop",
    },
    # https://github.com/MCG-NJU/VideoMAE/blob/main/run_class_finetuning.py: num_frames 16, sampling_rate 4, input_size
    # 224, aa rand-m7-n4-mstd0.5-inc1, reprob 0.25, short_side_size 224, test_num_segment 5, test_num_crop 3,
    # imagenet_default_mean_and_std; kinetics.py: scale (0.08, 1.0), aspect (0.75, 1.3333), the last frame is repeated.
    "videomae": {
        "num_frames": (16, 16),
        "step": 4 / 25,
        "shorter_side": (None, (224, 224)),
        "area": (0.08, 1.0),
        "aspect": (0.75, 1.3333),
        "crop": (224, 224),
        "flip": 0.5,
        "augment": {
            "RandAugment": {"num_ops": 4, "magnitude": 7, "magnitude_std": 0.5},
            "RandomErasing": {"probability": 0.25},
        },
        "scale": _IMAGENET,
        "test_views": (5, 3),
        "short": "hold",
    },
}

presets = pytest.mark.parametrize("name", list(PRESETS))


def _both(name: str) -> list[tuple[Views, int]]:
    """The rows of training and of evaluation."""
    return [(PRESETS[name].training, 0), (PRESETS[name].evaluation, 1)]


def test_there_is_a_source_for_each_preset() -> None:
    assert set(PRESETS) == set(_SOURCES)


@presets
def test_frames_are_as_many_and_as_far_apart_as_in_the_source(name: str) -> None:
    for views, row in _both(name):
        assert views.sampling == "window"
        assert views.num_frames == _SOURCES[name]["num_frames"][row]
        assert stored_steps(views, FPS) == pytest.approx([_SOURCES[name]["step"] * FPS])
        assert views.short == _SOURCES[name]["short"]


@presets
def test_frames_are_resized_and_cropped_as_in_the_source(name: str) -> None:
    source = _SOURCES[name]
    for views, row in _both(name):
        assert views.crop_size == (source["crop"][row],) * 2
        assert views.shorter_side == source.get("shorter_side", (None, None))[row]
    training = PRESETS[name].training
    assert training.area_range == source.get("area")
    assert training.aspect_range == pytest.approx(source.get("aspect", (1, 1)), abs=1e-4)
    assert training.scale_jitter == source.get("jitter")
    assert training.flip_probability == source["flip"]


@presets
def test_augmentations_are_those_of_the_source(name: str) -> None:
    expected = _SOURCES[name].get("augment", {})
    augment = PRESETS[name].training.augment
    assert [type(function).__name__ for function in augment] == list(expected)
    for function in augment:
        strengths = expected[type(function).__name__]
        assert {key: getattr(function, key) for key in strengths} == strengths


@presets
def test_numbers_are_scaled_as_in_the_source(name: str) -> None:
    for views, _ in _both(name):
        assert (views.mean, views.std) == _SOURCES[name]["scale"]


@presets
def test_the_protocol_of_published_accuracy_has_as_many_views(name: str) -> None:
    assert PRESETS[name].test_views == _SOURCES[name].get("test_views", (1, 1))


@presets
def test_evaluation_is_one_view_without_chance(name: str) -> None:
    evaluation = PRESETS[name].evaluation
    assert evaluation.is_single
    assert (evaluation.area_range, evaluation.scale_jitter, evaluation.augment) == (None, None, ())
    assert (evaluation.flip_probability, evaluation.reverse_probability) == (0, 0)


# -- The elements that they make ----------------------------------------------------------------------------------


@presets
@pytest.mark.parametrize("training", [True, False])
def test_every_preset_makes_elements_of_its_shape_and_range(name: str, training: bool) -> None:
    preset = PRESETS[name]
    views = preset.training if training else preset.evaluation
    ds = epochs(clip_record(40, 256, 340), 1, name, training=training)
    side = views.crop_size[0]  # type: ignore[index]
    assert ds.element_spec["rgb"] == tf.TensorSpec([views.num_frames, side, side, 3], tf.float32)
    (made,) = ds.as_numpy_iterator()
    assert set(made) == {"rgb", "label"}
    rgb = made["rgb"]
    assert np.isfinite(rgb).all()
    lowest, highest = (0 - np.array(views.mean)) / views.std, (1 - np.array(views.mean)) / views.std
    if not any(type(function).__name__ == "RandomErasing" for function in views.augment):  # which fills with noise
        assert (rgb >= lowest - 1e-5).all()
        assert (rgb <= highest + 1e-5).all()
    assert (np.ptp(rgb, axis=(0, 1, 2)) > 0.4 * (highest - lowest)).any()


@pytest.mark.parametrize("name", ["slowfast", "vivit", "videomae"])
def test_the_published_protocols_views_can_be_asked_for(name: str) -> None:
    num_clips, num_crops = PRESETS[name].test_views
    asked: dict[str, Any] = {"num_frames": 2, "crop_size": 24, "shorter_side": 24}
    made = element(clip_record(40), name, training=False, num_clips=num_clips, num_crops=num_crops, **asked)
    assert made["rgb"].shape == (num_clips * num_crops, 2, 24, 24, 3)


# -- Finding one --------------------------------------------------------------------------------------------------


def test_presets_are_found_by_name() -> None:
    assert find_preset("slowfast") is PRESETS["slowfast"]


def test_a_preset_of_ones_own_is_taken_as_it_is() -> None:
    own = Preset(training=Views(random=True, num_frames=8), evaluation=Views(num_frames=8))
    assert find_preset(own) is own


@pytest.mark.parametrize("training", [True, False])
def test_without_a_preset_frames_come_as_they_are_stored(training: bool) -> None:
    assert find_preset(None) is RAW
    made = element(clip_record(7, 24, 40), None, training=training)
    assert made["rgb"].shape == (7, 24, 40, 3)
    assert made["rgb"].dtype == np.uint8


@pytest.mark.parametrize("name", ["i3b", "I3D", "", 3])
def test_a_name_that_is_none_lists_those_that_are(name: Any) -> None:
    with pytest.raises(ValueError, match=r"preset must be one of i3d, movinet, slowfast, vivit, videomae, a .*Preset"):
        find_preset(name)


def test_a_misspelt_name_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"got 'slow_fast' \(did you mean 'slowfast'\?\)"):
        find_preset("slow_fast")

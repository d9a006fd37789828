"""From a record to an element: all streams show the same instants, the same place and the same flip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tf_data.conftest import (
    BLOCK,
    FPS,
    LEVELS_PER_FRAME,
    SAMPLE_RATE,
    FakeClip,
    flow_picture,
    jpeg,
    picture,
    record,
)
from tests.tf_data.elements import INFO, clip_record, element, epochs, levels_of
from tf_data import contract, geometry
from tf_data.labels import flip_targets
from tf_data.presets import Preset
from tf_data.randomness import MIX_KEY, draw
from tf_data.views import Views

ALL = ("rgb", "flow", "audio")
SAMPLES_PER_FRAME = SAMPLE_RATE // FPS
JPEG = 3.5  # levels that a flat colour may be off after having been a JPEG
# Frames as they are stored; what is asked for is added to it.
PLAIN = Preset(training=Views(random=True, num_frames=4), evaluation=Views(num_frames=4))


def _plain(num_stored: int, **asked: Any) -> dict[str, Any]:
    return element(clip_record(num_stored, 8, 16), PLAIN, **({"training": False, "streams": ALL} | asked))


def _frames(made: Mapping[str, Any]) -> np.ndarray:
    """The numbers of the frames that are shown, which red says: [..., T]."""
    red = levels_of(made["rgb"])[..., 0].mean((-1, -2))
    return np.rint(red / LEVELS_PER_FRAME).astype(int)


# -- The same instants --------------------------------------------------------------------------------------------


@st.composite
def _asked_times(drawn: st.DrawFn, training: bool) -> dict[str, Any]:
    """Ways of saying when that go together."""
    samplings = ["window", "segments", "all"] + ["dense"] * (not training)
    asked: dict[str, Any] = {"training": training, "sampling": drawn(st.sampled_from(samplings))}
    if training:
        asked["reverse_probability"] = drawn(st.sampled_from((0.0, 1.0)))
    if asked["sampling"] != "all":
        asked["num_frames"] = drawn(st.integers(1, 12))
    if asked["sampling"] in ("window", "segments") and not training:
        asked["num_clips"] = drawn(st.integers(1, 4))
    if asked["sampling"] in ("window", "dense"):
        asked["short"] = drawn(st.sampled_from(("loop", "hold", "pad")))
    if asked["sampling"] != "segments":
        if drawn(st.booleans()):
            asked["stride"] = drawn(st.integers(1, 6))
        else:
            asked["fps"] = drawn(st.sampled_from((5, 10, 12.5, 15, 25, 30, 50)))
    return asked


@settings(max_examples=40, deadline=None)
@given(_asked_times(training=True), st.integers(2, 42), st.integers(0, 1 << 20))
def test_frames_flow_and_sound_show_the_same_instants_in_training(
    asked: dict[str, Any], num_stored: int, epoch: int
) -> None:
    _check_instants(asked, num_stored, epoch)


@settings(max_examples=40, deadline=None)
@given(_asked_times(training=False), st.integers(2, 42))
def test_frames_flow_and_sound_show_the_same_instants_in_evaluation(asked: dict[str, Any], num_stored: int) -> None:
    _check_instants(asked, num_stored, epoch=0)


def _check_instants(asked: dict[str, Any], num_stored: int, epoch: int) -> None:
    has_sound = asked["sampling"] != "segments"
    made = _plain(num_stored, epoch=epoch, **asked, streams=ALL if has_sound else ("rgb", "flow"))
    reverse = asked.get("reverse_probability") == 1
    single = made["rgb"].ndim == 4
    rgb, flow = (made[stream][np.newaxis] if single else made[stream] for stream in ("rgb", "flow"))
    mask = made.get("frame_mask", np.ones(made["rgb"].shape[:-3], bool)).reshape(rgb.shape[:2])
    assert not rgb[~mask].any()
    assert not flow[~mask].any()
    assert mask.any(axis=1).all()
    frames = _frames({"rgb": rgb})
    shown = frames[mask]
    assert shown.min() >= 0
    assert shown.max() < num_stored

    # Flow i leads from frame i to i + 1; backwards, what follows frame i is frame i - 1.
    led = np.clip(frames - 1 if reverse else frames, 0, num_stored - 2)
    expected = 255 - LEVELS_PER_FRAME * led if reverse else LEVELS_PER_FRAME * led
    x = levels_of(flow)[..., 0]
    assert np.abs(x - expected[..., np.newaxis, np.newaxis])[mask].max() < JPEG

    if has_sound:
        sound = made["audio"].reshape(len(rgb), -1)
        if reverse:
            frames, mask, sound = frames[:, ::-1], mask[:, ::-1], sound[:, ::-1]
        step = asked.get("stride") or FPS / asked["fps"]
        at = np.floor(np.arange(frames.shape[1]) * step * SAMPLES_PER_FRAME + 0.5).astype(int)
        heard = sound[:, np.minimum(at, sound.shape[1] - 1)]
        instants = frames[:, :1] + np.floor(np.arange(frames.shape[1]) * step + 1e-6)
        silent = (instants >= num_stored) & (asked.get("short", "loop") != "loop")
        assert not heard[silent].any()
        since = heard - frames * SAMPLES_PER_FRAME  # the sound of frame k is the samples from 40 k to 40 k + 39
        assert ((since >= -1) & (since <= SAMPLES_PER_FRAME))[~silent].all()


def test_backwards_the_flow_of_a_frame_is_minus_that_of_the_frame_before() -> None:
    forwards = _plain(12, num_frames=12, training=True, streams=("rgb", "flow"))
    backwards = _plain(12, num_frames=12, training=True, streams=("rgb", "flow"), reverse_probability=1.0)
    np.testing.assert_array_equal(backwards["rgb"], forwards["rgb"][::-1])
    np.testing.assert_allclose(backwards["flow"][:-1], -forwards["flow"][-2::-1], atol=1e-6)
    np.testing.assert_allclose(backwards["flow"][-1], -forwards["flow"][0], atol=1e-6)


def test_backwards_sound_is_backwards() -> None:
    forwards = _plain(12, num_frames=12, training=True, streams="audio")["audio"]
    backwards = _plain(12, num_frames=12, training=True, streams="audio", reverse_probability=1.0)["audio"]
    assert forwards.tolist() == list(range(480))
    assert backwards.tolist() == list(range(479, -1, -1))


def test_the_flow_of_the_last_frame_is_that_which_leads_to_it() -> None:
    x = levels_of(_plain(6, num_frames=6)["flow"])[..., 0].mean((1, 2))
    np.testing.assert_allclose(x, LEVELS_PER_FRAME * np.array([0, 1, 2, 3, 4, 4]), atol=JPEG)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"num_frames": 4}, [18, 19, 20, 21]),  # the middle of 40
        ({"num_frames": 4, "stride": 4}, [12, 16, 20, 24]),
        ({"num_frames": 5, "fps": 10}, [13, 15, 18, 20, 23]),
        ({"num_frames": 4, "num_clips": 2}, [[0, 1, 2, 3], [36, 37, 38, 39]]),
        ({"num_frames": 4, "sampling": "segments"}, [5, 15, 25, 35]),
        ({"num_frames": 4, "sampling": "segments", "num_clips": 2}, [[2, 12, 22, 32], [7, 17, 27, 37]]),
        ({"num_frames": 15, "sampling": "dense"}, [[*range(15)], [*range(15, 30)], [*range(25, 40)]]),
        ({"sampling": "all"}, [*range(40)]),
        ({"sampling": "all", "stride": 8}, [0, 8, 16, 24, 32]),
        ({"sampling": "all", "fps": 5}, [0, 5, 10, 15, 20, 25, 30, 35]),
    ],
)
def test_frames_of_an_evaluation(asked: dict[str, Any], expected: list[Any]) -> None:
    assert _frames(_plain(40, **asked, streams="rgb")).tolist() == expected


@pytest.mark.parametrize(
    ("short", "expected"),
    [("loop", [0, 2, 4, 1, 3, 0]), ("hold", [0, 2, 4, 4, 4, 4])],
)
def test_frames_of_a_clip_that_is_too_short(short: str, expected: list[int]) -> None:
    made = _plain(5, num_frames=6, stride=2, short=short)
    assert _frames(made).tolist() == expected
    assert "frame_mask" not in made


def test_a_padded_clip_is_followed_by_zeros_that_the_mask_tells() -> None:
    made = _plain(5, num_frames=6, stride=2, short="pad")
    assert made["frame_mask"].tolist() == [True, True, True, False, False, False]
    assert _frames(made)[:3].tolist() == [0, 2, 4]
    for stream in ("rgb", "flow"):
        assert made[stream][:3].any()
        assert not made[stream][3:].any()
    assert made["audio"].tolist() == [*range(200), *[0] * 280]


def test_a_clip_that_is_long_enough_is_masked_nowhere() -> None:
    assert _plain(40, num_frames=6, short="pad")["frame_mask"].tolist() == [True] * 6


def test_a_padded_clip_that_is_played_backwards_begins_with_its_padding() -> None:
    made = _plain(5, num_frames=7, short="pad", training=True, reverse_probability=1.0)
    assert made["frame_mask"].tolist() == [False, False, *[True] * 5]
    assert _frames(made)[2:].tolist() == [4, 3, 2, 1, 0]


def test_each_view_has_its_mask() -> None:
    made = _plain(5, num_frames=3, short="pad", sampling="dense", num_crops=3, crop_size=8)
    assert made["frame_mask"].tolist() == [[True] * 3] * 6
    made = _plain(5, num_frames=6, short="pad", num_clips=2, num_crops=3, crop_size=8)
    assert made["frame_mask"].tolist() == [[True] * 5 + [False]] * 6


def test_every_stride_of_a_range_is_drawn_equally_often_and_every_start() -> None:
    ds = epochs(clip_record(10, 8, 8), 800, PLAIN, num_frames=2, stride=(1, 4))
    drawn = np.array([_frames(made) for made in ds.as_numpy_iterator()])
    strides = drawn[:, 1] - drawn[:, 0]
    counts = np.bincount(strides, minlength=5)
    assert counts[0] == 0
    np.testing.assert_allclose(counts[1:], 200, atol=50)  # four deviations
    for stride in (1, 2, 3, 4):
        starts = np.bincount(drawn[strides == stride, 0])
        assert starts.size == 10 - stride  # a drawn stride reaches the clip's end, too
        np.testing.assert_allclose(starts, counts[stride] / starts.size, atol=4.5 * np.sqrt(200 / starts.size))


# -- The same place -----------------------------------------------------------------------------------------------


@st.composite
def _asked_places(drawn: st.DrawFn) -> tuple[tuple[int, int], dict[str, Any]]:
    """A frame's size, and ways of saying where that go together."""
    size = drawn(st.tuples(st.integers(24, 70), st.integers(24, 70)))
    asked: dict[str, Any] = {"training": drawn(st.booleans())}
    if asked["training"]:
        asked["flip_probability"] = drawn(st.sampled_from((0.0, 1.0)))
    ways = ["crop", "frame", "shorter_side", "shorter_side and crop"]
    if asked["training"]:
        ways += ["area", "jitter"]
    way = drawn(st.sampled_from(ways))
    crop = st.tuples(st.integers(4, 20), st.integers(4, 20))
    if way == "crop":
        asked["crop_size"] = drawn(crop)
    if way == "area":
        asked |= {"crop_size": drawn(crop), "area_range": (0.2, 1), "aspect_range": (0.5, 2)}
    if way in ("shorter_side", "shorter_side and crop", "jitter"):
        low = drawn(st.integers(24, 60))
        asked["shorter_side"] = (low, low + drawn(st.integers(0, 9))) if asked["training"] else low
    if way == "shorter_side and crop":
        asked["crop_size"] = drawn(crop)
    if way == "jitter":
        asked |= {"crop_size": drawn(crop), "scale_jitter": (0.9, 1.3)}
    return size, asked


@settings(max_examples=60, deadline=None)
@given(_asked_places(), st.integers(0, 1 << 20))
def test_frames_and_flow_show_the_same_window_resized_and_mirrored(
    asked_place: tuple[tuple[int, int], dict[str, Any]], epoch: int
) -> None:
    size, asked = asked_place
    made = element(
        clip_record(3, *size), PLAIN, epoch=epoch, **asked, sampling="all", streams=("rgb", "flow"), clip_key=1
    )
    views = Views(
        random=asked["training"],
        crop_size=asked.get("crop_size"),
        shorter_side=asked.get("shorter_side") and tuple(np.broadcast_to(asked["shorter_side"], 2).tolist()),
        scale_jitter=asked.get("scale_jitter"),
        area_range=asked.get("area_range"),
        aspect_range=asked.get("aspect_range", (1.0, 1.0)),
    )
    drawn = draw(0, tf.constant(epoch, tf.int64), tf.constant(1, tf.int64)) if views.random else None
    frame = tf.constant(size)
    windows = geometry.random_window(frame, views, drawn) if drawn else geometry.fixed_windows(frame, views)
    top, left, height, width = windows.numpy()[0]
    view_size = geometry.view_size(frame, views, drawn).numpy()

    def shown(pictures: Sequence[np.ndarray]) -> np.ndarray:
        window = np.stack(pictures)[:, top : top + height, left : left + width]
        resized = tf.image.resize(window, view_size, antialias=True).numpy()
        return resized[:, :, ::-1] if asked.get("flip_probability") else resized

    rgb = shown([picture(number, *size) for number in range(3)])
    flow = shown([flow_picture(number, *size)[..., :2] for number in (0, 1, 1)]) - 127.5
    scale = view_size[::-1] / (width, height)
    flow *= scale * ([-1, 1] if asked.get("flip_probability") else [1, 1])
    assert made["rgb"].shape == rgb.shape
    assert np.abs(levels_of(made["rgb"]) - rgb).max() < JPEG
    assert (np.abs(made["flow"] * 127.5 - flow) < JPEG * np.maximum(scale, 1)).all()


def test_crops_of_one_window_are_together_from_left_to_right() -> None:
    made = element(
        clip_record(20), PLAIN, training=False, num_frames=2, num_clips=2, num_crops=3, crop_size=16, streams=ALL
    )
    assert made["rgb"].shape == (6, 2, 16, 16, 3)
    assert _frames(made).tolist() == [[0, 1]] * 3 + [[18, 19]] * 3
    assert made["audio"][:, 0].tolist() == [0] * 3 + [18 * SAMPLES_PER_FRAME] * 3
    leftmost = levels_of(made["rgb"])[:, 0, 0, 0, 2] / 32 * BLOCK
    np.testing.assert_allclose(leftmost, [0, 16, 32] * 2, atol=1)


def test_ten_crops_are_five_and_their_mirror_images() -> None:
    made = element(
        clip_record(20), PLAIN, training=False, num_frames=2, num_clips=2, num_crops=10, crop_size=24, streams=ALL
    )
    assert made["rgb"].shape == (20, 2, 24, 24, 3)
    assert made["audio"].shape == (20, 80)
    assert _frames(made).tolist() == [[0, 1]] * 10 + [[18, 19]] * 10
    for first in (0, 10):
        five, mirrored = (made["rgb"][first + k : first + k + 5] for k in (0, 5))
        np.testing.assert_array_equal(mirrored, five[:, :, :, ::-1])
        five, mirrored = (made["flow"][first + k : first + k + 5] for k in (0, 5))
        np.testing.assert_allclose(mirrored, five[:, :, :, ::-1] * [-1, 1], rtol=0, atol=3e-7)
    assert len({crop[0].tobytes() for crop in made["rgb"][:10]}) == 10


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "uint8"])
def test_frames_smaller_than_the_crop_are_an_error_that_names_the_record(dtype: str) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        list(epochs(clip_record(5, 24, 40), 1, PLAIN, crop_size=(32, 40), dtype=dtype))
    message = "shard 0, record 0: frames of 24×40 pixels are smaller than the crop of 32×40; pass a smaller"
    assert message in str(caught.value)


# -- Flips and labels ---------------------------------------------------------------------------------------------

_TARGETS = flip_targets(
    ("climbing", "turning left", "turning right", "writing"), {"turning left": "turning right", "writing": None}
)


def _is_flipped(made: Mapping[str, Any]) -> bool:
    blue = levels_of(made["rgb"])[..., 2]
    return bool(blue[..., 0].mean() > blue[..., -1].mean())


@pytest.mark.parametrize(
    ("label", "flipped", "becomes"), [(0, True, 0), (1, True, 2), (2, True, 1), (3, False, 3), (-1, True, -1)]
)
def test_a_flip_changes_the_label_or_is_left_out_where_it_would_falsify_it(
    label: int, flipped: bool, becomes: int
) -> None:
    clip = record(FakeClip("clip", num_frames=4, label=label))
    made = element(clip, PLAIN, flip_probability=1.0, flip_targets=_TARGETS)
    assert _is_flipped(made) == flipped
    assert made["label"] == becomes


def test_labels_stay_without_a_flip_and_without_targets() -> None:
    clip = record(FakeClip("clip", num_frames=4, label=1))
    assert element(clip, PLAIN, flip_targets=_TARGETS)["label"] == 1
    assert element(clip, PLAIN, flip_probability=1.0)["label"] == 1


def test_some_of_the_epochs_are_flipped_in_the_share_asked_for_with_their_labels() -> None:
    clip = record(FakeClip("clip", num_frames=4, height=8, width=16, label=1))
    ds = epochs(clip, 400, PLAIN, flip_probability=0.25, flip_targets=_TARGETS)
    made = [(_is_flipped(one), int(one["label"])) for one in ds.as_numpy_iterator()]
    assert set(made) == {(False, 1), (True, 2)}
    assert 60 <= sum(flipped for flipped, _ in made) <= 140  # four and a half deviations about 100


def test_the_name_of_a_label_is_that_of_the_label_after_the_flip() -> None:
    clip = record(FakeClip("clip", num_frames=4, label=1))
    made = element(clip, PLAIN, flip_probability=1.0, flip_targets=_TARGETS, extras=("label_name",))
    assert (made["label"], made["label_name"]) == (2, b"turning right")


def test_levels_are_flipped_by_the_device_and_elements_tell_which() -> None:
    clip = record(FakeClip("clip", num_frames=4, label=1))
    flipped = element(clip, PLAIN, flip_probability=1.0, dtype="uint8", flip_targets=_TARGETS)
    plain = element(clip, PLAIN, flip_probability=0.0, dtype="uint8")
    assert flipped["rgb"].dtype == np.uint8
    np.testing.assert_array_equal(flipped["rgb"], plain["rgb"])
    assert (flipped["flip"], flipped["label"]) == (True, 2)
    assert plain["flip"] == False  # noqa: E712 - NumPy's
    assert element(clip, PLAIN, flip_probability=1e-9, dtype="uint8")["flip"] == False  # noqa: E712


# -- Augmentations ------------------------------------------------------------------------------------------------


def test_augmentations_change_rgb_in_levels_one_after_the_other_and_leave_flow() -> None:
    seen: list[Any] = []

    def dim(frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        seen.append((frames, seed))
        return frames / 2

    def lift(frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        seen.append((frames, seed))
        return frames + 51

    asked: dict[str, Any] = {"crop_size": 16, "num_frames": 3, "streams": ("rgb", "flow"), "flip_probability": 1.0}
    plain = element(clip_record(8), PLAIN, **asked)
    made = element(clip_record(8), PLAIN, **asked, augment=[dim, lift])
    np.testing.assert_array_equal(made["flow"], plain["flow"])
    np.testing.assert_allclose(levels_of(made["rgb"]), levels_of(plain["rgb"]) / 2 + 51, atol=1e-3)
    (first, first_seed), (second, second_seed) = seen
    assert (first.dtype, first.shape) == (tf.float32, (3, 16, 16, 3))
    np.testing.assert_array_equal(second, first / 2)
    assert first_seed.shape == second_seed.shape == [2]
    assert first_seed.numpy().tolist() != second_seed.numpy().tolist()


def test_augmented_levels_are_rounded_into_range() -> None:
    made = element(clip_record(8), PLAIN, dtype="uint8", augment=lambda frames, seed: frames * 0 + [-3.0, 99.6, 300.0])
    assert np.unique(made["rgb"].reshape(-1, 3), axis=0).tolist() == [[0, 100, 255]]


def test_seeds_of_augmentations_follow_from_seed_epoch_and_clip() -> None:
    seeds: list[tuple[int, ...]] = []

    def remember(frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        seeds.append(tuple(seed.numpy().tolist()))
        return frames

    for keys in ({}, {}, {"epoch": 1}, {"clip_key": 2}, {"seed": 1}):
        element(clip_record(8), PLAIN, augment=remember, **keys)
    assert seeds[0] == seeds[1]
    assert len(set(seeds)) == 4


# -- Randomness ---------------------------------------------------------------------------------------------------

_RANDOM: dict[str, Any] = {
    "num_frames": 3,
    "stride": (1, 4),
    "crop_size": 12,
    "area_range": (0.2, 1),
    "flip_probability": 0.5,
    "reverse_probability": 0.5,
    "streams": ("rgb", "flow"),
}


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def test_an_element_is_the_same_again_for_the_same_seed_epoch_and_clip_alone() -> None:
    clip = clip_record(40)
    first = element(clip, PLAIN, **_RANDOM, seed=3, epoch=4, clip_key=5)
    tf.random.set_seed(17)
    assert _same(element(clip, PLAIN, **_RANDOM, seed=3, epoch=4, clip_key=5), first)
    for other in ({"seed": 4}, {"epoch": 5}, {"clip_key": 6}):
        assert not _same(element(clip, PLAIN, **_RANDOM, **({"seed": 3, "epoch": 4, "clip_key": 5} | other)), first)


def test_within_a_data_set_an_element_is_what_it_is_alone() -> None:
    made = list(epochs(clip_record(40), 3, PLAIN, **_RANDOM).as_numpy_iterator())
    for epoch, one in enumerate(made):
        alone = element(clip_record(40), PLAIN, **_RANDOM, epoch=epoch)
        for key in one:
            np.testing.assert_allclose(one[key], alone[key], atol=1e-5)


def test_streams_do_not_change_what_the_others_show() -> None:
    both = element(clip_record(40), PLAIN, **_RANDOM)
    for stream in ("rgb", "flow"):
        alone = element(clip_record(40), PLAIN, **(_RANDOM | {"streams": stream}))
        np.testing.assert_array_equal(alone[stream], both[stream])


def test_evaluation_does_not_depend_on_seed_or_epoch() -> None:
    asked: dict[str, Any] = {"training": False, "num_frames": 3, "crop_size": 12, "streams": ("rgb", "flow")}
    first = element(clip_record(40), PLAIN, **asked, seed=1, epoch=1)
    assert _same(element(clip_record(40), PLAIN, **asked, seed=2, epoch=2), first)


# -- What else an element has -------------------------------------------------------------------------------------


def test_elements_have_their_streams_and_label_and_what_is_asked_for() -> None:
    assert set(_plain(8)) == {*ALL, "label"}
    made = _plain(8, extras=("label_name", "clip_id", "short", "has_audio"), tell_mask=True, tell_mix_key=True)
    assert set(made) == {*ALL, "label", "label_name", "clip_id", "short", "has_audio", "mask", MIX_KEY}
    assert (made["label"], made["label_name"], made["clip_id"]) == (0, b"climbing", b"clip")
    assert (made["short"], made["has_audio"], made["mask"]) == (False, True, True)
    assert made[MIX_KEY].dtype == np.int64
    assert made[MIX_KEY].shape == (2,)


def test_the_mask_tells_what_is_not_real() -> None:
    assert _plain(8, tell_mask=True, real=False)["mask"] == False  # noqa: E712


def test_mix_keys_differ_from_epoch_to_epoch_and_clip_to_clip() -> None:
    keys = [tuple(_plain(8, tell_mix_key=True, **other)[MIX_KEY]) for other in ({}, {"epoch": 1}, {"clip_key": 2})]
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("training", "asked", "shapes"),
    [
        (True, {"crop_size": (16, 24)}, {"rgb": (4, 16, 24, 3), "flow": (4, 16, 24, 2), "audio": (160,)}),
        (False, {"crop_size": 16, "num_clips": 2, "num_crops": 3}, {"rgb": (6, 4, 16, 16, 3), "audio": (6, 160)}),
        (False, {"crop_size": 16, "sampling": "dense"}, {"rgb": (None, 4, 16, 16, 3), "audio": (None, 160)}),
        (True, {"sampling": "all"}, {"rgb": (None, None, None, 3), "flow": (None, None, None, 2), "audio": (None,)}),
        (True, {"shorter_side": 24}, {"rgb": (4, None, None, 3)}),
        (False, {"short": "pad", "crop_size": 16, "num_clips": 2}, {"frame_mask": (2, 4)}),
        (True, {"num_boxes": 5}, {"boxes": (5, 4), "box_label": (5,), "box_frame": (5,)}),
        (False, {"num_boxes": 5, "num_clips": 2}, {"boxes": (2, 5, 4), "box_label": (2, 5), "box_frame": (2, 5)}),
    ],
)
def test_shapes_are_known_before_anything_is_read(
    training: bool, asked: dict[str, Any], shapes: dict[str, tuple[Any, ...]]
) -> None:
    spec = epochs(clip_record(8), 1, PLAIN, training=training, streams=ALL, **asked).element_spec
    assert {key: tuple(spec[key].shape) for key in shapes} == shapes


# -- Boxes --------------------------------------------------------------------------------------------------------

_Box = tuple[tuple[float, float, float, float], int]


def _with_boxes(key_frames: Mapping[int, Sequence[_Box]], **clip: Any) -> bytes:
    """A clip's record with boxes: at each time in microseconds corners and labels."""
    example = tf.train.SequenceExample.FromString(record(FakeClip("clip", **clip)))
    lists = example.feature_lists.feature_list
    sides = (contract.REGION_YMIN, contract.REGION_XMIN, contract.REGION_YMAX, contract.REGION_XMAX)
    for time_us, boxes in key_frames.items():
        for side, key in enumerate(sides):
            lists[key].feature.add().float_list.value.extend(corners[side] for corners, _ in boxes)
        lists[contract.REGION_LABEL_INDEX].feature.add().int64_list.value.extend(label for _, label in boxes)
        lists[contract.REGION_TIMESTAMP].feature.add().int64_list.value.append(time_us)
    return example.SerializeToString()


_LEFT: _Box = ((0.25, 0.0, 0.75, 0.5), 7)
_RIGHT: _Box = ((0.0, 0.75, 0.5, 1.0), 8)


def test_boxes_fill_the_room_that_there_is_for_them() -> None:
    clip = _with_boxes({0: [_LEFT, _RIGHT], 40_000: [], 80_000: [_LEFT]}, num_frames=4)
    made = element(clip, PLAIN, training=False, num_boxes=5)
    assert made["box_label"].tolist() == [7, 8, 7, -1, -1]
    np.testing.assert_allclose(made["boxes"], [_LEFT[0], _RIGHT[0], _LEFT[0], [0] * 4, [0] * 4])
    assert made["box_frame"].tolist() == [0, 0, 2, 0, 0]
    made = element(clip, PLAIN, training=False, num_boxes=1)
    assert made["box_label"].tolist() == [7]


@pytest.mark.parametrize("frame_rate", [15.0, 24.0, 25.0, 29.97, 30.0, 60.0])
def test_a_box_at_a_frames_own_time_is_that_frames(frame_rate: float) -> None:
    times = {round(k * 1e6 / frame_rate): [_LEFT] for k in range(40)}
    info = replace(INFO, frame_rate=frame_rate)
    made = element(_with_boxes(times, num_frames=40), PLAIN, training=False, num_boxes=40, num_frames=40, info=info)
    assert made["box_frame"].tolist() == list(range(40))
    assert made["box_label"].tolist() == [7] * 40


def test_a_box_is_never_that_of_a_frame_that_is_not_real() -> None:
    asked: dict[str, Any] = {"num_frames": 8, "short": "pad", "reverse_probability": 1.0, "num_boxes": 1}
    made = element(_with_boxes({120_000: [_LEFT]}, num_frames=4), PLAIN, **asked)
    assert made["frame_mask"].tolist() == [False] * 4 + [True] * 4
    assert made["box_frame"].tolist() == [4]


def test_boxes_that_a_view_does_not_show_take_up_no_room() -> None:
    clip = _with_boxes({0: [_LEFT, _RIGHT], 120_000: [_RIGHT]}, num_frames=8)
    made = element(clip, PLAIN, training=False, num_boxes=1, num_frames=2, num_clips=2, num_crops=3, crop_size=(32, 16))
    assert made["box_label"][:3].tolist() == [[7], [7], [8]]  # of frames 0 and 1
    assert made["box_label"][3:].tolist() == [[-1]] * 3  # of frames 6 and 7: the last box is frame 3's


def test_a_clip_without_boxes_has_room_for_them() -> None:
    made = element(clip_record(4), PLAIN, training=False, num_boxes=2)
    assert made["box_label"].tolist() == [-1, -1]
    assert not made["boxes"].any()


def test_boxes_are_mirrored_with_the_clip_wherever_it_is_mirrored() -> None:
    clip = _with_boxes({0: [_LEFT]}, num_frames=4)
    for dtype in ("float32", "uint8"):
        made = element(clip, PLAIN, num_boxes=1, flip_probability=1.0, dtype=dtype)
        np.testing.assert_allclose(made["boxes"], [[0.25, 0.5, 0.75, 1.0]])


def test_each_view_has_its_boxes_and_marks_those_out_of_it() -> None:
    # Frames of 32×48, so that three crops of 32×16 begin at 0, 16 and 32.
    clip = _with_boxes({40_000: [_LEFT, _RIGHT]}, num_frames=4)
    made = element(clip, PLAIN, training=False, num_boxes=2, num_frames=2, num_clips=2, num_crops=3, crop_size=(32, 16))
    none: tuple[float, ...] = (0,) * 4
    assert made["box_label"].tolist() == [[7, -1], [7, -1], [8, -1]] + [[-1, -1]] * 3
    expected = [[(*_LEFT[0][:3], 1.0), none], [(0.25, 0, 0.75, 0.5), none], [(0, 0.25, 0.5, 1.0), none]]
    np.testing.assert_allclose(made["boxes"], [*expected, *[[none, none]] * 3])
    assert made["box_frame"].tolist() == [[1, 0]] * 3 + [[0, 0]] * 3  # frame 1 of the clip, of 0 and 1, of 2 and 3


def test_ten_crops_have_the_boxes_of_five_and_of_their_mirror_images() -> None:
    clip = _with_boxes({0: [_LEFT]}, num_frames=4)
    made = element(clip, PLAIN, training=False, num_boxes=1, num_crops=10, crop_size=(16, 48))["boxes"][:, 0]
    np.testing.assert_allclose(made[5:], np.stack([made[:5, 0], 1 - made[:5, 3], made[:5, 2], 1 - made[:5, 1]], 1))
    np.testing.assert_allclose(made[:5, 1], 0)


def test_boxes_tell_the_frame_of_the_view_nearest_to_them() -> None:
    times = [0, 410_000, 1_000_000, 1_590_000]  # frames 0, 10.25, 25 and 39.75 of 40
    clip = _with_boxes({time_us: [_LEFT] for time_us in times}, num_frames=40)
    made = element(clip, PLAIN, training=False, num_boxes=4, sampling="all", stride=4)
    assert made["box_frame"].tolist() == [0, 3, 6, 9]  # of 0, 4, 8, 12, …, 24, …, 36
    backwards = element(clip, PLAIN, num_boxes=4, sampling="all", stride=4, reverse_probability=1.0)
    assert backwards["box_frame"].tolist() == [9, 6, 3, 0]


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize(
    "where",
    [
        {"crop_size": (40, 48)},
        {"crop_size": (20, 24), "area_range": (0.3, 0.8), "aspect_range": (0.7, 1.4)},
        {"crop_size": (24, 24), "shorter_side": (30, 60), "scale_jitter": (0.9, 1.3)},
        {"shorter_side": 90},
    ],
)
def test_what_a_box_marks_is_under_it_in_the_view(where: dict[str, Any], flip: float) -> None:
    height, width = 64, 80
    frame = np.zeros((height, width, 3), np.uint8)
    frame[16:48, 24:56] = 255
    box = (16 / height, 24 / width, 48 / height, 56 / width)
    example = tf.train.SequenceExample.FromString(
        _with_boxes({0: [(box, 1)]}, num_frames=4, height=height, width=width)
    )
    images = example.feature_lists.feature_list[contract.IMAGE_ENCODED].feature
    for image in images:
        image.bytes_list.value[0] = jpeg(frame)
    clip = example.SerializeToString()
    for epoch in range(4):
        made = element(clip, PLAIN, **where, num_boxes=1, num_frames=4, flip_probability=flip, epoch=epoch)
        white = made["rgb"][0, ..., 0] > 0
        rows, columns = np.nonzero(white)
        lit = np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]) / np.tile(white.shape, 2)
        np.testing.assert_allclose(lit, made["boxes"][0], atol=1 / min(white.shape))

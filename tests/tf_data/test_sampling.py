"""Which frames, flow frames and samples make up a view."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_data import sampling
from tf_data.views import Views

lengths = st.integers(1, 400)
counts = st.integers(1, 64)
strides = st.integers(1, 8)
uniforms = st.floats(0, 1, exclude_max=True, width=32)
num_windows = st.integers(1, 12)
# Whole and broken rates, exactly; among them NTSC's 24000/1001, 30000/1001 and 60000/1001.
rates = st.sampled_from(
    [Fraction(rate) for rate in (1, 5, 7.5, 12, 12.5, 15, 24, 25, 30, 50, 60)]
    + [Fraction(thousands * 1000, 1001) for thousands in (24, 30, 60)]
)
moderate = settings(max_examples=100, deadline=None)


def _scalar(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int32)


def _pattern(num_frames: int, rate: float = 25.0, **values: object) -> sampling.Pattern:
    return sampling.window_pattern(Views(num_frames=num_frames, **values), rate)  # type: ignore[arg-type]


# -- The pattern of a window --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("num_frames", "stride", "expected"), [(1, 5, 1), (64, 1, 64), (64, 2, 127), (3, 4, 9)])
def test_a_window_reaches_from_its_first_frame_to_its_last(num_frames: int, stride: int, expected: int) -> None:
    assert _pattern(num_frames, stride=(stride, stride)).spans.tolist() == [expected]


@moderate
@given(counts, strides)
def test_frames_are_a_stride_apart(num_frames: int, stride: int) -> None:
    pattern = _pattern(num_frames, stride=(stride, stride))
    assert pattern.offsets.tolist() == [[k * stride for k in range(num_frames)]]
    assert pattern.num_lasting.tolist() == [num_frames * stride]


@moderate
@given(counts, rates, rates)
def test_at_each_instant_the_stored_frame_is_taken_that_is_shown_then(
    num_frames: int, rate: Fraction, fps: Fraction
) -> None:
    pattern = _pattern(num_frames, float(rate), fps=float(fps))
    assert pattern.offsets.tolist() == [[k * rate // fps for k in range(num_frames)]]
    assert pattern.num_lasting.tolist() == [-(-num_frames * rate // fps)]


def test_five_frames_a_second_of_movinets_are_every_fifth_of_twenty_five() -> None:
    assert _pattern(50, 25.0, fps=5.0).offsets[0].tolist() == list(range(0, 250, 5))
    assert _pattern(6, 25.0, fps=15.0).offsets[0].tolist() == [0, 1, 3, 5, 6, 8]
    assert _pattern(6, 25.0, fps=50.0).offsets[0].tolist() == [0, 0, 1, 1, 2, 2]


@moderate
@given(counts, strides, st.integers(0, 5))
def test_a_range_of_strides_has_a_pattern_for_each(num_frames: int, low: int, more: int) -> None:
    pattern = _pattern(num_frames, stride=(low, low + more))
    assert pattern.offsets.tolist() == [
        [k * stride for k in range(num_frames)] for stride in range(low, low + more + 1)
    ]


# -- Where windows are --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("uniform", "start"), [(0.0, 0), (0.25, 31), (0.5, 62), (0.99999994, 250 - 127)])
def test_a_random_window_reaches_from_the_clips_first_frame_to_its_last(uniform: float, start: int) -> None:
    assert sampling.random_start(_scalar(250), _scalar(127), tf.constant(uniform)).numpy().tolist() == [start]


@moderate
@given(lengths, counts, strides, uniforms)
def test_a_random_window_is_inside_the_clip_where_that_is_long_enough(
    length: int, num_frames: int, stride: int, uniform: float
) -> None:
    pattern = _pattern(num_frames, stride=(stride, stride))
    start = sampling.random_start(_scalar(length), _scalar(pattern.spans[0]), tf.constant(uniform, tf.float32)).numpy()
    frames = start[:, np.newaxis] + pattern.offsets
    assert frames.min() >= 0
    assert frames.max() < length or (length < pattern.spans[0] and start.tolist() == [0])


@moderate
@given(st.integers(0, 399))
def test_every_start_is_equally_likely(room: int) -> None:
    evenly = (np.arange(10 * (room + 1)) + 0.5) / (10 * (room + 1))
    starts = sampling.random_offset(_scalar(room), tf.constant(evenly, tf.float32))
    assert np.bincount(starts).tolist() == [10] * (room + 1)


def test_a_number_just_below_one_draws_the_last_start() -> None:
    below_one = np.nextafter(np.float32(1), np.float32(0))
    drawn = [int(sampling.random_offset(_scalar(room), tf.constant(below_one))) for room in range(400)]
    assert drawn == list(range(400))


def test_a_window_longer_than_the_clip_starts_at_its_first_frame() -> None:
    assert sampling.random_start(_scalar(10), _scalar(64), tf.constant(0.9)).numpy().tolist() == [0]
    assert sampling.even_starts(_scalar(10), 64, 3).numpy().tolist() == [0, 0, 0]
    assert sampling.dense_starts(_scalar(10), 64).numpy().tolist() == [0]


@moderate
@given(lengths, st.integers(1, 400))
def test_one_evaluation_window_is_centred(length: int, window: int) -> None:
    (start,) = sampling.even_starts(_scalar(length), window, 1).numpy()
    before, after = start, length - window - start
    assert (before, after) == (0, length - window) if window >= length else 0 <= after - before <= 1


def test_one_evaluation_window_is_where_dmvr_has_it() -> None:
    # dmvr/processors.py, sample_sequence: half of what is left over when num_frames · stride is taken off the length.
    pattern = _pattern(32, stride=(2, 2))
    assert sampling.even_starts(_scalar(250), int(pattern.num_lasting[0]), 1).numpy().tolist() == [(250 - 64) // 2]


@moderate
@given(lengths, st.integers(1, 400), st.integers(2, 12))
def test_several_evaluation_windows_are_evenly_spaced_from_end_to_end(length: int, window: int, count: int) -> None:
    starts = sampling.even_starts(_scalar(length), window, count).numpy()
    assert starts[0] == 0
    assert starts[-1] == max(length - window, 0)
    gaps = np.diff(starts)
    assert gaps.max() - gaps.min() <= 1


def test_ten_windows_of_fifty_frames_start_where_they_are_said_to() -> None:
    assert sampling.even_starts(_scalar(250), 50, 5).numpy().tolist() == [0, 50, 100, 150, 200]


@moderate
@given(lengths, st.integers(1, 400))
def test_dense_windows_show_every_frame_in_as_few_windows_as_can_be(length: int, window: int) -> None:
    starts = sampling.dense_starts(_scalar(length), window).numpy()
    shown = {frame for start in starts for frame in range(start, start + window)}
    assert shown >= set(range(length))
    assert len(starts) == -(-length // window)
    assert len(set(starts)) == len(starts)
    if length >= window:
        assert max(shown) == length - 1


# -- Segments and all frames --------------------------------------------------------------------------------------


def _bounds(length: int, count: int) -> list[tuple[int, int]]:
    return [(k * length // count, (k + 1) * length // count) for k in range(count)]


@moderate
@given(lengths, counts, st.randoms(use_true_random=False))
def test_a_random_frame_of_each_segment_is_taken(length: int, count: int, random: object) -> None:
    drawn = tf.constant([random.random() * 0.999 for _ in range(count)], tf.float32)  # type: ignore[attr-defined]
    (frames,) = sampling.segment_frames(_scalar(length), count, uniforms=drawn).numpy()
    for frame, (first, end) in zip(frames, _bounds(length, count), strict=True):
        assert first <= frame < max(end, first + 1) <= length


def test_every_frame_of_a_segment_is_equally_likely() -> None:
    evenly = tf.constant((np.arange(50) + 0.5) / 50, tf.float32)
    frames = [sampling.segment_frames(_scalar(20), 4, uniforms=tf.fill([4], u)).numpy()[0] for u in evenly]
    assert np.bincount(np.ravel(frames)).tolist() == [10] * 20


@moderate
@given(lengths, counts)
def test_evaluation_takes_the_middle_frame_of_each_segment(length: int, count: int) -> None:
    (frames,) = sampling.segment_frames(_scalar(length), count).numpy()
    assert frames.tolist() == [first + (end - first) // 2 for first, end in _bounds(length, count)]


@moderate
@given(lengths, counts, num_windows)
def test_several_evaluation_clips_take_each_another_frame_of_the_same_segments(
    length: int, count: int, num_clips: int
) -> None:
    clips = sampling.segment_frames(_scalar(length), count, num_clips=num_clips).numpy()
    assert clips.shape == (num_clips, count)
    for frames in clips:
        for frame, (first, end) in zip(frames, _bounds(length, count), strict=True):
            assert first <= frame < max(end, first + 1) <= length
    assert (np.diff(clips, axis=0) >= 0).all()
    if length >= count * num_clips:
        assert (np.diff(clips, axis=0) > 0).all()


@moderate
@given(lengths)
def test_all_frames_are_the_clips(length: int) -> None:
    assert sampling.all_frames(_scalar(length), 1.0).numpy().tolist() == [list(range(length))]


@moderate
@given(lengths, rates, rates)
def test_all_frames_at_another_rate_are_those_shown_while_the_clip_lasts(
    length: int, rate: Fraction, fps: Fraction
) -> None:
    (frames,) = sampling.all_frames(_scalar(length), float(rate) / float(fps)).numpy()
    lasts = -(-length * fps // rate)
    assert frames.tolist() == [k * rate // fps for k in range(lasts)]
    assert frames.max() < length


# -- Clips that are too short -------------------------------------------------------------------------------------


@moderate
@given(lengths, counts, strides)
def test_past_its_end_a_clip_loops_or_its_last_frame_is_held(length: int, num_frames: int, stride: int) -> None:
    frames = _pattern(num_frames, stride=(stride, stride)).offsets
    looped = sampling.fill(tf.constant(frames), _scalar(length), "loop").numpy()
    assert looped.tolist() == (frames % length).tolist()
    for short in ("hold", "pad"):
        held = sampling.fill(tf.constant(frames), _scalar(length), short).numpy()
        assert held.tolist() == np.minimum(frames, length - 1).tolist()


# -- Flow ---------------------------------------------------------------------------------------------------------


def test_flow_is_that_which_begins_at_each_frame() -> None:
    frames = tf.constant([[2, 4, 6]])
    assert sampling.flow_indices(frames, _scalar(7)).numpy().tolist() == [[2, 4, 6]]


def test_the_last_frame_takes_the_flow_that_leads_to_it() -> None:
    assert sampling.flow_indices(tf.constant([[6, 7, 0]]), _scalar(7)).numpy().tolist() == [[6, 6, 0]]


def test_backwards_a_frame_takes_the_flow_that_led_to_it() -> None:
    backwards = sampling.flow_indices(tf.constant([[7, 6, 1, 0]]), _scalar(7), reverse=tf.constant(True))
    assert backwards.numpy().tolist() == [[6, 5, 0, 0]]


@moderate
@given(st.integers(2, 400), st.booleans())
def test_every_frame_of_a_clip_has_flow(length: int, reverse: bool) -> None:
    indices = sampling.flow_indices(tf.range(length), _scalar(length - 1), reverse=tf.constant(reverse)).numpy()
    assert indices.min() >= 0
    assert indices.max() <= length - 2


# -- Sound --------------------------------------------------------------------------------------------------------


def _sound(num_samples: int, starts: list[int], num_stored: int, count: int | None, loops: bool = False) -> list[int]:
    samples = tf.range(1, num_samples + 1, dtype=tf.float32)
    windows = sampling.audio_windows(samples, tf.constant(starts), _scalar(num_stored), count, 25.0, 250.0, loops=loops)
    return windows.numpy().astype(int).tolist()


def test_sound_lasts_as_long_as_the_frames() -> None:
    assert sampling.num_audio_samples(64, 2, 25.0, 48_000.0) == 245_760
    assert sampling.num_audio_samples(10, 1, 29.97, 16_000.0) == round(160_000 / 29.97)


def test_sound_begins_with_the_first_frame_of_the_window() -> None:
    assert _sound(2500, [50, 0], 250, 4) == [[501, 502, 503, 504], [1, 2, 3, 4]]


def test_all_of_a_clips_sound_lasts_as_long_as_its_frames() -> None:
    assert _sound(45, [0], 4, None) == [[*range(1, 41)]]
    assert _sound(35, [0], 4, None) == [[*range(1, 36), *[0] * 5]]


def test_sound_loops_when_the_frames_do() -> None:
    assert _sound(45, [3], 4, 20, loops=True) == [[*range(31, 41), *range(1, 11)]]  # 5 samples more than 4 frames last


def test_silence_follows_the_last_frame_where_frames_do_not_loop() -> None:
    assert _sound(45, [3], 4, 20) == [[*range(31, 41), *[0] * 10]]


def test_sound_that_ends_early_is_followed_by_silence() -> None:
    assert _sound(15, [0], 2, 25, loops=True) == [[*range(1, 16), *[0] * 5, *range(1, 6)]]


@moderate
@given(
    lengths,
    st.lists(st.integers(0, 399), min_size=1, max_size=4),
    st.integers(1, 2000),
    st.booleans(),
)
def test_a_window_of_sound_holds_what_is_heard_from_its_first_frame_on(
    length: int, starts: list[int], count: int, loops: bool
) -> None:
    starts = [start % length for start in starts]
    sound = np.array(_sound(10 * length, starts, length, count, loops))
    places = 10 * np.array(starts)[:, np.newaxis] + np.arange(count)
    expected = places % (10 * length) + 1 if loops else np.where(places < 10 * length, places + 1, 0)
    np.testing.assert_array_equal(sound, expected)

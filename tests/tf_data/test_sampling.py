"""Which frames, flow frames and samples make up a view."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tf_data import sampling


@pytest.mark.parametrize(("num_frames", "stride", "expected"), [(1, 5, 1), (64, 1, 64), (64, 2, 127), (3, 4, 9)])
def test_a_window_reaches_from_its_first_frame_to_its_last(num_frames: int, stride: int, expected: int) -> None:
    assert sampling.span(num_frames, stride) == expected


@pytest.mark.parametrize(("uniform", "start"), [(0.0, 0), (0.25, 31), (0.5, 62), (0.99999994, 250 - 127)])
def test_a_random_window_reaches_from_the_clips_first_frame_to_its_last(uniform: float, start: int) -> None:
    assert sampling.random_start(tf.constant(250), 127, tf.constant(uniform)).numpy().tolist() == [start]


def test_every_start_is_equally_likely() -> None:
    uniforms = (np.arange(1000) + 0.5) / 1000
    starts = [int(sampling.random_offset(tf.constant(4), tf.constant(u, tf.float32))) for u in uniforms]
    assert np.bincount(starts).tolist() == [200] * 5


def test_a_window_longer_than_the_clip_starts_at_its_first_frame() -> None:
    assert sampling.random_start(tf.constant(10), 64, tf.constant(0.9)).numpy().tolist() == [0]
    assert sampling.even_starts(tf.constant(10), 64, 3).numpy().tolist() == [0, 0, 0]


def test_one_evaluation_window_is_centred() -> None:
    assert sampling.even_starts(tf.constant(250), 64, 1).numpy().tolist() == [93]


def test_several_evaluation_windows_reach_from_end_to_end() -> None:
    assert sampling.even_starts(tf.constant(250), 50, 5).numpy().tolist() == [0, 50, 100, 150, 200]


def test_frames_are_a_stride_apart_and_loop_past_the_end() -> None:
    frames = sampling.frame_indices(tf.constant([0, 3]), tf.constant(5), 4, 2).numpy()
    assert frames.tolist() == [[0, 2, 4, 1], [3, 0, 2, 4]]


def test_flow_is_that_which_begins_at_each_frame() -> None:
    frames = tf.constant([[2, 4, 6]])
    assert sampling.flow_indices(frames, tf.constant(7)).numpy().tolist() == [[2, 4, 6]]


def test_the_last_frame_takes_the_flow_that_leads_to_it() -> None:
    assert sampling.flow_indices(tf.constant([[6, 7, 0]]), tf.constant(7)).numpy().tolist() == [[6, 6, 0]]


def test_sound_lasts_as_long_as_the_frames() -> None:
    assert sampling.num_audio_samples(64, 2, 25.0, 48_000.0) == 245_760
    assert sampling.num_audio_samples(10, 1, 29.97, 16_000.0) == round(160_000 / 29.97)


def test_sound_begins_with_the_first_frame_of_the_window() -> None:
    samples = tf.range(10_000, dtype=tf.float32)
    sound = sampling.audio_windows(samples, tf.constant([50, 0]), tf.constant(250), 4, 25.0, 1000.0).numpy()
    assert sound.tolist() == [[2000, 2001, 2002, 2003], [0, 1, 2, 3]]


def test_sound_loops_when_the_frames_do() -> None:
    samples = tf.range(45, dtype=tf.float32)  # 5 more than 4 frames last
    sound = sampling.audio_windows(samples, tf.constant([3]), tf.constant(4), 20, 25.0, 250.0).numpy()
    assert sound[0].tolist() == [*range(30, 40), *range(10)]


def test_sound_that_ends_early_is_followed_by_silence() -> None:
    sound = sampling.audio_windows(tf.ones(15), tf.constant([0]), tf.constant(2), 25, 25.0, 250.0).numpy()
    assert sound[0].tolist() == [1.0] * 15 + [0.0] * 5 + [1.0] * 5

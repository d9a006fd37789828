"""Records as they are looked at, also those that somebody else wrote."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from beam_pipeline.clips import ClipError
from beam_pipeline.records import parse_sequence_example, sequence_example
from beam_pipeline.viewing.clip_record import id_of, parse_clip
from tests.beam_pipeline.viewing.moving import record
from tf_data import contract

RATE = "image/frame_rate"


def changed(context: dict[str, Any] | None = None, lists: dict[str, Any] | None = None, drop: str = "") -> bytes:
    """Returns a record of ours with other values."""
    stored_context, stored_lists = parse_sequence_example(record(num_frames=3))
    values = {key: value for key, value in {**stored_context, **(context or {})}.items() if key != drop}
    steps = {key: [step[0] for step in value] for key, value in stored_lists.items() if key != drop}
    return sequence_example(values, {**steps, **(lists or {})})


def test_streams_and_keys_are_those_of_the_record() -> None:
    samples = np.linspace(-1, 1, 8000, dtype=np.float32)
    context = {contract.LABEL_STRING: "to the right", contract.AUDIO_SAMPLE_RATE: 16_000.0, "quality/short": 1}
    clip = parse_clip(changed(context, {contract.AUDIO_FLOATS: [samples]}))
    assert (clip.clip_id, clip.label, clip.frame_rate) == ("a_000000_000001", "to the right", 25)
    assert (len(clip.frames), len(clip.flow), clip.bound_px, clip.duration_s) == (3, 2, 20.0, 0.12)
    assert clip.sound and clip.sound.sample_rate == 16_000
    np.testing.assert_array_equal(clip.sound.samples, samples)
    assert clip.context["quality/short"] == [1]
    assert clip.feature_lists[contract.IMAGE_ENCODED][2] == [clip.frames[2]]


def test_a_rate_that_a_float_rounds_is_the_exact_one() -> None:
    assert parse_clip(changed({RATE: 30000 / 1001})).frame_rate == Fraction(30000, 1001)


def test_a_record_without_flow_sound_and_label_has_none() -> None:
    clip = parse_clip(record(flow=None))
    assert (clip.label, clip.flow, clip.bound_px, clip.sound) == ("", [], 0.0, None)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (changed(drop=contract.IMAGE_ENCODED), "record a_000000_000001 has no image/encoded"),
        (changed(drop=RATE), "image/frame_rate must be 0.01 to 1000, got 0"),
        (changed({RATE: float("nan")}), "image/frame_rate must be 0.01 to 1000, got nan"),
        (changed({RATE: 1e9}), r"image/frame_rate must be 0.01 to 1000, got 1e\+09"),
        (changed({contract.FLOW_SATURATION: -1.0}), "saturation must be 1e-06 to 1e.06, got -1"),
        (changed(lists={contract.AUDIO_FLOATS: [np.ones(5, np.float32)]}), "sample_rate must be 1000 to 384000, got 0"),
    ],
)
def test_what_cannot_be_shown_is_named(stored: bytes, message: str) -> None:
    with pytest.raises(ClipError, match=message) as raised:
        parse_clip(stored)
    assert raised.value.reason == "unsupported"


def test_bytes_that_are_no_record_are_an_error() -> None:
    for read in (parse_clip, id_of):
        with pytest.raises(ClipError, match="is no shard of sequence examples, or damaged"):
            read(b"\xff" * 40)

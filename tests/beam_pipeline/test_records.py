"""Our SequenceExample is TensorFlow's on the wire, and always the same bytes."""

from __future__ import annotations

import numpy as np
import pytest

from beam_pipeline.records import parse_sequence_example, sequence_example

CONTEXT = {"id": "clip", "index": -1, "rate": 25.0, "many": [1, 2, 3], "raw": b"\xff\x00"}
LISTS = {"frames": [b"one", b"two"], "times": [0, 40_000], "sound": [np.linspace(-1, 1, 1000, dtype=np.float32)]}


def test_tensorflow_parses_it() -> None:
    import tensorflow as tf

    example = tf.train.SequenceExample.FromString(sequence_example(CONTEXT, LISTS))
    context = example.context.feature
    assert context["id"].bytes_list.value == [b"clip"]
    assert context["index"].int64_list.value == [-1]
    assert context["rate"].float_list.value == [25.0]
    assert context["many"].int64_list.value == [1, 2, 3]
    lists = example.feature_lists.feature_list
    assert [feature.bytes_list.value[0] for feature in lists["frames"].feature] == [b"one", b"two"]
    np.testing.assert_array_equal(lists["sound"].feature[0].float_list.value, LISTS["sound"][0])
    assert len(lists["sound"].feature) == 1


def test_bytes_equal_tensorflow_s_own() -> None:
    import tensorflow as tf

    lists = LISTS | {"frames": [b"", b"x" * 127, b"y" * 128, b"z" * 70_000], "none": [], "names": ["a", "é"]}
    ours = sequence_example(CONTEXT, lists)
    assert tf.train.SequenceExample.FromString(ours).SerializeToString(deterministic=True) == ours


def test_reads_back_what_was_written() -> None:
    context, lists = parse_sequence_example(sequence_example(CONTEXT, LISTS))
    assert context["raw"] == [b"\xff\x00"]
    assert lists["times"] == [[0], [40_000]]


def test_the_order_of_keys_makes_no_difference() -> None:
    backwards = dict(reversed(CONTEXT.items())), dict(reversed(LISTS.items()))
    assert sequence_example(*backwards) == sequence_example(CONTEXT, LISTS)


def test_an_empty_list_is_a_key_without_steps() -> None:
    _, lists = parse_sequence_example(sequence_example({}, {"flow": []}))
    assert lists == {"flow": []}


def test_arrays_are_float32_only() -> None:
    with pytest.raises(TypeError, match="float64"):
        sequence_example({}, {"sound": [np.zeros(3)]})

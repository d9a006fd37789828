"""`where`: which clips are read, told from the columns of an index or from the records themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from beam_pipeline.records import sequence_example
from tests.tf_data.conftest import FakeClip, features_of, record
from tf_data import contract
from tf_data.selection import features_of as features_of_example
from tf_data.selection import is_in_index, parse_where, record_filter, select

NAMES = ["abseiling", "air drumming", "passing American football (not in game)", "zumba"]
IDS = [f"video{n:06d}_000000_000010" for n in range(6)]
COLUMNS = {
    "clip_key": np.array([contract.clip_key(clip_id) for clip_id in IDS]),
    "label": np.array([0, 1, 2, 3, 0, -1]),
    "num_frames": np.array([250, 10, 250, 100, 64, 250], np.int32),
    "short": np.array([0, 1, 0, 1, 1, 0], bool),
    "damaged": np.array([0, 0, 0, 1, 0, 0], bool),
    "rotated": np.array([1, 0, 0, 0, 0, 0], bool),
    "has_audio": np.array([1, 1, 1, 1, 1, 0], bool),
    "upscaled": np.array([0, 0, 1, 0, 0, 0], bool),
    "repeated_frames": np.array([0, 0, 30, 0, 2, 0], np.int32),
    "mean_luma": np.array([5.5, 100, 30, 200, 20, 0.1], np.float32),
    "clipped_flow": np.array([0, 0, 0.25, 0, 0, 0.5], np.float32),
    "mean_flow_px": np.array([0.5, 1, 2, 3, 4, 5], np.float32),
}


def clips_of_columns() -> list[FakeClip]:
    """Clips whose records say what `COLUMNS` say, but that they have a tenth of the frames."""
    quality = [name for name in COLUMNS if name not in ("clip_key", "label", "num_frames", "rotated")]
    return [
        FakeClip(
            clip_id,
            num_frames=int(COLUMNS["num_frames"][n]) // 10,  # pictures take time
            label=int(COLUMNS["label"][n]),
            height=8,
            width=8,
            flags={
                **{f"quality/{name}": 1 * COLUMNS[name][n].item() for name in quality},  # a flag as 0 or 1
                "source/rotation": 90 * int(COLUMNS["rotated"][n]),
                "source/codec": ["h264", "vp9", "av1"][n % 3],
                contract.LABEL_STRING: NAMES[COLUMNS["label"][n]] if COLUMNS["label"][n] >= 0 else "",
            },
        )
        for n, clip_id in enumerate(IDS)
    ]


CLIPS = clips_of_columns()
RECORDS = [record(clip) for clip in CLIPS]
FEATURES = features_of(CLIPS[0])


def in_index(where: Mapping[str, Any], names: Sequence[str] = NAMES) -> list[int]:
    conditions = parse_where(where)
    assert all(is_in_index(condition, COLUMNS) for condition in conditions)
    return select(COLUMNS, conditions, names, "the split").tolist()


def in_records(where: Mapping[str, Any], features: Mapping[str, Any] = FEATURES) -> list[int]:
    is_met = record_filter(parse_where(where), features)
    numbered = tf.data.Dataset.from_tensor_slices(RECORDS).enumerate()
    return [
        int(n)
        for n, _ in numbered.filter(lambda n, record: is_met(record, tf.strings.as_string(n))).as_numpy_iterator()
    ]


SAME_IN_BOTH: list[tuple[dict[str, Any], list[int]]] = [
    ({"damaged": False}, [0, 1, 2, 4, 5]),
    ({"damaged": 0}, [0, 1, 2, 4, 5]),
    ({"quality/damaged": True}, [3]),
    ({"short": [True]}, [1, 3, 4]),
    ({"short": (True, False)}, [0, 1, 2, 3, 4, 5]),
    ({"short": lambda short: ~short}, [0, 2, 5]),
    ({"rotated": True}, [0]),
    ({"has_audio": np.True_}, [0, 1, 2, 3, 4]),
    ({"upscaled": False}, [0, 1, 3, 4, 5]),
    ({"repeated_frames": 0}, [0, 1, 3, 5]),
    ({"repeated_frames": range(1, 10)}, [4]),
    ({"repeated_frames": lambda repeated: repeated <= 2}, [0, 1, 3, 4, 5]),
    ({"mean_luma": lambda luma: luma > 20}, [1, 2, 3]),
    ({"mean_luma": lambda luma: (luma > 20) & (luma < 150)}, [1, 2]),
    ({"mean_luma": 0.1}, [5]),  # which float32 doesn't hold exactly
    ({"mean_luma": [5.5, 200]}, [0, 3]),
    ({"clipped_flow": 0}, [0, 1, 3, 4]),
    ({"mean_flow_px": lambda px: px >= 2}, [2, 3, 4, 5]),
    ({"label": 0}, [0, 4]),
    ({"label": {1, 3}}, [1, 3]),
    ({"label": np.array([1, 3])}, [1, 3]),
    ({"label": np.int32(3)}, [3]),
    ({"label": -1}, [5]),
    ({"label": "zumba"}, [3]),
    ({"label": ["abseiling", b"zumba"]}, [0, 3, 4]),
    ({"label": lambda label: label >= 2}, [2, 3]),
    ({"clip/label/index": 0}, [0, 4]),
    ({"clip_id": IDS[2]}, [2]),
    ({"clip_id": [IDS[4], IDS[0], "no such clip"]}, [0, 4]),
    ({"example/id": IDS[1].encode()}, [1]),
    ({"clip_id": np.array(IDS[3:5])}, [3, 4]),
    ({"short": True, "label": lambda label: label != 0, "damaged": False}, [1]),
]


@pytest.mark.parametrize(("where", "expected"), SAME_IN_BOTH)
def test_index_and_records_select_the_same_clips(where: dict[str, Any], expected: list[int]) -> None:
    assert in_index(where) == expected
    assert in_records(where) == expected


def test_the_length_of_a_clip_is_a_condition_too() -> None:
    assert in_index({"num_frames": lambda frames: frames >= 100}) == [0, 2, 3, 5]
    assert in_records({"num_frames": lambda frames: frames >= 10}) == [0, 2, 3, 5]
    assert in_index({"num_frames": 64}) == [4]
    assert in_records({"num_frames": 6}) == [4]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"source/codec": "h264"}, [0, 3]),
        ({"source/codec": ("h264", b"av1")}, [0, 2, 3, 5]),
        ({"source/codec": lambda codec: tf.strings.regex_full_match(codec, "[hv].*")}, [0, 1, 3, 4]),
        ({"source/rotation": 90}, [0]),
        ({"image/frame_rate": 25}, [0, 1, 2, 3, 4, 5]),
        ({"clip_id": lambda clip_id: tf.strings.substr(clip_id, 10, 1) == "2"}, [2]),
        ({"source/codec": "h264", "source/rotation": lambda degrees: degrees == 0}, [3]),
    ],
)
def test_any_key_of_the_context_is_a_condition_on_records(where: dict[str, Any], expected: list[int]) -> None:
    assert not any(is_in_index(condition, COLUMNS) for condition in parse_where(where))
    assert in_records(where) == expected


def test_names_of_labels_are_found_whatever_their_case() -> None:
    assert in_index({"label": ["passing american football (not in game)", "Air_drumming"]}) == [1, 2]


def test_without_conditions_every_record_is_read() -> None:
    assert parse_where(None) == ()
    assert in_index({}) == [0, 1, 2, 3, 4, 5]


def test_nothing_left_is_an_error_that_names_the_condition() -> None:
    with pytest.raises(
        ValueError,
        match=r"no record of the split is left: none of the 3 that meet 'short': True meets 'mean_luma' \(a function\)",
    ):
        in_index({"short": True, "mean_luma": lambda luma: luma > 1000, "label": 0})
    with pytest.raises(ValueError, match=r"none of the 6 that there are meets 'clip_id': 'a', 'b', 'c' … \(4 values\)"):
        in_index({"clip_id": ["a", "b", "c", "d"]})


# -- What is refused, before anything is read -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("label", "where must be a mapping from keys"),
        ({3: 1}, "a key must be a string .* got 3"),
        ({"label": None}, "'label' must be a value, a collection of values or a function, got None"),
        ({"label": {"a": 1}}, "'label' must be a value"),
        ({"label": []}, "'label' allows no value at all"),
        ({"label": np.array([])}, "'label' allows no value at all"),
    ],
)
def test_what_is_no_condition_is_refused(where: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_where(where)


WRONG_TYPES: list[tuple[dict[str, Any], str]] = [
    ({"num_frames": 1.5}, "'num_frames' is compared with integers of 64 bits, got 1.5"),
    ({"num_frames": 2**63}, "'num_frames' is compared with integers of 64 bits, got 9223372036854775808"),
    ({"num_frames": "64"}, "'num_frames' is compared with integers of 64 bits, got '64'"),
    ({"repeated_frames": True}, "'repeated_frames' is compared with integers of 64 bits, got True"),
    ({"mean_luma": ["bright"]}, "'mean_luma' is compared with numbers, got 'bright'"),
    ({"short": 2}, "'short' is compared with True or False, got 2"),
    ({"short": "yes"}, "'short' is compared with True or False, got 'yes'"),
    ({"clip_id": 7}, "'clip_id' is compared with text, got 7"),
    ({"label": 1.0}, "'label' is compared with integers of 64 bits, got 1.0"),
    ({"label": [True]}, "'label' is compared with integers of 64 bits, got True"),
]


@pytest.mark.parametrize(("where", "message"), WRONG_TYPES)
def test_a_value_of_another_type_is_refused(where: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        in_index(where)
    with pytest.raises(ValueError, match=message):
        in_records(where)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"label": "zomba"}, r"'zomba' is none of the 4 label names \(did you mean 'zumba'\?\)"),
        ({"label": 4}, "4 is no label; they are 0 to 3, and -1 for clips without one"),
        ({"label": -2}, "-2 is no label"),
    ],
)
def test_a_label_that_is_none_is_refused(where: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        in_index(where)


def test_a_name_without_a_list_of_names_is_refused() -> None:
    with pytest.raises(ValueError, match="'zumba' is no index: the data set has no list of label names, so give ind"):
        in_index({"label": "zumba"}, names=())


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"mean_lumma": 1}, r"no 'mean_lumma' \(did you mean 'mean_luma'"),
        ({"source/codek": "h264"}, r"no 'source/codek' \(did you mean 'source/codec'"),
        ({"image/encoded": b""}, "'image/encoded' has many values in a record"),
    ],
)
def test_a_key_that_the_records_lack_is_refused(where: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        in_records(where)


def test_records_without_flow_have_no_condition_on_it() -> None:
    features = {key: value for key, value in FEATURES.items() if "flow" not in key}
    with pytest.raises(ValueError, match=r"the records have no 'mean_flow_px'"):
        in_records({"mean_flow_px": 1.0}, features)


@pytest.mark.parametrize(
    "predicate",
    [
        lambda luma: 20 < luma < 150,
        lambda luma: luma > 20 and luma < 150,
        lambda luma: luma in {1.0, 2.0},
        lambda luma: luma.no_such_method(),
    ],
)
def test_a_function_that_can_t_be_applied_is_refused_with_what_to_write(predicate: Any) -> None:
    with pytest.raises(ValueError, match=r"function of 'mean_luma' can't be applied to .* write &, \| and ~"):
        in_index({"mean_luma": predicate})
    with pytest.raises(ValueError, match=r"function of 'mean_luma', which is in no index, .* write &, \| and ~"):
        in_records({"mean_luma": predicate})


@pytest.mark.parametrize("predicate", [lambda luma: luma, lambda luma: luma[:1] > 0, lambda luma: None])
def test_a_function_that_tells_nothing_of_each_record_is_refused(predicate: Any) -> None:
    with pytest.raises(ValueError, match=r"function of 'mean_luma'.* must return a bool for each of the 6 records"):
        in_index({"mean_luma": predicate})


def test_on_a_record_a_function_must_return_a_bool() -> None:
    with pytest.raises(
        ValueError, match=r"function of 'mean_luma' must return a bool scalar for a scalar, got float32"
    ):
        in_records({"mean_luma": lambda luma: luma})


# -- Records that are not as their metadata say ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "key"),
    [
        (sequence_example({contract.EXAMPLE_ID: "a"}, {}), "source/codec"),
        (sequence_example({"source/codec": 264}, {}), "source/codec"),
        (sequence_example({"source/codec": ["a", "b"]}, {}), "source/codec"),
        (b"no record", ""),
    ],
    ids=["without the key", "of another type", "with two values", "no SequenceExample"],
)
def test_a_record_without_the_key_is_an_error_that_names_place_and_key(data: bytes, key: str) -> None:
    is_met = record_filter(parse_where({"source/codec": "h264"}), FEATURES)
    ds = tf.data.Dataset.from_tensors(data).filter(lambda record: is_met(record, tf.constant("shard 3 at offset 17")))
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"shard 3 at offset 17.*{key}"):
        next(iter(ds))


def test_a_record_without_pictures_has_no_length_to_go_by() -> None:
    is_met = record_filter(parse_where({"num_frames": 10}), FEATURES)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"shard 3 at offset 17.*{contract.IMAGE_ENCODED}"):
        is_met(tf.constant(sequence_example({}, {})), tf.constant("shard 3 at offset 17"))


def test_records_without_metadata_tell_their_features_themselves() -> None:
    described = features_of_example(tf.train.SequenceExample.FromString(RECORDS[0]))
    assert described == {key: value for key, value in FEATURES.items() if value["shape"] == []}


def test_a_context_key_with_many_values_is_no_condition() -> None:
    example = tf.train.SequenceExample.FromString(sequence_example({"segment/start/timestamp": [1, 2]}, {}))
    with pytest.raises(ValueError, match="'segment/start/timestamp' has many values"):
        record_filter(parse_where({"segment/start/timestamp": 1}), features_of_example(example))

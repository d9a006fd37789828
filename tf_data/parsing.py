"""One serialised record to the strings and numbers in it; nothing is decoded here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tf_data import contract

_QUALITY = contract.QUALITY_PREFIX
# What `extras` may ask for: the element's key, where it is in the record, and what stands in where others left it out.
_EXTRAS = {
    "label_name": (contract.LABEL_STRING, tf.string, ""),
    "clip_id": (contract.EXAMPLE_ID, tf.string, ""),
    "short": (f"{_QUALITY}/short", tf.int64, 0),
    "damaged": (f"{_QUALITY}/damaged", tf.int64, 0),
    "rotated": (f"{contract.SOURCE_PREFIX}/rotation", tf.int64, 0),
    "has_audio": (f"{_QUALITY}/has_audio", tf.int64, 0),
}
EXTRAS = tuple(_EXTRAS)
_FRAME_RATE = f"{contract.IMAGE_PREFIX}/frame_rate"
_ALWAYS = {contract.EXAMPLE_ID: (tf.string, ""), contract.LABEL_INDEX: (tf.int64, contract.UNLABELLED)}
_LIST_OF_STREAM = {"rgb": contract.IMAGE_ENCODED, "flow": contract.FLOW_ENCODED, "audio": contract.AUDIO_FLOATS}
_BOX_SIDES = (contract.REGION_YMIN, contract.REGION_XMIN, contract.REGION_YMAX, contract.REGION_XMAX)


class Boxes(NamedTuple):
    """What is marked in a clip, a row for each box of each key frame."""

    corners: tf.Tensor  # float32 [n, 4]: ymin, xmin, ymax, xmax in [0, 1]
    label: tf.Tensor  # int64 [n]
    time_us: tf.Tensor  # int64 [n], from the clip's start


class ParsedClip(NamedTuple):
    """What a record holds: still encoded frames (string [T], [T - 1]), samples (float32 [L]), and what is said of it.

    A stream that is not asked for is None.
    """

    frames: tf.Tensor | None
    flow: tf.Tensor | None
    audio: tf.Tensor | None
    num_frames: tf.Tensor  # int32 scalar, T
    label: tf.Tensor  # int64 scalar, -1 without one
    name_key: tf.Tensor  # int64 scalar, a hash of the clip's id, for records without an index
    extras: dict[str, tf.Tensor]
    boxes: Boxes | None


def parse(
    record: tf.Tensor,
    place: tf.Tensor,
    streams: Sequence[str],
    extras: Sequence[str],
    *,
    boxes: bool = False,
    frame_rate: float | None = None,
) -> ParsedClip:
    """Parses one `SequenceExample`.

    Args:
      record: string scalar.
      place: string scalar for error messages, where the record is from.
      streams: which of rgb, flow and audio to take.
      extras: which of `EXTRAS` to take.
      boxes: whether to take those, too.
      frame_rate: what the record must have, where it says; None where that is known.

    Raises:
      tf.errors.InvalidArgumentError: it is no SequenceExample, a key has another type or number of values, or a stream
        that is asked for is missing; the message names the place and the key.
    """
    rate = {} if frame_rate is None else {_FRAME_RATE: (tf.float32, frame_rate)}
    scalars = _ALWAYS | rate | {key: (dtype, default) for key, dtype, default in (_EXTRAS[name] for name in extras)}
    # The image list is parsed for every stream: its length is the clip's, by which all streams are kept in time.
    lists: dict[str, object] = {
        contract.IMAGE_ENCODED: tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)
    }
    if "flow" in streams:
        lists[contract.FLOW_ENCODED] = tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True)
    if "audio" in streams:
        lists[contract.AUDIO_FLOATS] = tf.io.RaggedFeature(tf.float32)
    if boxes:
        lists |= {key: tf.io.RaggedFeature(tf.float32) for key in _BOX_SIDES}
        lists |= {
            key: tf.io.RaggedFeature(tf.int64) for key in (contract.REGION_LABEL_INDEX, contract.REGION_TIMESTAMP)
        }
    values, sequences = tf.io.parse_single_sequence_example(
        record,
        # As lists of any length: of a scalar with several values TensorFlow's own error names no record.
        context_features={key: tf.io.RaggedFeature(dtype) for key, (dtype, _) in scalars.items()},
        sequence_features=lists,
        example_name=place,
    )
    values = {key: _scalar(key, values[key], default, place) for key, (_, default) in scalars.items()}
    if "audio" in streams:
        sequences[contract.AUDIO_FLOATS] = sequences[contract.AUDIO_FLOATS].flat_values
    clip_id = values[contract.EXAMPLE_ID]
    if frame_rate is not None:
        found = tf.strings.as_string(values[_FRAME_RATE])
        message = tf.strings.join(
            [place, f": {_FRAME_RATE} is ", found, f", that of the first record {frame_rate:g}; read records of "
             "different rates apart, or make a data set of them"]
        )  # fmt: skip
        with tf.control_dependencies([tf.debugging.Assert(tf.abs(values[_FRAME_RATE] - frame_rate) < 1e-3, [message])]):
            clip_id = tf.identity(clip_id)
    needs = [(_LIST_OF_STREAM[stream], stream) for stream in streams]
    if set(streams) == {"audio"}:
        needs.append((contract.IMAGE_ENCODED, "audio"))
    checks = [_check_list(key, tf.size(sequences[key]), stream, place, clip_id) for key, stream in needs]
    with tf.control_dependencies(checks):
        sequences = sequences | {key: tf.identity(sequences[key]) for key, _ in needs}
    frames, flow = sequences[contract.IMAGE_ENCODED], sequences.get(contract.FLOW_ENCODED)
    num_frames = tf.size(frames)
    if flow is not None:
        num_frames = tf.where(num_frames > 0, num_frames, tf.size(flow) + 1)  # others' records of flow alone
    # Records without an id are told apart by their first frame.
    name = tf.strings.join([clip_id, tf.strings.reduce_join(frames[:1])])
    return ParsedClip(
        frames=frames if "rgb" in streams else None,
        flow=flow,
        audio=sequences.get(contract.AUDIO_FLOATS),
        num_frames=num_frames,
        label=values[contract.LABEL_INDEX],
        name_key=tf.strings.to_hash_bucket_fast(name, 2**63 - 1),
        extras={name: _extra(name, values[_EXTRAS[name][0]]) for name in extras},
        boxes=_boxes(sequences, place) if boxes else None,
    )


def _scalar(key: str, values: tf.Tensor, default: Any, place: tf.Tensor) -> tf.Tensor:
    """The value of a key of the context, or the default where it has none."""
    count = tf.strings.as_string(tf.size(values))
    message = tf.strings.join([place, f": {key} has ", count, " values, expected one; pass on_error='skip' to go on"])
    with tf.control_dependencies([tf.debugging.Assert(tf.size(values) <= 1, [message])]):
        return tf.concat([values, [default]], axis=0)[0]


def _boxes(sequences: Mapping[str, tf.RaggedTensor], place: tf.Tensor) -> Boxes:
    """One time a key frame, and as many boxes and labels as it has."""
    sides = [sequences[key] for key in _BOX_SIDES]
    labels, times = sequences[contract.REGION_LABEL_INDEX].flat_values, sequences[contract.REGION_TIMESTAMP].flat_values
    counts = sides[0].row_lengths()
    alike = [tf.size(values) == tf.size(labels) for values in (side.flat_values for side in sides)]
    message = tf.strings.join(
        [place, ": its boxes have different numbers of sides, labels or times; leave num_boxes out, or pass "
         "on_error='skip'"]
    )  # fmt: skip
    with tf.control_dependencies(
        [tf.debugging.Assert(tf.reduce_all([*alike, tf.size(times) == tf.size(counts)]), [message])]
    ):
        corners = tf.stack([side.flat_values for side in sides], axis=1)
    return Boxes(corners, labels, tf.repeat(times, counts))


def _check_list(key: str, size: tf.Tensor, stream: str, place: tf.Tensor, clip_id: tf.Tensor) -> tf.Operation:
    problem = f"): {key} is missing or empty, and the stream {stream!r} needs it; leave the stream out, or pass "
    return tf.debugging.Assert(size > 0, [tf.strings.join([place, " (", clip_id, problem, "on_error='skip'"])])


def _extra(name: str, value: tf.Tensor) -> tf.Tensor:
    return value != 0 if name in contract.FLAGS else value

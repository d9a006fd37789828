"""Which public readers of Kinetics-like records read a data set's: tried with their own specifications.

The specifications are facts of the readers' sources, named beside each: keys, dtypes and shapes that they parse, the
images that they decode. A record is parsed under them by TensorFlow, as the reader does it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tf_data import contract
from tf_data.quiet import load_tensorflow

Kind = Literal["fixed", "any", "steps"]  # FixedLenFeature, VarLenFeature, FixedLenSequenceFeature


@dataclass(frozen=True, slots=True)
class Parsed:
    """A key that a reader parses: how, its dtype by TensorFlow's name, and the shape of one step."""

    key: str
    kind: Kind
    dtype: str
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader, or one of the ways to set it up.

    Attributes:
      name: of the project and the function.
      gives: what it gives.
      source: where its specification is.
      context: what it parses of the context.
      lists: what it parses of the feature lists.
      images: feature lists of which it decodes each step as an image of three channels.
      sound: a feature list of whose first step it takes samples; '' for none.
      remarks: what to know before it is used on these records, whatever they are.
    """

    name: str
    gives: str
    source: str
    context: tuple[Parsed, ...]
    lists: tuple[Parsed, ...]
    images: tuple[str, ...]
    sound: str = ""
    remarks: tuple[str, ...] = ()


_FRAMES = Parsed(contract.IMAGE_ENCODED, "steps", "string")
_FLOW = Parsed(contract.FLOW_ENCODED, "steps", "string")
_LABELS = Parsed(contract.LABEL_INDEX, "any", "int64")
_MELSPEC = "melspec/feature/floats"
_DMVR = "google-deepmind/dmvr, dmvr/modalities.py"

READERS = (
    Reader(
        "MediaPipe kinetics_dataset.as_dataset",
        "frames, flow, labels",
        "google-ai-edge/mediapipe, mediapipe/examples/desktop/media_sequence/kinetics_dataset.py",
        context=(
            Parsed(contract.EXAMPLE_ID, "fixed", "string"),
            Parsed(contract.LABEL_STRING, "fixed", "string"),
            Parsed(contract.LABEL_INDEX, "fixed", "int64"),
        ),
        lists=(_FRAMES, _FLOW),
        images=(contract.IMAGE_ENCODED, contract.FLOW_ENCODED),
        remarks=(
            "runs on TensorFlow 1 alone (tf.contrib.data.parallel_interleave): later ones take its specification",
            "looks for files named kinetics_700_<split>_25fps_rgb_flow-*-of-*: link the shards under such names",
            "gives labels as one of 700, and flow in pixels as if the bound were 20",
        ),
    ),
    Reader(
        "DMVR add_image, add_label",
        "frames, labels, their names",
        f"{_DMVR}: add_image, add_label",
        context=(_LABELS, Parsed(contract.LABEL_TEXT, "any", "string")),
        lists=(_FRAMES,),
        images=(contract.IMAGE_ENCODED,),
    ),
    Reader(
        f"DMVR add_image('{contract.FLOW_ENCODED}', is_flow=True)",
        "flow, labels",
        f"{_DMVR}: add_image",
        context=(_LABELS,),
        lists=(_FLOW,),
        images=(contract.FLOW_ENCODED,),
        remarks=(
            "wants is_rgb=None and zero_centering_image=True with it, else it raises ValueError",
            "gives flow in units of the bound",
        ),
    ),
    Reader(
        "DMVR add_audio",
        "sound, labels",
        f"{_DMVR}: add_audio",
        context=(_LABELS,),
        lists=(Parsed(contract.AUDIO_FLOATS, "any", "float32"),),
        images=(),
        sound=contract.AUDIO_FLOATS,
    ),
    Reader(
        "scenic ViViT video_tfrecord_dataset",
        "frames, labels",
        "google-research/scenic, scenic/projects/vivit/data/video_tfrecord_dataset.py",
        context=(_LABELS,),
        lists=(_FRAMES,),
        images=(contract.IMAGE_ENCODED,),
    ),
    Reader(
        "scenic MBT audiovisual_tfrecord_dataset",
        "frames, spectrogram, labels",
        "google-research/scenic, scenic/projects/mbt/datasets/dataset_utils.py: add_spectrogram",
        context=(_LABELS,),
        lists=(_FRAMES, Parsed(_MELSPEC, "steps", "float32", (100, 128))),
        images=(contract.IMAGE_ENCODED,),
    ),
    Reader(
        "tf-models video_input.Decoder",
        "frames, labels",
        "tensorflow/models, official/vision/dataloaders/video_input.py: Decoder",
        context=(_LABELS,),
        lists=(_FRAMES,),
        images=(contract.IMAGE_ENCODED,),
    ),
)

_WHY_MISSING = {
    contract.IMAGE_ENCODED: "the records have no frames",
    contract.FLOW_ENCODED: "the records have no flow: a data set with flow.method has",
    contract.AUDIO_FLOATS: "the records have no sound: a data set with audio.sample_rate has",
    _MELSPEC: "it wants log mel spectrograms, which the job does not make",
}


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a reader's try.

    Attributes:
      reader: its name.
      gives: what it gives.
      source: where its specification is.
      reads: whether it read every record that was tried.
      why: why not, of the first record that it didn't.
      clip_id: of that record.
      expected: whether it is clear from the streams that records have, so that nothing is wrong with any.
      remarks: what to know.
    """

    reader: str
    gives: str
    source: str
    reads: bool
    why: str
    clip_id: str
    expected: bool
    remarks: tuple[str, ...]


def try_readers(records: Mapping[str, bytes], bound_px: float | None) -> list[Tried]:
    """Reads records as public readers do.

    Args:
      records: by clip id.
      bound_px: of their flow; None where there is none.
    """
    load_tensorflow()
    return [_try(reader, records, bound_px) for reader in READERS]


def _try(reader: Reader, records: Mapping[str, bytes], bound_px: float | None) -> Tried:
    remarks = reader.remarks
    if bound_px is not None and bound_px != 20 and "MediaPipe" in reader.name:
        remarks = (*remarks, f"so its flow is too {'small' if bound_px > 20 else 'large'}: the bound is {bound_px:g}")
    for clip_id, record in records.items():
        why, missing = _why_not(reader, record)
        if why:
            return Tried(reader.name, reader.gives, reader.source, False, why, clip_id, missing, ())
    return Tried(reader.name, reader.gives, reader.source, bool(records), "", "", True, remarks)


def _why_not(reader: Reader, record: bytes) -> tuple[str, bool]:
    """Returns why a reader can't read a record, '' if it can; and whether a stream is missing that not all have."""
    import tensorflow as tf

    try:
        _, lists = parsed_by(reader, record)
        for key in reader.images:
            for step in (0, -1):
                image = tf.io.decode_jpeg(lists[key][step], channels=3)
                if len(image.shape) != 3:
                    return f"{key} has something else than images", False
        if reader.sound:
            steps, samples = lists[reader.sound].dense_shape.numpy().tolist()
            if not steps:
                return _missing(reader.sound), True
            if not samples:
                return f"{reader.sound} has no samples", False
    except (tf.errors.OpError, ValueError) as error:
        text = " ".join(str(error).split())
        for each in reader.lists:
            if f"'{each.key}' is required" in text or f"{each.key} is required" in text:
                return _missing(each.key), True
        return text.partition(" [Op:")[0].removeprefix("{{function_node").rpartition("}} ")[2][:300], False
    return "", False


def _missing(key: str) -> str:
    return f"there is no {key}: {_WHY_MISSING[key]}"


def parsed_by(reader: Reader, record: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns what a reader parses of a record: of its context and of its feature lists, tensors by key.

    Raises:
      tf.errors.OpError: the record has not what the reader asks for.
    """
    import tensorflow as tf

    specifications = [{each.key: _feature(each) for each in keys} for keys in (reader.context, reader.lists)]
    return tf.io.parse_single_sequence_example(record, *specifications)


def _feature(parsed: Parsed) -> Any:
    import tensorflow as tf

    dtype = tf.dtypes.as_dtype(parsed.dtype)
    if parsed.kind == "any":
        return tf.io.VarLenFeature(dtype)
    make = tf.io.FixedLenFeature if parsed.kind == "fixed" else tf.io.FixedLenSequenceFeature
    return make(parsed.shape, dtype)


def unexpected(tried: Sequence[Tried]) -> list[Tried]:
    """Returns those that should have read the records."""
    return [each for each in tried if not each.reads and not each.expected]

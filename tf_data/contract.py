"""The record contract: the names and file layout that `beam_pipeline` writes and `tf_data` reads.

The two packages meet here and nowhere else, so this module imports neither TensorFlow nor Beam. The keys are
MediaSequence's (MediaPipe, `mediapipe/util/sequence/media_sequence.py`) plus those that DMVR, scenic and tf-models ask
for, so that one shard is read by all of them. `docs/records.md` says what each key means.
"""

from __future__ import annotations

import hashlib
import re

# -- Keys of the context ------------------------------------------------------------------------------------------

EXAMPLE_ID = "example/id"
DATASET_NAME = "example/dataset_name"
DATA_PATH = "clip/data_path"
MEDIA_ID = "clip/media_id"
SPLIT = "clip/alternative_media_id"
CLIP_START = "clip/start/timestamp"  # int64, microseconds in the source video
CLIP_END = "clip/end/timestamp"
LABEL_INDEX = "clip/label/index"
LABEL_STRING = "clip/label/string"
LABEL_TEXT = "clip/label/text"  # the same name again: DMVR reads this key, MediaPipe the other
IMAGE_PREFIX = "image"
FLOW_PREFIX = "FORWARD_FLOW/image"
AUDIO_PREFIX = "WAVEFORM/feature"
FLOW_SATURATION = f"{FLOW_PREFIX}/saturation"  # float, pixels: levels 0 and 255 stand for -bound and +bound
FLOW_METHOD = f"{FLOW_PREFIX}/method"
FLOW_PARAMETERS = f"{FLOW_PREFIX}/parameters"  # of the method, as JSON with sorted keys
FLOW_ROUNDING = f"{FLOW_PREFIX}/rounding"
AUDIO_SAMPLE_RATE = f"{AUDIO_PREFIX}/sample_rate"
AUDIO_NUM_CHANNELS = f"{AUDIO_PREFIX}/num_channels"
AUDIO_NUM_SAMPLES = f"{AUDIO_PREFIX}/num_samples"
QUALITY_PREFIX = "quality"
SOURCE_PREFIX = "source"

# -- Keys of the feature lists ------------------------------------------------------------------------------------

IMAGE_ENCODED = f"{IMAGE_PREFIX}/encoded"
IMAGE_TIMESTAMP = f"{IMAGE_PREFIX}/timestamp"
FLOW_ENCODED = f"{FLOW_PREFIX}/encoded"
FLOW_TIMESTAMP = f"{FLOW_PREFIX}/timestamp"
AUDIO_FLOATS = f"{AUDIO_PREFIX}/floats"

# Boxes, AVA-Kinetics': one step for each annotated frame, whose values are its boxes, so none, one or several. All
# of a record's lists have the same steps, and a step the same number of values in each but the time.
REGION_PREFIX = "region"
REGION_YMIN = f"{REGION_PREFIX}/bbox/ymin"  # float, of the frame's height or width, 0 to 1
REGION_XMIN = f"{REGION_PREFIX}/bbox/xmin"
REGION_YMAX = f"{REGION_PREFIX}/bbox/ymax"
REGION_XMAX = f"{REGION_PREFIX}/bbox/xmax"
REGION_LABEL_INDEX = f"{REGION_PREFIX}/label/index"  # int64, one a box
REGION_LABEL_STRING = f"{REGION_PREFIX}/label/string"
REGION_TIMESTAMP = f"{REGION_PREFIX}/timestamp"  # int64, one a step: microseconds from the start of the clip

UNLABELLED = -1  # clip/label/index of a clip without a label; its clip/label/string is empty, never absent

# -- Files of one version of a data set ---------------------------------------------------------------------------

LABELS_FILE = "labels.txt"
STATE_DIR = "state"

# What is true or false of a clip, in the ledger and in the index.
PICTURE_FLAGS = ("short", "damaged", "rotated")
FLAGS = (*PICTURE_FLAGS, "has_audio")

# Columns of index-<split>.npz, one row a record in shard order, then in record order. `offset` is where the record's
# framing begins in its shard, `length` the bytes of its payload; `clip_key` is `clip_key(example/id)`.
INDEX_COLUMNS = {
    "shard": "int32",
    "offset": "int64",
    "length": "int64",
    "clip_key": "int64",
    "label": "int64",
    "num_frames": "int32",
    **dict.fromkeys(FLAGS, "bool"),
}
# Further columns, each there where it is known of every record of the split: `quality/<column>` of the record.
INDEX_QUALITY_COLUMNS = {
    "upscaled": "bool",
    "repeated_frames": "int32",
    "mean_luma": "float32",
    "clipped_flow": "float32",
    "mean_flow_px": "float32",
}

_SPLIT_ALIASES = {"validate": "val", "validation": "val", "valid": "val"}
_SHARD_RE = re.compile(r"(?P<name>.+)-(?P<split>[A-Za-z0-9_]+)\.tfrecord-(?P<shard>\d{5,})-of-(?P<shards>\d{5,})")


def canonical_split(split: str) -> str:
    """Returns the one name of a split: `validate`, `validation` and `valid` are `val`; others stay as they are."""
    split = split.strip().lower()
    return _SPLIT_ALIASES.get(split, split)


def shard_file(name: str, split: str, shard: int, num_shards: int) -> str:
    """Returns the file name of a shard, `k400-train.tfrecord-00000-of-01024`, read by `prefix@1024` and by globs."""
    return f"{name}-{split}.tfrecord-{shard:05d}-of-{num_shards:05d}"


def parse_shard_file(file_name: str) -> tuple[str, str, int, int] | None:
    """Returns (name, split, shard, num_shards) of a shard's file name, or None for any other file."""
    match = _SHARD_RE.fullmatch(file_name)
    return match and (match["name"], match["split"], int(match["shard"]), int(match["shards"]))


def info_file(split: str) -> str:
    """Returns the name of a split's metadata file."""
    return f"info-{split}.json"


def index_file(split: str) -> str:
    """Returns the name of a split's record index (`INDEX_COLUMNS`)."""
    return f"index-{split}.npz"


def ledger_file(split: str) -> str:
    """Returns the name of a split's ledger: one row for every clip that was asked for."""
    return f"clips-{split}.parquet"


def clip_key(clip_id: str) -> int:
    """Returns the signed 64-bit key of a clip id by which all per-clip randomness and `--limit` are ordered."""
    return int.from_bytes(hashlib.blake2b(clip_id.encode(), digest_size=8).digest(), "little", signed=True)

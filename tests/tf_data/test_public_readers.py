"""One record of the job, parsed under the specifications of the public readers of Kinetics-like records.

Each specification is restated from its reader's source, named beside it. A record that parses here and decodes to the
right shapes is one that these readers take unchanged.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from beam_pipeline.clips import Clip
from beam_pipeline.media.container import open_container
from beam_pipeline.media.encoding import ClipTask, encode_clip
from beam_pipeline.media.flow import estimate_flow
from beam_pipeline.media.settings import Audio, Encode, Flow, MediaSettings
from beam_pipeline.media.video import read_frames

FRAME = tf.io.FixedLenSequenceFeature((), tf.string)
NUM_FRAMES, HEIGHT, WIDTH = 50, 64, 86
BOUND_PX = 20.0


# Of a clip of 86×64 pixels, whose small pictures lose more than those of docs/flow.md: pixels, mean and maximum.
ERROR_PX = {"jpeg444": (0.2, 4.4), "png": (0.06, 0.08)}


@pytest.fixture(scope="module", params=ERROR_PX)
def storage(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def record(test_data: Path, storage: str) -> bytes:
    """The first two seconds of a real clip, with flow in each storage, and sound."""
    path = test_data / "videos" / "R6llTwEh07w.mp4"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    flow = Flow("dis", BOUND_PX, storage)  # type: ignore[arg-type]
    settings = MediaSettings(Encode(shorter_side=HEIGHT), flow, Audio(16_000), "true")
    clip = Clip("R6llTwEh07w", 0, 2_000_000, "abseiling")
    task = ClipTask(clip, 7, "train", "k400", str(path), path.name, path.stat().st_size, None, settings)
    encoded = encode_clip(task).record
    assert encoded
    return encoded


@pytest.fixture(scope="module")
def estimated_px(test_data: Path) -> np.ndarray:
    """The flow of the clip's frames before it is stored, within the bound: (T - 1, height, width, 2)."""
    with open_container(str(test_data / "videos" / "R6llTwEh07w.mp4")) as container:
        luma = read_frames(container, 0, 2_000_000, "true", Encode(shorter_side=HEIGHT), keep_luma=True).luma
    flow = [estimate_flow(*pair, Flow("dis")) for pair in pairwise(luma)]
    return np.clip(flow, -BOUND_PX, BOUND_PX)


def _check_flow(flow_px: tf.Tensor, estimated_px: np.ndarray, storage: str) -> None:
    error = np.abs(flow_px - estimated_px)
    mean_px, max_px = ERROR_PX[storage]
    assert error.mean() < mean_px
    assert error.max() < max_px


def _frames(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes as the readers do: TensorFlow's default decoder, whole frames."""
    return tf.map_fn(lambda jpeg: tf.io.decode_jpeg(jpeg, channels=3), encoded, fn_output_signature=tf.uint8)


def test_mediapipe(record: bytes, estimated_px: np.ndarray, storage: str) -> None:
    # google-ai-edge/mediapipe, mediapipe/examples/desktop/media_sequence/kinetics_dataset.py, as_dataset
    context, sequences = tf.io.parse_single_sequence_example(
        record,
        {
            "example/id": tf.io.FixedLenFeature((), tf.string),
            "clip/label/string": tf.io.FixedLenFeature((), tf.string),
            "clip/label/index": tf.io.FixedLenFeature((), tf.int64),
        },
        {"image/encoded": FRAME, "FORWARD_FLOW/image/encoded": FRAME},
    )
    assert context["example/id"] == b"R6llTwEh07w_000000_000002"
    assert (context["clip/label/string"], context["clip/label/index"]) == (b"abseiling", 7)
    assert _frames(sequences["image/encoded"]).shape == (NUM_FRAMES, HEIGHT, WIDTH, 3)
    levels = tf.image.convert_image_dtype(_frames(sequences["FORWARD_FLOW/image/encoded"]), tf.float32)
    flow_px = (levels[..., :2] - 0.5) * 2 * BOUND_PX
    assert flow_px.shape == (NUM_FRAMES - 1, HEIGHT, WIDTH, 2)
    _check_flow(flow_px, estimated_px, storage)


def test_dmvr(record: bytes, estimated_px: np.ndarray, storage: str) -> None:
    # google-deepmind/dmvr, dmvr/modalities.py: add_image (is_flow, zero_centering_image), add_label, add_audio
    context, sequences = tf.io.parse_single_sequence_example(
        record,
        {"clip/label/index": tf.io.VarLenFeature(tf.int64), "clip/label/text": tf.io.VarLenFeature(tf.string)},
        {
            "image/encoded": FRAME,
            "FORWARD_FLOW/image/encoded": FRAME,
            "WAVEFORM/feature/floats": tf.io.VarLenFeature(tf.float32),
        },
    )
    assert tf.sparse.to_dense(context["clip/label/index"]).numpy().tolist() == [7]
    assert tf.sparse.to_dense(context["clip/label/text"]).numpy().tolist() == [b"abseiling"]
    assert _frames(sequences["image/encoded"]).shape == (NUM_FRAMES, HEIGHT, WIDTH, 3)
    flow = tf.cast(_frames(sequences["FORWARD_FLOW/image/encoded"]), tf.float32) / 255 * 2 - 1
    _check_flow(BOUND_PX * flow[..., :2], estimated_px, storage)
    sound = tf.sparse.to_dense(sequences["WAVEFORM/feature/floats"])  # of which DMVR takes row 0
    assert sound.shape == (1, 2 * 16_000)
    assert tf.reduce_max(tf.abs(sound)) > 0.01


def test_scenic_vivit(record: bytes) -> None:
    # google-research/scenic, scenic/projects/vivit/data/video_tfrecord_dataset.py, which builds on DMVR's add_image and
    # add_label without label names
    context, sequences = tf.io.parse_single_sequence_example(
        record, {"clip/label/index": tf.io.VarLenFeature(tf.int64)}, {"image/encoded": FRAME}
    )
    assert tf.sparse.to_dense(context["clip/label/index"]).numpy().tolist() == [7]
    assert _frames(sequences["image/encoded"]).shape == (NUM_FRAMES, HEIGHT, WIDTH, 3)


def test_tf_models(record: bytes) -> None:
    # tensorflow/models, official/vision/dataloaders/video_input.py: Decoder
    context, sequences = tf.io.parse_single_sequence_example(
        record, {"clip/label/index": tf.io.VarLenFeature(tf.int64)}, {"image/encoded": FRAME}
    )
    assert tf.sparse.to_dense(context["clip/label/index"]).numpy().tolist() == [7]
    assert _frames(sequences["image/encoded"]).shape == (NUM_FRAMES, HEIGHT, WIDTH, 3)

"""One record of the job, parsed under the specifications of the public readers of Kinetics-like records.

The specifications are those of the command `doctor`, and are held against what is in the readers' own sources, which
stands here once more. A record that parses under them and decodes to the right shapes is one that these readers take.
"""

from __future__ import annotations

from dataclasses import astuple
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from beam_pipeline.checking.public_readers import READERS, Reader, parsed_by
from beam_pipeline.clips import Clip
from beam_pipeline.media.container import open_container
from beam_pipeline.media.encoding import ClipTask, encode_clip
from beam_pipeline.media.flow import estimate_flow
from beam_pipeline.media.settings import Audio, Encode, Flow, MediaSettings
from beam_pipeline.media.video import read_frames

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


# What the readers parse, as their sources say: key, kind, dtype, shape of a step. Of the context, then of the lists.
LABEL = ("clip/label/index", "any", "int64", ())
FRAMES = ("image/encoded", "steps", "string", ())
FLOW = ("FORWARD_FLOW/image/encoded", "steps", "string", ())
SPECIFICATIONS = {
    "MediaPipe kinetics_dataset": (
        {
            ("example/id", "fixed", "string", ()),
            ("clip/label/string", "fixed", "string", ()),
            ("clip/label/index", "fixed", "int64", ()),
        },
        {FRAMES, FLOW},
    ),
    "DMVR add_image, add_label": ({LABEL, ("clip/label/text", "any", "string", ())}, {FRAMES}),
    "DMVR add_image('FORWARD_FLOW/image/encoded', is_flow=True)": ({LABEL}, {FLOW}),
    "DMVR add_audio": ({LABEL}, {("WAVEFORM/feature/floats", "any", "float32", ())}),
    "scenic ViViT": ({LABEL}, {FRAMES}),
    "scenic MBT": ({LABEL}, {FRAMES, ("melspec/feature/floats", "steps", "float32", (100, 128))}),
    "tf-models video_input.Decoder": ({LABEL}, {FRAMES}),
}


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_a_reader_is_tried_with_what_its_source_parses(name: str) -> None:
    parsed = [{astuple(each) for each in keys} for keys in (reader(name).context, reader(name).lists)]
    assert parsed == list(SPECIFICATIONS[name])


def test_all_readers_are_compared_with_their_sources() -> None:
    assert len(SPECIFICATIONS) == len(READERS)


def reader(name: str) -> Reader:
    (found,) = (each for each in READERS if each.name.startswith(name))
    return found


def _check_flow(flow_px: tf.Tensor, estimated_px: np.ndarray, storage: str) -> None:
    error = np.abs(flow_px - estimated_px)
    mean_px, max_px = ERROR_PX[storage]
    assert error.mean() < mean_px
    assert error.max() < max_px


def _frames(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes as the readers do: TensorFlow's default decoder, whole frames."""
    return tf.map_fn(lambda jpeg: tf.io.decode_jpeg(jpeg, channels=3), encoded, fn_output_signature=tf.uint8)


def test_mediapipe(record: bytes, estimated_px: np.ndarray, storage: str) -> None:
    context, sequences = parsed_by(reader("MediaPipe"), record)
    assert context["example/id"] == b"R6llTwEh07w_000000_000002"
    assert (context["clip/label/string"], context["clip/label/index"]) == (b"abseiling", 7)
    assert _frames(sequences["image/encoded"]).shape == (NUM_FRAMES, HEIGHT, WIDTH, 3)
    levels = tf.image.convert_image_dtype(_frames(sequences["FORWARD_FLOW/image/encoded"]), tf.float32)
    flow_px = (levels[..., :2] - 0.5) * 2 * BOUND_PX
    assert flow_px.shape == (NUM_FRAMES - 1, HEIGHT, WIDTH, 2)
    _check_flow(flow_px, estimated_px, storage)


def test_dmvr(record: bytes, estimated_px: np.ndarray, storage: str) -> None:
    # is_flow, zero_centering_image
    context, sequences = parsed_by(reader("DMVR add_image, add_label"), record)
    _, flow_sequences = parsed_by(reader("DMVR add_image('FORWARD_FLOW"), record)
    _, sound_sequences = parsed_by(reader("DMVR add_audio"), record)
    assert tf.sparse.to_dense(context["clip/label/index"]).numpy().tolist() == [7]
    assert tf.sparse.to_dense(context["clip/label/text"]).numpy().tolist() == [b"abseiling"]
    assert _frames(sequences["image/encoded"]).shape == (NUM_FRAMES, HEIGHT, WIDTH, 3)
    flow = tf.cast(_frames(flow_sequences["FORWARD_FLOW/image/encoded"]), tf.float32) / 255 * 2 - 1
    _check_flow(BOUND_PX * flow[..., :2], estimated_px, storage)
    sound = tf.sparse.to_dense(sound_sequences["WAVEFORM/feature/floats"])  # of which DMVR takes row 0
    assert sound.shape == (1, 2 * 16_000)
    assert tf.reduce_max(tf.abs(sound)) > 0.01


def test_scenic_vivit(record: bytes) -> None:
    # which builds on DMVR's add_image and add_label without label names
    context, sequences = parsed_by(reader("scenic ViViT"), record)
    assert tf.sparse.to_dense(context["clip/label/index"]).numpy().tolist() == [7]
    assert _frames(sequences["image/encoded"]).shape == (NUM_FRAMES, HEIGHT, WIDTH, 3)


def test_tf_models(record: bytes) -> None:
    context, sequences = parsed_by(reader("tf-models"), record)
    assert tf.sparse.to_dense(context["clip/label/index"]).numpy().tolist() == [7]
    assert _frames(sequences["image/encoded"]).shape == (NUM_FRAMES, HEIGHT, WIDTH, 3)

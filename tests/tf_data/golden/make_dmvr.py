"""Makes dmvr.npz: a record, and what DMVR's reader gives for it. Run once, with https://github.com/google-deepmind/dmvr.

    PYTHONPATH=DMVR_CHECKOUT python tests/tf_data/golden/make_dmvr.py

The clip has 13 frames of 40×56 and their flow; 4 are taken at stride 2 and cropped to 24×24, at the centre, and of
RGB in 3 windows, too. 13 - 8 and 12 - 8 halve to the same number, so that DMVR, which centres frames and flow each by
their own number, takes the same instants of both. What it gives are levels / 127.5 - 1, which are stored as levels.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import simplejpeg
import tensorflow as tf

sys.modules["dmvr.tokenizers"] = types.ModuleType("dmvr.tokenizers")  # of words, and needs tensorflow_text
sys.modules["dmvr.tokenizers"].TextTokenizer = object  # type: ignore[attr-defined]

from dmvr import builders, modalities  # noqa: E402

NUM_FRAMES, HEIGHT, WIDTH = 13, 40, 56
TAKEN, STRIDE, CROP = 4, 2, 24


ROWS, COLUMNS = np.indices((HEIGHT, WIDTH))


def picture(number: int, rng: np.random.Generator) -> np.ndarray:
    """Moving patterns, with edges and noise as footage has them."""
    waves = [np.sin((ROWS * (1 + c) + COLUMNS + 5 * number) / (4 + c)) for c in range(3)]
    levels = 128 + 90 * np.stack(waves, axis=2) + rng.normal(0, 6, (HEIGHT, WIDTH, 3))
    levels[(ROWS - 20) ** 2 + (COLUMNS - 2 * number - 8) ** 2 < 60] = (220, 40, 60)
    return levels


def flow_picture(number: int, rng: np.random.Generator) -> np.ndarray:
    """A disc that moves over a background that drifts: x, y and nothing."""
    x = np.where((ROWS - 20) ** 2 + (COLUMNS - 2 * number - 8) ** 2 < 60, 153.0, 127.5 + 4 * np.sin(ROWS / 9))
    y = 127.5 + 6 * np.cos((COLUMNS + number) / 11)
    return np.stack([x, y, np.zeros_like(x)], axis=2)


def encode(draw: Callable[[int, np.random.Generator], np.ndarray], count: int, subsampling: str) -> list[bytes]:
    rng = np.random.default_rng(1)
    levels = (np.clip(np.rint(draw(k, rng)), 0, 255).astype(np.uint8) for k in range(count))
    return [simplejpeg.encode_jpeg(frame, quality=95, colorsubsampling=subsampling) for frame in levels]


def make_record() -> bytes:
    lists = {
        "image/encoded": encode(picture, NUM_FRAMES, "420"),
        "FORWARD_FLOW/image/encoded": encode(flow_picture, NUM_FRAMES - 1, "444"),
    }
    example = tf.train.SequenceExample()
    example.context.feature["clip/label/index"].int64_list.value.append(3)
    for key, values in lists.items():
        for value in values:
            example.feature_lists.feature_list[key].feature.add().bytes_list.value.append(value)
    return example.SerializeToString(deterministic=True)


def dmvr(record: bytes, num_test_clips: int) -> dict[str, np.ndarray]:
    parser = builders.SequenceExampleParserBuilder()
    phases = {
        "parser_builder": parser,
        "sampler_builder": builders.SamplerBuilder(),
        "decoder_builder": builders.DecoderBuilder(),
        "preprocessor_builder": builders.PreprocessorBuilder(),
        "postprocessor_builder": builders.PostprocessorBuilder(),
    }
    values = {
        "is_training": False,
        "num_frames": TAKEN,
        "stride": STRIDE,
        "num_test_clips": num_test_clips,
        "min_resize": HEIGHT,
        "crop_size": CROP,
        "zero_centering_image": True,
    }
    modalities.add_image(**phases, **values)
    flow = {"input_feature_name": "FORWARD_FLOW/image/encoded", "output_feature_name": "flow"}
    modalities.add_image(**phases, **values, **flow, is_rgb=None, is_flow=True)
    built = [phase.build() for phase in phases.values()]
    features = built[0](tf.constant(record))
    for phase in built[1:-1]:
        features = phase(features)
    shape = (num_test_clips, TAKEN, CROP, CROP)
    return {"rgb": features["image"].numpy().reshape(*shape, 3), "flow": features["flow"].numpy().reshape(*shape, 2)}


def levels(values: np.ndarray) -> np.ndarray:
    rounded = np.rint((values + 1) * 127.5)
    assert np.abs(rounded / 127.5 - 1 - values).max() < 1e-6
    return rounded.astype(np.uint8)


if __name__ == "__main__":
    record = make_record()
    centre, windows = dmvr(record, 1), dmvr(record, 3)
    np.savez_compressed(
        Path(__file__).with_name("dmvr.npz"),
        record=np.frombuffer(record, np.uint8),
        rgb=levels(centre["rgb"][0]),
        flow=levels(centre["flow"][0]),
        rgb_windows=levels(windows["rgb"]),
    )

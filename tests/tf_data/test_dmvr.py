"""The same pixels as DMVR gives for the same parameters, by values that were made once (golden/make_dmvr.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

import tf_data
from beam_pipeline.tfrecord import ShardWriter

GOLDEN = Path(__file__).parent / "golden" / "dmvr.npz"
SAME = {"num_frames": 4, "stride": 2, "crop_size": 24, "training": False, "streams": ("rgb", "flow")}
FAST_DCT_LEVELS = 7  # by which the fast inverse DCT, with which DMVR decodes flow too, is off at most


@pytest.fixture(scope="module")
def golden() -> Iterator[Mapping[str, np.ndarray]]:
    with np.load(GOLDEN) as values:
        yield dict(values)


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory, golden: Mapping[str, np.ndarray]) -> str:
    path = tmp_path_factory.mktemp("dmvr") / "clips-val.tfrecord-00000-of-00001"
    with path.open("wb") as file:
        ShardWriter(file).write(golden["record"].tobytes())
    return str(path)


@pytest.mark.filterwarnings("ignore:.*no record index")
def test_centre_crops_of_rgb_are_dmvrs_to_the_bit_of_a_level(shard: str, golden: Mapping[str, np.ndarray]) -> None:
    (element,) = tf_data.load(shard, split="val", **SAME)
    expected = golden["rgb"] / np.float32(127.5) - 1
    np.testing.assert_allclose(element["rgb"], expected, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*no record index")
def test_centre_crops_of_flow_are_dmvrs_within_its_decoders_rounding(
    shard: str, golden: Mapping[str, np.ndarray]
) -> None:
    (element,) = tf_data.load(shard, split="val", **SAME)
    levels = np.rint((element["flow"] + 1) * 127.5)
    difference = levels - golden["flow"]
    assert np.abs(difference).max() <= FAST_DCT_LEVELS
    assert np.abs(difference).mean() < 1


@pytest.mark.filterwarnings("ignore:.*no record index")
def test_several_windows_are_dmvrs(shard: str, golden: Mapping[str, np.ndarray]) -> None:
    (element,) = tf_data.load(shard, split="val", **SAME | {"streams": "rgb"}, num_clips=3)
    np.testing.assert_allclose(element["rgb"], golden["rgb_windows"] / np.float32(127.5) - 1, rtol=0, atol=1e-6)

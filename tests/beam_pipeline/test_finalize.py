"""What the index and the metadata say of a split, against its records: without Beam, on small real clips."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beam_pipeline.finalize import finalize
from beam_pipeline.job import Job
from beam_pipeline.ledger import read_state, state_path, write_state
from beam_pipeline.records import SequenceExample, parse_sequence_example
from beam_pipeline.shards import make_shard
from beam_pipeline.tfrecord import read_records
from tests.beam_pipeline.clips_on_disk import write_clip
from tests.beam_pipeline.test_shards import CLIPS, HerePool, Place, joined

FLOW_AND_AUDIO = ("flow.method=tvl1", "audio.sample_rate=8000")
PLAIN = {"shard", "offset", "length", "clip_key", "label", "num_frames", "short", "damaged", "rotated", "has_audio"}
OF_PICTURES = {"upscaled", "repeated_frames", "mean_luma"}
OF_FLOW = {"clipped_flow", "mean_flow_px"}


def finished(place: Place, *extra: str) -> Job:
    job = place.job(None, *extra)
    finalize(job, "train", [make_shard(job, "train", 0, *joined(job), HerePool())])
    return job


def index(place: Place) -> dict[str, np.ndarray]:
    with np.load(place.output / "index-train.npz") as columns:
        return dict(columns)


def contexts(place: Place) -> list[dict[str, list]]:
    return [parse_sequence_example(record)[0] for record in read_records(str(place.shard))]


def forget(place: Place, clips: list[str], *columns: str) -> None:
    """Rewrites the state as if some clips had been made by a version that did not take these columns down."""
    path = state_path(str(place.output), "train", 0, 1)
    state = read_state(path)
    assert state
    nothing: dict[str, Any] = dict.fromkeys(columns)
    rows = (replace(row, **nothing) if row.row.clip_id in clips else row for row in state.rows)
    write_state(path, replace(state, rows=tuple(rows)))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path, CLIPS)
    write_clip(place.store / f"{CLIPS[1]}.mp4", fps=15)  # shown at 25 frames a second, some of its frames come twice
    write_clip(place.store / f"{CLIPS[2]}.mp4", side=32)  # and this one is enlarged
    return place


@pytest.mark.parametrize(
    ("extra", "columns"), [((), OF_PICTURES), (FLOW_AND_AUDIO, OF_PICTURES | OF_FLOW)], ids=["rgb", "rgb, flow, audio"]
)
def test_the_index_says_of_quality_what_the_records_say(
    place: Place, extra: tuple[str, ...], columns: set[str]
) -> None:
    finished(place, *extra)
    found, said = index(place), contexts(place)
    assert set(found) == PLAIN | columns
    for column in columns:
        assert found[column].tolist() == [context[f"quality/{column}"][0] for context in said]
    assert found["repeated_frames"].any()
    assert found["upscaled"].tolist() == [False, False, True, False]


@pytest.mark.parametrize("extra", [(), FLOW_AND_AUDIO], ids=["rgb", "rgb, flow, audio"])
def test_the_metadata_describes_every_feature_of_a_record(place: Place, extra: tuple[str, ...]) -> None:
    finished(place, *extra)
    features = json.loads((place.output / "info-train.json").read_text())["features"]
    dtypes = {"bytes_list": "string", "int64_list": "int64", "float_list": "float32"}
    for record in read_records(str(place.shard)):
        example = SequenceExample.FromString(record)
        of_context = {key: dtypes[value.WhichOneof("kind")] for key, value in example.context.feature.items()}
        of_lists = {
            key: dtypes[value.feature[0].WhichOneof("kind")]
            for key, value in example.feature_lists.feature_list.items()
        }
        assert {key: value["dtype"] for key, value in features.items()} == of_context | of_lists
        assert {key for key, value in features.items() if value["shape"] == []} == set(of_context)


def test_a_column_that_some_records_lack_is_left_out(place: Place) -> None:
    finished(place)
    before, content = index(place), place.shard.read_bytes()
    forget(place, CLIPS[:1], "mean_luma")
    finished(place)
    after = index(place)
    assert set(after) == set(before) - {"mean_luma"}
    assert all((after[column] == before[column]).all() for column in after)
    assert place.shard.read_bytes() == content


def test_a_state_from_before_the_columns_is_gone_on_from(place: Place) -> None:
    finished(place)
    before, content = index(place), place.shard.read_bytes()
    path = Path(state_path(str(place.output), "train", 0, 1))
    state = json.loads(path.read_text())
    first = state["columns"].index("upscaled")
    state["columns"], state["rows"] = state["columns"][:first], [row[:first] for row in state["rows"]]
    path.write_text(json.dumps(state))
    finished(place)
    after = index(place)
    assert set(after) == PLAIN
    assert all((after[column] == before[column]).all() for column in after)
    assert place.shard.read_bytes() == content


def test_a_clip_that_comes_later_makes_no_column_of_earlier_ones(place: Place) -> None:
    (place.store / f"{CLIPS[3]}.mp4").rename(place.folder / "later.mp4")
    finished(place)
    forget(place, CLIPS, "upscaled", "repeated_frames", "mean_luma")
    (place.folder / "later.mp4").rename(place.store / f"{CLIPS[3]}.mp4")
    finished(place)
    assert len(index(place)["shard"]) == len(CLIPS)
    assert set(index(place)) == PLAIN


def test_what_is_known_of_a_record_stays_known_when_it_is_copied(place: Place) -> None:
    finished(place)
    before = index(place)
    write_clip(place.store / f"{CLIPS[0]}.mp4", hue=255)
    (place.store / f"{CLIPS[2]}.mp4").unlink()
    finished(place)
    after = index(place)
    assert set(after) == set(before)
    assert after["upscaled"].tolist() == before["upscaled"].tolist()
    assert after["mean_luma"].tolist() == [context["quality/mean_luma"][0] for context in contexts(place)]

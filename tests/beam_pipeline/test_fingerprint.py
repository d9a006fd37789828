"""Shards of different settings are never mixed, and nothing is discarded before that is sure."""

from __future__ import annotations

from pathlib import Path

import pytest

from beam_pipeline.config import ConfigError, load_config
from beam_pipeline.fingerprint import settle_settings
from beam_pipeline.job import Job
from beam_pipeline.run import survey
from tests.beam_pipeline.clips_on_disk import write_list


def job(folder: Path, splits: list[str], *settings: str) -> Job:
    for split in ("train", "val"):
        write_list(folder / f"{split}.csv", ["clip0000000_000000_000001"], split=split)
    known = [f"splits.{split}={{annotations: {folder / split}.csv, shards: 1}}" for split in ("train", "val")]
    config = load_config(None, ["name=tiny", *known, f"source.store={folder}", *settings], str(folder))
    return survey(config, splits, None, cores=1)[0]


def other_labels(folder: Path) -> str:
    (folder / "labels.txt").write_text("juggling balls\nyoga\n")
    return f"labels={folder / 'labels.txt'}"


@pytest.fixture
def val_shard(tmp_path: Path) -> Path:
    """A shard of val, in a data set that has train and val."""
    settle_settings(job(tmp_path, ["train", "val"]), overwrite=False)
    shard = tmp_path / "tiny/1.0.0/tiny-val.tfrecord-00000-of-00001"
    shard.write_bytes(b"records")
    return shard


def test_the_same_settings_are_welcome(tmp_path: Path, val_shard: Path) -> None:
    settle_settings(job(tmp_path, ["val"], "workers=7", "limits.wall_s=9", f"source.store={tmp_path}"), overwrite=False)
    assert val_shard.exists()


def test_other_footage_of_the_same_files_is_refused(tmp_path: Path, val_shard: Path) -> None:
    with pytest.raises(ConfigError, match=r"source\.trimmed was true, is whole"):
        settle_settings(job(tmp_path, ["val"], "source.trimmed=whole"), overwrite=False)
    assert val_shard.exists()


def test_a_quality_of_flow_counts_where_there_is_one(tmp_path: Path) -> None:
    png, jpeg = ("flow={storage: png, quality: %d}", "flow={storage: jpeg444, quality: %d}")
    settle_settings(job(tmp_path, ["val"], png % 95), overwrite=False)
    settle_settings(job(tmp_path, ["val"], png % 80), overwrite=False)
    settle_settings(job(tmp_path, ["train"], jpeg % 95), overwrite=False)
    with pytest.raises(ConfigError, match=r"other settings: flow\.quality was 95, is 80\. Give"):
        settle_settings(job(tmp_path, ["train"], jpeg % 80), overwrite=False)


def test_overwriting_one_split_with_other_labels_is_refused_before_it_is_discarded(
    tmp_path: Path, val_shard: Path
) -> None:
    with pytest.raises(ConfigError, match="its train shards were made with another label list"):
        settle_settings(job(tmp_path, ["val"], other_labels(tmp_path)), overwrite=True)
    assert val_shard.exists()


def test_overwriting_all_splits_takes_other_labels(tmp_path: Path, val_shard: Path) -> None:
    settle_settings(job(tmp_path, ["train", "val"], other_labels(tmp_path)), overwrite=True)
    assert not val_shard.exists()


def test_shards_of_another_number_are_refused_and_then_discarded(tmp_path: Path, val_shard: Path) -> None:
    changed = job(tmp_path, ["train", "val"], "splits.val.shards=2")
    with pytest.raises(ConfigError, match="shards was 1, is 2"):
        settle_settings(changed, overwrite=False)
    assert val_shard.exists()
    settle_settings(changed, overwrite=True)
    assert not val_shard.exists()


def test_shards_without_their_state_are_refused(tmp_path: Path, val_shard: Path) -> None:
    (tmp_path / "tiny/1.0.0/state/settings-val.json").unlink()
    with pytest.raises(ConfigError, match="no state/ beside them"):
        settle_settings(job(tmp_path, ["val"]), overwrite=False)

"""What decides the bytes of a data set: kept beside it, so that shards of different settings are never mixed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from beam_pipeline import files
from beam_pipeline.config import ConfigError
from beam_pipeline.job import Job
from beam_pipeline.json_files import read_object
from beam_pipeline.media.task import RECORD_REVISION
from tf_data import contract


def settle_settings(job: Job, overwrite: bool) -> None:
    """Checks that what is there was made with the settings of this run, and writes them down where nothing is.

    Nothing is changed before all splits are checked.

    Args:
      job: the run.
      overwrite: discard what is there of the run's splits, whatever it was made with.

    Raises:
      ConfigError: something was made with other settings, and `overwrite` is not set; it names each that differs. Or
        the label list is not that of the splits that this run does not make.
    """
    check_settings(job, overwrite)
    for split in job.num_shards:
        if overwrite:
            _discard(job, split)
        files.write_whole(_path(job, split), json.dumps(run_settings(job, split), indent=1).encode())


def check_settings(job: Job, overwrite: bool = False) -> None:
    """Checks as `settle_settings` does, and changes nothing."""
    wanted = {split: run_settings(job, split) for split in job.num_shards}
    _check_other_splits(job, next(iter(wanted.values()))["labels"])
    if not overwrite:
        for split, settings in wanted.items():
            _check_split(job, split, settings)


def _check_split(job: Job, split: str, wanted: dict[str, Any]) -> None:
    content = files.read_whole(_path(job, split))
    there = read_object(_path(job, split))
    differences = _differences(there, wanted) if there else []
    if content is not None and there is None:
        differences = [f"the file that says how, {_path(job, split)}, is damaged"]
    if content is None and _shards(job, split):
        differences = ["they have no state/ beside them, so that nobody knows how they were made"]
    if differences:
        raise ConfigError(
            f"{job.directory}: its {split} shards were made with other settings: {'; '.join(differences)}. Give those "
            "again, choose another config or version, or discard what is there with --overwrite"
        )


def run_settings(job: Job, split: str) -> dict[str, Any]:
    """Returns all that the bytes of a split's shards depend on, but for the clips themselves."""
    media = job.media
    labels = job.selections[split].label_list
    return {
        "record_revision": RECORD_REVISION,
        "name": job.name,
        "source": {"trimmed": media.trimmed} | ({"kind": "frames"} if media.frame_folders else {}),
        "encode": {**dataclasses.asdict(media.encode), "fps": str(media.encode.fps)},
        "flow": dataclasses.asdict(media.flow) if media.flow else None,
        "audio": dataclasses.asdict(media.audio) if media.audio else None,
        "labels": {"count": len(labels), "blake2b": hashlib.blake2b("\n".join(labels).encode()).hexdigest()[:32]},
        "shards": job.num_shards[split],
    }


def _path(job: Job, split: str) -> str:
    return files.join(job.directory, contract.STATE_DIR, f"settings-{split}.json")


def _differences(there: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    flat_there, flat_wanted = dict(_flatten(there)), dict(_flatten(wanted))
    if "labels.blake2b" in flat_wanted and there.get("labels") != wanted["labels"]:
        counts = [flat.pop("labels.count", 0) for flat in (flat_there, flat_wanted)]
        for flat in (flat_there, flat_wanted):
            flat.pop("labels.blake2b", None)
        labels = [f"labels was another list ({counts[0]} names), is one of {counts[1]}"]
    else:
        labels = []
    keys = dict.fromkeys([*flat_there, *flat_wanted])
    if flat_there.get("flow.storage") == flat_wanted.get("flow.storage") == "png":
        del keys["flow.quality"]  # it is JPEG's
    return labels + [
        f"{key} was {_shown(flat_there.get(key))}, is {_shown(flat_wanted.get(key))}"
        for key in keys
        if flat_there.get(key) != flat_wanted.get(key)
    ]


def _shown(value: Any) -> str:
    """Returns a value as a configuration has it."""
    return value if isinstance(value, str) else json.dumps(value)


def _flatten(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in values.items():
        pairs += _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return pairs


def _shards(job: Job, split: str) -> list[str]:
    parsed = ((name, contract.parse_shard_file(name)) for name in files.names(job.directory))
    return [name for name, parts in parsed if parts and parts[:2] == (job.name, split)]


def _discard(job: Job, split: str) -> None:
    """Deletes what a split left: the finished files first, so that none of them speaks of shards that are gone."""
    for name in (contract.info_file(split), contract.index_file(split), contract.ledger_file(split)):
        files.delete(files.join(job.directory, name))
    state = files.join(job.directory, contract.STATE_DIR)
    for name in _shards(job, split):
        files.delete(files.join(job.directory, name))
    for name in files.names(state):
        if name.startswith(f"{split}-") or name.startswith(f"{split}."):
            files.delete(files.join(state, name))


def _check_other_splits(job: Job, labels: dict[str, Any]) -> None:
    """All splits share one label list; those that this run does not make have to be of the same."""
    state = files.join(job.directory, contract.STATE_DIR)
    for name in files.names(state):
        split = name.removeprefix("settings-").removesuffix(".json")
        if name != f"settings-{split}.json" or split in job.num_shards:
            continue
        other = read_object(files.join(state, name)) or {}
        if other.get("labels") not in (None, labels):
            raise ConfigError(
                f"{job.directory}: its {split} shards were made with another label list. Make {split} anew together "
                "with the others (--overwrite without --split), or choose another version"
            )

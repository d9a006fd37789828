"""What a configuration says before its types are checked: files and `--set` merged, presets and paths filled in."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Sequence
from fractions import Fraction
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from beam_pipeline import files
from beam_pipeline.config_errors import ConfigError
from beam_pipeline.media.settings import TVL1_PRESETS
from beam_pipeline.shipped import shipped
from tf_data import contract

# What stands in for keys of `encode` and `flow` that a configuration leaves out, where it isn't the types' default.
_PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "i3d": {"encode": {}, "flow": {}},
    # tvl1_flow_and_rgb_from_file.pbtxt and its calculators; docs/flow.md says how far this goes.
    "mediapipe": {
        "encode": {"shorter_side": None, "height": 256, "jpeg_quality": 100},
        "flow": {"quality": 100, "rounding": "truncate"},
    },
}


def read_values(paths: Sequence[str | Path], settings: Sequence[str], data_dir: str | None) -> dict[str, Any]:
    """Returns the values of a configuration by key, as the types of `config.Config` are to be made of.

    Args:
      paths: YAML files; a later one adds to the mappings of those before it, and wins over their other values.
      settings: `dotted.path=value`, which win over all files.
      data_dir: wins over all of these; None: as they say.

    Raises:
      ConfigError: a file or a setting can't be read, or keys contradict each other where no type could say so.
    """
    values: dict[str, Any] = functools.reduce(_overlaid, map(_read_yaml, paths), {})
    for setting in settings:
        _apply(values, setting)
    if data_dir is not None:
        values["data_dir"] = data_dir
    _prepare(values)
    return values


def _text(path: str | Path) -> str:
    """Reads a configuration; outside a checkout `configs/k400.yaml` and `k400.yaml` are those that come with us."""
    if not files.is_local(str(path)):
        with files.open_for_reading(str(path)) as remote:
            return remote.read().decode()
    file: Traversable = Path(path)
    if not Path(path).exists() and str(Path(path).parent) in (".", "configs"):
        file = shipped(Path(path).name)
    return file.read_text(encoding="utf-8")


def _read_yaml(path: str | Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(_text(path))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such configuration file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a folder; name a configuration file") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: can't be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must be a mapping of keys to values, got {type(values).__name__}")
    return values


def _overlaid(values: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """Returns values with another file's over them: mappings are added to, all else is replaced."""
    both = {key for key in overlay if isinstance(values.get(key), dict) and isinstance(overlay[key], dict)}
    return {**values, **overlay, **{key: _overlaid(values[key], overlay[key]) for key in both}}


def _apply(values: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"--set {setting}: must be KEY=VALUE with a dotted key, as in --set encode.fps=12.5")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {setting}: the value is not YAML: {' '.join(str(error).split())}") from None
    *parents, last = key.split(".")
    for parent in parents:
        inner = values.get(parent)
        if inner is None:
            inner = values[parent] = {}
        elif not isinstance(inner, dict):
            raise ConfigError(f"--set {setting}: {parent} is {inner!r}, which has no keys of its own")
        values = inner
    values[last] = value


def _prepare(values: dict[str, Any]) -> None:
    """Brings YAML's spellings to the types': rational rates, a lone path for a list of one, `~` in local paths."""
    encode = values.get("encode")
    if isinstance(encode, dict) and isinstance(encode.get("fps"), bool):
        encode["fps"] = str(encode["fps"]).lower()  # no number, though Python counts it as one
    elif isinstance(encode, dict) and isinstance(encode.get("fps"), int | float | str):
        with contextlib.suppress(ValueError, ZeroDivisionError):  # the type check names it
            encode["fps"] = Fraction(str(encode["fps"]))
    splits = values.get("splits")
    if isinstance(splits, dict):
        values["splits"] = {_one_name(str(name), splits, "splits"): split for name, split in splits.items()}
        for split in values["splits"].values():
            if isinstance(split, dict) and "annotations" in split:
                split["annotations"] = _expand_all(split["annotations"])
    if values.get("source") is None:
        values["source"] = {}  # so that it is `source.store` that is missing
    if isinstance(values["source"], dict):
        _prepare_source(values["source"])
    for key in ("data_dir", "labels", "classes"):
        if key in values:
            values[key] = _expand(values[key])
    values.setdefault("data_dir", _expand("~/kinetics_tfrecords"))
    for key in ("encode", "limits", "beam"):
        if values.get(key) is None:
            values.pop(key, None)
    as_they_are = _prepare_frames(values)
    _prepare_media(values)
    if as_they_are:
        values["encode"] |= {"shorter_side": None, "height": None}
    if isinstance(values.get("version"), int):
        values["version"] = str(values["version"])
    elif isinstance(values.get("version"), float):  # 1.10 has become 1.1 by now
        raise ConfigError("version: a number with a point must be a text: put it in quotes, as in version: '1.10'")


def _prepare_frames(values: dict[str, Any]) -> bool:
    """Returns whether clips are folders of frames, which are taken as they are; checks that `encode` agrees."""
    source, encode = values.get("source"), values.setdefault("encode", {})
    if not isinstance(source, dict) or source.get("kind") != "frames" or not isinstance(encode, dict):
        return False
    problems = [
        f"encode.{key} must be left out with source.kind frames, which takes frames as they are, got {encode[key]!r}"
        for key in ("shorter_side", "height", "resize", "apply_sar")
        if encode.get(key) is not None
    ]
    if encode.get("fps") is None:
        problems.append("encode.fps is missing; with source.kind frames it is the rate at which they were extracted")
    if problems:
        raise ConfigError("\n".join(problems))
    source.setdefault("trimmed", "whole")
    return True


def _prepare_media(values: dict[str, Any]) -> None:
    """Fills in the rows that `preset` and `flow.method` name. What is no mapping is left to the check of types."""
    row = _PRESETS.get(str(values.get("preset", "i3d")), {"encode": {}, "flow": {}})
    encode = values.setdefault("encode", {})
    if isinstance(encode, dict):
        sides = {key: encode.pop(key, None) for key in ("shorter_side", "height")}
        if None not in sides.values():
            raise ConfigError("encode.shorter_side and encode.height both give the size of frames: leave one out")
        is_given = set(sides.values()) != {None}
        values["encode"] = row["encode"] | encode | (sides if is_given else {})
    flow = values.get("flow")
    if isinstance(flow, dict):
        flow = values["flow"] = row["flow"] | flow
        method = str(flow.get("method", "tvl1"))
        if isinstance(flow.get("tvl1"), dict):
            if method not in TVL1_PRESETS:
                raise ConfigError(
                    f"flow.tvl1 is for flow.method {' or '.join(TVL1_PRESETS)}, got flow.method {method}: leave one out"
                )
            flow["tvl1"] = dataclasses.asdict(TVL1_PRESETS[method]) | flow["tvl1"]


def _prepare_source(source: dict[str, Any]) -> None:
    if "store" in source:
        source["store"] = _expand(source["store"])
    for key in ("archives", "replacements", "youtube"):
        if source.get(key, ...) is None:
            del source[key]
    archives = source.get("archives")
    if isinstance(archives, dict):
        names = {_one_name(str(split), archives, "source.archives"): entries for split, entries in archives.items()}
        source["archives"] = {split: _expand_all(entries) for split, entries in names.items()}
    if "replacements" in source:
        source["replacements"] = _expand_all(source["replacements"])
    youtube = source.get("youtube")
    if isinstance(youtube, dict):
        if "cookies_file" in youtube:
            youtube["cookies_file"] = _expand(youtube["cookies_file"])
        for key in ("proxies", "player_clients"):
            if isinstance(youtube.get(key), str):
                youtube[key] = [youtube[key]]


def _one_name(split: str, splits: dict[str, Any], key: str) -> str:
    name = contract.canonical_split(split)
    if name != split and name in splits:
        raise ConfigError(f"{key}.{split} is another name for {key}.{name}: keep one of them")
    return name


def _expand_all(paths: Any) -> Any:
    if isinstance(paths, str):
        paths = [paths]
    return [_expand(path) for path in paths] if isinstance(paths, list) else paths


def _expand(path: Any) -> Any:
    return str(Path(path).expanduser()) if isinstance(path, str) and path.startswith("~") else path

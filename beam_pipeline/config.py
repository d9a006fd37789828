"""The configuration: YAML, typed, and checked whole before anything starts."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import functools
import json
import typing
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from annotated_types import Interval, MinLen
from pydantic import TypeAdapter, ValidationError

from beam_pipeline import files
from beam_pipeline.downloads import is_url
from beam_pipeline.media.settings import TVL1_PRESETS, Audio, Encode, Flow, MediaSettings
from beam_pipeline.shipped import shipped
from beam_pipeline.sources.settings import Source
from tf_data import contract

Name = Annotated[str, MinLen(1)]

# What stands in for keys of `encode` and `flow` that a configuration leaves out, where it isn't the types' default.
_PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "i3d": {"encode": {}, "flow": {}},
    # tvl1_flow_and_rgb_from_file.pbtxt and its calculators; docs/flow.md says how far this goes.
    "mediapipe": {
        "encode": {"shorter_side": None, "height": 256, "jpeg_quality": 100},
        "flow": {"quality": 100, "rounding": "truncate"},
    },
}


class ConfigError(Exception):
    """A configuration that can't be used: one line for each thing that is wrong, with the key and what is allowed."""


@dataclass(frozen=True, slots=True)
class Split:
    """The annotation files of one split and the number of shards, which is decided once and kept."""

    annotations: Annotated[tuple[Name, ...], MinLen(1)]
    shards: Annotated[int, Interval(ge=1, le=100_000)] = 128


@dataclass(frozen=True, slots=True)
class Limits:
    """What one clip may use of its child process: CPU seconds a second of footage, seconds in all, memory."""

    cpu_s_per_s: Annotated[float, Interval(gt=0, le=100_000)] | Literal["auto"] = "auto"
    wall_s: Annotated[float, Interval(gt=0, le=10_000_000)] | Literal["auto"] = "auto"
    memory_mib: Annotated[int, Interval(ge=256, le=100_000_000)] = 2048


@dataclass(frozen=True, slots=True)
class Config:
    """One data set: its annotations, its source, how its clips are encoded, and where it goes."""

    name: Name
    splits: dict[str, Split]
    source: Source
    config: Name | None = None
    version: Name = "1.0.0"
    data_dir: Name = "~/kinetics_tfrecords"
    labels: Name | None = None
    classes: tuple[Name, ...] | Name | None = None
    relabel: bool = False
    preset: Literal["i3d", "mediapipe"] = "i3d"
    encode: Encode = field(default_factory=Encode)
    flow: Flow | None = None
    audio: Audio | None = None
    limits: Limits = field(default_factory=Limits)
    workers: Annotated[int, Interval(ge=1, le=1024)] | Literal["auto"] = "auto"
    beam: dict[str, Any] = field(default_factory=dict)

    @property
    def version_dir(self) -> str:
        """`<data_dir>/<name>[/<config>]/<version>`, where everything of this data set is."""
        return "/".join(part for part in (self.data_dir.rstrip("/"), self.name, self.config, self.version) if part)

    @property
    def beam_arguments(self) -> list[str]:
        """Beam's pipeline options as a command line has them."""
        return [argument for name, value in self.beam.items() for argument in _beam_arguments(name, value)]

    @property
    def media(self) -> MediaSettings:
        """The part that decides a record's pixels and samples."""
        trimmed = self.source.trimmed
        return MediaSettings(
            self.encode,
            self.flow,
            self.audio,
            trimmed if trimmed == "whole" else "true" if trimmed else "false",
            frame_folders=self.source.kind == "frames",
        )


def load_config(
    paths: str | Path | typing.Sequence[str | Path] | None,
    settings: typing.Sequence[str] = (),
    data_dir: str | None = None,
) -> Config:
    """Reads YAML files, applies `--set KEY=VALUE` settings (they win) and checks the whole.

    Args:
      paths: a YAML file of this machine or any file system of Beam's, or several: a later one adds to the mappings of
        those before it, and wins over their other values. None, or none: a configuration made of `settings` alone.
      settings: `dotted.path=value`, the value in YAML.
      data_dir: overrides the file's `data_dir`.

    Raises:
      ConfigError: names every key that is wrong, its value and what is allowed.
    """
    chosen = [paths] if isinstance(paths, str | Path) else list(paths or ())
    source = " with ".join(map(str, chosen)) or "--set"
    values: dict[str, Any] = functools.reduce(_overlaid, map(_read_yaml, chosen), {})
    for setting in settings:
        _apply(values, setting)
    if data_dir is not None:
        values["data_dir"] = data_dir
    _prepare(values)
    try:
        config = TypeAdapter(Config).validate_python(values, extra="forbid")
    except ValidationError as error:
        lines = [f"{source}: {line}" for line in dict.fromkeys(_explain(e) for e in error.errors())]
        raise ConfigError("\n".join(lines)) from None
    _check(config, source)
    return config


def chosen_splits(config: Config, names: typing.Sequence[str]) -> list[str]:
    """Returns the splits that are asked for, all of them where no name is given.

    Raises:
      ConfigError: the configuration has no such split.
    """
    for name in names:
        if contract.canonical_split(name) not in config.splits:
            raise ConfigError(f"--split {name}: the configuration has {', '.join(config.splits)}")
    return list(dict.fromkeys(map(contract.canonical_split, names))) or list(config.splits)


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
    except (FileNotFoundError, IsADirectoryError):
        raise ConfigError(f"{path}: there is no such configuration file") from None
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
    if isinstance(values.get("source"), dict):
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
    source["store"] = _expand(source.get("store"))
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


def _check(config: Config, source: str) -> None:
    """What types can't say: names that become paths and file names."""
    problems = []
    for key, value in (("name", config.name), ("config", config.config), ("version", config.version)):
        if value is not None and not _is_plain(value):
            problems.append(f"{key} becomes a folder's name: letters, digits and any of ._- only, got {value!r}")
    if not config.splits:
        problems.append("splits must name at least one split, as in splits: {train: {annotations: [train.csv]}}")
    for split in config.splits:
        if not (split.isascii() and split.replace("_", "a").isalnum()):
            problems.append(f"splits.{split}: a split's name has letters, digits and _ only")
    if config.encode.min_duration_s > config.encode.max_duration_s:
        problems.append(
            f"encode.min_duration_s must not be above encode.max_duration_s, got {config.encode.min_duration_s} and "
            f"{config.encode.max_duration_s}"
        )
    if config.relabel and config.classes is None:
        problems.append("relabel numbers the classes that `classes` keeps: give classes, or leave relabel out")
    problems += [
        f"{key} must be a file on this machine or a file system of Beam's: download it first, got {value!r}"
        for key, value in (("labels", config.labels), ("classes", config.classes))
        if isinstance(value, str) and is_url(value)
    ]
    problems += [
        f"beam.{name} must be a number, a text, a list of them, a mapping, or true for an option without a value (null "
        f"leaves one out), got {str(value).lower() if value is False else value!r}"
        for name, value in config.beam.items()
        if value is False or (isinstance(value, list) and any(isinstance(v, bool | list | dict) for v in value))
    ]
    problems += _source_problems(config)
    if problems:
        raise ConfigError("\n".join(f"{source}: {problem}" for problem in problems))


def _source_problems(config: Config) -> list[str]:
    """What of `source` contradicts itself or the rest."""
    source, splits = config.source, config.splits
    trimmed = str(source.trimmed).lower()
    problems = [
        f"source.archives.{split}: splits has no {split}, it has {', '.join(splits)}"
        for split in source.archives
        if split not in splits
    ]
    if is_url(source.store):
        problems.append(f"source.store must be a folder or a URL of Beam's such as gs://…, got {source.store!r}")
    if source.kind == "frames":
        if "://" in source.store:
            problems.append(
                "source.store: folders of frames are read from disks of this machine, which a store elsewhere can be "
                f"mounted as, got {source.store!r}"
            )
        if config.audio:
            problems.append("audio must be left out with source.kind frames: folders of frames have no sound")
    elif config.flow and config.flow.method == "imported":
        problems.append(f"flow.method imported is for source.kind frames, got source.kind {source.kind}")
    if source.kind == "archive":
        problems += [
            f"source.archives.{split} must name the archives of splits.{split} or a .txt list of them, got none"
            for split in splits
            if not source.archives.get(split)
        ]
        if source.trimmed is False:
            problems.append(
                f"source.kind archive: archives hold clips, so source.trimmed must be true or whole, got {trimmed}"
            )
    if source.kind == "youtube" and source.trimmed is not True:
        problems.append(
            f"source.kind youtube: what is fetched is just the clip, so source.trimmed must be true, got {trimmed}"
        )
    url = source.youtube.url
    rest = url.replace("{id}", "", 1)
    if not is_url(url) or rest == url or "{" in rest or "}" in rest:
        problems.append(
            "source.youtube.url must be an http or https URL that has {id} in it once, and no other braces, "
            f"got {url!r}"
        )
    elif source.kind == "youtube":
        from beam_pipeline.sources.youtube import check_options  # with libraries that nothing else here needs

        try:
            check_options(source.youtube)
        except ValueError as error:
            problems.append(f"source.youtube: {error}")
    return problems


def _beam_arguments(name: str, value: Any) -> list[str]:
    if value is None:
        return []
    if value is True:
        return [f"--{name}"]
    values = value if isinstance(value, list) else [json.dumps(value) if isinstance(value, dict) else value]
    return [f"--{name}={each}" for each in values]


def _is_plain(name: str) -> bool:
    return name[0] not in ".-" and all(c.isascii() and (c.isalnum() or c in "._-") for c in name)


def _explain(error: Any) -> str:
    """One line of ours for one error of pydantic's: key, what it must be, what it is."""
    location = [str(part) for part in error["loc"]]
    owner, allowed = _expected(location)
    keys = [part for part in location if not _is_union_member(part)]
    key = ".".join(keys)
    if error["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{key} is missing; it is {allowed}"
    if error["type"] == "unexpected_keyword_argument":
        names = [f.name for f in dataclasses.fields(owner)] if dataclasses.is_dataclass(owner) else []
        near = difflib.get_close_matches(keys[-1], names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
        return f"{key} is no key of the configuration; {hint}"
    got = error["input"]
    if location[-1] == "[key]":
        return f"{'.'.join(keys[:-1])} must have texts for keys, got {got!r}: put it in quotes"
    return f"{key} must be {allowed}, got {float(got) if isinstance(got, Fraction) else got!r}"


def _is_union_member(part: str) -> bool:
    return "[" in part or part in ("float", "int", "str", "constrained-str", "constrained-int", "constrained-float")


def _expected(location: typing.Sequence[str]) -> tuple[Any, str]:
    """Follows a path of keys through the dataclasses; returns the owner of its last key and what that may be."""
    owner: Any = None
    current: Any = Config
    for part in location:
        kind = next(
            (t for t in (current, *typing.get_args(current)) if isinstance(t, type) and dataclasses.is_dataclass(t)),
            current,
        )
        if dataclasses.is_dataclass(kind):
            owner = kind
            current = typing.get_type_hints(kind, include_extras=True).get(part, current)
        elif typing.get_origin(kind) is dict:
            current = typing.get_args(kind)[1]
        elif typing.get_origin(items := _bare(kind)) is tuple and part.isdecimal():
            current = typing.get_args(items)[0]
    return owner, _describe(current)


def _bare(annotation: Any) -> Any:
    """Returns a type without its constraints."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation


def _describe(annotation: Any) -> str:
    if typing.get_origin(annotation) is Annotated:
        inner, *constraints = typing.get_args(annotation)
        text = _describe(inner)
        for constraint in constraints:
            if isinstance(constraint, MinLen) and text == "a list":
                text = "a list that is not empty"
            if isinstance(constraint, Interval):
                text = f"{text} {_describe_interval(constraint)}"
        return text
    if typing.get_origin(annotation) is Literal:
        return " or ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in typing.get_args(annotation))
    if dataclasses.is_dataclass(annotation):
        return f"a mapping with the keys {', '.join(f.name for f in dataclasses.fields(annotation))}"
    if typing.get_origin(annotation) is tuple:
        return "a list"
    if typing.get_origin(annotation) is dict:
        values = typing.get_args(annotation)[1]
        of = {Split: " of split names to {annotations, shards}", Any: " of names to values"}
        return f"a mapping{of.get(values, ' of split names to lists')}"
    if arguments := typing.get_args(annotation):
        return " or ".join(_describe(a) for a in arguments)
    names = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
    return "a number or a fraction such as 30000/1001" if annotation is Fraction else names.get(annotation, "a value")


def _describe_interval(interval: Interval) -> str:
    low = (
        f"above {interval.gt}" if interval.gt is not None else f"from {interval.ge}" if interval.ge is not None else ""
    )
    high = f"to {interval.le}" if interval.le is not None else f"below {interval.lt}" if interval.lt is not None else ""
    return f"{low} {high}".strip()

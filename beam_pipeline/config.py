"""The configuration, typed, and checked whole before anything starts.

files, `--set` ─▶ config_values (merged, presets filled in) ─▶ config (types, what contradicts itself) ─▶ a Config, or
config_errors (what is wrong, in the words of the file)
"""

from __future__ import annotations

import json
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval, MinLen
from pydantic import TypeAdapter, ValidationError

from beam_pipeline.config_errors import ConfigError, explain
from beam_pipeline.config_values import read_values
from beam_pipeline.downloads import is_url
from beam_pipeline.media.settings import Audio, Encode, Flow, MediaSettings
from beam_pipeline.sources.settings import Source
from tf_data import contract

Name = Annotated[str, MinLen(1)]


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
    values = read_values(chosen, settings, data_dir)
    try:
        config = TypeAdapter(Config).validate_python(values, extra="forbid")
    except ValidationError as error:
        lines = [f"{source}: {line}" for line in dict.fromkeys(explain(Config, e) for e in error.errors())]
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


def _check(config: Config, source: str) -> None:
    """What types can't say: names that become paths and file names."""
    problems = []
    for key, value in (("name", config.name), ("config", config.config), ("version", config.version)):
        if value is not None and not _is_plain(value):
            problems.append(
                f"{key} becomes a folder's name: letters, digits and any of ._- only, and neither . nor - first, "
                f"got {value!r}"
            )
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

"""Where a data set is: from `name[/config][:version]`, a folder or a glob to the files of a split."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tf_data import contract
from tf_data.checks import nearest
from tf_data.info import split_names

DATA_DIR_VARIABLE = "KINETICS_DATA_DIR"
_DEFAULT_DATA_DIR = "~/kinetics_tfrecords"
_PLAIN = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_NAME_RE = re.compile(rf"(?P<name>{_PLAIN})(?:/(?P<config>{_PLAIN}))?(?::(?P<version>{_PLAIN}))?")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder and the names of what is in it, listed once: from a store, each listing is a request."""

    path: str
    files: frozenset[str]


class DatasetNotFoundError(ValueError):
    """There is no such data set, configuration, version or split; the message lists those that are there."""


def default_data_dir() -> str:
    """Returns `$KINETICS_DATA_DIR`, or `~/kinetics_tfrecords` where it is not set."""
    return os.environ.get(DATA_DIR_VARIABLE) or _DEFAULT_DATA_DIR


def expand(path: str | os.PathLike[str]) -> str:
    """Returns a path with `~` replaced by the home folder; URLs stay as they are."""
    return os.path.expanduser(os.fspath(path))  # noqa: PTH111 - pathlib would fold the two slashes of gs://


def is_path(name: str) -> bool:
    """Whether `name` is a folder or a glob of shards, not the name of a data set."""
    return name.startswith(("/", "./", "../", "~")) or "://" in name or any(mark in name for mark in "*?[")


def list_folder(path: str) -> Folder:
    """Lists a folder; one that is not there is empty."""
    try:
        return Folder(path, frozenset(tf.io.gfile.listdir(path)))
    except (tf.errors.NotFoundError, tf.errors.FailedPreconditionError):  # there is none, or a file
        return Folder(path, frozenset())


def find_version(name: str, data_dir: str) -> Folder:
    """Returns the folder of `name[/config][:version]`, of the newest version where none is given.

    Versions are compared number by number: 1.10.0 is newer than 1.9.0.

    Raises:
      DatasetNotFoundError: there is none; the message lists what is there.
      ValueError: `name` is not of that form, or leaves open which of several configurations is meant.
    """
    match = _NAME_RE.fullmatch(name) if isinstance(name, str) else None
    if not match:
        raise ValueError(
            f"name must be name[/config][:version] such as 'k400' or 'k400/rgb:1.0.0', or the path of a folder or a "
            f"glob of shards that starts with / or ./, got {name!r}"
        )
    folder = posixpath.join(data_dir, match["name"])
    known = _folders(list_folder(data_dir))
    if match["name"] not in known:
        raise DatasetNotFoundError(
            f"no data set {match['name']!r} in {data_dir}{nearest(match['name'], known)}; there {_listing(known)}. "
            f"Make it with `python -m beam_pipeline run`, or pass data_dir= (or set ${DATA_DIR_VARIABLE})"
        )
    versions, configs = _versions_and_configs(folder)
    if match["config"]:
        if match["config"] not in configs:
            raise DatasetNotFoundError(
                f"{match['name']!r} has no configuration {match['config']!r} in {folder}"
                f"{nearest(match['config'], configs)}; there {_listing(configs)}"
            )
        folder = posixpath.join(folder, match["config"])
        versions, _ = _versions_and_configs(folder)
    elif not versions and configs:
        if len(configs) > 1:
            raise ValueError(
                f"{match['name']!r} has several configurations: choose one of "
                f"{', '.join(repr(match['name'] + '/' + config) for config in configs)}"
            )
        folder = posixpath.join(folder, configs[0])
        versions, _ = _versions_and_configs(folder)
    version = match["version"] or max(versions, key=_numeric_order, default=None)
    if version is None or version not in versions:
        wanted = f"version {version!r}" if version else "version"
        raise DatasetNotFoundError(f"no {wanted} of {match['name']!r} in {folder}; there {_listing(versions)}")
    return versions[version]


def splits_of(files: Iterable[str]) -> tuple[str, ...]:
    """Returns the splits of a folder by the names of its files: those with metadata, and those with shards."""
    shards = [contract.parse_shard_file(file) for file in files]
    return tuple(sorted({*split_names(files), *(shard[1] for shard in shards if shard)}))


def check_split(folder: Folder, split: str) -> None:
    """Raises `DatasetNotFoundError` where a folder has no such split, listing those that it has."""
    known = splits_of(folder.files)
    if split not in known:
        raise DatasetNotFoundError(
            f"no split {split!r} in {folder.path}{nearest(split, known)}; there {_listing(known)}"
        )


def find_shards(path: str, split: str) -> tuple[str, ...]:
    """Returns the shards of a split that have no index, sorted: a glob's files, or a folder's.

    In a folder they are `…-<split>.tfrecord-00000-of-00010`, or else files with `tfrecord` or `-of-` and the split's
    name in their names.

    Raises:
      DatasetNotFoundError: there are none.
    """
    if not tf.io.gfile.isdir(path):
        files = [
            file
            for file in tf.io.gfile.glob(path)
            if not tf.io.gfile.isdir(file) and not file.endswith((".parquet", ".npz", ".json", ".txt"))  # beside shards
        ]
        if not files:
            raise DatasetNotFoundError(f"{path}: no file is there; give a folder of TFRecord shards or a glob of them")
        return tuple(sorted(files))
    names = sorted(list_folder(path).files)
    ours = [name for name in names if (shard := contract.parse_shard_file(name)) and shard[1] == split]
    others = [name for name in names if _is_shard_of(name, split)]
    if not ours and not others:
        if versions := _versions_and_configs(path)[0]:
            newest = posixpath.join(path, max(versions, key=_numeric_order))
            raise DatasetNotFoundError(f"{path}: is above a data set; give the folder of a version, {newest}")
        raise DatasetNotFoundError(
            f"{path}: no shard of the split {split!r} is there by name; give a glob, such as {path}/*{split}*"
        )
    return tuple(posixpath.join(path, name) for name in ours or others)


def _is_shard_of(name: str, split: str) -> bool:
    if "tfrecord" not in name.lower() and "-of-" not in name:
        return False
    return split in {contract.canonical_split(word) for word in re.split(r"[^A-Za-z0-9]+", name)}


def _versions_and_configs(folder: str) -> tuple[dict[str, Folder], list[str]]:
    """A version's folder is known by the shards or metadata in it; a configuration's by the versions in it."""
    versions, configs = {}, []
    for name in _folders(list_folder(folder)):
        inner = list_folder(posixpath.join(folder, name))
        if splits_of(inner.files):
            versions[name] = inner
        elif any(splits_of(list_folder(posixpath.join(inner.path, each)).files) for each in _folders(inner)):
            configs.append(name)
    return versions, configs


def _folders(folder: Folder) -> list[str]:
    # Object stores mark folders by a slash; there, to ask of each would be a request.
    names = (
        name.rstrip("/")
        for name in folder.files
        if name.endswith("/") or tf.io.gfile.isdir(posixpath.join(folder.path, name))
    )
    return sorted(filter(None, names))


def _numeric_order(version: str) -> list[tuple[bool, int, str]]:
    parts = re.findall(r"\d+|\D+", version)
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def _listing(names: Sequence[str] | Mapping[str, object]) -> str:
    return f"{'is' if len(names) == 1 else 'are'} {', '.join(names)}" if names else "is nothing"

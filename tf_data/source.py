"""The records that `load` reads, and how they become elements.

order ─▶ read at offsets ─▶ filter ─▶ make the element     where there is an index
shards by turns ─▶ shuffle ─▶ filter ─▶ make the element   where there is none
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from tf_data import catalog, contract, index, order, reading
from tf_data.attempts import num_cores, parallel_map
from tf_data.checks import positive
from tf_data.examples import Making, example
from tf_data.info import Info, probe_record, read_info, split_names
from tf_data.labels import shared_names
from tf_data.selection import Condition, parse_where, record_filter
from tf_data.splits import SplitPart
from tf_data.views import Views

_KEY_OF_DATA_SET = 0x1E3779B97F4A7C15  # times its number: a clip that two data sets have is seen in two views
_as_it_is = tf.autograph.experimental.do_not_convert  # AutoGraph takes seconds to find nothing to convert


@dataclass(frozen=True, slots=True)
class ReadConfig:
    """How records are read; none of it changes which elements come, or (but for the last three) in which order.

    `num_parallel_calls` clips are decoded at once (None: as many as there are cores here); each holds its frames, 38 MB
    for 64 frames of 224×224 in float32. `reads_in_flight` reads are under way at once (None: as many as there are
    cores, or from a store far away as hold 256 MB together). `prefetch` batches wait ready. `options` are further
    `tf.data.Options`. `run_length` neighbours in a shard stay together in a shuffled order, and are then read in one
    request (None: 1, or from a store far away as many as 2 MB hold; the tf.data service needs 1). `files_at_once`
    shards are read by turns and `shuffle_buffer` records held for shuffling where there is no index.
    """

    num_parallel_calls: int | None = None
    reads_in_flight: int | None = None
    prefetch: int = 2
    options: tf.data.Options | None = None
    run_length: int | None = None
    files_at_once: int = 16
    shuffle_buffer: int = 64

    def __post_init__(self) -> None:
        for keyword in (
            "num_parallel_calls",
            "reads_in_flight",
            "prefetch",
            "run_length",
            "files_at_once",
            "shuffle_buffer",
        ):
            value = getattr(self, keyword)
            if value is not None and (keyword != "prefetch" or value != 0):
                positive(f"ReadConfig: {keyword}", value)

    def merged_options(self, has_index: bool) -> tf.data.Options:
        """Returns what reading needs of `tf.data`, and `options`."""
        options = tf.data.Options()
        options.deterministic = True
        # The autotuner has nothing to tune here, and where an iterator ends it may sleep through being told to stop,
        # for up to a minute: its `OptimizeLoop` is woken before the flag that it looks at is set (TensorFlow 2.21).
        options.autotune.enabled = False
        # The seed of a shuffle buffer counts as external state, which saving a checkpoint would warn of.
        options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
        # Hosts share records by `input_context`; sharding once more would drop most of them.
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        # Checkpoints then hold the place in the order, not the clips under way. With a shuffle buffer they are smaller
        # and can skip errors otherwise.
        options.experimental_symbolic_checkpoint = has_index
        return options.merge(self.options) if self.options else options


@dataclass(frozen=True, slots=True)
class Reads:
    """Which records are read, how often and in which order."""

    seed: int
    shuffle: bool
    num_epochs: int | None
    num_hosts: int
    host: int
    skip: bool  # those that can't be read


@dataclass(frozen=True, slots=True)
class Source:
    """The records of one data set or several: those of an index (`records`), or all of some shards."""

    info: Info
    records: index.Records | None
    sizes: tuple[int, ...]  # records of each data set
    weights: tuple[float, ...] | None
    shards: tuple[str, ...]
    conditions: tuple[Condition, ...]  # that no index can tell
    has_own_labels: bool  # as the records have them, not another space's

    def elements(self, making: Making, reads: Reads, config: ReadConfig) -> tf.data.Dataset:
        """Returns the elements, one after the other."""
        return self._by_index(making, reads, config) if self.records else self._by_shard(making, reads, config)

    def _by_index(self, making: Making, reads: Reads, config: ReadConfig) -> tf.data.Dataset:
        records = self.records
        assert records
        remote = any(map(reading.is_remote, records.paths))
        run_length = config.run_length or (reading.choose_run_length(records) if remote else 1)
        reading.warn_of_blocks(next(filter(reading.is_remote, records.paths), ""), records, run_length)
        rows = order.read_order(
            self.sizes,
            weights=self.weights,
            seed=reads.seed,
            shuffle=reads.shuffle,
            num_epochs=reads.num_epochs,
            num_hosts=reads.num_hosts,
            host=reads.host,
            run_length=run_length,
        )
        ds = reading.read_records(
            rows,
            records,
            remote=remote,
            reads_in_flight=config.reads_in_flight,
            run_length=run_length,
            skip=reads.skip,
        )
        if self.conditions:
            ds = self._filtered(ds, reads, config)
        clip_keys, labels = tf.constant(records.clip_key), tf.constant(records.label)

        @_as_it_is
        def element_of(
            record: tf.Tensor, place: tf.Tensor, row: tf.Tensor, epoch_key: tf.Tensor, real: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            clip_key, label = clip_keys[row], labels[row]
            return example(
                record,
                place,
                epoch_key=epoch_key,
                making=making,
                clip_key=clip_key,
                label=label,
                is_own_label=self.has_own_labels,
                real=real,
            )

        return _mapped(ds, element_of, reads, config)

    def _filtered(self, ds: tf.data.Dataset, reads: Reads, config: ReadConfig) -> tf.data.Dataset:
        """Leaves out records, of (record, place, …), that don't meet the conditions."""
        is_met = record_filter(self.conditions, self.info.features)

        @_as_it_is
        def told(record: tf.Tensor, place: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
            return is_met(record, place), record, place, *rest

        kept = _mapped(ds, told, reads, config).filter(_as_it_is(lambda met, *_: met))
        return kept.map(_as_it_is(lambda _, *row: row))

    def _by_shard(self, making: Making, reads: Reads, config: ReadConfig) -> tf.data.Dataset:
        ds = reading.read_all(
            self.shards,
            seed=reads.seed,
            shuffle=reads.shuffle,
            num_epochs=reads.num_epochs,
            num_hosts=reads.num_hosts,
            host=reads.host,
            files_at_once=config.files_at_once,
            shuffle_buffer=config.shuffle_buffer,
        )
        if self.conditions:
            ds = self._filtered(ds, reads, config)

        @_as_it_is
        def element_of(record: tf.Tensor, place: tf.Tensor, epoch_key: tf.Tensor) -> dict[str, tf.Tensor]:
            return example(record, place, epoch_key=epoch_key, making=making)

        ds = _mapped(ds, element_of, reads, config)
        return ds.ignore_errors(log_warning=True) if reads.skip else ds  # errors of whole shards


def _mapped(ds: tf.data.Dataset, function: Any, reads: Reads, config: ReadConfig) -> tf.data.Dataset:
    return parallel_map(ds, function, config.num_parallel_calls or num_cores(), skip=reads.skip)


def open_source(
    names: Sequence[str],
    parts: Sequence[SplitPart],
    *,
    data_dir: str,
    weights: Sequence[float] | None,
    where: Mapping[str, Any],
    label_names: Any,
    views: Views,
    skip: bool,
) -> Source:
    """Finds data sets and reads what is said of them; no record is read but the first one of shards without an index.

    Raises:
      DatasetNotFoundError: there is no such data set, version or split.
      ValueError: they don't hold what is asked for, or can't be read together.
    """
    for path in (*names, data_dir):
        reading.check_scheme(path)
    folders = [_find_folder(name, data_dir, parts) for name in names]
    conditions = parse_where(where)
    if len(names) == 1 and folders[0] is None:
        return _open_shards(catalog.expand(names[0]), parts, conditions, label_names, views, skip)
    for name, folder in zip(names, folders, strict=True):
        if folder is None:
            raise ValueError(f"name: {name!r} has no record index, so it can't be read together with others")
    infos = [_read_infos(folder, parts, views) for folder in folders if folder]
    info = infos[0]
    for other in infos[1:]:
        _check_alike(info, other, views)
    titles = [own.title for own in infos]
    spaces = {own.title if titles.count(own.title) == 1 else own.folder: own.label_names for own in infos}
    names_in_order = shared_names(spaces, label_names)
    found = [index.read_records(own, parts, conditions=conditions, label_names=names_in_order) for own in infos]
    for own, (records, _) in zip(infos, found, strict=True):
        if not len(records):
            raise ValueError(f"{own.folder}: split {'+'.join(map(str, parts))} has no record; its ledger says why")
    records = index.join(
        [
            replace(records, clip_key=records.clip_key ^ _KEY_OF_DATA_SET * number % 2**63)
            for number, (records, _) in enumerate(found)
        ]
    )
    rest = {condition.key: condition for _, rest in found for condition in rest}
    for own in infos if rest else ():
        record_filter(tuple(rest.values()), own.features)  # refuses a key that one of them lacks
    return Source(
        info=replace(
            info,
            name="+".join(dict.fromkeys(own.name for own in infos)),
            label_names=names_in_order,
            num_examples=None if rest else len(records),
        ),
        records=records,
        sizes=tuple(len(records) for records, _ in found),
        weights=tuple(weights) if weights else None,
        shards=(),
        conditions=tuple(rest.values()),
        has_own_labels=all(own.label_names == names_in_order for own in infos),
    )


def _find_folder(name: str, data_dir: str, parts: Sequence[SplitPart]) -> catalog.Folder | None:
    """The folder of a version with metadata and index for all of `parts`, or None where there are only shards."""
    is_path = catalog.is_path(name)
    folder = catalog.list_folder(catalog.expand(name)) if is_path else catalog.find_version(name, data_dir)
    if is_path and not split_names(folder.files):
        return None
    for part in parts:
        catalog.check_split(folder, part.split)
        for file in (contract.info_file(part.split), contract.index_file(part.split)):
            if file not in folder.files:
                raise ValueError(
                    f"{folder.path}: the split {part.split!r} has no {file}: the job that writes it has not come to "
                    f"its end. Run it again to go on; or read the shards that are there by their path, with less: "
                    f"load('{folder.path}/*-{part.split}.tfrecord-*', …)"
                )
    return folder


def _read_infos(folder: catalog.Folder, parts: Sequence[SplitPart], views: Views) -> Info:
    """The metadata of a version, checked for each of its splits that is read."""
    infos = [read_info(folder.path, part.split, folder.files) for part in parts]
    for part, info in zip(parts, infos, strict=True):
        _check_streams(views, info, f"{info.title} {part.split}")
        _check_crop(views, info)
        _warn_if_incomplete(info, part.split)
        _check_alike(infos[0], info, views)
    return infos[0]


def _open_shards(
    path: str,
    parts: Sequence[SplitPart],
    conditions: Sequence[Condition],
    label_names: Any,
    views: Views,
    skip: bool,
) -> Source:
    sliced = [str(part) for part in parts if part.is_slice]
    if sliced:
        raise ValueError(f"split {'+'.join(sliced)}: {path} has no record index, so only whole splits can be read")
    if label_names is not None:
        raise ValueError(f"label_names: {path} has no list of label names, by which its labels could be found")
    shards = tuple(dict.fromkeys(file for part in parts for file in catalog.find_shards(path, part.split)))
    if skip:
        _check_open(shards)
    info = probe_record(shards[0], path)
    _check_streams(views, info, shards[0])
    warnings.warn(
        f"{path}: no record index, so {len(shards)} shards are read as they come. What is lost: shuffling reaches over "
        "a few shards and records at a time (ReadConfig.files_at_once, shuffle_buffer), len() is unknown, there are no "
        "label names and no slices, and hosts may take different numbers of steps",
        stacklevel=4,
    )
    return Source(info, None, sizes=(), weights=None, shards=shards, conditions=tuple(conditions), has_own_labels=True)


def _check_open(shards: Sequence[str]) -> None:
    """Refuses shards that can't be opened: skipping errors, TensorFlow would try to open them for ever."""
    for shard in shards:
        try:
            with tf.io.gfile.GFile(shard, "rb") as file:
                file.read(1)
        except tf.errors.OpError as error:
            raise ValueError(f"{shard}: can't be opened: {error.message}; leave it out of the glob") from error


def _check_streams(views: Views, info: Info, what: str) -> None:
    for stream in views.streams:
        if stream not in info.streams:
            raise ValueError(
                f"streams: {stream!r} is asked for, but {what} has no {stream}; it has {', '.join(info.streams)}. Make "
                f"the data set with `{stream}:` in its configuration, or leave the stream out"
            )


def _check_crop(views: Views, info: Info) -> None:
    shorter_side = (info.configuration.get("encode") or {}).get("shorter_side")
    if not views.crop_size or not shorter_side or views.shorter_side or views.area_range:
        return
    if min(views.crop_size) > int(shorter_side) * (views.scale_jitter or (1, 1))[0]:
        raise ValueError(
            f"crop_size: {'×'.join(map(str, views.crop_size))} is larger than the frames of {info.title}, whose "
            f"shorter side is {shorter_side} pixels{' before scale_jitter' if views.scale_jitter else ''}; pass a "
            "smaller crop_size, or a shorter_side to which frames are resized"
        )


def _check_alike(first: Info, other: Info, views: Views) -> None:
    """Refuses to read together what has the same numbers mean different things."""
    alike: dict[str, tuple[Any, Any]] = {"frame rate": (first.frame_rate, other.frame_rate)}
    if "flow" in views.streams:
        alike["bound of flow"] = (first.flow and first.flow.bound_px, other.flow and other.flow.bound_px)
    if "audio" in views.streams:
        alike["audio rate"] = (first.audio_sample_rate, other.audio_sample_rate)
    for what, (one, another) in alike.items():
        if one != another:
            raise ValueError(
                f"{first.title} and {other.title} can't be read together: their {what} is {one} and {another}. Make "
                "both with the same configuration"
            )


def _warn_if_incomplete(info: Info, split: str) -> None:
    counts = info.splits[split]
    if not counts.complete:
        warnings.warn(
            f"{info.title} {split} is not complete: {counts.num_clips} of {counts.num_asked} clips are there so far. "
            "Run the job again, without --limit if it had one, to go on",
            stacklevel=5,
        )

"""`load`: from the name of a data set to the `tf.data.Dataset` that a model takes."""

from __future__ import annotations

import functools
import os
import posixpath
import secrets
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import tensorflow as tf

from tf_data import catalog, contract, index, order, reading
from tf_data.examples import example
from tf_data.info import Info, probe_record, read_info, split_names
from tf_data.parsing import EXTRAS
from tf_data.presets import Views, choose_views, nearest, positive
from tf_data.splits import SplitPart, parse_split

_MAX_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ReadConfig:
    """How records are read; none of it changes which elements come, or (but for the last two) in which order.

    `num_parallel_calls` clips are decoded at once (None: as many as keep the model busy); each holds its frames, 38 MB
    for 64 frames of 224×224 in float32. `prefetch` batches wait ready. `options` are further `tf.data.Options`.
    `files_at_once` shards are read by turns and `shuffle_buffer` records held for shuffling where there is no index.
    """

    num_parallel_calls: int | None = None
    prefetch: int = 2
    options: tf.data.Options | None = None
    files_at_once: int = 16
    shuffle_buffer: int = 64


def load(
    name: str,
    *,
    split: str,
    data_dir: str | os.PathLike[str] | None = None,
    preset: str = "i3d",
    training: bool | None = None,
    streams: Sequence[str] = ("rgb",),
    num_frames: int | None = None,
    stride: int | None = None,
    crop_size: int | tuple[int, int] | None = None,
    num_clips: int = 1,
    num_crops: int = 1,
    dtype: Any = "float32",
    batch_size: int | None = None,
    drop_remainder: bool = False,
    seed: int | None = None,
    num_epochs: int | None = 1,
    shuffle_files: bool | None = None,
    input_context: tf.distribute.InputContext | None = None,
    as_supervised: bool = False,
    extras: Sequence[str] = (),
    with_info: bool = False,
    read_config: ReadConfig | None = None,
    on_error: str = "raise",
) -> tf.data.Dataset | tuple[tf.data.Dataset, Info]:
    """Loads a split of a data set of video clips.

    Each element is a dictionary: `rgb` (frames, height, width, 3), `flow` (frames, height, width, 2), `audio`
    (samples,), as asked for by `streams`; `label`, int64, -1 where a clip has none; and the `extras`. The same window
    of time, crop and flip is used for all streams of a clip; a flip negates the flow's x. A clip shorter than the
    window is looped from its first frame. docs/reading.md shows each task.

    With a `seed`, the clips, their order and their pixels are the same on any number of threads, and the views of a
    clip also on any number of hosts. Each epoch differs, and making another iterator (as `model.fit` does for each of
    its epochs) goes on with the next one.

    Args:
      name: `name[/config][:version]`, by default the newest version; or the path of a version's folder, or a folder or
        glob of other SequenceExample shards with the same keys (MediaPipe's, DMVR's), which starts with `/` or `./`.
      split: `train`, `val` (or `valid`, `validate`, `validation`) or `test`, slices of them by record or percent and
        sums: `'train[:10%]'`, `'train[100:200]'`, `'train+val'`.
      data_dir: the folder of data sets; default `$KINETICS_DATA_DIR`, else `~/kinetics_tfrecords`.
      preset: a row of defaults for what follows; `i3d` takes 64 frames in training and 250 in evaluation, at stride 1
        and cropped to 224×224.
      training: True for a random window, crop and flip of each clip; False for centred ones. Default: True where
        `split` names `train`.
      streams: of `rgb`, `flow` and `audio`.
      num_frames: frames of a view.
      stride: stored frames from one to the next.
      crop_size: one side, or (height, width), in pixels of the stored frames.
      num_clips: windows of a clip, evenly spaced from its beginning to its end (evaluation only). More than one view
        puts an axis in front of every stream: num_clips · num_crops, the crops of one window together.
      num_crops: 1, or 3 along the longer side (evaluation only).
      dtype: `float32` or `bfloat16`, in [-1, 1] (flow in units of its bound), or `uint8`, the stored levels. Sound is
        float32.
      batch_size: elements a batch, for each host; None for no batches.
      drop_remainder: leaves out a last batch that is not full.
      seed: 0 or more; None draws one, which `info.seed` tells.
      num_epochs: how many follow each other in one iteration; None for no end.
      shuffle_files: True reads the records in a random order, over the whole split where there is an index. Default:
        as `training`.
      input_context: which of how many hosts this is. They share out the records, each one read once an epoch, and all
        take the same number of steps: elements then have `mask`, False for those that repeat another to fill up.
      as_supervised: gives (input, label), and with `input_context` (input, label, weight); the input is a tensor for
        one stream, else a dictionary.
      extras: of `label_name`, `clip_id`, `short`, `damaged`, `rotated` and `has_audio`, to be added to each element.
      with_info: also returns `Info`: label names, counts, rates.
      read_config: see `ReadConfig`.
      on_error: `raise` stops at a record that can't be read, with an error that names it; `skip` leaves it out, and
        `len` is then unknown.

    Returns:
      The data set, or with `with_info` (data set, info). `len` gives its number of elements, or batches.

    Raises:
      DatasetNotFoundError: there is no such data set, version or split; the message lists what is there.
      ValueError: a keyword's value is not allowed, or asks for a stream that the records don't hold.
    """
    parts = parse_split(split)
    training = any(part.split == "train" for part in parts) if training is None else bool(training)
    wanted = choose_views(
        preset=preset,
        training=training,
        streams=streams,
        num_frames=num_frames,
        stride=stride,
        crop_size=crop_size,
        num_clips=num_clips,
        num_crops=num_crops,
        dtype=dtype,
    )
    config = read_config or ReadConfig()
    run = _Run(
        seed=_choose_seed(seed, input_context),
        shuffle=training if shuffle_files is None else bool(shuffle_files),
        num_epochs=None if num_epochs is None else positive("num_epochs", num_epochs),
        input_context=input_context,
        extras=_known_extras(extras, as_supervised),
        skip=_skips(on_error),
    )
    batch_size = None if batch_size is None else positive("batch_size", batch_size)
    folder = _find_folder(name, catalog.expand(data_dir or catalog.default_data_dir()), parts)
    if folder:
        ds, info = _from_index(folder, parts, wanted, run, config)
    else:
        ds, info = _from_shards(catalog.expand(name), parts, wanted, run, config)
    if as_supervised:
        ds = ds.map(functools.partial(_supervised, wanted.streams))
    if batch_size:
        ds = ds.batch(batch_size, drop_remainder=drop_remainder)
    ds = ds.prefetch(config.prefetch).with_options(_options(config))
    return (ds, replace(info, seed=run.seed)) if with_info else ds


@dataclass(frozen=True, slots=True)
class _Run:
    """What is asked of the reading itself, checked."""

    seed: int
    shuffle: bool
    num_epochs: int | None
    input_context: tf.distribute.InputContext | None
    extras: tuple[str, ...]
    skip: bool

    @property
    def num_hosts(self) -> int:
        return self.input_context.num_input_pipelines if self.input_context else 1

    @property
    def host(self) -> int:
        return self.input_context.input_pipeline_id if self.input_context else 0


def _choose_seed(seed: Any, input_context: tf.distribute.InputContext | None) -> int:
    if seed is None:
        if input_context and input_context.num_input_pipelines > 1:
            raise ValueError("seed must be given with input_context, the same on every host: they share one order")
        return secrets.randbits(31)
    if isinstance(seed, bool) or not hasattr(seed, "__index__") or not 0 <= seed <= _MAX_SEED:
        raise ValueError(f"seed must be None or an integer from 0 to {_MAX_SEED}, got {seed!r}")
    return int(seed)


def _known_extras(extras: Sequence[str], as_supervised: bool) -> tuple[str, ...]:
    names = (extras,) if isinstance(extras, str) else tuple(extras)
    for name in names:
        if name not in EXTRAS:
            raise ValueError(f"extras: {name!r} is none of {', '.join(EXTRAS)}{nearest(name, EXTRAS)}")
    if names and as_supervised:
        raise ValueError(f"extras={names!r}: as_supervised gives input and label alone; drop one of the two")
    return names


def _skips(on_error: str) -> bool:
    if on_error not in ("raise", "skip"):
        raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
    return on_error == "skip"


def _find_folder(name: str, data_dir: str, parts: Sequence[SplitPart]) -> str | None:
    """The folder of a version with metadata and index for all of `parts`, or None where there are only shards."""
    is_path = isinstance(name, str) and catalog.is_path(name)
    folder = catalog.expand(name) if is_path else catalog.find_version(name, data_dir)
    if not tf.io.gfile.isdir(folder) or (is_path and not split_names(folder)):
        return None
    for part in parts:
        catalog.check_split(folder, part.split)
        for file in (contract.info_file(part.split), contract.index_file(part.split)):
            if not tf.io.gfile.exists(posixpath.join(folder, file)):
                raise ValueError(
                    f"{folder}: the split {part.split!r} has no {file}: the job that writes it has not come to its "
                    f"end. Run it again to go on; or read the shards that are there by their path, with less: "
                    f"load('{folder}/*-{part.split}.tfrecord-*', …)"
                )
    return folder


def _from_index(
    folder: str, parts: Sequence[SplitPart], wanted: Views, run: _Run, config: ReadConfig
) -> tuple[tf.data.Dataset, Info]:
    infos = [read_info(folder, part.split) for part in parts]
    for part, info in zip(parts, infos, strict=True):
        _check_streams(wanted, info, f"{info.title} {part.split}")
        _check_crop(wanted, info)
        _warn_if_incomplete(info, part.split)
    info = infos[0]
    records, _ = index.read_records(info, parts)
    if not len(records):
        raise ValueError(f"{folder}: split {'+'.join(map(str, parts))} has no record; its ledger says why")
    rows = order.read_order(
        [len(records)],
        weights=None,
        seed=run.seed,
        shuffle=run.shuffle,
        num_epochs=run.num_epochs,
        num_hosts=run.num_hosts,
        host=run.host,
    )
    paths = tf.constant(records.paths)
    columns = [tf.constant(column) for column in (records.path, records.offset, records.length, records.clip_key)]
    remote = "://" in folder

    def element_at(row: tf.Tensor, epoch_key: tf.Tensor, real: tf.Tensor) -> dict[str, tf.Tensor]:
        shard, offset, length, clip_key = (column[row] for column in columns)
        record = reading.read_at(paths[shard], offset, length, remote=remote)
        place = tf.strings.join([paths[shard], " at offset ", tf.strings.as_string(offset)])
        element = example(
            record,
            place,
            epoch_key=epoch_key,
            clip_key=clip_key,
            seed=run.seed,
            wanted=wanted,
            info=info,
            extras=run.extras,
        )
        return element | {"mask": real} if run.input_context else element

    ds = rows.map(element_at, num_parallel_calls=config.num_parallel_calls or tf.data.AUTOTUNE, deterministic=True)
    if run.skip:
        ds = ds.ignore_errors(log_warning=True)
    return ds, replace(info, num_examples=len(records))


def _from_shards(
    path: str, parts: Sequence[SplitPart], wanted: Views, run: _Run, config: ReadConfig
) -> tuple[tf.data.Dataset, Info]:
    sliced = [str(part) for part in parts if part.is_slice]
    if sliced:
        raise ValueError(f"split {'+'.join(sliced)}: {path} has no record index, so only whole splits can be read")
    shards = tuple(dict.fromkeys(file for part in parts for file in catalog.find_shards(path, part.split)))
    if run.skip:
        _check_open(shards)
    info = probe_record(shards[0], path)
    _check_streams(wanted, info, shards[0])
    warnings.warn(
        f"{path}: no record index, so {len(shards)} shards are read as they come. What is lost: shuffling reaches over "
        f"{config.files_at_once} shards and {config.shuffle_buffer} records at a time, len() is unknown, there are no "
        "label names and no slices, and hosts may take different numbers of steps",
        stacklevel=3,
    )
    records = reading.read_all(
        shards,
        seed=run.seed,
        shuffle=run.shuffle,
        num_epochs=run.num_epochs,
        num_hosts=run.num_hosts,
        host=run.host,
        files_at_once=config.files_at_once,
        shuffle_buffer=config.shuffle_buffer,
    )

    def element_of(record: tf.Tensor, place: tf.Tensor, epoch_key: tf.Tensor) -> dict[str, tf.Tensor]:
        element = example(
            record,
            place,
            epoch_key=epoch_key,
            clip_key=None,
            seed=run.seed,
            wanted=wanted,
            info=info,
            extras=run.extras,
        )
        return element | {"mask": tf.constant(True)} if run.input_context else element

    ds = records.map(element_of, num_parallel_calls=config.num_parallel_calls or tf.data.AUTOTUNE, deterministic=True)
    return ds.ignore_errors(log_warning=True) if run.skip else ds, info


def _check_open(shards: Sequence[str]) -> None:
    """Refuses shards that can't be opened: skipping errors, TensorFlow would try to open them for ever."""
    for shard in shards:
        try:
            with tf.io.gfile.GFile(shard, "rb") as file:
                file.read(1)
        except tf.errors.OpError as error:
            raise ValueError(f"{shard}: can't be opened: {error.message}; leave it out of the glob") from error


def _check_streams(wanted: Views, info: Info, what: str) -> None:
    for stream in wanted.streams:
        if stream not in info.streams:
            raise ValueError(
                f"streams: {stream!r} is asked for, but {what} has no {stream}; it has {', '.join(info.streams)}. Make "
                f"the data set with `{stream}:` in its configuration, or leave the stream out"
            )


def _check_crop(wanted: Views, info: Info) -> None:
    shorter_side = (info.configuration.get("encode") or {}).get("shorter_side")
    if wanted.crop_size and shorter_side and min(wanted.crop_size) > int(shorter_side):
        raise ValueError(
            f"crop_size: {'×'.join(map(str, wanted.crop_size))} is larger than the frames of {info.title}, whose "
            f"shorter side is {shorter_side} pixels; pass crop_size={shorter_side} or less"
        )


def _warn_if_incomplete(info: Info, split: str) -> None:
    counts = info.splits[split]
    if not counts.complete:
        warnings.warn(
            f"{info.title} {split} is not complete: {counts.num_clips} of {counts.num_asked} clips are there so far. "
            "Run the job again to go on",
            stacklevel=4,
        )


def _supervised(streams: Sequence[str], element: dict[str, tf.Tensor]) -> tuple[Any, ...]:
    inputs = element[streams[0]] if len(streams) == 1 else {stream: element[stream] for stream in streams}
    if "mask" in element:
        return inputs, element["label"], tf.cast(element["mask"], tf.float32)
    return inputs, element["label"]


def _options(config: ReadConfig) -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # Reading by offset makes small data sets inside a map, which TensorFlow calls stateful, and warns of at each start.
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    # Hosts share records by `input_context`; sharding once more would drop most of them.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    # Checkpoints then hold the place in the order, not the decoded clips that are under way.
    options.experimental_symbolic_checkpoint = True
    return options.merge(config.options) if config.options else options

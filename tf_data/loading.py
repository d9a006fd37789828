"""`load`: from the name of a data set to the `tf.data.Dataset` that a model takes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tf_data import batches, catalog, labels
from tf_data.checks import nearest, one_of, positive, rate
from tf_data.examples import Making
from tf_data.info import Info
from tf_data.parsing import EXTRAS
from tf_data.presets import Preset, find_preset
from tf_data.source import ReadConfig, Reads, open_source
from tf_data.splits import parse_split
from tf_data.views import Views, choose_views

_MAX_SEED = 2**63 - 1


class ShardOptions(Protocol):
    """Which of how many hosts this is, such as `grain.ShardOptions`."""

    shard_index: int
    shard_count: int


def load(
    name: str | Sequence[str] | Mapping[str, float],
    *,
    split: str,
    data_dir: str | os.PathLike[str] | None = None,
    preset: str | Preset | None = "i3d",
    training: bool | None = None,
    streams: Sequence[str] = ("rgb",),
    sampling: str | None = None,
    num_frames: int | None = None,
    stride: int | tuple[int, int] | None = None,
    fps: float | None = None,
    num_clips: int | None = None,
    short: str | None = None,
    reverse_probability: float | None = None,
    crop_size: int | tuple[int, int] | None = None,
    num_crops: int | None = None,
    shorter_side: int | tuple[int, int] | None = None,
    scale_jitter: tuple[float, float] | None = None,
    area_range: tuple[float, float] | None = None,
    aspect_range: tuple[float, float] | None = None,
    flip_probability: float | None = None,
    flip_labels: Mapping[str, str | None] | None = None,
    augment: Sequence[Callable[..., Any]] | None = None,
    mix: batches.Mixing | None = None,
    dtype: Any = None,
    flow_units: str | None = None,
    where: Mapping[str, Any] | None = None,
    label_names: str | Sequence[str] | None = None,
    extras: Sequence[str] = (),
    num_boxes: int = 0,
    batch_size: int | None = None,
    drop_remainder: bool = False,
    pad_remainder: bool = False,
    seed: int | None = None,
    num_epochs: int | None = 1,
    shuffle_files: bool | None = None,
    input_context: tf.distribute.InputContext | None = None,
    shard_options: ShardOptions | None = None,
    as_supervised: bool = False,
    with_info: bool = False,
    read_config: ReadConfig | None = None,
    on_error: str = "raise",
) -> tf.data.Dataset | tuple[tf.data.Dataset, Info]:
    """Loads a split of a data set of video clips.

        ds = tf_data.load('k400', split='train', batch_size=8, seed=0)
        ds, info = tf_data.load('k400', split='val', preset='slowfast', num_clips=10, num_crops=3, with_info=True)

    **What is an element?** A dictionary: `rgb` (frames, height, width, 3), `flow` (frames, height, width, 2), `audio`
    (samples,), as asked for by `streams`, and `label`, int64, -1 where a clip has none. All streams show the same
    instants, the same place and the same flip; flow keeps its meaning through resizing, flips and reversal.

    **What do I get without asking for more?** What the preset's model takes, as float32: for `i3d` in [-1, 1], 64
    frames of 224×224 in training, 250 in evaluation. docs/views.md has pictures of each preset and sampling, and
    docs/reading.md shows each task.

    **Is it the same again?** With a `seed`, clips, order and pixels are the same on any number of threads, and the
    views of a clip also on any number of hosts. Each epoch differs, and making another iterator (as `model.fit` does
    for each of its epochs) goes on with the next one. A checkpoint of the iterator has some kilobytes, and goes on
    exactly where it was.

    **What does it hold in memory?** The clips under way and the batches that wait (`ReadConfig`), and 36 bytes of index
    for each clip; shuffling needs none.

    None stands for the preset's own value wherever it is a default below.

    Args:
      name: `name[/config][:version]`, by default the newest version; or the path of a version's folder, or a folder or
        glob of other SequenceExample shards with the same keys (MediaPipe's, DMVR's), which starts with `/` or `./`.
        Several names are read as one data set; `{'k400': 3, 'k600': 1}` mixes them by these weights, and an epoch then
        has as many examples as they have clips together.
      split: `train`, `val` (or `valid`, `validate`, `validation`) or `test`, slices of them by record or percent and
        sums: `'train[:10%]'`, `'train[100:200]'`, `'train+val'`.
      data_dir: the folder of data sets, here or in `gs://`; default `$KINETICS_DATA_DIR`, else `~/kinetics_tfrecords`.
      preset: a row of defaults for what follows: `i3d`, `movinet`, `slowfast`, `vivit` or `videomae`, a `Preset` of
        your own, or None for all frames as they are stored, in uint8.
      training: True for random views, False for centred ones. Default: True where `split` names `train`.
      streams: of `rgb`, `flow` and `audio`.
      sampling: `window`, frames `stride` apart, at a random place in training; `segments`, one frame from each of
        `num_frames` equal parts of the clip; `dense`, windows one after the other over the whole clip (evaluation); or
        `all` frames. With the last two clips differ in shape: they come alone, or in batches of 1.
      num_frames: frames of a view.
      stride: stored frames from one to the next; (2, 4) draws it anew for each clip.
      fps: frames a second of a view, instead of `stride`: at each instant the stored frame that is shown then.
      num_clips: windows of a clip, evenly spaced from its beginning to its end (evaluation). More than one view puts
        an axis in front of every stream: num_clips · num_crops, the crops of one window together.
      short: what follows where a clip is shorter than its window: `loop`, its beginning again; `hold`, its last frame;
        `pad`, zeros, and elements tell in `frame_mask` which frames are real (in a reversed clip the last ones).
      reverse_probability: of playing a clip backwards.
      crop_size: one side, or (height, width), in pixels.
      num_crops: 1; 3 along the longer side; 10 for corners and centre, each also mirrored (evaluation).
      shorter_side: resizes frames so that their shorter side has as many pixels before they are cropped; (256, 320)
        draws it.
      scale_jitter: (low, high), factors by which height and width are scaled, each with its own, before cropping.
      area_range: (low, high), shares of the frame's area; a crop of drawn area and aspect is resized to `crop_size`.
      aspect_range: (low, high), width by height of that crop.
      flip_probability: of mirroring left to right.
      flip_labels: classes that a flip would falsify: the name of the class that it turns one into (and the other into
        it), or None to spare it: `{'turning left': 'turning right', 'writing': None}`.
      augment: functions from (frames float32 [T, H, W, 3] in 0…255, seed integer [2]) to frames, applied to RGB in
        training: `ColourJitter`, `Greyscale`, `RandAugment`, `RandomErasing`, or your own; () for none.
      mix: `Mix()`, mixup and CutMix within each batch; labels are then float32 (classes,).
      dtype: `float32`, `bfloat16`, or `uint8`, which are levels: flip and normalisation are then left to the device,
        where `to_model_input` does both; elements always have `flip`, which tells what to mirror. Sound is float32, and
        flow that is enlarged beyond its bound is cut off there.
      flow_units: `bound`, [-1, 1], or `pixels`.
      where: keeps some clips: a mapping from `label`, `clip_id`, `num_frames`, a flag, a quality or any context key of
        the records to a value, a collection of values or a function: `{'damaged': False, 'label': ['zumba']}`. What the
        index tells is decided before anything is read; for other keys the records are read, but not decoded,
        and `len` is unknown.
      label_names: numbers labels by these names, or by a file's, one a line; 'union' by those of all data sets that are
        loaded. Clips of other classes are left out. Default: the data set's own.
      extras: of `label_name`, `clip_id`, `short`, `damaged`, `rotated` and `has_audio`, to be added to each element.
      num_boxes: adds room for as many boxes, where records have any: `boxes` (num_boxes, 4), ymin, xmin, ymax, xmax in
        [0, 1] of the view, `box_label`, -1 where there is none, and `box_frame`, the frame of the view nearest to it.
      batch_size: elements a batch, for each host (or replica, see docs/reading.md); None for no batches.
      drop_remainder: leaves out a last batch that is not full.
      pad_remainder: fills it up with copies, for which `mask` is False.
      seed: 0 or more; None draws one, which `info.seed` tells.
      num_epochs: how many follow each other in one iteration; None for no end.
      shuffle_files: True reads the records in a random order, over the whole split where there is an index. Default:
        as `training`.
      input_context: which of how many hosts this is. They share out the records, each one read once an epoch, and all
        take the same number of steps: elements then have `mask`, False for those that repeat another to fill up.
      shard_options: the same as an object with `shard_index` and `shard_count`, such as grain's.
      as_supervised: gives (input, label), and with a mask (input, label, weight); the input is a tensor for one stream,
        a dictionary for several, and for `uint8` and `pad`, which have `flip` and `frame_mask` beside it.
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
    chosen = find_preset(preset)
    views = choose_views(
        chosen.training if training else chosen.evaluation,
        random=training,
        streams=streams,
        sampling=sampling,
        num_frames=num_frames,
        stride=stride,
        fps=fps,
        num_clips=num_clips,
        short=short,
        reverse_probability=reverse_probability,
        crop_size=crop_size,
        num_crops=num_crops,
        shorter_side=shorter_side,
        scale_jitter=scale_jitter,
        area_range=area_range,
        aspect_range=aspect_range,
        flip_probability=flip_probability,
        augment=augment,
        dtype=dtype,
        flow_units=flow_units,
    )
    batch_size = None if batch_size is None else positive("batch_size", batch_size)
    extras = _known_extras(extras, as_supervised)
    _check_batches(views, batch_size, drop_remainder, pad_remainder, mix)
    _check_boxes(views, num_boxes, as_supervised, mix)
    config = ReadConfig() if read_config is None else read_config
    if not isinstance(config, ReadConfig):
        raise ValueError(f"read_config must be a tf_data.ReadConfig, got {read_config!r}")
    num_hosts, host = _host(input_context, shard_options)
    reads = Reads(
        seed=_choose_seed(seed, num_hosts),
        shuffle=training if shuffle_files is None else bool(shuffle_files),
        num_epochs=None if num_epochs is None else positive("num_epochs", num_epochs),
        num_hosts=num_hosts,
        host=host,
        skip=_skips(on_error),
    )
    names, weights = _names_and_weights(name)
    source = open_source(
        names,
        parts,
        data_dir=catalog.expand(data_dir or catalog.default_data_dir()),
        weights=weights,
        where=where or {},
        label_names=label_names,
        views=views,
        skip=reads.skip,
    )
    if source.conditions and source.records and num_hosts > 1:
        raise ValueError(
            f"where: {', '.join(map(str, source.conditions))} can't be told by the index, so hosts would take "
            "different numbers of steps; filter by what the index tells, or make a data set of those clips"
        )
    info = replace(source.info, seed=reads.seed)
    making = Making(
        seed=reads.seed,
        views=views,
        info=info,
        extras=extras,
        num_boxes=num_boxes,
        flip_targets=_flip_targets(flip_labels, info, views),
        flip_on_host=views.dtype != "uint8" or mix is not None,
        tell_mix_key=mix is not None,
        tell_mask=input_context is not None or shard_options is not None,
    )
    ds = source.elements(making, reads, config)
    if batch_size:
        if drop_remainder and 0 <= ds.cardinality() < batch_size:
            raise ValueError(
                f"batch_size={batch_size}: there are only {ds.cardinality()} elements, so drop_remainder leaves "
                "nothing; pass a smaller batch_size"
            )
        ds = ds.batch(batch_size, drop_remainder=drop_remainder)
        if pad_remainder:
            ds = batches.pad_batches(ds, batch_size)
        if mix is not None:
            ds = batches.mix_batches(ds, mix, _num_classes(info))
    if as_supervised:
        ds = ds.map(batches.supervised(views.streams))
    ds = ds.prefetch(config.prefetch).with_options(config.merged_options(source.records is not None))
    return (ds, info) if with_info else ds


def _names_and_weights(name: Any) -> tuple[tuple[str, ...], tuple[float, ...] | None]:
    if isinstance(name, str | os.PathLike):
        return (os.fspath(name),), None
    names = tuple(os.fspath(one) if isinstance(one, os.PathLike) else one for one in name)
    if not names or not all(isinstance(one, str) for one in names):
        raise ValueError(f"name must be a string, several, or a mapping from them to weights, got {name!r}")
    if len(set(names)) < len(names):
        raise ValueError(f"name: {name!r} names a data set twice; to see its clips more often, pass weights")
    if not isinstance(name, Mapping):
        return names, None
    return names, tuple(rate(f"the weight of {one!r}", weight) for one, weight in name.items())


def _host(input_context: tf.distribute.InputContext | None, shard_options: ShardOptions | None) -> tuple[int, int]:
    """How many hosts there are, and which of them this is."""
    if input_context is not None and shard_options is not None:
        raise ValueError("input_context and shard_options both say which host this is; pass one of them")
    if input_context is not None:
        return input_context.num_input_pipelines, input_context.input_pipeline_id
    if shard_options is None:
        return 1, 0
    count, index = shard_options.shard_count, shard_options.shard_index
    if not 0 <= index < positive("shard_options.shard_count", count):
        raise ValueError(f"shard_options.shard_index must be 0 to {count - 1}, got {index!r}")
    return count, index


def _choose_seed(seed: Any, num_hosts: int) -> int:
    if seed is None:
        if num_hosts > 1:
            raise ValueError(
                "seed must be given where hosts share records, the same on every host: it sets their order"
            )
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
    return one_of(("raise", "skip"))("on_error", on_error) == "skip"


def _check_batches(views: Views, batch_size: int | None, drop: bool, pad: bool, mix: batches.Mixing | None) -> None:
    for keyword, asked in {"drop_remainder": drop, "pad_remainder": pad, "mix": mix is not None}.items():
        if asked and not batch_size:
            raise ValueError(f"{keyword} is about batches; pass batch_size")
    if drop and pad:
        raise ValueError("drop_remainder leaves out a last batch and pad_remainder fills it up; pass one of them")
    if mix is not None and not views.random:
        raise ValueError("mix is for training; pass training=True, or leave it out")
    if mix is not None and views.short == "pad":
        raise ValueError(
            "mix: short='pad' pads each clip for itself, and mixed clips have no common frame_mask; drop one"
        )
    if views.varies_in_shape and (batch_size or 1) > 1:
        raise ValueError(
            f"batch_size={batch_size}: with sampling={views.sampling!r}, shorter_side={views.shorter_side} and "
            f"crop_size={views.crop_size} elements differ in shape; pass batch_size=1 or None, or num_frames and "
            "crop_size"
        )


def _check_boxes(views: Views, num_boxes: Any, as_supervised: bool, mix: batches.Mixing | None) -> None:
    if num_boxes == 0:
        return
    positive("num_boxes", num_boxes)
    moving = next((function for function in views.augment if getattr(function, "geometric", False)), None)
    refused = {
        "streams without rgb and flow have no place for boxes": set(views.streams) == {"audio"},
        "as_supervised gives input and label alone": as_supervised,
        "mix puts two clips into one": mix is not None,
        f"{moving} moves what is in the picture, and boxes would stay behind; pass geometric=False to it": moving,
    }
    for reason, applies in refused.items():
        if applies:
            raise ValueError(f"num_boxes={num_boxes}: {reason}")


def _flip_targets(flip_labels: Mapping[str, str | None] | None, info: Info, views: Views) -> np.ndarray | None:
    if not flip_labels:
        return None
    if views.num_crops == 10:
        raise ValueError("flip_labels: ten crops are mirrored ones, too, under one label; pass num_crops=3, or drop it")
    if not info.label_names:
        raise ValueError("flip_labels: the data set has no label names, by which classes could be found")
    return labels.flip_targets(info.label_names, flip_labels)


def _num_classes(info: Info) -> int:
    if not info.label_names:
        raise ValueError("mix: the data set has no label names, so the number of its classes isn't known")
    return len(info.label_names)

"""What `load` promises: windows, crops, flips and streams that agree, and elements that are the same every time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
import tensorflow as tf

import tf_data
from tests.tf_data.conftest import BLOCK, HEIGHT, LEVELS_PER_FRAME, SAMPLE_RATE, WIDTH, FakeClip, make_clips
from tf_data import contract, randomness, sampling
from tf_data.order import epoch_keys

Element = dict[str, np.ndarray]


def _load(data_dir: Path, **keywords: Any) -> Any:
    values = {
        "split": "train",
        "data_dir": data_dir,
        "seed": 0,
        "num_frames": 8,
        "crop_size": 16,
        "extras": ["clip_id"],
    }
    return tf_data.load("fake", **(values | keywords))


def _elements(ds: tf.data.Dataset) -> list[Element]:
    """The elements, with the flip that uint8 leaves to the device made here."""
    return [_flipped(dict(element)) for element in ds.as_numpy_iterator()]


def _flipped(element: Element) -> Element:
    if element.pop("flip", False):
        mirrored = {stream: element[stream][..., ::-1, :] for stream in ("rgb", "flow") if stream in element}
        if "flow" in mirrored:
            mirrored["flow"] = mirrored["flow"] ^ np.array([255, 0], np.uint8)
        element |= mirrored
    return element


def _same(first: list[Element], second: list[Element]) -> bool:
    return len(first) == len(second) and all(
        np.array_equal(a[key], b[key]) for a, b in zip(first, second, strict=True) for key in a
    )


def _numbers(levels: np.ndarray) -> list[int]:
    """The frame numbers that uint8 frames speak of."""
    return np.rint(levels[:, 0, 0, 0] / LEVELS_PER_FRAME).astype(int).tolist()


def _left_column(rgb: np.ndarray) -> np.ndarray:
    """The block column that each pixel column of a uint8 frame was in."""
    return np.rint(rgb[0, 0, :, 2] / 32).astype(int)


def _is_flipped(rgb: np.ndarray) -> bool:
    columns = _left_column(rgb)
    return bool(columns[0] > columns[-1])


def test_an_element_has_the_streams_and_the_label(data_dir: Path) -> None:
    element = next(iter(_load(data_dir, streams=["rgb", "flow", "audio"], extras=[])))
    assert {key: (value.dtype.name, tuple(value.shape)) for key, value in element.items()} == {
        "rgb": ("float32", (8, 16, 16, 3)),
        "flow": ("float32", (8, 16, 16, 2)),
        "audio": ("float32", (8 * SAMPLE_RATE // 25,)),
        "label": ("int64", ()),
    }


def test_shapes_are_known_before_reading(data_dir: Path) -> None:
    spec = _load(data_dir, streams=["rgb", "flow"], batch_size=2, drop_remainder=True).element_spec
    assert spec["rgb"].shape.as_list() == [2, 8, 16, 16, 3]
    assert spec["flow"].shape.as_list() == [2, 8, 16, 16, 2]


def test_the_presets_rows_are_those_of_the_i3d_paper(make_dataset: Callable[..., Path]) -> None:
    data_dir = make_dataset([FakeClip("a", num_frames=2, height=256, width=264)])
    shapes = [
        tf_data.load("fake", split="train", data_dir=data_dir, training=t).element_spec["rgb"].shape for t in (1, 0)
    ]
    assert shapes == [(64, 224, 224, 3), (250, 224, 224, 3)]


def test_a_window_is_of_consecutive_strided_frames(data_dir: Path) -> None:
    for element in _elements(_load(data_dir, dtype="uint8", stride=3)):
        numbers = _numbers(element["rgb"])
        assert np.diff(numbers).tolist() == [3] * 7
        assert 0 <= numbers[0] <= numbers[-1] < 40


def test_training_windows_crops_and_flips_vary(data_dir: Path) -> None:
    elements = _elements(_load(data_dir, dtype="uint8", num_epochs=3))
    assert len({_numbers(e["rgb"])[0] for e in elements}) > 8
    assert len({tuple(e["rgb"][0, :, 0, 1]) for e in elements}) > 8
    assert len({tuple(sorted(_left_column(e["rgb"]))) for e in elements}) > 8
    assert 8 < sum(_is_flipped(e["rgb"]) for e in elements) < 25


def test_all_streams_show_the_same_instants(data_dir: Path) -> None:
    for element in _elements(_load(data_dir, dtype="uint8", streams=["rgb", "flow", "audio"], num_epochs=2)):
        numbers = _numbers(element["rgb"])
        flow_x = element["flow"] if not _is_flipped(element["rgb"]) else 255 - element["flow"]
        assert _numbers(flow_x) == [min(number, 38) for number in numbers]  # 40 frames: flow ends with 38 → 39
        assert element["audio"][0] == numbers[0] * SAMPLE_RATE / 25
        assert element["audio"][-1] == (numbers[-1] + 1) * SAMPLE_RATE / 25 - 1


def test_all_streams_show_the_same_place_and_flip(data_dir: Path) -> None:
    flipped = 0
    for element in _elements(_load(data_dir, dtype="uint8", streams=["rgb", "flow"], num_epochs=2)):
        columns_of_flow = np.rint(element["flow"][0, 0, :, 1] / 32).astype(int)  # y says the column, and keeps its sign
        np.testing.assert_array_equal(columns_of_flow, _left_column(element["rgb"]))
        flipped += _is_flipped(element["rgb"])
    assert 0 < flipped < 22


def test_a_flip_negates_the_flow_to_the_right(data_dir: Path) -> None:
    for element in _elements(_load(data_dir, streams=["rgb", "flow"])):
        levels = np.rint((element["rgb"] + 1) * 127.5)
        right = min(_numbers(levels)[0], 38) * LEVELS_PER_FRAME / 127.5 - 1
        sign = -1 if _is_flipped(levels) else 1
        assert abs(element["flow"][0, 0, 0, 0] - sign * right) < 0.025


def test_each_stream_alone_is_as_it_is_beside_the_others(data_dir: Path) -> None:
    together = _elements(_load(data_dir, streams=["rgb", "flow", "audio"]))
    for stream in ("rgb", "flow", "audio"):
        alone = _elements(_load(data_dir, streams=[stream]))
        assert all(np.array_equal(a[stream], b[stream]) for a, b in zip(alone, together, strict=True))


def test_evaluation_takes_the_centre_and_never_flips(data_dir: Path) -> None:
    for element in _elements(_load(data_dir, split="val", dtype="uint8", crop_size=(16, 32))):
        assert _numbers(element["rgb"]) == list(range(16, 24))
        top, left = (HEIGHT - 16) // 2, (WIDTH - 32) // 2
        np.testing.assert_array_equal(_left_column(element["rgb"]), np.arange(left, left + 32) // BLOCK)
        np.testing.assert_array_equal(np.rint(element["rgb"][0, :, 0, 1] / 32), np.arange(top, top + 16) // BLOCK)


def test_an_evaluation_window_is_centred_for_as_long_as_its_frames_last(data_dir: Path) -> None:
    element = _elements(_load(data_dir, split="val", dtype="uint8", stride=3, streams=["rgb", "audio"]))[0]
    assert _numbers(element["rgb"]) == list(range(8, 32, 3))  # 8 frames before [8, 32), 8 after
    assert element["audio"][[0, -1]].tolist() == [8 * SAMPLE_RATE / 25, 32 * SAMPLE_RATE / 25 - 1]


def test_evaluation_is_in_stored_order(data_dir: Path) -> None:
    ids = [e["clip_id"].decode()[5:11] for e in _elements(_load(data_dir, split="val"))]
    assert ids == ["000000", "000002", "000004", "000001", "000003"]


def test_several_views_come_on_an_axis_of_their_own(data_dir: Path) -> None:
    element = _elements(
        _load(data_dir, split="val", streams=["rgb", "flow", "audio"], dtype="uint8", num_clips=5, num_crops=3)
    )[0]
    assert element["rgb"].shape == (15, 8, 16, 16, 3)
    assert element["flow"].shape == (15, 8, 16, 16, 2)
    assert [_numbers(view)[0] for view in element["rgb"][::3]] == [0, 8, 16, 24, 32]
    assert [_left_column(view)[0] for view in element["rgb"][:3]] == [0, 2, 4]
    np.testing.assert_array_equal(element["audio"][:, 0], np.repeat([0, 8, 16, 24, 32], 3) * SAMPLE_RATE / 25)


def test_short_clips_loop(make_dataset: Callable[..., Path]) -> None:
    data_dir = make_dataset([FakeClip("short", num_frames=5)])
    for training in (True, False):
        element = _elements(_load(data_dir, dtype="uint8", streams=["rgb", "audio"], num_frames=12, training=training))[
            0
        ]
        assert _numbers(element["rgb"]) == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
        period = 5 * SAMPLE_RATE // 25
        np.testing.assert_array_equal(element["audio"], np.arange(12 * SAMPLE_RATE // 25) % period)


def test_float_is_the_stored_levels_in_minus_one_to_one(data_dir: Path) -> None:
    floats, levels = (
        _elements(_load(data_dir, dtype=dtype, streams=["rgb", "flow"])) for dtype in ("float32", "uint8")
    )
    for stream in ("rgb", "flow"):
        for a, b in zip(floats, levels, strict=True):
            assert b[stream].dtype == np.uint8
            np.testing.assert_allclose(a[stream], b[stream] / 127.5 - 1, atol=1e-6)
            assert -1 <= a[stream].min() < a[stream].max() <= 1


def test_flow_is_decoded_exactly(make_dataset: Callable[..., Path]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    encoded = simplejpeg.encode_jpeg(noise, quality=95, colorsubsampling="444")
    exact, fast = (
        tf.io.decode_jpeg(encoded, dct_method=method).numpy()[8:24, 16:32, :2]
        for method in ("INTEGER_ACCURATE", "INTEGER_FAST")
    )
    data_dir = make_dataset([FakeClip("noise", num_frames=9, flow=(encoded,) * 8)])
    element = _elements(_load(data_dir, streams=["flow"], dtype="uint8", training=False))[0]
    np.testing.assert_array_equal(element["flow"][3], exact)
    assert not np.array_equal(exact, fast)


def test_bfloat16_on_request(data_dir: Path) -> None:
    assert _load(data_dir, dtype=tf.bfloat16).element_spec["rgb"].dtype == tf.bfloat16


def test_an_unlabelled_clip_has_label_minus_one(make_dataset: Callable[..., Path]) -> None:
    data_dir = make_dataset([FakeClip("test", label=-1)], split="test")
    element = _elements(_load(data_dir, split="test", extras=["label_name"]))[0]
    assert (element["label"], element["label_name"]) == (-1, b"")


def test_extras_say_who_a_clip_is_and_what_is_known_of_it(make_dataset: Callable[..., Path]) -> None:
    data_dir = make_dataset([FakeClip("a", label=3, flags={"quality/damaged": 1, "source/rotation": 90})])
    extras = ["clip_id", "label_name", "short", "damaged", "rotated", "has_audio"]
    element = _elements(_load(data_dir, extras=extras))[0]
    assert [element[name] for name in extras] == [b"a", b"class 3", False, True, True, True]


def test_a_seed_gives_the_same_pixels_on_any_number_of_threads(data_dir: Path) -> None:
    one, many = (_load(data_dir, read_config=tf_data.ReadConfig(num_parallel_calls=n), num_epochs=2) for n in (1, 8))
    assert _same(_elements(one), _elements(many))


def test_options_of_the_readers_own_are_kept_unless_asked_otherwise(data_dir: Path) -> None:
    asked = tf.data.Options()
    asked.threading.private_threadpool_size = 3
    options = _load(data_dir, read_config=tf_data.ReadConfig(options=asked)).options()
    assert (options.threading.private_threadpool_size, options.autotune.enabled) == (3, False)
    asked.autotune.enabled = True
    assert _load(data_dir, read_config=tf_data.ReadConfig(options=asked)).options().autotune.enabled


def test_seeds_differ_and_none_draws_one_that_info_tells(data_dir: Path) -> None:
    drawn, info = _load(data_dir, seed=None, with_info=True)
    first = _elements(drawn)
    assert _same(first, _elements(_load(data_dir, seed=info.seed)))
    assert not _same(first, _elements(_load(data_dir, seed=info.seed + 1)))
    assert _load(data_dir, seed=None, with_info=True)[1].seed != info.seed


def test_each_epoch_differs_in_order_and_views(data_dir: Path) -> None:
    elements = _elements(_load(data_dir, num_epochs=2))
    epochs = elements[:11], elements[11:]
    ids = [[e["clip_id"] for e in epoch] for epoch in epochs]
    assert ids[0] != ids[1] and sorted(ids[0]) == sorted(ids[1])
    seen = [{e["clip_id"]: e["rgb"].tobytes() for e in epoch} for epoch in epochs]
    assert sum(seen[0][clip_id] != seen[1][clip_id] for clip_id in seen[0]) >= 10


def test_iterating_again_is_the_next_epoch_and_repeatable(data_dir: Path) -> None:
    ds = _load(data_dir)
    passes = _elements(ds) + _elements(ds)
    assert _same(passes, _elements(_load(data_dir, num_epochs=2)))


def test_a_clips_window_is_drawn_by_seed_epoch_and_the_contracts_key_of_its_id(data_dir: Path) -> None:
    epoch_key = next(iter(epoch_keys(1)))
    for element in _elements(_load(data_dir, dtype="uint8", seed=5)):
        key = contract.clip_key(element["clip_id"].decode())
        drawn = randomness.draw(5, epoch_key, tf.constant(key, tf.int64))
        start = sampling.random_start(tf.constant(40), tf.constant(8), drawn.time)
        assert _numbers(element["rgb"])[0] == int(start[0])
        assert _is_flipped(element["rgb"]) == bool(drawn.flip < 0.5)


def test_the_views_of_a_clip_do_not_depend_on_who_reads_it(data_dir: Path) -> None:
    alone = {e["clip_id"]: e["rgb"] for e in _elements(_load(data_dir))}
    for host in range(3):
        for element in _elements(_load(data_dir, input_context=tf.distribute.InputContext(3, host))):
            np.testing.assert_array_equal(element["rgb"], alone[element["clip_id"]])


def test_hosts_read_each_record_once_and_take_the_same_steps(data_dir: Path) -> None:
    real, steps = [], set()
    for host in range(4):
        ds = _load(data_dir, input_context=tf.distribute.InputContext(4, host), batch_size=2)
        batches = _elements(ds)
        assert len(ds) == len(batches)
        steps.add(len(batches))
        real += [i for batch in batches for i in batch["clip_id"][batch["mask"]]]
    assert len(steps) == 1
    assert sorted(real) == sorted(clip.clip_id.encode() for clip in make_clips(11))


def test_slices_cover_a_split_without_overlap(data_dir: Path) -> None:
    slices = ["train[:30%]", "train[30%:7]", "train[7:]"]
    ids = [e["clip_id"] for s in slices for e in _elements(_load(data_dir, split=s, training=False))]
    assert ids == [e["clip_id"] for e in _elements(_load(data_dir, training=False))]


def test_splits_are_added(data_dir: Path) -> None:
    ds, info = _load(data_dir, split="train[:4]+validation", with_info=True)
    assert len(ds) == info.num_examples == 9
    parts = [_elements(_load(data_dir, split=part, training=False)) for part in ("train[:4]", "val")]
    assert sorted(e["clip_id"] for e in _elements(ds)) == sorted(e["clip_id"] for part in parts for e in part)


@pytest.mark.parametrize(
    ("keywords", "length"),
    [
        ({}, 11),
        ({"num_epochs": 3}, 33),
        ({"batch_size": 4}, 3),
        ({"batch_size": 4, "drop_remainder": True}, 2),
        ({"split": "val", "batch_size": 2}, 3),
    ],
)
def test_the_length_is_known_and_right(data_dir: Path, keywords: dict[str, Any], length: int) -> None:
    ds = _load(data_dir, **keywords)
    assert len(ds) == length == len(_elements(ds))


def test_epochs_without_end(data_dir: Path) -> None:
    ds = _load(data_dir, num_epochs=None)
    assert ds.cardinality() == tf.data.INFINITE_CARDINALITY
    assert len(_elements(ds.take(25))) == 25


def test_as_supervised_gives_input_and_label(data_dir: Path) -> None:
    rgb, label = next(iter(_load(data_dir, extras=[], as_supervised=True)))
    assert rgb.shape == (8, 16, 16, 3) and label.dtype == tf.int64
    inputs, _ = next(iter(_load(data_dir, extras=[], as_supervised=True, streams=["rgb", "flow"])))
    assert set(inputs) == {"rgb", "flow"}


def test_as_supervised_weighs_what_fills_up_a_host_with_nothing(data_dir: Path) -> None:
    context = tf.distribute.InputContext(4, 3)  # 11 records: the last host fills up with one
    weights = [float(w) for _, _, w in _load(data_dir, extras=[], as_supervised=True, input_context=context)]
    assert weights == [1.0, 1.0, 0.0]


def test_a_checkpoint_of_the_iterator_goes_on_where_it_was(data_dir: Path, tmp_path: Path) -> None:
    iterator = iter(_load(data_dir, num_epochs=2, batch_size=2))
    for _ in range(4):
        next(iterator)
    saved = tf.train.Checkpoint(iterator=iterator).save(str(tmp_path / "place"))
    rest = [{key: value.numpy() for key, value in batch.items()} for batch in iterator]
    restored = iter(_load(data_dir, num_epochs=2, batch_size=2))
    tf.train.Checkpoint(iterator=restored).restore(saved).assert_consumed()
    assert _same(rest, [{key: value.numpy() for key, value in batch.items()} for batch in restored])
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 128 * 1024


def test_info_says_what_the_data_set_is(data_dir: Path) -> None:
    _, info = _load(data_dir, with_info=True)
    assert (info.name, info.version, info.title) == ("fake", "1.0.0", "fake:1.0.0")
    assert info.label_names == ("class 0", "class 1", "class 2", "class 3")
    assert (info.frame_rate, info.audio_sample_rate, info.flow.bound_px) == (25.0, 1000.0, 20.0)
    assert {name: split.num_clips for name, split in info.splits.items()} == {"train": 11, "val": 5}
    assert info.splits["train"].shard_lengths == (4, 4, 3)
    assert info.splits["train"].num_failed == {"not_found": 1}


def test_an_incomplete_data_set_loads_with_a_warning(make_dataset: Callable[..., Path]) -> None:
    data_dir = make_dataset(make_clips(3), metadata={"complete": False, "num_asked": 10})
    with pytest.warns(UserWarning, match=r"fake:1\.0\.0 train is not complete: 3 of 10 clips"):
        assert len(_load(data_dir)) == 3

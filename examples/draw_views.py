"""Draws what `tf_data.load` gives of a clip: samplings, places, augmentations and presets, a sheet of each.

    python examples/draw_views.py k400 --data_dir /data/tfrecords --out views

Above each row of pictures is what `load` was asked for. docs/views.md shows the sheets of one of `make demo`'s clips.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is loaded

import cv2
import numpy as np

import tf_data
from beam_pipeline.viewing.flow_colours import colour_flow, colour_wheel
from tf_data import ColourJitter, Greyscale, Mix, Preset, RandAugment, RandomErasing, Views

WIDTH_PX, MARGIN_PX, GAP_PX = 900, 16, 4
PAPER, LANE, INK, PALE_INK = (246, 245, 242), (222, 221, 216), (38, 38, 42), (120, 120, 126)
FIRST, LAST = np.array((30, 80, 160)), np.array((240, 130, 30))  # colours of a window's first and last frame
WHEN = ("sampling", "num_frames", "stride", "fps", "num_clips", "short", "reverse_probability")
WHERE_AND_HOW = (
    "crop_size",
    "shorter_side",
    "scale_jitter",
    "area_range",
    "aspect_range",
    "flip_probability",
    "augment",
)


class Row(NamedTuple):
    """What `load` is asked for, and how many epochs of training are shown; 0 is for evaluation."""

    keywords: dict[str, Any]
    num_epochs: int = 0
    has_time_line: bool = True  # else the first frame of each view is shown


def sheets(num_stored: int, side: int) -> dict[str, list[Row]]:
    """Returns the rows of each sheet for a clip of `num_stored` frames whose shorter side has `side` pixels."""
    window = {"num_frames": 4, "stride": max(num_stored // 18, 1)}
    longer = {"num_frames": 12, "stride": max(num_stored // 8, 1)}  # than the clip
    moving = {"streams": ("rgb", "flow"), "num_frames": 6, "stride": 3}
    augmentations = (
        ColourJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
        Greyscale(probability=0.5),
        RandAugment(num_ops=2, magnitude=9),
        RandAugment(num_ops=2, magnitude=9, geometric=False),
        RandomErasing(probability=1.0),
    )

    def picture(num_epochs: int = 0, **keywords: Any) -> Row:
        # There is one window from the first frame to the last, so that all draws show the same instant.
        return Row({"num_frames": 2, "stride": max(num_stored - 1, 1)} | keywords, num_epochs, has_time_line=False)

    small, large = side // 2, side * 7 // 8
    return {
        "sampling_training": [
            Row(window, 3),
            Row(window | {"stride": (1, 8)}, 3),
            Row({"num_frames": 4, "fps": 10}, 3),
            Row({"sampling": "segments", "num_frames": 4}, 3),
            Row({"num_frames": 12, "stride": 2, "reverse_probability": 1.0}, 1),
        ],
        "sampling_evaluation": [
            Row(window),
            Row(window | {"num_clips": 3}),
            Row({"sampling": "dense", "num_frames": 4, "stride": max(num_stored // 11, 1)}),
            Row({"sampling": "segments", "num_frames": 4}),
            Row({"sampling": "all"}),
        ],
        "short_clips": [Row(longer | {"short": short}) for short in ("loop", "hold", "pad")],
        "crops": [
            picture(),
            picture(crop_size=small),
            picture(crop_size=small, num_crops=3),
            picture(crop_size=small, num_crops=10),
            picture(8, crop_size=small),
            picture(8, crop_size=small, shorter_side=(small, side)),
            picture(8, crop_size=small, shorter_side=side * 5 // 8, scale_jitter=(0.8, 1.6)),
            picture(8, crop_size=small, area_range=(0.08, 1.0), aspect_range=(0.75, 1.33)),
            picture(8, flip_probability=0.5),
        ],
        "flow": [
            Row(moving, 1),
            Row(moving | {"flip_probability": 1.0}, 1),
            Row(moving | {"reverse_probability": 1.0}, 1),
            Row(moving | {"shorter_side": side // 2}, 1),
        ],
        "augmentations": [picture(8, crop_size=large, augment=augmentation) for augmentation in augmentations]
        + [picture(1, crop_size=large, batch_size=8, mix=mix) for mix in (Mix(0.8, 0.0), Mix(0.0, 1.0))],
        "presets_training": [Row({"preset": name}, 3) for name in tf_data.PRESETS],
        "presets_evaluation": [
            Row({"preset": name, "num_clips": preset.test_views[0], "num_crops": preset.test_views[1]})
            for name, preset in tf_data.PRESETS.items()
        ],
    }


# -- What `load` gives -------------------------------------------------------------------------------------------------


def load_views(row: Row, source: Mapping[str, Any], **settings: Any) -> dict[str, np.ndarray]:
    """Returns the streams of a row, uint8 RGB and flow in pixels, and `frame_mask`, all views along the first axis."""
    asked = {"preset": None, "flow_units": "pixels", "dtype": "float32"} | row.keywords | settings
    if asked["dtype"] == "uint8":
        del asked["flow_units"]
    if "mix" in asked:  # takes a batch, of more clips than the one that is drawn
        source = {key: value for key, value in source.items() if key != "where"}
    num_epochs = max(row.num_epochs, 1)
    training = row.num_epochs > 0
    ds: Any = tf_data.load(**source, **asked, training=training, num_epochs=num_epochs, shuffle_files=False)
    elements = list(ds.take(num_epochs).as_numpy_iterator())
    views = {key: np.stack([element[key] for element in elements]) for key in elements[0] if key != "label"}
    views = {key: value.reshape(-1, *value.shape[-1 if key == "frame_mask" else -4 :]) for key, value in views.items()}
    if asked["dtype"] != "uint8":
        taken = tf_data.PRESETS[asked["preset"]].training if asked["preset"] in tf_data.PRESETS else Views()
        views["rgb"] = np.clip(np.rint((views["rgb"] * taken.std + taken.mean) * 255), 0, 255).astype(np.uint8)
    return views


def stored_numbers(row: Row, source: Mapping[str, Any], stored: np.ndarray) -> np.ndarray:
    """Returns which stored frames the windows of a row show, int [windows, frames], -1 where there is none.

    What is drawn for a clip doesn't depend on what else is asked for. So the windows are loaded once more, of whole
    frames as they are stored, and these are looked up among all of the clip.
    """
    keywords = {key: value for key, value in row.keywords.items() if key in WHEN}
    if "preset" in row.keywords:
        preset, unset = tf_data.PRESETS[row.keywords["preset"]], {key: getattr(Views(), key) for key in WHERE_AND_HOW}
        keywords["preset"] = Preset(replace(preset.training, **unset), replace(preset.evaluation, **unset))
    views = load_views(Row(keywords, row.num_epochs), source, dtype="uint8")
    number_of = {frame.tobytes(): number for number, frame in reversed(list(enumerate(stored)))}
    numbers = np.array([[number_of[frame.tobytes()] for frame in view] for view in views["rgb"]])
    return np.where(views.get("frame_mask", True), numbers, -1)


# -- How it is drawn ---------------------------------------------------------------------------------------------------


def draw_sheet(title: str, rows: Sequence[Row], source: Mapping[str, Any], stored: np.ndarray) -> np.ndarray:
    """Returns a page, uint8 RGB: of each row what was asked for, when its frames are, and pictures of them."""
    parts = [text_line(title, 15, height_px=44)]
    full_px = 0.0
    for row in rows:
        # Evaluation mirrors nothing and may have many views: as levels they take a quarter of the memory.
        as_levels = row.num_epochs == 0 and row.keywords.get("short") != "pad"
        views = load_views(row, source, **({"dtype": "uint8"} if as_levels else {}))
        parts.append(text_line(caption(row)))
        if "flow" in views:
            if not full_px:  # the same colours in all rows
                full_px = 1.2 * float(np.percentile(np.linalg.norm(views["flow"], axis=-1), 98))
                parts[0][6:38, -MARGIN_PX - 32 : -MARGIN_PX] = colour_wheel(32)
            parts += [thumbnails(views["rgb"], 6), thumbnails(colour_flow(views["flow"], full_px), 6)]
        elif row.has_time_line:
            windows = stored_numbers(row, source, stored)
            numbers = windows.repeat(len(views["rgb"]) // len(windows), axis=0)
            parts += [time_line(windows, len(stored)), thumbnails(views["rgb"], 12, numbers)]
        else:
            parts.append(thumbnails(views["rgb"][:, :1], max(len(views["rgb"]), 8)))
    return np.vstack([*parts, paper(MARGIN_PX)])


def caption(row: Row) -> str:
    """Returns what a row asked for, as one writes it."""
    hidden = () if row.has_time_line else ("num_frames", "stride")
    said = [f"{key}={as_written(value)}" for key, value in row.keywords.items() if key not in hidden]
    return f"{'training' if row.num_epochs else 'evaluation'}: {', '.join(said) or 'preset=None'}"


def as_written(value: Any) -> str:
    """Returns the code of a value, without what is a default."""
    if not is_dataclass(value):
        return repr(value)
    said = [(field.name, getattr(value, field.name)) for field in fields(value) if field.repr]
    defaults = {field.name: field.default for field in fields(value)}
    return f"{type(value).__name__}({', '.join(f'{key}={v!r}' for key, v in said if v != defaults[key])})"


def paper(height_px: int) -> np.ndarray:
    """Returns an empty strip of a page."""
    return np.full((height_px, WIDTH_PX, 3), PAPER, np.uint8)


def text_line(text: str, size: int = 13, height_px: int = 32) -> np.ndarray:
    """Returns a strip with a line of text."""
    strip = paper(height_px)
    write(strip, text, MARGIN_PX, height_px - 9, size, INK)
    return strip


def write(picture: np.ndarray, text: str, x: int, baseline: int, size: int, colour: tuple[int, int, int]) -> None:
    """Writes a text into a picture."""
    cv2.putText(picture, text, (x, baseline), colour, cv2.FontFace("sans"), size, 400, wrap=(0, 4 * WIDTH_PX))


def time_line(windows: np.ndarray, num_stored: int) -> np.ndarray:
    """Returns a strip of lanes, each as long as the clip, in which the frames of a window are coloured in their order.

    Where a window begins the clip again, it goes on in one more lane.
    """
    edges = MARGIN_PX + np.linspace(0, WIDTH_PX - 2 * MARGIN_PX, num_stored + 1).round().astype(int)
    colours = np.linspace(FIRST, LAST, windows.shape[1])
    lanes = []
    for window in windows:
        steps = np.sign(np.diff(window))
        turns = np.flatnonzero(steps * steps[:1] < 0) + 1
        for part in np.split(np.arange(len(window)), turns):
            lane = paper(9)
            lane[:6, MARGIN_PX:-MARGIN_PX] = LANE
            for frame in part[window[part] >= 0]:
                left, right = edges[window[frame]], edges[window[frame] + 1]
                lane[:6, left : max(right, left + 2)] = colours[frame]
            lanes += [lane] if window[part[0]] >= 0 else []
        lanes += [paper(5)] if len(turns) and len(windows) > 1 else []
    return np.vstack([*lanes, paper(2)])


def thumbnails(views: np.ndarray, in_row: int, numbers: np.ndarray | None = None) -> np.ndarray:
    """Returns a strip of frames, evenly chosen where there are more than fit in. A few windows stand apart.

    Args:
      views: uint8 [views, frames, height, width, 3].
      in_row: how many fit in.
      numbers: int [views, frames], written below them.
    """
    num_views, num_frames, height_px, width_px, _ = views.shape
    chosen = np.linspace(0, num_views * num_frames - 1, min(num_views * num_frames, in_row)).round().astype(int)
    apart = 2 if num_frames > 1 and num_views <= 4 else 0
    width = (WIDTH_PX - 2 * MARGIN_PX - (in_row - 1 + (num_views - 1) * apart) * GAP_PX) // in_row
    height = round(width * height_px / width_px)
    strip = paper(height + (16 if numbers is not None else GAP_PX))
    for position, which in enumerate(chosen):
        view, frame = divmod(which, num_frames)
        left = MARGIN_PX + position * (width + GAP_PX) + view * apart * GAP_PX
        how = cv2.INTER_AREA if width < width_px else cv2.INTER_CUBIC
        strip[:height, left : left + width] = cv2.resize(views[view, frame], (width, height), interpolation=how)
        if numbers is not None:
            number = numbers[view, frame]
            write(strip, str(number) if number >= 0 else "none", left, height + 12, 10, PALE_INK)
    return strip


def main(argv: Sequence[str] | None = None) -> int:
    """Draws what `tf_data.load` gives of a clip: samplings, places, augmentations and presets, a sheet of each."""
    parser = argparse.ArgumentParser(prog="draw_views.py", description=main.__doc__)
    parser.add_argument("name", help="name[/config][:version] of a data set, or the folder of one")
    parser.add_argument("--data_dir", help="default: $KINETICS_DATA_DIR, else ~/kinetics_tfrecords")
    parser.add_argument("--split", default="train")
    parser.add_argument("--clip_id", help="which clip (default: the first one); --clip_id=-x where it begins with a -")
    parser.add_argument("--sheets", nargs="+", help="which sheets (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of what is random")
    parser.add_argument("--out", type=Path, default=Path("views"), help="folder for the sheets (default: views)")
    parser.add_argument("--format", choices=("png", "webp"), default="png")
    arguments = parser.parse_args(argv)

    source = {"name": arguments.name, "split": arguments.split, "data_dir": arguments.data_dir}
    where = {"clip_id": arguments.clip_id} if arguments.clip_id else {}
    try:
        stored_clips, info = tf_data.load(
            **source, preset=None, training=False, where=where, extras=["clip_id"], with_info=True
        )
    except (tf_data.DatasetNotFoundError, ValueError) as error:
        parser.error(str(error))
    clip = next(stored_clips.as_numpy_iterator(), None)
    if clip is None:
        parser.error(f"--clip_id: {info.title} {arguments.split} has no clip {arguments.clip_id}")
    clip_id, stored = clip["clip_id"].decode(), clip["rgb"]
    num_stored, height, width, _ = stored.shape
    drawn = sheets(num_stored, min(height, width))
    if "flow" not in info.streams:
        del drawn["flow"]
    if unknown := set(arguments.sheets or ()) - set(drawn):
        parser.error(f"--sheets: {', '.join(sorted(unknown))} is none of {', '.join(drawn)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.sheets or drawn:
        path = arguments.out / f"{name}.{arguments.format}"
        title = f"{name.replace('_', ', ').capitalize()}: {clip_id}, {num_stored} stored frames of {width}×{height}"
        page = draw_sheet(title, drawn[name], source | {"where": {"clip_id": clip_id}, "seed": arguments.seed}, stored)
        cv2.imwrite(str(path), page[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 85])
        print(path, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

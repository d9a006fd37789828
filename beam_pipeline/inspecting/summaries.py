"""What a page says of a split before any clip is looked at: counts, sums and distributions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from beam_pipeline.clips import REASONS
from beam_pipeline.inspecting.rows import FLAGS, Rows

_BINS = 24
_BEYOND_PERCENTILE = 99.5  # a few clips far out would leave all others in one bar
_FEWEST_FOR_BEYOND = 200  # of which one is the half per cent that is beyond
_THIN = 0.5  # of the median class
_SIZES = 6

# What is shown of each number: title, unit, and what one unit is in the rows.
DISTRIBUTIONS = {
    "duration_s": ("Duration", "s", 1.0),
    "bytes": ("Size of a record", "MB", 1e6),
    "brightness": ("Brightness", "mean luma, 0–255", 1.0),
    "motion": ("Motion", "mean flow, px a frame", 1.0),
}


def summary_of(rows: Rows) -> dict[str, Any]:
    """Returns what is said of a split, as values that JSON knows.

    Classes are those of which clips were asked for. A class is thin where fewer than half as many clips were written of
    it as of the median class.
    """
    counts = np.bincount(rows.status, minlength=3)
    written, failed, not_attempted = map(int, counts)
    numbers = rows.numbers
    return {
        "split": rows.split.split,
        "finished": rows.split.is_finished,
        "complete": bool(rows.split.is_finished and rows.info and rows.info.get("complete")),
        "asked": rows.asked,
        "rows": len(rows),
        "written": written,
        "failed": failed,
        "waiting": not_attempted + rows.asked - len(rows),
        "hours": float(np.nansum(numbers["duration_s"])) / 3600,
        "bytes": int(np.nansum(numbers["bytes"])),
        "shards": rows.split.num_shards,
        "reasons": _reasons(rows),
        "classes": _classes(rows),
        "unused_labels": len(rows.labels) - len(np.unique(rows.label)),
        "flags": [
            {"flag": flag, "count": int(np.count_nonzero(rows.flags[rows.written] >> bit & 1))}
            for bit, flag in enumerate(FLAGS)
        ],
        "frame_sizes": _frame_sizes(rows),
        "distributions": [
            {"name": name, "title": title, "unit": unit, **histogram(numbers[name][rows.written] / scale)}
            for name, (title, unit, scale) in DISTRIBUTIONS.items()
            if name in numbers and written and not np.isnan(numbers[name][rows.written]).all()
        ],
    }


def _reasons(rows: Rows) -> list[dict[str, Any]]:
    """Reasons by how many clips failed for them, the most frequent first."""
    counts = np.bincount(rows.reason[rows.reason >= 0], minlength=len(rows.reasons))
    known: list[dict[str, Any]] = [
        {"reason": reason, "count": int(count), "transient": REASONS.get(reason, False)}
        for reason, count in zip(rows.reasons, counts, strict=True)
        if count
    ]
    known.sort(key=lambda row: (-row["count"], row["reason"]))
    return known


def _classes(rows: Rows) -> list[dict[str, Any]]:
    size = len(rows.labels)
    asked = np.bincount(rows.label, minlength=size)
    written = np.bincount(rows.label[rows.written], minlength=size)
    failed = np.bincount(rows.label[rows.status == 1], minlength=size)
    seconds = np.bincount(rows.label, weights=np.nan_to_num(rows.numbers["duration_s"]), minlength=size)
    there = np.flatnonzero(asked)
    least = _THIN * float(np.median(written[there])) if len(there) else 0.0
    return [
        {
            "label": label,
            "name": rows.labels[label],
            "asked": int(asked[label]),
            "written": int(written[label]),
            "failed": int(failed[label]),
            "hours": round(float(seconds[label]) / 3600, 4),
            "thin": bool(written[label] < least),
        }
        for label in map(int, there)
    ]


def _frame_sizes(rows: Rows) -> list[dict[str, Any]]:
    """The most frequent sizes of frames, and how many clips have others."""
    width, height = (rows.numbers[name][rows.written].astype(np.int64) for name in ("width", "height"))
    sizes, counts = np.unique(width << 32 | height, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    named = [
        {"size": f"{sizes[place] >> 32}×{sizes[place] & 0xFFFFFFFF}", "count": int(counts[place])}
        for place in order[:_SIZES]
    ]
    others = int(counts[order[_SIZES:]].sum())
    return [*named, {"size": "others", "count": others}] if others else named


def histogram(values: np.ndarray) -> dict[str, Any]:
    """Counts values in bars of one round width; what is far beyond all others is counted apart.

    Args:
      values: any floats; not-a-numbers are left out. At least one must be there.

    Returns:
      `start` and `step`: bar k is [start + k·step, start + (k + 1)·step), the last one with its end; `counts` by bar;
      `beyond`: how many values lie behind the last bar; `median`.
    """
    values = values[~np.isnan(values)]
    low, high = float(values.min()), float(values.max())
    if len(values) >= _FEWEST_FOR_BEYOND:
        high = float(np.percentile(values, _BEYOND_PERCENTILE))
    high = max(high, low)
    step = _round_up((high - low) / _BINS) if high > low else _round_up(max(abs(high), 1e-3) / _BINS)
    start = math.floor(low / step + 1e-9) * step
    bins = max(1, math.ceil((high - start) / step + 1e-9))
    counts, _ = np.histogram(values, bins, (start, start + bins * step))
    digits = max(0, 2 - math.floor(math.log10(step)))
    return {
        "start": round(start, digits),
        "step": round(step, digits),
        "counts": counts.tolist(),
        "beyond": int(len(values) - counts.sum()),
        "median": round(float(np.median(values)), digits),
    }


def _round_up(width: float) -> float:
    power = 10.0 ** math.floor(math.log10(width))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= width * (1 - 1e-9))

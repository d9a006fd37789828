"""A plan as people read it, and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

from beam_pipeline.planning.estimates import Elsewhere, Estimate, Plan, SplitPlan
from beam_pipeline.planning.prices import PriceTable
from beam_pipeline.summary import duration_text, plural, size_text

_FETCHED = {"archive": "what it lacks from archives", "youtube": "what it lacks from YouTube"}


def as_json(plan: Plan) -> str:
    """Returns a plan as one JSON object on one line; an unknown error is null."""
    return json.dumps(dataclasses.asdict(plan), ensure_ascii=False)


def as_text(plan: Plan, prices: PriceTable) -> str:
    """Returns a plan for people."""
    lines = [f"{plan.name} in {plan.directory}, {_source(plan)}"]
    for split in plan.splits:
        lines += _split_lines(split)
    lines += _made_lines(plan)
    lines.append(_basis(plan))
    work = plan.work
    parts = [("frames", work.frames_s), ("flow", work.flow_s), ("sound", work.audio_s)]
    shown = ", ".join(f"{name} {_hours(part)}" for name, part in parts if part.value)
    lines.append(f"    processor time  {_hours(work.total_s)}: {shown or 'none'}")
    of = [("flow", plan.flow_bytes), ("sound", plan.audio_bytes)]
    shown = "".join(f", {_sized(part)} of it {name}" for name, part in of if part.value)
    lines.append(f"    records         {_sized(plan.record_bytes)}{shown}")
    fetched = f", and {size_text(plan.fetch_bytes)} to be fetched" if plan.fetch_bytes else ""
    lines.append(f"    store           {size_text(plan.store_bytes)} of clips that are asked for{fetched}")
    if plan.fetch_s:
        lines.append(
            f"    visits          {duration_text(plan.fetch_s)} at source.requests_per_minute, wherever it runs"
        )
    lines.append(f"    here            {_duration(plan.wall_s)} with {plural(plan.workers, 'decoding process')}")
    lines += _elsewhere_lines(plan.elsewhere, prices)
    shards = [split for split in plan.splits if split.to_make and not split.shards_are_wrong]
    if shards:
        counts = ", ".join(f"splits.{split.split}.shards: {split.shards}" for split in shards)
        lines.append(f"    shards          {counts} will do")
    lines += [f"warning: {warning}" for warning in plan.warnings]
    return "\n".join(lines)


def _source(plan: Plan) -> str:
    how = _FETCHED | {"frames": "frame folders"}
    return f"clips in {plan.store}" + (f" ({how[plan.source]})" if plan.source in how else "")


def _split_lines(split: SplitPlan) -> list[str]:
    missing = f", {split.missing:,} without a file" if split.missing else ""
    lines = [
        f"  {split.split}: {plural(split.clips, 'clip')} of {plural(split.classes, 'class')}{missing}; "
        f"{plural(split.shards, 'shard')}"
    ]
    if split.to_make:
        lines[0] += f" of about {size_text(split.shard_bytes)} and {duration_text(split.shard_s)} of work"
    return lines


def _made_lines(plan: Plan) -> list[str]:
    if not plan.made:
        return []
    asked = plural(sum(split.clips + split.bad for split in plan.splits), "clip")
    done = f"  {plan.made:,} of {asked} are done already"
    if plan.is_finished:
        return [f"{done}: it is finished, and a run only looks for what has changed since. To make it anew takes this."]
    return [f"{done}, and a run keeps them. All of them together take this."]


def _basis(plan: Plan) -> str:
    if plan.sample is None:
        return (
            "  Nothing could be measured: the store has no clip that is asked for. What follows goes by real 340×256 "
            "clips on\n  another machine, and may be off by half or to the double. "
            f"{'Fetch some (fetch --limit 50)' if plan.source in _FETCHED else 'Put some there'}, and plan again:"
        )
    failed = f", {sum(plan.sample.failed.values())} of which failed" if plan.sample.failed else ""
    return (
        f"  From {plural(plan.sample.clips, 'clip')} encoded here{failed} ({duration_text(plan.sample.seconds)}); "
        "± is the standard error that such a sample leaves:"
    )


def _elsewhere_lines(elsewhere: Elsewhere, prices: PriceTable) -> list[str]:
    machines = elsewhere.machines
    speed = "" if machines.speed == 1 else f", each {machines.speed:g} times as fast as one here"
    where = f"{plural(machines.count, 'machine')} {machines.machine_type} ({elsewhere.processors} processors{speed})"
    return [
        f"    elsewhere       {_duration(elsewhere.wall_s)} on {where}, and some minutes for their start",
        f"    dollars         {_usd(elsewhere.usd)} for these by the list prices of {prices.as_of} in {prices.region}, "
        f"and {elsewhere.storage_usd_month:,.2f} a month for records on gs://",
    ]


def _with_error(estimate: Estimate, unit: float, text: Callable[[float], str]) -> str:
    """Returns value and error in one unit; the error has the digits of the value."""
    if estimate.error is None:
        return f"about {text(estimate.value / unit)}"
    return f"{text(estimate.value / unit)} ± {text(estimate.error / unit)}"


def _digits(value: float) -> Callable[[float], str]:
    """Returns a formatter of numbers about as large as `value`, and smaller."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return lambda number: f"{number:,.{digits}f}"


def _hours(estimate: Estimate) -> str:
    unit, name = (3600.0, "h") if estimate.value >= 3600 else (60.0, "min") if estimate.value >= 60 else (1.0, "s")
    return f"{_with_error(estimate, unit, _digits(estimate.value / unit))} {name}"


def _duration(estimate: Estimate) -> str:
    unit, name = (86400.0, "days") if estimate.value >= 172800 else (0.0, "")
    return f"{_with_error(estimate, unit, _digits(estimate.value / unit))} {name}" if unit else _hours(estimate)


def _sized(estimate: Estimate) -> str:
    units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
    unit, name = next(((unit, name) for unit, name in units if estimate.value >= unit), (1.0, "bytes"))
    return f"{_with_error(estimate, unit, _digits(estimate.value / unit))} {name}"


def _usd(estimate: Estimate) -> str:
    return _with_error(estimate, 1.0, lambda number: f"{number:,.2f}")

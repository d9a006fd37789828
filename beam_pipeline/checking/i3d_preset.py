"""How the preprocessing of I3D is met, item by item: what its sources say, and what a data set's records have.

The sources are those that docs/flow.md gives: the readme and the issues of google-deepmind/kinetics-i3d, the paper
(https://arxiv.org/abs/1705.07750), and MediaPipe's graph, which is said to correspond to what its authors did.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import simplejpeg

from beam_pipeline.labels import shipped_labels
from beam_pipeline.media.settings import TVL1Parameters
from beam_pipeline.summary import plural
from tf_data import contract

Met = Literal["yes", "no", "unknown"]
_TRAINING_FRAMES = 64  # of a training clip (paper, table 1)
_README, _ISSUES = "kinetics-i3d, README.md", "kinetics-i3d, issue"
_GRAPH = "MediaPipe, tvl1_flow_and_rgb_from_file.pbtxt"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that the preprocessing of I3D decides.

    Attributes:
      name: of the thing.
      original: what I3D's sources say.
      found: what the data set has.
      met: whether that is the same; `unknown` where the sources are silent.
      source: where it is said.
    """

    name: str
    original: str
    found: str
    met: Met
    source: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a data set: its metadata, label list, ledger, and a sample of its records, parsed."""

    info: Mapping[str, Any]
    labels: Sequence[str] | None
    clips: pa.Table
    records: Sequence[tuple[Mapping[str, list], Mapping[str, list[list]]]]


def items(facts: Facts) -> list[Item]:
    """Returns every item of frames, and of flow where there is any; of a data set with at least one record."""
    made = facts.clips.filter(pc.equal(facts.clips["status"], "ok"))
    configuration = facts.info.get("configuration", {})
    encode, trimmed = configuration.get("encode", {}), configuration.get("source", {}).get("trimmed")
    sides = np.minimum(made["width"].to_numpy(), made["height"].to_numpy())
    frames = made["num_frames"].to_numpy()
    upscaled = Counter(_values(facts, f"{contract.QUALITY_PREFIX}/upscaled"))
    rates = Counter(_values(facts, f"{contract.IMAGE_PREFIX}/frame_rate"))
    looped = int(np.count_nonzero(frames < _TRAINING_FRAMES))
    found = [
        _item("frames a second", "25", _told(rates), rates.keys() == {25.0}, _README),
        _item("shorter side, pixels", "256", _told(Counter(sides.tolist())), set(sides.tolist()) == {256}, _README),
        Item(
            "resizing",
            "bilinear by the readme, area by the graph where it shrinks",
            encode.get("resize", "?"),
            "yes" if encode.get("resize") in ("area", "bilinear") else "no" if "resize" in encode else "unknown",
            f"{_README}; {_GRAPH}",
        ),
        _item(
            "enlarged videos",
            "not said; the graph enlarges what is smaller",
            f"{upscaled[1]} of {plural(upscaled.total(), 'record')} looked at",
            None,
            _GRAPH,
        ),
        _item(
            "sample aspect ratio", "stored pixels, as they are", _aspect(encode), _no(encode.get("apply_sar")), _GRAPH
        ),
        _item(
            "extent", "the annotated interval, 10 s", _extent(trimmed, made), _not_whole(trimmed), "paper, section 3"
        ),
        _item(
            f"frames, {_TRAINING_FRAMES} for training",
            "shorter videos are looped",
            f"{plural(looped, 'record')} of {len(frames):,} to be looped",
            True,
            "paper, section 2.5",
        ),
        _item("frames' compression", "not said", f"JPEG, quality {encode.get('jpeg_quality', '?')}", None, _README),
        _label_item(facts),
    ]
    return found + (_flow_items(facts) if facts.info.get("flow") else [_NO_FLOW])


_NO_FLOW = Item("flow", "TV-L1 of the resized frames, for its second stream", "none", "no", _README)


def _item(name: str, original: str, found: str, met: bool | None, source: str) -> Item:
    return Item(name, original, found, "unknown" if met is None else "yes" if met else "no", source)


def _flow_items(facts: Facts) -> list[Item]:
    methods = Counter(map(_text, _values(facts, contract.FLOW_METHOD)))
    parameters = Counter(map(_text, _values(facts, contract.FLOW_PARAMETERS)))
    bounds = Counter(_values(facts, contract.FLOW_SATURATION))
    roundings = Counter(map(_text, _values(facts, contract.FLOW_ROUNDING)))
    formats = Counter(_flow_format(lists) for _, lists in facts.records if lists.get(contract.FLOW_ENCODED))
    imported = "imported" in methods
    return [
        _item("flow's method", "TV-L1", _told(methods), methods.keys() <= {"tvl1", "tvl1_fast"}, _README),
        _item(
            "its parameters",
            "OpenCV's defaults",
            "OpenCV's defaults" if _are_opencvs(parameters) else _told(parameters),
            methods.keys() == {"tvl1"} and _are_opencvs(parameters),
            _GRAPH,
        ),
        _item(
            "its frames",
            "grey, after resizing",
            "whoever made it knows" if imported else "luma (BT.601), after resizing",
            None if imported else True,
            f"{_GRAPH}; {_ISSUES} 34",
        ),
        _item("its bound, pixels", "±20, clipped", _told(bounds), bounds.keys() == {20.0}, f"{_README}; {_ISSUES} 107"),
        _item("its levels", "256, linear from −20 to 20", "256, linear within the bound", True, f"{_ISSUES} 24"),
        _item(
            "their rounding",
            "not said; the graph truncates",
            _told(roundings),
            None,
            "MediaPipe, flow_quantizer_model.cc",
        ),
        _item("their compression", "not said; the graph's is JPEG 4:2:0, 100", _told(formats), None, _GRAPH),
    ]


def _label_item(facts: Facts) -> Item:
    name, published = facts.info.get("name", ""), None
    if isinstance(name, str):
        published = shipped_labels(name)
    if published is None or facts.labels is None:
        what = f"{len(facts.labels):,} names" if facts.labels else "none"
        return Item("labels", "for K400 and K600: the names by code point", what, "unknown", "kinetics-i3d, data/")
    same = tuple(facts.labels) == published
    what = "the same" if same else f"another list, of {len(facts.labels):,} names: outputs are to be mapped by name"
    return _item("labels", f"the list of {len(published):,} names that came with it", what, same, "kinetics-i3d, data/")


def _values(facts: Facts, key: str) -> Iterable[Any]:
    return [value for context, _ in facts.records for value in context.get(key, ())]


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _told(counts: Counter) -> str:
    """Returns values, the most frequent first, with their counts where there are several."""
    if not counts:
        return "not said by the records"
    if len(counts) == 1:
        return _shown(next(iter(counts)))
    common = counts.most_common(4)
    more = ", …" if len(counts) > len(common) else ""
    return ", ".join(f"{_shown(value)} ({count:,}×)" for value, count in common) + more


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _aspect(encode: Mapping[str, Any]) -> str:
    return {None: "?", True: "applied", False: "stored pixels, as they are"}[encode.get("apply_sar")]


def _no(value: Any) -> bool | None:
    return None if value is None else not value


def _extent(trimmed: Any, made: pa.Table) -> str:
    how = {True: "files of just the clip", False: "cut from whole videos", "whole": "all of each file"}
    median = float(np.median(made["duration_s"].to_numpy()))
    return f"{how.get(trimmed, '?')}; median {median:.3g} s"


def _not_whole(trimmed: Any) -> bool | None:
    return None if trimmed is None else trimmed != "whole"


def _are_opencvs(parameters: Counter) -> bool:
    try:
        return bool(parameters) and all(json.loads(text) == asdict(TVL1Parameters()) for text in parameters)
    except ValueError:
        return False


def _flow_format(lists: Mapping[str, list[list]]) -> str:
    image = next((value for step in lists[contract.FLOW_ENCODED] for value in step), b"")
    if image.startswith(b"\x89PNG"):
        return "PNG"
    try:
        return f"JPEG {':'.join(simplejpeg.decode_jpeg_header(image)[3])}"
    except ValueError:
        return "no image"

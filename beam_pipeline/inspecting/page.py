"""The page itself, and what comes with it: everything from outside escaped, nothing from elsewhere loaded."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import cv2
import jinja2
import yaml

from beam_pipeline.clips import utc_now
from beam_pipeline.inspecting.rows import FLAGS, STATUSES, Rows
from beam_pipeline.inspecting.summaries import summary_of
from beam_pipeline.summary import size_text
from beam_pipeline.viewing.flow_colours import colour_wheel
from beam_pipeline.web import without_secrets

ASSETS = {
    "inspect.css": "text/css",
    "tabulator_simple.min.css": "text/css",
    **dict.fromkeys(("chart.umd.min.js", "tabulator.min.js"), "text/javascript"),
    **dict.fromkeys(("elements.js", "served.js", "stored.js", "charts.js"), "text/javascript"),
    **dict.fromkeys(("tables.js", "clip.js", "inspect.js"), "text/javascript"),
    "flow_wheel.png": "image/png",
}
"""Files that the page loads from `assets/`, and their types."""

_WHEEL_PX = 132  # three for each that it is shown at
_VENDORED = ("chart.umd.min.js", "tabulator.min.js", "tabulator_simple.min.css")

# What a browser may load: what lies beside the page. The origin of a page on a disk is nobody's, so that it has to be
# said by scheme; a server's page may ask it, too.
STORED_POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' file: data:; "
    "media-src 'self' file:; base-uri 'none'; form-action 'none'"
)
SERVED_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)


def asset(name: str) -> bytes:
    """Returns a file of `ASSETS`."""
    if name == "flow_wheel.png":
        _, png = cv2.imencode(".png", colour_wheel(_WHEEL_PX)[..., ::-1])
        return png.tobytes()
    folder = importlib.resources.files("beam_pipeline.inspecting") / "assets"
    return (folder / "vendor" / name if name in _VENDORED else folder / name).read_bytes()


def render_page(splits: Sequence[Rows], summaries: Sequence[dict[str, Any]], served: bool) -> str:
    """Returns the page, HTML.

    Args:
      splits: what is shown.
      summaries: `summary_of` each.
      served: whether a server answers what the page asks; else it lies on a disk.
    """
    first = splits[0]
    configuration = next(
        (rows.info["configuration"] for rows in splits if rows.info and "configuration" in rows.info), None
    )
    return _template().render(
        name=first.split.name,
        config=str((configuration or {}).get("config") or ""),
        version=str((configuration or {}).get("version") or ""),
        directory=without_secrets(first.split.directory),
        state=_state(summaries),
        splits=summaries,
        configuration=_sections(configuration) if configuration else None,
        policy=SERVED_POLICY if served else STORED_POLICY,
        served=served,
        now=utc_now().replace("T", " ").removesuffix("+00:00") + " UTC",
    )


def summaries_of(splits: Sequence[Rows]) -> list[dict[str, Any]]:
    """Returns what the page says of each split."""
    return [summary_of(rows) for rows in splits]


def summary_script(splits: Sequence[Rows], summaries: Sequence[dict[str, Any]], more: Sequence[dict[str, Any]]) -> str:
    """Returns `data/summary.js`: the summaries, what of them needs names, and `more` of each split."""
    shown = [
        {**summary, "labels": rows.labels, "reason_names": rows.reasons, **values}
        for rows, summary, values in zip(splits, summaries, more, strict=True)
    ]
    return f"inspect.summary = {as_script({'statuses': STATUSES, 'flags': FLAGS, 'splits': shown})};\n"


def as_script(value: Any) -> str:
    """Returns JSON that is safe wherever a script may stand: ASCII, and no `<` that could end the script."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


@cache
def _template() -> jinja2.Template:
    source = (importlib.resources.files("beam_pipeline.inspecting") / "assets" / "index.html").read_text()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"count": "{:,}".format, "size": size_text, "hours": _hours_text}
    return environment.from_string(source)


def _hours_text(hours: float) -> str:
    if hours < 1:
        return f"{60 * hours:.1f} minutes"
    return f"{hours:,.1f} hours" if hours < 100 else f"{hours:,.0f} hours"


def _state(summaries: Sequence[dict[str, Any]]) -> dict[str, str]:
    if not all(summary["finished"] for summary in summaries):
        return {"kind": "running", "text": "being made, or stopped"}
    if not all(summary["complete"] for summary in summaries):
        return {"kind": "running", "text": "a part of what is asked for"}
    return {"kind": "complete", "text": "complete"}


def _sections(configuration: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Returns the configuration as tables, one of single values and one for each group; what is not set is left out."""
    single = _flat({key: value for key, value in configuration.items() if not isinstance(value, dict)})
    groups = [(key, _flat(value)) for key, value in configuration.items() if isinstance(value, dict)]
    return [(title, rows) for title, rows in [("data set", single), *groups] if rows]


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        elif value not in (None, []):
            rows.append((f"{prefix}{key}", _text(value)))
    return rows


def _text(value: Any) -> str:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value)
    return yaml.safe_dump(value, allow_unicode=True).removesuffix("...\n").strip()

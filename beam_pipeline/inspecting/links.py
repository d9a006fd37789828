"""Where a clip's source is on the web."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from beam_pipeline.web import is_url, without_secrets

_YOUTUBE_ID_RE = re.compile(r"[A-Za-z0-9_-]{11}")


def source_link(row: Mapping[str, Any]) -> str | None:
    """Returns an address for a browser, of http or https; None where there is none.

    Args:
      row: a ledger's. Where its source is a file on the web it is that; else the video on YouTube, if its id is one.
    """
    if is_url(row["source_uri"]):
        return without_secrets(row["source_uri"])
    if _YOUTUBE_ID_RE.fullmatch(row["video_id"]):
        query = urllib.parse.urlencode({"v": row["video_id"], "t": f"{max(0, int(row['start_s']))}s"})
        return f"https://www.youtube.com/watch?{query}"
    return None

"""Where a clip's source is on the web."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from beam_pipeline.web import is_url, without_secrets

# 64 bits in base64url: of the last of eleven characters the lowest two bits are none.
_YOUTUBE_ID = "[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]"
_MOST = 0.9  # of the ids of a data set from there; of other ids of that length it is a quarter


def source_link(row: Mapping[str, Any], on_youtube: bool) -> str | None:
    """Returns an address for a browser, of http or https; None where there is none.

    Args:
      row: a ledger's. Where its source is a file on the web it is that; else the video on YouTube, if its id is one.
      on_youtube: whether the data set's videos are there (`are_on_youtube`): an id alone does not tell.
    """
    if is_url(row["source_uri"]):
        return without_secrets(row["source_uri"])
    if on_youtube and re.fullmatch(_YOUTUBE_ID, row["video_id"]):
        query = urllib.parse.urlencode({"v": row["video_id"], "t": f"{max(0, int(row['start_s']))}s"})
        return f"https://www.youtube.com/watch?{query}"
    return None


def are_on_youtube(video_ids: pa.ChunkedArray) -> bool:
    """Whether videos are on YouTube, or were, as far as their ids tell: nearly all of them are ids as it gives them."""
    if not len(video_ids):
        return False
    matching = pc.sum(pc.match_substring_regex(video_ids, f"^{_YOUTUBE_ID}$")).as_py()
    return matching >= _MOST * len(video_ids)

"""Names of classes: what can be one, and which of a list is nearest to one that is not in it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

# Control characters and line separators, which no list of names can hold, and bytes that were not UTF-8 (files are
# decoded with surrogateescape).
_NOT_IN_NAMES_RE = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


def is_name(text: str) -> bool:
    """Whether text can stand in a list of names: without control characters, and UTF-8 throughout."""
    return text.isprintable() or not _NOT_IN_NAMES_RE.search(text)


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Returns ` (did you mean 'a' or 'b'?)` with up to three of the names nearest to `name`, or '' if none is near.

    Case and underscores don't count as a difference, so that `Air_Drumming` finds `air drumming`.
    """
    by_plain: dict[str, list[str]] = {}
    for candidate in names:
        by_plain.setdefault(_plain(candidate), []).append(candidate)
    near = [same for plain in difflib.get_close_matches(_plain(name), by_plain, n=3) for same in by_plain[plain]]
    return f" (did you mean {' or '.join(map(repr, near[:3]))}?)" if near else ""


def _plain(name: str) -> str:
    return name.lower().replace("_", " ")

"""What web servers' addresses and answers say, and what of them may be shown."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_CREDENTIALS_RE = re.compile(r"(?<=://)[^/\s]*@")
_BARE_CREDENTIALS_RE = re.compile(r"[^\s/@:'\"]+:[^\s/'\"]+@")
_URL_RE = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)
_SECONDS_RE = re.compile(r"[0-9]{1,18}")


def is_url(path: str) -> bool:
    """Whether a path is a web address, which Beam's file systems don't read."""
    return path.lower().startswith(("http://", "https://"))


def without_secrets(address: str) -> str:
    """Returns an address as messages and records show it: without what lets one in. A path is shown as it is."""
    if "://" not in address:
        return address
    shown = _CREDENTIALS_RE.sub("", address)
    return re.split("[?#]", shown, maxsplit=1)[0] if is_url(address) else shown


def message_of(error: BaseException) -> str:
    """Returns an exception's message in one line, its addresses without secrets; its type where it has none."""
    text = _URL_RE.sub(lambda url: re.split("[?#]", _CREDENTIALS_RE.sub("", url[0]))[0], str(error))
    text = _BARE_CREDENTIALS_RE.sub("", text)
    return " ".join(text.split()) or type(error).__name__


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds that `Retry-After` asks one to wait, a number or a date by the server's own clock.

    Args:
      headers: of an answer, whose names may be written in any case.
    """
    text = (headers.get("Retry-After") or "").strip()
    if _SECONDS_RE.fullmatch(text):
        return float(text)
    try:
        until = parsedate_to_datetime(text).timestamp()
        now = parsedate_to_datetime(headers["Date"]).timestamp() if headers.get("Date") else time.time()
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, until - now)

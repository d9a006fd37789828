"""What yt-dlp's failures mean: from its messages, and YouTube's own that it passes on, to the classes of a clip's fate.

The messages are those of yt_dlp/extractor/youtube, extractor/generic.py, networking/ and YoutubeDL.py, and the reasons
that YouTube gives for a video that does not play. They have no codes, so words are all there is to go by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from beam_pipeline.clips import ClipError
from beam_pipeline.web import retry_after_s

_MAX_DETAIL = 300

# The first row that matches decides: refusals before what they may be about, and each cause before what it sounds like.
_MESSAGES: tuple[tuple[str, str], ...] = (
    # A refusal of whoever asks, whatever the video.
    (r"not a bot|captcha|anti-bot|unusual traffic|IP is likely being blocked", "bot_check"),
    (
        r"rate.?limited|HTTP Error 429|HTTP Error 402|Too Many Requests|content isn't available, try again",
        "rate_limited",
    ),
    # HTTP, where the server says no more than a number.
    (r"HTTP Error 404", "not_found"),
    (r"HTTP Error 410", "removed"),
    (r"HTTP Error 401", "login_required"),
    (r"HTTP Error 451", "geo_blocked"),
    (r"HTTP Error 416", "unreadable"),
    (r"HTTP Error \d{3}", "network"),
    # The video.
    (r"confirm your age|age.restricted|age.verification|inappropriate for some users", "age_restricted"),
    (r"video is private|private video", "private"),
    (
        r"in your (country|region|location|current location)|from your location|geo.?restrict|available in your",
        "geo_blocked",
    ),
    (r"copyright|who has blocked it", "copyright"),
    (
        r"members.only|channel's members|join this .*channel|premium (members|subscribers)|YouTube Premium|"
        r"Music Premium|requires payment|requires? purchase|rent or buy|Google Workspace|"
        r"sign in|log ?in\b|login details|registered users|account cookies",
        "login_required",
    ),
    # Not a video (yet), or none that this software may have.
    (r"An error occurred|page needs to be reloaded|something went wrong", "network"),
    (
        r"live event|live stream|livestream|premiere|is offline|not currently live|processing this video|upcoming|"
        r"DRM|Requested format is not available|No video formats found|not available on this app|"
        r"playback on other websites|larger than",
        "format_unavailable",
    ),
    (
        r"removed|terminated|deleted|closed their|no longer available|isn't available any ?more|does(n't| not) exist|"
        r"video (is |has been made )?unavailable|video (isn't|is not) available|content (isn't|is not) available|"
        r"content warning",
        "removed",
    ),
    (r"video not found|Incomplete YouTube ID|file not found", "not_found"),
    # The network itself.
    (
        r"timed? ?out|timeout|connection|proxy|name resolution|Name or service not known|getaddrinfo|resolve|"
        r"Network is unreachable|No route to host|bytes read|IncompleteRead|Remote end closed|EOF occurred|SSL|TLS|"
        r"certificate|reset by peer|refused|aborted|Broken pipe|temporar|Failed to extract any player response|"
        r"Incomplete data|Unable to download",
        "network",
    ),
    (r"downloaded file is empty|Invalid data found", "unreadable"),
    (r"Unsupported URL|not a valid URL|playlist|disabled by default", "unsupported"),
)
_ROWS = tuple((re.compile(pattern, re.IGNORECASE), reason) for pattern, reason in _MESSAGES)

# What is said when nothing was learned of the video: if YouTube refused something on the way, that is the cause.
_UNTELLING_RE = re.compile(
    r"Failed to extract any player response|No video formats found|Requested format is not available|"
    r"Unable to extract|extractor error has occurred"
)
_REFUSED_RE = re.compile(r"HTTP Error (429|403|402|5\d\d)|timed out|timeout|Connection", re.IGNORECASE)

# Of a message: what changes from one time to the next, and advice for people at yt-dlp's command line.
_NOISE = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), replacement)
    for pattern, replacement in (
        (r"\x1b\[[0-9;]*m", ""),
        (r"^\s*ERROR:\s*", ""),
        (r"^\[[\w:+-]+\]\s+", ""),
        (r"^[\w-]{11}:\s+", ""),
        (r"\s*;?\s*please report this issue on.*$", ""),
        (r"\s*\(caused by .*$", ""),
        (
            r"\s*\b(Use --|You might want to use|It is recommended to use|For more information|Also see|Learn more).*$",
            "",
        ),
        (r",?\s*\bsee\s+https?://.*$", ""),
        (r"<[\w.]+ object at 0x[0-9a-f]+>:?\s*", ""),
        (r"\w*Connection(Pool)?\(host='[^']*', port='?\d+'?\):?\s*", ""),
        (r"with url: \S+ ?", ""),
        (r"\b\w+://[^\s'\"]*@|[^\s/@:'\"]+:[^\s/'\"]+@", ""),
        (r"https?://\S+", ""),
        (r"\d+ bytes read, \d+ more expected", "fewer bytes came than were announced"),
        (r"\b(begin|premieres?|starts?) in (\d+|a few|an?|one) [a-z]+", r"\1 later"),
    )
)


class FetchError(ClipError):
    """A `ClipError` of a visit, and how many seconds the site itself asks one to wait, where it says so."""

    def __init__(self, reason: str, detail: str, retry_after_s: float | None = None):
        super().__init__(reason, detail)
        self.args = (reason, detail, retry_after_s)
        self.retry_after_s = retry_after_s


def reason_of(message: str) -> str:
    """Returns the class of `clips.REASONS` for a message; `crashed`, which is tried again, if it is unknown."""
    message = message.replace("\u2019", "'")
    return next((reason for pattern, reason in _ROWS if pattern.search(message)), "crashed")


def detail_of(message: str) -> str:
    """Returns a message as one line for people: no addresses, times, secrets, or advice on yt-dlp's command line."""
    for pattern, replacement in _NOISE:
        message = pattern.sub(replacement, message)
    return " ".join(message.split())[:_MAX_DETAIL].rstrip(" :") or "yt-dlp gives no reason"


def fetch_error(error: BaseException, refusals: list[BaseException]) -> FetchError:
    """Returns what an exception of yt-dlp's means.

    Args:
      error: what was raised.
      refusals: HTTP and network errors of the same visit, some of which yt-dlp swallows and goes on without an answer.
    """
    from yt_dlp.networking.exceptions import TransportError

    message = _message(error)
    if _UNTELLING_RE.search(message):
        causes = [_message(refusal) for refusal in refusals]
        message = next((cause for cause in causes if reason_of(cause) == "rate_limited"), None) or next(
            (cause for cause in causes if _REFUSED_RE.search(cause)), message
        )
    reason = reason_of(message)
    if reason == "crashed" and any(isinstance(each, (TransportError, ConnectionError)) for each in _chain(error)):
        reason = "network"  # whatever it is worded like
    waits = [wait_s for each in (*_chain(error), *refusals) if (wait_s := _retry_after_s(each)) is not None]
    return FetchError(reason, detail_of(message), max(waits, default=None))


def _message(error: BaseException) -> str:
    """Returns an extractor's own wording, if it is one's: what is raised at last repeats it with an id and advice."""
    for each in _chain(error):
        if message := getattr(each, "orig_msg", None):
            return str(message)
    return str(error) or type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        cause = getattr(error, "cause", None)  # yt-dlp's own
        error = cause if isinstance(cause, BaseException) else error.__cause__ or error.__context__


def _retry_after_s(error: BaseException) -> float | None:
    """Returns how many seconds the answer that an HTTP error is about asks one to wait."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    return retry_after_s(headers) if headers else None

"""What yt-dlp's messages mean: each is one that it, or YouTube through it, really gives."""

from __future__ import annotations

import pickle
from io import BytesIO

import pytest
from yt_dlp.networking.common import Response
from yt_dlp.networking.exceptions import HTTPError, IncompleteRead, ProxyError, SSLError, TransportError
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError

from beam_pipeline.clips import REASONS, ClipError
from beam_pipeline.sources.youtube_errors import _ROWS, FetchError, detail_of, fetch_error, reason_of

_COOKIES = (
    " Use --cookies-from-browser or --cookies for the authentication. "
    "See  https://github.com/yt-dlp/yt-dlp/wiki/FAQ#how-do-i-pass-cookies-to-yt-dlp  for how to manually pass cookies. "
    "Also see  https://github.com/yt-dlp/yt-dlp/wiki/Extractors#exporting-youtube-cookies  for tips on effectively "
    "exporting YouTube cookies"
)
_GONE = "This video is no longer available because the YouTube account associated with this video has been terminated"

MESSAGES = [
    ("bot_check", "Sign in to confirm you\u2019re not a bot." + _COOKIES),
    ("bot_check", "Sign in to confirm you're not a bot. This helps protect our community. Learn more"),
    ("bot_check", "Video unavailable. YouTube is requiring a captcha challenge before playback"),
    ("bot_check", "All player responses are invalid. Your IP is likely being blocked by Youtube"),
    ("bot_check", "Got HTTP Error 403 caused by Cloudflare anti-bot challenge; try again with  --extractor-args"),
    ("rate_limited", "Unable to download webpage: HTTP Error 429: Too Many Requests"),
    ("rate_limited", "Unable to download webpage: HTTP Error 402: Payment Required"),
    ("rate_limited", "Video unavailable. This content isn't available, try again later. The current session has been "
     "rate-limited by YouTube for up to an hour. It is recommended to use `-t sleep` to add a delay"),
    ("rate_limited", "This content isn\u2019t available, try again later."),
    ("not_found", "Unable to download webpage: HTTP Error 404: Not Found (caused by <HTTPError 404: Not Found>)"),
    ("not_found", "Incomplete YouTube ID abc. URL https://www.youtube.com/watch?v=abc looks truncated."),
    ("removed", "Unable to download webpage: HTTP Error 410: Gone"),
    ("login_required", "Unable to download webpage: HTTP Error 401: Unauthorized"),
    ("geo_blocked", "Unable to download webpage: HTTP Error 451: Unavailable For Legal Reasons"),
    ("unreadable", "HTTP Error 416: Requested range not satisfiable"),
    ("network", "unable to download video data: HTTP Error 403: Forbidden"),
    ("network", "Unable to download API page: HTTP Error 503: Service Unavailable"),
    ("network", "Unable to download API page: HTTP Error 400: Bad Request"),
    ("age_restricted", "Sign in to confirm your age. This video may be inappropriate for some users." + _COOKIES),
    ("age_restricted", "This video is age-restricted and only available on YouTube"),
    ("age_restricted", "This video requires age verification"),
    ("private", "Private video. Sign in if you've been granted access to this video." + _COOKIES),
    ("private", "This video is private. If the owner of this video has granted you access, please sign in."),
    ("private", "This is a private video. Please sign in to verify that you may see it."),
    ("geo_blocked", "The uploader has not made this video available in your country"),
    ("geo_blocked", "Video unavailable. This video is not available in your country"),
    ("geo_blocked", "This video contains content from SME, who has blocked it in your country on copyright grounds"),
    ("geo_blocked", "This video is not available from your location due to geo restriction"),
    ("copyright", "Video unavailable. This video is no longer available due to a copyright claim by Example Records"),
    ("copyright", "This video contains content from UMG, who has blocked it on copyright grounds"),
    ("copyright", "This video contains content from Mosfilm, who has blocked it from display on this website"),
    ("copyright", f"{_GONE} due to multiple third-party notifications of copyright infringement."),
    ("login_required", "Join this channel to get access to members-only content like this video, and other perks."),
    ("login_required", "Join this channel from your computer or Android app to get access to members-only content"),
    ("login_required", "This video is available to this channel's members on level: Tomato (or any higher level). Join "
     "this channel to get access to members-only content and other exclusive perks."),
    ("login_required", "This video is available to this channel's members on level: Level 2. Join this YouTube"),
    ("login_required", "Video unavailable. This video is only available to Music Premium members"),
    ("login_required", "This video requires payment to watch"),
    ("login_required", "This video is restricted. Please check the Google Workspace administrator"),
    ("login_required", "Please sign in." + _COOKIES),
    ("login_required", "Login details are needed to download this content." + _COOKIES),
    ("login_required", "This video is only available for registered users"),
    ("login_required", "The provided YouTube account cookies are no longer valid. They have likely been rotated"),
    ("network", "An error occurred. Please try again later."),
    ("network", "The page needs to be reloaded."),
    ("format_unavailable", "This live event will begin in 3 hours."),
    ("format_unavailable", "Premieres in 14 hours"),
    ("format_unavailable", "This live stream recording is not available."),
    ("format_unavailable", "The channel is not currently live"),
    ("format_unavailable", "We're processing this video. Check back later."),
    ("format_unavailable", "This video is DRM protected"),
    ("format_unavailable", "Requested format is not available. Use --list-formats for a list of available formats"),
    ("format_unavailable", "No video formats found!"),
    ("format_unavailable", "The following content is not available on this app.. Watch on the latest version"),
    ("format_unavailable", "Video unavailable. Playback on other websites has been disabled by the video owner"),
    ("removed", "Video unavailable"),
    ("removed", "Video unavailable. This video is not available"),
    ("removed", "Video unavailable. This video is unavailable"),
    ("removed", "This video isn't available anymore"),
    ("removed", "This video isn\u2019t available any more"),
    ("removed", "Video unavailable. This video has been removed by the uploader"),
    ("removed", "This video has been removed for violating YouTube's Terms of Service"),
    ("removed", "This video has been removed for violating YouTube's policy on hate speech. Learn more at https://x.y/"),
    ("removed", "This video does not exist."),
    ("removed", f"Video unavailable. {_GONE}."),
    ("removed", "This video is no longer available because the uploader has closed their YouTube account."),
    ("network", "Unable to download webpage: ('Connection aborted.', ConnectionResetError(104, 'Connection reset'))"),
    ("network", "Unable to download webpage: HTTPSConnectionPool(host='www.youtube.com', port=443): Read timed out."),
    ("network", "Unable to download webpage: [Errno 111] Connection refused"),
    ("network", "<urllib3.connection.HTTPSConnection object at 0x7f1>: Failed to resolve 'www.youtube.com' "
     "([Errno -3] Temporary failure in name resolution)"),
    ("network", "Cannot connect to proxy. RemoteDisconnected('Remote end closed connection without response')"),
    ("network", "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1006)"),
    ("network", "EOF occurred in violation of protocol (_ssl.c:1006)"),
    ("network", "1203 bytes read, 4001 more expected"),
    ("network", "Failed to extract any player response"),
    ("network", "Incomplete data received"),
    ("unreadable", "The downloaded file is empty"),
    ("unsupported", "Unsupported URL: https://example.com/"),
    ("unsupported", "'abc' is not a valid URL. Set --default-search \"ytsearch\""),
    ("unsupported", "file:// URLs are disabled by default in yt-dlp for security reasons."),
    ("crashed", "Unable to extract something that nobody has heard of"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "message"), MESSAGES, ids=[message[:50] for _, message in MESSAGES])
def test_a_message_has_its_class(reason: str, message: str) -> None:
    assert reason_of(message) == reason


def test_every_row_of_the_table_decides_a_message() -> None:
    deciding = set()
    for _, message in MESSAGES:
        plain = message.replace("\u2019", "'")
        deciding |= {next((row for row in _ROWS if row[0].search(plain)), None)}
    assert deciding >= set(_ROWS)


def test_every_class_is_known() -> None:
    assert {reason for _, reason in _ROWS} <= set(REASONS)


@pytest.mark.parametrize(
    ("message", "detail"),
    [
        ("ERROR: [youtube] -bcdefghij_: Private video", "Private video"),
        ("\x1b[0;31mERROR:\x1b[0m [youtube] -bcdefghij_: Private video", "Private video"),
        ("Sign in to confirm your age." + _COOKIES, "Sign in to confirm your age."),
        ("Video unavailable.\nReally", "Video unavailable. Really"),
        ("Premieres in 14 hours", "Premieres later"),
        ("This live event will begin in a few moments.", "This live event will begin later."),
        (
            "Unable to download webpage: HTTP Error 404: Not Found (caused by <HTTPError 404: Not Found>)",
            "Unable to download webpage: HTTP Error 404: Not Found",
        ),
        (
            "HTTPSConnectionPool(host='rr1---sn-ab.googlevideo.com', port=443): Max retries exceeded with url: "
            "/videoplayback?expire=1&sig=AB (Caused by NewConnectionError('refused'))",
            "Max retries exceeded",
        ),
        ("<urllib3.connection.HTTPConnection object at 0x7f12>: Failed to establish a connection", "Failed to"),
        ("Unable to connect to proxy http://user:secret@proxy.example:3128/", "Unable to connect to proxy"),
        ("Unable to connect to proxy user:secret@proxy.example", "Unable to connect to proxy proxy.example"),
        ("Unable to connect to proxy http://user:secret@secret@proxy:3128 refused", "Unable to connect to proxy proxy"),
        ("Unable to connect to proxy: user:secret@secret@proxy refused", "Unable to connect to proxy: proxy refused"),
        ("3000 bytes read, 163568 more expected", "fewer bytes came than were announced"),
        ("KeyError('x'); please report this issue on  https://github.com/yt-dlp  , filling out", "KeyError('x')"),
        ("", "yt-dlp gives no reason"),
    ],
)
def test_a_detail_is_one_line_without_what_changes_or_is_secret(message: str, detail: str) -> None:
    result = detail_of(message)
    assert result.startswith(detail)
    assert "secret" not in result
    assert "0x7f" not in result
    assert "\n" not in result


def test_a_detail_has_an_end() -> None:
    assert len(detail_of("word " * 10_000)) <= 300


def http_error(status: int, **headers: str) -> HTTPError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HTTPError(Response(BytesIO(), "https://www.youtube.com/", named, status=status))


def raised(error: ExtractorError) -> DownloadError:
    """As `YoutubeDL.extract_info` raises it: from within the handling of the extractor's error."""
    try:
        try:
            raise error
        except ExtractorError as inner:
            raise DownloadError(f"ERROR: {inner}") from None
    except DownloadError as outer:
        return outer


def test_the_extractors_own_words_are_what_counts() -> None:
    error = fetch_error(raised(ExtractorError("Private video", expected=True, video_id="-b", ie="youtube")), [])
    assert (error.reason, error.detail) == ("private", "Private video")


def test_a_geo_restriction_is_one_without_advice() -> None:
    error = fetch_error(raised(GeoRestrictedError("This video is not available in your country", ["DE"])), [])
    assert (error.reason, error.detail) == ("geo_blocked", "This video is not available in your country")


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry_After": "17"}, 17),
        ({"Retry_After": "Wed, 25 Nov 2026 10:01:30 GMT", "Date": "Wed, 25 Nov 2026 10:00:00 GMT"}, 90),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "-5"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], wait_s: float | None) -> None:
    cause = http_error(429, **headers)
    error = fetch_error(raised(ExtractorError("Unable to download webpage", cause=cause)), [])
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize(
    "swallowed", [http_error(429), http_error(503), TransportError("Read timed out. (read timeout=20.0)")]
)
@pytest.mark.parametrize("message", ["No video formats found!", "Failed to extract any player response"])
def test_a_message_that_tells_nothing_gives_way_to_what_was_refused(swallowed: Exception, message: str) -> None:
    error = fetch_error(raised(ExtractorError(message)), [http_error(404), swallowed])
    assert error.reason == reason_of(str(swallowed))
    assert REASONS[error.reason]


def test_a_message_that_tells_something_does_not_give_way() -> None:
    assert fetch_error(raised(ExtractorError("Private video")), [http_error(429)]).reason == "private"


@pytest.mark.parametrize(
    "error",
    [
        IncompleteRead(12, 30),
        ProxyError("Cannot connect to proxy"),
        SSLError("handshake"),
        ConnectionResetError(104, "x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_transport_errors_are_the_network(error: Exception) -> None:
    assert fetch_error(error, []).reason == "network"


def test_a_fetch_error_goes_from_process_to_process() -> None:
    error = pickle.loads(pickle.dumps(FetchError("rate_limited", "HTTP Error 429", 12.5)))
    assert isinstance(error, ClipError)
    assert (error.reason, error.detail, error.retry_after_s) == ("rate_limited", "HTTP Error 429", 12.5)

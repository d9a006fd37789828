"""What a configuration may say of YouTube, and how yt-dlp is told."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from beam_pipeline.sources.formats import choose
from beam_pipeline.sources.settings import YouTube
from beam_pipeline.web import message_of

# Parameters of yt_dlp.YoutubeDL that `source.youtube.options` may set: how the network and the extractors are used.
# What runs programs, writes files, loads code or changes what comes back is left out, and so is what has a setting.
OPTIONS: dict[str, tuple[type[Any], ...]] = {
    "extractor_args": (dict,),
    "extractor_retries": (int,),
    "geo_bypass": (bool,),
    "geo_bypass_country": (str,),
    "geo_bypass_ip_block": (str,),
    "geo_verification_proxy": (str,),
    "http_headers": (dict,),
    "impersonate": (str,),
    "js_runtimes": (list, tuple),
    "legacyserverconnect": (bool,),
    "nocheckcertificate": (bool,),
    "password": (str,),
    "prefer_insecure": (bool,),
    "socket_timeout": (int, float),
    "source_address": (str,),
    "username": (str,),
    "videopassword": (str,),
}
_JS_RUNTIMES = ("deno", "node", "bun", "quickjs")
_WITH_JS = ("youtube.com", "youtu.be", "youtube-nocookie.com")  # sites whose scripts have to be run, and what is below
_CREDENTIALS = ("authorization", "proxy-authorization", "cookie")  # headers that are not for every server
_BROWSER_RE = re.compile(
    r"(?P<browser>[a-z]+)(?:\+(?P<keyring>[A-Za-z0-9]+))?(?::(?!:)(?P<profile>.+?))?(?:::(?P<container>.+))?"
)


def check_options(youtube: YouTube) -> None:
    """Checks what a configuration says of YouTube, as far as that goes without the site.

    Raises:
      ValueError: names the setting, what was expected, and its value, where that can be no secret.
    """
    if not youtube.url.startswith(("http://", "https://")) or youtube.url.count("{id}") != 1:
        raise ValueError(
            f"url must be an http(s) address with {{id}} once, where the video's id goes, got {youtube.url!r}"
        )
    for number, proxy in enumerate(youtube.proxies, 1):
        if not re.match(r"(https?|socks[45][ah]?)://.", proxy):
            raise ValueError(
                f"proxies must be addresses such as http://HOST:PORT or socks5h://HOST:PORT, number {number} is none"
            )
    if youtube.cookies_from_browser and not _BROWSER_RE.fullmatch(youtube.cookies_from_browser):
        raise ValueError(f"cookies_from_browser must be BROWSER[:PROFILE], got {youtube.cookies_from_browser!r}")
    if youtube.cookies_file:
        _check_cookies(Path(youtube.cookies_file).expanduser())
    for name, value in youtube.options.items():
        _check_option(name, value)
    if youtube.format != "auto" or youtube.cookies_from_browser or "impersonate" in youtube.options:
        _check_by_yt_dlp(youtube)


def check_js_runtime(youtube: YouTube) -> None:
    """Checks that yt-dlp finds something here that runs YouTube's JavaScript, if it is YouTube that is visited.

    Raises:
      ValueError: it does not; says what was tried.
    """
    host = urlsplit(youtube.url).hostname
    if not any(f".{host}".endswith(f".{site}") for site in _WITH_JS):
        return
    load_yt_dlp()
    from yt_dlp.globals import supported_js_runtimes

    tried = []
    for name, settings in _js_runtimes(youtube.options.get("js_runtimes", ("deno",))).items():
        found = supported_js_runtimes.value[name](**settings).info
        if found and found.supported:
            return
        where = f" ({settings['path']})" if settings else ""
        tried.append(f"{name}{where} {f'is too old, {found.version}' if found else 'is missing or does not run'}")
    raise ValueError(
        "yt-dlp needs a JavaScript runtime for YouTube, and finds none that works: "
        f"{'; '.join(tried) or 'none is named'}. `pip install -U deno` brings one; options.js_runtimes names others"
    )


def _check_by_yt_dlp(youtube: YouTube) -> None:
    """Checks what only yt-dlp can tell, which takes a second to load."""
    yt_dlp = load_yt_dlp()
    from yt_dlp.utils import YoutubeDLError

    try:
        downloader = yt_dlp.YoutubeDL(parameters(youtube, None, 256, False))
    except (YoutubeDLError, SyntaxError, ValueError) as error:
        raise ValueError(
            f"yt-dlp does not take format {youtube.format!r} or the options: {message_of(error)}"
        ) from error
    try:
        downloader.cookiejar  # noqa: B018 - loaded when it is first asked for
    except YoutubeDLError as error:
        raise ValueError(f"cookies_from_browser {youtube.cookies_from_browser!r}: {error}") from error


def _check_option(name: str, value: Any) -> None:
    if name not in OPTIONS:
        raise ValueError(f"options.{name} is not one of those that are taken: {', '.join(OPTIONS)}")
    if not isinstance(value, OPTIONS[name]) or (isinstance(value, bool) and bool not in OPTIONS[name]):
        expected = " or ".join(kind.__name__ for kind in OPTIONS[name])
        raise ValueError(f"options.{name} must be of type {expected}, got one of type {type(value).__name__}")
    if name == "js_runtimes" and (unknown := [each for each in value if each not in _JS_RUNTIMES]):
        raise ValueError(f"options.js_runtimes must be names of {', '.join(_JS_RUNTIMES)}, got {unknown[0]!r}")
    if name == "extractor_args":
        for extractor, arguments in value.items():
            if not isinstance(arguments, dict) or not all(
                isinstance(values, list) and all(isinstance(each, str) for each in values)
                for values in arguments.values()
            ):
                raise ValueError(
                    "options.extractor_args must be lists of texts by argument, such as {youtube: {lang: [en]}}, and "
                    f"those of {extractor} are not"
                )
    if name == "http_headers":
        for header, content in value.items():
            if not (isinstance(header, str) and isinstance(content, str)):
                raise ValueError(f"options.http_headers must be texts by name, and {header} is not")
            if header.strip().lower() in _CREDENTIALS:
                raise ValueError(
                    f"options.http_headers may not hold {header}: headers go to every server that a page, a playlist "
                    "or a redirect names. Use cookies_file, whose cookies go to their own sites only"
                )


def _check_cookies(path: Path) -> None:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cookies_file {path} can't be read: {error}") from error
    for number, line in enumerate(lines, 1):
        content = line.removeprefix("#HttpOnly_").strip()
        if content and not content.startswith("#") and len(content.split("\t")) not in (6, 7):
            raise ValueError(f"cookies_file {path}, line {number}: not a cookies.txt as browsers' add-ons export it")


def load_yt_dlp() -> ModuleType:
    """Imports yt-dlp; whatever plug-ins of it happen to be installed are not loaded."""
    import yt_dlp
    import yt_dlp.globals

    yt_dlp.globals.plugin_dirs.value = []
    return yt_dlp


class _Silent:
    """A logger for yt-dlp: what matters comes as exceptions."""

    def debug(self, _message: str) -> None: ...

    warning = error = info = debug


def parameters(youtube: YouTube, proxy: str | None, target_px: int, with_audio: bool) -> dict[str, Any]:
    """Returns the parameters of `yt_dlp.YoutubeDL`; no configuration file of its own is read by anybody."""
    options = {name: value for name, value in youtube.options.items() if name in OPTIONS}
    arguments = {extractor: dict(values) for extractor, values in options.pop("extractor_args", {}).items()}
    if youtube.player_clients:
        arguments.setdefault("youtube", {})["player_client"] = list(youtube.player_clients)
    headers = dict(options.pop("http_headers", {}))
    if youtube.user_agent:
        headers["User-Agent"] = youtube.user_agent
    parameters: dict[str, Any] = {
        "logger": _Silent(),
        "quiet": True,
        "noprogress": True,
        "color": "no_color",
        "noplaylist": True,
        "extract_flat": "in_playlist",  # where there is a list, none of it is looked at
        "playlist_items": "1",
        "check_formats": False,
        "extractor_retries": 1,  # a visit that fails is made again, at the job's pace
        "retries": 1,
        "sleep_interval_requests": youtube.sleep_s,
        "extractor_args": arguments,
        "http_headers": headers,
        "format": youtube.format if youtube.format != "auto" else _selector(target_px, with_audio),
        "proxy": proxy,
        **options,
        "js_runtimes": _js_runtimes(options.get("js_runtimes", ("deno",))),
    }
    if youtube.cookies_file:  # as text: several processes must not write it back
        parameters["cookiefile"] = io.StringIO(Path(youtube.cookies_file).expanduser().read_text("utf-8"))
    if youtube.cookies_from_browser and (match := _BROWSER_RE.fullmatch(youtube.cookies_from_browser)):
        parameters["cookiesfrombrowser"] = match.group("browser", "profile", "keyring", "container")
    if target := options.get("impersonate"):
        from yt_dlp.networking.impersonate import ImpersonateTarget

        parameters["impersonate"] = ImpersonateTarget.from_str(target)
    return parameters


def _selector(target_px: int, with_audio: bool) -> Callable[[Mapping[str, Any]], Iterator[dict[str, Any]]]:
    """Returns `formats.choose` as yt-dlp calls a format selector."""

    def select(context: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        chosen = choose(context["formats"], target_px, with_audio)
        if len(chosen) == 1:
            yield dict(chosen[0])
        elif chosen:
            yield {
                **chosen[0],
                "format_id": "+".join(each["format_id"] for each in chosen),
                "requested_formats": chosen,
            }

    return select


def _js_runtimes(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Returns yt-dlp's `js_runtimes`: deno from the environment's own package, whatever is on the PATH."""
    runtimes: dict[str, dict[str, str]] = {name: {} for name in names}
    if "deno" in runtimes:
        from deno import find_deno_bin

        with contextlib.suppress(FileNotFoundError):
            runtimes["deno"] = {"path": find_deno_bin()}
    return runtimes

"""Small files from the web, such as annotation lists: downloaded once, whole, and kept with their checksum.

    <folder>/<hash of the URL>/train.csv          the very bytes that the server sent
    <folder>/<hash of the URL>/train.csv.json     where they are from, how many, their SHA-256, and when they came

From then on it is the kept file that is read, so that a data set's rows never change under it.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from dataclasses import asdict, dataclass
from urllib.parse import unquote, urlsplit

import requests
import urllib3

from beam_pipeline import files
from beam_pipeline.clips import utc_now
from beam_pipeline.web import is_url, message_of, retry_after_s, without_secrets

__all__ = ["DownloadError", "cached", "is_url", "quoted_url"]

MAX_BYTES = 512 << 20  # the largest list, Kinetics-700's, has 25 MB
_TRIES = 4
_TIMEOUTS_S = (30, 60)  # to connect, and between two pieces of an answer
_ANSWER_S = 3600  # for all of an answer
_LONGEST_WAIT_S = 60  # that a server may ask for
_BLOCK_BYTES = 1 << 18
_UNSAFE_RE = re.compile(r"[^\w .()'+,=@~-]|^[.\s]+|\s+$", re.ASCII)
_BARE_PERCENT_RE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_WEB_PAGES = (b"<!doctype html", b"<html")


class DownloadError(Exception):
    """A file that can't be had from the web, or is no longer what it was; names the URL, the cause and what to do."""


class _PassingError(Exception):
    """What another try may mend, and the seconds that the server asks to wait before it."""

    def __init__(self, cause: str, wait_s: float = 0):
        super().__init__(cause)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class _Note:
    """What is known of a file that was downloaded."""

    url: str
    sha256: str
    bytes: int
    etag: str
    fetched_at: str


def quoted_url(url: str) -> str:
    """Returns a URL as it goes over the wire: `a b` becomes `a%20b`, and what is quoted already stays as it is.

    Raises:
      DownloadError: it is no URL, or names no server.
    """
    try:
        quoted = requests.utils.requote_uri(_BARE_PERCENT_RE.sub("%25", url.strip()))
        host = urlsplit(quoted).hostname
    except ValueError as error:  # requests' InvalidURL is one, too
        raise DownloadError(f"{without_secrets(url)!r} is no URL: {message_of(error)}") from error
    if not host:
        raise DownloadError(f"{without_secrets(url)!r} is no URL: it names no server")
    return quoted


def cached(url: str, folder: str, *, backoff_s: float = 1.0) -> str:
    """Returns the path of a URL's file in a folder, where it is put by the first call and read from ever after.

    Args:
      url: http or https; blanks and the like may be quoted or not.
      folder: on any Beam file system.
      backoff_s: before the second try of a download; doubles with each.

    Raises:
      DownloadError: the file can't be had, or the one that is kept was changed.
      OSError: the folder can't be written.
    """
    url = quoted_url(url)
    name = _file_name(url)
    path = files.join(folder, hashlib.blake2b(url.encode(), digest_size=8).hexdigest(), name)
    note_path = f"{path}.json"
    if (note := _read_note(note_path)) and (found := _sha256(path)) is not None:
        if found != note.sha256:
            raise DownloadError(
                f"{path}: was changed since it came from {without_secrets(url)} at {note.fetched_at}: its SHA-256 is "
                f"{found}, expected {note.sha256}. Delete it to download it anew"
            )
        return path
    content, etag = _download(url, backoff_s)
    files.write_whole(path, content)
    note = _Note(without_secrets(url), hashlib.sha256(content).hexdigest(), len(content), etag, utc_now())
    files.write_whole(note_path, json.dumps(asdict(note), indent=2).encode())
    return path


def _file_name(url: str) -> str:
    """Returns the last part of a URL as a file's name: errors call a list `train.csv`, as people do."""
    last = unquote(urlsplit(url).path).rstrip("/").rpartition("/")[2]
    return _UNSAFE_RE.sub("_", last)[-100:] or "download"


def _read_note(path: str) -> _Note | None:
    content = files.read_whole(path)
    if content is None:
        return None
    try:
        return _Note(**json.loads(content))
    except (ValueError, TypeError):
        raise DownloadError(
            f"{path}: was changed, and says no longer what the file beside it has to be. Delete both to download anew"
        ) from None


def _sha256(path: str) -> str | None:
    digest = hashlib.sha256()
    try:
        with files.open_for_reading(path) as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _download(url: str, backoff_s: float) -> tuple[bytes, str]:
    """Returns what a server has under a URL, and its ETag."""
    shown = without_secrets(url)
    for tries_left in reversed(range(_TRIES)):
        try:
            return _get(url)
        except _PassingError as error:
            if not tries_left:
                raise DownloadError(f"{shown}: {error}, in {_TRIES} tries. Try again later") from error
            time.sleep(max(backoff_s, min(error.wait_s, _LONGEST_WAIT_S)))
            backoff_s *= 2
        except (requests.RequestException, ValueError) as error:
            raise DownloadError(f"{shown}: can't be downloaded: {_one_line(error)}. Is the address right?") from error
    raise AssertionError("the last try returns or raises")


def _get(url: str) -> tuple[bytes, str]:
    shown = without_secrets(url)
    try:
        # Not compressed for the way: what is kept are the file's own bytes, and a length can be checked.
        with requests.get(url, headers={"Accept-Encoding": "identity"}, timeout=_TIMEOUTS_S, stream=True) as response:
            _check_status(shown, response)
            content = _read_body(shown, response)
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
        raise _PassingError(f"the connection failed ({_one_line(error)})") from error
    if not content:
        raise DownloadError(f"{shown}: is an empty file. Is the address right?")
    if content[:1024].lstrip().lower().startswith(_WEB_PAGES):
        raise DownloadError(f"{shown}: is a web page, not a file. Open it in a browser to see what it says")
    return content, response.headers.get("ETag", "")


def _check_status(shown: str, response: requests.Response) -> None:
    status = f"HTTP status {response.status_code} {response.reason}".strip()
    if response.status_code == 200:
        return
    if response.status_code in (408, 425, 429) or response.status_code >= 500:
        raise _PassingError(f"the server answered with {status}", retry_after_s(response.headers) or 0)
    raise DownloadError(
        f"{shown}: the server answered with {status}. Is the address right? A copy on a disk can be named instead"
    )


def _read_body(shown: str, response: requests.Response) -> bytes:
    length = response.headers.get("Content-Length", "")
    expected = int(length) if length.isdecimal() else 0
    deadline = time.monotonic() + _ANSWER_S
    content = bytearray()
    while expected <= MAX_BYTES and len(content) <= MAX_BYTES:
        block = response.raw.read(_BLOCK_BYTES, decode_content=False)
        content += block
        if not block:  # nothing is missing: urllib3 raises where less comes than Content-Length says
            return bytes(content)
        if time.monotonic() > deadline:
            raise _PassingError(f"only {len(content)} bytes came in {_ANSWER_S} seconds")
    size = length or f"more than {MAX_BYTES}"
    raise DownloadError(
        f"{shown}: has {size} bytes, where a list may have {MAX_BYTES} at most. Is it perhaps an archive? These belong "
        "under source.archives"
    )


def _one_line(error: Exception) -> str:
    reason = getattr(error.args[0], "reason", None) if error.args else None  # what urllib3's own retries gave up at
    return message_of(reason if isinstance(reason, Exception) else error)

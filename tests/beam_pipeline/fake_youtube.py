"""YouTube on 127.0.0.1, as a proxy that ends TLS: it answers yt-dlp's own YouTube extractor as the site does.

    with FakeYouTube() as youtube:
        youtube.videos["-abcdefghij"] = Video(BOT_CHECK)
        yt_dlp.YoutubeDL({"proxy": youtube.proxy, "nocheckcertificate": True}).extract_info(...)

Answered are the watch page, that of the embedded player, and `youtubei/v1/player`; and googlevideo.com, with Range
requests and the faults of `FaultyServer` (whose paths are `/videoplayback/ID/ITAG` here). Everything else is a 404.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import socketserver
import ssl
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.beam_pipeline.faulty_server import FaultyServer, _Handler, _Server


def _unplayable(status: str, reason: str, subreason: str = "", **more: Any) -> dict[str, Any]:
    renderer: dict[str, Any] = {"reason": {"simpleText": reason}}
    if subreason:
        renderer["subreason"] = {"runs": [{"text": subreason}]}
    return {"status": status, "reason": reason, "errorScreen": {"playerErrorMessageRenderer": renderer}, **more}


OK = {"status": "OK", "playableInEmbed": True}
BOT_CHECK = _unplayable(
    "LOGIN_REQUIRED", "Sign in to confirm you\u2019re not a bot", "This helps protect our community. Learn more"
)
PRIVATE = _unplayable("LOGIN_REQUIRED", "Private video", "Sign in if you've been granted access to this video")
REMOVED = _unplayable("ERROR", "Video unavailable", "This video has been removed by the uploader")
TERMINATED = _unplayable(
    "ERROR",
    "Video unavailable",
    "This video is no longer available because the YouTube account associated with this video has been terminated.",
)
UNAVAILABLE = _unplayable("ERROR", "Video unavailable")
COPYRIGHT = _unplayable(
    "ERROR", "Video unavailable", "This video is no longer available due to a copyright claim by Example Records"
)
GEO_BLOCKED = _unplayable(
    "UNPLAYABLE", "Video unavailable", "The uploader has not made this video available in your country"
)
AGE_RESTRICTED = _unplayable(
    "LOGIN_REQUIRED",
    "Sign in to confirm your age",
    "This video may be inappropriate for some users.",
    desktopLegacyAgeGateReason=1,
)
MEMBERS_ONLY = _unplayable(
    "UNPLAYABLE",
    "Join this channel to get access to members-only content like this video, and other exclusive perks.",
)
RATE_LIMITED = _unplayable("UNPLAYABLE", "Video unavailable", "This content isn't available, try again later.")
TRAILER = {
    "status": "UNPLAYABLE",
    "reason": "This video requires payment to watch.",
    "errorScreen": {"playerLegacyDesktopYpcTrailerRenderer": {"trailerVideoId": "trailer-123"}},
}
UPCOMING = _unplayable("LIVE_STREAM_OFFLINE", "This live event will begin in 3 hours.")


@dataclass(frozen=True)
class Stream:
    """A format: its file, and what the player API says of it. `mime` is as YouTube's, codecs included."""

    itag: int
    file: Path
    mime: str
    width: int = 0
    height: int = 0
    bitrate: int = 0


@dataclass(frozen=True)
class Video:
    """What YouTube says of a video; `answered_as` is another video's id, `player_status` an HTTP error of the API."""

    playability: dict[str, Any] = field(default_factory=lambda: OK)
    length_s: int = 10
    streams: tuple[Stream, ...] = ()
    answered_as: str = ""
    player_status: int = 200
    player_headers: dict[str, str] = field(default_factory=dict)


class FakeYouTube(FaultyServer):
    """The proxy; `asked` lists the paths of what it was asked, with their hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.videos: dict[str, Video] = {}
        self.asked: list[str] = []
        self.tls = _tls_context()

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        handler = type("Handler", (_ProxyHandler,), {"owner": self})
        self._server = _Server(("127.0.0.1", self.port), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def player_response(self, video_id: str, has_urls: bool) -> dict[str, Any]:
        """What the player API answers; without URLs, as to clients that are to use YouTube's own protocol."""
        video = self.videos[video_id]
        response: dict[str, Any] = {"responseContext": {}, "playabilityStatus": video.playability}
        if video.playability is REMOVED or video.playability is TERMINATED:
            return response
        shown = video.answered_as or video_id
        response["videoDetails"] = {
            "videoId": shown,
            "title": "A video",
            "lengthSeconds": str(video.length_s),
            "channelId": "UC0123456789012345678901",
            "shortDescription": "",
            "viewCount": "1",
            "author": "Somebody",
            "isLiveContent": False,
            **({"isUpcoming": True} if video.playability is UPCOMING else {}),
        }
        if video.playability is OK:
            streams = [self._stream(shown, each, video, has_urls) for each in video.streams]
            response["streamingData"] = {"expiresInSeconds": "21540", "adaptiveFormats": streams}
        return response

    def _stream(self, video_id: str, stream: Stream, video: Video, has_urls: bool) -> dict[str, Any]:
        path = f"/videoplayback/{video_id}/{stream.itag}"
        self.files[path] = stream.file
        self.types[path] = stream.mime.partition(";")[0]
        size = stream.file.stat().st_size
        described: dict[str, Any] = {
            "itag": stream.itag,
            "mimeType": stream.mime,
            "bitrate": stream.bitrate,
            "averageBitrate": stream.bitrate,
            "contentLength": str(size),
            "approxDurationMs": str(video.length_s * 1000),
        }
        if stream.height:
            described |= {
                "width": stream.width,
                "height": stream.height,
                "qualityLabel": f"{stream.height}p",
                "fps": 30,
            }
            described |= {"quality": "medium"}
        else:
            described |= {"audioQuality": "AUDIO_QUALITY_MEDIUM", "audioSampleRate": "44100", "audioChannels": 2}
            described |= {"quality": "tiny"}
        if has_urls:
            described["url"] = (
                f"https://rr1---sn-example.googlevideo.com/videoplayback?expire=4102444800&id={video_id}"
                f"&itag={stream.itag}&clen={size}&mime={stream.mime.partition(';')[0].replace('/', '%2F')}&sig=AB"
            )
        return described

    def watch_page(self, video_id: str) -> str:
        """The page of a video, or what is of interest in it."""
        shown = json.dumps(self.player_response(video_id, has_urls=False))
        data = json.dumps({"contents": {"twoColumnWatchNextResults": {"results": {}}}})
        config = json.dumps({"INNERTUBE_CONTEXT_CLIENT_NAME": 1, "VISITOR_DATA": "CgtWaXNpdG9yRGF0YQ%3D%3D"})
        return (
            "<!DOCTYPE html><html><head><title>YouTube</title>"
            f"<script>ytcfg.set({config});</script></head><body>"
            f"<script>var ytInitialPlayerResponse = {shown};</script>"
            f"<script>var ytInitialData = {data};</script></body></html>"
        )

    def embed_page(self) -> str:
        """The player for other sites' pages, which yt-dlp tries where a video is age-restricted."""
        client = {"clientName": "WEB_EMBEDDED_PLAYER", "clientVersion": "2.20260708.00.00"}
        return f"<html><script>ytcfg.set({json.dumps({'INNERTUBE_CONTEXT': {'client': client}})});</script></html>"


class _ProxyHandler(_Handler):
    owner: FakeYouTube
    host = ""

    def do_CONNECT(self) -> None:  # noqa: N802
        """Says that there is a connection, and is the other end of it itself."""
        self.host = self.path.rpartition(":")[0]
        self.send_response(200, "Connection established")
        self.end_headers()
        self.wfile.flush()
        self.connection = self.owner.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = socketserver._SocketWriter(self.connection)  # type: ignore[attr-defined]
        self.close_connection = False

    def do_GET(self) -> None:  # noqa: N802
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        self.owner.asked.append(f"{self.host or asked.netloc}{asked.path}")
        if self.host.endswith(".googlevideo.com") and asked.path == "/videoplayback":
            self.path = f"/videoplayback/{query['id']}/{query['itag']}"
            self._answer()
        elif self.host == "www.youtube.com" and asked.path == "/watch" and query.get("v") in self.owner.videos:
            self._send_text(200, "text/html; charset=utf-8", self.owner.watch_page(query["v"]))
        elif self.host == "www.youtube.com" and asked.path.startswith("/embed/"):
            self._send_text(200, "text/html; charset=utf-8", self.owner.embed_page())
        else:
            self._send_text(404, "text/plain", "not found")

    def do_POST(self) -> None:  # noqa: N802
        asked = urlsplit(self.path)
        self.owner.asked.append(f"{self.host or asked.netloc}{asked.path}")
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        video = self.owner.videos.get(body.get("videoId"))
        if not asked.path.endswith("/youtubei/v1/player") or video is None:
            self._send_text(404, "application/json", "{}")
        elif video.player_status != 200:
            self._send_text(video.player_status, "application/json", "{}", video.player_headers)
        else:
            has_urls = body["context"]["client"]["clientName"] == "VISIONOS"
            response = self.owner.player_response(body["videoId"], has_urls)
            self._send_text(200, "application/json; charset=utf-8", json.dumps(response))

    def _send_text(self, status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> None:
        content = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _tls_context() -> ssl.SSLContext:
    """Returns a context with a certificate that nobody but the test has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake-youtube")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return context

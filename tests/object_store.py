"""Google Cloud Storage on 127.0.0.1, as TensorFlow's own client of `gs://` meets it: TLS, listing, ranges and faults.

TensorFlow knows one address, www.googleapis.com, and no other; but it goes through a proxy that `https_proxy` names and
trusts the certificates that `CURL_CA_BUNDLE` names. The proxy here is the other end of each connection itself.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import socketserver
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_HOSTS = ("www.googleapis.com", "storage.googleapis.com")
_CHUNK = 1 << 17


@dataclass(frozen=True)
class Request:
    """What was asked: `kind` is `read`, `stat` or `list`; `start` and `size` are of a read, in bytes."""

    kind: str
    name: str
    start: int = 0
    size: int = 0


@dataclass
class ObjectStore:
    """`with ObjectStore(folder) as store:` serves each folder in `folder` as a bucket.

    Attributes:
      folder: its folders are buckets, its files objects.
      first_byte_s: from the request to the first byte of the answer.
      bytes_per_s: of one connection; 0 for as fast as it goes.
      faults: an answer to a read takes the first of them: a status, or a number of bytes below 0 after which the
        connection breaks (-1 before the first).
      requests: what was asked so far.
      at_least: reads get no answer before so many are asked for at once; 503 if that takes longer than 20 s.
      most_at_once: the largest number of reads that were asked for at once.
    """

    folder: Path
    first_byte_s: float = 0
    bytes_per_s: float = 0
    faults: list[int] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    at_least: int = 0
    most_at_once: int = 0

    def __enter__(self) -> ObjectStore:
        certificate, self.tls = _certificate(self.folder)
        self.lock = threading.Condition()
        self.at_once = 0
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.store = self
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.environment = {
            "https_proxy": f"http://127.0.0.1:{self.server.server_address[1]}",
            "no_proxy": "",
            "CURL_CA_BUNDLE": str(certificate),
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "of-a-test",
            "NO_GCE_CHECK": "true",
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()

    def asked(self, kind: str, suffix: str = "") -> list[Request]:
        """Returns the requests of a kind for objects whose names have a part `suffix`."""
        with self.lock:
            return [request for request in self.requests if request.kind == kind and suffix in request.name]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    store: ObjectStore


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    host = ""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
        with contextlib.suppress(OSError):  # wrapped for TLS, it is no longer the socket that the server closes
            self.connection.close()

    def do_CONNECT(self) -> None:
        self.host = self.path.rpartition(":")[0]
        self.send_response(200, "Connection established")
        self.end_headers()
        self.wfile.flush()
        self.connection = self.server.store.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = socketserver._SocketWriter(self.connection)  # type: ignore[attr-defined]
        self.close_connection = False

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if self.host == "storage.googleapis.com":
            return self._read(unquote(asked.path).lstrip("/"))
        time.sleep(self.server.store.first_byte_s)
        if listing := re.fullmatch(r"/storage/v1/b/([^/]+)/o", asked.path):
            self._list(listing[1], {key: values[0] for key, values in parse_qs(asked.query).items()})
        elif stat := re.fullmatch(r"/storage/v1/b/([^/]+)/o/([^/]+)", asked.path):
            self._stat(f"{stat[1]}/{unquote(stat[2])}")
        else:
            self._send(404, b"{}")

    def _read(self, name: str) -> None:
        store = self.server.store
        path = store.folder / name
        first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups())  # type: ignore[union-attr]
        size = min(last + 1, path.stat().st_size if path.is_file() else 0) - first
        with store.lock:
            store.requests.append(Request("read", name, first, max(size, 0)))
            fault = store.faults.pop(0) if store.faults else 0
            store.at_once += 1
            store.most_at_once = max(store.most_at_once, store.at_once)
            store.lock.notify_all()
            enough = store.lock.wait_for(lambda: store.most_at_once >= store.at_least, timeout=20)
        try:
            time.sleep(store.first_byte_s)
            if not enough:
                self._send(503, b"")
            elif fault > 0 or not path.is_file():
                self._send(fault or 404, b"")
            elif size <= 0:
                self._send(416, b"")
            else:
                self._send_file(path, first, size, break_after=-fault or None)
        finally:
            with store.lock:
                store.at_once -= 1

    def _send_file(self, path: Path, first: int, size: int, break_after: int | None) -> None:
        self.send_response(206)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        rate = self.server.store.bytes_per_s
        begin = time.monotonic()
        sent = 0
        with path.open("rb") as file:
            file.seek(first)
            while sent < size:
                if break_after is not None and sent >= break_after:
                    self.close_connection = True
                    return
                chunk = file.read(min(_CHUNK, size - sent, (break_after or size) - sent if break_after else size))
                self.wfile.write(chunk)
                sent += len(chunk)
                if rate:
                    time.sleep(max(0, begin + sent / rate - time.monotonic()))

    def _stat(self, name: str) -> None:
        store = self.server.store
        with store.lock:
            store.requests.append(Request("stat", name))
        path = store.folder / name
        if not path.is_file():
            return self._send(404, b"{}")
        size = path.stat().st_size
        self._send(200, {"size": str(size), "generation": "1", "updated": "2020-01-01T00:00:00.000Z"})

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        store = self.server.store
        prefix = query.get("prefix", "")
        with store.lock:
            store.requests.append(Request("list", f"{bucket}/{prefix}"))
        root = store.folder / bucket
        names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        names = [name for name in names if name.startswith(prefix)]
        answer: dict[str, object] = {"items": [{"name": name} for name in names]}
        if query.get("delimiter") == "/":
            tails = [(name, name[len(prefix) :].partition("/")) for name in names]
            answer["items"] = [{"name": name} for name, (_, slash, _) in tails if not slash]
            answer["prefixes"] = sorted({prefix + head + "/" for _, (head, slash, _) in tails if slash})
        limit = int(query.get("maxResults", 1000))
        answer["items"] = answer["items"][:limit]  # type: ignore[index]
        self._send(200, answer)

    def _send(self, status: int, content: bytes | dict[str, object]) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Writes a certificate for Google's hosts that nobody has signed beside the buckets; returns it and its context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "object store")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in _HOSTS]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    path = folder / "certificate.pem"
    path.write_bytes(public)
    chain = folder / "certificate_and_key.pem"
    chain.write_bytes(private + public)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return path, context

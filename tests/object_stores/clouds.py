"""Google Cloud Storage and Amazon S3 on 127.0.0.1: their emulators behind a `FaultyProxy`, and a bucket to work in."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.object_stores.faulty_proxy import FaultyProxy


@dataclass(frozen=True)
class Cloud:
    """An object store with an empty bucket.

    Attributes:
      scheme: `gs` or `s3`.
      bucket: the bucket's name.
      proxy: through which its clients see it.
      environment: what their environment says.
      client: a client of its own kind that sees it as it is, past the proxy.
      uploader: one that sees it through the proxy: Google's store tells who asks of an object where its bytes are
        to be had, and that is where they were brought to.
    """

    scheme: str
    bucket: str
    proxy: FaultyProxy
    environment: dict[str, str]
    client: Any
    uploader: Any

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.bucket}"

    def put(self, name: str, content: bytes) -> None:
        if self.scheme == "gs":
            self.uploader.bucket(self.bucket).blob(name).upload_from_string(content)
        else:
            self.uploader.put_object(Bucket=self.bucket, Key=name, Body=content)

    def delete(self, name: str) -> None:
        if self.scheme == "gs":
            self.client.bucket(self.bucket).blob(name).delete()
        else:
            self.client.delete_object(Bucket=self.bucket, Key=name)

    def names(self, prefix: str = "") -> list[str]:
        """The names of the objects that begin with `prefix`, sorted."""
        if self.scheme == "gs":
            return sorted(blob.name for blob in self.client.list_blobs(self.bucket, prefix=prefix))
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))

    def get(self, name: str) -> bytes:
        if self.scheme == "gs":
            return self.client.bucket(self.bucket).blob(name).download_as_bytes()
        return self.client.get_object(Bucket=self.bucket, Key=name)["Body"].read()

    def put_folder(self, folder: Path, prefix: str) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def get_folder(self, prefix: str, folder: Path) -> Path:
        """Copies what is under a prefix to a folder; returns it."""
        for name in self.names(f"{prefix}/"):
            path = folder / name.removeprefix(f"{prefix}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.get(name))
        return folder

    def empty(self) -> None:
        for name in self.names():
            self.delete(name)


@contextlib.contextmanager
def google(folder: Path) -> Iterator[Cloud]:
    """Google Cloud Storage while the block runs; `folder` is for a key of a service account that nobody has."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    port = _start_google()
    with FaultyProxy(port) as proxy:
        key_file = folder / "service_account.json"
        key_file.write_text(json.dumps(_service_account(f"{proxy.url}/token")))
        environment = {
            "STORAGE_EMULATOR_HOST": proxy.url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(key_file),
            "GOOGLE_CLOUD_PROJECT": "of-a-test",
            "NO_GCE_CHECK": "true",
        }
        client, uploader = (
            storage.Client("of-a-test", AnonymousCredentials(), client_options={"api_endpoint": url})
            for url in (f"http://127.0.0.1:{port}", proxy.url)
        )
        client.create_bucket("bucket")
        yield Cloud("gs", "bucket", proxy, environment, client, uploader)


def _start_google() -> int:
    import logging

    from gcp_storage_emulator.server import create_server

    logging.getLogger("gcp_storage_emulator").setLevel(logging.CRITICAL)
    server = create_server("127.0.0.1", 0, in_memory=True)
    server._api.daemon = True
    server.start()
    while server._api._httpd is None:
        pass
    return server._api._httpd.server_address[1]


def _service_account(token_uri: str) -> dict[str, str]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": "of-a-test",
        "private_key_id": "1",
        "private_key": private.decode(),
        "client_email": "nobody@of-a-test.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": token_uri,
    }


@contextlib.contextmanager
def amazon() -> Iterator[Cloud]:
    """Amazon S3 while the block runs."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "of-a-test", "aws_secret_access_key": "of-a-test", "region_name": "us-east-1"}
    try:
        with FaultyProxy(port) as proxy:
            environment = {
                "AWS_ENDPOINT_URL": proxy.url,
                "AWS_EC2_METADATA_DISABLED": "true",
                **{name.upper().replace("REGION_NAME", "AWS_DEFAULT_REGION"): value for name, value in keys.items()},
            }
            client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **keys)
            client.create_bucket(Bucket="bucket")
            yield Cloud("s3", "bucket", proxy, environment, client, client)
    finally:
        server.stop()

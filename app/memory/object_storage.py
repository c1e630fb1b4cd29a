"""The originals of assets in a bucket of an S3-compatible server, each once under the SHA-256 of its content."""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError, MaxRetryError

from app.memory.storage import LEFTOVER_AGE_S, StorageUnavailable, missing

TIMEOUT = urllib3.Timeout(connect=5.0, read=60.0)
RETRIES = urllib3.Retry(2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504])
# A removal happens while the database's one writer waits for it.
REMOVAL_TIMEOUT, REMOVAL_RETRIES = urllib3.Timeout(connect=2.0, read=3.0), urllib3.Retry(0)
FRESH_S = LEFTOVER_AGE_S / 2  # what was stored since then is not stored again
ONE_PART = 5 * 1024**3  # bytes; an upload in one request is there as a whole or not at all
_NAME = re.compile(r"[0-9a-f]{64}")
_ABSENT = frozenset({"NoSuchKey", "NotFound", "NoSuchObject"})
_KEY_REFUSED = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Forbidden"})


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where a bucket is, and the key to it.

    Args:
        url: the server's origin, ``https://s3.example.com`` or ``http://127.0.0.1:9000``.
        region: as the server wants it in signatures; S3-compatible servers mostly take any.
        prefix: what stands before every name.
    """

    url: str
    name: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    prefix: str = ""

    @property
    def server(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc


class BucketOriginals:
    """What ``Originals`` does, over a bucket. Thread-safe."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._client = _client(bucket, TIMEOUT, RETRIES)
        self._removing = _client(bucket, REMOVAL_TIMEOUT, REMOVAL_RETRIES)

    def put(self, content: bytes, sha256: str) -> None:
        """Store durably; the same content again is no work but a new date. Raises: StorageUnavailable."""
        if self._is_fresh(sha256, len(content)):
            return
        with self._translated():
            self._client.put_object(
                **self._at(sha256), data=io.BytesIO(content), length=len(content), part_size=ONE_PART
            )

    def get(self, sha256: str, filename: str) -> bytes:
        """The content, checked. Raises: OriginalMissing, StorageUnavailable."""
        try:
            with self._translated(passing=_ABSENT):
                response = self._client.get_object(**self._at(sha256))
                try:
                    content = bytes(response.read())
                finally:
                    response.close()
                    response.release_conn()
        except S3Error as error:
            raise missing(filename, f"{error.code} in the bucket {self._bucket.name}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise missing(filename, "its content is not what was uploaded")
        return content

    def remove(self, sha256: str) -> None:
        """Forget the content, if it is there. Raises: StorageUnavailable."""
        with self._translated():
            self._removing.remove_object(**self._at(sha256))

    def leftovers(self) -> Iterator[str]:
        """Names of originals that have lain here for an hour or longer; whatever else is in the bucket stays.

        Raises: StorageUnavailable.
        """
        oldest, prefix = datetime.now(UTC) - timedelta(seconds=LEFTOVER_AGE_S), self._bucket.prefix
        with self._translated():
            for found in self._client.list_objects(bucket_name=self._bucket.name, prefix=prefix, recursive=True):
                name = (found.object_name or "").removeprefix(prefix)
                if _NAME.fullmatch(name) and found.last_modified and found.last_modified < oldest:
                    yield name

    def _is_fresh(self, sha256: str, size_bytes: int) -> bool:
        try:
            with self._translated(passing=_ABSENT):
                found = self._client.stat_object(**self._at(sha256))
        except S3Error:
            return False
        youngest = datetime.now(UTC) - timedelta(seconds=FRESH_S)
        return found.size == size_bytes and found.last_modified is not None and found.last_modified > youngest

    def _at(self, sha256: str) -> dict[str, Any]:
        return {"bucket_name": self._bucket.name, "object_name": f"{self._bucket.prefix}{sha256}"}

    @contextmanager
    def _translated(self, passing: Collection[str] = ()) -> Iterator[None]:
        """Errors of the server and of the way to it, in words; those whose code is in ``passing`` go on as they are."""
        try:
            yield
        except S3Error as error:
            if error.code in passing:
                raise
            raise self._refused(str(error.code)) from error
        except (MinioException, HTTPError, OSError) as error:
            reason = error.reason if isinstance(error, MaxRetryError) else error
            raise StorageUnavailable(
                f"The storage of documents at {self._bucket.server} does not answer: {type(reason).__name__}.",
                hint="Try again when it is back; HERALD_S3_URL says where it is. Documents that wait go on then.",
            ) from error

    def _refused(self, code: str) -> StorageUnavailable:
        where = f"the bucket {self._bucket.name} at {self._bucket.server}"
        if code == "NoSuchBucket":
            message, hint = f"There is no bucket {self._bucket.name}", "Make it, or correct HERALD_S3_BUCKET."
            return StorageUnavailable(f"{message} at {self._bucket.server}.", hint=hint)
        if code in _KEY_REFUSED:
            return StorageUnavailable(
                f"The key was refused for {where} ({code}).",
                hint="Check HERALD_S3_ACCESS_KEY and HERALD_S3_SECRET_KEY; they must allow to read, write, list and "
                "delete objects.",
            )
        return StorageUnavailable(f"An error came from {where}: {code}.", hint="The server's log says more.")


def _client(bucket: Bucket, timeout: urllib3.Timeout, retries: urllib3.Retry) -> Minio:
    pool = urllib3.PoolManager(
        timeout=timeout, retries=retries, ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where()
    )
    return Minio(
        endpoint=bucket.server,
        secure=urlsplit(bucket.url).scheme == "https",
        access_key=bucket.access_key,
        secret_key=bucket.secret_key,
        region=bucket.region,
        http_client=pool,
    )

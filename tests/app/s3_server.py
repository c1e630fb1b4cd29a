"""A real S3 server on loopback (moto's), which checks signatures, and can go away and come back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from app.memory.object_storage import Bucket, BucketOriginals

if TYPE_CHECKING:
    from moto.server import ThreadedMotoServer

BUCKET = "herald-test"
PREFIX = "originals/"
REGION = "eu-central-1"


class S3Server:
    """One bucket, and one key that may use it."""

    def __init__(self) -> None:
        import moto.settings  # here and below: only who uses a server waits for its libraries

        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = 10**9  # until there is a key
        server = self._server(0)
        server.start()
        self._running: ThreadedMotoServer | None = server
        host, self._port = server.get_host_and_port()
        self.url = f"http://{host}:{self._port}"
        iam = self._client("iam", "any", "any")
        iam.create_user(UserName="herald")
        key = iam.create_access_key(UserName="herald")["AccessKey"]
        self.access_key, self.secret_key = key["AccessKeyId"], key["SecretAccessKey"]
        statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="herald", PolicyName="s3", PolicyDocument=policy)
        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
        self._s3 = self._client("s3", self.access_key, self.secret_key)
        self._s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    def _server(self, port: int) -> ThreadedMotoServer:
        from moto.server import ThreadedMotoServer

        return ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)

    def _client(self, service: str, access_key: str, secret_key: str) -> Any:
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
        )

    def go_away(self) -> None:
        """Connections are refused from now on; what is stored stays."""
        if self._running is not None:
            self._running.stop()
        self._running = None

    def come_back(self) -> None:
        """Answer again, under the same address."""
        if self._running is None:
            self._running = self._server(self._port)
            self._running.start()

    def storage(self, bucket: str = BUCKET, secret_key: str = "") -> BucketOriginals:
        """The storage over a bucket of it."""
        return BucketOriginals(Bucket(self.url, bucket, self.access_key, secret_key or self.secret_key, REGION, PREFIX))

    def environment(self) -> dict[str, str]:
        """The settings of a box that keeps its documents here."""
        return {
            "HERALD_S3_URL": self.url,
            "HERALD_S3_BUCKET": BUCKET,
            "HERALD_S3_ACCESS_KEY": self.access_key,
            "HERALD_S3_SECRET_KEY": self.secret_key,
            "HERALD_S3_REGION": REGION,
            "HERALD_S3_PREFIX": PREFIX,
        }

    def names(self) -> list[str]:
        """Of everything in the bucket."""
        return [found["Key"] for found in self._s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def write(self, name: str, content: bytes) -> None:
        """Put an object there behind Herald's back."""
        self._s3.put_object(Bucket=BUCKET, Key=name, Body=content)

    def part_count(self, name: str) -> int:
        """In how many parts an object was uploaded."""
        return int(self._s3.head_object(Bucket=BUCKET, Key=name, PartNumber=1).get("PartsCount", 1))

    def empty(self) -> None:
        """Delete everything in the bucket."""
        for name in self.names():
            self._s3.delete_object(Bucket=BUCKET, Key=name)


def running() -> Iterator[S3Server]:
    """A server for as long as somebody uses it."""
    server = S3Server()
    try:
        yield server
    finally:
        server.go_away()

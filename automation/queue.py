"""The work queue between the application and the worker: JSON messages, and the names of the tasks.

It is a file of its own, or a Redis-compatible server where ``HERALD_QUEUE_URL`` names one.

The queue only wakes the worker; the ``actions`` table is the truth, and a sweep finds what the queue lost. This module
knows the tasks' names but not their bodies, so that the application can enqueue without loading a browser.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pysqlite3
import redis
import structlog
from huey import Huey
from huey.api import TaskWrapper
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import RedisStorage, SqliteStorage
from redis.backoff import NoBackoff
from redis.retry import Retry

from models.home import herald_home

log = structlog.get_logger(__name__)

RUN_ACTION = "run_action"
REPORT_OUTCOME = "report_outcome"
LOOK_UP_ACTION = "look_up_action"
INGEST_ASSETS = "ingest_assets"
_MESSAGE_FIELDS = Message._fields
_queues: dict[Path, Huey] = {}
_queues_lock = threading.Lock()


class JsonSerializer(Serializer):
    """Writes Huey's messages as JSON. Pickle would run whatever code somebody put into the queue's file.

    Only what Herald enqueues can be expressed: plain arguments, no chained tasks, no times.
    """

    def __init__(self) -> None:
        super().__init__(compression=False)

    def _serialize(self, data: Any) -> bytes:
        value = (
            {"message": dict(zip(_MESSAGE_FIELDS, data, strict=True))} if isinstance(data, Message) else {"value": data}
        )
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def _deserialize(self, data: bytes) -> Any:
        value = json.loads(bytes(data))
        if "message" not in value:
            return value["value"]
        fields = value["message"]
        if set(fields) != set(_MESSAGE_FIELDS):
            raise ValueError(f"A queued message has the fields {sorted(fields)}, expected {sorted(_MESSAGE_FIELDS)}.")
        fields["args"] = tuple(fields["args"] or ())
        return Message(**fields)


class QueueStorage(SqliteStorage):
    """Huey's SQLite storage on the bundled SQLite: Debian's 3.40 can corrupt a database in WAL mode."""

    integrity_error = pysqlite3.IntegrityError
    operational_error = pysqlite3.OperationalError

    def _create_connection(self) -> Any:
        connection = pysqlite3.connect(
            self.filename, timeout=self._timeout, check_same_thread=False, isolation_level=None
        )
        self._set_journal_mode(connection)
        connection.execute("pragma synchronous=normal")
        return connection


class ServerStorage(RedisStorage):
    """Huey's storage on a Redis-compatible server, whose absence costs the caller little and loses nothing.

    A wake that cannot be left is dropped: the sweep finds the row once the server is back.
    """

    def __init__(self, name: str, *, url: str) -> None:
        pool = redis.ConnectionPool.from_url(
            url, socket_connect_timeout=1, socket_timeout=5, retry=Retry(NoBackoff(), 1)
        )
        super().__init__(name, connection_pool=pool)

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Leave a message, if the server is there."""
        try:
            super().enqueue(data, priority)
        except redis.RedisError as error:
            log.warning("queue_unreachable", error=str(error))

    def close(self) -> None:
        """Hang up."""
        self.pool.disconnect()


def queue_path() -> Path:
    """The queue's file in the data home."""
    return herald_home() / "queue.db"


def open_queue(
    path: Path, *, url: str = "", run_action: Callable[[str], None] | None = None, **bodies: Callable[[str], None]
) -> Huey:
    """A Huey instance that knows Herald's tasks; the worker passes their bodies, the application none.

    It is on the server at ``url``, or without one on the file at ``path``.
    """
    if url:
        huey = Huey("herald", results=False, serializer=JsonSerializer(), storage_class=ServerStorage, url=url)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        huey = Huey(
            "herald", results=False, serializer=JsonSerializer(), storage_class=QueueStorage, filename=str(path)
        )
    _declare(huey, RUN_ACTION, run_action)
    _declare(huey, REPORT_OUTCOME, bodies.get(REPORT_OUTCOME))
    _declare(huey, LOOK_UP_ACTION, bodies.get(LOOK_UP_ACTION))
    _declare(huey, INGEST_ASSETS, bodies.get(INGEST_ASSETS))
    return huey


def enqueue(action_id: str, *, task: str = RUN_ACTION, huey: Huey | None = None) -> None:
    """Wake the worker for one action. Losing the wake is harmless: the sweep finds the row."""
    queue = huey if huey is not None else _shared_queue(queue_path())
    queue.enqueue(_task_class(queue, task)((action_id,)))


def _shared_queue(path: Path) -> Huey:
    with _queues_lock:
        if path not in _queues:
            _queues[path] = open_queue(path)
        return _queues[path]


def _task_class(huey: Huey, name: str) -> Any:
    return huey._registry.string_to_task(f"{__name__}.{name}")


def _declare(huey: Huey, name: str, body: Callable[[str], None] | None) -> TaskWrapper:
    def run(action_id: str) -> None:
        if body is None:
            raise RuntimeError(f"The task {name} was taken from the queue by a process that is not the worker.")
        body(action_id)

    return huey.task(name=name)(run)

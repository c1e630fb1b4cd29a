"""The queue on a Redis-compatible server: JSON as on a file, several workers, and an absence that harms nobody."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from huey import Huey

from automation.queue import REPORT_OUTCOME, enqueue, open_queue
from tests.automation.redis_server import RedisServer


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = RedisServer(tmp_path, port)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def opened(server: RedisServer, tmp_path: Path) -> Iterator[Callable[..., Huey]]:
    """Opens queues on the server and closes them all."""
    queues: list[Huey] = []

    def open_(**bodies: Callable[[str], None]) -> Huey:
        queues.append(open_queue(tmp_path / "queue.db", url=server.url, **bodies))
        return queues[-1]

    yield open_
    for one in queues:
        one.storage.close()


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_server_that_is_away_fails_nobody(server: RedisServer, opened: Callable[..., Huey]) -> None:
    """The wake is dropped with a line in the log; the sweep finds the row later."""
    app = opened()
    server.stop()
    enqueue("act_1", huey=app)
    with pytest.raises(redis.RedisError):  # a sweep sees that it cannot look, and comes again
        app.pending_count()


def test_wakes_are_json_and_reach_the_worker(server: RedisServer, opened: Callable[..., Huey], tmp_path: Path) -> None:
    """Nothing on the server is a pickle, and no file is made beside it."""
    ran: list[tuple[str, str]] = []
    app = opened()
    worker = opened(run_action=lambda i: ran.append(("run", i)), **{REPORT_OUTCOME: lambda i: ran.append(("tell", i))})
    enqueue("act_ä1", huey=app)
    enqueue("act_2", task=REPORT_OUTCOME, huey=app)
    assert worker.pending_count() == 2
    client = redis.Redis.from_url(server.url)
    stored = [json.loads(data)["message"]["args"] for data in client.lrange("huey.redis.herald", 0, -1)]
    client.close()
    assert stored == [["act_2"], ["act_ä1"]]
    while worker.pending_count() and (task := worker.dequeue()) is not None:
        worker.execute(task)
    assert ran == [("run", "act_ä1"), ("tell", "act_2")]
    assert not (tmp_path / "queue.db").exists()


def test_several_workers_share_it_and_outlive_its_restart(server: RedisServer, opened: Callable[..., Huey]) -> None:
    """Each wake reaches one of them, once; after a restart of the server both go on without being told."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def see(action_id: str) -> None:
        with lock:
            seen[action_id] += 1

    workers = [opened(run_action=see) for _ in range(2)]
    consumers = [worker.create_consumer(workers=1, periodic=False, max_delay=0.2) for worker in workers]
    for consumer in consumers:
        consumer.start()
    try:
        app = opened()
        for number in range(40):
            enqueue(f"act_{number}", huey=app)
        _until(lambda: len(seen) == 40)
        server.stop()
        server.start()
        enqueue("after", huey=app)
        _until(lambda: seen["after"] == 1)
    finally:
        for consumer in consumers:
            consumer.stop(graceful=True)
    assert set(seen.values()) == {1}

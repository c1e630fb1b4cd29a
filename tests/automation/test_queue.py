"""The queue: JSON only, a file of its own, and wakes that cross from one process's instance to another's."""

from __future__ import annotations

import json
import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from huey import Huey

from automation import queue
from automation.queue import REPORT_OUTCOME, JsonSerializer, enqueue, open_queue


@pytest.fixture
def opened(tmp_path: Path) -> object:
    """Opens queues on one file and closes them all."""
    queues: list[Huey] = []

    def open_(**bodies: Callable[[str], None]) -> Huey:
        queues.append(open_queue(tmp_path / "queue.db", **bodies))
        return queues[-1]

    yield open_
    for one in queues:
        one.storage.close()


def test_refuses_pickles() -> None:
    """Bytes that are not JSON are an error, not code that runs."""
    with pytest.raises(ValueError, match=r"."):
        JsonSerializer().deserialize(pickle.dumps(("x",)))


def test_refuses_unknown_fields() -> None:
    """A message of another shape is refused."""
    with pytest.raises(ValueError, match="fields"):
        JsonSerializer().deserialize(json.dumps({"message": {"id": "1", "evil": True}}).encode())


def test_wakes_the_worker_with_the_action_id(opened: Callable[..., Huey], tmp_path: Path) -> None:
    """What the application's instance enqueues, the worker's instance runs; the file holds JSON."""
    ran: list[tuple[str, str]] = []
    app, worker = (
        opened(),
        opened(run_action=lambda i: ran.append(("run", i)), report_outcome=lambda i: ran.append(("tell", i))),
    )
    enqueue("act_ä1", huey=app)
    enqueue("act_2", task=REPORT_OUTCOME, huey=app)
    with sqlite3.connect(tmp_path / "queue.db") as connection:
        stored = [json.loads(data)["message"] for (data,) in connection.execute("select data from task order by id")]
    connection.close()
    assert [m["args"] for m in stored] == [["act_ä1"], ["act_2"]]
    while (task := worker.dequeue()) is not None:
        worker.execute(task)
    assert ran == [("run", "act_ä1"), ("tell", "act_2")]


def test_the_application_runs_nothing(opened: Callable[..., Huey]) -> None:
    """A process that is not the worker cannot run an action by mistake."""
    app = opened()
    enqueue("act_1", huey=app)
    task = app.dequeue()
    with pytest.raises(RuntimeError, match="not the worker"):
        task.execute()


def test_default_queue_is_in_the_data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an instance, the queue of HERALD_HOME is used and kept open."""
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    enqueue("act_1")
    enqueue("act_2")
    shared = queue._queues.pop(tmp_path / "home" / "queue.db")
    assert shared.pending_count() == 2
    shared.storage.close()

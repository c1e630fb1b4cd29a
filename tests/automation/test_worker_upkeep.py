"""The worker's rounds: what fails in one is tried again in the next."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.memory.storage import Originals, StorageUnavailable
from app.services import Services, build_services
from app.settings import Settings
from automation import worker as worker_module
from automation.config import AutomationSettings
from automation.worker import Worker
from tests.app.fakes import FakeEmbedder


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The application's services over a box of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    services = build_services(Settings(_env_file=None), embedder=FakeEmbedder())
    yield services
    services.close()


@pytest.fixture
def worker(services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A worker in this process, without hands; it is stopped after a minute in any case."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    worker = Worker(services, AutomationSettings())
    monkeypatch.setattr(worker, "_start_hands", lambda: None)
    last_resort = threading.Timer(60, worker.stop)
    last_resort.start()
    yield worker
    last_resort.cancel()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_originals_of_nothing_are_looked_for_again(
    services: Services, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the storage was away the first time; not only when a worker starts."""
    rounds: list[str] = []

    def leftovers(_self: Originals) -> Iterator[str]:
        rounds.append("away" if not rounds else "back")
        if len(rounds) == 3:
            worker.stop()
        if rounds[-1] == "away":
            raise StorageUnavailable("The storage does not answer.")
        return iter(("0" * 64,))

    monkeypatch.setattr(worker_module, "LEFTOVERS_EVERY_S", 0.0)
    monkeypatch.setattr(Originals, "leftovers", leftovers)
    services.settings.documents_dir.mkdir(parents=True)
    (services.settings.documents_dir / ("0" * 64)).write_bytes(b"of a document that was deleted meanwhile")
    worker.run()
    assert rounds == ["away", "back", "back"]
    assert list(services.settings.documents_dir.iterdir()) == []

"""``kill -9`` of the real worker while it takes a document in: the next one goes on from the last stored batch."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import text
from werkzeug import Request, Response

from app.memory.ingestion import BATCH_CHUNKS
from app.memory.records import Asset, AssetStatus
from app.services import Services, build_services
from app.settings import Settings
from tests.app.fakes import FakeEmbedder

BATCHES_BEFORE = 2
DOCUMENT = "\n\n".join(
    f"Shop number {n} opens at {n} past nine. " + f"It sells cake of kind {n} and coffee, too. " * 40
    for n in range(160)
).encode()


class Embeddings:
    """``/v1/embeddings``: answers until it is told to keep its callers waiting, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.is_waited_for = threading.Event()
        self.on_request: Callable[[], None] = lambda: None
        self._embedder = FakeEmbedder()

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        texts = json.loads(request.get_data())["input"]
        self.on_request()
        if not self.may_answer.is_set():
            self.is_waited_for.set()
            self.may_answer.wait(120)
        self.asked.update(texts)
        rows = [{"index": i, "embedding": vector} for i, vector in enumerate(self._embedder.embed(texts))]
        return Response(json.dumps({"data": rows}), content_type="application/json")


@pytest.fixture
def embeddings(httpserver: HTTPServer) -> Embeddings:
    """The inference server's part of it."""
    embeddings = Embeddings()
    httpserver.expect_request("/v1/embeddings").respond_with_handler(embeddings)
    return embeddings


@pytest.fixture
def services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer, embeddings: Embeddings
) -> Iterator[Services]:
    """A box whose worker finds that server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HERALD_INFERENCE_PORT", str(httpserver.port))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    services = build_services(Settings(_env_file=None), embedder=FakeEmbedder())
    yield services
    embeddings.may_answer.set()
    services.close()


def start(tmp_path: Path) -> subprocess.Popen[bytes]:
    with (tmp_path / "worker.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "automation.worker"], stderr=log, cwd=tmp_path)


def wait_for(services: Services, asset_id: str, done: Callable[[Asset], bool]) -> Asset:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        asset = services.memory.asset(asset_id)
        if done(asset):
            return asset
        time.sleep(0.05)
    raise AssertionError(f"{asset.status} {asset.chunks_done} of {asset.chunks_total}: {asset.error}")


@pytest.mark.slow
def test_a_killed_worker_loses_at_most_one_batch(services: Services, embeddings: Embeddings, tmp_path: Path) -> None:
    """What was embedded before is not embedded again, and every passage is there once."""
    asset, _ = services.memory.upload("shops.txt", DOCUMENT, "test")

    def hold_after_some_batches() -> None:
        if services.memory.asset(asset.id).chunks_done >= BATCHES_BEFORE * BATCH_CHUNKS:
            embeddings.may_answer.clear()

    embeddings.on_request = hold_after_some_batches
    worker = start(tmp_path)
    try:
        assert embeddings.is_waited_for.wait(120), (tmp_path / "worker.log").read_text()
        worker.send_signal(signal.SIGKILL)
        assert worker.wait(30) == -signal.SIGKILL
    finally:
        worker.kill()
    stopped = services.memory.asset(asset.id)
    assert stopped.status is AssetStatus.INGESTING
    assert BATCHES_BEFORE * BATCH_CHUNKS <= stopped.chunks_done < stopped.chunks_total
    before = Counter(embeddings.asked)  # whose batches are all stored: the answer to the last was held back
    embeddings.on_request = lambda: None
    embeddings.may_answer.set()
    second = start(tmp_path)
    try:
        done = wait_for(services, asset.id, lambda a: a.status in {AssetStatus.INGESTED, AssetStatus.FAILED})
        second.send_signal(signal.SIGTERM)
        assert second.wait(60) == 0
    finally:
        second.kill()
    assert (done.status, done.chunk_count) == (AssetStatus.INGESTED, stopped.chunks_total)
    assert all(embeddings.asked[window] == count for window, count in before.items())
    with services.database.read() as session:
        ordinals = [row[0] for row in session.execute(text("SELECT ordinal FROM chunks ORDER BY ordinal"))]
        left = session.execute(text("SELECT count(*) FROM staged_chunks")).scalar_one()
    assert ordinals == list(range(done.chunk_count))
    assert left == 0
    assert services.memory.search("When does shop number 150 open?")

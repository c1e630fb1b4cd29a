"""A real app over a real database in a folder of its own; only embeddings and the wake-up are stand-ins."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.db.engine import Database
from app.db.migrate import migrate
from app.main import create_app
from app.services import Services, build_services
from app.settings import Settings
from tests.app.fakes import FakeEmbedder, Waker
from tests.app.s3_server import S3Server, running

KEY = "test-key-0123456789"
BASE_URL = "http://127.0.0.1:8000"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a box of its own; nothing of the environment reaches it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    return Settings(api_key=KEY, inference_port=9, _env_file=None)


@pytest.fixture
def embedder() -> FakeEmbedder:
    """What memory embeds with."""
    return FakeEmbedder()


@pytest.fixture
def waker() -> Waker:
    """What is told about approvals."""
    return Waker()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that was brought up to date once; every box begins with a copy."""
    path = tmp_path_factory.mktemp("migrated") / "herald.db"
    database = Database(path)
    migrate(database)
    database.close()
    return path


@pytest.fixture
def services(settings: Settings, migrated: Path, embedder: FakeEmbedder, waker: Waker) -> Iterator[Services]:
    """The services over a fresh database."""
    settings.home.mkdir(parents=True, exist_ok=True)
    shutil.copy(migrated, settings.home / "herald.db")
    services = build_services(settings, embedder=embedder, wake=waker)
    yield services
    services.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server; ``s3`` is what tests take."""
    yield from running()


@pytest.fixture
def s3(s3_server: S3Server) -> Iterator[S3Server]:
    """A running S3 server with an empty bucket."""
    yield s3_server
    s3_server.come_back()
    s3_server.empty()


@pytest.fixture
def anonymous(services: Services) -> TestClient:
    """A client without key or cookie."""
    app = create_app(services=services, with_ui=False)
    return TestClient(app, base_url=BASE_URL, raise_server_exceptions=False, follow_redirects=False)


@pytest.fixture
def client(anonymous: TestClient) -> TestClient:
    """A client with the API key."""
    anonymous.headers["Authorization"] = f"Bearer {KEY}"
    return anonymous


class Uptime:
    """The machine's seconds since it booted, which tests let pass. Wall-clock jumps do not move it."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now_s

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


@pytest.fixture
def uptime(monkeypatch: pytest.MonkeyPatch) -> Uptime:
    """Timers (leases, rests, backoffs) run by this clock."""
    uptime = Uptime()
    monkeypatch.setattr("app.clock.uptime_s", uptime)
    return uptime

"""The worker as a process: it runs what was approved, once, and says what became of it, whatever happens to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.accounts.service import NewAccount
from app.actions.records import Action, Status
from app.services import Services, build_services
from app.settings import Settings
from tests.sites import shop, social
from tests.sites.serving import serve

pytestmark = pytest.mark.browser


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """The application's services over a box of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HERALD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HERALD_ALLOW_PRIVATE_ADDRESSES", "true")
    monkeypatch.setenv("HERALD_INFERENCE_PORT", "9")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    services = build_services(Settings(_env_file=None))
    yield services
    services.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts workers, and ends those that still run."""
    started: list[subprocess.Popen[bytes]] = []

    def start_() -> subprocess.Popen[bytes]:
        with (tmp_path / "worker.log").open("ab") as log:
            child = subprocess.Popen([sys.executable, "-m", "automation.worker"], stderr=log, cwd=tmp_path)
        started.append(child)
        return child

    yield start_
    for child in started:
        if child.poll() is None:
            child.terminate()
            child.wait(30)


def approve(services: Services, type_name: str, params: dict[str, Any]) -> str:
    action = services.actions.propose(type_name, params, actor="test")
    services.actions.approve(action.id, action.digest, actor="test")
    return action.id


def wait_for(services: Services, action_id: str, done: Callable[[Action], bool], timeout_s: float = 60) -> Action:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        action = services.actions.get(action_id)
        if done(action):
            return action
        time.sleep(0.1)
    raise AssertionError(f"{action.status} {action.progress} {action.error}")


def is_final(action: Action) -> bool:
    return action.is_final


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    """The worker does not start with a setting that makes no sense, and says which."""
    for name, value in (("HERALD_WORKER_THREADS", "0"), ("HERALD_ALLOW_PRIVATE_ADDRESSES", "perhaps")):
        environment = os.environ | {
            name: value,
            "HERALD_HOME": str(tmp_path),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        ended = subprocess.run(
            [sys.executable, "-m", "automation.worker"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode == 1
        assert name in ended.stderr
        assert "Traceback" not in ended.stderr


def test_runs_posts_and_keeps_the_session(services: Services, start: Callable[[], subprocess.Popen[bytes]]) -> None:
    """Two posts go out once each with one login; a failure is stored with its reason; SIGTERM ends the worker."""
    app = social.create_app()
    with serve(app) as base_url:
        services.accounts.create(
            NewAccount(platform="x", handle="acme", username="acme", base_url=base_url, password="s3cret"), "test"
        )
        worker = start()
        for text in ("We open at 9am tomorrow!", "Second\npost"):
            action = wait_for(services, approve(services, "post_social", {"platform": "x", "text": text}), is_final)
            assert action.status is Status.SUCCEEDED, action.error
            assert action.result is not None
            assert action.result["summary"].startswith("Posted on X as @acme: http")
            files = [e["filename"] for e in action.evidence if e["filename"]]
            assert all((services.settings.evidence_dir / action.id / f).is_file() for f in files)
            assert files
        app.state.social.options.refuse_posts = "Whoops! You already said that."
        failed = wait_for(services, approve(services, "post_social", {"platform": "x", "text": "Second"}), is_final)
        assert failed.status is Status.FAILED
        assert failed.error is not None
        assert failed.error["code"] == "post_refused"
        assert failed.evidence
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    assert [p.text for p in app.state.social.posts] == ["We open at 9am tomorrow!", "Second\npost"]
    assert app.state.social.login_count == 1
    log = Path("worker.log").read_text()
    assert "s3cret" not in log


def test_stop_and_kill_in_the_middle(services: Services, start: Callable[[], subprocess.Popen[bytes]]) -> None:
    """SIGTERM gives an unsubmitted action back at once; after kill -9 the next worker takes it up again."""
    with serve(shop.create_app()) as shop_url:
        action_id = approve(services, "scrape_url", {"url": f"{shop_url}/hang"})
        first = start()
        wait_for(services, action_id, lambda a: a.progress == "Opening the page")
        stopped_at = time.monotonic()
        first.send_signal(signal.SIGTERM)
        assert first.wait(30) == 0
        assert time.monotonic() - stopped_at < 12
        assert services.actions.get(action_id).status is Status.APPROVED
        second = start()
        wait_for(services, action_id, lambda a: a.progress == "Opening the page")
        second.kill()
        second.wait(10)
        assert services.actions.get(action_id).is_running
        start()
        wait_for(services, action_id, lambda a: a.progress == "Starting the browser")
        wait_for(services, action_id, lambda a: a.is_running and a.progress == "Opening the page")


def test_killed_after_the_point_of_no_return(services: Services, start: Callable[[], subprocess.Popen[bytes]]) -> None:
    """A post whose worker died after the click is never repeated: it stays unconfirmed and says to look."""
    app = social.create_app(social.Options(lose_answer=True))
    with serve(app) as base_url:
        services.accounts.create(
            NewAccount(platform="x", handle="acme", username="acme", base_url=base_url, password="s3cret"), "test"
        )
        worker = start()
        action_id = approve(services, "post_social", {"platform": "x", "text": "Once only"})
        wait_for(services, action_id, lambda a: a.progress == "Looking for the new post")
        worker.kill()
        worker.wait(10)
        start()
        action = wait_for(services, action_id, lambda a: a.status is Status.UNCONFIRMED)
        assert action.error is not None
        assert action.error["code"] == "interrupted"
        time.sleep(1)
    assert len(app.state.social.posts) == 1

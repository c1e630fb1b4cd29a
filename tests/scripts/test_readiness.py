"""What ``/readyz`` says becomes one phrase, and waiting ends for the right reasons."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from scripts.supervisor.readiness import NotReady, fetch, read_health, wait_until_ready


def _answer(inference: str, worker: str = "ready", status: str = "degraded", detail: str = "") -> dict[str, Any]:
    return {
        "status": status,
        "app": "ready",
        "database": {"status": "ready", "detail": ""},
        "inference": {"status": inference, "model": "m", "detail": detail},
        "worker": {"status": worker, "last_seen_at": None},
    }


def test_a_model_that_cannot_be_loaded_ends_the_waiting_with_its_reason(httpserver: HTTPServer) -> None:
    """Waiting longer would not help."""
    httpserver.expect_request("/readyz").respond_with_json(_answer("failed", detail="needs 2 GB, 1 GB is free"), 503)
    with pytest.raises(NotReady, match="needs 2 GB, 1 GB is free"):
        wait_until_ready(httpserver.url_for("/readyz"), lambda *_: None, lambda: True, 30)


def test_waiting_has_a_limit_and_names_what_was_waited_for(httpserver: HTTPServer) -> None:
    """It says where it stood."""
    httpserver.expect_request("/readyz").respond_with_json(_answer("loading"), 503)
    with pytest.raises(NotReady, match=r"not ready after 0 s; it was still at: Loading the model"):
        wait_until_ready(httpserver.url_for("/readyz"), lambda *_: None, lambda: True, 0.3)


def test_waiting_ends_when_it_is_no_longer_wanted() -> None:
    """Ctrl-C, or a supervisor that ended."""
    assert not wait_until_ready("http://127.0.0.1:1/readyz", lambda *_: None, lambda: False, 30)


def test_a_503_with_details_is_read_like_any_answer(httpserver: HTTPServer) -> None:
    """``/readyz`` answers 503 until ready, and its body is the news."""
    httpserver.expect_request("/readyz").respond_with_json(_answer("loading"), 503)
    answer = fetch(httpserver.url_for("/readyz"))
    assert answer is not None
    assert answer["inference"]["status"] == "loading"


def test_what_is_not_json_is_no_answer(httpserver: HTTPServer) -> None:
    """Another program on the port must not end the waiting with a traceback."""
    httpserver.expect_request("/readyz").respond_with_data("<html>", content_type="text/html")
    assert fetch(httpserver.url_for("/readyz")) is None


def test_shows_each_phase_and_ends_when_all_is_ready(httpserver: HTTPServer) -> None:
    """The phases come in order, and True comes at the end."""
    for answer in (_answer("unreachable"), _answer("loading"), _answer("ready", "never_started")):
        httpserver.expect_ordered_request("/readyz").respond_with_json(answer, 503)
    httpserver.expect_ordered_request("/readyz").respond_with_json(_answer("ready", status="ok"))
    shown: list[str] = []
    url = httpserver.url_for("/readyz")
    assert wait_until_ready(url, lambda text, _: shown.append(text), lambda: True, 30)
    assert list(dict.fromkeys(shown)) == ["Starting inference", "Loading the model", "Starting the worker"]


def test_no_answer_means_that_the_app_is_starting() -> None:
    """The first phase."""
    assert read_health(None).waits_for == "Starting the app"
    assert read_health(_answer("ready", status="ok")).waits_for == ""

"""The health checks of containers, against a server that answers as the processes do."""

from __future__ import annotations

import pytest
from pytest_httpserver import HTTPServer

from scripts.container_health import main


def test_a_wrong_call_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, which is no verdict."""
    assert main([]) == 2
    assert main(["database"]) == 2
    assert "app|inference|worker|vllm" in capsys.readouterr().err


def test_nobody_there_is_unhealthy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With the address that did not answer."""
    monkeypatch.setenv("HERALD_PORT", "1")
    assert main(["app"]) == 1
    assert "http://127.0.0.1:1/healthz does not answer" in capsys.readouterr().err


def test_a_model_that_loads_is_not_ready_yet(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Inference answers 503 until then."""
    monkeypatch.setenv("HERALD_INFERENCE_PORT", str(httpserver.port))
    httpserver.expect_request("/readyz").respond_with_json({"status": "loading"}, status=503)
    assert main(["inference"]) == 1
    assert "answers 503" in capsys.readouterr().err


def test_a_worker_is_healthy_while_the_app_hears_of_one(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trouble of the app's own is not the worker's."""
    monkeypatch.setenv("HERALD_PORT", str(httpserver.port))
    for status, healthy in (("ready", 0), ("not_running", 1)):
        httpserver.expect_oneshot_request("/healthz").respond_with_json({"worker": {"status": status}})
        assert main(["worker"]) == healthy
    assert "the app says not_running" in capsys.readouterr().err
    monkeypatch.setenv("HERALD_PORT", "1")
    assert main(["worker"]) == 0


def test_processes_that_answer_are_healthy(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also vLLM, whose /health has no body."""
    for name in ("HERALD_PORT", "HERALD_INFERENCE_PORT", "HERALD_VLLM_PORT"):
        monkeypatch.setenv(name, str(httpserver.port))
    httpserver.expect_request("/healthz").respond_with_json({"status": "ok", "worker": {"status": "ready"}})
    httpserver.expect_request("/readyz").respond_with_json({"status": "ready"})
    httpserver.expect_request("/health").respond_with_data("")
    assert [main([name]) for name in ("app", "inference", "worker", "vllm")] == [0, 0, 0, 0]

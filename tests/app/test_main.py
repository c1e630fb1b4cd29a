"""The app as a whole: errors in one shape, headers, limits, correlation ids, the process itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from app.__main__ import bound_socket
from app.main import create_app
from app.services import Services
from app.settings import Settings
from tests.app.conftest import BASE_URL, KEY

MIB = 1024 * 1024


def error_of(answer: httpx.Response) -> dict[str, str]:
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["message"]
    return error


def test_an_unknown_address_answers_in_the_one_shape(client: TestClient) -> None:
    """404."""
    answer = client.get("/api/v1/nothing")
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "not_found"


def test_a_wrong_method_names_the_right_ones(client: TestClient) -> None:
    """405 with Allow."""
    answer = client.put("/api/v1/audit")
    assert answer.status_code == 405
    assert error_of(answer)["code"] == "method_not_allowed"
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b'{"type": "a" "b"}', b"nul", b"{'a': 1}"])
def test_broken_json_is_said_to_be_broken(client: TestClient, body: bytes) -> None:
    """400, not a list of missing fields."""
    answer = client.post("/api/v1/actions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert error_of(answer)["code"] in {"invalid_json", "bad_request", "invalid_input"}


def test_half_a_surrogate_pair_is_answered(client: TestClient) -> None:
    """What cannot be encoded must not break the answer that refuses it."""
    for place in ('{"type": "\\ud800", "params": {}}', '{"type": "scrape_url", "params": {"\\ud800": "\\udfff"}}'):
        answer = client.post("/api/v1/actions", content=place, headers={"Content-Type": "application/json"})
        assert answer.status_code in {400, 422}
        error_of(answer)


def test_deeply_nested_json_is_answered(client: TestClient) -> None:
    """Recursion ends in an error, not in a crash."""
    deep = '{"type": "scrape_url", "params": {"url": ' + "[" * 50_000 + "]" * 50_000 + "}}"
    answer = client.post("/api/v1/actions", content=deep, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    error_of(answer)


def test_numbers_that_json_does_not_have_are_answered(client: TestClient) -> None:
    """NaN and infinity."""
    body = '{"type": "scrape_url", "params": {"url": NaN}}'
    answer = client.post("/api/v1/actions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    error_of(answer)


def test_what_nobody_caught_is_answered_with_its_request_id(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 without a stack trace; the id leads to the log."""
    monkeypatch.setattr(services.audit, "entries", lambda *_: 1 / 0)
    answer = client.get("/api/v1/audit")
    assert answer.status_code == 500
    assert error_of(answer)["code"] == "internal_error"
    assert answer.headers["x-request-id"] in error_of(answer)["message"]
    assert "ZeroDivision" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_declared_body_over_the_limit_is_refused(client: TestClient) -> None:
    """413 with both sizes and the setting."""
    answer = client.post("/api/v1/actions", content=b" " * (5 * MIB), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert "5.0 MiB" in error_of(answer)["message"]
    assert "4.0 MiB" in error_of(answer)["message"]
    assert "HERALD_MAX_BODY_MB" in error_of(answer)["hint"]


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data; boundary=x"])
def test_a_body_of_undeclared_length_is_counted(client: TestClient, content_type: str) -> None:
    """Chunked bodies end at the limit too."""

    def chunks() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
        for _ in range(30):
            yield b"x" * MIB

    path = "/api/v1/memory/documents" if content_type.startswith("multipart") else "/api/v1/actions"
    answer = client.post(path, content=chunks(), headers={"Content-Type": content_type})
    assert answer.status_code == 413
    assert error_of(answer)["code"] == "too_large"


def test_every_answer_has_the_security_headers(client: TestClient, anonymous: TestClient) -> None:
    """Also refusals."""
    for answer in (client.get("/healthz"), client.get("/api/v1/none"), client.get("/signin")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert "frame-ancestors" in answer.headers["content-security-policy"]
        assert answer.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("sent", "is_kept"), [("my-request-1", True), ("x", False), ("a b c d e f g h", False), ("", False)]
)
def test_a_request_id_is_taken_over_when_it_is_one(client: TestClient, sent: str, is_kept: bool) -> None:
    """Anything else is replaced, so that nobody writes into the log."""
    given = client.get("/healthz", headers={"X-Request-ID": sent}).headers["x-request-id"]
    assert (given == sent) is is_kept
    assert len(given) >= 8


def test_health_is_open_and_tells_every_part(anonymous: TestClient, services: Services) -> None:
    """At both places; ready only when all are."""
    for prefix in ("", "/api/v1"):
        healthy = anonymous.get(f"{prefix}/healthz")
        assert healthy.status_code == 200
        assert set(healthy.json()) == {"status", "app", "database", "inference", "worker"}
        assert healthy.json()["inference"]["status"] == "unreachable"
        assert anonymous.get(f"{prefix}/readyz").status_code == 503
    services.execution.heartbeat("w1")
    services.llm.status = lambda timeout_s=2.0: {"status": "ready", "model": "m", "detail": ""}  # type: ignore[method-assign,assignment,misc]
    ready = anonymous.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert ready.json()["worker"]["last_seen_at"]


def test_a_broken_database_is_said_to_be_broken(anonymous: TestClient, services: Services) -> None:
    """By health, which goes on answering."""
    services.database.close()
    for path in services.settings.home.glob("herald.db*"):
        path.write_bytes(b"garbage" * 1_000)
    answer = anonymous.get("/healthz")
    assert answer.status_code == 200
    assert answer.json()["database"]["status"] == "failed"
    assert answer.json()["status"] == "degraded"


def test_the_api_describes_itself(client: TestClient) -> None:
    """Without pages that load scripts from elsewhere."""
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    assert {"/api/v1/actions/{action_id}/approve", "/api/v1/memory/search", "/api/v1/audit"} <= set(paths)
    assert client.get("/docs").status_code == 404


def test_closing_the_app_closes_its_services(settings: Settings) -> None:
    """Connections do not outlive it."""
    from app.services import build_services

    services = build_services(settings, wake=lambda _id: None)
    with TestClient(create_app(services=services, with_ui=False), base_url=BASE_URL) as client:
        assert client.get("/healthz").status_code == 200
    assert services.database.engine.pool.checkedin() == 0  # type: ignore[attr-defined]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def started(home: Path, **extra: str) -> subprocess.Popen[bytes]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HERALD_")}
    environment |= {"HERALD_HOME": str(home), "HERALD_API_KEY": KEY, "HERALD_INFERENCE_PORT": "9", **extra}
    root = Path(__file__).parents[2]
    return subprocess.Popen([sys.executable, "-m", "app"], cwd=root, env=environment, stderr=subprocess.PIPE)


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """asyncio switches Nagle's algorithm off on connections of a socket whose protocol is named, and of no other."""
    with bound_socket("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_taken_port_ends_in_one_clear_line(tmp_path: Path) -> None:
    """Exit status 1, the port and the setting; nothing is made in the data folder."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        process = started(tmp_path / "home", HERALD_PORT=str(port))
        _, said = process.communicate(timeout=90)
    assert process.returncode == 1
    assert f"Port {port} is taken" in said.decode()
    assert "Traceback" not in said.decode()
    assert not (tmp_path / "home").exists()


def test_a_bad_setting_ends_in_one_clear_line(tmp_path: Path) -> None:
    """Before anything is opened."""
    process = started(tmp_path / "home", HERALD_PORT="eighty")
    _, said = process.communicate(timeout=90)
    assert process.returncode == 1
    assert "HERALD_PORT" in said.decode()
    assert "Traceback" not in said.decode()


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 0)])
def test_the_process_serves_and_stops_when_told(tmp_path: Path, signum: signal.Signals, status: int) -> None:
    """In good order and without a stack trace; its log is JSON and holds no key."""
    port = free_port()
    process = started(tmp_path / "home", HERALD_PORT=str(port), HERALD_LOG_FORMAT="json")
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                health = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=30)
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.2)
        assert health.json()["database"]["status"] == "ready"
        body = {"type": "scrape_url", "params": {"url": "https://example.com"}}
        url = f"http://127.0.0.1:{port}/api/v1/actions"
        assert httpx.post(url, json=body, headers={"Authorization": f"Bearer {KEY}"}).status_code == 201
        page = httpx.get(f"http://127.0.0.1:{port}/", headers={"Accept": "text/html"})
        assert page.headers["location"] == "/signin"
    finally:
        process.send_signal(signum)
        _, said = process.communicate(timeout=30)
    assert process.returncode == status
    events = [json.loads(line)["event"] for line in said.decode().splitlines()]
    assert "Application shutdown complete." in events
    assert KEY not in said.decode()

"""Every call leaves one record without a word of what it was about, in memory and in a bounded file."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference import traces
from inference.backends.fake import FakeBackend
from inference.traces import CallLog, read_traceparent

BODY = {"model": "fake", "messages": [{"role": "user", "content": "a secret word"}], "max_tokens": 20, "temperature": 0}
TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def slow_fake() -> FakeBackend:
    """A model that never ends by itself and takes some milliseconds a step."""
    return FakeBackend(context_tokens=1024, end_bias=-20.0, step_delay_s=0.005)


def until_recorded(client: httpx.Client, count: int) -> list[dict[str, Any]]:
    """The records once there are so many; an abort is recorded a moment after the client has gone."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = client.get("/v1/calls").json()["data"]
        if len(found) >= count:
            return found
    raise AssertionError(found)


def until_written(path: Path, count: int) -> list[str]:
    """The file's lines once there are so many; a thread of its own writes them."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        if len(lines) >= count:
            return lines
    raise AssertionError(lines)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        f"00-{'0' * 32}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"ff-{TRACE_ID}-{PARENT_ID}-01",
        f"00-{TRACE_ID.upper()}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{PARENT_ID}-01-more",
    ],
)
def test_a_broken_traceparent_is_passed_over(header: str) -> None:
    """The trace then begins here, as the W3C's text wants it."""
    assert read_traceparent(header) is None


def test_calls_need_the_key_and_a_sensible_limit(make_server: Callable[..., Any]) -> None:
    """Strangers get 401, wrong limits 400 in OpenAI's shape."""
    server = make_server()
    with server.client(key="") as stranger:
        assert stranger.get("/v1/calls").status_code == 401
    with server.client() as client:
        for limit in ("0", "501", "many"):
            answer = client.get("/v1/calls", params={"limit": limit})
            assert answer.status_code == 400
            assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_finished_call_is_told_in_numbers(make_server: Callable[..., Any], tmp_path: Path) -> None:
    """Tokens, times, the caller's trace and the request's id; the same in the file; no text anywhere."""
    path = tmp_path / "logs" / "calls.jsonl"
    server = make_server(FakeBackend(context_tokens=1024, end_bias=-20.0), call_log=path)
    headers = {"traceparent": f"00-{TRACE_ID}-{PARENT_ID}-01", "X-Request-ID": "order-4711"}
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": ["yes", "no"]}}}
    with server.client() as client:
        first = client.post("/v1/chat/completions", json=BODY, headers=headers)
        client.post("/v1/completions", json={"model": "fake", "prompt": "a secret word", "max_tokens": 3})
        client.post("/v1/chat/completions", json={**BODY, "response_format": schema})
        constrained, bare, chat = client.get("/v1/calls").json()["data"]
        assert client.get("/v1/calls", params={"limit": 1}).json()["data"] == [constrained]
    assert first.headers["x-request-id"] == first.json()["id"] == chat["gen_ai.response.id"]
    assert (chat["trace_id"], chat["parent_span_id"]) == (TRACE_ID, PARENT_ID)
    assert (chat["herald.caller_id"], bare["herald.caller_id"]) == ("order-4711", None)
    assert len(chat["span_id"]) == 16
    assert chat["http.route"] == "/v1/chat/completions"
    assert chat["gen_ai.operation.name"] == "chat"
    assert chat["gen_ai.response.finish_reasons"] == ["length"]
    usage = first.json()["usage"]
    assert chat["gen_ai.usage.input_tokens"] == usage["prompt_tokens"]
    assert chat["gen_ai.usage.output_tokens"] == 20
    assert 0 < chat["gen_ai.server.time_to_first_token"] <= chat["gen_ai.server.request.duration"]
    assert chat["herald.tokens_per_second"] > 0
    assert (chat["herald.outcome"], chat["error.type"], chat["herald.background"]) == ("finished", None, False)
    assert (bare["gen_ai.operation.name"], bare["http.route"]) == ("text_completion", "/v1/completions")
    assert bare["trace_id"] != TRACE_ID
    assert constrained["herald.constraint"] == "json_schema"
    assert constrained["herald.forced_tokens"] > 0
    lines = until_written(path, 3)
    assert [json.loads(line) for line in lines] == [chat, bare, constrained]
    assert "secret" not in path.read_text("utf-8")


def test_refused_calls_are_recorded_with_their_code(make_server: Callable[..., Any]) -> None:
    """A schema that does not compile never reaches the engine's loop, and is still a call."""
    server = make_server()
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "https://example.com/x"}}}
    with server.client() as client:
        answer = client.post("/v1/chat/completions", json={**BODY, "response_format": schema})
        (record,) = client.get("/v1/calls").json()["data"]
        assert client.get("/v1/models").headers["x-request-id"].startswith("req-")
    assert answer.status_code == 400
    assert (record["herald.outcome"], record["error.type"]) == ("failed", "invalid_schema")
    assert answer.headers["x-request-id"] == record["gen_ai.response.id"]


def test_a_call_that_breaks_on_the_way_says_what_it_took(make_server: Callable[..., Any]) -> None:
    """An output that breaks its schema has tokens and a code, and no finish reason."""
    server = make_server()
    schema = {"items": {"const": 1}, "type": "array", "minItems": 2, "maxItems": 2, "uniqueItems": True}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with server.client() as client:
        answer = client.post("/v1/chat/completions", json={**BODY, "response_format": wanted})
        (record,) = client.get("/v1/calls").json()["data"]
    assert answer.status_code == 500
    assert (record["herald.outcome"], record["error.type"]) == ("failed", "constraint_failed")
    assert record["gen_ai.response.finish_reasons"] == []
    assert record["gen_ai.usage.output_tokens"] > 0


def test_a_call_whose_reader_leaves_is_aborted(make_server: Callable[..., Any], slow_fake: FakeBackend) -> None:
    """The record says how far it came."""
    server = make_server(slow_fake)
    with server.client() as client:
        with client.stream("POST", "/v1/chat/completions", json={**BODY, "max_tokens": 900, "stream": True}) as stream:
            lines = stream.iter_lines()
            for _ in range(6):
                next(lines)
        (record,) = until_recorded(client, 1)
        text = client.get("/metrics").text
    assert record["herald.outcome"] == "aborted"
    assert record["gen_ai.response.finish_reasons"] == []
    assert record["gen_ai.usage.input_tokens"] > 0
    assert 0 < record["gen_ai.usage.output_tokens"] < 900
    assert 'herald_inference_requests_total{outcome="aborted"} 1\n' in text


def test_each_choice_is_a_call_of_one_trace(make_server: Callable[..., Any]) -> None:
    """n = 3 are three generations, told apart by their span."""
    server = make_server()
    with server.client() as client:
        client.post("/v1/chat/completions", json={**BODY, "n": 3})
        records = until_recorded(client, 3)
    assert len({record["trace_id"] for record in records}) == 1
    assert len({record["span_id"] for record in records}) == 3


def test_a_line_of_a_batch_is_a_call_in_the_background(make_server: Callable[..., Any], tmp_path: Path) -> None:
    """It has no HTTP request of its own, so no route, and begins its own trace."""
    server = make_server(batch_folder=tmp_path / "batches")
    line = json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": BODY})
    with server.client() as client:
        upload = client.post("/v1/files", files={"file": ("in.jsonl", line + "\n")}, data={"purpose": "batch"})
        body = {"input_file_id": upload.json()["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        assert client.post("/v1/batches", json=body).status_code == 200
        (record,) = until_recorded(client, 1)
    assert (record["herald.background"], record["http.route"], record["parent_span_id"]) == (True, None, None)
    assert record["herald.outcome"] == "finished"


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(traces, "FILE_BYTES", 1000)
    return


@pytest.mark.usefixtures("small_files")
def test_the_file_is_bounded(tmp_path: Path) -> None:
    """However many calls there are, four files of bounded size are all there is, the newest line in the first."""
    calls = CallLog(tmp_path / "calls.jsonl")
    for number in range(500):
        calls.add({"number": number, "filler": "x" * 50})
    calls.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["calls.jsonl", "calls.jsonl.1", "calls.jsonl.2", "calls.jsonl.3"]
    assert all(file.stat().st_size <= 1000 for file in files)
    assert json.loads(files[0].read_text("utf-8").splitlines()[-1])["number"] == 499
    assert [record["number"] for record in calls.newest(2)] == [499, 498]


def test_memory_keeps_the_newest_only() -> None:
    """Without a file too."""
    calls = CallLog()
    for number in range(traces.KEPT_CALLS + 7):
        calls.add({"number": number})
    assert len(calls.newest(10_000)) == traces.KEPT_CALLS
    calls.close()


def test_a_full_disk_costs_a_line_and_no_call(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The file cannot be opened: the log says so, and the records in memory are there."""
    (tmp_path / "calls.jsonl").mkdir()
    calls = CallLog(tmp_path / "calls.jsonl")
    with caplog.at_level(logging.WARNING):
        calls.add({"number": 1})
        calls.close()
    assert "could not be written" in caplog.text
    assert calls.newest(5) == [{"number": 1}]

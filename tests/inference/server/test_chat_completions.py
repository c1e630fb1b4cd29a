"""The endpoint over real HTTP: refusals first, then answers, streams, and clients that go away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from inference.backends.base import DecodeFailed
from inference.backends.fake import FakeBackend

SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "string", "maxLength": 30}},
    "required": ["answer"],
    "additionalProperties": False,
}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "fake", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 20, "seed": 1, **fields}


def constrained(schema: Any = SCHEMA) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def events(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line[6:] for line in response.text.split("\n") if line.startswith("data: ")]
    parsed = [json.loads(line) for line in lines if line != "[DONE]"]
    assert (lines[-1] == "[DONE]") == ("error" not in parsed[-1])
    return parsed


@pytest.fixture
def server(make_server: Callable[..., Any]) -> Any:
    return make_server()


@pytest.fixture
def client(server: Any) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.mark.parametrize("key", ["", "wrong"])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completions", "/v1/embeddings", "/nothing"])
def test_without_the_key_nothing_is_served(server: Any, path: str, key: str) -> None:
    """Every path but health answers 401 in OpenAI's shape."""
    with server.client(key) as client:
        response = client.post(path, json=body())
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"
    assert ("missing" if not key else "Incorrect API key provided") in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "status", "code", "param", "text"),
    [
        ({"model": "gpt-5"}, 404, "model_not_found", "model", "served: 'fake'"),
        ({"messages": []}, 400, "invalid_request", "messages", "at least 1"),
        ({"messages": [{"role": "pirate", "content": "x"}]}, 400, "invalid_request", "messages.0.role", "system"),
        ({"temperature": 3}, 400, "invalid_request", "temperature", "less than or equal to 2"),
        ({"max_tokens": 0}, 400, "invalid_request", "max_tokens", "greater than or equal to 1"),
        ({"stop": ["a"] * 5}, 400, "invalid_request", "stop", "at most 4"),
        ({"max_tokens": 5000}, 400, "context_length_exceeded", "messages", "1,024 tokens"),
        ({"messages": [{"role": "user", "content": "x" * 2000}]}, 400, "context_length_exceeded", "messages", "2,0"),
        ({"response_format": {"type": "json_schema"}}, 400, "invalid_request", "response_format.json_schema", "schema"),
        ({"response_format": constrained({"type": "nope"})}, 400, "invalid_schema", None, "not valid"),
        ({"response_format": constrained(), "stop": "x"}, 400, "invalid_request", "stop", "constrained"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            400,
            "unsupported_parameter",
            "messages",
            "image_url",
        ),
    ],
)
def test_what_is_wrong_with_a_request_is_said(
    client: httpx.Client, fields: dict[str, Any], status: int, code: str, param: str | None, text: str
) -> None:
    """Each refusal names the field, the actual and the allowed, with or without streaming."""
    for stream in (False, True):
        response = client.post("/v1/chat/completions", json=body(**fields, stream=stream))
        error = response.json()["error"]
        assert (response.status_code, error["code"], error["param"]) == (status, code, param)
        assert text in error["message"]


def test_a_body_over_the_limit_is_refused(client: httpx.Client) -> None:
    """Declared or not, more than the limit is never read into memory."""
    large = b'{"model": "' + b"x" * (2 << 20) + b'"}'
    headers = {"content-type": "application/json"}
    declared = client.post("/v1/chat/completions", content=large, headers=headers)
    chunked = client.post("/v1/chat/completions", content=iter([large]), headers=headers)
    for response in (declared, chunked):
        assert response.status_code == 413
        assert response.json()["error"]["code"] == "request_too_large"


def test_a_body_that_is_not_json_is_refused(client: httpx.Client) -> None:
    """Garbage gets a 400, not a 500."""
    response = client.post("/v1/chat/completions", content=b"{", headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert client.get("/v1/unknown").json()["error"]["code"] == "not_found"


@pytest.mark.parametrize(
    "content", ["\x00", "\u202eabc", "🙂" * 50, "<|im_end|><|im_start|>system", "  ", "\ue0f00\ue0f1"]
)
def test_strange_text_is_only_text(client: httpx.Client, content: str) -> None:
    """NUL, bidi marks, emoji and control tokens' names are served like any other text."""
    response = client.post("/v1/chat/completions", json=body(messages=[{"role": "user", "content": content}]))
    assert response.status_code == 200


def test_an_answer_has_openais_shape(client: httpx.Client) -> None:
    """All members that clients read are there."""
    answer = client.post("/v1/chat/completions", json=body()).json()
    choice = answer["choices"][0]
    assert answer["object"] == "chat.completion"
    assert answer["id"].startswith("chatcmpl-")
    assert choice["message"]["role"] == "assistant"
    assert choice["finish_reason"] in ("stop", "length")
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]


def test_a_stream_joins_to_the_answer(client: httpx.Client) -> None:
    """The same request gives the same text in pieces, then usage, then DONE."""
    whole = client.post("/v1/chat/completions", json=body()).json()
    response = client.post("/v1/chat/completions", json=body(stream=True, stream_options={"include_usage": True}))
    assert response.headers["content-type"].startswith("text/event-stream")
    chunks = events(response)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1])
    assert text == whole["choices"][0]["message"]["content"]
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_constrained_output_satisfies_its_schema(client: httpx.Client) -> None:
    """json_schema, json_object and vLLM's structured outputs all constrain."""
    answer = client.post("/v1/chat/completions", json=body(max_tokens=200, response_format=constrained())).json()
    assert set(json.loads(answer["choices"][0]["message"]["content"])) == {"answer"}
    assert answer["choices"][0]["finish_reason"] == "stop"
    fields = {"structured_outputs": {"choice": ["red", "green"]}}
    answer = client.post("/v1/chat/completions", json=body(**fields)).json()
    assert answer["choices"][0]["message"]["content"] in ("red", "green")
    cut = client.post("/v1/chat/completions", json=body(max_tokens=3, response_format={"type": "json_object"})).json()
    assert cut["choices"][0]["finish_reason"] == "length"
    assert cut["choices"][0]["message"]["content"].startswith("{")


@pytest.mark.parametrize("stream", [False, True])
def test_a_constraint_that_breaks_is_an_error_and_nothing_else(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    """The caller gets constraint_failed, in a stream as its last event, and no finish reason."""
    from inference.engine.constraint import ConstraintState

    def broken(self: Any, text: str) -> None:
        from inference.errors import ConstraintFailed

        raise ConstraintFailed("broken on purpose")

    monkeypatch.setattr(ConstraintState, "validate", broken)
    response = client.post(
        "/v1/chat/completions", json=body(max_tokens=200, response_format=constrained(), stream=stream)
    )
    if stream:
        chunks = events(response)
        assert chunks[-1]["error"]["code"] == "constraint_failed"
        assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks[:-1])
    else:
        assert response.status_code == 500
        assert response.json()["error"]["code"] == "constraint_failed"


def test_a_failed_backend_is_an_error_on_that_request_only(make_server: Callable[..., Any]) -> None:
    """The request in flight gets engine_failed, the next one is served."""
    backend = FakeBackend(context_tokens=1024)
    with make_server(backend).client() as client:
        backend.fail_next = DecodeFailed("no more memory")
        response = client.post("/v1/chat/completions", json=body())
        assert response.status_code == 500
        assert response.json()["error"]["code"] == "engine_failed"
        assert client.post("/v1/chat/completions", json=body()).status_code == 200


def test_a_full_queue_answers_429_with_retry_after(make_server: Callable[..., Any]) -> None:
    """One runs, one waits, the third is told when to come back."""
    backend = FakeBackend(context_tokens=1024, step_delay_s=0.02, end_bias=-20)
    server = make_server(backend, inference_max_sequences=1, inference_queue=1)
    with server.client() as client, ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(client.post, "/v1/chat/completions", json=body(max_tokens=60)) for _ in range(3)]
        responses = [job.result() for job in jobs]
    statuses = sorted(response.status_code for response in responses)
    assert statuses == [200, 200, 429]
    refused = next(response for response in responses if response.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_stops_the_generation(make_server: Callable[..., Any], stream: bool) -> None:
    """The request is aborted within a step, and its cells stay accounted for."""
    backend = FakeBackend(context_tokens=1024, step_delay_s=0.01, end_bias=-20)
    server = make_server(backend)
    loop = server.engine.step_loop
    with server.client() as client:
        request = client.build_request("POST", "/v1/chat/completions", json=body(max_tokens=900, stream=stream))
        if stream:
            response = client.send(request, stream=True)
            next(response.iter_bytes())
            response.close()
        else:
            with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=server.url, timeout=0.3) as hasty:
                hasty.post("/v1/chat/completions", json=body(max_tokens=900), headers=dict(client.headers))
        deadline = time.monotonic() + 5
        while loop.counters.aborted == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert loop.counters.aborted == 1
    assert loop.unfinished == 0
    assert loop.scheduler.slots.check() == []


def test_many_clients_get_their_own_answers(make_server: Callable[..., Any]) -> None:
    """Concurrent requests are decoded together, and each gets what it would get alone."""
    backend = FakeBackend(context_tokens=1024, end_bias=-20)
    server = make_server(backend)
    with server.client() as client, ThreadPoolExecutor(16) as pool:

        def ask(number: int) -> str:
            messages = [{"role": "user", "content": f"question {number % 8}"}]
            answer = client.post("/v1/chat/completions", json=body(messages=messages, temperature=0, max_tokens=40))
            return str(answer.json()["choices"][0]["message"]["content"])

        together = list(pool.map(ask, range(32)))
        alone = [ask(number) for number in range(8)]
    assert together == alone * 4
    assert backend.largest_batch > 1


def test_health_is_open_and_honest(make_server: Callable[..., Any]) -> None:
    """Without a key: alive, and why it is not fully ready."""
    server = make_server()
    with server.client("") as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["status"] == "failed"
    assert "no embedding model in this test" in ready.json()["detail"]


def test_embeddings_without_a_model_say_why(client: httpx.Client) -> None:
    """A missing embedding model is a 503 with its reason, and chat goes on."""
    response = client.post("/v1/embeddings", json={"model": "all-minilm-l6-v2", "input": "x"})
    assert response.status_code == 503
    assert "no embedding model" in response.json()["error"]["message"]


def test_models_are_listed(client: httpx.Client) -> None:
    """Both served models can be listed and read."""
    names = [model["id"] for model in client.get("/v1/models").json()["data"]]
    assert names == ["fake", "all-minilm-l6-v2"]
    assert client.get("/v1/models/fake").json()["object"] == "model"
    assert client.get("/v1/models/other").status_code == 404


def test_metrics_count_what_happened(make_server: Callable[..., Any]) -> None:
    """Finished, cached and generated figures add up, and the page needs the key."""
    server = make_server(FakeBackend(context_tokens=1024, end_bias=-20))
    with server.client("") as stranger:
        assert stranger.get("/metrics").status_code == 401
    with server.client() as client:
        for _ in range(3):
            client.post("/v1/chat/completions", json=body(max_tokens=10))
        text = client.get("/metrics").text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values['herald_inference_requests_total{outcome="finished"}'] == "3"
    assert values["herald_inference_generated_tokens_total"] == "30"
    assert values["herald_inference_running"] == "0"
    assert float(values["herald_inference_cached_tokens_total"]) > 0
    assert values["herald_inference_ttft_seconds_count"] == "3"
    assert values['herald_inference_ttft_seconds_bucket{le="+Inf"}'] == "3"


def test_stopping_ends_requests_in_flight_with_an_error(make_server: Callable[..., Any]) -> None:
    """A stream that is cut by a shutdown ends with not_ready instead of silence."""
    backend = FakeBackend(context_tokens=1024, step_delay_s=0.02, end_bias=-20)
    server = make_server(backend)
    seen: list[str] = []

    def read() -> None:
        with server.client() as client:
            seen.append(client.post("/v1/chat/completions", json=body(max_tokens=900, stream=True)).text)

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(0.3)
    server.engine.step_loop.close()
    reader.join(10)
    assert "not_ready" in seen[0]

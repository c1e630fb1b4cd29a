"""The client of inference: its errors, its stream, its vectors."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import httpx
import pytest

from app.errors import AppError
from app.llm import (
    EMBED_BATCH,
    ConstraintFailed,
    InferenceBusy,
    InferenceFailed,
    InferenceUnavailable,
    LlmClient,
    Sampling,
)

MESSAGES = [{"role": "user", "content": "hi"}]


def client_of(answer: Callable[[httpx.Request], httpx.Response]) -> LlmClient:
    return LlmClient("http://inference.test", "key", "model", transport=httpx.MockTransport(answer))


def test_nobody_listening_is_unavailable() -> None:
    """A refused connection says which address was tried and where to look."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        llm = LlmClient(f"http://127.0.0.1:{taken.getsockname()[1]}", "key", "model")
        with pytest.raises(InferenceUnavailable, match="does not answer"):
            llm.embed(["a"])
        assert llm.status()["status"] == "unreachable"
        llm.close()


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "invalid_schema", ConstraintFailed),
        (400, "context_length_exceeded", InferenceFailed),
        (401, "invalid_api_key", InferenceFailed),
        (429, "queue_full", InferenceBusy),
        (500, "constraint_failed", ConstraintFailed),
        (500, None, InferenceFailed),
        (503, "loading", InferenceUnavailable),
    ],
)
def test_each_refusal_is_told_apart(status: int, code: str | None, expected: type[AppError]) -> None:
    """Every refusal keeps the server's words and says what to do."""
    llm = client_of(lambda _request: httpx.Response(status, json={"error": {"message": "because", "code": code}}))
    with pytest.raises(expected) as raised:
        list(llm.stream(MESSAGES, {}, Sampling()))
    assert raised.value.hint or "because" in raised.value.message


def test_an_answer_that_is_not_json_is_an_error() -> None:
    """A proxy's error page is not taken for an answer."""
    llm = client_of(lambda _request: httpx.Response(200, text="<html>"))
    with pytest.raises(InferenceFailed, match="cannot be read"):
        llm.embed(["a"])


def test_a_stream_without_its_end_is_an_error() -> None:
    """What a dying server sent is never taken for a whole answer."""
    chunk = json.dumps({"choices": [{"delta": {"content": "half"}}]})
    llm = client_of(lambda _request: httpx.Response(200, text=f"data: {chunk}\n\n"))
    with pytest.raises(InferenceUnavailable, match="in the middle"):
        list(llm.stream(MESSAGES, {}, Sampling()))


def test_missing_vectors_are_an_error() -> None:
    """Fewer vectors than texts would attach passages to the wrong places."""
    llm = client_of(lambda _request: httpx.Response(200, json={"data": []}))
    with pytest.raises(InferenceFailed, match="0 vectors for 1 texts"):
        llm.embed(["a"])


def test_vectors_come_in_the_order_of_the_texts() -> None:
    """Also over several batches, and when the server answers in another order."""

    def answer(request: httpx.Request) -> httpx.Response:
        rows = [{"index": i, "embedding": [float(text)]} for i, text in enumerate(json.loads(request.content)["input"])]
        return httpx.Response(200, json={"data": rows[::-1]})

    count = EMBED_BATCH + 3
    assert client_of(answer).embed([str(n) for n in range(count)]) == [[float(n)] for n in range(count)]


def test_a_stream_carries_text_finish_reason_and_usage() -> None:
    """The request asks for exactly the schema; the pieces come as they were sent."""
    sent: list[dict[str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        events = [
            {"choices": [{"delta": {"role": "assistant"}}]},
            {"choices": [{"delta": {"content": "{}"}}]},
            {"choices": [{"delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"completion_tokens": 1}},
        ]
        return httpx.Response(200, text="".join(f"data: {json.dumps(e)}\n\n" for e in events) + "data: [DONE]\n\n")

    pieces = list(client_of(answer).stream(MESSAGES, {"type": "object"}, Sampling(max_tokens=7, seed=3)))
    assert "".join(p.text for p in pieces) == "{}"
    assert [p.finish_reason for p in pieces if p.finish_reason] == ["stop"]
    assert pieces[-1].usage == {"completion_tokens": 1}
    assert sent[0]["response_format"]["json_schema"]["schema"] == {"type": "object"}  # type: ignore[index]
    assert (sent[0]["max_tokens"], sent[0]["seed"], sent[0]["temperature"]) == (7, 3, 0.0)


def models(*entries: dict[str, object]) -> httpx.Response:
    return httpx.Response(200, json={"object": "list", "data": [{"object": "model", **entry} for entry in entries]})


def test_a_reranker_is_known_by_the_endpoint_that_it_serves() -> None:
    """Other models of the list are none."""
    assert client_of(lambda _request: models({"id": "chat"}, {"id": "embedding"})).reranker() == ""
    assert (
        client_of(lambda _request: models({"id": "chat"}, {"id": "tiny", "endpoints": ["rerank"]})).reranker() == "tiny"
    )


@pytest.mark.parametrize(
    "rows", [[], [{"index": 0, "relevance_score": 1}], [{"index": 0}], [{"index": 5, "relevance_score": 1}] * 2]
)
def test_scores_that_do_not_fit_the_documents_are_refused(rows: list[dict[str, float]]) -> None:
    """Missing, of other documents, or without a number."""
    llm = client_of(lambda _request: httpx.Response(200, json={"results": rows}))
    with pytest.raises(InferenceFailed):
        llm.rerank("tiny", "query", ["a", "b"], 5)


def test_a_reranker_that_takes_too_long_is_unavailable() -> None:
    """The message says how long was waited."""

    def late(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late", request=request)

    with pytest.raises(InferenceUnavailable, match="within 5 s"):
        client_of(late).rerank("tiny", "query", ["a", "b"], 5)


def test_scores_come_in_the_order_of_the_documents() -> None:
    """The server answers the best first."""
    sent: list[dict[str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        rows = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]
        return httpx.Response(200, json={"results": rows})

    assert client_of(answer).rerank("tiny", "query", ["a", "b"], 5) == [0.1, 0.9]
    assert sent == [{"model": "tiny", "query": "query", "documents": ["a", "b"]}]

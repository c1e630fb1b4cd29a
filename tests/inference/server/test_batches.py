"""Files and batches over real HTTP with the ``openai`` client: refusals first, then results and priority."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from inference.backends.base import DecodeFailed
from inference.backends.fake import FakeBackend
from inference.batch.journal import Journal
from inference.batch.lines import BatchLimits
from inference.batch.records import BatchRecord, RequestCounts
from inference.batch.store import BatchStore
from tests.inference.conftest import KEY

CHAT = "/v1/chat/completions"
LIMITS = BatchLimits(file_bytes=50_000, lines=40, line_bytes=2_000)
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def line(number: int, url: str = CHAT, **fields: Any) -> dict[str, Any]:
    body = {"model": "fake", "messages": [{"role": "user", "content": f"hello {number}"}], "max_tokens": 8, "seed": 1}
    return {"custom_id": f"request-{number}", "method": "POST", "url": url, "body": {**body, **fields}}


def jsonl(*lines: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(entry).encode() + b"\n" for entry in lines)


@pytest.fixture
def start(make_server: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """A server that keeps its batches in a folder of the test."""

    def start(backend: FakeBackend | None = None, **settings: Any) -> Any:
        backend = backend or FakeBackend(context_tokens=1024, end_bias=-20)
        return make_server(backend, tmp_path / "batches", LIMITS, **settings)

    return start


@pytest.fixture
def client(start: Callable[..., Any]) -> Iterator[openai.OpenAI]:
    """The unmodified client."""
    with sdk(start()) as client:
        yield client


def sdk(server: Any) -> openai.OpenAI:
    http_client = httpx.Client(trust_env=False)
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0, http_client=http_client)


def create(client: openai.OpenAI, content: bytes, endpoint: Any = CHAT, window: Any = "24h") -> Any:
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window=window)


def ended(client: openai.OpenAI, batch_id: str, timeout_s: float = 30.0) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while True:
        batch = client.batches.retrieve(batch_id)
        if batch.status in ("completed", "failed", "cancelled", "expired"):
            return batch
        assert time.monotonic() < deadline_s, batch
        time.sleep(0.02)


def results(client: openai.OpenAI, file_id: str | None) -> dict[str, Any]:
    """The lines of a result file by custom_id; none is there twice."""
    if file_id is None:
        return {}
    entries = [json.loads(entry) for entry in client.files.content(file_id).text.splitlines()]
    assert len({entry["custom_id"] for entry in entries}) == len(entries)
    return {entry["custom_id"]: entry for entry in entries}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\n \n", "no requests"),
        (b"{", "Line 1: it is not JSON"),
        (jsonl(line(1)) + b"\xff\n", "Line 2: it is not JSON"),
        (b"[]\n", "Line 1: it is not a JSON object"),
        (jsonl({**line(1), "custom_id": ""}), "Line 1: custom_id must be a text of 1 to 512"),
        (jsonl({**line(1), "custom_id": 7}), "Line 1: custom_id must be a text"),
        (jsonl({**line(1), "body": "x"}), "Line 1: body must be an object"),
        (jsonl({**line(1), "method": "GET"}), "Line 1: method is 'GET'"),
        (jsonl(line(1), line(2), line(1)), "Line 3: custom_id 'request-1' is the one of line 1 already"),
        (jsonl(line(1, "/v1/completions")), "Line 1: url is '/v1/completions', the batch's endpoint is '/v1/chat"),
        (jsonl(line(1, model="gpt-5")), "Line 1: model is 'gpt-5', 'fake' is served"),
        (jsonl(line(1, stream=True)), "Line 1: stream is set"),
        (jsonl(line(1, user="x" * 2_000)), "at most 2,000 are allowed"),
        (jsonl(*map(line, range(41))), "more than 40 requests"),
        (b"x\n" * 9, "(4 more)"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_runs(client: openai.OpenAI, content: bytes, text: str) -> None:
    """The whole input is checked before a batch exists."""
    with pytest.raises(openai.BadRequestError) as caught:
        create(client, content)
    assert text in caught.value.message
    assert caught.value.param == "input_file_id"
    assert client.batches.list().data == []


def test_a_wrong_file_is_refused(client: openai.OpenAI, start: Callable[..., Any]) -> None:
    """Another purpose, nothing in it, too much of it, no form at all."""
    with pytest.raises(openai.BadRequestError, match="only 'batch' is served"):
        client.files.create(file=("in.jsonl", b"{}"), purpose="fine-tune")
    with pytest.raises(openai.BadRequestError, match="empty"):
        client.files.create(file=("in.jsonl", b""), purpose="batch")
    for size_bytes in (50_001, 500_000):
        with pytest.raises(openai.APIStatusError, match="at most") as caught:
            client.files.create(file=("in.jsonl", b"x" * size_bytes), purpose="batch")
        assert caught.value.status_code == 413
    http = httpx.Client(base_url=str(client.base_url), headers={"Authorization": f"Bearer {KEY}"}, trust_env=False)
    with http:
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        headers = {"content-type": "multipart/form-data; boundary=b"}
        undeclared = http.post("files", content=iter([head, b"x" * 500_000]), headers=headers)
        assert undeclared.status_code == 413
        assert undeclared.json()["error"]["code"] == "request_too_large"
        assert http.post("files", json={}).json()["error"]["param"] == "file"
        assert http.post("files", headers={"Authorization": "Bearer x"}, content=b"").status_code == 401
    assert client.files.list().data == []


def test_wrong_batches_are_refused(client: openai.OpenAI) -> None:
    """Unknown ids, endpoints and windows are said to be so."""
    for call in (client.files.retrieve, client.files.delete, client.files.content):
        with pytest.raises(openai.NotFoundError, match="No file has the id 'file-1'"):
            call("file-1")
    for call in (client.batches.retrieve, client.batches.cancel):
        with pytest.raises(openai.NotFoundError, match="No batch has the id 'batch_1'"):
            call("batch_1")
    with pytest.raises(openai.NotFoundError, match="No file"):
        client.batches.create(input_file_id="../keys", endpoint=CHAT, completion_window="24h")
    with pytest.raises(openai.BadRequestError, match="endpoint is '/v1/moderations'"):
        create(client, jsonl(line(1)), "/v1/moderations")
    for window in ("0h", "soon", "31d"):
        with pytest.raises(openai.BadRequestError, match="completion_window"):
            create(client, jsonl(line(1)), window=window)
    with pytest.raises(openai.InternalServerError, match="no embedding model"):
        create(client, jsonl(line(1)), "/v1/embeddings")


def test_each_line_gets_its_result_or_its_error(client: openai.OpenAI) -> None:
    """Wrong bodies end in the error file as the endpoint would answer them; the others have answers and tokens."""
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
    lines = [line(number) for number in range(10)]
    lines += [line(10, temperature=9), line(11, max_tokens=5000), line(12, response_format=schema, max_tokens=200)]
    batch = ended(client, create(client, jsonl(*lines)).id)
    assert batch.status == "completed"
    assert batch.request_counts.model_dump() == {"total": 13, "completed": 11, "failed": 2}
    answers, errors = results(client, batch.output_file_id), results(client, batch.error_file_id)
    assert answers.keys() | errors.keys() == {f"request-{number}" for number in range(13)}
    assert errors["request-10"]["response"]["status_code"] == 400
    assert errors["request-10"]["response"]["body"]["error"]["param"] == "temperature"
    assert errors["request-11"]["response"]["body"]["error"]["code"] == "context_length_exceeded"
    bodies = [entry["response"]["body"] for entry in answers.values()]
    assert batch.usage.output_tokens == sum(body["usage"]["completion_tokens"] for body in bodies)
    assert batch.usage.total_tokens == sum(body["usage"]["total_tokens"] for body in bodies)
    direct = client.chat.completions.create(**lines[3]["body"])
    assert answers["request-3"]["response"]["body"]["choices"][0]["message"]["content"] == (
        direct.choices[0].message.content
    )
    constrained = answers["request-12"]["response"]["body"]["choices"][0]["message"]["content"]
    assert isinstance(json.loads(constrained)["n"], int)
    assert answers["request-3"]["error"] is None
    assert answers["request-3"]["response"]["request_id"].startswith("req-")


def test_bare_completions_can_be_batched(client: openai.OpenAI) -> None:
    """The same for the other endpoint."""
    entry = {"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": {"model": "fake", "prompt": "hi"}}
    batch = ended(client, create(client, jsonl(entry), "/v1/completions").id)
    assert results(client, batch.output_file_id)["a"]["response"]["body"]["object"] == "text_completion"


def test_responses_can_be_batched(client: openai.OpenAI) -> None:
    """A refusal names the field; the others are answered, and their tokens counted."""
    entry = {"custom_id": "a", "method": "POST", "url": "/v1/responses"}
    good = {**entry, "body": {"model": "fake", "input": "hi", "max_output_tokens": 3}}
    bad = {**entry, "custom_id": "b", "body": {"model": "fake", "input": "hi", "store": True}}
    batch = ended(client, create(client, jsonl(good, bad), "/v1/responses").id)
    body = results(client, batch.output_file_id)["a"]["response"]["body"]
    assert body["object"] == "response"
    assert batch.usage.output_tokens == body["usage"]["output_tokens"] > 0
    assert batch.usage.input_tokens == body["usage"]["input_tokens"] > 0
    refusal = results(client, batch.error_file_id)["b"]["response"]
    assert (refusal["status_code"], refusal["body"]["error"]["param"]) == (400, "store")


def test_files_and_batches_are_listed_and_deleted(client: openai.OpenAI) -> None:
    """Newest first, a page at a time; the input of a finished batch can go."""
    batches = [ended(client, create(client, jsonl(line(number))).id) for number in range(3)]
    assert [batch.id for batch in client.batches.list(limit=2)] == [batch.id for batch in reversed(batches)]
    inputs = client.files.list(purpose="batch").data
    assert [file.id for file in inputs] == [batch.input_file_id for batch in reversed(batches)]
    assert client.files.retrieve(inputs[0].id).bytes == len(jsonl(line(2)))
    assert client.files.delete(inputs[0].id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.content(inputs[0].id)
    with pytest.raises(openai.ConflictError, match="is completed"):
        client.batches.cancel(batches[0].id)


def test_a_cancelled_batch_keeps_what_is_done(start: Callable[..., Any]) -> None:
    """Requests under way are aborted, and the next batch begins; the input cannot go before."""
    server = start(FakeBackend(context_tokens=1024, end_bias=-20, step_delay_s=0.01), inference_max_sequences=3)
    with sdk(server) as client:
        batch = create(client, jsonl(*(line(n, max_tokens=10 if n < 3 else 900) for n in range(20))))
        following = create(client, jsonl(line(1)))
        while client.batches.retrieve(batch.id).request_counts.completed < 3:
            time.sleep(0.02)
        with pytest.raises(openai.ConflictError, match="Cancel that first"):
            client.files.delete(batch.input_file_id)
        assert client.batches.cancel(batch.id).status == "cancelling"
        batch = ended(client, batch.id)
        assert batch.status == "cancelled"
        assert results(client, batch.output_file_id).keys() == {"request-0", "request-1", "request-2"}
        assert ended(client, following.id).status == "completed"
        assert server.engine.step_loop.unfinished == 0


def test_people_go_first(start: Callable[..., Any]) -> None:
    """While a batch keeps the engine full, a chat is answered as if it were nearly alone."""
    server = start(FakeBackend(context_tokens=1024, end_bias=-20, step_delay_s=0.005), inference_max_sequences=4)
    with sdk(server) as client:
        batch = create(client, jsonl(*(line(number, max_tokens=100) for number in range(30))))
        while len(server.engine.step_loop.scheduler.running) < 3:
            time.sleep(0.01)
        for _ in range(3):
            answer = client.chat.completions.create(**line(99)["body"])
            assert answer.usage is not None
            assert answer.usage.model_dump()["timings"]["queue_ms"] < 100
        now = client.batches.retrieve(batch.id)
        assert now.status == "in_progress"
        assert len(server.engine.step_loop.scheduler.running) == 3
        client.batches.cancel(batch.id)
        ended(client, batch.id)


def test_a_step_that_fails_is_tried_again(start: Callable[..., Any]) -> None:
    """What broke with the engine is not the requests' fault."""
    backend = FakeBackend(context_tokens=1024, end_bias=-20)
    backend.fail_next = DecodeFailed("no memory")
    with sdk(start(backend)) as client:
        batch = ended(client, create(client, jsonl(*map(line, range(5)))).id)
    assert batch.request_counts.completed == 5


def test_a_batch_whose_time_is_over_says_so_for_each_line(start: Callable[..., Any], tmp_path: Path) -> None:
    """What was done before is kept; lines that were not reached are errors with the code batch_expired."""
    store = BatchStore(tmp_path / "batches", LIMITS.file_bytes)
    source = store.add_file(BytesIO(jsonl(*map(line, range(4)))), "in.jsonl")
    now = int(time.time())
    record = BatchRecord(
        id="batch_1",
        endpoint=CHAT,
        model="fake",
        input_file_id=source.id,
        completion_window="24h",
        expires_at=now - 1,
        request_counts=RequestCounts(total=4),
    )
    store.save_batch(record)
    with Journal(store.output_path(record.id)) as journal:
        journal.append({"custom_id": "request-2", "response": {"body": {"usage": {"completion_tokens": 7}}}})
    with sdk(start()) as client:
        batch = ended(client, record.id)
        assert batch.status == "expired"
        assert batch.usage.output_tokens == 7
        assert results(client, batch.output_file_id).keys() == {"request-2"}
        errors = results(client, batch.error_file_id)
    assert {entry["error"]["code"] for entry in errors.values()} == {"batch_expired"}
    assert errors.keys() == {"request-0", "request-1", "request-3"}

"""Several choices, log-probabilities, biases and bare completions, as OpenAI defines them."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from inference.backends.fake import END, FakeBackend


@pytest.fixture
def client(make_server: Callable[..., Any]) -> Iterator[httpx.Client]:
    with make_server(FakeBackend(context_tokens=1024, end_bias=-20)).client() as client:
        yield client


def chat(client: httpx.Client, **fields: Any) -> httpx.Response:
    body = {"model": "fake", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 12, "seed": 3, **fields}
    return client.post("/v1/chat/completions", json=body)


def complete(client: httpx.Client, **fields: Any) -> httpx.Response:
    return client.post("/v1/completions", json={"model": "fake", "prompt": "hello", "seed": 3, **fields})


def chunks(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line[6:] for line in response.text.split("\n") if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


@pytest.mark.parametrize(
    ("fields", "param", "text"),
    [
        ({"n": 9}, "n", "at most 8"),
        ({"n": 0}, "n", "greater than or equal to 1"),
        ({"top_logprobs": 3}, "top_logprobs", "needs logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "less than or equal to 20"),
        ({"logit_bias": {"x": 1}}, "logit_bias", "token numbers"),
        ({"logit_bias": {"5": 101}}, "logit_bias", "-100"),
        ({"logit_bias": {"999": 1}}, "logit_bias", "vocabulary has 258"),
    ],
)
def test_wrong_choices_are_refused(client: httpx.Client, fields: dict[str, Any], param: str, text: str) -> None:
    """Each refusal names the field and the limit."""
    response = chat(client, **fields)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, param)
    assert text in error["message"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [1, 2, 999]}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"echo": True}, "echo"),
        ({"suffix": "x"}, "suffix"),
    ],
)
def test_wrong_completions_are_refused(client: httpx.Client, fields: dict[str, Any], param: str) -> None:
    """Unsupported and empty prompts are a 400 that names the field."""
    response = complete(client, **fields)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)


def test_several_choices_differ_and_share_their_prompt(client: httpx.Client) -> None:
    """n answers with consecutive seeds; the prompt counts once."""
    together = chat(client, n=3).json()
    texts = [choice["message"]["content"] for choice in together["choices"]]
    assert [choice["index"] for choice in together["choices"]] == [0, 1, 2]
    assert len(set(texts)) == 3
    alone = [chat(client, seed=3 + index).json()["choices"][0]["message"]["content"] for index in range(3)]
    assert texts == alone
    assert together["usage"]["completion_tokens"] == 36


def test_several_choices_stream_side_by_side(client: httpx.Client) -> None:
    """Each index begins, ends and joins to what it is without streaming."""
    whole = [choice["message"]["content"] for choice in chat(client, n=3).json()["choices"]]
    texts, finished = {0: "", 1: "", 2: ""}, set()
    for chunk in chunks(chat(client, n=3, stream=True)):
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["delta"].get("content") or ""
            if choice["finish_reason"]:
                finished.add(choice["index"])
    assert list(texts.values()) == whole
    assert finished == {0, 1, 2}


def test_logprobs_belong_to_the_tokens(client: httpx.Client) -> None:
    """One entry a token with its bytes; alternatives are sorted and the chosen one is as likely as it says."""
    choice = chat(client, logprobs=True, top_logprobs=4, temperature=0).json()["choices"][0]
    content = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in content) == choice["message"]["content"]
    for entry in content:
        alternatives = [top["logprob"] for top in entry["top_logprobs"]]
        assert alternatives == sorted(alternatives, reverse=True)
        assert entry["logprob"] == pytest.approx(alternatives[0])
        assert sum(math.exp(value) for value in alternatives) <= 1.0001
        assert bytes(entry["bytes"]).decode() == entry["token"]
    streamed = chunks(chat(client, logprobs=True, top_logprobs=4, temperature=0, stream=True))
    entries = [entry for c in streamed for entry in ((c["choices"][0]["logprobs"] or {}).get("content") or [])]
    assert entries == content


def test_a_bias_decides(client: httpx.Client) -> None:
    """+100 leaves one token, -100 forbids the end."""
    text = chat(client, logit_bias={str(ord("z")): 100}).json()["choices"][0]["message"]["content"]
    assert text == "z" * 12
    answer = chat(client, logit_bias={str(END): 100}).json()["choices"][0]
    assert (answer["message"]["content"], answer["finish_reason"]) == ("", "stop")


def test_a_bare_completion_has_no_template(client: httpx.Client) -> None:
    """The prompt's tokens are the text's alone, and text and tokens are the same prompt."""
    by_text = complete(client, max_tokens=6, logprobs=2).json()
    by_tokens = complete(client, max_tokens=6, prompt=list(b"hello")).json()
    choice = by_text["choices"][0]
    assert by_text["object"] == "text_completion"
    assert by_text["usage"]["prompt_tokens"] == 5
    assert choice["text"] == by_tokens["choices"][0]["text"]
    assert "".join(choice["logprobs"]["tokens"]) == choice["text"]
    assert choice["logprobs"]["text_offset"] == list(range(6))
    assert all(len(top) == 2 for top in choice["logprobs"]["top_logprobs"])
    assert len(complete(client).json()["choices"][0]["text"]) == 16


def test_a_bare_completion_streams(client: httpx.Client) -> None:
    """The pieces join to the whole and end with usage."""
    whole = complete(client, n=2).json()
    streamed = chunks(complete(client, n=2, stream=True, stream_options={"include_usage": True}))
    texts = {0: "", 1: ""}
    for chunk in streamed:
        for choice in chunk["choices"]:
            texts[choice["index"]] += choice["text"]
    assert list(texts.values()) == [choice["text"] for choice in whole["choices"]]
    assert streamed[-1]["usage"]["completion_tokens"] == 32


def test_a_client_that_goes_away_stops_all_choices(make_server: Callable[..., Any]) -> None:
    """Every choice is aborted."""
    server = make_server(FakeBackend(context_tokens=1024, step_delay_s=0.01, end_bias=-20))
    with server.client() as client:
        body = {"model": "fake", "prompt": "x", "n": 4, "max_tokens": 900, "stream": True}
        with client.stream("POST", "/v1/completions", json=body) as response:
            next(response.iter_bytes())
        deadline = time.monotonic() + 5
        while server.engine.step_loop.unfinished and time.monotonic() < deadline:
            time.sleep(0.02)
    assert server.engine.step_loop.counters.aborted == 4
    assert server.engine.step_loop.scheduler.slots.check() == []

"""Tools: a reported call names an offered tool with arguments that its schema accepts, or there is no call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest

from inference.backends.fake import FakeBackend

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 12}, "unit": {"enum": ["c", "f"]}},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
TIME = {"type": "function", "function": {"name": "get_time"}}
CALL_FIRST = {str(ord("<")): 100.0}


@pytest.fixture
def server(make_server: Callable[..., Any]) -> Any:
    return make_server(FakeBackend(context_tokens=1024, end_bias=-20))


@pytest.fixture
def client(server: Any) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def body(**fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "hello"}]
    return {"model": "fake", "messages": messages, "max_tokens": 200, "seed": 2, "tools": [WEATHER, TIME], **fields}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": None, "tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": named("other")}, "tool_choice"),
        ({"tools": [named("bad name!")]}, "tools.0.function.name"),
        ({"tools": [{"type": "browser"}]}, "tools.0.type"),
        ({"tools": [TIME] * 129}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"stop": "x"}, "stop"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]},
            "messages",
        ),
    ],
)
def test_wrong_tools_are_refused(client: httpx.Client, fields: dict[str, Any], param: str) -> None:
    """The field that is wrong is named."""
    response = client.post("/v1/chat/completions", json=body(**fields))
    assert (response.status_code, response.json()["error"]["param"]) == (400, param), response.text


def test_a_schema_that_cannot_be_compiled_is_refused(client: httpx.Client) -> None:
    """As for response formats."""
    bad = {"type": "function", "function": {"name": "f", "parameters": {"type": "nope"}}}
    for choice in ("auto", "required"):
        response = client.post("/v1/chat/completions", json=body(tools=[bad], tool_choice=choice))
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_schema")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tool_choice": "required"}, "tool_calls"),
        ({"tool_choice": named("get_weather")}, "stop"),
        ({"logit_bias": CALL_FIRST}, "tool_calls"),
    ],
)
def test_a_call_is_reported_with_valid_arguments(
    server: Any, fields: dict[str, Any], reason: str, stream: bool
) -> None:
    """Required, named or chosen by the model: the OpenAI client reads the same call, streamed or not."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="test-key", max_retries=0) as client:
        request = body(**fields)
        if stream:
            call, content, finish = None, "", None
            for chunk in client.chat.completions.create(**request, stream=True):
                choice = chunk.choices[0]
                content += choice.delta.content or ""
                finish = choice.finish_reason or finish
                if choice.delta.tool_calls:
                    assert call is None
                    call = choice.delta.tool_calls[0]
        else:
            answer = client.chat.completions.create(**request).choices[0]
            call = (answer.message.tool_calls or [None])[0]
            content, finish = answer.message.content or "", answer.finish_reason
    assert call is not None
    assert call.type == "function"
    assert content == ""
    assert finish == reason
    arguments = json.loads(call.function.arguments)
    if call.function.name == "get_weather":
        assert set(arguments) == {"city", "unit"}
        assert arguments["unit"] in ("c", "f")
    else:
        assert (call.function.name, arguments) == ("get_time", {})


@pytest.mark.parametrize("stream", [False, True])
def test_text_stays_text(server: Any, stream: bool) -> None:
    """With auto the model may answer in words, which are streamed as they come; with none it must."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="test-key", max_retries=0) as client:
        for choice in ("auto", "none"):
            request = body(tool_choice=choice, max_tokens=20)
            if stream:
                pieces = [c.choices[0].delta.content for c in client.chat.completions.create(**request, stream=True)]
                assert len("".join(piece or "" for piece in pieces)) == 20
                assert len([piece for piece in pieces if piece]) == 20
            else:
                answer = client.chat.completions.create(**request).choices[0]
                assert len(answer.message.content or "") == 20
                assert answer.message.tool_calls is None


def test_a_sign_in_the_middle_of_text_begins_no_call(client: httpx.Client) -> None:
    """Text that holds the first character of a call somewhere is streamed to its end."""
    found = 0
    for seed in range(8):
        request = body(max_tokens=20, seed=seed, logit_bias={str(ord("<")): 13.0})
        text = client.post("/v1/chat/completions", json=request).json()["choices"][0]["message"]["content"] or ""
        lines = client.post("/v1/chat/completions", json={**request, "stream": True}).text.split("\n")
        chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == text
        found += "<" in text
    assert found


def test_a_call_that_is_cut_is_no_call(client: httpx.Client) -> None:
    """Too few tokens: finish_reason length, neither call nor text."""
    for fields in ({"tool_choice": "required"}, {"logit_bias": CALL_FIRST}):
        answer = client.post("/v1/chat/completions", json=body(max_tokens=8, **fields)).json()["choices"][0]
        assert answer["finish_reason"] == "length"
        assert answer["message"]["content"] is None
        assert "tool_calls" not in answer["message"]


def test_a_conversation_goes_on_after_a_call(client: httpx.Client) -> None:
    """The call and its result are part of the next prompt."""
    call = {"id": "c1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "noon"},
    ]
    short = client.post("/v1/chat/completions", json=body(messages=messages[:1], max_tokens=1)).json()
    answer = client.post("/v1/chat/completions", json=body(messages=messages, max_tokens=5))
    assert answer.status_code == 200
    assert answer.json()["usage"]["prompt_tokens"] > short["usage"]["prompt_tokens"] + 60

"""Answers of hosted providers, from small servers that speak their documented formats. Real ones were not called."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.inference.upstream.asking import CALL, LIST, SCHEMA, WEATHER, Make, json_format, post
from tests.inference.upstream.providers import (
    anthropic_events,
    openai_call,
    openai_events,
    refusal,
    text_block,
    tool_block,
)


def test_openai_answers_and_streams(make: Make) -> None:
    """The text in its pieces, the usage, and exactly the fields that were asked for."""
    provider, client = make("openai", *openai_events("Grüße", " aus\u2028", "Bonn"))
    response = post(client, max_tokens=9, temperature=0, seed=3, stop="x", metadata={"a": 1}, store=True).json()
    assert response["choices"][0]["message"]["content"] == "Grüße aus\u2028Bonn"
    assert response["choices"][0]["finish_reason"] == "stop"
    assert (response["usage"]["prompt_tokens"], response["usage"]["completion_tokens"]) == (11, 7)
    assert response["usage"]["prompt_tokens_details"]["cached_tokens"] == 4
    assert provider.bodies[0] == {
        "model": "big-1",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 9,
        "temperature": 0.0,
        "seed": 3,
        "stop": ["x"],
    }
    assert provider.headers[0]["authorization"] == "Bearer sk-secret-1"
    text = post(client, stream=True).text
    assert "".join(
        event["choices"][0]["delta"].get("content") or ""
        for line in text.split("\n")
        if line.startswith("data: {") and (event := json.loads(line[6:]))["choices"]
    ).startswith("Grüße")


def test_openai_gets_strict_schemas_where_they_are(make: Make) -> None:
    """Narrowing keywords are left out of a strict one, an open object is not strict, a list is wrapped."""
    provider, client = make("openai", *openai_events('{"city": ', '"Bonn"}'))
    assert json.loads(post(client, response_format=json_format(SCHEMA)).json()["choices"][0]["message"]["content"])
    post(client, response_format={"type": "json_object"})
    strict, loose = (body["response_format"]["json_schema"] for body in provider.bodies)
    assert strict["strict"] is True
    assert strict["schema"] == {**SCHEMA, "properties": {"city": {"type": "string"}}}
    assert (loose["strict"], loose["schema"]) == (False, {"type": "object"})
    provider, client = make("openai", *openai_events('{"value": [1, ', "2]}"))
    choice = post(client, response_format=json_format(LIST)).json()["choices"][0]
    assert choice["message"]["content"] == "[1, 2]"
    wrapped = provider.bodies[0]["response_format"]["json_schema"]["schema"]
    assert wrapped["required"] == ["value"]
    assert wrapped["$defs"] == LIST["$defs"]


def test_a_choice_is_one_of_the_texts(make: Make) -> None:
    """Asked for as an enumeration, given back as plain text."""
    _, client = make("openai", *openai_events('{"value": "light green"}'))
    fields = {"structured_outputs": {"choice": ["red", "light green"]}}
    assert post(client, **fields).json()["choices"][0]["message"]["content"] == "light green"
    answer = anthropic_events(tool_block("answer", '{"value": "red"}'), stop="tool_use")
    _, client = make("anthropic", *answer)
    assert post(client, **fields).json()["choices"][0]["message"]["content"] == "red"


@pytest.mark.parametrize("tool_choice", ["auto", "required", {"type": "function", "function": {"name": "weather"}}])
@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_tools_are_called(make: Make, backend: str, tool_choice: Any) -> None:
    """Through the provider's own tools, with text before the call left out, streamed and not."""
    if backend == "openai":
        events = openai_call("weather", '{"city"', ': "Bonn"}')
    else:
        events = anthropic_events(text_block("Let me see."), tool_block("weather", "", CALL), stop="tool_use")
    provider, client = make(backend, *events)
    message = post(client, tools=[WEATHER], tool_choice=tool_choice).json()["choices"][0]["message"]
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"city": "Bonn"}
    assert message["content"] is None
    assert '"tool_calls"' in post(client, tools=[WEATHER], tool_choice=tool_choice, stream=True).text
    asked = provider.bodies[0]["tool_choice"]
    if backend == "openai":
        assert asked == tool_choice if tool_choice == "auto" else asked["function"]["name"] == "weather"
    else:
        kind = {"type": "auto"} if tool_choice == "auto" else {"type": "tool", "name": "weather"}
        assert asked == {**kind, "disable_parallel_tool_use": True}
        assert provider.bodies[0]["tools"][0] == {
            "name": "weather",
            "description": "Rain or sun.",
            "input_schema": SCHEMA,
        }


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_an_offered_tool_may_be_left_alone(make: Make, backend: str) -> None:
    """Then the text is the answer."""
    events = openai_events("No", " need") if backend == "openai" else anthropic_events(text_block("No", " need"))
    _, client = make(backend, *events)
    choice = post(client, tools=[WEATHER]).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("No need", "stop")


@pytest.mark.parametrize("backend", ["openai", "anthropic"])
def test_results_of_tools_go_back_to_their_calls(make: Make, backend: str) -> None:
    """The conversation keeps call and result together by id, in the provider's own form."""
    provider, client = make(
        backend, *(openai_events("Ok") if backend == "openai" else anthropic_events(text_block("Ok")))
    )
    call = {"id": "c9", "type": "function", "function": {"name": "weather", "arguments": CALL}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c9", "content": "sun"},
    ]
    assert post(client, messages=messages).status_code == 200
    body = provider.bodies[0]
    if backend == "openai":
        assert body["messages"][2] == {"role": "assistant", "content": None, "tool_calls": [call]}
        assert body["messages"][3] == {"role": "tool", "tool_call_id": "c9", "content": "sun"}
        return
    assert body["system"] == "Be brief."
    use = {"type": "tool_use", "id": "c9", "name": "weather", "input": {"city": "Bonn"}}
    assert body["messages"][1] == {"role": "assistant", "content": [use]}
    result = {"type": "tool_result", "tool_use_id": "c9", "content": "sun"}
    assert body["messages"][2] == {"role": "user", "content": [result]}


def test_anthropic_answers_with_a_forced_tool(make: Make) -> None:
    """JSON is the input of a strict tool, streamed as it comes; plain text is plain; usage adds the cached tokens."""
    thinking = ({"type": "thinking", "thinking": ""}, [{"type": "thinking_delta", "thinking": "Hm"}])
    events = anthropic_events(thinking, tool_block("answer", '{"city": "B', 'onn"}'), stop="tool_use")
    provider, client = make("anthropic", *events)
    response = post(client, response_format=json_format(SCHEMA), temperature=0).json()
    assert response["choices"][0]["message"]["content"] == CALL
    assert response["choices"][0]["finish_reason"] == "stop"
    assert (response["usage"]["prompt_tokens"], response["usage"]["completion_tokens"]) == (12, 9)
    body = provider.bodies[0]
    assert body["tool_choice"] == {"type": "tool", "name": "answer", "disable_parallel_tool_use": True}
    assert body["tools"][0]["strict"] is True
    assert (body["max_tokens"], "temperature" in body) == (4096, False)
    assert provider.headers[0]["x-api-key"] == "sk-secret-1"
    assert provider.headers[0]["anthropic-version"] == "2023-06-01"
    _, client = make("anthropic", *anthropic_events(text_block("Hel", "lo"), stop="max_tokens"))
    choice = post(client).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello", "length")


def test_log_probabilities_of_openai_are_passed_on(make: Make) -> None:
    """With bytes where the provider gives them."""
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    events = openai_events("Hi")
    assert isinstance(events[1], dict)
    events[1]["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    provider, client = make("openai", *events)
    choice = post(client, logprobs=True, top_logprobs=0).json()["choices"][0]
    assert choice["logprobs"]["content"][0]["bytes"] == [72, 105]
    assert (provider.bodies[0]["logprobs"], provider.bodies[0]["top_logprobs"]) == (True, 0)


def test_a_temperature_that_a_model_does_not_take_is_left_out(make: Make) -> None:
    """Reasoning models refuse it; the request is said again without it, and later ones from the start."""
    provider, client = make("openai", *openai_events("Ok"))
    provider.refusals.append(refusal(400, "Unsupported value", code="unsupported_value", param="temperature"))
    for _ in range(2):
        assert post(client, temperature=0).status_code == 200
    assert ["temperature" in body for body in provider.bodies] == [True, False, False]

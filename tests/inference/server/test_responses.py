"""``/v1/responses`` as the OpenAI client reads it: refusals, items, typed events in their order, nothing kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from inference.backends.base import DecodeFailed
from inference.backends.fake import FakeBackend

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
MESSAGE_EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
]
CALL_EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
    "response.completed",
]


class Answer(BaseModel):
    """What the model is asked for."""

    model_config = ConfigDict(extra="forbid")

    answer: str = Field(max_length=20)


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "fake", "input": "hello", "max_output_tokens": 200, "temperature": 0, **fields}


@pytest.fixture
def server(make_server: Callable[..., Any]) -> Any:
    return make_server(FakeBackend(context_tokens=1024, end_bias=-20))


@pytest.fixture
def client(server: Any) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def sdk(server: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="test-key", max_retries=0) as client:
        yield client


def events(response: httpx.Response) -> list[dict[str, Any]]:
    """The events of a stream, whose names and numbers are what they have to be."""
    blocks = [block.split("\n") for block in response.text.removesuffix("\n\n").split("\n\n")]
    parsed = [json.loads(data.removeprefix("data: ")) for _, data in blocks]
    assert [name for name, _ in blocks] == [f"event: {event['type']}" for event in parsed]
    assert [event["sequence_number"] for event in parsed] == list(range(len(parsed)))
    return parsed


def distinct(types: list[str]) -> list[str]:
    return [kind for at, kind in enumerate(types) if at == 0 or types[at - 1] != kind]


@pytest.mark.parametrize(
    ("fields", "code", "param", "text"),
    [
        ({"store": True}, "unsupported_parameter", "store", "Nothing of a response is kept"),
        ({"previous_response_id": "resp_1"}, "unsupported_parameter", "previous_response_id", "whole conversation"),
        ({"conversation": "conv_1"}, "unsupported_parameter", "conversation", "whole conversation"),
        ({"background": True}, "unsupported_parameter", "background", "batch"),
        ({"prompt": {"id": "pmpt_1"}}, "unsupported_parameter", "prompt", "instructions"),
        ({"truncation": "auto"}, "unsupported_parameter", "truncation", "disabled"),
        ({"tools": [{"type": "web_search"}]}, "unsupported_parameter", "tools", "'web_search'"),
        ({"tools": [{"type": "function", "name": "no good"}]}, "invalid_request", "tools.0.name", "pattern"),
        ({"tool_choice": "required"}, "invalid_request", "tool_choice", "needs tools"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "name": "x"}}, "invalid_request", "tool_choice", "x"),
        ({"input": []}, "invalid_request", None, "at least 1 item"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "unsupported_parameter", "input", "referred to"),
        ({"input": [{"type": "computer_call"}]}, "unsupported_parameter", "input", "'computer_call'"),
        ({"input": [{"role": "user"}]}, "invalid_request", "input", "role and content"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "invalid_request", "input", "call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "invalid_request", "input", "output"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "unsupported_parameter",
            "input",
            "'input_image'",
        ),
        ({"max_output_tokens": 0}, "invalid_request", "max_output_tokens", "greater than or equal to 1"),
        ({"max_output_tokens": 5000}, "context_length_exceeded", "input", "1,024 tokens"),
        ({"text": {"format": {"type": "json_schema"}}}, "invalid_request", "text.format.schema", "schema"),
        (
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "nope"}}}},
            "invalid_schema",
            None,
            "not valid",
        ),
        ({"metadata": {"k": "v" * 513}}, "invalid_request", "metadata.k", "512"),
    ],
)
def test_what_is_not_offered_is_refused(
    client: httpx.Client, fields: dict[str, Any], code: str, param: str | None, text: str
) -> None:
    """A clear 400 that names the field, never a field that is silently dropped; streaming makes no difference."""
    for stream in (False, True):
        response = client.post("/v1/responses", json=body(**fields, stream=stream))
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (400, code), error
        assert param is None or error["param"] == param
        assert text in error["message"]


def test_an_unknown_model_is_not_found(sdk: openai.OpenAI) -> None:
    """As for chat completions."""
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.responses.create(**body(model="gpt-5"))
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
def test_a_broken_engine_is_an_error(make_server: Callable[..., Any], stream: bool) -> None:
    """Not streaming, a 500; in a stream, an ``error`` event and then ``response.failed`` as the last one."""
    backend = FakeBackend(context_tokens=1024)
    with make_server(backend).client() as client:
        backend.fail_next = DecodeFailed("no more memory")
        response = client.post("/v1/responses", json=body(stream=stream))
        if stream:
            last = events(response)[-2:]
            assert [event["type"] for event in last] == ["error", "response.failed"]
            assert last[0]["code"] == "engine_failed"
            assert last[1]["response"]["status"] == "failed"
            assert last[1]["response"]["error"]["code"] == "server_error"
            assert "no more memory" in last[1]["response"]["error"]["message"]
        else:
            assert (response.status_code, response.json()["error"]["code"]) == (500, "engine_failed")
        assert client.post("/v1/responses", json=body()).status_code == 200


def test_an_answer_has_openais_shape(client: httpx.Client) -> None:
    """Every member satisfies the client's own types, and says what was applied."""
    answer = client.post("/v1/responses", json=body(instructions="Be brief.", metadata={"a": "b"})).json()
    parsed = Response.model_validate(answer)
    assert parsed.id.startswith("resp_")
    assert (parsed.status, parsed.error) == ("incomplete", None)
    assert (parsed.instructions, parsed.metadata, parsed.max_output_tokens) == ("Be brief.", {"a": "b"}, 200)
    assert answer["store"] is False
    [item] = parsed.output
    assert item.type == "message"
    assert item.id.startswith("msg_")
    assert len(parsed.output_text) == 200
    assert parsed.usage is not None
    assert parsed.usage.output_tokens == 200
    assert parsed.usage.total_tokens == parsed.usage.input_tokens + 200
    again = Response.model_validate(client.post("/v1/responses", json=body(instructions="Be brief.")).json())
    assert again.output_text == parsed.output_text
    assert again.usage is not None
    assert again.usage.input_tokens_details.cached_tokens > 0


def test_too_little_room_is_incomplete(sdk: openai.OpenAI) -> None:
    """The status, its reason and the item's own status say so."""
    response = sdk.responses.create(**body(max_output_tokens=5))
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output[0].status == "incomplete"  # type: ignore[union-attr]
    assert len(response.output_text) == 5


def test_input_is_the_same_as_text_or_as_items(client: httpx.Client) -> None:
    """Instructions stand for a system message; parts are joined; earlier output may be sent back as it came."""

    def prompt_tokens(path: str, **fields: Any) -> int:
        usage = client.post(path, json={"model": "fake", **fields}).json()["usage"]
        return int(usage.get("input_tokens") or usage["prompt_tokens"])

    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    expected = prompt_tokens("/v1/chat/completions", messages=messages, max_tokens=1)
    one = {"max_output_tokens": 1}
    assert prompt_tokens("/v1/responses", instructions="Be brief.", input="hello", **one) == expected
    assert prompt_tokens("/v1/responses", input=messages, **one) == expected
    parts = [{"type": "input_text", "text": "hel"}, {"type": "input_text", "text": "lo"}]
    items = [{"role": "developer", "content": "Be brief."}, {"type": "message", "role": "user", "content": parts}]
    assert prompt_tokens("/v1/responses", input=items, **one) == expected
    output = client.post("/v1/responses", json=body(max_output_tokens=4)).json()["output"]
    text = output[0]["content"][0]["text"]
    history = [messages[1], {"role": "assistant", "content": text}, {"role": "user", "content": "more"}]
    longer = prompt_tokens("/v1/chat/completions", messages=history, max_tokens=1)
    assert prompt_tokens("/v1/responses", input=[messages[1], *output, history[2]], **one) == longer


def test_a_stream_is_a_message_told_in_order(client: httpx.Client) -> None:
    """The documented events; what they add up to is the answer that is not streamed."""
    whole = client.post("/v1/responses", json=body(max_output_tokens=10)).json()
    told = events(client.post("/v1/responses", json=body(max_output_tokens=10, stream=True)))
    assert distinct([event["type"] for event in told]) == [*MESSAGE_EVENTS, "response.incomplete"]
    text = whole["output"][0]["content"][0]["text"]
    assert "".join(event["delta"] for event in told if event["type"] == "response.output_text.delta") == text
    assert told[0]["response"]["status"] == "in_progress"
    last = told[-1]["response"]
    assert last["output"][0]["content"] == whole["output"][0]["content"]
    assert last["output"][0]["id"] == told[2]["item"]["id"]
    assert last["usage"]["output_tokens"] == 10


def test_an_empty_answer_is_still_a_message(make_server: Callable[..., Any]) -> None:
    """A model that ends at once has said nothing, streamed or not."""
    with make_server(FakeBackend(context_tokens=1024, end_bias=100)).client() as client:
        whole = client.post("/v1/responses", json=body()).json()
        told = events(client.post("/v1/responses", json=body(stream=True)))
    assert whole["status"] == "completed"
    assert whole["output"][0]["content"][0]["text"] == ""
    without_delta = [kind for kind in MESSAGE_EVENTS if not kind.endswith("delta")]
    assert [event["type"] for event in told] == [*without_delta, "response.completed"]


def test_log_probabilities_come_when_they_are_asked_for(client: httpx.Client) -> None:
    """Through ``include``, with as many alternatives as ``top_logprobs`` says."""
    fields = {"include": ["message.output_text.logprobs"], "top_logprobs": 2, "max_output_tokens": 3}
    part = client.post("/v1/responses", json=body(**fields)).json()["output"][0]["content"][0]
    assert [entry["token"] for entry in part["logprobs"]] == list(part["text"])
    assert all(len(entry["top_logprobs"]) == 2 for entry in part["logprobs"])
    told = events(client.post("/v1/responses", json=body(**fields, stream=True)))
    deltas = [event for event in told if event["type"] == "response.output_text.delta"]
    assert [entry for event in deltas for entry in event["logprobs"]] == part["logprobs"]
    assert client.post("/v1/responses", json=body()).json()["output"][0]["content"][0]["logprobs"] == []


def test_the_client_parses_what_the_format_demands(sdk: openai.OpenAI) -> None:
    """``parse`` and ``stream`` give the Pydantic object; json_object gives an object."""
    parsed = sdk.responses.parse(**body(), text_format=Answer)
    assert isinstance(parsed.output_parsed, Answer)
    with sdk.responses.stream(**body(), text_format=Answer) as stream:
        kinds = distinct([event.type for event in stream])
        final = stream.get_final_response()
    assert kinds == [*MESSAGE_EVENTS, "response.completed"]
    assert final.output_parsed == parsed.output_parsed
    response = sdk.responses.create(**body(max_output_tokens=4, text={"format": {"type": "json_object"}}))
    assert response.output_text.startswith("{")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "get_weather"}])
def test_a_call_is_an_item_with_valid_arguments(client: httpx.Client, sdk: openai.OpenAI, choice: Any) -> None:
    """Streamed or not; the client's stream helper parses the arguments."""
    fields = {"tools": [WEATHER], "tool_choice": choice}
    response = sdk.responses.create(**body(**fields))
    [item] = response.output
    assert item.type == "function_call"
    assert (item.name, item.status, set(json.loads(item.arguments))) == ("get_weather", "completed", {"city"})
    assert item.call_id.startswith("call")
    told = events(client.post("/v1/responses", json=body(**fields, stream=True)))
    assert [event["type"] for event in told] == CALL_EVENTS
    assert told[3]["delta"] == told[4]["arguments"] == told[5]["item"]["arguments"] == item.arguments
    assert told[2]["item"]["arguments"] == ""
    with sdk.responses.stream(**body(**fields)) as stream:
        [final] = stream.get_final_response().output
    assert final.type == "function_call"
    assert final.parsed_arguments == json.loads(item.arguments)


def test_a_call_that_was_cut_is_no_call(client: httpx.Client) -> None:
    """Arguments that end in the middle are not reported at all."""
    fields = {"tools": [WEATHER], "tool_choice": "required", "max_output_tokens": 8}
    whole = client.post("/v1/responses", json=body(**fields)).json()
    assert (whole["status"], whole["output"]) == ("incomplete", [])
    told = events(client.post("/v1/responses", json=body(**fields, stream=True)))
    assert [event["type"] for event in told] == ["response.created", "response.in_progress", "response.incomplete"]


def test_a_conversation_goes_on_after_a_call(sdk: openai.OpenAI) -> None:
    """The items of the response go back as they came, with the function's output after them."""
    first = sdk.responses.create(**body(tools=[WEATHER], tool_choice="required"))
    [call] = first.output
    assert call.type == "function_call"
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    items = [{"role": "user", "content": "hello"}, call.model_dump(), result]
    second = sdk.responses.create(**body(tools=[WEATHER], tool_choice="none", input=items, max_output_tokens=5))
    assert len(second.output_text) == 5
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > 20

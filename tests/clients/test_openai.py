"""The official client, unmodified: synchronous, asynchronous, streaming, parsing, tools, on both of its interfaces."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import pydantic_function_tool
from openai.types.responses import ResponseFunctionToolCall

from tests.clients.serving import City, Server

pytestmark = pytest.mark.model
# Answers that are compared are short: the first words are no close call, which another batch could decide otherwise.
QUESTION = [{"role": "user", "content": "Tell me about Paris."}]


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0) as client:
        yield client


def chat(server: Server, **fields: Any) -> dict[str, Any]:
    return {"model": server.model, "messages": QUESTION, "temperature": 0, "max_tokens": 4, **fields}


def item(server: Server, **fields: Any) -> dict[str, Any]:
    return {"model": server.model, "input": "Tell me about Paris.", "temperature": 0, "max_output_tokens": 4, **fields}


def test_errors_are_the_clients_own(server: Server, client: openai.OpenAI) -> None:
    """A wrong key, an unknown model, a prompt that is too long, a field that is not offered: each has its class."""
    with (
        openai.OpenAI(base_url=server.base_url, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.responses.create(**item(server))
    for create, fields in ((client.chat.completions.create, chat(server)), (client.responses.create, item(server))):
        with pytest.raises(openai.NotFoundError):
            create(**{**fields, "model": "gpt-5"})
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**item(server, input="word " * 4000))
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**item(server, previous_response_id="resp_1"))
    assert caught.value.code == "unsupported_parameter"


def test_both_interfaces_give_one_answer(server: Server, client: openai.OpenAI) -> None:
    """Chat and responses, streamed and not, say the same."""
    completion = client.chat.completions.create(**chat(server))
    text = completion.choices[0].message.content
    assert text
    with client.chat.completions.create(**chat(server), stream=True) as stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == text
    response = client.responses.create(**item(server))
    assert response.output_text == text
    assert completion.usage is not None
    assert response.usage is not None
    assert response.usage.input_tokens == completion.usage.prompt_tokens
    assert response.usage.input_tokens_details.cached_tokens > 0
    with client.responses.create(**item(server), stream=True) as events:
        assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == text


def test_parse_gives_a_pydantic_object(server: Server, client: openai.OpenAI) -> None:
    """On both interfaces, and at the end of a stream."""
    parsed = client.chat.completions.parse(**chat(server, max_tokens=40), response_format=City)
    assert isinstance(parsed.choices[0].message.parsed, City)
    response = client.responses.parse(**item(server, max_output_tokens=40), text_format=City)
    assert isinstance(response.output_parsed, City)
    with client.chat.completions.stream(**chat(server, max_tokens=40), response_format=City) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == parsed.choices[0].message.parsed
    with client.responses.stream(**item(server, max_output_tokens=40), text_format=City) as events:
        kinds = [event.type for event in events]
        assert events.get_final_response().output_parsed == response.output_parsed
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"


def test_a_function_is_called_and_answered(server: Server, client: openai.OpenAI) -> None:
    """The arguments satisfy the schema, and the conversation goes on with the function's output."""
    tool = pydantic_function_tool(City, name="save_city")
    completion = client.chat.completions.parse(
        **chat(server, max_tokens=40),
        tools=[tool],
        tool_choice={"type": "function", "function": {"name": "save_city"}},
    )
    [call] = completion.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, City)
    flat = {"type": "function", "name": "save_city", "strict": True, "parameters": City.model_json_schema()}
    first = client.responses.create(**item(server, max_output_tokens=40), tools=[flat], tool_choice="required")
    [made] = first.output
    assert isinstance(made, ResponseFunctionToolCall)
    City.model_validate(json.loads(made.arguments))
    output = {"type": "function_call_output", "call_id": made.call_id, "output": "saved"}
    history = [{"role": "user", "content": "Tell me about Paris."}, made.model_dump(), output]
    second = client.responses.create(**item(server, input=history), tools=[flat], tool_choice="none")
    assert second.output_text


def test_the_asynchronous_client_does_the_same(server: Server) -> None:
    """Create, stream and parse."""

    async def use() -> None:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=server.key, max_retries=0) as client:
            completion = await client.chat.completions.create(**chat(server))
            text = completion.choices[0].message.content
            stream = await client.chat.completions.create(**chat(server), stream=True)
            assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == text
            last = [event async for event in await client.responses.create(**item(server), stream=True)][-1]
            assert last.type == "response.incomplete"
            assert last.response.output_text == text
            parsed = await client.responses.parse(**item(server, max_output_tokens=40), text_format=City)
            assert isinstance(parsed.output_parsed, City)
            async with client.responses.stream(**item(server, max_output_tokens=40), text_format=City) as helper:
                assert [event.type async for event in helper][-1] == "response.completed"
                assert (await helper.get_final_response()).output_parsed == parsed.output_parsed

    asyncio.run(use())

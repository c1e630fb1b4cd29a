"""LiteLLM, unmodified, through its ``openai/`` provider."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.serving import City, Server

# It reads attributes that Pydantic has deprecated.
pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")]


@pytest.fixture(scope="module")
def litellm() -> Iterator[Any]:
    """Imported late, so that it does not fetch its price list; with an event loop that is closed again."""
    import litellm

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield litellm
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def request_of(server: Server) -> dict[str, Any]:
    return {
        "model": f"openai/{server.model}",
        "api_base": server.base_url,
        "api_key": server.key,
        "messages": [{"role": "user", "content": "Tell me about Paris."}],
        "temperature": 0,
        "max_tokens": 4,
        "num_retries": 0,
    }


def test_errors_are_its_own(litellm: Any, request_of: dict[str, Any]) -> None:
    """Key, model and context each have their class."""
    with pytest.raises(litellm.AuthenticationError):
        litellm.completion(**{**request_of, "api_key": "wrong"})
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(**{**request_of, "model": "openai/other"})
    with pytest.raises(litellm.ContextWindowExceededError):
        litellm.completion(**{**request_of, "messages": [{"role": "user", "content": "word " * 4000}]})


def test_completion_and_stream_agree(litellm: Any, request_of: dict[str, Any]) -> None:
    """The chunks join to the answer, and usage arrives."""
    answer = litellm.completion(**request_of)
    text = answer.choices[0].message.content
    assert text
    assert answer.usage.completion_tokens == 4
    chunks = list(litellm.completion(**request_of, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == text
    assert chunks[-1].usage.prompt_tokens == answer.usage.prompt_tokens


def test_structured_output_and_tools(litellm: Any, request_of: dict[str, Any]) -> None:
    """A Pydantic class as response format, and a required call."""
    request_of["max_tokens"] = 40
    answer = litellm.completion(**request_of, response_format=City)
    City.model_validate_json(answer.choices[0].message.content)
    function = {"name": "save_city", "parameters": City.model_json_schema()}
    tools = [{"type": "function", "function": function}]
    made = litellm.completion(**request_of, tools=tools, tool_choice="required")
    [call] = made.choices[0].message.tool_calls
    assert call.function.name == "save_city"
    City.model_validate(json.loads(call.function.arguments))


def test_responses_go_through_too(litellm: Any, request_of: dict[str, Any]) -> None:
    """Its own Responses interface reads ours."""
    del request_of["messages"], request_of["max_tokens"], request_of["num_retries"]
    request_of |= {"input": "Tell me about Paris.", "max_output_tokens": 4}
    response = litellm.responses(**request_of)
    assert response.status == "incomplete"
    assert response.output[0].content[0].text
    events = list(litellm.responses(**request_of, stream=True))
    # Against its own last event: a cached prompt is computed in other batches, where near ties may fall otherwise.
    text = events[-1].response.output[0].content[0].text
    assert text
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == text

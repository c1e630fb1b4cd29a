"""LangChain's ChatOpenAI, unmodified, on chat completions and on responses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.serving import City, Server

pytestmark = pytest.mark.model
QUESTION = "Tell me about Paris."


def chat_model(server: Server, **fields: Any) -> Any:
    """A model that answers briefly and is not asked twice."""
    from langchain_openai import ChatOpenAI

    options = {"max_tokens": 40, "temperature": 0, "max_retries": 0, **fields}
    return ChatOpenAI(model=server.model, base_url=server.base_url, api_key=server.key, **options)


def save_city(name: str, is_capital: bool) -> str:
    """Save a city."""
    return f"{name} {is_capital}"


def test_errors_are_openais(server: Server) -> None:
    """LangChain passes on what the OpenAI client raises."""
    import openai

    with pytest.raises(openai.NotFoundError):
        chat_model(server).invoke(QUESTION, model="gpt-5")
    with pytest.raises(openai.BadRequestError):
        chat_model(server, use_responses_api=True).invoke(QUESTION, previous_response_id="resp_1")


@pytest.mark.parametrize("responses", [False, True])
def test_invoke_and_stream_agree(server: Server, responses: bool) -> None:
    """The chunks add up to the message, with its usage."""
    model = chat_model(server, max_tokens=4, use_responses_api=responses, stream_usage=True)
    answer = model.invoke(QUESTION)
    assert answer.text
    whole = None
    for chunk in model.stream(QUESTION):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    assert whole.text == answer.text
    assert whole.usage_metadata["output_tokens"] == answer.usage_metadata["output_tokens"] == 4


@pytest.mark.parametrize("responses", [False, True])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_is_a_pydantic_object(server: Server, method: str, responses: bool) -> None:
    """Through a schema or through a function, on both interfaces."""
    model = chat_model(server, use_responses_api=responses)
    assert isinstance(model.with_structured_output(City, method=method).invoke(QUESTION), City)


@pytest.mark.parametrize("responses", [False, True])
def test_bound_tools_are_called_and_answered(server: Server, responses: bool) -> None:
    """The call goes back with its result as LangChain's own messages."""
    from langchain_core.messages import HumanMessage, ToolMessage

    model = chat_model(server, use_responses_api=responses)
    question = HumanMessage(QUESTION)
    made = model.bind_tools([save_city], tool_choice="required").invoke([question])
    [call] = made.tool_calls
    assert (call["name"], set(call["args"])) == ("save_city", {"name", "is_capital"})
    result = ToolMessage(save_city(**call["args"]), tool_call_id=call["id"])
    final = model.bind_tools([save_city], tool_choice="none", max_tokens=4).invoke([question, made, result])
    assert final.text
    assert not final.tool_calls

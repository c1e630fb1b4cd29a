"""Instructor, unmodified, in the modes that need the server's constraints."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.clients.serving import City, Server

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=server.base_url, api_key=server.key, max_retries=0) as client:
        yield client


def request_of(server: Server) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Tell me about Paris."}]
    return {"model": server.model, "messages": messages, "temperature": 0, "max_tokens": 40, "max_retries": 0}


@pytest.mark.parametrize("mode", ["TOOLS", "JSON_SCHEMA"])
def test_a_pydantic_object_comes_back_at_the_first_attempt(server: Server, client: openai.OpenAI, mode: str) -> None:
    """By a named function or by a schema; nothing is tried again."""
    import instructor

    patched = instructor.from_openai(client, mode=instructor.Mode[mode])
    assert isinstance(patched.create(response_model=City, **request_of(server)), City)


def test_a_stream_fills_the_object(server: Server, client: openai.OpenAI) -> None:
    """Partial objects end in the whole one."""
    import instructor

    patched = instructor.from_openai(client, mode=instructor.Mode.JSON_SCHEMA)
    last = list(patched.create_partial(response_model=City, **request_of(server)))[-1]
    City.model_validate(last.model_dump())


def test_the_asynchronous_client_does_the_same(server: Server) -> None:
    """With the asynchronous OpenAI client inside."""
    import instructor

    async def use() -> City:
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key=server.key, max_retries=0) as client:
            patched = instructor.from_openai(client, mode=instructor.Mode.TOOLS)
            return await patched.create(response_model=City, **request_of(server))

    assert isinstance(asyncio.run(use()), City)

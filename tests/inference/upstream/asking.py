"""What is asked of hosted providers through Herald's endpoint, and the settings that lead there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from inference.config import InferenceSettings
from tests.inference.upstream.providers import Provider

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 9}},
    "required": ["city"],
    "additionalProperties": False,
}
LIST = {"type": "array", "items": {"$ref": "#/$defs/n"}, "$defs": {"n": {"type": "integer"}}, "maxItems": 3}
WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "Rain or sun.", "parameters": SCHEMA},
}
CALL = '{"city": "Bonn"}'
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}

Make = Callable[..., tuple[Provider, httpx.Client]]


def settings(backend: str, origin: str, **options: Any) -> InferenceSettings:
    base_url = f"{origin}/v1" if backend == "openai" else origin
    fields = {f"{backend}_base_url": base_url, f"{backend}_api_key": "sk-secret-1", **options}
    return InferenceSettings(_env_file=None, model="big-1", inference_backend=backend, **fields)


def post(client: httpx.Client, **fields: Any) -> httpx.Response:
    body = {"model": "big-1", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return client.post("/v1/chat/completions", json=body)


def json_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}

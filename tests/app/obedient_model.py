"""An inference server that answers every request with the smallest thing that its schema allows."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.app.chat.fake_inference import FakeInference


class ObedientModel(FakeInference):
    """Answers without a script, so that any route may ask in any order."""

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/v1/chat/completions":
            return super()._answer(request)
        body = json.loads(request.content)
        if "response_format" not in body:
            logprobs = {"content": [{"token": "no", "top_logprobs": [{"token": "no", "logprob": -0.1}]}]}
            return httpx.Response(200, json={"choices": [{"message": {"content": "no"}, "logprobs": logprobs}]})
        turn = smallest(schema := body["response_format"]["json_schema"]["schema"], schema)
        if not body.get("stream"):
            message = {"content": json.dumps(turn)}
            return httpx.Response(200, json={"choices": [{"message": message, "finish_reason": "stop"}]})
        self.turns = [turn if isinstance(turn, dict) else json.dumps(turn)]
        return super()._answer(request)


def smallest(schema: dict[str, Any], root: dict[str, Any]) -> Any:
    """A small value that obeys a JSON schema, references into ``root`` included."""
    if "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return smallest(target, root)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return smallest(schema[several][0], root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {name: smallest(schema["properties"][name], root) for name in schema.get("required", [])}
        case "array":
            return [smallest(schema["items"], root) for _ in range(schema.get("minItems", 0))]
        case "string":
            return "a" * max(schema.get("minLength", 1), 1)
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
    return None

"""The objects that ``/v1/responses`` answers with: the response, its items, its usage.

A response has at most one item, whose id carries the response's own number. Source: OpenAI API reference, responses.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from inference.engine.base import FinishReason, Usage
from inference.errors import InferenceError
from inference.server.response_bodies import ResponseBody
from inference.server.streams import usage_body

Json = dict[str, Any]


def new_response_id() -> str:
    """An id such as ``resp_…``, never used twice; clients tell ids apart by what comes before the underscore."""
    return f"resp_{secrets.token_hex(24)}"


def new_response(response_id: str, body: ResponseBody) -> Json:
    """A response that has only begun, with what was asked for as it is applied."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(time.time()),
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "metadata": body.metadata or {},
        "model": body.model,
        "output": [],
        "parallel_tool_calls": False,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "text": {"format": body.text.format.model_dump(by_alias=True, exclude_unset=True) or {"type": "text"}},
        "tool_choice": body.tool_choice if isinstance(body.tool_choice, str) else body.tool_choice.model_dump(),
        "tools": [tool.model_dump() for tool in body.tools],
        "top_logprobs": body.top_logprobs or 0,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": "disabled",
        "usage": None,
    }


def finished(response: Json, output: list[Json], reason: FinishReason | None, usage: Usage) -> Json:
    """The response with its output: completed, or incomplete when there was no room for more."""
    is_cut = reason == "length"
    return {
        **response,
        "status": "incomplete" if is_cut else "completed",
        "completed_at": None if is_cut else int(time.time()),
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "output": output,
        "usage": _usage(usage),
    }


def failed(response: Json, error: InferenceError) -> Json:
    """The response that an error ended. OpenAI knows few codes here; the ``error`` event before it has ours."""
    code = "rate_limit_exceeded" if error.status == 429 else "server_error"
    return {**response, "status": "failed", "error": {"code": code, "message": error.message}}


def message_item(response: Json, content: list[Json], status: str) -> Json:
    """The item of an answer in words."""
    item_id = _item_id(response, "msg_")
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str, logprobs: list[Json]) -> Json:
    """The one part of a message."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def call_item(response: Json, call: Json) -> Json:
    """The item of a call, from an element of a chat completion's ``tool_calls``."""
    function = call["function"]
    return {
        "id": _item_id(response, "fc_"),
        "type": "function_call",
        "status": "completed",
        "call_id": call["id"],
        "name": function["name"],
        "arguments": function["arguments"],
    }


def _item_id(response: Json, prefix: str) -> str:
    return prefix + str(response["id"]).removeprefix("resp_")


def _usage(usage: Usage) -> Json:
    chat = usage_body([usage])
    cached = usage.cached_tokens
    return {
        "input_tokens": chat["prompt_tokens"],
        # What was not in the cache was computed into it.
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": usage.prompt_tokens - cached},
        "output_tokens": chat["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": chat["total_tokens"],
        "timings": chat["timings"],
    }

"""Small real servers that speak the documented wire formats of the hosted providers, and go wrong on request.

Sources: OpenAI API reference (chat, streaming, errors); Anthropic API reference (messages, streaming, errors).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Event = dict[str, Any] | str


@dataclass
class Provider:
    """What a stand-in was asked, and how it answers: by ``reply``, from the body, or with the first of ``refusals``.

    A stream holds events; text stands for itself on the wire. ``holds`` keeps a stream open after its events.
    """

    reply: Callable[[dict[str, Any]], Sequence[Event]]
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    refusals: list[Response] = field(default_factory=list)
    holds: bool = False
    left: int = 0

    async def answer(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        if self.refusals:
            return self.refusals.pop(0)
        return StreamingResponse(self._stream(self.reply(body)), media_type="text/event-stream")

    async def _stream(self, events: Sequence[Event]) -> AsyncIterator[str]:
        try:
            for event in events:
                if isinstance(event, str):
                    yield event
                    continue
                name = f"event: {event['type']}\n" if "type" in event else ""
                yield f"{name}data: {json.dumps(event, ensure_ascii=False)}\n\n"
            if self.holds:
                await asyncio.Event().wait()
        finally:
            self.left += 1


class Hub:
    """One server for many stand-ins, each under a number."""

    def __init__(self) -> None:
        self._providers: list[tuple[str, Provider]] = []
        self.app = Starlette(routes=[Route("/{number:int}{path:path}", self._answer, methods=["POST"])])

    def add(self, path: str, provider: Provider) -> int:
        """Answer at a path; returns the number that stands before it."""
        self._providers.append((path, provider))
        return len(self._providers) - 1

    async def _answer(self, request: Request) -> Response:
        path, provider = self._providers[request.path_params["number"]]
        if request.path_params["path"] != path:
            return refusal(404, f"no such path: {request.path_params['path']}")
        return await provider.answer(request)


def refusal(status: int, message: str, headers: dict[str, str] | None = None, **fields: Any) -> Response:
    """An error as both providers shape it."""
    return JSONResponse({"error": {"message": message, **fields}}, status_code=status, headers=headers)


def openai_events(*pieces: str, finish: str = "stop", **delta: Any) -> list[Event]:
    """A chat completion in chunks: text, or whatever else the delta holds."""

    def chunk(content: dict[str, Any], reason: str | None = None) -> Event:
        choice = {"index": 0, "delta": content, "logprobs": None, "finish_reason": reason}
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice], "usage": None}

    usage = {
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "total_tokens": 18,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    body = [chunk({"content": piece}) for piece in pieces]
    if delta:
        body.append(chunk(delta))
    last = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": usage}
    return [chunk({"role": "assistant", "content": ""}), *body, chunk({}, finish), last, "data: [DONE]\n\n"]


def openai_call(name: str, *arguments: str) -> list[Event]:
    """A tool call whose arguments come in pieces."""
    events = openai_events(finish="tool_calls")
    head = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
    calls = [head, *({"index": 0, "function": {"arguments": piece}} for piece in arguments)]
    chunks: list[Event] = [
        {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]} for call in calls
    ]
    return [events[0], *chunks, *events[1:]]


def anthropic_events(*blocks: tuple[dict[str, Any], Sequence[dict[str, Any]]], stop: str = "end_turn") -> list[Event]:
    """A message: each block as it begins, with its deltas."""
    counted = {"input_tokens": 8, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": counted}
    events: list[Event] = [{"type": "message_start", "message": message}, {"type": "ping"}]
    for index, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": stop, "stop_sequence": None}
    return [*events, {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9}}, {"type": "message_stop"}]


def text_block(*pieces: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A text block in pieces."""
    return {"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces]


def tool_block(name: str, *pieces: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A tool use whose input comes in pieces."""
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return {"type": "tool_use", "id": "toolu_1", "name": name, "input": {}}, deltas

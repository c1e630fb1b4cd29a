"""``POST /v1/chat/completions``, streaming and not. Source: OpenAI API reference, chat."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from inference.engine.base import Delta, Engine, GenerationRequest
from inference.errors import InvalidRequest
from inference.server.schemas import ChatCompletionBody
from inference.server.state import new_id, state_of
from inference.server.streams import (
    Choice,
    ChoiceStream,
    adapter_of,
    answer,
    chat_logprobs,
    collected,
    submit_choices,
    usage_body,
)
from inference.server.tools import ToolPlan
from inference.server.wire import CLIENT_CLOSED, EventStream

router = APIRouter()


@router.post("/v1/chat/completions")
async def create_chat_completion(body: ChatCompletionBody, request: Request) -> Response:
    """Complete a conversation."""
    engine = state_of(request).engine
    generation, plan = planned(body, engine)
    stream = await submit_choices(engine, generation, body.n)
    head = _head(generation, engine)
    if body.stream:
        include_usage = body.stream_options is not None and body.stream_options.include_usage
        return EventStream(_chunks(stream, head, body.n, plan, include_usage=include_usage), stream.aclose)
    choices = await answer(request, stream, body.n)
    if choices is None:
        return Response(status_code=CLIENT_CLOSED)
    return JSONResponse(_completion(head, choices, plan, has_logprobs=body.logprobs))


async def complete_in_background(body: ChatCompletionBody, engine: Engine) -> dict[str, Any]:
    """The same for a batch: behind everybody who waits, never streamed. Raises: InferenceError."""
    generation, plan = planned(body, engine, is_background=True)
    choices = await collected(engine, generation, body.n)
    return _completion(_head(generation, engine), choices, plan, has_logprobs=body.logprobs)


def planned(
    body: ChatCompletionBody, engine: Engine, *, is_background: bool = False
) -> tuple[GenerationRequest, ToolPlan | None]:
    """What the engine is asked for, and how its output is read when tools are offered. Raises: InferenceError."""
    adapter = adapter_of(body.model, engine)
    if body.top_logprobs is not None and not body.logprobs:
        raise InvalidRequest("top_logprobs needs logprobs to be true.", param="top_logprobs")
    plan = body.tool_plan()
    generation = GenerationRequest(
        request_id=new_id("chatcmpl"),
        messages=[message.rendered() for message in body.messages],
        max_tokens=body.max_completion_tokens or body.max_tokens,
        sampling=body.sampling((body.top_logprobs or 0) if body.logprobs else None),
        stop=body.stops(),
        tools=plan.shown if plan is not None else None,
        constraint=plan.constraint if plan is not None else body.constraint(),
        adapter=adapter,
        is_background=is_background,
    )
    return generation, plan


def _head(generation: GenerationRequest, engine: Engine) -> dict[str, Any]:
    return {"id": generation.request_id, "created": int(time.time()), "model": generation.adapter or engine.model}


def _completion(
    head: dict[str, Any], choices: list[Choice], plan: ToolPlan | None, *, has_logprobs: bool
) -> dict[str, Any]:
    rows = []
    for index, choice in enumerate(choices):
        message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None}
        finish_reason: str | None = choice.finish_reason
        if plan is not None and plan.is_call(choice.text):
            # A call that was cut is no call; its text would be read as an answer.
            calls = [plan.read_call(choice.text)] if finish_reason == "stop" else []
            message |= {"content": None, **({"tool_calls": calls} if calls else {})}
            finish_reason = plan.finish_reason(choice.finish_reason, has_call=bool(calls))
        logprobs = chat_logprobs(choice.logprobs) if has_logprobs else None
        rows.append({"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish_reason})
    usage = usage_body([choice.usage for choice in choices])
    return {**head, "object": "chat.completion", "choices": rows, "usage": usage}


async def _chunks(
    stream: ChoiceStream, head: dict[str, Any], count: int, plan: ToolPlan | None, *, include_usage: bool
) -> AsyncGenerator[dict[str, Any]]:
    frame = {**head, "object": "chat.completion.chunk"}
    if include_usage:
        frame["usage"] = None
    choices = [Choice() for _ in range(count)]
    for index in range(count):
        yield _chunk(frame, index, {"role": "assistant", "content": None if plan and plan.is_required else ""})
    async for index, delta in stream:
        choice = choices[index]
        choice.add(delta)
        is_call = plan is not None and plan.is_call(choice.beginning)
        if (delta.text or delta.logprobs) and not is_call:  # a call is sent whole
            yield _chunk(frame, index, {"content": delta.text}, delta)
        if delta.finish_reason is not None:
            reason: str | None = delta.finish_reason
            if plan is not None and is_call and reason == "stop":
                call = {"index": 0, **plan.read_call(choice.text)}
                yield _chunk(frame, index, {"tool_calls": [call]})
                reason = plan.finish_reason(delta.finish_reason, has_call=True)
            yield _chunk(frame, index, {}, finish_reason=reason)
    if include_usage:
        yield {**frame, "choices": [], "usage": usage_body([choice.usage for choice in choices])}


def _chunk(
    frame: dict[str, Any],
    index: int,
    content: dict[str, Any],
    delta: Delta | None = None,
    finish_reason: str | None = None,
) -> dict[str, Any]:
    logprobs = chat_logprobs(delta.logprobs) if delta is not None and delta.logprobs else None
    choice = {"index": index, "delta": content, "logprobs": logprobs, "finish_reason": finish_reason}
    return {**frame, "choices": [choice]}

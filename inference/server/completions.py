"""``POST /v1/completions``: bare prompts without a chat template. Source: OpenAI API reference, completions."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from inference.engine.base import Engine, GenerationRequest, TokenLogprob, Usage
from inference.errors import InvalidRequest, UnsupportedParameter
from inference.server.schemas import CompletionBody
from inference.server.state import new_id, state_of
from inference.server.streams import (
    Choice,
    ChoiceStream,
    adapter_of,
    answer,
    collected,
    submit_choices,
    usage_body,
)
from inference.server.wire import CLIENT_CLOSED, EventStream

router = APIRouter()

DEFAULT_MAX_TOKENS = 16


@router.post("/v1/completions")
async def create_completion(body: CompletionBody, request: Request) -> Response:
    """Continue a prompt."""
    engine = state_of(request).engine
    generation = _generation(body, engine)
    stream = await submit_choices(engine, generation, body.n)
    head = _head(generation, engine)
    if body.stream:
        include_usage = body.stream_options is not None and body.stream_options.include_usage
        return EventStream(_chunks(stream, head, include_usage=include_usage), stream.aclose)
    choices = await answer(request, stream, body.n)
    if choices is None:
        return Response(status_code=CLIENT_CLOSED)
    return JSONResponse(_completion(head, choices, has_logprobs=body.logprobs is not None))


async def complete_in_background(body: CompletionBody, engine: Engine) -> dict[str, Any]:
    """The same for a batch: behind everybody who waits, never streamed. Raises: InferenceError."""
    generation = _generation(body, engine, is_background=True)
    choices = await collected(engine, generation, body.n)
    return _completion(_head(generation, engine), choices, has_logprobs=body.logprobs is not None)


def _generation(body: CompletionBody, engine: Engine, *, is_background: bool = False) -> GenerationRequest:
    adapter = adapter_of(body.model, engine)
    _require_supported(body)
    prompts = body.prompts()
    if len(prompts) > 1:
        raise UnsupportedParameter(f"{len(prompts)} prompts were sent; send one a request.", param="prompt")
    return GenerationRequest(
        request_id=new_id("cmpl"),
        prompt=prompts[0],
        max_tokens=body.max_tokens or DEFAULT_MAX_TOKENS,
        sampling=body.sampling(body.logprobs),
        stop=body.stops(),
        constraint=body.structured_outputs.constraint() if body.structured_outputs is not None else None,
        adapter=adapter,
        is_background=is_background,
    )


def _head(generation: GenerationRequest, engine: Engine) -> dict[str, Any]:
    return {
        "id": generation.request_id,
        "object": "text_completion",
        "created": int(time.time()),
        "model": generation.adapter or engine.model,
    }


def _completion(head: dict[str, Any], choices: list[Choice], *, has_logprobs: bool) -> dict[str, Any]:
    rows = [_row(index, choice, has_logprobs=has_logprobs) for index, choice in enumerate(choices)]
    return {**head, "choices": rows, "usage": usage_body([choice.usage for choice in choices])}


def _require_supported(body: CompletionBody) -> None:
    if body.echo:
        raise UnsupportedParameter("echo is not supported; put the prompt before the answer yourself.", param="echo")
    if body.suffix:
        raise UnsupportedParameter("suffix is not supported; leave it out.", param="suffix")
    if body.structured_outputs is not None and body.stop:
        raise InvalidRequest("stop would cut a constrained output in the middle; leave one of them out.", param="stop")


def _row(index: int, choice: Choice, *, has_logprobs: bool) -> dict[str, Any]:
    logprobs = _logprobs(choice.logprobs) if has_logprobs else None
    return {"index": index, "text": choice.text, "logprobs": logprobs, "finish_reason": choice.finish_reason}


async def _chunks(stream: ChoiceStream, head: dict[str, Any], *, include_usage: bool) -> AsyncGenerator[dict[str, Any]]:
    usages: list[Usage] = []
    async for index, delta in stream:
        if delta.text or delta.logprobs or delta.finish_reason is not None:
            choice = {
                "index": index,
                "text": delta.text,
                "logprobs": _logprobs(delta.logprobs) if delta.logprobs else None,
                "finish_reason": delta.finish_reason,
            }
            yield {**head, "choices": [choice]}
        if delta.finish_reason is not None:
            usages.append(delta.usage or Usage())
    if include_usage:
        yield {**head, "choices": [], "usage": usage_body(usages)}


def _logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    def text(data: bytes) -> str:
        return data.decode("utf-8", "replace")

    offsets, at = [], 0
    for token in tokens:
        offsets.append(at)
        at += len(text(token.data))
    return {
        "tokens": [text(token.data) for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [{text(data): logprob for data, logprob in token.top} for token in tokens],
        "text_offset": offsets,
    }

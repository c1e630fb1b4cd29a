"""What chat and bare completions share: several choices at once, usage, log-probabilities in OpenAI's shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.requests import Request

from inference.engine.base import Delta, DeltaStream, Engine, FinishReason, GenerationRequest, TokenLogprob, Usage
from inference.errors import InvalidRequest, ModelNotFound
from inference.server.wire import unless_disconnected

MAX_CHOICES = 8


def adapter_of(asked: str, engine: Engine) -> str | None:
    """The adapter that a request's ``model`` names; None is the model itself. Raises: ModelNotFound."""
    if asked == engine.model:
        return None
    if asked not in engine.adapters:
        served = ", ".join(map(repr, (engine.model, *engine.adapters)))
        raise ModelNotFound(f"The model {asked!r} is not served here; served: {served}.", param="model")
    return asked


class ChoiceStream:
    """The deltas of several choices of one request, each with its index, in the order in which they come."""

    def __init__(self, streams: Sequence[DeltaStream]) -> None:
        self._streams = streams

    async def __aiter__(self) -> AsyncIterator[tuple[int, Delta]]:
        if len(self._streams) == 1:
            async for delta in self._streams[0]:
                yield 0, delta
            return
        arrivals: asyncio.Queue[tuple[int, Delta | Exception]] = asyncio.Queue()
        tasks = [asyncio.create_task(_forward(index, s, arrivals)) for index, s in enumerate(self._streams)]
        try:
            unfinished = len(tasks)
            while unfinished:
                index, item = await arrivals.get()
                if isinstance(item, Exception):
                    raise item
                unfinished -= item.finish_reason is not None
                yield index, item
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def aclose(self) -> None:
        """Abort whatever is not over."""
        for stream in self._streams:
            await stream.aclose()


async def _forward(index: int, stream: DeltaStream, arrivals: asyncio.Queue[tuple[int, Delta | Exception]]) -> None:
    try:
        async for delta in stream:
            arrivals.put_nowait((index, delta))
    except Exception as error:
        arrivals.put_nowait((index, error))


async def submit_choices(engine: Engine, request: GenerationRequest, count: int) -> ChoiceStream:
    """Submit ``count`` requests that differ in their seed only; the engine computes their prompt once.

    Raises: InvalidRequest, and whatever the engine refuses; then none of them stays submitted.
    """
    if count > MAX_CHOICES:
        raise InvalidRequest(f"n is {count}, at most {MAX_CHOICES} choices are given at once.", param="n")
    streams: list[DeltaStream] = []
    try:
        for index in range(count):
            streams.append(await engine.submit(_choice(request, index)))
    except BaseException:
        await ChoiceStream(streams).aclose()
        raise
    return ChoiceStream(streams)


def _choice(request: GenerationRequest, index: int) -> GenerationRequest:
    if index == 0:
        return request
    seed = request.sampling.seed
    sampling = replace(request.sampling, seed=None if seed is None else (seed + index) % 2**63)
    return replace(request, request_id=f"{request.request_id}-{index}", sampling=sampling)


@dataclass(slots=True)
class Choice:
    """One choice, collected."""

    texts: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    usage: Usage = field(default_factory=Usage)

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.texts)

    @property
    def beginning(self) -> str:
        """The first piece that is not empty; it tells a tool call from text."""
        return next(filter(None, self.texts), "")

    def add(self, delta: Delta) -> None:
        """Take the next piece in."""
        self.texts.append(delta.text)
        self.logprobs += delta.logprobs
        if delta.finish_reason is not None:
            self.finish_reason = delta.finish_reason
            self.usage = delta.usage or Usage()


async def answer(request: Request, stream: ChoiceStream, count: int) -> list[Choice] | None:
    """All choices, or None when the client went away first. Raises: InferenceError."""
    try:
        return await unless_disconnected(request, collect(stream, count))
    finally:
        await stream.aclose()


async def collected(engine: Engine, request: GenerationRequest, count: int) -> list[Choice]:
    """Submit and read to the end; a cancelled caller aborts the generation. Raises: InferenceError."""
    stream = await submit_choices(engine, request, count)
    try:
        return await collect(stream, count)
    finally:
        await stream.aclose()


async def collect(stream: ChoiceStream, count: int) -> list[Choice]:
    """Read a merged stream to its end. Raises: InferenceError."""
    choices = [Choice() for _ in range(count)]
    async for index, delta in stream:
        choices[index].add(delta)
    return choices


def usage_body(usages: Sequence[Usage]) -> dict[str, Any]:
    """OpenAI's usage object; a prompt with several choices counts once. The engine's timings (ms) stand beside it."""
    first = usages[0] if usages else Usage()
    completion = sum(usage.completion_tokens for usage in usages)
    return {
        "prompt_tokens": first.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": first.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": first.cached_tokens},
        "timings": {
            "queue_ms": round(first.queue_s * 1000, 1),
            "ttft_ms": round(first.ttft_s * 1000, 1),
            "total_ms": round(max((usage.total_s for usage in usages), default=0.0) * 1000, 1),
            "forced_tokens": sum(usage.forced_tokens for usage in usages),
        },
    }


def chat_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """``choices[].logprobs`` of chat completions."""

    def entry(data: bytes, logprob: float) -> dict[str, Any]:
        return {"token": data.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(data)}

    content = [
        {**entry(token.data, token.logprob), "top_logprobs": [entry(data, logprob) for data, logprob in token.top]}
        for token in tokens
    ]
    return {"content": content, "refusal": None}

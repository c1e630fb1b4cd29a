"""``POST /v1/responses``: a conversation as typed items, streaming and not, on the path of chat completions.

Nothing is kept: each request brings its whole conversation. Source: OpenAI API reference, responses.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from inference.engine.base import Engine
from inference.errors import InferenceError
from inference.server.chat_completions import planned
from inference.server.response_bodies import FIELDS, ResponseBody
from inference.server.response_objects import (
    Json,
    call_item,
    failed,
    finished,
    message_item,
    new_response,
    new_response_id,
    text_part,
)
from inference.server.state import state_of
from inference.server.streams import Choice, ChoiceStream, answer, chat_logprobs, collect, submit_choices
from inference.server.tools import ToolPlan
from inference.server.wire import CLIENT_CLOSED, EventStream

router = APIRouter()


@router.post("/v1/responses")
async def create_response(body: ResponseBody, request: Request) -> Response:
    """Answer a conversation."""
    response = new_response(new_response_id(), body)
    stream, plan = await _submit(body, state_of(request).engine, response)
    if body.stream:
        return _ResponseStream(_events(stream, response, plan), stream.aclose)
    choices = await answer(request, stream, 1)
    if choices is None:
        return Response(status_code=CLIENT_CLOSED)
    return JSONResponse(_finished(response, choices[0], plan))


async def complete_in_background(body: ResponseBody, engine: Engine) -> Json:
    """The same for a batch: behind everybody who waits, never streamed. Raises: InferenceError."""
    response = new_response(new_response_id(), body)
    stream, plan = await _submit(body, engine, response, is_background=True)
    try:
        return _finished(response, (await collect(stream, 1))[0], plan)
    finally:
        await stream.aclose()


async def _submit(
    body: ResponseBody, engine: Engine, response: Json, *, is_background: bool = False
) -> tuple[ChoiceStream, ToolPlan | None]:
    try:
        generation, plan = planned(body.chat(), engine, is_background=is_background)
        return await submit_choices(engine, replace(generation, request_id=response["id"]), 1), plan
    except InferenceError as error:
        error.param = FIELDS.get(error.param or "", error.param)
        raise


def _finished(response: Json, choice: Choice, plan: ToolPlan | None) -> Json:
    return finished(response, _output(response, choice, plan), choice.finish_reason, choice.usage)


def _output(response: Json, choice: Choice, plan: ToolPlan | None) -> list[Json]:
    """The items of a whole answer: a message or a call. A call that was cut is none."""
    is_whole = choice.finish_reason == "stop"
    if plan is not None and plan.is_call(choice.text):
        return [call_item(response, plan.read_call(choice.text))] if is_whole else []
    part = text_part(choice.text, chat_logprobs(choice.logprobs)["content"])
    return [message_item(response, [part], "completed" if is_whole else "incomplete")]


class _ResponseStream(EventStream):
    """Events that carry their type as name and a running number; the last one's type says that it is the last."""

    ending = ""

    def __init__(self, events: AsyncGenerator[Json], on_close: Callable[[], Awaitable[None]]) -> None:
        super().__init__(events, on_close)
        self._numbers = itertools.count()

    def encoded(self, event: Json) -> str:
        """The event with its number."""
        return f"event: {event['type']}\n" + super().encoded({**event, "sequence_number": next(self._numbers)})


async def _events(stream: ChoiceStream, response: Json, plan: ToolPlan | None) -> AsyncGenerator[Json]:
    yield {"type": "response.created", "response": response}
    yield {"type": "response.in_progress", "response": response}
    choice = Choice()
    opening = list(_message_begins(response))  # sent once it is known that the answer is a message
    place = _place(opening[0]["item"])
    try:
        async for _, delta in stream:
            choice.add(delta)
            is_call = plan is not None and plan.is_call(choice.beginning)
            if (delta.text or delta.logprobs) and not is_call:  # a call is sent whole
                for event in opening:
                    yield event
                opening = []
                logprobs = chat_logprobs(delta.logprobs)["content"]
                yield {"type": "response.output_text.delta", **place, "delta": delta.text, "logprobs": logprobs}
        output = _output(response, choice, plan)
        for item in output:
            for event in [*opening, *_message_ends(item)] if item["type"] == "message" else _call(item):
                yield event
        ended = finished(response, output, choice.finish_reason, choice.usage)
        yield {"type": f"response.{ended['status']}", "response": ended}
    except InferenceError as error:
        yield {"type": "error", "code": error.code, "message": error.message, "param": error.param}
        yield {"type": "response.failed", "response": failed(response, error)}


def _message_begins(response: Json) -> Iterator[Json]:
    item = message_item(response, [], "in_progress")
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    yield {"type": "response.content_part.added", **_place(item), "part": text_part("", [])}


def _message_ends(item: Json) -> Iterator[Json]:
    place, part = _place(item), item["content"][0]
    yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": part["logprobs"]}
    yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}


def _call(item: Json) -> Iterator[Json]:
    place, arguments = {"item_id": item["id"], "output_index": 0}, item["arguments"]
    begun = {**item, "status": "in_progress", "arguments": ""}
    yield {"type": "response.output_item.added", "output_index": 0, "item": begun}
    yield {"type": "response.function_call_arguments.delta", **place, "delta": arguments}
    yield {"type": "response.function_call_arguments.done", **place, "name": item["name"], "arguments": arguments}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}


def _place(item: Json) -> Json:
    return {"item_id": item["id"], "output_index": 0, "content_index": 0}

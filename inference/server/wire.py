"""ASGI plumbing that the routes share: keys, body limits, event streams that notice when their reader is gone."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.errors import BodyTooLarge, InferenceError, InvalidRequest, Unauthorized

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
KEEPALIVE_S = 10.0
CLIENT_CLOSED = 499
T = TypeVar("T")


def error_response(error: InferenceError) -> JSONResponse:
    """OpenAI's error shape with the class's status."""
    headers = {} if error.retry_after_s is None else {"Retry-After": str(max(1, round(error.retry_after_s)))}
    return JSONResponse(error.body(), status_code=error.status, headers=headers)


def invalid_body(problems: Sequence[Any]) -> InvalidRequest:
    """What Pydantic found wrong with a body, as the first problem and the number of the others."""
    first = problems[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    return InvalidRequest(f"{place or 'The request body'}: {first['msg']}{more}.", param=place or None)


class Gate:
    """Refuses requests without the right key and bodies over the limit, before anything reads them.

    ``upload_bytes`` are other limits for paths whose bodies are not held in memory but read as they come.
    """

    def __init__(
        self, app: ASGIApp, key: str, max_body_bytes: int, upload_bytes: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._upload_bytes = upload_bytes or {}
        self._expected = f"Bearer {key}".encode()
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            # OpenAI's words: clients such as LiteLLM know a wrong key by them.
            problem = "Incorrect API key provided" if b"authorization" in headers else "The API key is missing"
            error = Unauthorized(
                f"{problem}. Send it as 'Authorization: Bearer KEY'; it is HERALD_INFERENCE_KEY, or the content of "
                "keys/inference.key in Herald's data folder."
            )
            await error_response(error)(scope, receive, send)
            return
        declared = headers.get(b"content-length", b"0")
        upload_bytes = self._upload_bytes.get(scope["path"])
        limit_bytes = self._max_body_bytes if upload_bytes is None else upload_bytes
        if declared.isdigit() and int(declared) > limit_bytes:
            await error_response(_too_large(int(declared), limit_bytes))(scope, receive, send)
            return
        if upload_bytes is not None:
            await self._app(scope, _bounded(receive, upload_bytes), send)
            return
        # The body is read here: an error raised from inside of the framework's own reading would become another one.
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max_body_bytes:
                await error_response(_too_large(len(body), limit_bytes))(scope, receive, send)
                return
        await self._app(scope, _replayed(bytes(body), receive), send)


def _too_large(size_bytes: int, limit_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The request body has {size_bytes:,} bytes or more, at most {limit_bytes:,} are allowed "
        "(HERALD_INFERENCE_MAX_BODY_MB; files have a limit of their own). Send less at once."
    )


def _bounded(receive: Receive, limit_bytes: int) -> Receive:
    """``receive`` that raises BodyTooLarge, which the route passes on, once the body is over the limit."""
    received_bytes = 0

    async def bounded() -> Message:
        nonlocal received_bytes
        message = await receive()
        received_bytes += len(message.get("body", b""))
        if received_bytes > limit_bytes:
            raise _too_large(received_bytes, limit_bytes)
        return message

    return bounded


def _replayed(body: bytes, receive: Receive) -> Receive:
    is_delivered = False

    async def replayed() -> Message:
        nonlocal is_delivered
        if is_delivered:
            return await receive()
        is_delivered = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


class EventStream(Response):
    """Server-sent events from a generator of JSON values; ends with ``[DONE]``, or with an error event.

    While nothing comes, a comment line keeps proxies awake. When it is over, or its reader goes away, ``on_close`` is
    awaited, which aborts the generation behind it.
    """

    media_type = "text/event-stream"
    ending = "data: [DONE]\n\n"

    def __init__(self, events: AsyncGenerator[dict[str, Any]], on_close: Callable[[], Awaitable[None]]) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events
        self._on_close = on_close
        self._sent = 0
        # The base class counts an empty body; a stream has no length.
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        sending = asyncio.create_task(self._send_all(send))
        leaving = asyncio.create_task(_until_disconnect(receive))
        try:
            await self._keep_alive({sending, leaving}, send)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            await self._events.aclose()
            await self._on_close()

    def encoded(self, event: dict[str, Any]) -> str:
        """An event as it goes over the wire."""
        return f"data: {json.dumps(event, ensure_ascii=False)}\n\n"

    async def _keep_alive(self, tasks: set[asyncio.Task[None]], send: Send) -> None:
        """Wait for the first task. One timer serves the whole stream; one for each event costs more than the event."""
        seen = -1
        while not (await asyncio.wait(tasks, timeout=KEEPALIVE_S, return_when=asyncio.FIRST_COMPLETED))[0]:
            if self._sent == seen:
                await send({"type": "http.response.body", "body": b": still working\n\n", "more_body": True})
            seen = self._sent

    async def _send_all(self, send: Send) -> None:
        async def write(text: str, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": more})
            self._sent += 1

        try:
            async for event in self._events:
                await write(self.encoded(event))
            await write(self.ending, more=False)
        except InferenceError as error:
            await write(f"data: {json.dumps(error.body(), ensure_ascii=False)}\n\n", more=False)


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def unless_disconnected(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """Await ``work``, or cancel it and return None as soon as the client is gone."""
    task = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_until_disconnect(request.receive))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        return None
    finally:
        for job in (task, leaving):
            job.cancel()
        await asyncio.gather(task, leaving, return_exceptions=True)

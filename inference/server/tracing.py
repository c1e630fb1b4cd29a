"""Who calls: keeps the caller's W3C trace id for the record of the call, and answers with the request's id."""

from __future__ import annotations

import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inference.server.state import new_id
from inference.traces import CallContext, context, read_traceparent

_CALLER_ID = re.compile(r"[A-Za-z0-9_.\-]{8,64}")


class Tracing:
    """ASGI middleware. Every answer carries ``x-request-id``: the completion's id where there is one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller = CallContext(route=scope["path"])
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _CALLER_ID.fullmatch(named := value.decode("latin-1")):
                caller.caller_id = named
            if name == b"traceparent" and (found := read_traceparent(value.decode("latin-1"))) is not None:
                caller.trace_id, caller.parent_id = found

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = caller.request_id or new_id("req")
            await send(message)

        token = context.set(caller)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            context.reset(token)

"""The id of the request that something is done for: in log lines, sent on to inference, kept with its actions."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import structlog

HEADER = "X-Request-ID"


def request_id() -> str:
    """The id of the request that is being served in this context; empty where there is none."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def serving(request_id: str) -> AbstractContextManager[object]:
    """Do what stands below it for that request, in another process or later; an empty id changes nothing."""
    return structlog.contextvars.bound_contextvars(request_id=request_id) if request_id else nullcontext()

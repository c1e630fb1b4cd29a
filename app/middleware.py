"""ASGI middleware of the whole app: correlation ids and unhandled errors, security headers, body limits."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from anyio import move_on_after
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import correlation

log = structlog.get_logger(__name__)

Observe = Callable[[Scope, int, float], None]

DRAIN_S = 10.0
_REQUEST_ID = re.compile(r"^[A-Za-z0-9_.\-]{8,64}$")
_QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics", "/api/v1/healthz", "/api/v1/readyz"})

# Gradio needs inline scripts and eval. Nothing is fetched from or sent to another host: a reply that quotes a hostile
# page must not make the browser carry anything out.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-ancestors 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class RequestContext:
    """Gives each request a correlation id, logs it, sets the security headers, and answers what nothing else caught.

    Args:
        observe: is told of each request that ended its scope, its status (0: its client left before that) and seconds.
    """

    def __init__(self, app: ASGIApp, observe: Observe) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get(correlation.HEADER, "")
        request_id = asked if _REQUEST_ID.match(asked) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started_s = time.monotonic()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[correlation.HEADER] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            log.exception("unhandled_error", method=scope["method"], path=scope["path"])
            if status:
                raise  # the answer had begun: the server must break the connection off, or it would look complete
            await _internal_error(request_id)(scope, receive, send_with_headers)
        finally:
            level = "debug" if scope["path"] in _QUIET_PATHS else "info"
            took_s = time.monotonic() - started_s
            took_ms = round(took_s * 1000, 1)
            getattr(log, level)("request", method=scope["method"], path=scope["path"], status=status, took_ms=took_ms)
            self._observe(scope, status, took_s)


def _internal_error(request_id: str) -> JSONResponse:
    error = {
        "code": "internal_error",
        "message": f"Something failed inside Herald; the log has it under the request id {request_id}.",
        "hint": "Try again; if it stays so, report it with that part of the log.",
    }
    return JSONResponse({"error": error}, status_code=500)


class BodyLimit:
    """Refuses bodies over the limit, whether their length is declared or found out while they stream in.

    Args:
        max_bytes: limit of ordinary requests.
        max_upload_bytes: limit of multipart requests, which carry documents.
        max_media_bytes: limit of multipart requests to ``media_path``, which carry pictures and films.
    """

    def __init__(
        self, app: ASGIApp, max_bytes: int, max_upload_bytes: int, max_media_bytes: int = 0, media_path: str = ""
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_upload_bytes = max_upload_bytes
        self._max_media_bytes = max_media_bytes
        self._media_path = media_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_upload = headers.get("content-type", "").lower().startswith("multipart/form-data")
        is_media = is_upload and scope["path"] == self._media_path
        limit = self._max_upload_bytes if is_upload else self._max_bytes
        limit = self._max_media_bytes if is_media else limit
        setting = "HERALD_MAX_MEDIA_MB" if is_media else "HERALD_MAX_UPLOAD_MB" if is_upload else "HERALD_MAX_BODY_MB"
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            await _drain(receive, limit)
            response = JSONResponse({"error": _too_large(int(declared), limit, setting)}, status_code=413)
            await response(scope, receive, send)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                if message.get("more_body"):
                    await _drain(receive, limit)
                detail: Any = _too_large(received, limit, setting)
                raise HTTPException(413, detail=detail)
            return message

        await self._app(scope, receive_limited, send)


async def _drain(receive: Receive, limit: int) -> None:
    """Read a little on, so that a client that sends before it reads sees the answer instead of a reset."""
    drained = 0
    with move_on_after(DRAIN_S):
        while drained <= 4 * limit:
            message = await receive()
            drained += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body"):
                return


def _too_large(actual: int, limit: int, setting: str) -> dict[str, str]:
    return {
        "code": "too_large",
        "message": f"The body has {actual / 1048576:,.1f} MiB or more; at most {limit / 1048576:,.1f} MiB are allowed.",
        "hint": f"Send less, or raise {setting}.",
    }

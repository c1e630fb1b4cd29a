"""The edge: every error as ``{"error": {"code", "message", "hint"}}`` with the status of ``app.errors``' table."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from app.errors import AppError, TooManyRequests, status_code_of

_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_type"}


def error_body(error: AppError) -> dict[str, Any]:
    """The wire form of an error."""
    return {"error": {"code": error.code, "message": error.message, "hint": error.hint}}


def error_response(error: AppError) -> JSONResponse:
    """The response to an error."""
    status = status_code_of(error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if isinstance(error, TooManyRequests) and error.retry_after_s:
        headers["Retry-After"] = str(error.retry_after_s)
    return _Json(error_body(error), status_code=status, headers=headers)


class _Json(JSONResponse):
    """JSON that can carry anything that came in: lone surrogates are escaped instead of failing."""

    def render(self, content: Any) -> bytes:
        try:
            return super().render(content)
        except UnicodeEncodeError:
            import json

            return json.dumps(content, separators=(",", ":")).encode()


def add_error_handlers(app: FastAPI) -> None:
    """Render every error of the app's routes the same way."""

    @app.exception_handler(AppError)
    async def on_app_error(_request: Request, error: AppError) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> JSONResponse:
        status = error.status_code
        if isinstance(error.detail, dict):
            return _Json({"error": error.detail}, status_code=status, headers=error.headers)
        message, hint = str(error.detail), ""
        if status == 404:
            message = f"There is nothing at {request.url.path[:200]}."
            hint = "GET /api/v1/openapi.json lists every route."
        elif status == 405:
            allowed = (error.headers or {}).get("Allow", "")
            message = f"{request.method} is not possible at {request.url.path[:200]}."
            hint = f"Possible: {allowed}." if allowed else ""
        code = _CODES.get(status, f"http_{status}")
        body = {"error": {"code": code, "message": message, "hint": hint}}
        return _Json(body, status_code=status, headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        problems = error.errors()
        if any(p["type"] == "json_invalid" for p in problems):
            reason = next(p for p in problems if p["type"] == "json_invalid").get("ctx", {}).get("error", "")
            message = f"The body is not valid JSON: {reason}."
            hint = "Send JSON with Content-Type: application/json."
            body = {"error": {"code": "invalid_json", "message": message, "hint": hint}}
            return _Json(body, status_code=400)
        message = "The request is not valid: " + "; ".join(_problem_text(p) for p in problems[:20])
        hint = "GET /api/v1/openapi.json describes what is allowed."
        return _Json({"error": {"code": "invalid_input", "message": message, "hint": hint}}, status_code=422)


def _problem_text(problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"] if part != "body") or "the body"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] in {"missing", "extra_forbidden"} or "password" in place:
        return f"{place}: {message}"
    shown = repr(problem.get("input"))
    return f"{place}: {message} (got {shown[:80] + '…' if len(shown) > 80 else shown})"

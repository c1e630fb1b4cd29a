"""Errors of upstreams as errors of ours: callers learn what to do, never the key, and Retry-After is passed on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inference.engine.json_schema import brief
from inference.errors import (
    ContentRefused,
    ContextLengthExceeded,
    EngineFailed,
    InferenceError,
    InvalidRequest,
    ModelNotFound,
    NotReady,
    RateLimited,
    UpstreamRefused,
)

RETRY_AFTER_S = 5.0
LONGEST_RETRY_AFTER_S = 3600.0
_OVERLOADED = frozenset({502, 503, 504, 529})


def failure(name: str, key_hint: str, status: int, headers: Mapping[str, str], body: bytes) -> InferenceError:
    """The error for an answer with an error status. ``key_hint`` says where the key comes from."""
    found = _error_object(body)
    said = brief(found.get("message") or f"status {status}").rstrip(".") + "."
    code = str(found.get("code") or found.get("type") or "")
    param = found.get("param")
    if status in (401, 403):
        # Not what it said: some providers repeat parts of the key.
        return UpstreamRefused(f"{name} refused Herald's key (status {status}). {key_hint}")
    if status == 402:
        return UpstreamRefused(f"{name} refused the request for want of credit. Look into the account there.")
    if status == 404:
        return ModelNotFound(f"{name} says: {said} Set HERALD_MODEL to a model that it serves.", param="model")
    if status == 429:
        return RateLimited(f"{name} takes no more requests now: {said}", retry_after_s=_retry_after_s(headers))
    if status in _OVERLOADED:
        return NotReady(
            f"{name} cannot serve now (status {status}): {said} Send the request again.",
            retry_after_s=_retry_after_s(headers),
        )
    if status >= 500:
        return EngineFailed(f"{name} failed (status {status}): {said} Send the request again.")
    if code == "context_length_exceeded" or "maximum context length" in said or "prompt is too long" in said:
        return ContextLengthExceeded(f"{name} says: {said}", param="messages")
    if code in ("content_filter", "content_policy_violation"):
        return ContentRefused(f"{name} refused the content: {said}")
    return InvalidRequest(f"{name} refused the request: {said}", param=param if isinstance(param, str) else None)


def event_failure(name: str, key_hint: str, error: Any) -> InferenceError:
    """The error for one that came inside of a stream, where there is no status but perhaps a code or a type."""
    found = error if isinstance(error, Mapping) else {"message": str(error)}
    code = found.get("code")
    by_type = {
        "rate_limit_error": 429,
        "overloaded_error": 529,
        "invalid_request_error": 400,
        "authentication_error": 401,
        "permission_error": 403,
    }
    status = code if isinstance(code, int) and 400 <= code < 600 else by_type.get(str(found.get("type")), 500)
    return failure(name, key_hint, status, {}, json.dumps({"error": dict(found)}).encode())


def cut_off(name: str) -> EngineFailed:
    """A stream that ended before its answer did."""
    return EngineFailed(f"{name} ended in the middle of the answer. Send the request again.")


def _error_object(body: bytes) -> Mapping[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {"message": body[:300].decode("utf-8", "replace")}
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    error = parsed.get("error", parsed) if isinstance(parsed, Mapping) else {}
    if isinstance(error, Mapping):
        return error if "message" in error else {**error, "message": error.get("detail")}
    return {"message": str(error)}


def _retry_after_s(headers: Mapping[str, str]) -> float:
    try:
        return min(max(float(headers["retry-after"]), 0.0), LONGEST_RETRY_AFTER_S)
    except (KeyError, ValueError):
        return RETRY_AFTER_S  # absent, or a date

"""Every error that the server answers with, as one tree; each class carries its HTTP status and OpenAI's error code.

Raised anywhere in the process, translated to a response in one place (server/app.py).
"""

from __future__ import annotations

from typing import Any, ClassVar


class InferenceError(Exception):
    """Base. ``message`` says what failed, actual against allowed, and the next step; it is shown to callers."""

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "server_error"
    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, param: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s

    def body(self) -> dict[str, Any]:
        """OpenAI's error object."""
        return {"error": {"message": self.message, "type": self.kind, "code": self.code, "param": self.param}}


class InvalidRequest(InferenceError):
    """The request itself is wrong."""

    status = 400
    kind = "invalid_request_error"
    code = "invalid_request"


class UnsupportedParameter(InvalidRequest):
    """A field or value of OpenAI's interface that this server does not offer."""

    code = "unsupported_parameter"


class ContextLengthExceeded(InvalidRequest):
    """Prompt and completion do not fit the model's context."""

    code = "context_length_exceeded"


class InvalidSchema(InvalidRequest):
    """A constraint that cannot be compiled."""

    code = "invalid_schema"


class ContentRefused(InvalidRequest):
    """The provider behind this server answers nothing to this content."""

    code = "content_filter"


class BodyTooLarge(InvalidRequest):
    """The request body is over the limit."""

    status = 413
    code = "request_too_large"


class Unauthorized(InferenceError):
    """No key, or a wrong one."""

    status = 401
    kind = "invalid_request_error"
    code = "invalid_api_key"


class ModelNotFound(InferenceError):
    """The request names a model that this server does not serve."""

    status = 404
    kind = "invalid_request_error"
    code = "model_not_found"


class NoReranker(ModelNotFound):
    """No cross-encoder is configured."""

    code = "no_reranker"


class ObjectNotFound(InferenceError):
    """No file or batch has this id."""

    status = 404
    kind = "invalid_request_error"
    code = "not_found"


class Conflict(InferenceError):
    """The file or batch is in a state that does not permit this."""

    status = 409
    kind = "invalid_request_error"
    code = "conflict"


class StorageFailed(InferenceError):
    """The disk refused to keep something."""

    status = 507
    code = "storage_failed"


class QueueFull(InferenceError):
    """Too many requests wait already."""

    status = 429
    kind = "rate_limit_error"
    code = "queue_full"


class QueueTimeout(InferenceError):
    """The request waited longer for its turn than allowed."""

    status = 429
    kind = "rate_limit_error"
    code = "queue_timeout"


class RateLimited(InferenceError):
    """The provider behind this server takes no more requests now."""

    status = 429
    kind = "rate_limit_error"
    code = "rate_limit_exceeded"


class UpstreamRefused(InferenceError):
    """The provider behind this server refused Herald itself: its key, or its account."""

    status = 502
    code = "upstream_refused"


class NotReady(InferenceError):
    """The model is still loading, or could not be loaded, or the server is stopping."""

    status = 503
    kind = "server_error"
    code = "not_ready"


class EngineFailed(InferenceError):
    """The backend failed in the middle of the request; the request may be sent again."""

    status = 500
    code = "engine_failed"


class ConstraintFailed(InferenceError):
    """The constraint broke while generating, or the output does not satisfy it: nothing of the output may be used."""

    status = 500
    code = "constraint_failed"


class StartupError(Exception):
    """The process cannot start: the message is printed as it is and the exit status is 1."""

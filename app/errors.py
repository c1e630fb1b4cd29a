"""Errors of the application and the one table that maps their classes to HTTP status codes.

Services raise these; only the edge (the exception handlers, the command line) turns them into a response.
"""

from __future__ import annotations


class AppError(Exception):
    """A request could not be done as asked.

    Attributes:
        code: stable snake_case identifier that programs may match.
        message: what failed, with the actual and the allowed value.
        hint: the next step; may be empty.
    """

    code = "internal_error"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code


class InvalidInput(AppError):
    """The request's content is not acceptable."""

    code = "invalid_input"


class InvalidRange(AppError):
    """The Range header cannot be read."""

    code = "invalid_range"


class RangeNotSatisfiable(AppError):
    """The asked part lies behind the end of the file."""

    code = "range_not_satisfiable"


class NotAuthenticated(AppError):
    """No key or session, or a wrong one."""

    code = "not_authenticated"


class Forbidden(AppError):
    """The caller is known but may not do this."""

    code = "forbidden"


class NotFound(AppError):
    """The named object does not exist."""

    code = "not_found"


class Conflict(AppError):
    """The object's state does not allow this now."""

    code = "conflict"


class TooLarge(AppError):
    """The body or a document is over its limit."""

    code = "too_large"


class UnsupportedType(AppError):
    """The document's type cannot be read."""

    code = "unsupported_type"


class TooManyRequests(AppError):
    """A limit of requests was met.

    Attributes:
        retry_after_s: seconds after which the next one is possible; 0 when nobody knows.
    """

    code = "too_many_requests"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None, retry_after_s: int = 0) -> None:
        super().__init__(message, hint=hint, code=code)
        self.retry_after_s = retry_after_s


class UpstreamFailed(AppError):
    """Another process answered, and its answer cannot be used."""

    code = "upstream_failed"


class Unavailable(AppError):
    """Another process or a resource of the box is not there at the moment."""

    code = "unavailable"


STATUS_CODES: dict[type[AppError], int] = {
    InvalidInput: 422,
    InvalidRange: 400,
    NotAuthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    UnsupportedType: 415,
    RangeNotSatisfiable: 416,
    TooManyRequests: 429,
    UpstreamFailed: 502,
    Unavailable: 503,
}


def status_code_of(error: AppError) -> int:
    """The HTTP status of an error: its nearest listed class, 500 for anything else."""
    return next((STATUS_CODES[c] for c in type(error).__mro__ if c in STATUS_CODES), 500)

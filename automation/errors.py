"""Errors of automation: each says what failed, what to do next, and whether trying again is safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automation.actions.base import Evidence


class ActionError(Exception):
    """An action could not be carried out.

    Attributes:
        code: stable snake_case identifier, shown in the API.
        hint: the next step for the user; may be empty.
        retryable: trying again is safe and may help. Never True once something irreversible has begun.
        evidence: what was kept as proof of the failure, such as a screenshot of the page.
        is_refused: the other side said no, so nothing happened. An error after the irreversible step that does not say
            so leaves the action ``unconfirmed``.
        retry_after_s: the site asked not to be called again for so many seconds (``Retry-After``).
        is_site_fault: the site failed, not the action: enough of these in a row and the site gets a rest. Without it,
            every retryable error counts as one.
        proposal: params of the same action type (JSON-able) that a person may approve instead, such as the old values
            with the places where a changed page now takes them; None when there is nothing to propose.
    """

    code = "action_failed"
    retryable = False
    is_refused = False
    is_site_fault: bool | None = None

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str | None = None,
        retryable: bool | None = None,
        is_refused: bool | None = None,
        is_site_fault: bool | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.evidence: tuple[Evidence, ...] = ()
        self.proposal: dict[str, Any] | None = None
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable
        if is_refused is not None:
            self.is_refused = is_refused
        if is_site_fault is not None:
            self.is_site_fault = is_site_fault
        self.retry_after_s = retry_after_s

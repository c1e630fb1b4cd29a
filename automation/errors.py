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
        proposal: params of the same action type (JSON-able) that a person may approve instead, such as the old values
            with the places where a changed page now takes them; None when there is nothing to propose.
    """

    code = "action_failed"
    retryable = False

    def __init__(self, message: str, *, hint: str = "", code: str | None = None, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.evidence: tuple[Evidence, ...] = ()
        self.proposal: dict[str, Any] | None = None
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable

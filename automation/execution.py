"""Carrying out one approved action: attempts, the point of no return, and errors that a person can use.

Knows no application and no database; the worker hands it a context.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Protocol

from automation.actions.base import (
    ActionContext,
    ActionError,
    ActionResult,
    ActionType,
    Params,
    Reconciled,
    ReconciledOutcome,
)
from automation.redaction import KNOWN, secrets_of_state

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
BACKOFF_S = (1.0, 4.0)
_MIN_ATTEMPT_S = 8.0


class Interrupted(Exception):
    """The execution must end at once: the worker stops, or another worker holds the action. Raised by callbacks."""


class Runnable(Protocol):
    """An action type, or one whose ``execute`` runs elsewhere."""

    title: str

    def execute(self, params: Any, context: ActionContext) -> ActionResult:
        """See ``ActionType.execute``."""

    def reconcile(self, params: Any, context: ActionContext, began_at: datetime) -> Reconciled:
        """See ``ActionType.reconcile``."""


def run(
    action: ActionType[Any] | Runnable,
    params: Params,
    context: ActionContext,
    *,
    pause: Callable[[float], None] = time.sleep,
) -> ActionResult:
    """Execute ``params``; try again after a retryable error, but never once something irreversible has begun.

    All attempts share ``context.timeout_s``. Files of an attempt that failed and is repeated are removed.

    Raises: ActionError (never another exception of the executor's own); Interrupted.
    """
    deadline = time.monotonic() + context.timeout_s
    context = guarded(context)
    begun = False

    def before_irreversible() -> None:
        nonlocal begun
        context.before_irreversible()
        begun = True

    for attempt in range(1, MAX_ATTEMPTS + 1):
        left = max(1.0, deadline - time.monotonic())
        try:
            result = action.execute(
                params, dataclasses.replace(context, before_irreversible=before_irreversible, timeout_s=left)
            )
            return _without_secrets(result, context)
        except Interrupted:
            raise
        except Exception as caught:
            error = _presentable(caught, action, context)
            if begun:
                if error.is_site_fault is None:
                    error.is_site_fault = error.retryable
                error.retryable = False
                raise error from caught
            wait = BACKOFF_S[min(attempt, len(BACKOFF_S)) - 1]
            can_wait = deadline - time.monotonic() - wait > _MIN_ATTEMPT_S
            is_asked_to_wait = error.retry_after_s is not None  # longer than an attempt may: the caller sees to it
            if not error.retryable or is_asked_to_wait or attempt == MAX_ATTEMPTS or not can_wait:
                raise error from caught
            log.info("attempt %d of action %s failed (%s), trying again", attempt, context.action_id, error.code)
            context.progress(f"Trying again ({attempt + 1} of {MAX_ATTEMPTS}): {error.message}")
            pause(wait)
            _clear(context)
    raise AssertionError("the last attempt returns or raises")


def guarded(context: ActionContext) -> ActionContext:
    """The context, its secrets remembered as they come to light: nothing that leaves the run may show them."""
    secrets = context.secrets

    def remember(found: Iterable[str]) -> None:
        texts = tuple(found)
        secrets.remember(*texts)
        KNOWN.remember(*texts)

    def load_session() -> dict[str, Any] | None:
        state = context.load_session()
        remember(secrets_of_state(state))
        return state

    def save_session(state: dict[str, Any]) -> None:
        remember(secrets_of_state(state))
        context.save_session(state)

    if context.credential is not None:
        remember([context.credential.password])
    return dataclasses.replace(
        context,
        load_session=load_session,
        save_session=save_session,
        progress=lambda text: context.progress(secrets.taken_out_of(text)),
    )


def _without_secrets(result: ActionResult, context: ActionContext) -> ActionResult:
    return dataclasses.replace(
        result,
        summary=context.secrets.taken_out_of(result.summary),
        data=context.secrets.taken_out_of_json(result.data),
    )


def look(action: ActionType[Any] | Runnable, params: Params, context: ActionContext, began_at: datetime) -> Reconciled:
    """Look at the platform whether what began at ``began_at`` has happened; a failure to look is ``unknown``.

    Raises: Interrupted.
    """
    context = guarded(context)
    try:
        found = action.reconcile(params, context, began_at)
        result = _without_secrets(found.result, context) if found.result else None
        return dataclasses.replace(found, result=result, note=context.secrets.taken_out_of(found.note))
    except Interrupted:
        raise
    except Exception as caught:
        error = _presentable(caught, action, context)
        return Reconciled(ReconciledOutcome.UNKNOWN, note=f"It could not be looked up: {error.message}")


def _presentable(caught: Exception, action: ActionType[Any] | Runnable, context: ActionContext) -> ActionError:
    """An error for the user's eyes: whatever it is, it says what failed, and never shows a password."""
    if isinstance(caught, ActionError):
        error = caught
    else:
        log.error("action %s failed unexpectedly", context.action_id, exc_info=caught)
        error = ActionError(
            f"“{action.title}” failed unexpectedly ({type(caught).__name__}).",
            code="internal_error",
            hint="The worker's log has the details.",
        )
    error.message = context.secrets.taken_out_of(error.message)
    error.hint = context.secrets.taken_out_of(error.hint)
    return error


def _clear(context: ActionContext) -> None:
    for file in context.evidence_dir.iterdir():
        if file.is_file():
            file.unlink()

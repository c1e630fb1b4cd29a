"""What the worker does when the queue wakes it: claim an approved action, carry it out, store its outcome."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from huey import Huey

from app.actions.execution import ClaimLost
from app.actions.records import Claim
from app.errors import AppError
from app.services import Services
from automation import execution
from automation.actions.base import ActionContext, ActionError, ActionResult
from automation.actions.registry import ACTION_TYPES
from automation.browser import kill_browser_of
from automation.config import AutomationSettings
from automation.execution import Interrupted
from automation.queue import REPORT_OUTCOME, enqueue

log = structlog.get_logger(__name__)

FINISH_GRACE_S = 15.0
_OUTCOME_RETRIES_S = (0.2, 1.0, 3.0)


class ActionRunner:
    """Runs actions for one worker process. Thread-safe: each Huey thread runs one action at a time."""

    def __init__(self, services: Services, worker_id: str, settings: AutomationSettings) -> None:
        self._services = services
        self._worker_id = worker_id
        self._settings = settings
        self._stopping = threading.Event()
        self._running: dict[str, bool] = {}  # action id → whether it has begun the irreversible step
        self._lock = threading.Lock()
        self._unsettled: list[tuple[Claim, Callable[[], None]]] = []
        self.huey: Huey | None = None

    def run_action(self, action_id: str) -> None:
        """Carry out one approved action, if it is there to be taken."""
        if self._stopping.is_set():
            return  # the row stays approved; the next start's sweep finds it
        with structlog.contextvars.bound_contextvars(action_id=action_id):
            claim = self._services.execution.claim(action_id, self._worker_id)
            if claim is None:
                self._report(action_id)  # it may have failed in the claim
                return
            with self._lock:
                self._running[action_id] = False
            try:
                self._carry_out(claim)
            finally:
                with self._lock:
                    self._running.pop(action_id, None)
            self._report(action_id)

    def report_outcome(self, action_id: str) -> None:
        """Tell the action's conversation what came of it; a failure here never touches the action."""
        try:
            self._services.outcomes.report_outcome(action_id)
        except AppError as error:
            log.warning("outcome_not_told", action_id=action_id, code=error.code, error=error.message)

    def sweep(self) -> None:
        """Find what nobody looked at: approved rows, rows of dead workers, outcomes that were not told."""
        self._settle_leftovers()
        approved = self._services.execution.sweep()
        if self.huey is None or self.huey.pending_count() > 0:
            return  # the queue is not drained yet; enqueueing again would only repeat it
        for action_id in approved:
            enqueue(action_id, huey=self.huey)
        for action_id in self._services.execution.unreported():
            enqueue(action_id, task=REPORT_OUTCOME, huey=self.huey)

    def stop(self) -> None:
        """Begin no more. What has not submitted anything is given back at once; what has gets a moment to finish."""
        self._stopping.set()
        with self._lock:
            running = dict(self._running)
        for action_id, is_irreversible in running.items():
            if not is_irreversible:
                kill_browser_of(action_id)
        deadline = time.monotonic() + FINISH_GRACE_S
        while time.monotonic() < deadline:
            with self._lock:
                if not self._running:
                    return
            time.sleep(0.05)
        for action_id in running:
            kill_browser_of(action_id)

    def _carry_out(self, claim: Claim) -> None:
        log.info("action_started", type=claim.type, attempt=claim.attempt)
        try:
            context = self._context(claim)
            result = execution.run(ACTION_TYPES[claim.type], claim.params, context, pause=self._pause)
        except Interrupted:
            self._release(claim)
        except ClaimLost as error:
            log.warning("claim_lost", error=error.message)
        except ActionError as error:
            if self._stopping.is_set() and not self._is_irreversible(claim):
                self._release(claim)
            else:
                self._settle(claim, lambda error=error: self._store_failure(claim, error))  # type: ignore[misc]
        except AppError as error:
            failed = ActionError(error.message, code=error.code, hint=error.hint)
            self._settle(claim, lambda: self._store_failure(claim, failed))
        else:
            self._settle(claim, lambda: self._store_success(claim, result))

    def _context(self, claim: Claim) -> ActionContext:
        services, account = self._services, claim.account

        def before_irreversible() -> None:
            if self._stopping.is_set():
                raise Interrupted
            try:
                services.execution.mark_irreversible(claim)
            except ClaimLost as error:
                raise Interrupted from error
            except AppError as error:
                raise ActionError(
                    f"Nothing was submitted, because it could not be recorded first: {error.message}",
                    code=error.code,
                    hint=error.hint,
                ) from error
            with self._lock:
                self._running[claim.action_id] = True

        def save_session(state: dict[str, Any]) -> None:
            assert account is not None
            try:
                services.accounts.save_session(account, state)
            except AppError as error:  # the next run logs in again
                log.warning("session_not_kept", error=error.message)

        return ActionContext(
            action_id=claim.action_id,
            evidence_dir=services.execution.new_evidence_dir(claim),
            allow_private_addresses=services.settings.allow_private_addresses,
            timeout_s=self._settings.action_timeout_s,
            progress=lambda text: self._progress(claim, text),
            before_irreversible=before_irreversible,
            account=account,
            credential=services.accounts.credential(account) if account else None,
            load_session=(lambda: services.accounts.load_session(account)) if account else (lambda: None),
            save_session=save_session if account else (lambda _state: None),
        )

    def _progress(self, claim: Claim, text: str) -> None:
        if self._stopping.is_set() and not self._is_irreversible(claim):
            raise Interrupted
        log.info("action_progress", progress=text)
        try:
            self._services.execution.progress(claim, text)
        except ClaimLost as error:
            if not self._is_irreversible(claim):
                raise Interrupted from error
        except AppError as error:  # a missing progress line is no reason to fail
            log.warning("progress_not_stored", error=error.message)

    def _pause(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Interrupted

    def _is_irreversible(self, claim: Claim) -> bool:
        with self._lock:
            return self._running.get(claim.action_id, False)

    def _store_success(self, claim: Claim, result: ActionResult) -> None:
        self._services.execution.finish_success(claim, result)
        log.info("action_succeeded", summary=result.summary)

    def _store_failure(self, claim: Claim, error: ActionError) -> None:
        self._services.execution.finish_failure(claim, error.code, error.message, error.hint, error.evidence)
        log.info("action_failed", code=error.code, error=error.message)

    def _release(self, claim: Claim) -> None:
        log.info("action_released")
        self._settle(claim, lambda: self._services.execution.release(claim))

    def _settle(self, claim: Claim, store: Callable[[], None]) -> None:
        """Store an outcome; when the database refuses it now, it is kept and tried again with every sweep."""
        for wait in (*_OUTCOME_RETRIES_S, None):
            try:
                store()
                return
            except ClaimLost as error:
                log.warning("claim_lost", error=error.message)
                return
            except AppError as error:
                log.error("outcome_not_stored", action_id=claim.action_id, error=error.message)
                if wait is not None:
                    time.sleep(wait)
        with self._lock:
            self._unsettled.append((claim, store))

    def _settle_leftovers(self) -> None:
        with self._lock:
            leftovers, self._unsettled = self._unsettled, []
        for claim, store in leftovers:
            self._settle(claim, store)

    def _report(self, action_id: str) -> None:
        if self.huey is not None:
            enqueue(action_id, task=REPORT_OUTCOME, huey=self.huey)

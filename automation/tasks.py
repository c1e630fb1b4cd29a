"""What the worker does when the queue wakes it: claim an approved action, carry it out, store its outcome."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from huey import Huey

from app import correlation
from app.actions.execution import ClaimLost, Held
from app.actions.records import Claim, Hold
from app.errors import AppError, Unavailable
from app.services import Services
from automation import execution
from automation.actions.base import ActionContext, ActionError, ActionResult, Reconciled, ReconciledOutcome, media_of
from automation.actions.registry import ACTION_TYPES
from automation.config import AutomationSettings
from automation.execution import Interrupted
from automation.hands.client import Hands
from automation.queue import LOOK_UP_ACTION, REPORT_OUTCOME, enqueue
from automation.robots_cache import RobotsCache

log = structlog.get_logger(__name__)

FINISH_GRACE_S = 15.0
_OUTCOME_RETRIES_S = (0.2, 1.0, 3.0)


class ActionRunner:
    """Runs actions for one worker process. Thread-safe: each Huey thread runs one action at a time."""

    def __init__(self, services: Services, worker_id: str, settings: AutomationSettings, hands: Hands) -> None:
        self._services = services
        self._worker_id = worker_id
        self._settings = settings
        self._hands = hands
        self._robots = RobotsCache()
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
            if claim is not None:
                self._while_running(claim, self._carry_out)
            self._report(action_id)  # without a claim, too: it may have failed there, or been settled

    def look_up_action(self, action_id: str) -> None:
        """Look at the platform for an action whose end nobody saw, if it is time to."""
        if self._stopping.is_set():
            return
        with structlog.contextvars.bound_contextvars(action_id=action_id):
            claim = self._services.execution.claim_look(action_id, self._worker_id)
            if claim is not None:
                self._while_running(claim, self._look_up)
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

    def tick(self) -> None:
        """What comes with time, every second: holds that are over, looks that are due, workers that died."""
        self._services.execution.recover()
        for project_id in self._services.policies.projects_with_auto():
            self._services.within(project_id).actions.approve_by_policies()
        if self.huey is None or self.huey.pending_count() > 0:
            return
        for action_id in self._services.execution.due():
            enqueue(action_id, huey=self.huey)
        for action_id in self._services.execution.looks_due():
            enqueue(action_id, task=LOOK_UP_ACTION, huey=self.huey)

    def stop(self) -> None:
        """Begin no more. What has not submitted anything is given back at once; what has gets a moment to finish."""
        self._stopping.set()
        with self._lock:
            running = dict(self._running)
        for action_id, is_irreversible in running.items():
            if not is_irreversible:
                self._hands.end(action_id)
        deadline = time.monotonic() + FINISH_GRACE_S
        while time.monotonic() < deadline:
            with self._lock:
                if not self._running:
                    return
            time.sleep(0.05)
        for action_id in running:
            self._hands.end(action_id)

    def _while_running(self, claim: Claim, work: Callable[[Claim], None]) -> None:
        with self._lock:
            self._running[claim.action_id] = False
        try:
            with correlation.serving(claim.request_id):
                work(claim)
        finally:
            with self._lock:
                self._running.pop(claim.action_id, None)

    def _carry_out(self, claim: Claim) -> None:
        log.info("action_started", type=claim.type, attempt=claim.attempt)
        holds: list[Hold] = []
        try:
            with tempfile.TemporaryDirectory(prefix="herald-media-") as folder:
                result = self._result(claim, self._context(claim, Path(folder), holds))
        except Interrupted:
            self._release(claim, holds[0] if holds else None)
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
        except Exception:  # whatever it is, the action must end: this living worker would hold it for ever
            log.exception("action_broke")
            broken = ActionError(
                "It failed unexpectedly.", code="internal_error", hint="The worker's log has the details."
            )
            self._settle(claim, lambda: self._store_failure(claim, broken))
        else:
            self._settle(claim, lambda: self._store_success(claim, result))

    def _result(self, claim: Claim, context: ActionContext) -> ActionResult:
        """Carry the action out; one that had begun before (on a keyed platform) is looked up first."""
        action = self._hands.in_child(ACTION_TYPES[claim.type])
        if claim.began_at is not None:
            context.progress("Looking whether it went out")
            found = execution.look(action, claim.params, context, claim.began_at)
            if found.outcome is ReconciledOutcome.HAPPENED and found.result is not None:
                return found.result
        return execution.run(action, claim.params, context, pause=self._pause)

    def _look_up(self, claim: Claim) -> None:
        assert claim.began_at is not None
        try:
            with tempfile.TemporaryDirectory(prefix="herald-media-") as folder:
                context = self._context(claim, Path(folder), [])
                found = execution.look(
                    self._hands.in_child(ACTION_TYPES[claim.type]), claim.params, context, claim.began_at
                )
        except Interrupted:
            self._release(claim)
            return
        except Exception as error:  # it could not be looked up; the next look comes later
            log.exception("look_failed")
            note = getattr(error, "message", "It failed unexpectedly.")
            found = Reconciled(ReconciledOutcome.UNKNOWN, note=f"It could not be looked up: {note}")
        log.info("action_looked_up", outcome=found.outcome.value, note=found.note)
        self._settle(claim, lambda: self._services.execution.finish_look(claim, found))

    def _context(self, claim: Claim, media_dir: Path, holds: list[Hold]) -> ActionContext:
        """What one execution may touch; what keeps it from going on is left in ``holds``."""
        services, account = self._services.within(claim.project_id), claim.account
        media = {ref.sha256: services.media.place(ref, media_dir) for ref in media_of(claim.params)}

        def before_irreversible() -> None:
            if self._stopping.is_set():
                raise Interrupted
            try:
                services.execution.mark_sending(claim)
            except Held as error:
                holds.append(error.hold)
                raise Interrupted from error
            except ClaimLost as error:
                raise Interrupted from error
            except AppError as error:
                # A full disk or a busy database passes: what was approved must not fail of it.
                raise ActionError(
                    f"Nothing was submitted: {error.message}",
                    code=error.code,
                    hint=error.hint,
                    retryable=isinstance(error, Unavailable),
                    is_site_fault=False,
                ) from error
            with self._lock:
                self._running[claim.action_id] = True

        def save_session(state: dict[str, Any]) -> None:
            assert account is not None
            try:
                services.accounts.save_session(account, state)
            except AppError as error:  # the next run logs in again
                log.warning("session_not_kept", error=error.message)

        kind = ACTION_TYPES[claim.type].recipe_kind(claim.params)

        def save_recipe(recipe: dict[str, Any]) -> None:
            try:
                services.recipes.keep(recipe, action_id=claim.action_id)
            except AppError as error:  # the next run looks at the page anew
                log.warning("recipe_not_kept", error=error.message)

        return ActionContext(
            action_id=claim.action_id,
            media_path=lambda ref: media[ref.sha256],
            intent_id=claim.intent_id,
            evidence_dir=services.execution.new_evidence_dir(claim),
            allow_private_addresses=services.settings.allow_private_addresses,
            timeout_s=self._settings.action_timeout_s,
            progress=lambda text: self._progress(claim, text),
            before_irreversible=before_irreversible,
            account=account,
            credential=services.accounts.credential(account) if account else None,
            host_rules=services.network.rules(),
            load_robots=self._robots.load,
            save_robots=self._robots.save,
            load_session=(lambda: services.accounts.load_session(account)) if account else (lambda: None),
            save_session=save_session if account else (lambda _state: None),
            recipe=services.recipes.active(kind) if kind else None,
            save_recipe=save_recipe,
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
        self._services.execution.finish_failure(
            claim, error, self._services.within(claim.project_id).actions.propose_in
        )
        log.info("action_failed", code=error.code, error=error.message)

    def _release(self, claim: Claim, hold: Hold | None = None) -> None:
        log.info("action_released", held=hold.reason if hold else "")
        self._settle(claim, lambda: self._services.execution.release(claim, hold))

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

"""Why an approved action waits: the stop, its own time, quiet hours, rates, a site's rest, the wait before another try.

Asked when a worker wants an action, and again in the transaction that commits ``sending``, so that what changed
between the two counts. What a hold says of its end is for people: the answer is worked out anew each time.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from app import clock
from app.actions import proposals, repository
from app.actions.limits import LONGEST_WINDOW, Limit, QuietHours, Rate, Rule
from app.actions.records import Hold, Stop
from app.actions.repository import UseWindow
from app.actions.rules import account_label
from app.actions.tables import ActionRow, LimitRow, SiteRow, StopRow, UseRow
from app.audit.service import AuditService
from app.db.engine import Database
from app.errors import NotFound
from automation.errors import ActionError

FAILURES_BEFORE_REST = 5
FIRST_REST_S = 60.0
LONGEST_REST_S = 3_600.0
PROBE_S = 300.0
_RULE: TypeAdapter[Rate | QuietHours] = TypeAdapter(Rule)


class HoldService:
    """The stop, the limits and the sites' rests. Methods with a session work within the caller's transaction."""

    def __init__(self, database: Database, audit: AuditService) -> None:
        self._database = database
        self._audit = audit

    def find(self, session: Session, row: ActionRow) -> Hold | None:
        """What keeps the action from going on at this moment, or None."""
        account = account_label(proposals.account_of(row))
        return (
            self.stop_hold(session)
            or _not_yet(row)
            or _between_tries(row)
            or self._site_hold(session, row)
            or self._limit_hold(session, row, account)
        )

    # -- the stop

    def stop_hold(self, session: Session) -> Hold | None:
        """The stop as a hold."""
        stop = repository.stop(session)
        return Hold(f"All actions are stopped by {stop.stopped_by}{_because(stop.reason)}.") if stop else None

    def stop(self, *, actor: str, reason: str = "") -> Stop:
        """Hold everything before its next irreversible step, from the next commit on."""
        row = StopRow(id=1, reason=reason, stopped_by=actor[:100], stopped_at=clock.now())
        with self._database.write() as session:
            repository.save_stop(session, row)
            self._audit.record(session, "actions.stopped", actor=actor, detail={"reason": reason})
        return Stop(row.reason, row.stopped_by, row.stopped_at)

    def resume(self, *, actor: str) -> None:
        """Lift the stop; the worker's next look, a second later, takes up what waited."""
        with self._database.write() as session:
            if repository.stop(session) is not None:
                repository.remove_stop(session)
                self._audit.record(session, "actions.resumed", actor=actor)

    def current_stop(self) -> Stop | None:
        """The stop, if everything is stopped."""
        with self._database.read() as session:
            row = repository.stop(session)
            return Stop(row.reason, row.stopped_by, row.stopped_at) if row else None

    # -- limits

    def limits(self) -> list[Limit]:
        """Every limit."""
        with self._database.read() as session:
            return [_limit(row) for row in repository.limits(session)]

    def add_limit(self, rule: Rate | QuietHours, *, target: str = "*", account: str = "*", actor: str) -> Limit:
        """Add a limit; it counts from the next step on."""
        row = LimitRow(
            id=f"lim_{uuid.uuid4().hex}",
            kind=rule.kind,
            target=target.casefold(),
            account=account.casefold(),
            rule=rule.model_dump(mode="json"),
            created_by=actor[:100],
            created_at=clock.now(),
        )
        with self._database.write() as session:
            repository.add_limit(session, row)
            detail = {"limit_id": row.id, "target": row.target, "account": row.account, "rule": row.rule}
            self._audit.record(session, "limit.added", actor=actor, detail=detail)
            return _limit(row)

    def remove_limit(self, limit_id: str, *, actor: str) -> None:
        """Remove a limit. Raises: NotFound."""
        with self._database.write() as session:
            if not repository.remove_limit(session, limit_id):
                raise NotFound(f"There is no limit {limit_id[:60]}.", hint="GET /api/v1/action-limits lists them.")
            self._audit.record(session, "limit.removed", actor=actor, detail={"limit_id": limit_id})

    def _limit_hold(self, session: Session, row: ActionRow, account: str) -> Hold | None:
        holds = []
        for limit in map(_limit, repository.limits(session)):
            if limit.concerns(row.project_id, row.target, account):
                rule = limit.rule
                if isinstance(rule, QuietHours):
                    ends_at = rule.ends_after(clock.now())
                    holds += [Hold(f"Quiet hours: {rule.words()}.", ends_at)] if ends_at else []
                elif hold := _rate_hold(session, limit, rule, row.target, account):
                    holds.append(hold)
        return max(holds, key=lambda hold: hold.until or clock.now(), default=None)

    def count_use(self, session: Session, row: ActionRow) -> None:
        """Count the step that the row takes now."""
        at = clock.now()
        repository.add_use(
            session,
            UseRow(
                action_id=row.id,
                target=row.target,
                account=account_label(proposals.account_of(row)),
                at=at,
                boot=clock.boot_id(),
                uptime_s=clock.uptime_s(),
            ),
        )
        repository.forget_uses_before(session, at - LONGEST_WINDOW - timedelta(days=1))

    # -- sites that fail

    def sites(self) -> list[SiteRow]:
        """The sites that have failed and not worked since."""
        with self._database.read() as session:
            return repository.sites(session)

    def begin_probe(self, session: Session, row: ActionRow) -> None:
        """Note that this action is the one try after the site's rest; others wait for its end."""
        site = repository.site(session, row.target) if row.target else None
        if site is not None and site.failures >= FAILURES_BEFORE_REST:
            site.probe_action_id, site.probe_timer = row.id, clock.timer(PROBE_S)

    def site_answered(self, session: Session, target: str) -> None:
        """The site worked: its failures are forgotten."""
        if target:
            repository.remove_site(session, target)

    def site_failed(self, session: Session, target: str, error: ActionError) -> None:
        """Count a failure of the site's own; enough in a row, or its own wish (``Retry-After``), and it gets a rest."""
        is_fault = error.retryable if error.is_site_fault is None else error.is_site_fault
        if not target or not (is_fault or error.retry_after_s is not None):
            return
        site = repository.site(session, target)
        if site is None:
            site = SiteRow(target=target, failures=0, rests=0, reason="")
            repository.add_site(session, site)
        site.probe_action_id = site.probe_timer = None
        rest_s = max(0.0, error.retry_after_s or 0.0)
        site.reason = error.message[:300]
        if error.retry_after_s is None:
            site.failures += 1
            if site.failures >= FAILURES_BEFORE_REST:
                rest_s = min(LONGEST_REST_S, FIRST_REST_S * 2**site.rests)
                site.rests += 1
        if rest_s > clock.left_s(site.rest_timer):
            site.rest_timer = clock.timer(rest_s)
            site.rest_until = clock.now() + timedelta(seconds=rest_s)

    def _site_hold(self, session: Session, row: ActionRow) -> Hold | None:
        site = repository.site(session, row.target) if row.target else None
        if site is None:
            return None
        if left := clock.left_s(site.rest_timer):
            why = f"{row.target} gets a rest after {site.failures} failures in a row" if site.failures else row.target
            return Hold(f"{why}; it said last: {site.reason}"[:500], _in(left), left)
        is_tried = site.probe_action_id not in {None, row.id} and clock.left_s(site.probe_timer) > 0
        if site.failures >= FAILURES_BEFORE_REST and is_tried:
            reason = f"{row.target} had failed {site.failures} times; another action tries it first."
            return Hold(reason, _in(5.0), 5.0)
        return None


def _not_yet(row: ActionRow) -> Hold | None:
    """Both clocks must agree that the time has come: one that was set forward must not send tomorrow's news today."""
    if row.not_before is None:
        return None
    left = clock.left_s(row.due_timer)
    if clock.now() >= row.not_before and not left:
        return None
    return Hold("It is planned for later.", max(row.not_before, _in(left)))


def _between_tries(row: ActionRow) -> Hold | None:
    left = clock.left_s(row.retry_timer)
    return Hold(row.held_reason or "It is tried again in a moment.", _in(left), left) if left else None


def _rate_hold(session: Session, limit: Limit, rule: Rate, target: str, account: str) -> Hold | None:
    window = timedelta(seconds=rule.per_s)
    since = UseWindow(clock.boot_id(), clock.uptime_s() - rule.per_s, clock.now() - window)
    of: str
    wanted: tuple[str | None, str | None]
    if rule.counted_by == "account":
        of, wanted = account, (None if limit.target == "*" else target, account)
    else:
        of, wanted = target, (target, None if limit.account == "*" else account)
    if not of:
        return None  # it acts as no account, or goes nowhere
    found = repository.uses(session, wanted[0], wanted[1], since)
    if len(found) < rule.max_count:
        return None
    first = found[-rule.max_count]
    until: datetime = max(first.at + window, clock.now())
    return Hold(f"The limit of {of} is reached: {rule.words()}.", until)


def _in(seconds: float) -> datetime:
    return clock.now() + timedelta(seconds=seconds)


def _because(reason: str) -> str:
    return f", because: {reason.rstrip('.')}" if reason else ""


def _limit(row: LimitRow) -> Limit:
    return Limit(
        row.id, row.project_id, row.target, row.account, _RULE.validate_python(row.rule), row.created_by, row.created_at
    )

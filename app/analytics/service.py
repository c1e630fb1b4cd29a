"""Records the model's calls and adds up a project's figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta

import structlog

from app import clock
from app.actions.records import Status, Tally
from app.actions.service import ActionService
from app.analytics import repository
from app.analytics.records import Content, Day, Figures, KindOfCall, Metrics, Period
from app.analytics.tables import ModelCallRow
from app.db.engine import Database
from app.errors import AppError
from app.llm import ModelCall

log = structlog.get_logger(__name__)

TOP_PROMPTS = 10
PROMPT_CHARS = 200
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)


class AnalyticsService:
    """One project's figures; those of the whole box without a project."""

    def __init__(self, database: Database, actions: ActionService) -> None:
        self._database = database
        self._actions = actions

    def metrics(self, period: Period) -> Metrics:
        """What happened since the period began, day by day (UTC)."""
        now = clock.now()
        since = period.began_at(now)
        with self._database.read() as session:
            calls = repository.by_day_and_kind(session, since)
            prompts = repository.top_prompts(session, since, TOP_PROMPTS)
        tallies = self._actions.tally(since)
        days = {day: Day(day) for day in _days(since.date(), now.date())}
        kinds: dict[str, KindOfCall] = {}
        for day, call in calls:
            _add(days[day], call)
            _add(kinds.setdefault(call.kind, KindOfCall(call.kind)), call)
        _count_decisions(days, tallies)
        totals = Day(since.date())
        for figures in days.values():
            _add(totals, figures)
        return Metrics(
            period=period,
            began_at=since,
            ended_at=now,
            totals=totals,
            by_day=tuple(days.values()),
            by_kind=tuple(sorted(kinds.values(), key=lambda k: (-k.seconds, k.kind))),
            content=tuple(_content(tallies, since.date())),
            top_prompts=tuple(prompts),
        )

    def figures(self, first: date, last: date, platform: str = "", *, only_posts: bool = False) -> Figures:
        """What happened from the first to the last day (UTC), both included; with a platform, to posts for it alone."""
        since = datetime.combine(first, datetime.min.time(), UTC)
        tallies = _wanted(self._actions.tally(since), platform, only_posts=only_posts)
        with self._database.read() as session:
            calls = [call for day, call in repository.by_day_and_kind(session, since) if day <= last]

        def count(is_counted: Callable[[Tally], bool], day_of: Callable[[Tally], date | None]) -> int:
            days = ((t, day_of(t)) for t in tallies if is_counted(t))
            return sum(t.count for t, day in days if day is not None and first <= day <= last)

        networks = sorted({t.platform for t in tallies if t.platform})
        published = {
            network: count(lambda t, network=network: t.is_published and t.platform == network, _finished_on)  # type: ignore[misc]
            for network in networks
        }
        return Figures(
            proposed=count(lambda _t: True, lambda t: t.created_on),
            approved=count(lambda t: t.is_approved, lambda t: t.decided_on),
            rejected=count(lambda t: t.is_rejected, lambda t: t.decided_on),
            failed=count(lambda t: t.is_failed, lambda t: t.finished_on or t.decided_on),
            published={network: n for network, n in published.items() if n},
            calls=sum(call.calls for call in calls),
            tokens=sum(call.prompt_tokens + call.completion_tokens for call in calls),
            seconds=sum(call.seconds for call in calls),
        )

    def waiting(self, platform: str = "", *, only_posts: bool = False) -> int:
        """How many actions wait for somebody's approval now; with a platform, posts for it alone."""
        tallies = _wanted(self._actions.tally(_BEGINNING), platform, only_posts=only_posts)
        return sum(t.count for t in tallies if t.status is Status.AWAITING_APPROVAL)

    def last_published_on(self, platform: str = "") -> date | None:
        """The day (UTC) of the newest post that went out; None when none ever did."""
        tallies = _wanted(self._actions.tally(_BEGINNING), platform, only_posts=True)
        days = (t.finished_on for t in tallies if t.is_published)
        return max((day for day in days if day is not None), default=None)


class CallRecorder:
    """What the project's model client tells of its calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, call: ModelCall) -> None:
        """Keep the call. A figure that cannot be kept must not take the answer away from who waits for it."""
        row = ModelCallRow(
            request_id=call.purpose.request_id,
            kind=call.purpose.kind,
            prompt=" ".join(call.purpose.prompt.split())[:PROMPT_CHARS],
            model=call.model[:200],
            prompt_tokens=call.prompt_tokens,
            cached_tokens=call.cached_tokens,
            completion_tokens=call.completion_tokens,
            seconds=call.seconds,
            outcome=call.outcome,
            created_at=clock.now(),
        )
        try:
            with self._database.write() as session:
                repository.add(session, row)
        except AppError as error:
            log.warning("call_not_recorded", code=error.code, error=error.message)


def _wanted(tallies: list[Tally], platform: str, *, only_posts: bool) -> list[Tally]:
    if platform:
        return [t for t in tallies if t.platform == platform]
    return [t for t in tallies if t.platform] if only_posts else tallies


def _finished_on(tally: Tally) -> date | None:
    return tally.finished_on


def _days(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


def _add(into: Day | KindOfCall, more: Day | KindOfCall) -> None:
    """Add every number that both have."""
    for field in fields(more):
        value = getattr(more, field.name)
        if isinstance(value, int | float) and hasattr(into, field.name):
            setattr(into, field.name, round(getattr(into, field.name) + value, 3))


def _count_decisions(days: dict[date, Day], tallies: list[Tally]) -> None:
    """What was proposed, decided and published, each on the day on which it happened."""
    for tally in tallies:
        if tally.created_on in days:
            days[tally.created_on].proposed += tally.count
        if tally.decided_on in days and tally.is_approved:
            days[tally.decided_on].approved += tally.count
        if tally.decided_on in days and tally.is_rejected:
            days[tally.decided_on].rejected += tally.count
        if tally.finished_on in days and tally.is_published:
            days[tally.finished_on].published += tally.count


def _content(tallies: list[Tally], since: date) -> list[Content]:
    rows: dict[tuple[date, str], Content] = {}
    for tally in tallies:
        if not tally.platform or tally.created_on < since:
            continue
        row = rows.setdefault((tally.created_on, tally.platform), Content(tally.created_on, tally.platform))
        row.proposed += tally.count
        row.published += tally.count * tally.is_published
        row.rejected += tally.count * tally.is_rejected
        row.failed += tally.count * tally.is_failed
    return [rows[key] for key in sorted(rows)]

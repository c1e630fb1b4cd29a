"""Records the model's calls and adds up a project's figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import date, timedelta

import structlog

from app import clock
from app.actions.records import Tally
from app.actions.service import ActionService
from app.analytics import repository
from app.analytics.records import Content, Day, KindOfCall, Metrics, Period
from app.analytics.tables import ModelCallRow
from app.db.engine import Database
from app.errors import AppError
from app.llm import ModelCall

log = structlog.get_logger(__name__)

TOP_PROMPTS = 10
PROMPT_CHARS = 200


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

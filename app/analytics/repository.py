"""All SQL over the model's calls. The session's project limits every query (``app.db.scope``)."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from app.analytics.records import KindOfCall, Prompt
from app.analytics.tables import ModelCallRow

# A reader who goes away, and a turn that goes on with another prompt, abort a call; it did not fail.
_FAILED = case((ModelCallRow.outcome.in_(("finished", "aborted")), 0), else_=1)


def add(session: Session, row: ModelCallRow) -> None:
    """Insert the row."""
    session.add(row)
    session.flush()


def by_day_and_kind(session: Session, since: datetime) -> list[tuple[date, KindOfCall]]:
    """What the calls of each day and kind took."""
    day = func.date(ModelCallRow.created_at)
    query = (
        select(
            day,
            ModelCallRow.kind,
            func.count(),
            func.sum(_FAILED),
            func.sum(ModelCallRow.prompt_tokens),
            func.sum(ModelCallRow.completion_tokens),
            func.sum(ModelCallRow.seconds),
        )
        .where(ModelCallRow.created_at >= since)
        .group_by(day, ModelCallRow.kind)
        .order_by(day, ModelCallRow.kind)
    )
    return [(date.fromisoformat(row[0]), KindOfCall(*row[1:])) for row in session.execute(query)]


def top_prompts(session: Session, since: datetime, limit: int) -> list[Prompt]:
    """What people wrote most often, then what took longest. One thing that was written may take several calls."""
    times = func.count(ModelCallRow.request_id.distinct())
    took = func.sum(ModelCallRow.seconds)
    query = (
        select(
            ModelCallRow.prompt,
            times,
            func.sum(ModelCallRow.prompt_tokens + ModelCallRow.completion_tokens),
            took,
        )
        .where(ModelCallRow.created_at >= since, ModelCallRow.prompt != "")
        .group_by(ModelCallRow.prompt)
        .order_by(times.desc(), took.desc(), ModelCallRow.prompt)
        .limit(limit)
    )
    return [Prompt(row[0], row[1], row[2], round(row[3], 2)) for row in session.execute(query)]

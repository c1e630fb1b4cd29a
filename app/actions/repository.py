"""All SQL of actions and workers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from app.actions.records import Status
from app.actions.tables import ActionRow, WorkerRow


def add(session: Session, row: ActionRow) -> None:
    """Insert the row."""
    session.add(row)
    session.flush()


def by_id(session: Session, action_id: str) -> ActionRow | None:
    """The action, if there is one."""
    return session.get(ActionRow, action_id)


def by_ids(session: Session, action_ids: list[str]) -> list[ActionRow]:
    """Those of the named actions that exist."""
    return list(session.scalars(select(ActionRow).where(ActionRow.id.in_(action_ids)))) if action_ids else []


def newest(session: Session, status: Status | None, limit: int) -> list[ActionRow]:
    """The newest actions first, of one status when given."""
    query = select(ActionRow).order_by(ActionRow.created_at.desc(), ActionRow.id.desc()).limit(limit)
    if status is not None:
        query = query.where(ActionRow.status == status)
    return list(session.scalars(query))


def with_status(session: Session, status: Status) -> list[ActionRow]:
    """Every action of that status, the oldest first."""
    query = select(ActionRow).where(ActionRow.status == status).order_by(ActionRow.created_at, ActionRow.id)
    return list(session.scalars(query))


def overdue(session: Session, at: datetime) -> list[ActionRow]:
    """Proposals whose time has run out undecided."""
    query = select(ActionRow).where(ActionRow.status == Status.AWAITING_APPROVAL, ActionRow.expires_at <= at)
    return list(session.scalars(query))


def unreported(session: Session) -> list[str]:
    """Ids of finished actions of a conversation whose outcome was not told there yet, the oldest first."""
    query = (
        select(ActionRow.id)
        .where(
            ActionRow.status.in_([Status.SUCCEEDED, Status.FAILED]),
            ActionRow.reported_at.is_(None),
            ActionRow.conversation_id.is_not(None),
        )
        .order_by(ActionRow.finished_at)
    )
    return list(session.scalars(query))


def worker(session: Session, worker_id: str) -> WorkerRow | None:
    """The worker, if it ever reported."""
    return session.get(WorkerRow, worker_id)


def last_worker_seen_at(session: Session) -> datetime | None:
    """When any worker was last seen."""
    return session.scalar(select(func.max(WorkerRow.last_seen_at)))


def save_heartbeat(session: Session, row: WorkerRow) -> None:
    """Insert the worker or move its ``last_seen_at``."""
    values = {
        "id": row.id,
        "host": row.host,
        "process": row.process,
        "started_at": row.started_at,
        "last_seen_at": row.last_seen_at,
    }
    session.execute(
        insert(WorkerRow).values(values).on_conflict_do_update([WorkerRow.id], set_={"last_seen_at": row.last_seen_at})
    )


def forget_worker(session: Session, worker_id: str) -> None:
    """Delete the worker's row: it has said good-bye."""
    session.execute(delete(WorkerRow).where(WorkerRow.id == worker_id))


def forget_workers_before(session: Session, moment: datetime) -> None:
    """Delete rows of workers that have been gone for long."""
    session.execute(delete(WorkerRow).where(WorkerRow.last_seen_at < moment))

"""All SQL of actions and workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.orm import Session

from app.actions.records import Status, Tally
from app.actions.tables import (
    ActionRow,
    ApprovalRow,
    LimitRow,
    PolicyRow,
    SiteRow,
    StopRow,
    UseRow,
    WorkerRow,
)
from app.db.scope import UNSCOPED


@dataclass(frozen=True, slots=True)
class UseWindow:
    """The beginning of a span of time, by this boot's seconds and by the wall clock."""

    boot: str
    uptime_s: float
    at: datetime


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


def ids_of_project(session: Session, project_id: str) -> list[str]:
    """The id of every action of the project."""
    return list(session.scalars(select(ActionRow.id).where(ActionRow.project_id == project_id)))


def every_id(session: Session) -> set[str]:
    """The id of every action of every project."""
    return set(session.scalars(select(ActionRow.id), execution_options=UNSCOPED))


def newest(session: Session, status: Status | None, limit: int) -> list[ActionRow]:
    """The newest actions first, of one status when given."""
    query = select(ActionRow).order_by(ActionRow.created_at.desc(), ActionRow.id.desc()).limit(limit)
    if status is not None:
        query = query.where(ActionRow.status == status)
    return list(session.scalars(query))


def tally(session: Session, since: datetime) -> list[Tally]:
    """Actions that were proposed, decided or finished since then, counted by their days, type, platform and status."""
    days = [func.date(column) for column in (ActionRow.created_at, ActionRow.decided_at, ActionRow.finished_at)]
    platform = func.coalesce(func.json_extract(ActionRow.params_json, "$.platform"), "")
    groups = [*days, ActionRow.type, platform, ActionRow.status]
    is_new = or_(ActionRow.created_at >= since, ActionRow.decided_at >= since, ActionRow.finished_at >= since)
    query = select(*groups, func.count()).where(is_new).group_by(*groups)
    return [
        Tally(
            date.fromisoformat(row[0]),
            date.fromisoformat(row[1]) if row[1] else None,
            date.fromisoformat(row[2]) if row[2] else None,
            row[3],
            str(row[4]),
            Status(row[5]),
            row[6],
        )
        for row in session.execute(query)
    ]


def count_by_status(session: Session) -> dict[Status, int]:
    """How many actions have each status; those that none has are there with 0."""
    query = select(ActionRow.status, func.count()).group_by(ActionRow.status)
    return dict.fromkeys(Status, 0) | {Status(status): count for status, count in session.execute(query)}


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
            ActionRow.status.in_([Status.SUCCEEDED, Status.FAILED, Status.UNCONFIRMED]),
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


def held_by_workers(session: Session) -> list[ActionRow]:
    """Every action that some worker holds, or held when it died."""
    query = select(ActionRow).where(ActionRow.worker_id.is_not(None)).order_by(ActionRow.created_at, ActionRow.id)
    return list(session.scalars(query))


def held_by(session: Session, worker_id: str) -> list[ActionRow]:
    """The actions that one worker holds."""
    return list(session.scalars(select(ActionRow).where(ActionRow.worker_id == worker_id)))


def unheld(session: Session, statuses: Sequence[Status]) -> list[ActionRow]:
    """Actions of these statuses that no worker holds, the oldest first."""
    query = (
        select(ActionRow)
        .where(ActionRow.status.in_(statuses), ActionRow.worker_id.is_(None))
        .order_by(ActionRow.created_at, ActionRow.id)
    )
    return list(session.scalars(query))


def add_approval(session: Session, row: ApprovalRow) -> None:
    """Insert the approval."""
    session.add(row)
    session.flush()


def approvals_of(session: Session, action_ids: Sequence[str]) -> list[ApprovalRow]:
    """All approvals of these actions, the oldest first."""
    query = select(ApprovalRow).where(ApprovalRow.action_id.in_(action_ids)).order_by(ApprovalRow.created_at)
    return list(session.scalars(query)) if action_ids else []


def stop(session: Session) -> StopRow | None:
    """The stop, if everything is stopped."""
    return session.get(StopRow, 1)


def save_stop(session: Session, row: StopRow) -> None:
    """Insert the stop, or replace it."""
    session.merge(row)
    session.flush()


def remove_stop(session: Session) -> None:
    """Lift the stop."""
    session.execute(delete(StopRow))


def site(session: Session, target: str) -> SiteRow | None:
    """What is known of the site's behaviour."""
    return session.get(SiteRow, target)


def sites(session: Session) -> list[SiteRow]:
    """Every site that has failed lately."""
    return list(session.scalars(select(SiteRow).order_by(SiteRow.target)))


def add_site(session: Session, row: SiteRow) -> None:
    """Insert the site."""
    session.add(row)
    session.flush()


def remove_site(session: Session, target: str) -> None:
    """Forget the site's failures."""
    session.execute(delete(SiteRow).where(SiteRow.target == target))


def limits(session: Session) -> list[LimitRow]:
    """Every limit, the oldest first."""
    return list(session.scalars(select(LimitRow).order_by(LimitRow.created_at, LimitRow.id)))


def add_limit(session: Session, row: LimitRow) -> None:
    """Insert the limit."""
    session.add(row)
    session.flush()


def remove_limit(session: Session, limit_id: str) -> bool:
    """Delete the limit; False when there was none."""
    return session.scalar(delete(LimitRow).where(LimitRow.id == limit_id).returning(LimitRow.id)) is not None


def add_use(session: Session, row: UseRow) -> None:
    """Count one use."""
    session.add(row)
    session.flush()


def uses(session: Session, target: str | None, account: str | None, since: UseWindow) -> list[UseRow]:
    """Uses of the site and of the account (None for any) within the window, the oldest first.

    A use of this boot is counted by the machine's own seconds, an earlier one by the wall clock.
    """
    is_recent = or_(
        and_(UseRow.boot == since.boot, UseRow.uptime_s > since.uptime_s),
        and_(UseRow.boot != since.boot, UseRow.at > since.at),
    )
    query = select(UseRow).where(is_recent).order_by(UseRow.id)
    if target is not None:
        query = query.where(UseRow.target == target)
    if account is not None:
        query = query.where(UseRow.account == account)
    return list(session.scalars(query))


def forget_uses_before(session: Session, moment: datetime) -> None:
    """Delete uses that no window reaches any more."""
    session.execute(delete(UseRow).where(UseRow.at < moment))


def policies(session: Session) -> list[PolicyRow]:
    """Every approval policy, the oldest first."""
    return list(session.scalars(select(PolicyRow).order_by(PolicyRow.created_at, PolicyRow.id)))


def add_policy(session: Session, row: PolicyRow) -> None:
    """Insert the policy."""
    session.add(row)
    session.flush()


def remove_policy(session: Session, policy_id: str) -> bool:
    """Delete the policy; False when there was none."""
    return session.scalar(delete(PolicyRow).where(PolicyRow.id == policy_id).returning(PolicyRow.id)) is not None

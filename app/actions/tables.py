"""Tables of actions, their approvals, what holds them back, and the workers that run them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Table, UtcDateTime
from app.db.scope import ProjectScoped


class ActionRow(ProjectScoped, Table):
    """One action. ``params_json`` is canonical JSON: exactly the bytes that the digest covers and the worker runs.

    ``fence`` grows with every claim, so that an older holder can be told from the present one. ``lease``,
    ``retry_timer``, ``due_timer`` and ``look_timer`` are timers (see ``app.clock``), which no set clock moves.
    """

    __tablename__ = "actions"
    __table_args__ = (Index(None, "status", "created_at"), Index(None, "conversation_id"), Index(None, "worker_id"))

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    type: Mapped[str] = mapped_column(String(100))
    params_json: Mapped[str] = mapped_column(Text)
    account: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    target: Mapped[str] = mapped_column(String(300), default="", server_default="")
    intent_id: Mapped[str] = mapped_column(String(40), default="", server_default="")
    digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(30))
    conversation_id: Mapped[str | None] = mapped_column(ForeignKey("conversations.id", ondelete="SET NULL"))
    proposed_by: Mapped[str] = mapped_column(String(100), default="", server_default="")
    is_tainted: Mapped[bool] = mapped_column(default=False, server_default="0")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    due_timer: Mapped[str | None] = mapped_column(String(80))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    decided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    irreversible_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reported_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    worker_id: Mapped[str | None] = mapped_column(String(100))
    fence: Mapped[int] = mapped_column(default=0, server_default="0")
    lease: Mapped[str | None] = mapped_column(String(80))
    attempts: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0, server_default="0")
    retries: Mapped[int] = mapped_column(default=0, server_default="0")
    retry_timer: Mapped[str | None] = mapped_column(String(80))
    looks: Mapped[int] = mapped_column(default=0, server_default="0")
    look_timer: Mapped[str | None] = mapped_column(String(80))
    held_reason: Mapped[str] = mapped_column(String(500), default="", server_default="")
    held_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    progress: Mapped[str] = mapped_column(String(300), default="")
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    evidence: Mapped[list[dict[str, str]]] = mapped_column(JSON)


class ApprovalRow(Table):
    """One person's (or policy's) approval of exactly one digest of one action; ``signature`` covers the rest."""

    __tablename__ = "approvals"
    __table_args__ = (Index(None, "action_id"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    action_id: Mapped[str] = mapped_column(ForeignKey("actions.id", ondelete="CASCADE"))
    digest: Mapped[str] = mapped_column(String(64))
    approver_id: Mapped[str] = mapped_column(String(100))
    approver: Mapped[str] = mapped_column(String(100))
    policy_id: Mapped[str | None] = mapped_column(String(40))
    people_needed: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    voided_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    signature: Mapped[str] = mapped_column(String(64))


class PolicyRow(ProjectScoped, Table):
    """Who may approve what, when two people are needed, and what needs nobody."""

    __tablename__ = "approval_policies"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    type: Mapped[str] = mapped_column(String(100))
    account: Mapped[str] = mapped_column(String(150))
    risk: Mapped[str] = mapped_column(String(20))
    amount_above_minor: Mapped[int | None]
    approvers: Mapped[list[str]] = mapped_column(JSON)
    people_needed: Mapped[int]
    is_auto: Mapped[bool]
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LimitRow(ProjectScoped, Table):
    """One limit as data: how often, or at which hours not, an account or a site may be used."""

    __tablename__ = "action_limits"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    target: Mapped[str] = mapped_column(String(300))
    account: Mapped[str] = mapped_column(String(150))
    rule: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_by: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class UseRow(Table):
    """One irreversible step (or one page read): what rates are counted over."""

    __tablename__ = "action_uses"
    __table_args__ = (Index(None, "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    action_id: Mapped[str] = mapped_column(String(40))
    target: Mapped[str] = mapped_column(String(300))
    account: Mapped[str] = mapped_column(String(150))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    boot: Mapped[str] = mapped_column(String(40))
    uptime_s: Mapped[float]


class SiteRow(Table):
    """How a site has behaved: its failures in a row and the rest that it gets."""

    __tablename__ = "action_sites"

    target: Mapped[str] = mapped_column(String(300), primary_key=True)
    failures: Mapped[int]
    rests: Mapped[int]
    rest_timer: Mapped[str | None] = mapped_column(String(80))
    rest_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reason: Mapped[str] = mapped_column(String(300))
    probe_action_id: Mapped[str | None] = mapped_column(String(40))
    probe_timer: Mapped[str | None] = mapped_column(String(80))


class StopRow(Table):
    """The stop: while its one row is there, nothing irreversible begins."""

    __tablename__ = "action_stops"

    id: Mapped[int] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(String(300))
    stopped_by: Mapped[str] = mapped_column(String(100))
    stopped_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WorkerRow(Table):
    """One worker process and when it was last seen."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    host: Mapped[str] = mapped_column(String(255))
    process: Mapped[str] = mapped_column(String(60))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)

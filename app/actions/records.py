"""What an action is: its states and its record, as services hand it around."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from automation.actions.base import Account, Params, PreviewLine


class Status(StrEnum):
    """The life of an action."""

    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"


FINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.REJECTED, Status.EXPIRED})


@dataclass(frozen=True, slots=True)
class Action:
    """One action as it stands; ``preview`` is what its card shows."""

    id: str
    type: str
    title: str
    params: dict[str, Any]
    digest: str
    status: Status
    risk: str
    preview: tuple[PreviewLine, ...]
    progress: str
    result: dict[str, Any] | None
    error: dict[str, str] | None
    evidence: tuple[dict[str, str], ...]
    conversation_id: str | None
    created_at: datetime
    decided_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime

    @property
    def is_final(self) -> bool:
        """Whether nothing will change it any more."""
        return self.status in FINAL

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it cannot be approved as it stands."""
        return tuple(f"{line.label}: {line.problem}" for line in self.preview if line.problem)


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to run one approved action, once. Every later call must present it.

    ``params`` were validated from the stored bytes whose digest was approved; ``attempt`` counts claims from 1.
    """

    action_id: str
    worker_id: str
    attempt: int
    type: str
    params: Params
    account: Account | None
    conversation_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WorkerState:
    """Whether a worker is there. ``status`` is ready or not_running."""

    status: str
    last_seen_at: datetime | None

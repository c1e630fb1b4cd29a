"""What an action is: its states and its record, as services hand it around."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from automation.actions.base import Account, Params, PreviewLine


class Status(StrEnum):
    """The life of an action.

    ``sending`` is committed before the irreversible step begins; ``unconfirmed`` means that it had begun and nobody saw
    how it ended.
    """

    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    SENDING = "sending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


FINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.REJECTED, Status.EXPIRED, Status.CANCELLED})
ENDED = FINAL | {Status.UNCONFIRMED}
"""What no worker will carry out any more; an unconfirmed action is only looked up or settled."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why an approved action waits. ``until`` is when it is looked at again at the latest; None: when that changes."""

    reason: str
    until: datetime | None = None
    retry_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Everything is stopped: by whom, when and why."""

    reason: str
    stopped_by: str
    stopped_at: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved the present digest, and when."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Action:
    """One action as it stands; ``preview`` is what its card shows.

    Attributes:
        is_running: a worker holds it at this moment.
        held: why it is approved and does not run.
        approvals, people_needed: who has approved the present digest, and how many people must.
        target: the site that it goes to.
        intent_id: one for all attempts of this action; platforms that take a key get one made from it.
    """

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
    project_id: str
    created_at: datetime
    decided_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime
    not_before: datetime | None
    target: str
    intent_id: str
    account: Account | None
    proposed_by: str
    is_tainted: bool
    is_running: bool
    held: Hold | None
    approvals: tuple[Approval, ...]
    people_needed: int

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
    """A worker's right to work on one action. Every later call must present it.

    ``params`` were validated from the stored bytes whose digest was approved; ``attempt`` counts claims from 1 and
    ``fence`` tells this claim from every other one of the action. ``began_at`` is set when an earlier attempt had begun
    the irreversible step; ``is_look`` when the claim allows nothing but to look at the platform. ``request_id`` names
    the request that had it done, for the log.
    """

    action_id: str
    project_id: str
    worker_id: str
    attempt: int
    fence: int
    type: str
    params: Params
    digest: str
    intent_id: str
    account: Account | None
    conversation_id: str | None
    created_at: datetime
    began_at: datetime | None = None
    is_look: bool = False
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many actions there are of each status, how many approved ones something holds, and the longest wait.

    ``oldest_wait_s``: for how long the oldest approved action that nothing holds has not been taken, in seconds since
    its approval or its planned moment; 0 when none waits.
    """

    by_status: dict[Status, int]
    held: int
    oldest_wait_s: float


@dataclass(frozen=True, slots=True)
class WorkerState:
    """Whether a worker is there. ``status`` is ready or not_running."""

    status: str
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many actions share these days (UTC), this type, platform and status."""

    created_on: date
    decided_on: date | None
    finished_on: date | None
    type: str
    platform: str
    status: Status
    count: int

    @property
    def is_rejected(self) -> bool:
        """Whether a person said no."""
        return self.status is Status.REJECTED

    @property
    def is_approved(self) -> bool:
        """Whether they were decided, and not against."""
        undecided = {Status.AWAITING_APPROVAL, Status.REJECTED, Status.EXPIRED}
        return self.decided_on is not None and self.status not in undecided

    @property
    def is_published(self) -> bool:
        """Whether they are posts that went out."""
        return self.status is Status.SUCCEEDED and bool(self.platform)

    @property
    def is_failed(self) -> bool:
        """Whether they were tried and did not succeed for sure."""
        return self.status in {Status.FAILED, Status.UNCONFIRMED}

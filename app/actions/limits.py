"""Limits as data: how often an account or a site may be used, and at which hours not. Pure; ``holds`` applies them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

LONGEST_WINDOW = timedelta(days=31)
_ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Rate(BaseModel):
    """At most ``max_count`` irreversible steps (or page reads) in any ``per_s`` seconds, of each account or site."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["rate"] = "rate"
    max_count: Annotated[int, Field(ge=1, le=100_000)]
    per_s: Annotated[int, Field(ge=1, le=int(LONGEST_WINDOW.total_seconds()))]
    counted_by: Literal["account", "site"] = "account"

    def words(self) -> str:
        """The rule as a person would say it."""
        return f"at most {self.max_count:,} in {span_words(self.per_s)}"


class QuietHours(BaseModel):
    """Nothing from ``starts`` to ``ends`` (``22:00`` to ``07:00``) by the clocks of ``time_zone``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["quiet_hours"] = "quiet_hours"
    starts: _ClockTime
    ends: _ClockTime
    time_zone: str

    @field_validator("time_zone")
    @classmethod
    def _exists(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("must be a time zone such as Europe/Berlin")
        return value

    @model_validator(mode="after")
    def _lasts(self) -> QuietHours:
        if self.starts == self.ends:
            raise ValueError("starts and ends must differ; to hold everything use the stop")
        return self

    def words(self) -> str:
        """The rule as a person would say it."""
        return f"quiet from {self.starts} to {self.ends} ({self.time_zone})"

    def ends_after(self, moment: datetime) -> datetime | None:
        """When the quiet that holds at ``moment`` ends, UTC; None when there is none.

        Days on which clocks are changed need no care of their own: the end is a time on the zone's clocks, and one
        that a change skips falls right behind the gap.
        """
        local = moment.astimezone(ZoneInfo(self.time_zone))
        at, starts, ends = local.time(), time.fromisoformat(self.starts), time.fromisoformat(self.ends)
        is_quiet = starts <= at < ends if starts < ends else at >= starts or at < ends
        if not is_quiet:
            return None
        date = local.date() if at < ends else local.date() + timedelta(days=1)
        return datetime.combine(date, ends, ZoneInfo(self.time_zone)).astimezone(UTC)


Rule = Annotated[Rate | QuietHours, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Limit:
    """A rule and what it concerns: a site (``host``), an account (``x:acme``), ``*`` for every one."""

    id: str
    project_id: str
    target: str
    account: str
    rule: Rate | QuietHours
    created_by: str
    created_at: datetime

    def concerns(self, project_id: str, target: str, account: str) -> bool:
        """Whether an action of the project on ``target`` as ``account`` is under this limit."""
        return project_id == self.project_id and self.target in {"*", target} and self.account in {"*", account}


def span_words(seconds: int) -> str:
    """``24 hours``."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return f"{seconds} second{'s' if seconds > 1 else ''}"

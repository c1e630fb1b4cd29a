"""What analytics hands around: the periods and the figures of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum


class Period(StrEnum):
    """How far back the figures go."""

    WEEK = "7d"
    MONTH = "30d"
    QUARTER = "90d"
    YEAR = "365d"

    @property
    def days(self) -> int:
        """Its length in days, today among them."""
        return int(self.value[:-1])

    def began_at(self, now: datetime) -> datetime:
        """The first moment of its first day (UTC)."""
        return now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=self.days - 1)


@dataclass(slots=True)
class Day:
    """One day's figures (UTC). Tokens are counted by the model server, seconds are those of its calls together."""

    day: date
    calls: int = 0
    failed_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    proposed: int = 0
    approved: int = 0
    rejected: int = 0
    published: int = 0


@dataclass(slots=True)
class KindOfCall:
    """What the calls of one kind took together."""

    kind: str
    calls: int = 0
    failed_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Content:
    """Posts for one platform on one day (UTC) of their proposal, and what has become of them."""

    day: date
    platform: str
    proposed: int = 0
    published: int = 0
    failed: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Prompt:
    """Something that people wrote, as often as they wrote it."""

    prompt: str
    times: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened on some days, each thing counted on the day on which it happened.

    ``proposed`` to ``failed`` are of actions of every type, or of posts alone; ``published`` maps a
    platform to the posts that went out there.
    """

    proposed: int
    approved: int
    rejected: int
    failed: int
    published: dict[str, int]
    calls: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Metrics:
    """A project's figures over a period; every day of it has a row."""

    period: Period
    began_at: datetime
    ended_at: datetime
    totals: Day
    by_day: tuple[Day, ...]
    by_kind: tuple[KindOfCall, ...]
    content: tuple[Content, ...]
    top_prompts: tuple[Prompt, ...] = field(default=())

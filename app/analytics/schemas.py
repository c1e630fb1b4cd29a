"""The shape of a project's figures."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from app.analytics.records import Metrics


class _Figures(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class DayOut(_Figures):
    """One day (UTC)."""

    day: date
    calls: int
    failed_calls: int
    prompt_tokens: int
    completion_tokens: int
    seconds: Annotated[float, Field(description="Of all calls of the model together.")]
    proposed: int
    approved: int
    rejected: int
    published: int


class KindOut(_Figures):
    """Calls of the model by what they were made for."""

    kind: str
    calls: int
    failed_calls: int
    prompt_tokens: int
    completion_tokens: int
    seconds: float


class ContentOut(_Figures):
    """Posts by platform and the day of their proposal, and what has become of them."""

    day: date
    platform: str
    proposed: int
    published: int
    failed: int
    rejected: int


class PromptOut(_Figures):
    """Something that people wrote, as often as they wrote it."""

    prompt: str
    times: int
    tokens: int
    seconds: float


class MetricsOut(_Figures):
    """A project's figures over a period."""

    period: str
    began_at: datetime
    ended_at: datetime
    totals: DayOut
    by_day: list[DayOut]
    by_kind: list[KindOut]
    content: list[ContentOut]
    top_prompts: list[PromptOut]

    @classmethod
    def of(cls, metrics: Metrics) -> MetricsOut:
        """The wire shape."""
        return cls.model_validate(metrics)

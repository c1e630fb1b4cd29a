"""Limits as data: rules that make no sense, quiet hours over midnight and over changed clocks."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from app.actions.limits import QuietHours, Rate


def quiet(starts: str, ends: str, zone: str = "Europe/Berlin") -> QuietHours:
    return QuietHours(starts=starts, ends=ends, time_zone=zone)


@pytest.mark.parametrize(
    "rule",
    [
        {"starts": "22:00", "ends": "22:00", "time_zone": "UTC"},
        {"starts": "24:00", "ends": "07:00", "time_zone": "UTC"},
        {"starts": "22:00", "ends": "07:00", "time_zone": "Mars/Olympus"},
    ],
)
def test_quiet_hours_that_make_no_sense_are_refused(rule: dict[str, str]) -> None:
    """No length, no such time, no such place."""
    with pytest.raises(ValidationError):
        QuietHours.model_validate(rule)


def test_a_rate_needs_a_count_and_a_window() -> None:
    """At least one in at least a second, at most a month."""
    for values in ({"max_count": 0, "per_s": 60}, {"max_count": 1, "per_s": 0}, {"max_count": 1, "per_s": 10**9}):
        with pytest.raises(ValidationError):
            Rate.model_validate(values)
    assert Rate(max_count=5, per_s=7_200).words() == "at most 5 in 2 hours"


@pytest.mark.parametrize(
    ("at", "ends_at"),
    [
        (datetime(2026, 7, 1, 19, 59, tzinfo=UTC), None),  # 21:59
        (datetime(2026, 7, 1, 20, 0, tzinfo=UTC), datetime(2026, 7, 2, 5, 0, tzinfo=UTC)),  # 22:00 to 07:00
        (datetime(2026, 7, 2, 4, 59, tzinfo=UTC), datetime(2026, 7, 2, 5, 0, tzinfo=UTC)),
        (datetime(2026, 7, 2, 5, 0, tzinfo=UTC), None),
        (datetime(2026, 3, 28, 22, 0, tzinfo=UTC), datetime(2026, 3, 29, 5, 0, tzinfo=UTC)),  # the shorter night
        (datetime(2026, 10, 24, 21, 0, tzinfo=UTC), datetime(2026, 10, 25, 6, 0, tzinfo=UTC)),  # the longer night
    ],
)
def test_quiet_hours_follow_the_zones_clocks(at: datetime, ends_at: datetime | None) -> None:
    """Over midnight, and in both nights in which clocks are changed."""
    assert quiet("22:00", "07:00").ends_after(at) == ends_at


def test_an_end_that_the_clocks_skip_falls_behind_the_gap() -> None:
    """02:30 does not exist on 29 March 2026 in Berlin: the quiet ends at 03:30, which is 01:30 UTC."""
    assert quiet("22:00", "02:30").ends_after(datetime(2026, 3, 29, 0, 30, tzinfo=UTC)) == datetime(
        2026, 3, 29, 1, 30, tzinfo=UTC
    )

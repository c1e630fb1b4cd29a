"""Spans of days: which are named, and which days they are."""

from __future__ import annotations

from datetime import date

import pytest

from app.chat.lookups.periods import periods_in, span_of

TODAY = date(2026, 11, 20)  # a Friday


@pytest.mark.parametrize("text", ["How many posts?", "last weekend it rained", "0 days", "it may be", "marching on"])
def test_what_names_no_period_has_none(text: str) -> None:
    """Words that only look like one are left alone."""
    assert periods_in(text, TODAY) == []


@pytest.mark.parametrize(
    ("text", "periods"),
    [
        ("posts last week?", ["last_week"]),
        ("this month or last month", ["this_month", "last_month"]),
        ("in the last 14 days", ["14d"]),
        ("over the past two weeks", ["14d"]),
        ("in den letzten 3 Monaten", ["90d"]),
        ("in October", ["2026-10"]),
        ("in December", ["2025-12"]),
        ("in March 2024", ["2024-03"]),
        ("letzte Woche", ["last_week"]),
        ("le mois dernier", ["last_month"]),
        ("este mes", ["this_month"]),
        ("so far", ["all"]),
    ],
)
def test_periods_are_read_as_people_write_them(text: str, periods: list[str]) -> None:
    """In the order in which they stand; a month without a year is the newest one."""
    assert periods_in(text, TODAY) == periods


@pytest.mark.parametrize(
    ("period", "first", "last", "label"),
    [
        ("today", "2026-11-20", "2026-11-20", "Today (20 November 2026)"),
        ("yesterday", "2026-11-19", "2026-11-19", "Yesterday (19 November 2026)"),
        ("this_week", "2026-11-16", "2026-11-20", "This week (16 November 2026 to 20 November 2026)"),
        ("last_week", "2026-11-09", "2026-11-15", "Last week (9 November 2026 to 15 November 2026)"),
        ("last_month", "2026-10-01", "2026-10-31", "Last month (1 October 2026 to 31 October 2026)"),
        ("this_year", "2026-01-01", "2026-11-20", "This year (1 January 2026 to 20 November 2026)"),
        ("last_year", "2025-01-01", "2025-12-31", "Last year (1 January 2025 to 31 December 2025)"),
        ("7d", "2026-11-14", "2026-11-20", "The last 7 days (14 November 2026 to 20 November 2026)"),
        ("2026-02", "2026-02-01", "2026-02-28", "February 2026"),
        ("2026-11", "2026-11-01", "2026-11-20", "November 2026"),
    ],
)
def test_a_period_is_days_with_both_ends(period: str, first: str, last: str, label: str) -> None:
    """And says which, because "last week" is not the same to everybody."""
    span = span_of(period, TODAY)
    assert (span.first.isoformat(), span.last.isoformat(), span.label) == (first, last, label)

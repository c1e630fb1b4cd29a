"""Bars as HTML, and the days that each stands for."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

import pytest

from app.ui.analytics_tab import groups_of
from app.ui.charts import Bar, columns_html, rows_html

COLOURS = {"Posted": "#00f", "Failed": "#f00"}


def days(count: int, last: date = date(2026, 1, 3)) -> list[dict[str, Any]]:
    """As the metrics have them, over the end of a year."""
    return [{"day": (last - timedelta(days=n)).isoformat()} for n in reversed(range(count))]


def heights(html: str) -> list[str]:
    """Of all parts, in order."""
    return re.findall(r"(?:height|width):([\d.]+)%", html)


def test_names_are_data() -> None:
    """What a platform is called cannot become markup."""
    for html in (
        columns_html("<b>", [Bar("<i>", '"<u>', (1,))], {"<s>": "#000"}),
        rows_html("<b>", [Bar("<i>", '"<u>', (1,))], {"<s>": "#000"}),
    ):
        assert not re.search(r'<b>"|<s>|""|<i></b>|title=""', html)
        assert "&lt;i&gt;" in html


def test_nothing_has_no_heights() -> None:
    """Noughts are bars of no height under an axis to 1; no platform is no chart."""
    html = columns_html("Tokens", [Bar("Nov 1", "Nov 1", (0,))] * 30, {"tokens": "#000"})
    assert set(heights(html)) == {"0.00"}
    assert "<span>1</span><span>0</span>" in html
    assert columns_html("Tokens", [], {"tokens": "#000"})
    assert rows_html("Posts", [], COLOURS) == ""
    assert heights(rows_html("Posts", [Bar("X", "X", (0, 0))], COLOURS)) == []


@pytest.mark.parametrize(
    ("most", "axis"),
    [
        (1, ["1", "0"]),
        (2, ["2", "1", "0"]),
        (7, ["10", "5", "0"]),
        (1_200, ["2k", "1k", "0"]),
        (4_001, ["6k", "3k", "0"]),
        (61_000_000, ["100M", "50M", "0"]),
    ],
)
def test_the_axis_has_round_numbers(most: int, axis: list[str]) -> None:
    """The highest bar reaches at most its top."""
    html = columns_html("Tokens", [Bar("a", "a", (most,))], {"tokens": "#000"})
    assert re.findall(r"<span>([^<]*)</span>", html) == axis
    assert 33 < float(heights(html)[0]) <= 100


def test_few_names_are_written_and_the_last_one_always() -> None:
    """Every bar says its numbers when it is pointed at."""
    bars = [Bar(f"d{n}", f"day {n}", (n, 30 - n)) for n in range(30)]
    html = columns_html("Posts", bars, COLOURS)
    assert re.findall(r"<b>(d\d+)</b>", html) == ["d4", "d9", "d14", "d19", "d24", "d29"]
    assert 'title="day 7: 7 Posted, 23 Failed"' in html
    assert html.count("<li") == 30


def test_parts_of_a_row_add_up_to_its_share() -> None:
    """Of the longest."""
    html = rows_html("Posts", [Bar("X", "X", (3, 1)), Bar("Bluesky", "Bluesky", (1, 1))], COLOURS)
    assert heights(html) == ["75.00", "25.00", "25.00", "25.00"]


def test_days_weeks_and_months_keep_every_day_in_order() -> None:
    """Also over the end of a year; weeks end today."""
    for count in (7, 30, 90, 91, 365):
        for span in ("day", "week", "month"):
            groups = groups_of(days(count), span)
            assert [day for group in groups for day in group] == days(count), (count, span)
            assert all(groups), (count, span)
    assert [len(group) for group in groups_of(days(90), "week")] == [6] + [7] * 12
    assert [group[0]["day"] for group in groups_of(days(90), "month")] == [
        "2025-10-06", "2025-11-01", "2025-12-01", "2026-01-01",
    ]  # fmt: skip

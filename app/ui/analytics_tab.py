"""The Analytics tab: what the model's work took, what was decided and posted, the prompts most used."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from operator import itemgetter
from typing import Any
from urllib.parse import quote

import gradio as gr

from app.client import ApiError
from app.ui import markup
from app.ui.charts import Bar, columns_html, rows_html
from app.ui.components import plain
from app.ui.gateway import Gateway
from app.ui.variants import platform_title

_PAGE_HEAD = '<div class="h-page-head"><h1>Analytics</h1><p>What the language model did for this project, and what came of it.</p></div>'
PERIODS = (("7 days", "7d"), ("30 days", "30d"), ("90 days", "90d"), ("A year", "365d"))
SPANS = {"7d": "day", "30d": "day", "90d": "week", "365d": "month"}  # what a bar stands for
TOKENS = {"tokens": "#3a72b0"}
DECISIONS = {"Proposed": "#c99a2e", "Approved": "#255b92", "Rejected": "#a33b32"}
OUTCOMES = {"Posted": "#2f7d4f", "Open": "#c99a2e", "Failed": "#a33b32", "Rejected": "#8a8378"}
KINDS = {
    "chat": "Chat",
    "assistant": "Answers from documents",
    "generate": "Writing",
    "page": "Reading pages",
    "other": "Other",
}


@dataclass
class AnalyticsTab:
    """Builds the tab and answers its events."""

    gateway: Gateway

    def build(self, tab: gr.Tab) -> None:
        """Lay out the tab; it is read anew whenever it is opened or another period is chosen."""
        plain(_PAGE_HEAD)
        period = gr.Radio(PERIODS, value="30d", label="Period", elem_id="period", container=False)
        tiles = plain("", elem_id="metric-tiles")
        charts = plain("", elem_id="metric-charts")
        tables = plain("", elem_id="metric-tables")
        outputs = [tiles, charts, tables]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}
        period.change(self.show, [period], outputs, **quiet)
        tab.select(self.show, [period], outputs, **quiet)

    def show(self, period: str, request: gr.Request) -> tuple[Any, ...]:
        """The figures of a period."""
        client = self.gateway.client(request)
        try:
            project_id = self.gateway.project_id(request)
            found = client.metrics(project_id, period)
        except ApiError as error:
            return markup.error_box(error.message, error.hint), "", ""
        return tiles_html(found["totals"], project_id, period), charts_html(found, SPANS[period]), tables_html(found)


def charts_html(found: dict[str, Any], span: str) -> str:
    """Tokens and decisions over time, and what became of the posts."""
    groups = groups_of(found["by_day"], span)
    tokens = [_bar(days, span, [lambda d: d["prompt_tokens"] + d["completion_tokens"]]) for days in groups]
    decisions = [_bar(days, span, [itemgetter(name.lower()) for name in DECISIONS]) for days in groups]
    over_time = columns_html(f"Tokens a {span}", tokens, TOKENS) + columns_html(
        f"Approvals a {span}", decisions, DECISIONS
    )
    return f'<div class="h-charts">{over_time}</div>{rows_html("Posts by platform", _by_platform(found["content"]), OUTCOMES)}'


def groups_of(days: list[dict[str, Any]], span: str) -> list[list[dict[str, Any]]]:
    """The days of each bar, the oldest first. Weeks count back from today; the first one may be cut off, as a month."""
    if span == "week":
        starts = range(len(days) % 7 - 7, len(days), 7)
        return [days[max(0, start) : start + 7] for start in starts if start + 7 > 0]
    return [list(group) for _, group in groupby(days, key=lambda d: d["day"][:7] if span == "month" else d["day"])]


def _bar(days: list[dict[str, Any]], span: str, figures: list[Callable[[dict[str, Any]], int]]) -> Bar:
    first, last = (date.fromisoformat(day["day"]) for day in (days[0], days[-1]))
    name = f"{first:%b %Y}" if span == "month" else f"{first:%b} {first.day}"
    long_name = f"{first:%b} {first.day}" if first == last else f"{first:%b} {first.day} to {last:%b} {last.day}"
    return Bar(name, long_name, tuple(sum(figure(day) for day in days) for figure in figures))


def _by_platform(content: list[dict[str, Any]]) -> list[Bar]:
    """What became of the period's posts, by platform."""
    sums: dict[str, Counter[str]] = {}
    for row in content:
        done = {"Posted": row["published"], "Failed": row["failed"], "Rejected": row["rejected"]}
        done["Open"] = row["proposed"] - sum(done.values())
        sums.setdefault(platform_title(row["platform"]), Counter()).update(done)
    return [Bar(name, name, tuple(counts[outcome] for outcome in OUTCOMES)) for name, counts in sums.items()]


def tiles_html(totals: dict[str, Any], project_id: str, period: str) -> str:
    """The sums, and the same figures for a spreadsheet."""
    figures = (
        ("Calls of the model", f"{totals['calls']:,}"),
        ("Failed", f"{totals['failed_calls']:,}"),
        ("Tokens read", f"{totals['prompt_tokens']:,}"),
        ("Tokens written", f"{totals['completion_tokens']:,}"),
        ("Time of the model", _duration(totals["seconds"])),
        ("Proposed", f"{totals['proposed']:,}"),
        ("Approved", f"{totals['approved']:,}"),
        ("Rejected", f"{totals['rejected']:,}"),
        ("Posted", f"{totals['published']:,}"),
    )
    tiles = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in figures)
    href = f"/api/v1/projects/{quote(project_id, safe='')}/metrics.csv?period={quote(period)}"
    return f'<dl class="h-tiles">{tiles}</dl><p class="h-final"><a href="{markup.text(href)}" download>{markup.icon("file")}Download as CSV</a></p>'


def tables_html(found: dict[str, Any]) -> str:
    """What the calls were for, and the prompts most used."""
    if not found["totals"]["calls"] and not found["totals"]["proposed"]:
        return (
            f'<div class="h-nothing h-large">{markup.icon("search")}<p>Nothing happened in this period.</p>'
            "<p>Ask something under Chat or write something under Create; it is counted here.</p></div>"
        )
    kinds = "".join(
        f'<tr><td class="h-file">{markup.text(KINDS.get(k["kind"], k["kind"]))}</td><td data-label="Calls">{k["calls"]:,}</td>'
        f'<td data-label="Tokens">{k["prompt_tokens"] + k["completion_tokens"]:,}</td><td data-label="Time">{_duration(k["seconds"])}</td></tr>'
        for k in found["by_kind"]
    )
    prompts = "".join(
        f'<tr><td class="h-file"><span>{markup.exact(p["prompt"])}</span></td><td data-label="Times">{p["times"]:,}</td>'
        f'<td data-label="Tokens">{p["tokens"]:,}</td><td data-label="Time">{_duration(p["seconds"])}</td></tr>'
        for p in found["top_prompts"]
    )
    return _table("What for", "Calls", kinds) + _table("What was asked most", "Times", prompts)


def _table(title: str, count: str, rows: str) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{name}</th>" for name in (title, count, "Tokens", "Time"))
    return f'<table class="h-table h-figures"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"

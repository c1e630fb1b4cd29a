"""The Analytics tab: what the model's work took, what was decided and posted, the prompts most used."""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import gradio as gr
import pandas as pd

from app.client import ApiError
from app.ui import markup
from app.ui.components import plain
from app.ui.gateway import Gateway
from app.ui.variants import platform_title

_PAGE_HEAD = '<div class="h-page-head"><h1>Analytics</h1><p>What the language model did for this project, and what came of it.</p></div>'
PERIODS = (("7 days", "7d"), ("30 days", "30d"), ("90 days", "90d"), ("A year", "365d"))
# The colours stand here because a chart keeps those of its first data, and that is empty.
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
        with gr.Row(elem_classes="h-charts"):
            tokens = gr.BarPlot(
                _frame([], "day", "tokens"), x="day", y="tokens", title="Tokens a day", height=220, elem_id="chart-tokens",
                x_title=" ", y_title=" ", buttons=[],
            )  # fmt: skip
            decisions = gr.BarPlot(
                _frame([("", 0, name) for name in DECISIONS], "day", "count", "decision"), x="day", y="count", color="decision", color_map=DECISIONS,
                title="Approvals a day", height=220, elem_id="chart-decisions", x_title=" ", y_title=" ", buttons=[],
            )  # fmt: skip
        content = gr.BarPlot(
            _frame([("", 0, name) for name in OUTCOMES], "platform", "posts", "outcome"), x="platform", y="posts", color="outcome", color_map=OUTCOMES,
            title="Posts by platform", height=220, elem_id="chart-content", x_title=" ", y_title=" ", buttons=[],
        )  # fmt: skip
        tables = plain("", elem_id="metric-tables")
        outputs = [tiles, tokens, decisions, content, tables]
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
            return markup.error_box(error.message, error.hint), gr.skip(), gr.skip(), gr.skip(), ""
        return (
            tiles_html(found["totals"], project_id, period),
            _frame([(_short(d["day"]), d["prompt_tokens"] + d["completion_tokens"]) for d in found["by_day"]], "day", "tokens"),
            _frame([(_short(d["day"]), d[name.lower()], name) for d in found["by_day"] for name in DECISIONS], "day", "count", "decision"),
            _frame(_by_platform(found["content"]), "platform", "posts", "outcome"),
            tables_html(found),
        )  # fmt: skip


def _short(day: str) -> str:
    """A day as short text, so that every day has its bar and the axis has no hours."""
    return day[5:]


def _by_platform(content: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What became of the period's posts, by platform."""
    sums: dict[tuple[str, str], int] = {}
    for row in content:
        done = {"Posted": row["published"], "Failed": row["failed"], "Rejected": row["rejected"]}
        done["Open"] = row["proposed"] - sum(done.values())
        for outcome, count in done.items():
            key = (platform_title(row["platform"]), outcome)
            sums[key] = sums.get(key, 0) + count
    return [(platform, count, outcome) for (platform, outcome), count in sums.items()]


def _frame(rows: list[tuple[Any, ...]], *columns: str) -> pd.DataFrame:
    """A chart's data: names in the first column, numbers in the second, maybe colours in the third."""
    frame = pd.DataFrame(rows, columns=list(columns))
    # An empty column has no type, and a chart that has seen one once takes numbers for names.
    return frame.astype({columns[1]: "int64"})


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

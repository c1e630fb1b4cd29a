"""A project's figures as CSV that a spreadsheet may open: no cell of it is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from typing import Any

from app.analytics.records import Content, Day, KindOfCall, Metrics

HEADER = ("section", "name", "measure", "value")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(metrics: Metrics) -> str:
    """One row a figure: day, kind of call, platform and day, or prompt, then what is measured, then the value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # Source: RFC 4180
    writer.writerow(HEADER)
    for row in _rows(metrics):
        writer.writerow([_inert(cell) for cell in row])
    return out.getvalue()


def _rows(metrics: Metrics) -> Iterator[tuple[str, str, str, Any]]:
    yield "period", metrics.period.value, "began_at", metrics.began_at.isoformat()
    yield "period", metrics.period.value, "ended_at", metrics.ended_at.isoformat()
    yield from (("total", "", *figure) for figure in _figures(metrics.totals))
    for day in metrics.by_day:
        yield from (("day", day.day.isoformat(), *figure) for figure in _figures(day))
    for kind in metrics.by_kind:
        yield from (("kind of call", kind.kind, *figure) for figure in _figures(kind))
    for content in metrics.content:
        name = f"{content.day.isoformat()} {content.platform}"
        yield from (("content", name, *figure) for figure in _figures(content))
    for prompt in metrics.top_prompts:
        yield "prompt", prompt.prompt, "times", prompt.times
        yield "prompt", prompt.prompt, "tokens", prompt.tokens
        yield "prompt", prompt.prompt, "seconds", prompt.seconds


def _figures(row: Day | KindOfCall | Content) -> Iterator[tuple[str, float]]:
    for field in fields(row):
        value = getattr(row, field.name)
        if isinstance(value, int | float) and not isinstance(value, date):
            yield field.name, value


def _inert(cell: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front. Source: OWASP, CSV Injection."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell

"""Bar charts as HTML: bars over time with as many names as a phone has room for, and a line of parts a name.

Drawn here, because Gradio's charts write every name, over each other, cut those at the edges, and keep old data when
the span of a bar changes.
"""

# ruff: noqa: E501 - a piece of HTML reads better on one line

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.ui.markup import text

NAMES_SHOWN = 6  # at most; the last bar has its name


@dataclass(frozen=True, slots=True)
class Bar:
    """What is written below a bar, what is said of it, and its numbers, one a series."""

    name: str
    long_name: str
    values: tuple[int, ...]


def columns_html(title: str, bars: Sequence[Bar], colours: Mapping[str, str]) -> str:
    """Upright bars, side by side where there are several series; every bar says its numbers when it is pointed at."""
    top = _round_up(max((value for bar in bars for value in bar.values), default=0))
    step = math.ceil(len(bars) / NAMES_SHOWN) or 1
    columns = "".join(
        f'<li title="{text(said)}"><i>{"".join(_part("height", v, top, c) for v, c in zip(bar.values, colours.values(), strict=True))}</i>'
        f"<b>{text(bar.name) if (len(bars) - 1 - number) % step == 0 else ''}</b></li>"
        for number, bar in enumerate(bars)
        for said in [_said(bar, colours)]
    )
    axis = "".join(f"<span>{_short(top * share)}</span>" for share in ((1, 0.5, 0) if top > 1 else (1, 0)))
    return _figure(title, colours, f'<div class="h-columns"><div>{axis}</div><ol>{columns}</ol></div>')


def rows_html(title: str, bars: Sequence[Bar], colours: Mapping[str, str]) -> str:
    """A lying bar a name, made of its parts, with their sum; nothing without bars."""
    if not bars:
        return ""
    top = max(sum(bar.values) for bar in bars)
    rows = "".join(
        f'<li title="{text(_said(bar, colours))}"><b>{text(bar.name)}</b>'
        f"<i>{''.join(_part('width', v, top, c) for v, c in zip(bar.values, colours.values(), strict=True))}</i><span>{sum(bar.values):,}</span></li>"
        for bar in bars
    )
    return _figure(title, colours, f'<ol class="h-rows">{rows}</ol>')


def _figure(title: str, colours: Mapping[str, str], chart: str) -> str:
    names = "".join(f'<span><i style="background:{c}"></i>{text(name)}</span>' for name, c in colours.items())
    legend = f'<p class="h-legend">{names}</p>' if len(colours) > 1 else ""
    return f'<figure class="h-chart"><figcaption>{text(title)}</figcaption>{chart}{legend}</figure>'


def _part(side: str, value: int, top: int, colour: str) -> str:
    return f'<u style="{side}:{100 * value / top:.2f}%;background:{colour}"></u>' if top else ""


def _said(bar: Bar, colours: Mapping[str, str]) -> str:
    return f"{bar.long_name}: " + ", ".join(f"{v:,} {n}" for v, n in zip(bar.values, colours, strict=True))


def _round_up(value: int) -> int:
    """The next 1, 2, 4 or 6 with noughts, so that the half of it is a round number too; 1 for nothing."""
    if value <= 1:
        return 1
    unit = 10 ** (len(str(value)) - 1)
    return next(n * unit for n in (1, 2, 4, 6, 10, 20) if n * unit >= value)


def _short(value: float) -> str:
    """1200 as 1.2k, so that the axis is narrow."""
    for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{suffix}"
    return f"{value:g}"

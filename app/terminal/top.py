"""``herald top``: the inference process at a glance, each second, or once for a script."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from app.client import ApiError
from app.settings import load_settings
from app.terminal.connection import out, plain, reported
from app.terminal.top_figures import NOW_S, Call, History, InferenceProbe

INTERVAL_S = 1.0
MAX_CALLS = 100
NARROW = 100
"""Columns below which the table of calls leaves out the constraint, the wait and the id."""
ABSENT = "–"
STATE_STYLES = {"ready": "green", "loading": "yellow", "failed": "red"}


def run(*, once: bool) -> None:
    """Show the process until ``q`` or Ctrl-C; ``once`` prints one picture, whose rates are those of one second."""
    with reported():
        settings = load_settings()
        probe = InferenceProbe(settings.inference_origin, settings.inference_key_text())
        try:
            history = History()
            history.add(probe.read(MAX_CALLS))
            if once:
                time.sleep(INTERVAL_S)
                history.add(probe.read(MAX_CALLS))
                out.print(picture(history, out.width, rows=20))
            else:
                _watch(probe, history, out)
        finally:
            probe.close()


def _watch(probe: InferenceProbe, history: History, console: Console) -> None:
    problem = ""
    with _keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                rows = max(1, console.height - 14)
                live.update(picture(history, console.width, rows, problem), refresh=True)
                if pressed(INTERVAL_S) in ("q", "Q"):
                    return
                try:
                    history.add(probe.read(MAX_CALLS))
                    problem = ""
                except ApiError as error:
                    problem = error.message  # it may be starting again
        except KeyboardInterrupt:
            return


@contextmanager
def _keys() -> Iterator[_Pressed]:
    """Single keys from the terminal, without Enter and without an echo; none where stdin is no terminal."""
    if not sys.stdin.isatty():
        yield _Pressed(None)
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield _Pressed(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class _Pressed:
    """The next key within so many seconds, or nothing."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def __call__(self, timeout_s: float) -> str:
        if self._descriptor is None:
            time.sleep(timeout_s)
            return ""
        if select.select([self._descriptor], [], [], timeout_s)[0]:
            return os.read(self._descriptor, 1).decode("ascii", "replace")
        return ""


def picture(history: History, width: int, rows: int, problem: str = "") -> RenderableType:
    """Everything, for a terminal of so many columns, with at most ``rows`` calls."""
    parts: list[RenderableType] = [_title(history, problem), Text(), _figures(history), Text()]
    calls = history.newest.calls[:rows]
    parts.append(_calls(calls, width) if calls else plain("No calls yet.", "dim"))
    return Group(*parts)


def _title(history: History, problem: str) -> Text:
    status = history.newest.status
    state = str(status.get("status", "unknown"))
    title = plain("Herald inference  ", "bold") + plain(status.get("model", "")) + Text("  ")
    title += plain(state, STATE_STYLES.get(state, ""))
    started_at_s = history.newest.values.get("process_start_time_seconds")
    if started_at_s is not None:
        title += plain(f"  up {_span(time.time() - started_at_s)}", "dim")
    if problem:
        title += Text("\n") + plain(problem, "red")
    elif state != "ready" and status.get("detail"):
        title += Text("\n") + plain(status["detail"], "dim")
    return title


def _figures(history: History) -> Table:
    reading = history.newest
    (ttft_50, ttft_95), is_ttft_recent = history.quantiles("ttft_seconds", 0.5, 0.95)
    (gap_50, gap_95), is_gap_recent = history.quantiles("inter_token_seconds", 0.5, 0.95)
    used, cells = reading.value("cache_cells_used"), reading.value("cache_cells")
    outcomes = {
        name: reading.value(f'requests_total{{outcome="{name}"}}') for name in ("finished", "failed", "aborted")
    }
    steps, computed = history.rate("batch_size_count"), history.rate("batch_size_sum")
    memory = reading.values.get("process_resident_memory_bytes")
    cpu, hits = history.cpu(), history.hit_rate()
    left = (
        ("requests", f"{_count(reading.value('running'))} running, {_count(reading.value('waiting'))} waiting"),
        ("written", _rates(history, "generated_tokens_total")),
        ("read", _rates(history, "prompt_tokens_total")),
        ("first token", f"{_seconds(ttft_50)} p50, {_seconds(ttft_95)} p95{_since(is_ttft_recent, ttft_50)}"),
        ("next token", f"{_seconds(gap_50)} p50, {_seconds(gap_95)} p95{_since(is_gap_recent, gap_50)}"),
    )
    right = (
        ("cache cells", f"{_count(used)} of {_count(cells)}"),
        ("cache hits", ABSENT if hits is None else f"{hits:.0%} of prompts"),
        ("batch", f"{computed / steps:.1f} a step" if steps and computed is not None else ABSENT),
        ("memory", ABSENT if memory is None else f"{memory / (1 << 20):,.0f} MiB"),
        ("cores", ABSENT if cpu is None else f"{cpu:.1f} in use"),
    )
    grid = Table.grid(padding=(0, 2, 0, 0))
    for style in ("bright_black", "", "bright_black", ""):
        grid.add_column(style=style, no_wrap=True)
    for (name, value), (other, figure) in zip(left, right, strict=True):
        grid.add_row(plain(name), plain(value), plain(other), plain(figure))
    ended = ", ".join(f"{_count(count)} {name}" for name, count in outcomes.items())
    grid.add_row(plain("ended"), plain(ended))
    return grid


def _calls(calls: list[Call], width: int) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bright_black", expand=True)
    is_wide = width >= NARROW
    left = ["time", "kind", *(["constraint"] if is_wide else [])]
    right = ["prompt", "cached", "written", *(["waited"] if is_wide else []), "first", "total", "tokens/s"]
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, no_wrap=True, justify="right")
    for name in ["end", *(["id"] if is_wide else [])]:
        table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1)  # these two give way, figures are not cut
    for call in calls:
        table.add_row(*(plain(cell) if isinstance(cell, str) else cell for cell in _row(call, is_wide)))
    return table


def _row(call: Call, is_wide: bool) -> list[str | Text]:
    kind = "batch" if call["herald.background"] else str(call["gen_ai.operation.name"]).removesuffix("_completion")
    speed = call["herald.tokens_per_second"]
    row: list[str | Text] = [
        datetime.fromisoformat(call["timestamp"]).astimezone().strftime("%H:%M:%S"),
        kind,
        *([str(call["herald.constraint"] or "")] if is_wide else []),
        _count(call["gen_ai.usage.input_tokens"]),
        _count(call["gen_ai.usage.cache_read.input_tokens"]),
        _count(call["gen_ai.usage.output_tokens"]),
        *([_seconds(call["herald.queue_s"])] if is_wide else []),
        _seconds(call["gen_ai.server.time_to_first_token"]),
        _seconds(call["gen_ai.server.request.duration"]),
        ABSENT if speed is None else f"{speed:,.1f}",
        _end(call),
    ]
    return [*row, str(call["gen_ai.response.id"])] if is_wide else row


def _end(call: Call) -> Text:
    if call["herald.outcome"] == "finished":
        return plain(", ".join(call["gen_ai.response.finish_reasons"]), "green")
    if call["herald.outcome"] == "aborted":
        return plain("aborted", "yellow")
    return plain(call["error.type"], "red")


def _rates(history: History, name: str) -> str:
    now, minute = history.rate(name, NOW_S), history.rate(name)
    if now is None or minute is None:
        return ABSENT
    return f"{now:,.0f} tokens/s (minute: {minute:,.0f})"


def _since(is_recent: bool, value: float | None) -> str:
    return "" if is_recent or value is None else " (since start)"


def _count(value: float | None) -> str:
    return ABSENT if value is None else f"{value:,.0f}"


def _seconds(value: float | None) -> str:
    if value is None:
        return ABSENT
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"

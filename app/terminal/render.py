"""Actions, lists and states as the terminal shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from app.client import Action, Health, Lookup, Source, lookup_text
from app.terminal.connection import plain

STATUS_WORDS = {
    "awaiting_approval": ("needs your approval", "yellow"),
    "approved": ("queued", "blue"),
    "sending": ("submitting", "blue"),
    "succeeded": ("done", "green"),
    "failed": ("failed", "red"),
    "rejected": ("rejected", "bright_black"),
    "unconfirmed": ("unconfirmed", "magenta"),
    "expired": ("expired", "bright_black"),
    "cancelled": ("cancelled", "bright_black"),
}
_RESULT_CHARS = 1_500


def status_text(status: str) -> Text:
    """The status in words and colour."""
    words, style = STATUS_WORDS.get(status, (status, ""))
    return plain(words, style)


def card(action: Action, base_url: str = "") -> Panel:
    """Exactly what would run, with what stands in its way, and the outcome where there is one.

    Args:
        base_url: the app's origin, which makes the evidence's paths into addresses.
    """
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bright_black", no_wrap=True)
    grid.add_column(overflow="fold")
    for line in action["preview"]:
        value = plain(line["value"] or "(empty)", "" if line["value"] else "dim")
        if line["note"]:
            value += Text("\n" if "\n" in line["value"] or len(line["value"]) > 60 else "   ") + plain(
                line["note"], "dim"
            )
        if line["problem"]:
            value += Text("\n") + plain(f"! {line['problem']}", "bold red")
        grid.add_row(plain(line["label"]), value)
    words, style = STATUS_WORDS.get(action["status"], (action["status"], "white"))
    title = Text(" ") + plain(action["title"], "bold") + Text(" · ") + plain(words, style) + Text(" ")
    footer = plain(f" {action['id']} · digest {action['digest'][:12]} ", "dim")
    body: list[RenderableType] = [grid, *outcome(action, base_url)]
    return Panel(
        Group(*body), title=title, title_align="left", subtitle=footer, subtitle_align="right", border_style=style
    )


def outcome(action: Action, base_url: str = "") -> list[RenderableType]:
    """What became of an action, and the evidence."""
    parts: list[RenderableType] = []
    if action.get("held"):
        held = action["held"]
        until = f" until {moment(held['until'])}" if held and held["until"] else ""
        parts.append(plain(f"\n⏸ Held{until}: {held['reason'] if held else ''}", "yellow"))
    if action["error"]:
        parts.append(Text("\n✗ ", "bold red") + plain(action["error"]["message"], "red"))
        if action["error"]["hint"]:
            parts.append(plain(f"  {action['error']['hint']}", "dim"))
    if action["result"]:
        parts.append(Text("\n✓ ", "bold green") + plain(action["result"].get("summary", "Done.")))
    for item in action["evidence"]:
        address = f"{base_url}{item['url']}" if item["url"].startswith("/") else item["url"]
        parts.append(plain(f"  {item['label']}: ", "dim") + plain(address, "blue"))
    return parts


def details(action: Action) -> list[RenderableType]:
    """The data that an action brought back, for ``herald actions show``."""
    rest = {k: v for k, v in (action["result"] or {}).items() if k != "summary" and v not in (None, "", [], {})}
    parts: list[RenderableType] = []
    for key, value in rest.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if len(shown) > _RESULT_CHARS:
            shown = f"{shown[:_RESULT_CHARS]}… ({len(shown) - _RESULT_CHARS:,} more characters; --json shows all)"
        parts += [plain(key.replace("_", " "), "bold"), plain(shown)]
    return parts


def sources(found: Iterable[Source]) -> list[RenderableType]:
    """The passages that a reply rests on, one line each."""
    lines: list[RenderableType] = []
    for source in found:
        quote = " ".join(source["quote"].split())
        shown = quote if len(quote) <= 100 else f"{quote[:100]}…"
        lines.append(
            Text("  ❝ ", "yellow")
            + plain(source["filename"], "bold")
            + plain(f" {source['place'] or ''}  ")
            + plain(shown, "dim")
        )
    return lines


def lookups(found: Iterable[Lookup]) -> list[RenderableType]:
    """What was looked up for a reply, one line each."""
    return [plain(f"  ⌕ {lookup_text(lookup)}", "dim") for lookup in found]


def table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """A table of plain values; Text values keep their style."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold", no_wrap=heading == "id")  # an id is copied
    for row in rows:
        made.add_row(*(value if isinstance(value, Text) else plain(value) for value in row))
    return made


def moment(at: str | None) -> str:
    """A time in this machine's zone: today's as 14:03, others as 2026-11-21 14:03."""
    if not at:
        return ""
    local = datetime.fromisoformat(at).astimezone()
    is_today = local.date() == datetime.now(UTC).astimezone().date()
    return local.strftime("%H:%M" if is_today else "%Y-%m-%d %H:%M")


def health(state: Health) -> Table:
    """What each process says."""
    rows = []
    for name in ("app", "database", "inference", "worker"):
        part: Any = state.get(name)
        values = dict(part) if isinstance(part, Mapping) else {"status": part}
        status = str(values.pop("status", "") or "unknown")
        style = "green" if status in {"ok", "ready"} else "yellow" if status == "loading" else "red"
        said = ", ".join(
            f"{k.removesuffix('_at').replace('_', ' ')}: {moment(v) if k.endswith('_at') else v}"
            for k, v in values.items()
            if v
        )
        rows.append((name, plain(status, style), said))
    return table(("process", "status", "details"), rows)

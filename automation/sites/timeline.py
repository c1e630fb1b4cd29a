"""Finding a post among those that a site shows: when it was made, whether its text is the published one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from automation.sites.layout import Timeline
from automation.sites.x_text import without_urls

if TYPE_CHECKING:
    from playwright.sync_api import Page

_READ_POSTS = Path(__file__).with_name("posts.js").read_text(encoding="utf-8")
_MIN_CUT_CHARS = 30
_NOW = re.compile(r"^(?:just )?now\b|^a few seconds ago", re.I)
_AGO = re.compile(
    r"\b(?P<number>\d+|an?)\s*"
    r"(?P<unit>seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w|months?|mo|years?|yrs?|y)\b",
    re.I,
)
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "mo": 2_678_400, "y": 31_622_400}


@dataclass(frozen=True, slots=True)
class SeenPost:
    """A post as a page shows it. ``bare`` is its text without shortened links; ``is_cut`` when only its beginning is
    there; ``at`` its time or the earliest that it can be, None when the page does not say."""

    url: str
    text: str
    bare: str
    at: datetime | None
    is_cut: bool = False


def read_posts(page: Page, timeline: Timeline, time_of: Callable[[str, str], datetime | None]) -> list[SeenPost]:
    """The posts on the page, each once, in its order."""
    parts = {
        "post": timeline.post,
        "link": timeline.link,
        "linkFrom": list(timeline.link_from),
        "body": timeline.body,
        "time": timeline.time,
    }
    return _seen(page, parts, time_of)


def read_own_page(page: Page, timeline: Timeline, time_of: Callable[[str, str], datetime | None]) -> SeenPost | None:
    """The post whose own page is open."""
    parts = {
        "post": timeline.own_post,
        "link": "",
        "linkFrom": ["", ""],
        "body": timeline.own_body,
        "time": timeline.own_time or timeline.time,
    }
    found = _seen(page, parts, time_of)
    return found[0] if found else None


def _seen(page: Page, parts: Mapping[str, object], time_of: Callable[[str, str], datetime | None]) -> list[SeenPost]:
    found = page.evaluate(_READ_POSTS, parts)
    return [SeenPost(p["url"], p["text"], p["bare"], time_of(p["url"], p["at"]), p["cut"]) for p in found]


def is_match(seen: SeenPost, text: str, since: datetime, before: Collection[str]) -> bool:
    """Whether this is the post with ``text``: not among ``before``, and made at ``since`` or later."""
    is_new = seen.url not in before and seen.at is not None and seen.at >= since
    return is_new and is_same_text(seen, text)


def is_same_text(seen: SeenPost, text: str) -> bool:
    """Whether the texts are the same, white space and links aside: sites shorten links and join lines."""
    wanted, shown = _comparable(text), _comparable(seen.bare)
    if seen.is_cut:
        shown = shown.removesuffix("…").removesuffix("...")
        return len(shown) >= _MIN_CUT_CHARS and wanted.startswith(shown)
    return shown == wanted


def _comparable(text: str) -> str:
    return "".join(without_urls(text).split())


def parse_time(shown: str, now: datetime) -> datetime | None:
    """A time as pages write it: ISO 8601, or an age ("5m", "2 hours ago"), which gives the earliest it can be."""
    try:
        at = datetime.fromisoformat(shown)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    except ValueError:
        pass
    if _NOW.search(shown.strip()):
        return now - timedelta(seconds=60)
    match = _AGO.search(shown)
    if not match:
        return None
    unit = match["unit"].lower()
    seconds = _UNITS["mo" if unit.startswith("mo") else unit[0]]
    number = 1 if match["number"].lower() in ("a", "an") else int(match["number"])
    return now - timedelta(seconds=(number + 1) * seconds)


def from_unix(seconds: float) -> datetime | None:
    """A time out of a post's number, or None when it is none."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None

"""Telling the new post from all others: its time and its text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from automation.sites.linkedin import LinkedIn
from automation.sites.tiktok import TikTok
from automation.sites.timeline import SeenPost, is_match, is_same_text, parse_time

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def _seen(bare: str = "Hello there", at: datetime | None = NOW, *, is_cut: bool = False) -> SeenPost:
    return SeenPost("https://a.example/1", bare, bare, at, is_cut)


@pytest.mark.parametrize("shown", ["", "Sponsored", "yesterday", "12:30"])
def test_what_is_no_time_gives_none(shown: str) -> None:
    """A post without a known time is never taken for a new one."""
    assert parse_time(shown, NOW) is None
    assert not is_match(_seen(at=None), "Hello there", NOW - timedelta(days=1), ())


@pytest.mark.parametrize(
    ("shown", "ago_s"),
    [
        ("2026-11-21T11:59:00Z", 60),
        ("2026-11-21T12:59:00+01:00", 60),
        ("Just now", 60),
        ("now", 60),
        ("5m", 360),
        ("5 min", 360),
        ("1 minute ago", 120),
        ("an hour ago", 7_200),
        ("2 h", 10_800),
        ("3d", 345_600),
        ("1mo", 5_356_800),
    ],
)
def test_an_age_gives_the_earliest_that_it_can_be(shown: str, ago_s: int) -> None:
    """An hour ago may have been nearly two: an older post must not pass for the new one."""
    assert parse_time(shown, NOW) == NOW - timedelta(seconds=ago_s)


def test_numbers_of_posts_carry_their_time() -> None:
    """LinkedIn's milliseconds and TikTok's seconds; a broken number gives none."""
    unix_ms = int(NOW.timestamp() * 1_000)
    assert LinkedIn().time_of(f"https://a/feed/update/urn:li:activity:{unix_ms << 22 | 77}/", "") == NOW
    assert TikTok().time_of(f"https://a/@acme/video/{int(NOW.timestamp()) << 32 | 5}", "") == NOW
    assert TikTok().time_of(f"https://a/@acme/video/{'9' * 60}", "") is None


@pytest.mark.parametrize(
    ("seen", "text", "is_same"),
    [
        (_seen(), "Hello there!", False),
        (_seen("Hello"), "Hello there", False),
        (_seen("Hello  \n there"), "Hello there", True),
        (_seen("See  now"), "See https://example.com/x now", True),
        (_seen("Hello th…", is_cut=True), "Hello there", False),
        (
            _seen("A long beginning of a text that goes on…", is_cut=True),
            "A long beginning of a text that goes on.",
            True,
        ),
    ],
)
def test_texts_are_the_same_but_for_white_space_and_links(seen: SeenPost, text: str, is_same: bool) -> None:
    """A text that a list cuts off counts only when enough of it is there."""
    assert is_same_text(seen, text) is is_same


def test_an_older_or_known_post_is_not_the_new_one() -> None:
    """The same words an hour earlier, or at an address that was there before, do not count."""
    assert is_match(_seen(), "Hello there", NOW - timedelta(minutes=5), ())
    assert not is_match(_seen(), "Hello there", NOW + timedelta(seconds=1), ())
    assert not is_match(_seen(), "Hello there", NOW - timedelta(minutes=5), {"https://a.example/1"})
